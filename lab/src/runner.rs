//! Takes a plan through an engine and emits events. It prints nothing and concludes nothing.

pub mod kept;
mod lane_state;
mod lanes;
mod load;
mod memory;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{TryStreamExt, future};
use tokio::sync::mpsc::Sender;

use crate::agent::protocol::{Reply, Request};
use crate::catalog::{Build, BuildId};
use crate::engine::{Engine, EngineError, Lane, LaneSpec, Place, surroundings};
use crate::plan::coroutine::{Coroutine, Next};
use crate::plan::procedure::procedure;
use crate::plan::step::{Action, Answer, Burst, Step};
use crate::plan::{self, LaneKind, Load, Operation, Plan};
use crate::recording::{Commands, LoadRecord, LoadRecorder};
use crate::scenario::{Namespace, Scenario};
use kept::Kept;
use lanes::Lanes;
use load::{LoadRun, Stop};
use memory::Memory;

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
    /// Something is wrong with what earlier runs left of the memory, or with keeping it; the run goes on without.
    NotKept(String),
    /// All loads are through, or the run ends early: how much was run.
    Through(Commands),
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
    /// What earlier runs learnt was run again, and came to something else.
    #[error(
        "what an earlier run learnt does not hold any more, and is always run from now on: {}",
        .0.join("; ")
    )]
    Differing(Vec<String>),
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
    /// How much of what earlier runs learnt is run again, in percent.
    pub verify: u8,
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
    /// What earlier runs learnt, and where what this one learns is written; none where nothing is to be believed of them.
    pub kept: Option<Kept>,
}

/// Runs the plan. Every load that is through goes to `events`, also when the run then fails or is dropped. It waits while as many
/// events are not heard as the channel holds: what is known comes sooner than it is judged.
///
/// # Errors
/// The first thing that keeps a load from going on ends the run.
pub async fn run(run: Run<'_>, engine: &dyn Engine, events: Sender<Event>) -> Result<(), RunError> {
    let operations: Arc<[Operation]> = run.plan.operations.clone().into();
    let mut queues: BTreeMap<LaneKind, VecDeque<Load>> = BTreeMap::new();
    for load in run.plan.loads {
        queues.entry(load.kind).or_default().push_back(load);
    }
    let builds = run.builds.iter();
    let builds: HashMap<BuildId, Build> = builds
        .map(|build| (build.id.clone(), build.clone()))
        .collect();
    let (memory, opened) = (Memory::new(run.kept, run.pace.verify), AtomicUsize::new(0));
    let mut kinds = Vec::new();
    for (kind, loads) in queues {
        let count = lanes_of(kind, run.pace, loads.len());
        let spec = LaneSpec {
            number: 0,
            kind,
            builds: run.plan.lanes.get(&kind).cloned().unwrap_or_default(),
            far: far(&loads, &run.scenarios, &operations),
        };
        let joined = run.builds.iter();
        let joined = joined.filter(|build| spec.builds.contains(&build.id));
        let joined = joined.cloned().collect();
        let lanes = Lanes::new(
            engine,
            (spec, count),
            joined,
            run.pace.timeout,
            (&opened, events.clone()),
        );
        kinds.push((lanes, count, Mutex::new(loads)));
    }
    let workers = kinds.iter().flat_map(|(lanes, count, queue)| {
        let worker = || Worker {
            lanes,
            queue,
            memory: &memory,
            builds: &builds,
            scenarios: &run.scenarios,
            operations: operations.clone(),
            events: events.clone(),
        };
        // While one waits for what another one runs, the lane is free for a third.
        (0..count + count.div_ceil(2)).map(move |_| worker().work())
    });
    let ended = all(workers).await;
    // What it takes to remove containers would be taken from the loads that still run.
    if ended.is_ok() {
        future::join_all(kinds.iter().map(|(lanes, ..)| lanes.close())).await;
    }
    for trouble in memory.flush() {
        let _ = events.send(Event::NotKept(trouble)).await;
    }
    let _ = events.send(Event::Through(memory.commands())).await;
    ended?;
    match memory.differing() {
        differing if differing.is_empty() => Ok(()),
        differing => Err(RunError::Differing(differing)),
    }
}

/// Ends when all have, or with the first error, whoever has it: `try_join_all` of many futures hears it only when those before it
/// have ended.
async fn all(
    futures: impl Iterator<Item = impl Future<Output = Result<(), RunError>>>,
) -> Result<(), RunError> {
    let futures: FuturesUnordered<_> = futures.collect();
    futures.try_collect().await
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

/// Takes loads through, one after the other.
struct Worker<'r> {
    lanes: &'r Lanes<'r>,
    queue: &'r Mutex<VecDeque<Load>>,
    memory: &'r Memory,
    builds: &'r HashMap<BuildId, Build>,
    scenarios: &'r BTreeMap<String, Arc<Scenario>>,
    operations: Arc<[Operation]>,
    events: Sender<Event>,
}

