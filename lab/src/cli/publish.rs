//! `publish`: the least form of a report, which is part of the binary.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use crate::advice::{Published, PublishedBuilder};
use crate::judge::{Case, judge};
use crate::matrix::Matrix;
use crate::recording;

#[derive(Args)]
pub struct PublishArgs {
    /// A recording (`matrix --record`), or a report (`--format json`).
    file: PathBuf,
    /// Where it is written to.
    #[arg(long, value_name = "FILE", default_value = "reports/losses.json.xz")]
    output: PathBuf,
}

pub fn run(args: &PublishArgs) -> Result<Exit, Failure> {
    let published = match is_recording(&args.file)? {
        true => of_recording(&args.file)?,
        false => of_report(&args.file)?,
    };
    let bytes = published.encode();
    let bytes = bytes
        .map_err(|error| miette!("{error}"))
        .or_exit(Exit::Fault)?;
    std::fs::write(&args.output, bytes)
        .map_err(|error| miette!("{} cannot be written: {error}", args.output.display()))
        .or_exit(Exit::Usage)?;
    Ok(Exit::Ran)
}

fn cannot_read(path: &Path, error: &dyn std::fmt::Display) -> miette::Report {
    miette!(
        help = "a recording is what `matrix --record` writes, a report what `--format json` does",
        "{} cannot be read: {error}",
        path.display()
    )
}

/// A recording begins with its format, a report with its own or with a line's end after the first brace.
fn is_recording(path: &Path) -> Result<bool, Failure> {
    let mut begin = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut begin));
    read.map_err(|error| cannot_read(path, &error))
        .or_exit(Exit::Usage)?;
    Ok(begin.starts_with(br#"{"recording""#))
}

fn of_recording(path: &Path) -> Result<Published, Failure> {
    let recording = recording::read(path).or_exit(Exit::Usage)?.recording;
    let head = &recording.head;
    let mut builder = PublishedBuilder::new(&head.lab, &head.host, head.started, &head.builds);
    for load in &recording.loads {
        let scenario = head.scenarios.iter().find(|of| of.name == load.scenario);
        if let Some(scenario) = scenario {
            let case = Case {
                scenario,
                builds: &head.builds,
                operations: &head.operations,
            };
            judge(load, case).iter().for_each(|cell| builder.add(cell));
        }
    }
    Ok(builder.finish())
}

fn of_report(path: &Path) -> Result<Published, Failure> {
    let file = std::fs::File::open(path).map_err(|error| cannot_read(path, &error));
    let reader = std::io::BufReader::new(file.or_exit(Exit::Usage)?);
    let matrix: Matrix = serde_json::from_reader(reader)
        .map_err(|error| cannot_read(path, &error))
        .or_exit(Exit::Usage)?;
    Ok(Published::from(&matrix))
}
