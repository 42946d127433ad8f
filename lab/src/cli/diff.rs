//! `diff`: what differs between two reports or recordings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::output::{matrix_of_file, print, width};
use crate::matrix::difference;
use crate::report;

#[derive(Args)]
pub struct DiffArgs {
    /// The older one: a report in JSON, or a recording.
    old: PathBuf,
    /// The newer one.
    new: PathBuf,
    /// The form of the difference.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: DiffFormat,
    /// End with exit status 1 if a loss came or became graver.
    #[arg(long, value_enum, value_name = "regression")]
    fail_on: Option<DiffCondition>,
}

/// A form of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// For the terminal.
    Text,
    /// For issues and CI summaries, in the size of a GitHub comment.
    Markdown,
    /// One JSON document.
    Json,
}

/// What `--fail-on` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffCondition {
    /// A loss that came or became graver.
    Regression,
}

pub fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let (old, new) = (matrix_of_file(&args.old)?, matrix_of_file(&args.new)?);
    let difference = difference(&old, &new);
    let text = match args.format {
        DiffFormat::Text => report::difference::text(&difference, width()),
        DiffFormat::Markdown => {
            report::difference::markdown(&difference, report::markdown::COMMENT)
        }
        DiffFormat::Json => report::difference::json(&difference)
            .map_err(|error| miette!("{error}"))
            .or_exit(Exit::Fault)?,
    };
    print(&text)?;
    let is_regression = difference.regressions().next().is_some();
    Ok(match args.fail_on {
        Some(DiffCondition::Regression) if is_regression => Exit::Found,
        _ => Exit::Ran,
    })
}
