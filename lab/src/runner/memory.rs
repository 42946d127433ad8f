//! The memory of transitions: what came of bursts of steps, by what they were done in. Nothing that is known is run again, for
//! whichever writer, reader or scenario it is asked.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::catalog::{Build, BuildId, Digest};
use crate::engine::EngineError;
use crate::observed::{ChainName, End, SeenRules, State, Text};
use crate::plan::LaneKind;
use crate::plan::step::{Action, Answer, Burst, Role, Step};
use crate::scenario::{Namespace, Probe, Setup};

/// SIGKILL: who sends it is not the command that is tried.
const KILLED: i32 = 9;

/// Something by its content: the sha256 of its JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id([u8; 32]);

impl Id {
    /// The id of `what`.
    ///
    /// # Errors
    /// It has no JSON form: a fault of the lab.
    pub fn of(what: &impl Serialize) -> Result<Id, EngineError> {
        struct Hashing(Sha256);
        impl io::Write for Hashing {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.update(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut hashing = Hashing(Sha256::new());
        serde_json::to_writer(&mut hashing, what)
            .map_err(|error| EngineError::Fault(format!("something has no id: {error}")))?;
        Ok(Id(hashing.0.finalize().into()))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

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
}

/// How a state came about: the commands, in the order in which they were run, and what the kernel held before them.
#[derive(Clone)]
pub struct Origin {
    /// What the kernel held before.
    pub from: Id,
    /// The commands, all of one build.
    pub commands: Vec<Step>,
    /// Whether they come to something else in an empty lane, as was tried.
    pub needs_what_was_before: bool,
}

/// What is said to who asks for a burst.
pub enum Asked<'m> {
    /// It is known what comes of it.
    Known(Arc<Known>),
    /// Another lane is at it.
    Running,
    /// Nobody knows: whoever asked is to do it.
    Unknown(Claim<'m>),
}

enum Entry {
    Running,
    Known(Arc<Known>),
}

/// How much was run, and how much was known. A command is every exec of a build in a lane, but for the control's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Commands that were asked for.
    pub asked: usize,
    /// Those of them that were run because nobody knew what comes of them.
    pub run: usize,
    /// Commands that were run again to bring a state about.
    pub again: usize,
}

/// What is known of transitions.
#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
    /// Something that was being run is not any more.
    ended: Notify,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Id, Entry>,
    /// Each state that was seen, once, with its id.
    states: HashMap<Id, Arc<State>>,
    rules: SeenRules,
    /// How states came about, by what was furnished and by state.
    origins: HashMap<(Id, Id), Origin>,
    /// The packets that were sent, by id.
    packets: HashMap<Id, Arc<[(Namespace, Probe)]>>,
    tally: Tally,
}

impl Memory {
    /// What is known of a burst.
    pub fn ask(&self, key: Id) -> Asked<'_> {
        let mut inner = self.lock();
        match inner.entries.get(&key) {
            Some(Entry::Known(known)) => Asked::Known(known.clone()),
            Some(Entry::Running) => Asked::Running,
            None => {
                inner.entries.insert(key, Entry::Running);
                Asked::Unknown(Claim { memory: self, key })
            }
        }
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
    ///
    /// # Errors
    /// As [`Id::of`].
    pub fn state(&self, mut state: Arc<State>) -> Result<(Id, Arc<State>), EngineError> {
        let id = Id::of(&state)?;
        let mut inner = self.lock();
        if let Some(known) = inner.states.get(&id) {
            return Ok((id, known.clone()));
        }
        inner.rules.share_with(Arc::make_mut(&mut state));
        inner.states.insert(id, state.clone());
        Ok((id, state))
    }

    /// How a state came about where `setup` was furnished, if it is known.
    pub fn origin(&self, setup: Id, state: Id) -> Option<Origin> {
        self.lock().origins.get(&(setup, state)).cloned()
    }

    /// Notes how a state came about. What takes fewer commands takes the place of what takes more.
    pub fn came_about(&self, setup: Id, state: Id, origin: Origin) {
        let mut inner = self.lock();
        let known = inner.origins.get(&(setup, state));
        if known.is_none_or(|known| known.commands.len() > origin.commands.len()) {
            inner.origins.insert((setup, state), origin);
        }
    }

