//! `builds`: which there are, making them, removing what was made.

use clap::{Args, Subcommand};

use super::arguments::Common;
use super::exit::Exit;
use super::target;
use crate::experiment::progress::say;
use crate::experiment::{Failure, builds, memory};
use crate::images::{Effort, Remove};
use crate::report;
use crate::report::builds::Row;

#[derive(Args)]
pub struct BuildsArgs {
    #[command(subcommand)]
    command: Option<BuildsCommand>,
}

#[derive(Subcommand)]
enum BuildsCommand {
    /// List every build: built, not built yet, or why it cannot be had. Makes nothing.
    List,
    /// Make builds, also those that could not be had before. Exit status 3 if one that is named cannot be had.
    Build {
        /// Ids of builds, names of images, or globs; without them, all.
        ids: Vec<String>,
        /// Build again what is there: the same sources must give the same digest.
        #[arg(long)]
        again: bool,
    },
    /// Remove every container image and root filesystem that the lab made; the next run makes them again.
    Remove {
        /// Remove the fetched tarballs and packages and the toolchain too.
        #[arg(long)]
        all: bool,
    },
}

pub async fn run(args: &BuildsArgs, common: &Common) -> Result<Exit, Failure> {
    let session = common.session_options();
    match &args.command {
        None | Some(BuildsCommand::List) => {
            let rows = builds::list(session).await?;
            target::print(&report::builds::render(&rows, target::width()))?;
            let (shelves, _) = memory::list(&common.session_options())?;
            let known: u64 = shelves.iter().map(|shelf| shelf.bytes).sum();
            if known > 0 {
                let known = known as f64 / 1e6;
                say(format_args!(
                    "what runs have learnt takes {known:.2} MB: `iptables-lab memory`"
                ));
            }
            if rows.iter().any(|row| matches!(row, Row::Missing(_))) {
                eprintln!(
                    "
`builds build` tries again to get what is missing."
                );
            }
            Ok(Exit::Ran)
        }
        Some(BuildsCommand::Build { ids, again }) => {
            let effort = if *again {
                Effort::Rebuild
            } else {
                Effort::Retry
            };
            let rows = builds::make(ids, effort, session).await?;
            target::print(&report::builds::render(&rows, target::width()))?;
            let is_missing = |row: &Row| matches!(row, Row::Missing(_));
            let failed = !ids.is_empty() && rows.iter().any(is_missing);
            Ok(if failed { Exit::Lacks } else { Exit::Ran })
        }
        Some(BuildsCommand::Remove { all }) => {
            let what = if *all {
                Remove::BuildsAndSources
            } else {
                Remove::Builds
            };
            let (removed, store) = builds::remove(what, session).await?;
            say(format_args!(
                "removed {removed} container images and the builds in {}",
                store.display()
            ));
            Ok(Exit::Ran)
        }
    }
}
