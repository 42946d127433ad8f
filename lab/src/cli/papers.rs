//! `man` and `completions`: what a package of this program holds besides it.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::{Cli, output};

#[derive(Args)]
pub struct ManArgs {
    /// Write a page for the program and one for each of its commands into this folder, instead of the first to standard
    /// output.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Args)]
pub struct CompletionsArgs {
    /// Whose completions.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the manual page, or writes all of them.
pub fn man(args: &ManArgs) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    // So that commands know their program's name.
    program.build();
    match &args.output {
        None => {
            let page = page(&program)?;
            output::print(&String::from_utf8_lossy(&page))?;
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

/// Prints what a shell takes.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut program = Cli::command();
    let name = program.get_name().to_owned();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ran)
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| miette!("the page cannot be made: {error}"))
        .or_exit(Exit::Fault)?;
    Ok(page)
}

fn write(folder: &Path, name: &str, command: &Command) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?)
        .map_err(|error| miette!("{} cannot be written: {error}", path.display()))
        .or_exit(Exit::Usage)
}
