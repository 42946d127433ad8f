//! `memory`: what earlier runs learnt, and taking it away.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::arguments::Common;
use super::exit::Exit;
use super::target;
use crate::experiment::progress::say;
use crate::experiment::{Failure, SessionOptions, memory};
use crate::report;

#[derive(Args)]
pub struct MemoryArgs {
    #[command(subcommand)]
    command: Option<MemoryCommand>,
}

#[derive(Subcommand)]
enum MemoryCommand {
    /// Say how much is known, of which kernel, engine and privilege, and since when.
    List {
        /// Say it of each build too.
        #[arg(long)]
        by_build: bool,
    },
    /// Take it away: all of it, or what is named.
    Clear {
        /// Only of this build: its id or a glob. Repeatable.
        #[arg(long = "build", value_name = "BUILD")]
        build: Vec<String>,
        /// Only of kernels whose release and build have these words.
        #[arg(long, value_name = "WORDS")]
        kernel: Option<String>,
        /// Only files that no run has written to for so many days.
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,
    },
}

pub fn run(args: &MemoryArgs, common: &Common) -> Result<Exit, Failure> {
    let options = common.session_options();
    match &args.command {
        None => list(false, &options)?,
        Some(MemoryCommand::List { by_build }) => list(*by_build, &options)?,
        Some(MemoryCommand::Clear {
            build,
            kernel,
            older_than,
        }) => {
            const DAY: Duration = Duration::from_secs(24 * 60 * 60);
            let clear = memory::Clear {
                build: build.clone(),
                kernel: kernel.clone(),
                older_than: older_than.map(|days| DAY * days),
            };
            let bytes = memory::clear(&clear, &options)?;
            say(format_args!("removed {:.2} MB", bytes as f64 / 1e6));
        }
    }
    Ok(Exit::Ran)
}

/// Prints what is known.
fn list(by_build: bool, options: &SessionOptions) -> Result<(), Failure> {
    let (shelves, folder) = memory::list(options)?;
    if shelves.is_empty() {
        say(format_args!("nothing is known yet: {}", folder.display()));
    }
    let builds = match by_build {
        true => memory::by_build(&shelves, &folder)?,
        false => Vec::new(),
    };
    target::print(&report::memory::render(&shelves, &builds))
}
