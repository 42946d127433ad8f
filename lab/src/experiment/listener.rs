//! Hears the events of a run, and gives them to all who listen.

use std::time::Instant;

use miette::miette;
use tokio::sync::mpsc::channel;

use super::failure::{Failure, FailureKind};
use super::session::Session;
use super::timings::{Phase, Timings};
use crate::engine::{Engine, EngineError};
use crate::fault;
use crate::judge::Cell;
use crate::matrix::MatrixBuilder;
use crate::recording::{LoadRecord, RecordingError, RecordingWriter};
use crate::runner::{self, Event, Run, RunError};

/// How many events may wait to be heard. Loads are judged as they come; so many, of which few are whole loads, are judged after
/// the end of a run.
const UNHEARD: usize = 16;

/// Where the events of a run go: progress, the recording, the matrix, and whoever wants the loads.
pub(super) struct Listener<'a, K> {
    /// Whose progress is shown, and who may be asked to stop.
    pub session: &'a Session,
    /// What the cells become.
    pub builder: MatrixBuilder<'a>,
    /// Where the recording is written, if it is kept.
    pub file: Option<&'a mut RecordingWriter>,
    /// Who wants the loads and their cells.
    pub keep: K,
    /// What the run took so far.
    pub timings: Timings,
}

impl<K: FnMut(&LoadRecord, &[Cell])> Listener<'_, K> {
    /// Takes `run` through `engine` until it is through, or interrupted, or cannot be recorded any more.
    pub async fn listen(&mut self, run: Run<'_>, engine: &dyn Engine) -> Result<(), Stopped> {
        let (sender, mut events) = channel(UNHEARD);
        let ended = {
            let running = runner::run(run, engine, sender);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    Some(event) = events.recv() => if let Err(stopped) = self.hear(event) {
                        break Err(stopped);
                    },
                    ended = &mut running => break ended.map_err(Stopped::Run),
                    () = self.session.interrupted() => break Err(RunError::Interrupted.into()),
                }
            }
        };
        let mut rest = Ok(());
        while let Ok(event) = events.try_recv() {
            rest = rest.and(self.hear(event));
            // What the run left is removed meanwhile.
            tokio::task::yield_now().await;
        }
        ended.and(rest)
    }

    fn hear(&mut self, event: Event) -> Result<(), Stopped> {
        self.session.progress.run(&event);
        self.timings.hear(&event);
        let Event::Load { record, .. } = event else {
            return Ok(());
        };
        fault::step();
        let begun = Instant::now();
        let cells = self.builder.add(&record);
        (self.keep)(&record, cells);
        self.timings.add(Phase::Judge, begun.elapsed());
        match &mut self.file {
            Some(file) => Ok(self.timings.of(Phase::Record, || file.load(&record))?),
            None => Ok(()),
        }
    }
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// The runner says so.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The recording cannot be written any more.
    #[error(transparent)]
    Unwritten(#[from] RecordingError),
}

impl Stopped {
    /// As an error of the command.
    pub fn failure(self) -> Failure {
        let kind = match &self {
            Stopped::Run(RunError::Interrupted) => FailureKind::Interrupted,
            Stopped::Run(
                RunError::Control(_)
                | RunError::Differing(_)
                | RunError::Engine(EngineError::Fault(_)),
            ) => FailureKind::Fault,
            Stopped::Run(RunError::Engine(EngineError::Lost(_) | EngineError::Refused { .. }))
            | Stopped::Unwritten(_) => FailureKind::Lacks,
        };
        let error =
            miette!("the run ended early, with the results of what was run till then: {self}");
        Failure::of(kind, error)
    }
}
