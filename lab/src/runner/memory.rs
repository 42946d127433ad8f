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
use crate::observed::{ChainName, End, SharedRules, State, Text};
use crate::plan::LaneKind;
use crate::plan::step::{Action, Answer, Burst, Role, Step};
use crate::recording::Commands;
use crate::scenario::{Namespace, Probe, Setup};
use crate::tool::iptables::heeded;

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
    rules: SharedRules,
    /// How states came about, by what was furnished and by state.
    origins: HashMap<(Id, Id), Origin>,
    /// The packets that were sent, by id.
    packets: HashMap<Id, Arc<[(Namespace, Probe)]>>,
    commands: Commands,
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

    /// Counts commands.
    pub fn count(&self, more: Commands) {
        self.lock().commands += more;
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
                stdin: stdin.as_ref().map(|text| heeded(text.bytes()).into()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Backend, Origin, Tool, Version};
    use crate::observed::Ran;
    use crate::plan::step::{RuleSet, Stage};

    fn builds() -> HashMap<BuildId, Build> {
        let digest: Digest = "0".repeat(64).parse().expect("a digest");
        let builds = ["1.8.7-nft", "the-same-nft"].map(|id| Build {
            id: BuildId::named(id),
            version: Version::new("1.8.7"),
            tool: Tool::Iptables,
            backend: Backend::Nft,
            origin: Origin::Upstream,
            key: digest.clone(),
            digest: digest.clone(),
            libnftnl: None,
            banner: String::new(),
        });
        builds.map(|build| (build.id.clone(), build)).into()
    }

    fn restore(build: &str, text: &str, role: Role) -> Burst {
        let action = Action::Command {
            build: BuildId::named(build),
            argv: vec!["iptables-nft-restore".to_owned()],
            stdin: Some(text.into()),
        };
        let step = |role, action| Step {
            stage: Stage::Rewrite,
            role,
            reader: None,
            rules: RuleSet::first(3),
            rule: None,
            action,
        };
        Burst::all(vec![step(role, action), step(Role::Dump, Action::Dump)])
    }

    fn of(text: &str) -> Id {
        Id::of(&text).expect("texts have ids")
    }

    fn key_of(burst: &Burst, state: &str, sent: Option<&str>) -> Id {
        let around = Surroundings {
            setup: of("setup"),
            empty: of("empty"),
        };
        let world = World {
            state: of(state),
            sent: sent.map(of),
        };
        key(burst, around, Some(world), &builds()).expect("it has a key")
    }

    /// What it is for, when it was printed, and what packets did make no difference; state, text and count do.
    #[test]
    fn equal_commands_in_equal_states_are_one() {
        let text =
            "# Generated on Sunday\n*filter\n:INPUT ACCEPT [5:420]\n-A INPUT -j DROP\nCOMMIT\n";
        let other = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n# Completed\n";
        let one = key_of(&restore("1.8.7-nft", text, Role::Restore), "s", None);
        let again = restore("the-same-nft", other, Role::Write);
        assert_eq!(key_of(&again, "s", Some("packets")), one);
        assert_ne!(key_of(&again, "another", None), one);
        let accept = other.replace("DROP", "ACCEPT");
        assert_ne!(
            key_of(&restore("1.8.7-nft", &accept, Role::Restore), "s", None),
            one
        );
        let counts = restore("1.8.7-nft", text, Role::Count);
        assert_eq!(key_of(&counts, "s", None), one);
        assert_ne!(key_of(&counts, "s", Some("packets")), one);
    }

    #[test]
    fn nobody_is_asked_in_a_state_that_nobody_knows() {
        let around = Surroundings {
            setup: of("setup"),
            empty: of("empty"),
        };
        let burst = restore("1.8.7-nft", "", Role::Restore);
        let fault = key(&burst, around, None, &builds()).expect_err("nothing is known");
        assert!(
            fault
                .to_string()
                .contains("nobody knows what the kernel holds"),
            "{fault}"
        );
    }

    fn ended(end: End) -> Arc<Known> {
        let ran = Ran {
            end,
            stdout: Text::default(),
            stderr: Text::default(),
        };
        Arc::new(Known {
            answers: vec![Answer::Ran(ran)],
            after: None,
        })
    }

    fn claimed(memory: &Memory) -> Claim<'_> {
        match memory.ask(of("key")) {
            Asked::Unknown(claim) => claim,
            Asked::Known(_) | Asked::Running => panic!("nobody is at it"),
        }
    }

    #[test]
    fn what_one_runs_others_know_and_what_came_to_nothing_is_tried_again() {
        let memory = Memory::default();
        let claim = claimed(&memory);
        assert!(matches!(memory.ask(of("key")), Asked::Running));
        drop(claim);
        for end in [End::TimedOut, End::Signal(KILLED)] {
            claimed(&memory).learn(&ended(end));
        }
        claimed(&memory).learn(&ended(End::Signal(11)));
        assert!(matches!(memory.ask(of("key")), Asked::Known(_)));
    }
}
