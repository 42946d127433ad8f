//! Every chosen pairing in every chosen scenario: builds are provided, the plan is laid out and run, and what is seen is recorded and
//! judged as it comes.

use std::path::PathBuf;
use std::time::Instant;

use super::failure::{Failure, OrFailure};
use super::needed::Pairs;
use super::prepared::Prepared;
use super::results::Results;
use super::run::{Ran, RunOptions, by_name};
use super::session::{Session, SessionOptions};
use super::timings::Phase;
use crate::judge::Cell;
use crate::matrix::Known;
use crate::plan::{Operation, Shard};
use crate::recording::{self, LoadRecord, RecordingWriter};
use crate::report::transcripts::Transcripts;
use crate::scenario::Scenario;

/// What is to be run, and what is kept of it.
pub struct MatrixRequest<'a> {
    /// Whose rules are written.
    pub scenarios: Vec<Scenario>,
    /// What readers do.
    pub operations: Vec<Operation>,
    /// Who writes and who reads.
    pub pairs: Pairs<'a>,
    /// The part of the plan that is run; all of it where none is named.
    pub shard: Option<Shard>,
    /// Whether what is seen is kept.
    pub record: Record,
    /// How much at a time, and how long.
    pub options: RunOptions,
    /// Losses that are known already: they are not told while scenarios end.
    pub known: Option<&'a Known>,
    /// Where what some reports show of the recording is gathered.
    pub transcripts: Option<&'a mut Transcripts>,
}

/// Whether what is seen is kept in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It is not.
    No,
    /// In a file that is made anew.
    To(PathBuf),
    /// In the file of a run that was cut short: what it holds is not run again.
    Resume(PathBuf),
}

/// Runs it.
///
/// # Errors
/// A file that cannot be read or written, a name that no build has, or what the machine lacks. Where the run ends early, what
/// is returned says so.
pub async fn run(request: MatrixRequest<'_>, session: SessionOptions) -> Result<Ran, Failure> {
    let mut file = match &request.record {
        Record::To(path) => Some(RecordingWriter::create(path).or_bad_input()?),
        Record::No | Record::Resume(_) => None,
    };
    let stored = match &request.record {
        Record::Resume(path) => Some((path, recording::read(path).or_bad_input()?)),
        Record::No | Record::To(_) => None,
    };
    let begun = Instant::now();
    let session = Session::open(session).await?;
    let (operations, scenarios) = (request.operations, request.scenarios);
    let mut prepared = Prepared::new(&session, operations, scenarios, request.pairs).await?;
    let planned = prepared.timings.phase(Phase::Plan);
    let started = begun.elapsed().saturating_sub(planned);
    prepared.timings.add(Phase::Start, started);
    if let Some(shard) = request.shard {
        prepared.keep(shard);
    }
    if let Some((path, stored)) = stored {
        prepared.take_up(stored.recording, request.options.asked_rules)?;
        file = Some(RecordingWriter::resume(path, stored.whole).or_bad_input()?);
    }
    let mut transcripts = request.transcripts;
    let of_scenario = by_name(&prepared.head.scenarios);
    let head = prepared.head.clone();
    let recorded = prepared.recorded.as_deref().unwrap_or_default();
    let mut results = Results::new(&head, &prepared.plan, recorded, request.known);
    let keep = |load: &LoadRecord, cells: &[Cell]| {
        if let Some(line) = results.add(load, cells) {
            session.progress.note(&line);
        }
        if let (Some(transcripts), Some(scenario)) =
            (&mut transcripts, of_scenario.get(&load.scenario))
        {
            transcripts.add(load, scenario, cells);
        }
    };
    prepared
        .run(&session, &request.options, file.as_mut(), keep)
        .await
}
