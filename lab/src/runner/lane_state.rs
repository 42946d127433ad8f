//! Has a lane hold what a burst is to meet: what was furnished, and a state that was seen before.

use std::sync::Arc;
use std::time::Duration;

use super::lanes::OpenLane;
use super::load::Stop;
use super::memory::{Captured, Does, Id, Known, Memory, Origin, Surroundings, Whereabouts, World};
use super::perform;
use crate::agent::kernel::Capture;
use crate::agent::protocol::{Reply, Request};
use crate::engine::{EngineError, Place, surroundings};
use crate::plan::step::{Answer, Burst};
use crate::recording::Commands;
use crate::scenario::Setup;

/// Furnishes a lane, and looks what it then holds: nothing, but for what never goes away.
pub async fn furnish(
    open: &mut OpenLane,
    memory: &Memory,
    setup: &Setup,
) -> Result<Known, EngineError> {
    (open.setup, open.world) = (None, None);
    (open.met_packets, open.is_filled) = (false, false);
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
        learnt: None,
    })
}

/// Leaves no rules in a lane.
async fn empty(open: &mut OpenLane) -> Result<(), EngineError> {
    open.world = None;
    match open.lane.ask(&Place::Holder, &Request::Reset).await? {
        Reply::Done => {}
        other => {
            let fault = format!("an agent answered a reset with {other:?}");
            return Err(EngineError::Fault(fault));
        }
    }
    open.met_packets = false;
    Ok(())
}

/// What a lane holds.
pub async fn dump(open: &mut OpenLane, memory: &Memory) -> Result<Id, EngineError> {
    match open.lane.ask(&Place::Holder, &Request::Dump).await? {
        Reply::Dumped { dump } => Ok(memory.state(dump).0),
        other => Err(EngineError::Fault(format!(
            "an agent answered a dump with {other:?}"
        ))),
    }
}

/// Brings about in a lane what a burst is to meet.
pub struct InLane<'m> {
    /// What is known of transitions.
    pub memory: &'m Memory,
    /// What was furnished, and what the lane holds when it is emptied.
    pub around: Surroundings,
    /// Where states came about.
    pub at: Whereabouts,
    /// After so long a command is killed.
    pub timeout: Duration,
}

