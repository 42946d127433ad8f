//! Takes a plan through an engine and emits events. It prints nothing and concludes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future;
use tokio::sync::Barrier;
use tokio::sync::mpsc::UnboundedSender;

use crate::agent::protocol::{Reply, Request};
use crate::catalog::Build;
use crate::engine::{Engine, EngineError, Lane, LaneSpec, Place, surroundings};
use crate::fault;
use crate::plan::control::control;
use crate::plan::procedure::procedure;
use crate::plan::script::{Next, Script};
use crate::plan::step::{Action, Answer, Burst, Step};
use crate::plan::{self, LaneKind, Load, Operation, Plan};
use crate::recording::{LoadRecord, LoadRecorder};
use crate::scenario::{Namespace, Scenario};

/// What happens during a run, as it happens.
#[derive(Debug)]
pub enum Event {
    /// A lane is being opened: its number, its kind and how many builds it holds.
    LaneOpening {
        /// From 1.
        number: usize,
        /// Which backends run in it.
        kind: LaneKind,
        /// How many builds it holds.
        builds: usize,
    },
    /// A lane is open and its builds have passed the control.
    LaneReady {
        /// From 1.
        number: usize,
        /// How long it took to start.
        took: Duration,
        /// When it could take its first load.
        at: Instant,
    },
    /// So many more steps were done.
    Steps(usize),
    /// A load is through, and this is all that was seen.
    Load {
        /// The record.
        record: Box<LoadRecord>,
        /// When its first step was begun.
        begun: Instant,
        /// How long its steps took.
        took: Duration,
    },
}

/// Why a run ended before its plan was through.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// The engine could not go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The control failed: the lab is broken, not iptables.
    #[error("the control failed, so nothing that this run would say can be trusted: {}", .0.join("; "))]
    Control(Vec<String>),
    /// Someone asked it to stop.
    #[error("interrupted")]
    Interrupted,
}

/// How a plan is run.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At most so many lanes of each kind, side by side; of nft's twice as many.
    pub lanes: usize,
    /// How many loads a lane is opened for: with fewer it costs more to open than it saves.
    pub loads_a_lane: usize,
    /// After so long a command is killed.
    pub timeout: Duration,
}

/// A plan and what it refers to.
pub struct Run<'a> {
    /// What is to be run.
    pub plan: Plan,
    /// The scenarios of the plan, by name.
    pub scenarios: BTreeMap<String, Arc<Scenario>>,
    /// The builds of the plan, witnesses included.
    pub builds: &'a [Build],
    /// How.
    pub pace: Pace,
}

/// What a command of the control may take at least: it shows whether the lab works, not how patient its user is.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

type Queue = Arc<Mutex<VecDeque<Load>>>;

/// Runs the plan. Every load that is through goes to `events`, also when the run then fails or is dropped.
///
/// # Errors
/// The first thing that keeps a lane from going on ends the run.
pub async fn run(
    run: Run<'_>,
    engine: &dyn Engine,
    events: UnboundedSender<Event>,
) -> Result<(), RunError> {
    let operations: Arc<[Operation]> = run.plan.operations.clone().into();
    let scenarios = Arc::new(run.scenarios);
    let mut queues: BTreeMap<LaneKind, VecDeque<Load>> = BTreeMap::new();
    for load in run.plan.loads {
        queues.entry(load.kind).or_default().push_back(load);
    }
    let mut lanes = Vec::new();
    for (kind, loads) in queues {
        let far = far(&loads, &scenarios, &operations);
        let count = lanes_of(kind, run.pace, loads.len());
        let queue: Queue = Arc::new(Mutex::new(loads));
        for _ in 0..count {
            let members = run.plan.lanes.get(&kind).cloned().unwrap_or_default();
            let spec = LaneSpec {
                number: lanes.len() + 1,
                kind,
                builds: members,
                far: far.clone(),
            };
            let builds = run
                .builds
                .iter()
                .filter(|build| spec.builds.contains(&build.id))
                .cloned()
                .collect();
            lanes.push(LaneRun {
                spec,
                builds,
                queue: queue.clone(),
                scenarios: scenarios.clone(),
                operations: operations.clone(),
                timeout: run.pace.timeout,
                events: events.clone(),
            });
        }
    }
    let all_through = Barrier::new(lanes.len());
    let lanes = lanes.into_iter().map(|lane| lane.run(engine, &all_through));
    future::try_join_all(lanes).await?;
    Ok(())
}

