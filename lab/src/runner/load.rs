//! Takes one load through its procedure: what is known is answered from memory, what is not is run in a lane.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::lanes::{Lanes, Lease, OpenLane};
use super::memory::{
    Asked, Claim, Id, Known, Memory, Origin, Surroundings, Tally, World, begins_empty, counts,
    furnish_key, key,
};
use super::{RunError, perform};
use crate::agent::protocol::{Reply, Request};
use crate::catalog::{Build, BuildId};
use crate::engine::{EngineError, Place, surroundings};
use crate::plan::LaneKind;
use crate::plan::step::{Action, Answer, Burst, Step};
use crate::scenario::Setup;

/// Why a load cannot go on.
#[derive(Debug)]
pub enum Stop {
    /// The run cannot.
    Run(RunError),
    /// A state cannot be brought about again, though it was seen: what led to it does not always lead there.
    Unrepeatable,
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Stop::Run(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Stop::Run(error.into())
    }
}

/// One load on its way.
pub struct LoadRun<'r> {
    memory: &'r Memory,
    lanes: &'r Lanes<'r>,
    builds: &'r HashMap<BuildId, Build>,
    kind: LaneKind,
    lease: Option<Lease<'r>>,
    /// What was furnished for the load, and its id.
    furnished: Option<(Arc<Setup>, Surroundings)>,
    /// What the procedure's next command is to meet; none where nobody looked.
    world: Option<World>,
}

impl<'r> LoadRun<'r> {
    /// Nothing is done yet.
    pub fn new(
        memory: &'r Memory,
        lanes: &'r Lanes<'r>,
        builds: &'r HashMap<BuildId, Build>,
        kind: LaneKind,
    ) -> Self {
        LoadRun {
            memory,
            lanes,
            builds,
            kind,
            lease: None,
            furnished: None,
            world: None,
        }
    }

    /// Gives back the lane that it has, if it has one.
    ///
    /// # Errors
    /// The lane is gone.
    pub async fn finish(&mut self) -> Result<(), EngineError> {
        if let Some(mut lease) = self.lease.take() {
            lease.open.is_there().await?;
            lease.give_back();
        }
        Ok(())
    }