impl Worker<'_> {
    async fn work(self) -> Result<(), RunError> {
        while let Some(load) = self.next_load() {
            self.load(Arc::new(load)).await?;
        }
        Ok(())
    }

    fn next_load(&self) -> Option<Load> {
        lock(self.queue).pop_front()
    }

    async fn load(&self, load: Arc<Load>) -> Result<(), RunError> {
        let Some(scenario) = self.scenarios.get(&load.scenario).cloned() else {
            let fault = format!("the plan names no such scenario: {}", load.scenario);
            return Err(EngineError::Fault(fault).into());
        };
        let begun = Instant::now();
        let coroutine = || {
            let (load, scenario) = (load.clone(), scenario.clone());
            let operations = self.operations.clone();
            Coroutine::new(move |performer| procedure(performer, load, scenario, operations))
        };
        let mut run = LoadRun::new(self.memory, self.lanes, self.builds, load.kind);
        let mut recorder = LoadRecorder::new(&load);
        let remembered = through(coroutine(), async |burst| {
            let mut seen = run.perform(burst).await?;
            self.keep(&mut recorder, burst, &mut seen).await;
            Ok::<_, Stop>(seen)
        });
        let trace = match remembered.await {
            Ok(trace) => {
                run.finish();
                trace
            }
            Err(Stop::Run(error)) => return Err(error),
            Err(Stop::Unrepeatable) => {
                recorder = LoadRecorder::new(&load);
                let mut lease = run.alone().await?;
                let timeout = self.lanes.timeout();
                let trace = through(coroutine(), async |burst| {
                    let mut seen = perform(lease.open.lane.as_mut(), burst, timeout).await?;
                    let ran = seen
                        .iter()
                        .filter(|answer| matches!(answer, Answer::Ran(_)));
                    let ran = ran.count();
                    self.memory.count(Commands {
                        asked: ran,
                        run: ran,
                        ..Commands::default()
                    });
                    self.keep(&mut recorder, burst, &mut seen).await;
                    Ok::<_, EngineError>(seen)
                });
                let trace = trace.await?;
                lease.open.is_there().await?;
                lease.give_back();
                trace
            }
        };
        for trouble in self.memory.flush() {
            self.emit(Event::NotKept(trouble)).await;
        }
        self.emit(Event::Load {
            record: Box::new(recorder.finish(trace)),
            begun,
            took: begun.elapsed(),
        })
        .await;
        Ok(())
    }

    async fn keep(&self, recorder: &mut LoadRecorder, burst: &Burst, seen: &mut [Answer]) {
        for (step, answer) in burst.steps.iter().zip(&mut *seen) {
            recorder.keep(step, answer);
        }
        self.emit(Event::Steps(seen.len())).await;
    }

    /// A listener that is gone does not stop the run.
    async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

/// Takes a coroutine through `perform`, which says what comes of each burst.
async fn through<T, E: From<EngineError>>(
    mut coroutine: Coroutine<T>,
    mut perform: impl AsyncFnMut(&Burst) -> Result<Vec<Answer>, E>,
) -> Result<T, E> {
    let mut answers = None;
    loop {
        let next = coroutine.next(answers.take());
        match next.map_err(|fault| EngineError::Fault(fault.to_string()))? {
            Next::Through(came) => return Ok(came),
            Next::Steps(burst) => answers = Some(perform(&burst).await?),
        }
    }
}

/// Has the lane do the steps of a burst, in one request to the agent of each build whose commands they are, in turn. A command
/// is killed after `timeout`.
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
    let mut answers: Vec<Answer> = Vec::new();
    for (build, steps) in burst.by_build() {
        let place = build.map_or(Place::Holder, |build| Place::Build(build.clone()));
        let requests: Result<_, _> = steps.iter().map(|step| request(step, timeout)).collect();
        let request = Request::Burst {
            requests: requests?,
            until_failure: burst.until_failure,
        };
        match lane.ask(&place, &request).await? {
            Reply::Burst { replies } => {
                for reply in replies {
                    answers.push(answer_of(reply)?);
                }
            }
            other => {
                let fault = format!("an agent answered a burst with {other:?}");
                return Err(EngineError::Fault(fault));
            }
        }
        if burst.until_failure && answers.last().is_some_and(Answer::is_failure) {
            break;
        }
    }
    Ok(answers)
}

fn request(step: &Step, timeout: Duration) -> Result<Request, EngineError> {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let timeout_ms = timeout_ms.max(1);
    match &step.action {
        Action::Command {
            argv,
            stdin,
            stays: Some(through),
            ..
        } => Ok(Request::Keep {
            argv: argv.clone(),
            stdin: stdin.clone().unwrap_or_default(),
            through: through.clone(),
            timeout_ms,
        }),
        Action::Command {
            argv,
            stdin,
            handle_of,
            ..
        } => Ok(Request::Run {
            argv: argv.clone(),
            stdin: stdin.clone(),
            handle_of: handle_of.clone(),
            timeout_ms,
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
        | Reply::Captured(_)
        | Reply::NotTaken { .. }
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
            timeout: Duration::from_secs(10),
            verify: 0,
        };
        assert_eq!(lanes_of(kind, pace, loads), lanes);
    }
}
