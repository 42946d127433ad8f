//! The least form of a report, from a recording or from a report in JSON.

use std::io::Read;
use std::path::Path;

use miette::miette;

use super::failure::{Failure, OrFailure};
use crate::advice::{Published, PublishedBuilder};
use crate::judge::{Case, judge};
use crate::{recording, report};

/// What is published of the run in a file: a recording, or a report.
///
/// # Errors
/// The file cannot be read, or is neither.
pub fn published(path: &Path) -> Result<Published, Failure> {
    match is_recording(path)? {
        true => of_recording(path),
        false => of_report(path),
    }
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
        .or_bad_input()?;
    Ok(begin.starts_with(br#"{"recording""#))
}

fn of_recording(path: &Path) -> Result<Published, Failure> {
    let recording = recording::read(path).or_bad_input()?.recording;
    let head = &recording.head;
    let mut builder = PublishedBuilder::new(
        &head.lab,
        &head.host,
        head.started,
        &head.builds,
        &head.operations,
    );
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
    let text = std::fs::read_to_string(path).map_err(|error| cannot_read(path, &error));
    let matrix = report::json::read(&text.or_bad_input()?);
    let matrix = matrix
        .map_err(|error| cannot_read(path, &error))
        .or_bad_input()?;
    let mut builder = PublishedBuilder::new(
        &matrix.lab.version,
        &matrix.host,
        matrix.started,
        &matrix.builds,
        &matrix.operations,
    );
    matrix.cells.iter().for_each(|cell| builder.add(cell));
    Ok(builder.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::failure::FailureKind;
    use super::*;
    use crate::matrix::Matrix;

    /// A report comes to the same as the recording that it was judged from.
    #[test]
    fn a_report_and_its_recording_are_published_alike() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let recording = Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let matrix = Matrix::of(&recording::read(&recording).unwrap().recording);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let mut text = Vec::new();
        report::json::write(&matrix, &mut text).unwrap();
        std::fs::write(&file, text).unwrap();
        let mut published = of_report(&file).unwrap();
        let expected = of_recording(&recording).unwrap();
        // The program that judged says who it is.
        published.lab.clone_from(&expected.lab);
        published.host.notes.clone_from(&expected.host.notes);
        assert!(published.damages().count() > 0);
        assert!(published == expected);
    }

    #[test]
    fn what_is_no_report_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        std::fs::write(&file, "{\"cells\": []}").unwrap();
        let failure = of_report(&file).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadInput);
        assert!(failure.report.to_string().contains("it has no `schema`"));
    }
}
