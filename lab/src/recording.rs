//! All observations of a run, in order, with the machine and the builds they were made on.
//!
//! A recording is a file of JSON lines: a head, then a line for each load as it was finished, then the run's end.
//! Nothing in it is normalised. A killed run loses at most the load in hand.

mod file;
mod merge;
mod recorder;
mod transitions;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::catalog::{Backend, Build, BuildId, Family, Missing};
use crate::observed::{End, SharedRules, State, Text};
use crate::plan::sample::AskedRules;
use crate::plan::step::{Role, RuleSet, Stage};
use crate::plan::trace::{LoadTrace, StepKind, StepRef};
use crate::plan::{LaneKind, Operation, Shard, WithoutBystander};
use crate::scenario::{Outcome, Scenario};

pub use file::{RecordingError, RecordingReader, RecordingWriter, Stored, read};
pub use merge::{MergeError, merge};
pub use recorder::LoadRecorder;
pub use transitions::distinct_transitions;

/// The version of the format that this program writes and reads.
pub const FORMAT: u32 = 2;

/// A recording in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What the run was.
    pub head: Head,
    /// Every load, in the order in which they were finished.
    pub loads: Vec<LoadRecord>,
    /// How the run ended; none if it was killed.
    pub end: Option<RunEnd>,
}

/// What a run was: the first line of its recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub recording: u32,
    /// The lab's version.
    pub lab: String,
    /// When the run began.
    pub started: jiff::Timestamp,
    /// Where it ran.
    pub host: Host,
    /// What was done with each pairing.
    pub operations: Vec<Operation>,
    /// The builds that took part, witnesses included.
    pub builds: Vec<Build>,
    /// The builds that could not be had.
    pub missing: Vec<Missing>,
    /// Who said what the kernel held.
    pub witness: BTreeMap<Backend, BuildId>,
    /// The scenarios, whole.
    pub scenarios: Vec<Scenario>,
    /// Those of them that nobody was there to write a layer of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_bystander: Vec<WithoutBystander>,
    /// Which rules of a large ruleset readers are asked for one by one.
    #[serde(default)]
    pub asked_rules: AskedRules,
    /// How many pairings were to be run, counted once for each scenario and family; of a shard, in all shards together.
    pub pairings: usize,
    /// Which part of the plan was run; none where all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// The machine a run was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// The engine and its version: `docker 20.10.24`, `native (root)`.
    pub engine: String,
    /// Why this engine: it was asked for, or what made it the one. Null where nobody wrote it down.
    #[serde(default)]
    pub engine_reason: Option<String>,
    /// What is otherwise here than it would be elsewhere, and may be seen in verdicts.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a run ended: the last line of its recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// When.
    pub finished: jiff::Timestamp,
    /// Why before its plan was through; none if the plan was through.
    #[serde(default)]
    pub cut_short: Option<String>,
    /// How many commands it ran; unknown of older recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Commands>,
}

/// Why a run ended before its plan was through, or a recording has not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutShort {
    /// The recording has no end.
    Killed,
    /// It is one shard, and the others are still to be merged with it.
    IsShard(Shard),
    /// One of the shards that were merged has not all of its plan.
    InShard {
        /// The shard.
        shard: Shard,
        /// Why.
        why: String,
    },
}

/// How many commands a run took. A command is every exec of a build in a lane, but for those of the control.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Commands {
    /// Commands that pairings asked for: all that the recording holds.
    pub asked: usize,
    /// Those of them that were run. What comes of the others was known, from another pairing or an earlier run.
    pub run: usize,
    /// Those of them that an earlier run had run.
    #[serde(default)]
    pub before: usize,
    /// Commands that were run besides, to bring a state about again.
    pub again: usize,
    /// When the oldest of what was known from an earlier run was learnt; null where nothing was.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub oldest: Option<jiff::Timestamp>,
}

