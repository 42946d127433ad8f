//! `merge`: the recordings of all shards of a run, put together and judged.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::condition::require_possible;
use super::exit::Exit;
use super::output::{OutputArgs, Outputs};
use crate::experiment::Failure;
use crate::experiment::replay::{judged, keep, merge};

#[derive(Args)]
pub struct MergeArgs {
    /// What `matrix --shard … --record` wrote: every shard, in any order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Keep the whole recording in this file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    if let Some(path) = args.record.as_ref()
        && (args.files.contains(path) || args.output.output.contains(path))
    {
        let error = miette!("{} is named twice: as the --record too", path.display());
        return Err(Failure::bad_input(error));
    }
    let merged = merge(&args.files)?;
    require_possible(&args.output.fail_on, &merged.head.operations)?;
    let outputs = Outputs::open(&args.output)?;
    if let Some(path) = &args.record {
        keep(&merged, path)?;
    }
    let mut transcripts = outputs.transcripts();
    let matrix = judged(&merged, transcripts.as_mut());
    outputs.finish(matrix, transcripts)
}
