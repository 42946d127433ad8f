//! The memory of transitions: what came of bursts of steps, by what they were done in. Nothing that is known is run again, for
//! whichever writer, reader or scenario it is asked.

mod belief;
mod capture;
mod key;
mod recall;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::kept::Kept;
use crate::catalog::{Build, BuildId};
use crate::engine::EngineError;
use crate::observed::{SharedRules, State};
use crate::plan::LaneKind;
use crate::plan::step::{Answer, Burst, Step};
use crate::recording::Commands;
use crate::scenario::{Namespace, Probe};
use belief::differing;
pub use belief::is_believed;
pub use capture::Captured;
use capture::Captures;
use key::ReadTexts;
pub use key::{Id, begins_empty, counts, furnish_key};

/// How many bytes of texts are kept; then what was learnt first is forgotten. Scenarios run one after the other, and those that are
/// through are asked for seldom.
const MOST_BYTES: usize = 64 << 20;

/// How many dumps are known by where they are in memory.
const MOST_THAT_CAME: usize = 64;

/// What a command meets: what the kernel holds, and what packets have done to that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct World {
    /// What the kernel holds.
    pub state: Id,
    /// The packets that were sent since it came to hold that, if some were: rules have counted them.
    pub sent: Option<Id>,
}

/// Where a burst is done.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// What was furnished.
    pub setup: Id,
    /// What the kernel holds when the lane was emptied.
    pub empty: Id,
}

/// What came of a burst.
#[derive(Clone)]
pub struct Known {
    /// The answer to each step that was done.
    pub answers: Vec<Answer>,
    /// What the kernel held afterwards; none where that was not looked at.
    pub after: Option<Id>,
    /// When an earlier run learnt it; none of what this run learnt.
    pub learnt: Option<Timestamp>,
}

/// How a state came about.
#[derive(Clone)]
pub struct Origin {
    /// What the kernel held before.
    pub from: Id,
    /// What was done then.
    pub does: Does,
    /// Whether it comes to something else in an empty lane, as was tried.
    pub needs_what_was_before: bool,
}

/// What leads from one state to another.
#[derive(Clone)]
pub enum Does {
    /// Commands of one build, in the order in which they were run.
    Commands(Vec<Step>),
    /// The packets of that id: a set that they filled is another state.
    Packets(Id),
}

/// Where a state came about: what was furnished, and in which kind of lane. Lanes of another kind have other builds.
pub type Whereabouts = (Id, LaneKind);

/// What is said to who asks for a burst.
pub enum Asked<'m> {
    /// It is known what comes of it.
    Known(Arc<Known>),
    /// Another lane is at it.
    Running,
    /// Nobody knows: whoever asked is to do it.
    Unknown(Claim<'m>),
    /// What came of it is not believed of another time: everybody runs it anew.
    Unsure,
}

enum Entry {
    Running,
    Known(Arc<Known>),
    Unsure,
}

/// What is known of transitions.
#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
    /// What earlier runs learnt, and where this one's is written; none where it is to be forgotten.
    kept: Option<Kept>,
    /// How much of what earlier runs learnt is run again, in percent.
    verify: u8,
    /// Something that was being run is not any more.
    ended: Notify,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Id, Entry>,
    /// What is known, in the order in which it was learnt, with the bytes of its texts.
    learnt: VecDeque<(Id, usize)>,
    /// The bytes of all texts that are kept.
    bytes: usize,
    /// Each state that was seen, once, with its id.
    states: HashMap<Id, Arc<State>>,
    rules: SharedRules,
    /// Dumps that came not long ago, by where they are in memory, each with its id and the state that is equal: lanes name what they
    /// dumped before, and then the same comes again. Nothing else can be there as long as they are here.
    came: HashMap<usize, (Arc<State>, Id, Arc<State>)>,
    /// How states came about, and what it costs from an empty lane, in commands.
    origins: HashMap<(Whereabouts, Id), (Arc<Origin>, usize)>,
    /// What lanes held, in the kernel's own form.
    captures: Captures,
    /// What commands read.
    texts: ReadTexts,
    /// The packets that were sent, by id.
    packets: HashMap<Id, Arc<[(Namespace, Probe)]>>,
    commands: Commands,
    /// What earlier runs learnt that is to be run again.
    to_verify: HashMap<Id, Arc<Known>>,
    /// What came to something else when it was run again, in a sentence each.
    differing: Vec<String>,
}

