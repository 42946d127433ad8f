//! What earlier runs came to, from the files that hold it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use miette::miette;

use super::failure::{Failure, OrFailure};
use super::progress::say;
use super::replay::replay;
use crate::cause::KnownCauses;
use crate::matrix::{Known, KnownError, Matrix};
use crate::recording::RecordingReader;
use crate::report;

/// The matrix in a file: a report's, or that of a recording.
///
/// # Errors
/// The file cannot be read, or is neither.
pub fn matrix_of_file(path: &Path) -> Result<Matrix, Failure> {
    let unreadable = |error| miette!("{} cannot be read: {error}", path.display());
    let file = File::open(path).map_err(unreadable).or_bad_input()?;
    let mut start = String::new();
    // A recording is lines of JSON, of which the first says what it is. It may be larger than what is there of memory.
    let mut lines = BufReader::new(file);
    lines
        .read_line(&mut start)
        .map_err(unreadable)
        .or_bad_input()?;
    let first: Option<serde_json::Value> = serde_json::from_str(&start).ok();
    if first.is_some_and(|first| first.get("recording").is_some()) {
        let recording = RecordingReader::open(path).or_bad_input()?;
        return Ok(replay(recording, None)?.0);
    }
    let text = std::fs::read_to_string(path)
        .map_err(unreadable)
        .or_bad_input()?;
    report::json::read(&text)
        .map_err(|error| {
            miette!(
                help = "a report is what `iptables-lab matrix --format json` writes, a recording what --record writes",
                "{} cannot be taken for a report: {error}",
                path.display()
            )
        })
        .or_bad_input()
}

/// The known losses in a file.
///
/// # Errors
/// The file cannot be read, or is none.
pub fn known_of_file(path: &Path) -> Result<Known, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| miette!("{} cannot be read: {error}", path.display()))
        .or_bad_input()?;
    let causes: Vec<String> = KnownCauses::built_in().names().collect();
    let known = Known::read(&path.display().to_string(), &text, &causes);
    if let Err(KnownError::OldForm { entries, .. }) = &known {
        // Within an error's help its lines would be broken.
        say(format_args!("{entries}"));
    }
    known.or_bad_input()
}
