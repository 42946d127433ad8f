//! `scenarios`: which there are, and what one holds.

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::target;
use crate::experiment::scenarios::named_scenarios;
use crate::experiment::{Failure, OrFailure};
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
    /// Print one: its source, how it is written, its rules, what they need, its packets.
    Show {
        /// Its name, a glob, or the path of a scenario file.
        name: String,
    },
}

pub fn run(args: &ScenariosArgs) -> Result<Exit, Failure> {
    match &args.command {
        None | Some(ScenariosCommand::List) => {
            let shipped = scenario::shipped().or_fault()?;
            target::print(&report::scenarios::list(&shipped))?;
        }
        Some(ScenariosCommand::Show { name }) => {
            for scenario in named_scenarios(std::slice::from_ref(name))? {
                target::print(&report::scenarios::show(&scenario))?;
            }
        }
    }
    Ok(Exit::Ran)
}
