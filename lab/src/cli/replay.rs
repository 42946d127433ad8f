//! `replay`: a recording judged again, without an engine.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, Or};
use super::output::{self, OutputArgs, Outputs};
use crate::matrix::Matrix;
use crate::recording;

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
    let matrix = Matrix::of(&stored.recording);
    let found = output::met(&matrix, &args.output.fail_on);
    outputs.write(&matrix)?;
    Ok(if found { Exit::Found } else { Exit::Ran })
}
