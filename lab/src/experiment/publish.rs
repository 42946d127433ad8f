//! The least form of a report, from a recording or from a report in JSON.

use std::path::Path;

use super::failure::Failure;
use super::stored::matrix_of_file;
use crate::advice::Published;

/// What is published of the run in a file: a recording, or a report.
///
/// # Errors
/// The file cannot be read, or is neither.
pub fn published(path: &Path) -> Result<Published, Failure> {
    Ok(Published::from(&matrix_of_file(path)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::failure::FailureKind;
    use super::*;
    use crate::matrix::Matrix;
    use crate::{recording, report};

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
        let mut of_report = published(&file).unwrap();
        let expected = published(&recording).unwrap();
        // The program that judged says who it is.
        of_report.lab.clone_from(&expected.lab);
        of_report.host.notes.clone_from(&expected.host.notes);
        assert!(of_report.damages().count() > 0);
        assert!(of_report == expected);
    }

    #[test]
    fn what_is_no_report_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        std::fs::write(&file, "{\"cells\": []}").unwrap();
        let failure = published(&file).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadInput);
        assert!(failure.report.to_string().contains("it has no `schema`"));
    }
}
