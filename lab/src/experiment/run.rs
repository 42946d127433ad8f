//! Takes what is prepared through its engine, to a matrix.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::failure::{Failure, OrFailure};
use super::listener::{Listener, Stopped};
use super::prepared::Prepared;
use super::progress::say;
use super::session::Session;
use super::timings::{Phase, Timings};
use crate::fault;
use crate::judge::Cell;
use crate::matrix::{Matrix, MatrixBuilder};
use crate::plan::sample::AskedRules;
use crate::recording::{LoadRecord, RecordingWriter, RunEnd};
use crate::runner::kept::{self, Kept, Machine};
use crate::runner::{Pace, Run};
use crate::scenario::Scenario;

/// How much is run at a time, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Which rules readers are asked for one by one.
    pub asked_rules: AskedRules,
    /// How many lanes of each kind run side by side; where nothing is said, as many as the machine has cores, at most 4.
    pub lanes: Option<u8>,
    /// After so long a command is killed.
    pub timeout: Duration,
    /// What is believed of earlier runs.
    pub memory: MemoryOptions,
}

/// What is believed of earlier runs, and kept for later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Nothing is believed, and nothing kept.
    pub fresh: bool,
    /// How much of what is known is run again, in percent.
    pub verify: u8,
    /// How many bytes are kept at most; then the oldest goes.
    pub limit: u64,
}

/// What came of a run.
pub struct Ran {
    /// The matrix of what was run.
    pub matrix: Matrix,
    /// How it ended.
    pub ended: Result<(), Failure>,
    /// What it took.
    pub timings: Timings,
}

impl Prepared {
    /// Runs the plan. Says what came of it, also where the run then ended early.
    ///
    /// # Errors
    /// The recording cannot even be begun.
    pub async fn run(
        mut self,
        session: &Session,
        options: &RunOptions,
        mut file: Option<&mut RecordingWriter>,
        keep: impl FnMut(&LoadRecord, &[Cell]),
    ) -> Result<Ran, Failure> {
        self.head.asked_rules = options.asked_rules;
        if let (Some(file), None) = (&mut file, &self.recorded) {
            file.head(&self.head).or_lacks()?;
        }
        session
            .progress
            .run_begins(self.plan.loads.len(), self.plan.pairings());
        let mut listener = Listener {
            session,
            builder: MatrixBuilder::new(&self.head),
            file,
            keep,
            timings: self.timings,
        };
        for load in self.recorded.iter().flatten() {
            let cells = listener.builder.add(load);
            (listener.keep)(load, cells);
        }
        let (mut plan, scenarios) = (self.plan, by_name(&self.head.scenarios));
        if self.head.asked_rules == AskedRules::Sample {
            plan.sample(&scenarios);
        }
        let store = session.store.memory();
        let machine = Machine::here(&self.head.host.engine);
        let kept = match options.memory.fresh {
            true => None,
            false => match Kept::open(&store, &machine) {
                Ok(kept) => Some(kept),
                Err(error) => {
                    say(format_args!(
                        "memory: {}: {error}; the run goes on without",
                        store.display()
                    ));
                    None
                }
            },
        };
        let lanes = || cores() * self.engine.lanes_a_core();
        let run = Run {
            kept,
            plan,
            scenarios,
            builds: &self.head.builds,
            pace: Pace {
                lanes: options.lanes.map_or_else(lanes, usize::from),
                loads_a_lane: LOADS_A_LANE,
                timeout: options.timeout,
                verify: options.memory.verify,
            },
        };
        let begun = Instant::now();
        let running = listener.listen(run, self.engine.as_ref());
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        listener.timings.add(Phase::Run, begun.elapsed());
        if let Err(error) = kept::tidy(&store, options.memory.limit) {
            say(format_args!("memory: {}: {error}", store.display()));
        }
        self.engine.settled().await;
        session.sweep().await;
        session.progress.done();
        let mut ended = ended.unwrap_or_else(|panic| resume_unwind(panic));
        let end = RunEnd {
            finished: jiff::Timestamp::now(),
            cut_short: ended.as_ref().err().map(ToString::to_string),
            // Who is interrupted does not come to count them.
            commands: Some(listener.timings.executed()).filter(|of| of.asked > 0),
        };
        if let Some(Err(error)) = listener.file.map(|file| file.end(&end)) {
            ended = ended.and(Err(Stopped::Unwritten(error)));
        }
        let matrix = listener.builder.finish(Some(&end));
        fault::step();
        Ok(Ran {
            matrix,
            ended: ended.map_err(Stopped::failure),
            timings: listener.timings,
        })
    }
}

/// How many loads are worth opening a lane for.
const LOADS_A_LANE: usize = 8;

/// How many cores lanes are opened for.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

/// The scenarios by their names.
pub(super) fn by_name(scenarios: &[Scenario]) -> BTreeMap<String, Arc<Scenario>> {
    let named = scenarios
        .iter()
        .map(|scenario| (scenario.name.clone(), Arc::new(scenario.clone())));
    named.collect()
}
