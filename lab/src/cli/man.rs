//! `man`: the manual pages.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use miette::miette;

use super::exit::Exit;
use super::target;
use crate::experiment::{Failure, OrFailure};

#[derive(Args)]
pub struct ManArgs {
    /// Write a page for the program and one for each of its commands into this folder, instead of the first to standard
    /// output.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the manual page, or writes all of them.
pub fn man(args: &ManArgs, mut program: Command) -> Result<Exit, Failure> {
    // So that commands know their program's name.
    program.build();
    match &args.output {
        None => {
            let page = page(&program)?;
            target::print(&String::from_utf8_lossy(&page))?;
        }
        Some(folder) => {
            write(folder, program.get_name(), &program)?;
            for command in program.get_subcommands().filter(|of| !of.is_hide_set()) {
                let name = format!("{}-{}", program.get_name(), command.get_name());
                write(folder, &name, command)?;
            }
        }
    }
    Ok(Exit::Ran)
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| miette!("the page cannot be made: {error}"))
        .or_fault()?;
    Ok(page)
}

fn write(folder: &Path, name: &str, command: &Command) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?)
        .map_err(|error| miette!("{} cannot be written: {error}", path.display()))
        .or_bad_input()
}
