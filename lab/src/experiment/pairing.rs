//! What one pairing does, with all that was seen of it: run now, or from a recording.

use std::path::Path;

use super::failure::{Failure, OrFailure};
use super::needed::Pairs;
use super::prepared::Prepared;
use super::run::RunOptions;
use super::session::{Session, SessionOptions};
use crate::catalog::BuildId;
use crate::judge::Cell;
use crate::matrix::Matrix;
use crate::plan::Operation;
use crate::recording::{self, LoadRecord};
use crate::scenario::Scenario;

/// One pairing in some scenarios.
pub struct PairingRequest<'a> {
    /// Whose rules are written.
    pub scenarios: Vec<Scenario>,
    /// What the reader does.
    pub operations: Vec<Operation>,
    /// Who writes: an id, not a glob.
    pub writer: &'a str,
    /// Who reads: an id, not a glob.
    pub reader: &'a str,
    /// How much at a time, and how long.
    pub options: RunOptions,
}

/// What was seen of pairings, and what it comes to.
pub struct PairingsSeen {
    /// The verdicts.
    pub matrix: Matrix,
    /// All that was seen.
    pub loads: Vec<LoadRecord>,
    /// The scenarios it was seen of.
    pub scenarios: Vec<Scenario>,
}

impl PairingsSeen {
    /// What a recording holds.
    ///
    /// # Errors
    /// The file cannot be read, or is no recording.
    pub fn recorded(path: &Path) -> Result<Self, Failure> {
        let recording = recording::read(path).or_bad_input()?.recording;
        Ok(PairingsSeen {
            matrix: Matrix::of(&recording),
            loads: recording.loads,
            scenarios: recording.head.scenarios,
        })
    }

    /// Runs a pairing.
    ///
    /// # Errors
    /// An id that no build has, what the machine lacks, or a run that ended early.
    pub async fn run(
        request: PairingRequest<'_>,
        session: SessionOptions,
    ) -> Result<Self, Failure> {
        let scenarios = request.scenarios.clone();
        let session = Session::open(session).await?;
        let pairs = Pairs {
            writers: &[glob::Pattern::escape(request.writer)],
            readers: &[glob::Pattern::escape(request.reader)],
            backend: None,
        };
        let (operations, run) = (request.operations, request.scenarios);
        let prepared = Prepared::new(&session, operations, run, pairs).await?;
        let mut loads = Vec::new();
        let keep = |load: &LoadRecord, _: &[Cell]| loads.push(load.clone());
        let ran = prepared.run(&session, &request.options, None, keep).await?;
        ran.ended?;
        Ok(PairingsSeen {
            matrix: ran.matrix,
            loads,
            scenarios,
        })
    }

    /// The load that a cell was judged from, and its scenario.
    pub fn of_cell(&self, cell: &Cell) -> Option<(&LoadRecord, &Scenario)> {
        let is_reader =
            |load: &LoadRecord, id: &BuildId| load.readers.iter().any(|of| &of.id == id);
        let load = self.loads.iter().find(|load| {
            load.scenario == cell.scenario
                && load.family == cell.family
                && load.writer == cell.writer
                && is_reader(load, &cell.reader)
        })?;
        let mut scenarios = self.scenarios.iter();
        let scenario = scenarios.find(|of| of.name == cell.scenario)?;
        Some((load, scenario))
    }
}