/// The namespaces beside the lane's own that loads need.
fn far(
    loads: &VecDeque<Load>,
    scenarios: &BTreeMap<String, Arc<Scenario>>,
    operations: &[Operation],
) -> BTreeSet<Namespace> {
    let of_load = |load: &Load| scenarios.get(&load.scenario);
    loads
        .iter()
        .filter_map(of_load)
        .flat_map(|scenario| plan::surroundings(scenario, operations).ends())
        .collect()
}

/// How many lanes share `loads`. An nft lane waits for the kernel's grace period most of the time.
fn lanes_of(kind: LaneKind, pace: Pace, loads: usize) -> usize {
    let most = match kind {
        LaneKind::Nft => 2 * pace.lanes,
        LaneKind::Legacy | LaneKind::Cross => pace.lanes,
    };
    most.clamp(1, loads.div_ceil(pace.loads_a_lane).max(1))
}

/// One lane and the loads that wait for it.
struct LaneRun {
    spec: LaneSpec,
    builds: Vec<Build>,
    queue: Queue,
    scenarios: Arc<BTreeMap<String, Arc<Scenario>>>,
    operations: Arc<[Operation]>,
    timeout: Duration,
    events: UnboundedSender<Event>,
}

impl LaneRun {
    /// Takes the lane through its loads. It is closed when all lanes are through: what it takes to remove containers would be
    /// taken from the loads that still run.
    async fn run(self, engine: &dyn Engine, all_through: &Barrier) -> Result<(), RunError> {
        let LaneSpec {
            number,
            kind,
            builds,
            ..
        } = &self.spec;
        let begun = Instant::now();
        self.emit(Event::LaneOpening {
            number: *number,
            kind: *kind,
            builds: builds.len(),
        });
        fault::step();
        let mut lane = engine.open(&self.spec).await?;
        let took = begun.elapsed();
        let ran = async {
            self.control(lane.as_mut()).await?;
            self.emit(Event::LaneReady {
                number: *number,
                took,
                at: Instant::now(),
            });
            while let Some(load) = self.next_load() {
                self.load(lane.as_mut(), load).await?;
            }
            Ok(())
        }
        .await;
        if ran.is_ok() {
            all_through.wait().await;
        }
        lane.close().await;
        ran
    }

    fn next_load(&self) -> Option<Load> {
        lock(&self.queue).pop_front()
    }