impl Memory {
    /// One that knows what is kept, if it is given that, and runs `verify` percent of it again.
    pub fn new(kept: Option<Kept>, verify: u8) -> Self {
        Memory {
            kept,
            verify,
            ..Memory::default()
        }
    }

    /// The key of a burst that is done in `world`.
    ///
    /// # Errors
    /// As [`key::key`].
    pub fn key(
        &self,
        burst: &Burst,
        around: Surroundings,
        world: Option<World>,
        builds: &HashMap<BuildId, Build>,
    ) -> Result<Id, EngineError> {
        key::key(burst, around, world, (builds, &mut self.lock().texts))
    }

    /// What is known of a burst.
    pub fn ask(&self, key: Id) -> Asked<'_> {
        let mut inner = self.lock();
        match inner.entries.get(&key) {
            Some(Entry::Known(known)) => return Asked::Known(known.clone()),
            Some(Entry::Running) => return Asked::Running,
            Some(Entry::Unsure) => return Asked::Unsure,
            None => drop(inner.entries.insert(key, Entry::Running)),
        }
        let expected = inner.to_verify.remove(&key);
        drop(inner);
        let mut claim = Claim {
            memory: self,
            key,
            expected,
        };
        if claim.expected.is_none() {
            claim.expected = self.recall(key);
        }
        match &claim.expected {
            // The claim is dropped: it is not running any more.
            Some(known) if !self.is_verified(key) => {
                let known = known.clone();
                self.lock().keep(key, known.clone(), MOST_BYTES);
                Asked::Known(known)
            }
            // It was found to be doubtful.
            None if matches!(self.lock().entries.get(&key), Some(Entry::Unsure)) => Asked::Unsure,
            _ => Asked::Unknown(claim),
        }
    }

    /// Whether what is known of a burst is to be run again.
    fn is_verified(&self, key: Id) -> bool {
        let [first, second, ..] = key.bytes();
        u16::from_be_bytes([first, second]) % 100 < u16::from(self.verify)
    }

    /// Writes what was learnt since, for later runs. Returns what went wrong with what is kept.
    pub fn flush(&self) -> Vec<String> {
        let Some(kept) = &self.kept else {
            return Vec::new();
        };
        kept.flush();
        kept.troubles()
    }

    /// Completes when `key` is not being run by anyone.
    pub async fn until_ended(&self, key: Id) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // From here on nothing is missed.
            ended.as_mut().enable();
            if !matches!(self.lock().entries.get(&key), Some(Entry::Running)) {
                return;
            }
            ended.await;
        }
    }

    /// The state that is equal to `state`, in memory once, and its id.
    pub fn state(&self, came: Arc<State>) -> (Id, Arc<State>) {
        let place = Arc::as_ptr(&came) as usize;
        if let Some((_, id, state)) = self.lock().came.get(&place) {
            return (*id, state.clone());
        }
        let id = Id::from(came.id());
        let mut inner = self.lock();
        let state = match inner.states.get(&id) {
            Some(known) => known.clone(),
            None => {
                let mut state = State::clone(&came);
                inner.rules.share_with(&mut state);
                let state = Arc::new(state);
                inner.states.insert(id, state.clone());
                state
            }
        };
        if inner.came.len() >= MOST_THAT_CAME {
            inner.came.clear();
        }
        inner.came.insert(place, (came, id, state.clone()));
        (id, state)
    }

    /// How a state came about in such a lane, if it is known.
    pub fn origin(&self, at: Whereabouts, state: Id) -> Option<Arc<Origin>> {
        let inner = self.lock();
        let (origin, _) = inner.origins.get(&(at, state))?;
        Some(origin.clone())
    }

    /// Notes how a state came about in a lane that holds `empty` when it is emptied: from another one, by what it `does`, which costs so
    /// many commands. What costs less in all takes the place of what costs
    /// more, so that no way leads in a circle.
    pub fn came_about(
        &self,
        (at, empty): (Whereabouts, Id),
        (from, state): (Id, Id),
        (cost, does): (usize, impl FnOnce() -> Does),
    ) {
        let mut inner = self.lock();
        let before = match from == empty {
            true => 0,
            false => match inner.origins.get(&(at, from)) {
                Some((_, cost)) => *cost,
                None => return,
            },
        };
        let cost = before + cost;
        let known = inner.origins.get(&(at, state));
        if known.is_none_or(|(_, known)| cost < *known) {
            let origin = Origin {
                from,
                does: does(),
                needs_what_was_before: false,
            };
            inner.origins.insert((at, state), (origin.into(), cost));
        }
    }

    /// Notes that what was done last does not lead to a state from an empty lane.
    pub fn needs_what_was_before(&self, at: Whereabouts, state: Id) {
        let mut inner = self.lock();
        if let Some((origin, _)) = inner.origins.get_mut(&(at, state)) {
            Arc::make_mut(origin).needs_what_was_before = true;
        }
    }

    /// Whether a program that is there owns a part of a state.
    pub fn is_owned(&self, state: Id) -> bool {
        let inner = self.lock();
        inner.states.get(&state).is_some_and(|of| of.is_owned())
    }

    /// What is known of having a lane hold a state at once.
    pub fn capture(&self, setup: Id, state: Id) -> Captured {
        self.lock().captures.of(setup, state)
    }

    /// Keeps what it takes to have a lane hold a state at once.
    pub fn captured(&self, setup: Id, state: Id, captured: Captured) {
        self.lock().captures.keep(setup, state, captured);
    }

    /// The packets of that id.
    pub fn packets(&self, id: Id) -> Option<Arc<[(Namespace, Probe)]>> {
        self.lock().packets.get(&id).cloned()
    }

    /// The id of packets that are sent.
    ///
    /// # Errors
    /// As [`Id::of`].
    pub fn sent(&self, packets: &Arc<[(Namespace, Probe)]>) -> Result<Id, EngineError> {
        let id = Id::of(packets)?;
        let mut inner = self.lock();
        inner.packets.entry(id).or_insert_with(|| packets.clone());
        Ok(id)
    }

    /// Takes back what was counted of a load that is begun anew.
    pub fn take_back(&self, asked: usize) {
        let mut inner = self.lock();
        inner.commands.asked = inner.commands.asked.saturating_sub(asked);
    }

    /// Counts commands.
    pub fn count(&self, more: Commands) {
        self.lock().commands += more;
    }

    /// What came to something else than in an earlier run, in a sentence each.
    pub fn differing(&self) -> Vec<String> {
        self.lock().differing.clone()
    }

    /// How many commands were run so far.
    pub fn commands(&self) -> Commands {
        self.lock().commands
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run what nobody knows. Where nothing is learnt, others may try.
pub struct Claim<'m> {
    memory: &'m Memory,
    key: Id,
    /// What an earlier run learnt, which is to be run again.
    expected: Option<Arc<Known>>,
}