impl InLane<'_> {
    /// Has the lane hold what a burst is to meet, which sends packets, or counts those that were sent.
    pub async fn meets(
        &self,
        open: &mut OpenLane,
        world: World,
        (sends, counts): (bool, bool),
    ) -> Result<(), Stop> {
        let held = open.world.filter(|held| held.state == world.state);
        // What packets did to counters and limits counts only for packets, and for who asks for counters.
        let fits = held.is_some_and(|held| match () {
            () if counts => held.sent == world.sent || !open.met_packets,
            () if sends => !open.met_packets,
            () => true,
        });
        if !fits {
            self.bring_about(open, world.state, sends || counts).await?;
        }
        let is_counted = |open: &OpenLane| open.world.is_some_and(|held| held.sent == world.sent);
        if let Some(sent) = world.sent.filter(|_| counts && !is_counted(open)) {
            self.send(open, sent).await?;
            if open.world.map(|held| held.state) != Some(world.state) {
                return Err(Stop::Unrepeatable);
            }
        }
        Ok(())
    }

    /// Notes that packets were sent into what a lane holds. Returns what it then holds.
    pub async fn met(&self, open: &mut OpenLane, sent: Id) -> Result<Id, EngineError> {
        (open.met_packets, open.is_filled) = (true, true);
        let state = dump(open, self.memory).await?;
        open.world = Some(World {
            state,
            sent: Some(sent),
        });
        Ok(state)
    }

    async fn send(&self, open: &mut OpenLane, sent: Id) -> Result<(), Stop> {
        let packets = self.memory.packets(sent).ok_or(Stop::Unrepeatable)?;
        surroundings::probe(open.lane.as_mut(), &packets).await?;
        self.met(open, sent).await?;
        Ok(())
    }

    /// Brings about in a lane what it held before, or another lane of its kind did. A dump proves it each time.
    ///
    /// What was captured when a lane held it is put back. Where nothing was, commands do it, and it is captured then.
    async fn bring_about(&self, open: &mut OpenLane, target: Id, unmet: bool) -> Result<(), Stop> {
        match self.memory.capture(self.around.setup, target) {
            Captured::As(capture) => {
                if self.put_back(open, capture).await? == Some(target) {
                    return Ok(());
                }
                self.memory
                    .captured(self.around.setup, target, Captured::NotTakenBack);
            }
            Captured::NotTakenBack => {}
            Captured::Not => {
                self.do_again(open, target, unmet).await?;
                return Ok(self.capture(open).await?);
            }
        }
        self.do_again(open, target, unmet).await
    }

    /// Captures what a lane holds, in the kernel's own form, if no packets met it: it can be had at once from then on. What a
    /// program owns is not: of the agent that puts it back it would be, and go with it. Commands bring that about, and the program
    /// that owns it is one of them.
    pub async fn capture(&self, open: &mut OpenLane) -> Result<(), EngineError> {
        let Some(World { state, sent: None }) = open.world else {
            return Ok(());
        };
        let known = self.memory.capture(self.around.setup, state);
        if state == self.around.empty || !matches!(known, Captured::Not) {
            return Ok(());
        }
        if self.memory.is_owned(state) {
            return Ok(());
        }
        match open.lane.ask(&Place::Holder, &Request::Capture).await? {
            Reply::Captured(capture) => {
                self.memory
                    .captured(self.around.setup, state, Captured::As(capture))
            }
            other => {
                let fault = format!("an agent answered a capture with {other:?}");
                return Err(EngineError::Fault(fault));
            }
        }
        Ok(())
    }

    /// Has a lane hold what was captured. Returns what it then holds; nothing where the kernel does not take it.
    async fn put_back(
        &self,
        open: &mut OpenLane,
        capture: Arc<Capture>,
    ) -> Result<Option<Id>, Stop> {
        empty(open).await?;
        let reply = open
            .lane
            .ask(&Place::Holder, &Request::PutBack(capture))
            .await?;
        match reply {
            Reply::Done => {}
            Reply::NotTaken { .. } => return Ok(None),
            other => {
                let fault = format!("an agent was to put rules back, and answered with {other:?}");
                return Err(EngineError::Fault(fault).into());
            }
        }
        let state = dump(open, self.memory).await?;
        open.world = Some(World { state, sent: None });
        Ok(Some(state))
    }

    /// Does again what led to a state, the last of it alone where that comes to the same. What packets are to meet is brought about
    /// where none were before.
    async fn do_again(&self, open: &mut OpenLane, target: Id, unmet: bool) -> Result<(), Stop> {
        let held = open.world.take().map(|world| world.state);
        let held = held.filter(|_| !(unmet && open.met_packets));
        let mut path: Vec<Arc<Origin>> = Vec::new();
        let mut at = target;
        while at != self.around.empty && (path.is_empty() || Some(at) != held) {
            let origin = self.memory.origin(self.at, at);
            let origin = origin.ok_or(Stop::Unrepeatable)?;
            at = origin.from;
            path.push(origin);
        }
        let is_near = !path.is_empty() && Some(at) == held;
        let last = path.first().filter(|last| {
            path.len() > 1
                && !is_near
                && !last.needs_what_was_before
                && matches!(last.does, Does::Commands(_))
        });
        if let Some(last) = last.cloned() {
            if self.done_again(open, &path[..1], true).await? == target {
                let cost = match &last.does {
                    Does::Commands(commands) => commands.len(),
                    Does::Packets(_) => 1,
                };
                let (at, does) = ((self.at, self.around.empty), || last.does.clone());
                self.memory
                    .came_about(at, (self.around.empty, target), (cost, does));
                return Ok(());
            }
            self.memory.needs_what_was_before(self.at, target);
        }
        match self.done_again(open, &path, !is_near).await? == target {
            true => Ok(()),
            false => Err(Stop::Unrepeatable),
        }
    }

    /// Does what is in `path`, which ends with what comes first, in a lane that is emptied before where that is asked for. Returns
    /// what the lane then holds.
    async fn done_again(
        &self,
        open: &mut OpenLane,
        path: &[Arc<Origin>],
        from_empty: bool,
    ) -> Result<Id, Stop> {
        open.world = None;
        if from_empty {
            empty(open).await?;
        }
        for origin in path.iter().rev() {
            match &origin.does {
                Does::Commands(commands) => {
                    self.memory.count(Commands {
                        again: commands.len(),
                        ..Commands::default()
                    });
                    let burst = Burst::all(commands.clone());
                    perform(open.lane.as_mut(), &burst, self.timeout).await?;
                }
                Does::Packets(sent) => self.send(open, *sent).await?,
            }
        }
        let state = dump(open, self.memory).await?;
        let sent = match path.first().map(|last| &last.does) {
            Some(Does::Packets(sent)) => Some(*sent),
            _ => None,
        };
        open.world = Some(World { state, sent });
        Ok(state)
    }
}