    async fn control(&self, lane: &mut dyn Lane) -> Result<(), RunError> {
        let builds = self.builds.clone();
        let script = Script::new(move |lab| control(lab, builds));
        let timeout = self.timeout.max(CONTROL_TIMEOUT);
        let wrong = through(script, lane, timeout, |_, _| {}).await?;
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(RunError::Control(wrong))
        }
    }

    async fn load(&self, lane: &mut dyn Lane, load: Load) -> Result<(), RunError> {
        let Some(scenario) = self.scenarios.get(&load.scenario).cloned() else {
            let fault = format!("the plan names no such scenario: {}", load.scenario);
            return Err(EngineError::Fault(fault).into());
        };
        let begun = Instant::now();
        let mut recorder = LoadRecorder::new(&load);
        let operations = self.operations.clone();
        let script = Script::new(|lab| procedure(lab, Arc::new(load), scenario, operations));
        let keep = |burst: &Burst, seen: &mut [Answer]| {
            for (step, answer) in burst.steps.iter().zip(&mut *seen) {
                recorder.keep(step, answer);
            }
            self.emit(Event::Steps(seen.len()));
        };
        let trace = through(script, lane, self.timeout, keep).await?;
        // Builds alone may have done all of it, in a namespace that outlives its holder.
        lane.ask(&Place::Holder, &Request::Hello).await?;
        self.emit(Event::Load {
            record: Box::new(recorder.finish(trace)),
            begun,
            took: begun.elapsed(),
        });
        Ok(())
    }

    /// A listener that is gone does not stop the run.
    fn emit(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// Takes a script through a lane. `keep` is given every burst with what came of its steps, before the script goes on.
async fn through<T>(
    mut script: Script<T>,
    lane: &mut dyn Lane,
    timeout: Duration,
    mut keep: impl FnMut(&Burst, &mut [Answer]),
) -> Result<T, EngineError> {
    let mut answers = None;
    loop {
        let next = script.next(answers.take());
        match next.map_err(|fault| EngineError::Fault(fault.to_string()))? {
            Next::Through(came) => return Ok(came),
            Next::Steps(burst) => {
                let mut seen = perform(lane, &burst, timeout).await?;
                keep(&burst, &mut seen);
                answers = Some(seen);
            }
        }
    }
}

/// Has the lane do the steps of a burst, in one request to the agent of the build whose commands they are. A command is
/// killed after `timeout`.
async fn perform(
    lane: &mut dyn Lane,
    burst: &Burst,
    timeout: Duration,
) -> Result<Vec<Answer>, EngineError> {
    if let [step] = burst.steps.as_slice() {
        match &step.action {
            Action::Furnish(setup) => {
                let furnished = surroundings::furnish(lane, setup).await?;
                return Ok(vec![Answer::Furnished(furnished)]);
            }
            Action::Probe(probes) => {
                let outcomes = surroundings::probe(lane, probes).await?;
                return Ok(vec![Answer::Probed(outcomes)]);
            }
            Action::Command { .. } | Action::Dump | Action::DumpChain(_) | Action::Reset => {}
        }
    }
    let place = burst
        .build()
        .map_or(Place::Holder, |build| Place::Build(build.clone()));
    let requests: Result<_, _> = burst
        .steps
        .iter()
        .map(|step| request(step, timeout))
        .collect();
    let request = Request::Burst {
        requests: requests?,
        until_failure: burst.until_failure,
    };
    match lane.ask(&place, &request).await? {
        Reply::Burst { replies } => replies.into_iter().map(answer_of).collect(),
        other => Err(EngineError::Fault(format!(
            "an agent answered a burst with {other:?}"
        ))),
    }
}

fn request(step: &Step, timeout: Duration) -> Result<Request, EngineError> {
    match &step.action {
        Action::Command { argv, stdin, .. } => Ok(Request::Run {
            argv: argv.clone(),
            stdin: stdin.clone(),
            timeout_ms: u64::try_from(timeout.as_millis())
                .unwrap_or(u64::MAX)
                .max(1),
        }),
        Action::Dump => Ok(Request::Dump),
        Action::DumpChain(chain) => Ok(Request::DumpChain(chain.clone())),
        Action::Reset => Ok(Request::Reset),
        Action::Furnish(_) | Action::Probe(_) => Err(EngineError::Fault(
            "several agents take part in this step, and it is one of a burst".to_owned(),
        )),
    }
}

fn answer_of(reply: Reply) -> Result<Answer, EngineError> {
    match reply {
        Reply::Ran(ran) => Ok(Answer::Ran(ran)),
        Reply::Dumped { dump } => Ok(Answer::Dumped(dump)),
        Reply::Done => Ok(Answer::Reset),
        Reply::Failed { message } => Err(EngineError::Fault(format!("an agent failed: {message}"))),
        other @ (Reply::Hello { .. }
        | Reply::Backends { .. }
        | Reply::DumpedBefore { .. }
        | Reply::Going { .. }
        | Reply::Burst { .. }
        | Reply::Heard { .. }
        | Reply::Lacks { .. }
        | Reply::Refused { .. }) => Err(EngineError::Fault(format!(
            "an agent answered with {other:?}"
        ))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(LaneKind::Nft, 2, 100, 4)]
    #[case(LaneKind::Cross, 2, 100, 2)]
    #[case(LaneKind::Legacy, 2, 9, 2)]
    #[case(LaneKind::Nft, 8, 16, 2)]
    #[case(LaneKind::Nft, 8, 1, 1)]
    fn few_loads_have_few_lanes(
        #[case] kind: LaneKind,
        #[case] most: usize,
        #[case] loads: usize,
        #[case] lanes: usize,
    ) {
        let pace = Pace {
            lanes: most,
            loads_a_lane: 8,
            timeout: CONTROL_TIMEOUT,
        };
        assert_eq!(lanes_of(kind, pace, loads), lanes);
    }
}
