//! What was recorded, judged again without an engine.

use std::path::{Path, PathBuf};

use super::failure::{Failure, OrFailure};
use super::timings::{Phase, Timings};
use crate::matrix::{Matrix, MatrixBuilder};
use crate::recording::{self, Head, LoadRecord, Recording, RecordingReader, RecordingWriter};
use crate::report::transcripts::Transcripts;

/// Judges a recording while it is read, and says what that took. Of its loads one is in memory at a time.
///
/// # Errors
/// The file cannot be read to its end.
pub fn replay(
    mut recording: RecordingReader,
    mut transcripts: Option<&mut Transcripts>,
) -> Result<(Matrix, Timings), Failure> {
    let head = recording.head.clone();
    let mut builder = MatrixBuilder::new(&head);
    let mut timings = Timings::default();
    while let Some(load) = recording.load().or_bad_input()? {
        timings.count(&load);
        let transcripts = transcripts.as_deref_mut();
        timings.of(Phase::Judge, || {
            add(&mut builder, &head, &load, transcripts)
        });
    }
    Ok((builder.finish(recording.end.as_ref()), timings))
}

/// Puts the recordings of all shards of a run together.
///
/// # Errors
/// A file that cannot be read, or recordings that are not the shards of one run.
pub fn merge(files: &[PathBuf]) -> Result<Recording, Failure> {
    let mut recordings = Vec::new();
    for path in files {
        let stored = recording::read(path).or_bad_input()?;
        recordings.push((path.display().to_string(), stored.recording));
    }
    recording::merge(recordings).or_bad_input()
}

/// Writes a recording to a file.
///
/// # Errors
/// The file cannot be written.
pub fn keep(recording: &Recording, path: &Path) -> Result<(), Failure> {
    let mut file = RecordingWriter::create(path).or_bad_input()?;
    file.head(&recording.head).or_lacks()?;
    for load in &recording.loads {
        file.load(load).or_lacks()?;
    }
    match &recording.end {
        Some(end) => file.end(end).or_lacks(),
        None => Ok(()),
    }
}

/// Judges a recording.
pub fn judged(recording: &Recording, mut transcripts: Option<&mut Transcripts>) -> Matrix {
    let mut builder = MatrixBuilder::new(&recording.head);
    for load in &recording.loads {
        add(
            &mut builder,
            &recording.head,
            load,
            transcripts.as_deref_mut(),
        );
    }
    builder.finish(recording.end.as_ref())
}

/// Judges a load, and gathers what reports show of it.
fn add(
    builder: &mut MatrixBuilder<'_>,
    head: &Head,
    load: &LoadRecord,
    transcripts: Option<&mut Transcripts>,
) {
    let cells = builder.add(load);
    let mut scenarios = head.scenarios.iter();
    let scenario = scenarios.find(|scenario| scenario.name == load.scenario);
    if let (Some(transcripts), Some(scenario)) = (transcripts, scenario) {
        transcripts.add(load, scenario, cells);
    }
}
