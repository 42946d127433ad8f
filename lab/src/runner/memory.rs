//! The memory of transitions: what came of bursts of steps, by what they were done in. Nothing that is known is run again, for
//! whichever writer, reader or scenario it is asked.

use std::collections::{HashMap, VecDeque};
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

/// How many bytes of texts are kept; then what was learnt first is forgotten. Scenarios run one after the other, and those that are
/// through are asked for seldom.
const MOST_BYTES: usize = 64 << 20;

/// How many dumps are known by where they are in memory.
const MOST_THAT_CAME: usize = 64;

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
            Some(Entry::Unsure) => Asked::Unsure,
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
    pub fn state(&self, came: Arc<State>) -> Result<(Id, Arc<State>), EngineError> {
        let place = Arc::as_ptr(&came) as usize;
        if let Some((_, id, state)) = self.lock().came.get(&place) {
            return Ok((*id, state.clone()));
        }
        let id = Id::of(&came)?;
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
        Ok((id, state))
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
    /// What came of it.
    pub fn learn(self, known: &Arc<Known>) {
        let mut inner = self.memory.lock();
        match is_believed(&known.answers) {
            true => inner.keep(self.key, known.clone(), MOST_BYTES),
            false => drop(inner.entries.insert(self.key, Entry::Unsure)),
        }
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

/// Whether what came of a burst is believed of another time: not what a limit of the lab or of the machine ended.
pub fn is_believed(answers: &[Answer]) -> bool {
    const SHORT_OF: [&str; 3] = [
        "Cannot allocate memory",
        "No buffer space available",
        "Resource temporarily unavailable",
    ];
    answers.iter().all(|answer| match answer {
        Answer::Ran(ran) => {
            let said = ran.stderr.to_lossy();
            !matches!(ran.end, End::TimedOut | End::Signal(KILLED))
                && !SHORT_OF.iter().any(|short| said.contains(short))
        }
        _ => true,
    })
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
    use crate::catalog::{Backend, Origin as MadeBy, Tool, Version};
    use crate::observed::Ran;
    use crate::plan::step::{RuleSet, Stage};

    fn builds() -> HashMap<BuildId, Build> {
        let digest: Digest = "0".repeat(64).parse().expect("a digest");
        let builds = ["1.8.7-nft", "the-same-nft"].map(|id| Build {
            id: BuildId::named(id),
            version: Version::new("1.8.7"),
            tool: Tool::Iptables,
            backend: Backend::Nft,
            origin: MadeBy::Upstream,
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
        let other =
            "# Generated on Monday\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
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
            Asked::Known(_) | Asked::Running | Asked::Unsure => panic!("nobody is at it"),
        }
    }

    #[test]
    fn what_one_runs_others_know_and_what_came_to_nothing_is_tried_again() {
        let memory = Memory::default();
        let claim = claimed(&memory);
        assert!(matches!(memory.ask(of("key")), Asked::Running));
        drop(claim);
        claimed(&memory).learn(&ended(End::Signal(11)));
        assert!(matches!(memory.ask(of("key")), Asked::Known(_)));
    }

    #[test]
    fn what_a_limit_ended_is_run_anew_by_everybody() {
        for end in [End::TimedOut, End::Signal(KILLED)] {
            let memory = Memory::default();
            claimed(&memory).learn(&ended(end));
            assert!(matches!(memory.ask(of("key")), Asked::Unsure));
        }
    }

    #[test]
    fn what_was_learnt_first_is_forgotten_first() {
        let mut inner = Inner::default();
        let said = |text: &str| {
            let ran = Ran {
                end: End::Exit(0),
                stdout: text.into(),
                stderr: Text::default(),
            };
            Arc::new(Known {
                answers: vec![Answer::Ran(ran)],
                after: None,
            })
        };
        for key in ["one", "two", "three"] {
            inner.keep(of(key), said("four"), 10);
        }
        let is_known = |key: &str| inner.entries.contains_key(&of(key));
        assert_eq!(["one", "two", "three"].map(is_known), [false, true, true]);
        assert_eq!(inner.bytes, 8);
    }

    /// The way to a state is the cheapest that was seen, and ends at an empty lane.
    #[test]
    fn no_way_leads_in_a_circle() {
        let (memory, at) = (Memory::default(), (of("setup"), LaneKind::Nft));
        let step = restore("1.8.7-nft", "", Role::Write).steps.remove(0);
        let came = |from: &str, to: &str, commands: usize| {
            let does = || Does::Commands(vec![step.clone(); commands]);
            memory.came_about((at, of("empty")), (of(from), of(to)), (commands, does));
        };
        let from = |state: &str| memory.origin(at, of(state)).map(|origin| origin.from);
        came("empty", "a", 3);
        came("a", "b", 1);
        came("b", "a", 1);
        assert_eq!((from("a"), from("b")), (Some(of("empty")), Some(of("a"))));
        came("empty", "b", 1);
        came("b", "a", 1);
        assert_eq!((from("a"), from("b")), (Some(of("b")), Some(of("empty"))));
        came("nowhere", "c", 1);
        assert_eq!(from("c"), None);
        assert!(
            memory
                .origin((of("setup"), LaneKind::Cross), of("a"))
                .is_none()
        );
    }
}