impl Claim<'_> {
    /// What came of it.
    ///
    /// # Errors
    /// As [`Id::of`].
    pub fn learn(self, known: &Arc<Known>, what: &Burst) -> Result<(), EngineError> {
        if !is_believed(&known.answers) {
            self.memory.lock().entries.insert(self.key, Entry::Unsure);
            return Ok(());
        }
        if let Some(expected) = self
            .expected
            .as_ref()
            .filter(|of| !of.is_equal(known, what))
        {
            let mut inner = self.memory.lock();
            inner.entries.insert(self.key, Entry::Unsure);
            inner.differing.push(differing(what, expected, known));
            drop(inner);
            return self.memory.keep((self.key, what), known, true);
        }
        let mut inner = self.memory.lock();
        inner.keep(self.key, known.clone(), MOST_BYTES);
        drop(inner);
        self.memory.keep((self.key, what), known, false)
    }
}

impl Inner {
    /// Keeps what came of a burst, and forgets what was learnt first where that is more than `most` bytes of texts.
    fn keep(&mut self, key: Id, known: Arc<Known>, most: usize) {
        let bytes = |answer: &Answer| match answer {
            Answer::Ran(ran) => ran.stdout.bytes().len() + ran.stderr.bytes().len(),
            _ => 0,
        };
        let bytes = known.answers.iter().map(bytes).sum();
        self.entries.insert(key, Entry::Known(known));
        self.learnt.push_back((key, bytes));
        self.bytes += bytes;
        while self.bytes > most
            && let Some((oldest, bytes)) = self.learnt.pop_front()
        {
            self.entries.remove(&oldest);
            self.bytes -= bytes;
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        if matches!(inner.entries.get(&self.key), Some(Entry::Running)) {
            inner.entries.remove(&self.key);
        }
        drop(inner);
        self.memory.ended.notify_waiters();
    }
}