impl std::ops::AddAssign for Commands {
    fn add_assign(&mut self, more: Commands) {
        self.asked += more.asked;
        self.run += more.run;
        self.before += more.before;
        self.again += more.again;
        self.oldest = [self.oldest, more.oldest].into_iter().flatten().min();
    }
}

/// All observations of one load, in order. Texts and dumps are kept once each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// The scenario's name.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who wrote the other layers, in the order in which they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bystanders: Vec<BystanderRecord>,
    /// Who read.
    pub readers: Vec<ReaderRecord>,
    /// The kind of lane.
    pub kind: LaneKind,
    /// The rules that readers were asked for one by one, with `-C` and `-D`; none where they were asked for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<RuleSet>,
    /// Every distinct text that was read or written.
    pub texts: Vec<Text>,
    /// Every distinct dump. A rule that is in several of them is one in memory.
    #[serde(deserialize_with = "sharing_rules")]
    pub dumps: Vec<Arc<State>>,
    /// What was done and seen, step by step, in order.
    pub observations: Vec<Observation>,
    /// What each step was to its operation.
    pub trace: LoadTrace,
}

/// Who wrote a layer that was not the writer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Bystander")]
pub struct BystanderRecord {
    /// The layer's number, from 1.
    pub layer: usize,
    /// Who wrote it.
    pub id: BuildId,
}

/// A reader of a load and its witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderRecord {
    /// Who read.
    pub id: BuildId,
    /// Who said what the kernel then held.
    #[serde(default)]
    pub witness: Option<BuildId>,
    /// Who said it of what each bystander had written, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Option<BuildId>>,
}

/// The place of a text in its load's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextRef(usize);

/// The place of a dump in its load's dumps. Two observations with the same reference saw the same kernel state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DumpRef(usize);

impl std::fmt::Display for DumpRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 + 1)
    }
}

/// One step as it was done, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Which part of the procedure it belongs to.
    pub stage: Stage,
    /// What it was for.
    pub role: Role,
    /// The reader it was done for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<BuildId>,
    /// The rules that were in the lane, or were to be.
    pub rules: RuleSet,
    /// The one rule that it was about, by its place in the scenario's ruleset from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// What was seen.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What was seen of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// A command as it was run.
    Command(CommandRecord),
    /// The kernel's rules.
    Dump(DumpRef),
    /// The kernel's rules of one chain.
    Chain(DumpRef),
    /// The lane was emptied.
    Reset,
    /// What the scenario needs was made.
    Furnished {
        /// What the kernel lacks for it, in its own words; none where all was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks: Option<String>,
    },
    /// What became of each of the scenario's packets, by the probe's name.
    Probes(Vec<(String, Outcome)>),
}

/// One command as it was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// Whose.
    pub build: BuildId,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What it read from standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<TextRef>,
    /// Whether it stayed when it was through that. Its end is then the status that it would have ended with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub stdout: TextRef,
    /// Its standard error.
    pub stderr: TextRef,
}

impl LoadRecord {
    /// The text behind a reference of this load.
    pub fn text(&self, text: TextRef) -> &Text {
        &self.texts[text.0]
    }

    /// The dump behind a reference of this load.
    pub fn dump(&self, dump: DumpRef) -> &State {
        &self.dumps[dump.0]
    }

