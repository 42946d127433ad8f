//! `merge`: the recordings of all shards of a run, put together and judged.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::output::{OutputArgs, Outputs, require_possible};
use super::replay::add;
use crate::matrix::MatrixBuilder;
use crate::recording::{self, RecordingWriter};

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
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut recordings = Vec::new();
    for path in &args.files {
        let stored = recording::read(path).or_exit(Exit::Usage)?;
        recordings.push((path.display().to_string(), stored.recording));
    }
    let merged = recording::merge(recordings).or_exit(Exit::Usage)?;
    require_possible(&args.output.fail_on, &merged.head.operations)?;
    let outputs = Outputs::open(&args.output)?;
    if let Some(path) = &args.record {
        let mut file = RecordingWriter::create(path).or_exit(Exit::Usage)?;
        file.head(&merged.head).or_exit(Exit::Lacks)?;
        for load in &merged.loads {
            file.load(load).or_exit(Exit::Lacks)?;
        }
        if let Some(end) = &merged.end {
            file.end(end).or_exit(Exit::Lacks)?;
        }
    }
    let mut shown = outputs.shown();
    let mut builder = MatrixBuilder::new(&merged.head);
    for load in &merged.loads {
        add(&mut builder, &merged.head, load, shown.as_mut());
    }
    outputs.finish(builder.finish(merged.end.as_ref()), shown)
}
