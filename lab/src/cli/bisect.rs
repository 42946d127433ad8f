//! `bisect`: the upstream commits that began and ended causes.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::arguments::{Common, PaceArgs};
use super::exit::Exit;
use super::target;
use crate::catalog::Tool;
use crate::experiment::bisect::{BisectRequest, Bisected, bisect};
use crate::experiment::causes;
use crate::experiment::progress::say;
use crate::experiment::{Failure, OrFailure};
use crate::report;

#[derive(Args)]
pub struct BisectArgs {
    /// The causes, by name; all that the run shows where none is named.
    #[arg(value_name = "CAUSE")]
    causes: Vec<String>,
    /// A clone of the tool's history, with its tags, with or without a work tree: it is only read.
    #[arg(long, value_name = "GITREPO")]
    tree: PathBuf,
    /// A run that shows the causes: a report in JSON, or a recording.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Whose history the repository is.
    #[arg(long, value_enum, value_name = "TOOL", default_value = "iptables")]
    tool: OfTool,
    /// The source tree of a libnftnl that all of nft's commits are linked with, the newest one best.
    #[arg(long, value_name = "DIR")]
    libnftnl: Option<PathBuf>,
    /// Put what is found into this file of causes (reports/causes.toml).
    #[arg(long, value_name = "FILE")]
    complete: Option<PathBuf>,
    #[command(flatten)]
    pace: PaceArgs,
}

/// A tool by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OfTool {
    Iptables,
    Nft,
}

/// The libnftnl that is linked with, from wherever it is looked for.
fn libnftnl(args: &BisectArgs) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = &args.libnftnl else {
        return Ok(None);
    };
    if !matches!(args.tool, OfTool::Nft) {
        let error = miette!(
            help = "add --tool nft, or leave it out",
            "--libnftnl is what an nft is linked with"
        );
        return Err(Failure::bad_input(error));
    }
    let path = path.canonicalize().map_err(|error| {
        miette!(
            help = "give the source tree of a release of libnftnl",
            "{} cannot be read: {error}",
            path.display()
        )
    });
    path.or_bad_input().map(Some)
}

pub async fn run(args: &BisectArgs, common: &Common) -> Result<Exit, Failure> {
    let request = BisectRequest {
        causes: args.causes.clone(),
        from: args.from.clone(),
        tree: args.tree.clone(),
        tool: match args.tool {
            OfTool::Iptables => Tool::Iptables,
            OfTool::Nft => Tool::Nft,
        },
        libnftnl: libnftnl(args)?,
        options: args.pace.options(),
    };
    let Bisected {
        causes: found,
        commits,
        skipped,
        tries,
    } = bisect(request, || common.session_options()).await?;
    if let Some(path) = &args.complete {
        causes::complete(path, None, &found)?;
    }
    let width = target::width();
    let text: Vec<String> = found
        .iter()
        .map(|of| report::causes::one(of, width))
        .collect();
    target::print(&text.join("\n"))?;
    say(format_args!(
        "{commits} commits, {skipped} of them could not be compiled; tried {tries} times"
    ));
    Ok(Exit::Ran)
}
