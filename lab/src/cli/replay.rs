//! `replay`: a recording judged again, without an engine.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, Or};
use super::output::{OutputArgs, Outputs};
use crate::matrix::{Matrix, MatrixBuilder};
use crate::recording::{self, Recording};
use crate::report::shown::Shown;

#[derive(Args)]
pub struct ReplayArgs {
    /// What `matrix --record` wrote.
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let stored = recording::read(&args.file).or_exit(Exit::Usage)?;
    let outputs = Outputs::open(&args.output)?;
    let mut shown = outputs.shown();
    let matrix = judge(&stored.recording, shown.as_mut());
    outputs.finish(matrix, shown)
}

/// Judges a recording, and gathers what reports show of it.
pub fn judge(recording: &Recording, mut shown: Option<&mut Shown>) -> Matrix {
    let mut builder = MatrixBuilder::new(recording.head.clone());
    for load in &recording.loads {
        let cells = builder.add(load);
        let mut scenarios = recording.head.scenarios.iter();
        let scenario = scenarios.find(|scenario| scenario.name == load.scenario);
        if let (Some(shown), Some(scenario)) = (&mut shown, scenario) {
            shown.add(load, scenario, cells);
        }
    }
    builder.finish(recording.end.as_ref())
}