    /// What it refers to and is not there, in it or in the head. A file that was tampered with may do that.
    fn dangling(&self, head: &Head) -> Option<&'static str> {
        let has_build = |id: &BuildId| head.builds.iter().any(|build| &build.id == id);
        let scenario = head.scenarios.iter().find(|of| of.name == self.scenario);
        let rules = scenario.map_or(0, |scenario| scenario.rule_count(self.family));
        let in_order = [
            (scenario.is_none(), "a scenario"),
            (!self.ids().all(has_build), "a build"),
            (
                !self.observations.iter().all(|of| self.holds(of)),
                "a text or a dump",
            ),
            (
                self.observations
                    .iter()
                    .any(|of| of.rules.last().is_some_and(|rule| rule >= rules)),
                "a rule",
            ),
            (
                self.trace
                    .rule_sets()
                    .any(|set| set.last().is_some_and(|rule| rule >= rules)),
                "a rule",
            ),
            (!self.trace.steps().all(|of| self.has_step(of)), "a step"),
        ];
        in_order
            .into_iter()
            .find_map(|(dangles, what)| dangles.then_some(what))
    }

    /// Whether the step of a trace is there, and is what the trace takes it for.
    fn has_step(&self, (step, kind): (StepRef, StepKind)) -> bool {
        let seen = self.observations.get(step.place()).map(|of| &of.seen);
        seen.is_some_and(|seen| match kind {
            StepKind::Command => matches!(seen, Seen::Command(_)),
            StepKind::Dump => matches!(seen, Seen::Dump(_)),
            StepKind::Chain => matches!(seen, Seen::Chain(_)),
            StepKind::Packets => matches!(seen, Seen::Probes(_)),
        })
    }

    /// The command at a step of this load's trace.
    ///
    /// # Panics
    /// The step is no command: a file with such a trace is not read.
    pub fn command(&self, step: StepRef) -> &CommandRecord {
        match &self.observations[step.place()].seen {
            Seen::Command(command) => command,
            other => panic!("a trace takes {other:?} for a command"),
        }
    }

    /// The dump at a step of this load's trace: of all rules, or of a chain.
    ///
    /// # Panics
    /// The step is no dump: a file with such a trace is not read.
    pub fn dump_at(&self, step: StepRef) -> DumpRef {
        match &self.observations[step.place()].seen {
            Seen::Dump(dump) | Seen::Chain(dump) => *dump,
            other => panic!("a trace takes {other:?} for a dump"),
        }
    }

    /// What became of the packets at a step of this load's trace, by the probe's name.
    ///
    /// # Panics
    /// No packets were sent at the step: a file with such a trace is not read.
    pub fn packets(&self, step: StepRef) -> &[(String, Outcome)] {
        match &self.observations[step.place()].seen {
            Seen::Probes(outcomes) => outcomes,
            other => panic!("a trace takes {other:?} for packets"),
        }
    }

    fn ids(&self) -> impl Iterator<Item = &BuildId> {
        let readers = self.readers.iter();
        let of_readers = readers.flat_map(|of| {
            let witnesses = [&of.witness].into_iter().chain(&of.beside);
            [Some(&of.id)]
                .into_iter()
                .chain(witnesses.map(Option::as_ref))
        });
        let bystanders = self.bystanders.iter().map(|of| Some(&of.id));
        let of_commands = self.observations.iter().map(|of| match &of.seen {
            Seen::Command(command) => Some(&command.build),
            _ => None,
        });
        let of_traces = self.trace.readers.iter().map(|of| Some(&of.reader));
        let of_readers = of_readers.chain(bystanders);
        let others = of_readers.chain(of_commands).chain(of_traces).flatten();
        std::iter::once(&self.writer).chain(others)
    }

    fn holds(&self, observation: &Observation) -> bool {
        match &observation.seen {
            Seen::Command(command) => [command.stdin, Some(command.stdout), Some(command.stderr)]
                .iter()
                .flatten()
                .all(|text| text.0 < self.texts.len()),
            Seen::Dump(dump) | Seen::Chain(dump) => dump.0 < self.dumps.len(),
            Seen::Reset | Seen::Furnished { .. } | Seen::Probes(_) => true,
        }
    }
}

/// Reads dumps, one after the other, so that no more than one of them has rules of its own that another has too.
fn sharing_rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Arc<State>>, D::Error> {
    struct Dumps;
    impl<'de> Visitor<'de> for Dumps {
        type Value = Vec<Arc<State>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of dumps")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut rules, mut dumps) = (SharedRules::default(), Vec::new());
            while let Some(mut dump) = list.next_element::<State>()? {
                rules.share_with(&mut dump);
                dumps.push(Arc::new(dump));
            }
            Ok(dumps)
        }
    }
    from.deserialize_seq(Dumps)
}