    /// A lane for the load alone, of which nothing is known afterwards: the memory is of no use for it.
    ///
    /// # Errors
    /// There is none to be had.
    pub async fn alone(&mut self) -> Result<Lease<'r>, RunError> {
        self.lane(None, None).await?;
        let lease = self.lease.take();
        let mut lease =
            lease.ok_or_else(|| EngineError::Fault("a lane that was lent is gone".to_owned()))?;
        (lease.open.setup, lease.open.world) = (None, None);
        Ok(lease)
    }

    /// What comes of a burst.
    ///
    /// # Errors
    /// The lane cannot go on, or what the burst is to meet cannot be brought about again.
    pub async fn perform(&mut self, burst: &Burst) -> Result<Vec<Answer>, Stop> {
        if let [
            Step {
                action: Action::Furnish(setup),
                ..
            },
        ] = burst.steps.as_slice()
        {
            return self.furnish(setup).await;
        }
        let Some((_, around)) = &self.furnished else {
            let fault = "a command is asked for before anything is furnished".to_owned();
            return Err(EngineError::Fault(fault).into());
        };
        let around = *around;
        let key = key(burst, around, self.world, self.builds)?;
        let (memory, asked) = (self.memory, commands(burst));
        let known = match self.known_or_claimed(key).await {
            Ok(known) => known,
            Err(claim) => {
                let known = Arc::new(self.run(burst, around).await?);
                claim.learn(&known);
                memory.count(Tally {
                    run: ran(&known),
                    ..Tally::default()
                });
                known
            }
        };
        memory.count(Tally {
            asked: asked.min(ran(&known)),
            ..Tally::default()
        });
        self.world = known.after.map(|state| World {
            state,
            sent: self.sent_after(burst, state),
        });
        if let [
            Step {
                action: Action::Probe(packets),
                ..
            },
        ] = burst.steps.as_slice()
            && let Some(world) = &mut self.world
        {
            world.sent = Some(memory.sent(packets)?);
        }
        Ok(known.answers.clone())
    }

    /// The packets that rules in `state` have counted after a burst: where the rules were not laid anew, those from before.
    fn sent_after(&self, burst: &Burst, state: Id) -> Option<Id> {
        let before = self.world.filter(|world| world.state == state)?;
        before.sent.filter(|_| !begins_empty(burst))
    }

    /// What is known; else the right, and the duty, to run it. While another load is at it, the lane is anybody's.
    async fn known_or_claimed(&mut self, key: Id) -> Result<Arc<Known>, Claim<'r>> {
        loop {
            match self.memory.ask(key) {
                Asked::Known(known) => return Ok(known),
                Asked::Unknown(claim) => return Err(claim),
                Asked::Running => {
                    if let Some(lease) = self.lease.take() {
                        lease.give_back();
                    }
                    self.memory.until_ended(key).await;
                }
            }
        }
    }

    async fn furnish(&mut self, setup: &Arc<Setup>) -> Result<Vec<Answer>, Stop> {
        let key = furnish_key(setup, self.kind)?;
        let known = match self.known_or_claimed(key).await {
            Ok(known) => known,
            Err(claim) => {
                let memory = self.memory;
                let open = self.lane(None, None).await?;
                let known = Arc::new(furnish(open, memory, setup).await?);
                claim.learn(&known);
                known
            }
        };
        self.world = known.after.map(|state| World { state, sent: None });
        self.furnished = match known.after {
            Some(empty) => Some((
                setup.clone(),
                Surroundings {
                    setup: Id::of(setup)?,
                    empty,
                },
            )),
            None => None,
        };
        Ok(known.answers.clone())
    }

    /// A lane: the one that it has, or else one that comes near to what is wanted.
    async fn lane(
        &mut self,
        setup: Option<Id>,
        state: Option<Id>,
    ) -> Result<&mut OpenLane, RunError> {
        if self.lease.is_none() {
            let is_good = |open: &OpenLane| open.setup == setup;
            let holds = |open: &OpenLane| open.world.map(|world| world.state) == state;
            let lent = self
                .lanes
                .lend(|open| is_good(open) && holds(open), is_good);
            self.lease = Some(lent.await?);
        }
        match &mut self.lease {
            Some(lease) => Ok(&mut lease.open),
            None => Err(EngineError::Fault("a lane that was lent is gone".to_owned()).into()),
        }
    }

    /// Runs what nobody knows.
    async fn run(&mut self, burst: &Burst, around: Surroundings) -> Result<Known, Stop> {
        let world = self.world.filter(|_| !begins_empty(burst));
        let setup = self.furnished.as_ref().map(|(setup, _)| setup.clone());
        let (memory, timeout) = (self.memory, self.lanes.timeout());
        let wanted = world.map(|world| world.state);
        let open = self.lane(Some(around.setup), wanted).await?;
        if open.setup != Some(around.setup)
            && let Some(setup) = &setup
        {
            furnish(open, memory, setup).await?;
        }
        if let Some(world) = world {
            let is_probe = matches!(
                burst.steps.as_slice(),
                [Step {
                    action: Action::Probe(_),
                    ..
                }]
            );
            let holds = open.world.filter(|held| held.state == world.state);
            // What packets did to counters and limits counts only for packets, and for who asks for counters.
            let fits = holds.is_some_and(|held| match () {
                () if counts(burst) => held.sent == world.sent,
                () if is_probe => held.sent.is_none(),
                () => true,
            });
            if !fits {
                bring_about(open, memory, around, world.state, timeout).await?;
            }
            if counts(burst)
                && let Some(sent) = world.sent
                && open.world.and_then(|held| held.sent).is_none()
            {
                let packets = memory.packets(sent).ok_or(Stop::Unrepeatable)?;
                surroundings::probe(open.lane.as_mut(), &packets).await?;
                if dump(open, memory).await? != world.state {
                    return Err(Stop::Unrepeatable);
                }
                open.world = Some(world);
            }
        }
        let before = match world {
            Some(world) => world.state,
            None => around.empty,
        };
        open.world = None;
        let mut answers = perform(open.lane.as_mut(), burst, timeout).await?;
        let mut after = None;
        for answer in &mut answers {
            after = match answer {
                Answer::Dumped(state) => {
                    let (id, same) = memory.state(state.clone())?;
                    *state = same;
                    Some(id)
                }
                _ => None,
            };
        }
        match burst.steps.last().map(|step| &step.action) {
            // Of one chain, and not of all.
            Some(Action::DumpChain(_)) => after = Some(dump(open, memory).await?),
            Some(Action::Probe(packets)) => {
                let state = dump(open, memory).await?;
                open.world = Some(World {
                    state,
                    sent: Some(memory.sent(packets)?),
                });
                return Ok(Known {
                    answers,
                    after: Some(state),
                });
            }
            _ => {}
        }
        if let Some(state) = after {
            let kept = world.filter(|world| world.state == state);
            open.world = Some(World {
                state,
                sent: kept.and_then(|world| world.sent),
            });
            let is_command = |step: &&Step| matches!(step.action, Action::Command { .. });
            let commands = burst.steps.iter().filter(is_command).cloned().collect();
            if state != before {
                let origin = Origin {
                    from: before,
                    commands,
                    needs_what_was_before: false,
                };
                memory.came_about(around.setup, state, origin);
            }
        }
        Ok(Known { answers, after })
    }
}

