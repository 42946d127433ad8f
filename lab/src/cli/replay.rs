//! `replay`: a recording judged again, without an engine.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, Or};
use super::output::{OutputArgs, Outputs, require_possible};
use super::timings::{Phase, Timings};
use crate::matrix::MatrixBuilder;
use crate::recording::{Head, LoadRecord, RecordingReader};
use crate::report::shown::Shown;

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
    let mut recording = RecordingReader::open(&args.file).or_exit(Exit::Usage)?;
    require_possible(&args.output.fail_on, &recording.head.operations)?;
    let outputs = Outputs::open(&args.output)?;
    let mut shown = outputs.shown();
    let head = recording.head.clone();
    let mut builder = MatrixBuilder::new(&head);
    let mut timings = Timings::default();
    while let Some(load) = recording.load().or_exit(Exit::Usage)? {
        timings.count(&load);
        let shown = shown.as_mut();
        timings.of(Phase::Judge, || add(&mut builder, &head, &load, shown));
    }
    let matrix = builder.finish(recording.end.as_ref());
    let exit = timings.of(Phase::Report, || outputs.finish(matrix, shown))?;
    if let Some(path) = &args.timings {
        timings.write(path)?;
    }
    Ok(exit)
}

/// Judges a load, and gathers what reports show of it.
pub fn add(
    builder: &mut MatrixBuilder<'_>,
    head: &Head,
    load: &LoadRecord,
    shown: Option<&mut Shown>,
) {
    let cells = builder.add(load);
    let mut scenarios = head.scenarios.iter();
    let scenario = scenarios.find(|scenario| scenario.name == load.scenario);
    if let (Some(shown), Some(scenario)) = (shown, scenario) {
        shown.add(load, scenario, cells);
    }
}
