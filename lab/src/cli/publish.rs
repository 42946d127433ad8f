//! `publish`: the least form of a report, which is part of the binary.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::Exit;
use crate::experiment::publish::published;
use crate::experiment::{Failure, OrFailure};

#[derive(Args)]
pub struct PublishArgs {
    /// A recording (`matrix --record`), or a report (`--format json`).
    file: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "reports/losses.json.xz")]
    output: PathBuf,
}

pub fn run(args: &PublishArgs) -> Result<Exit, Failure> {
    let bytes = published(&args.file)?.encode();
    let bytes = bytes.map_err(|error| miette!("{error}")).or_fault()?;
    std::fs::write(&args.output, bytes)
        .map_err(|error| miette!("{} cannot be written: {error}", args.output.display()))
        .or_bad_input()?;
    Ok(Exit::Ran)
}