/// How many commands a burst has.
fn commands(burst: &Burst) -> usize {
    let steps = burst.steps.iter();
    steps
        .filter(|step| matches!(step.action, Action::Command { .. }))
        .count()
}

/// How many commands were run.
fn ran(known: &Known) -> usize {
    let answers = known.answers.iter();
    answers
        .filter(|answer| matches!(answer, Answer::Ran(_)))
        .count()
}

/// Furnishes a lane, and looks what it then holds: nothing, but for what never goes away.
async fn furnish(
    open: &mut OpenLane,
    memory: &Memory,
    setup: &Setup,
) -> Result<Known, EngineError> {
    (open.setup, open.world) = (None, None);
    let furnished = surroundings::furnish(open.lane.as_mut(), setup).await?;
    let after = match &furnished {
        Ok(()) => {
            let state = dump(open, memory).await?;
            open.setup = Some(Id::of(setup)?);
            open.world = Some(World { state, sent: None });
            Some(state)
        }
        Err(_) => None,
    };
    Ok(Known {
        answers: vec![Answer::Furnished(furnished)],
        after,
    })
}

/// What a lane holds.
async fn dump(open: &mut OpenLane, memory: &Memory) -> Result<Id, EngineError> {
    match open.lane.ask(&Place::Holder, &Request::Dump).await? {
        Reply::Dumped { dump } => Ok(memory.state(dump)?.0),
        other => Err(EngineError::Fault(format!(
            "an agent answered a dump with {other:?}"
        ))),
    }
}

/// A state is at most so many steps away from an empty lane: a cycle has eight, and each may follow a sync.
const FARTHEST: usize = 32;

/// Brings about in a lane what it held before, or another lane did: by the commands that led there, the last of them alone where
/// that comes to the same. A dump proves it each time.
async fn bring_about(
    open: &mut OpenLane,
    memory: &Memory,
    around: Surroundings,
    target: Id,
    timeout: Duration,
) -> Result<(), Stop> {
    let held = open.world.take().map(|world| world.state);
    let mut path = Vec::new();
    let mut at = target;
    while at != around.empty && (path.is_empty() || Some(at) != held) {
        let origin = memory.origin(around.setup, at);
        let origin = origin.filter(|_| path.len() < FARTHEST);
        let origin = origin.ok_or(Stop::Unrepeatable)?;
        at = origin.from;
        path.push(origin);
    }
    let is_near = Some(at) == held && at != around.empty;
    let alone = match path.first() {
        Some(last) if path.len() > 1 && !is_near && !last.needs_what_was_before => {
            let came = commands_in(open, memory, &path[..1], true, timeout).await?;
            let last = last.clone();
            let origin = match came == target {
                true => Origin {
                    from: around.empty,
                    ..last
                },
                false => Origin {
                    needs_what_was_before: true,
                    ..last
                },
            };
            memory.comes_about(around.setup, target, origin);
            came == target
        }
        _ => false,
    };
    if !alone && commands_in(open, memory, &path, !is_near, timeout).await? != target {
        return Err(Stop::Unrepeatable);
    }
    open.world = Some(World {
        state: target,
        sent: None,
    });
    Ok(())
}

/// Runs the commands of `path`, which ends with the first ones, in a lane that is emptied before where that is asked for. Returns
/// what the lane then holds.
async fn commands_in(
    open: &mut OpenLane,
    memory: &Memory,
    path: &[Origin],
    from_empty: bool,
    timeout: Duration,
) -> Result<Id, EngineError> {
    let mut reset = from_empty;
    for origin in path.iter().rev() {
        let first = origin.commands.first().filter(|_| reset);
        let first = first.map(|step| Step {
            action: Action::Reset,
            ..step.clone()
        });
        reset = false;
        let steps = first.into_iter().chain(origin.commands.iter().cloned());
        memory.count(Tally {
            again: origin.commands.len(),
            ..Tally::default()
        });
        perform(open.lane.as_mut(), &Burst::all(steps.collect()), timeout).await?;
    }
    if reset {
        open.lane.ask(&Place::Holder, &Request::Reset).await?;
    }
    dump(open, memory).await
}
