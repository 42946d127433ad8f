//! `diff`: what differs between two reports or recordings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::target::Targets;
use crate::cause::cause_changes;
use crate::experiment::Failure;
use crate::experiment::stored::matrix_of_file;
use crate::matrix::difference;
use crate::report;

#[derive(Args)]
pub struct DiffArgs {
    /// The older one: a report in JSON, or a recording.
    old: PathBuf,
    /// The newer one.
    new: PathBuf,
    /// How the difference is printed [default: text]. Repeats, each with its --output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Vec<DiffFormat>,
    /// Where the format at the same place goes: a file, or `-` for standard output, which is the default. Repeats.
    #[arg(long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// End with exit status 1 if this is found. Repeats.
    #[arg(long, value_enum, value_name = "regression|missing")]
    fail_on: Vec<DiffCondition>,
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
    /// A loss that is new or worse.
    Regression,
    /// A pairing or an operation that only the older one ran.
    Missing,
}

pub fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let targets = Targets::open(&args.format, DiffFormat::Text, &args.output)?;
    let (old, new) = (matrix_of_file(&args.old)?, matrix_of_file(&args.new)?);
    let causes = cause_changes(&old, &new);
    let difference = difference(&old, &new);
    targets.write(|format, width, to| {
        let text = match format {
            DiffFormat::Text => {
                width.text(|width| report::difference::text(&difference, &causes, width))
            }
            DiffFormat::Markdown => {
                report::difference::markdown(&difference, &causes, report::markdown::COMMENT)
            }
            DiffFormat::Json => report::difference::json(&difference, &causes)?,
        };
        to.write_all(text.as_bytes())
    })?;
    let is_met = args.fail_on.iter().any(|condition| match condition {
        DiffCondition::Regression => difference.regressions().next().is_some(),
        DiffCondition::Missing => difference.is_less(),
    });
    Ok(if is_met { Exit::Found } else { Exit::Ran })
}
