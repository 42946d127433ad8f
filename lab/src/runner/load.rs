//! Takes one load through its procedure: what is known is answered from memory, what is not is run in a lane.

use std::collections::HashMap;
use std::sync::Arc;

use super::lane_state::{InLane, dump, furnish};
use super::lanes::{Lanes, Lease, OpenLane};
use super::memory::{
    Asked, Claim, Does, Id, Known, Memory, Surroundings, World, begins_empty, counts, furnish_key,
    is_believed,
};
use super::{RunError, perform};
use crate::catalog::{Build, BuildId};
use crate::engine::EngineError;
use crate::plan::LaneKind;
use crate::plan::step::{Action, Answer, Burst, Step};
use crate::recording::Commands;
use crate::scenario::{Namespace, Probe, Setup};

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
    /// How many commands it asked for.
    asked: usize,
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
            asked: 0,
        }
    }

    /// Gives back the lane that it has, if it has one.
    pub fn finish(mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
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
        self.memory.take_back(self.asked);
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
            return self.furnish(setup, burst).await;
        }
        let Some((_, around)) = &self.furnished else {
            let fault = "a command is asked for before anything is furnished".to_owned();
            return Err(EngineError::Fault(fault).into());
        };
        let around = *around;
        let memory = self.memory;
        let key = memory.key(burst, around, self.world, self.builds)?;
        let known = match self.known_or_to_run(key).await {
            Ok(known) => known,
            Err(claim) => {
                let known = Arc::new(self.run(burst, around).await?);
                if let Some(claim) = claim {
                    claim.learn(&known, burst)?;
                }
                memory.count(Commands {
                    run: ran(&known),
                    ..Commands::default()
                });
                known
            }
        };
        self.came_about(burst, around, &known)?;
        self.asked += ran(&known);
        memory.count(Commands {
            asked: ran(&known),
            before: known.learnt.map_or(0, |_| ran(&known)),
            oldest: known.learnt,
            ..Commands::default()
        });
        self.world = known.after.map(|state| World {
            state,
            sent: self.sent_after(burst, state),
        });
        if let Some((packets, world)) = packets_of(burst).zip(self.world.as_mut()) {
            world.sent = Some(memory.sent(packets)?);
        }
        Ok(known.answers.clone())
    }

    /// Notes how what a burst left came about, in lanes of the load's kind.
    fn came_about(
        &self,
        burst: &Burst,
        around: Surroundings,
        known: &Known,
    ) -> Result<(), EngineError> {
        let world = self.world.filter(|_| !begins_empty(burst));
        let from = world.map_or(around.empty, |world| world.state);
        let left = known.after.filter(|after| *after != from);
        let Some(state) = left.filter(|_| is_believed(&known.answers)) else {
            return Ok(());
        };
        let at = ((around.setup, self.kind), around.empty);
        match packets_of(burst) {
            Some(packets) => {
                let sent = self.memory.sent(packets)?;
                let does = || Does::Packets(sent);
                self.memory.came_about(at, (from, state), (1, does));
            }
            None => {
                let is_command = |step: &&Step| matches!(step.action, Action::Command { .. });
                let commands = || burst.steps.iter().filter(is_command);
                let does = || Does::Commands(commands().cloned().collect());
                let cost = commands().count();
                self.memory.came_about(at, (from, state), (cost, does));
            }
        }
        Ok(())
    }

    /// The packets that rules in `state` have counted after a burst: where the rules were not laid anew, those from before.
    fn sent_after(&self, burst: &Burst, state: Id) -> Option<Id> {
        let before = self.world.filter(|world| world.state == state)?;
        before.sent.filter(|_| !begins_empty(burst))
    }

    /// What is known; else nothing, and the claim to it: it is to be run. While another load is at it, the lane is anybody's.
    async fn known_or_to_run(&mut self, key: Id) -> Result<Arc<Known>, Option<Claim<'r>>> {
        loop {
            match self.memory.ask(key) {
                Asked::Known(known) => return Ok(known),
                Asked::Unknown(claim) => return Err(Some(claim)),
                Asked::Unsure => return Err(None),
                Asked::Running => {
                    if let Some(lease) = self.lease.take() {
                        lease.give_back();
                    }
                    self.memory.until_ended(key).await;
                }
            }
        }
    }

    async fn furnish(&mut self, setup: &Arc<Setup>, burst: &Burst) -> Result<Vec<Answer>, Stop> {
        let key = furnish_key(setup, self.kind)?;
        let known = match self.known_or_to_run(key).await {
            Ok(known) => known,
            Err(claim) => {
                let memory = self.memory;
                let open = self.lane(None, None).await?;
                let known = Arc::new(furnish(open, memory, setup).await?);
                if let Some(claim) = claim {
                    claim.learn(&known, burst)?;
                }
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
        let at = (around.setup, self.kind);
        let open = self
            .lane(Some(around.setup), world.map(|world| world.state))
            .await?;
        let packets = packets_of(burst);
        // Packets meet what was furnished for them, and not what others left of it.
        let is_as_furnished =
            open.setup == Some(around.setup) && !(packets.is_some() && open.is_filled);
        if let Some(setup) = setup.filter(|_| !is_as_furnished) {
            let furnished = furnish(open, memory, &setup).await?;
            if furnished.after != Some(around.empty) {
                return Err(Stop::Unrepeatable);
            }
        }
        let lane = InLane {
            memory,
            around,
            at,
            timeout,
        };
        if let Some(world) = world {
            lane.meets(open, world, (packets.is_some(), counts(burst)))
                .await?;
        }
        if begins_empty(burst) {
            open.met_packets = false;
        }
        let before = open.world.take();
        let mut answers = perform(open.lane.as_mut(), burst, timeout).await?;
        open.is_there().await?;
        if let Some(packets) = packets {
            let after = lane.met(open, memory.sent(packets)?).await?;
            return Ok(Known {
                answers,
                after: Some(after),
                learnt: None,
            });
        }
        let after = match burst.steps.last().map(|step| &step.action) {
            Some(Action::Dump) => match answers.last_mut() {
                Some(Answer::Dumped(state)) => {
                    let (id, same) = memory.state(state.clone());
                    *state = same;
                    Some(id)
                }
                // A command failed before.
                _ => None,
            },
            // Of one chain, and not of all.
            Some(Action::DumpChain(_)) => Some(dump(open, memory).await?),
            _ => None,
        };
        if let Some(state) = after {
            let sent = before.filter(|before| before.state == state && !begins_empty(burst));
            open.world = Some(World {
                state,
                sent: sent.and_then(|before| before.sent),
            });
            // What a writer wrote is asked for by every reader.
            if world.is_none_or(|world| world.state == around.empty) {
                lane.capture(open).await?;
            }
        }
        Ok(Known {
            answers,
            after,
            learnt: None,
        })
    }
}

/// The packets that a burst sends.
fn packets_of(burst: &Burst) -> Option<&Arc<[(Namespace, Probe)]>> {
    match burst.steps.as_slice() {
        [
            Step {
                action: Action::Probe(packets),
                ..
            },
        ] => Some(packets),
        _ => None,
    }
}

/// How many commands were run.
fn ran(known: &Known) -> usize {
    let answers = known.answers.iter();
    answers
        .filter(|answer| matches!(answer, Answer::Ran(_)))
        .count()
}
