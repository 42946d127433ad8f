//! `replay`: a recording judged again, without an engine.

use std::path::PathBuf;

use clap::Args;

use super::condition::require_possible;
use super::exit::Exit;
use super::output::{OutputArgs, Outputs};
use super::target;
use crate::experiment::replay::replay;
use crate::experiment::timings::Phase;
use crate::experiment::{Failure, OrFailure};
use crate::recording::RecordingReader;

#[derive(Args)]
pub struct ReplayArgs {
    /// What `matrix --record` wrote.
    file: PathBuf,
    /// Write what the judging took to this file, as JSON: seconds by phase, commands by operation, memory.
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let recording = RecordingReader::open(&args.file).or_bad_input()?;
    require_possible(&args.output.fail_on, &recording.head.operations)?;
    let outputs = Outputs::open(&args.output)?;
    let mut transcripts = outputs.transcripts();
    let (matrix, mut timings) = replay(recording, transcripts.as_mut())?;
    let exit = timings.of(Phase::Report, || outputs.finish(matrix, transcripts))?;
    if let Some(path) = &args.timings {
        target::write(path, &timings.json()?)?;
    }
    Ok(exit)
}
