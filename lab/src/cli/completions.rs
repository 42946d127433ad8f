//! `completions`: what a shell needs to complete the commands of this program.

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::Exit;
use super::target;
use crate::experiment::Failure;

#[derive(Args)]
pub struct CompletionsArgs {
    /// Whose completions.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints what a shell takes.
pub fn completions(args: &CompletionsArgs, mut program: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    target::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ran)
}
