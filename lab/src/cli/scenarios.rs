//! `scenarios`: which there are, and what one holds.

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure, Or};
use super::output;
use super::select::select;
use crate::report;
use crate::scenario;

#[derive(Args)]
pub struct ScenariosArgs {
    #[command(subcommand)]
    command: Option<ScenariosCommand>,
}

#[derive(Subcommand)]
enum ScenariosCommand {
    /// List the scenarios, by group.
    List,
    /// Print one: its source, how it is written, its rules.
    Show {
        /// Its name.
        name: String,
    },
}

pub fn run(args: &ScenariosArgs) -> Result<Exit, Failure> {
    let shipped = scenario::shipped().or_exit(Exit::Fault)?;
    match &args.command {
        None | Some(ScenariosCommand::List) => output::print(&report::scenarios::list(&shipped))?,
        Some(ScenariosCommand::Show { name }) => {
            let found = select(
                "scenario",
                &shipped,
                |scenario| &scenario.name,
                std::slice::from_ref(name),
            );
            for scenario in found.or_exit(Exit::Usage)? {
                output::print(&report::scenarios::show(scenario))?;
            }
        }
    }
    Ok(Exit::Ran)
}