    /// Notes that a state comes about in another way, whatever was known before.
    pub fn comes_about(&self, setup: Id, state: Id, origin: Origin) {
        self.lock().origins.insert((setup, state), origin);
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

    /// Counts.
    pub fn count(&self, more: Tally) {
        let mut inner = self.lock();
        let tally = &mut inner.tally;
        tally.asked += more.asked;
        tally.run += more.run;
        tally.again += more.again;
    }

    /// How much was run so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run what nobody knows. Where nothing is learnt, others may try.
pub struct Claim<'m> {
    memory: &'m Memory,
    key: Id,
}

impl Claim<'_> {
    /// What came of it. What a limit of the machine ended is not believed of another time.
    pub fn learn(self, known: &Arc<Known>) {
        let is_believed = |answer: &Answer| match answer {
            Answer::Ran(ran) => !matches!(ran.end, End::TimedOut | End::Signal(KILLED)),
            _ => true,
        };
        if known.answers.iter().all(is_believed) {
            let mut inner = self.memory.lock();
            inner.entries.insert(self.key, Entry::Known(known.clone()));
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

/// What a burst is, whoever asks for it and in whichever part of a procedure.
#[derive(Serialize)]
struct Key<'b> {
    setup: Id,
    state: Option<Id>,
    sent: Option<Id>,
    until_failure: bool,
    actions: Vec<Asks<'b>>,
}

/// A step without what it is for.
#[derive(Serialize)]
enum Asks<'b> {
    Command {
        build: &'b Digest,
        argv: &'b [String],
        stdin: Option<Text>,
    },
    Dump,
    DumpChain(&'b ChainName),
    Reset,
    Probe(&'b [(Namespace, Probe)]),
}

/// The key of a burst that is done in `world`.
///
/// # Errors
/// A step of a build that is not among `builds`, or one that is no part of a burst: a fault of the lab.
pub fn key(
    burst: &Burst,
    around: Surroundings,
    world: Option<World>,
    builds: &HashMap<BuildId, Build>,
) -> Result<Id, EngineError> {
    let begins_empty = begins_empty(burst);
    let state = match begins_empty {
        true => Some(around.empty),
        false => world.map(|world| world.state),
    };
    if state.is_none() {
        let steps = burst.steps.first().map(Step::to_string);
        let first = steps.unwrap_or_default();
        let fault = format!("nobody knows what the kernel holds, and {first} is asked for");
        return Err(EngineError::Fault(fault));
    }
    let asks = burst.steps.iter().map(|step| match &step.action {
        Action::Command { build, argv, stdin } => {
            let known = builds.get(build).ok_or_else(|| {
                EngineError::Fault(format!("{build} is asked for, and is none of the run's"))
            })?;
            Ok(Asks::Command {
                build: &known.digest,
                argv,
                stdin: stdin.as_ref().map(without_counters),
            })
        }
        Action::Dump => Ok(Asks::Dump),
        Action::DumpChain(chain) => Ok(Asks::DumpChain(chain)),
        Action::Reset => Ok(Asks::Reset),
        Action::Probe(packets) => Ok(Asks::Probe(packets)),
        Action::Furnish(_) => Err(EngineError::Fault(
            "surroundings are made in the middle of a burst".to_owned(),
        )),
    });
    Id::of(&Key {
        setup: around.setup,
        state,
        sent: world.filter(|_| counts(burst)).and_then(|world| world.sent),
        until_failure: burst.until_failure,
        actions: asks.collect::<Result<_, EngineError>>()?,
    })
}

/// The key of surroundings that are made in a lane.
///
/// # Errors
/// As [`Id::of`].
pub fn furnish_key(setup: &Setup, kind: LaneKind) -> Result<Id, EngineError> {
    Id::of(&(setup, kind))
}

/// Whether a burst empties the lane first.
pub fn begins_empty(burst: &Burst) -> bool {
    matches!(burst.steps.first(), Some(step) if step.action == Action::Reset)
}

/// Whether a burst asks which rules packets have met.
pub fn counts(burst: &Burst) -> bool {
    burst.steps.iter().any(|step| step.role == Role::Count)
}

/// A text that is restored, without what says when it was printed and how many packets chains had met: no build heeds either.
fn without_counters(text: &Text) -> Text {
    let mut kept = Vec::with_capacity(text.bytes().len());
    for line in text.bytes().split_inclusive(|&byte| byte == b'\n') {
        match line.first() {
            Some(b'#') => {}
            Some(b':') => {
                let end = line.iter().position(|&byte| byte == b'[');
                kept.extend_from_slice(&line[..end.unwrap_or(line.len())]);
                kept.push(b'\n');
            }
            _ => kept.extend_from_slice(line),
        }
    }
    kept.into()
}
