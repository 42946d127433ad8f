//! What the steps of a load were to its operations. The procedure says it as it goes: nobody infers it later from the order of
//! steps, from their neighbours or from the words of a command.

use serde::{Deserialize, Serialize};

use super::step::RuleSet;
use crate::catalog::{Backend, BuildId};
use crate::tool::ListedAs;

/// The place of a step among the steps of its load, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepRef(usize);

impl StepRef {
    /// The step at `place`, from 0.
    pub fn at(place: usize) -> Self {
        StepRef(place)
    }

    /// Its place, from 0.
    pub fn place(self) -> usize {
        self.0
    }
}

/// What the steps of a load were to its operations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoadTrace {
    /// The packets that were sent before anything was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<StepRef>,
    /// Every set of rules that the writer took, each once, with the dump of what the kernel then held.
    pub written: Vec<Written>,
    /// The writer's commands that failed, each with the rules that it was to write.
    pub refused: Vec<Refused>,
    /// Who printed what of which state of the kernel, each once.
    pub prints: Vec<PrintOf>,
    /// The packets that were sent into states of the kernel, and what was counted there afterwards.
    pub packets: Vec<PacketsInto>,
    /// What the writer lists of what it wrote, for `list` to be compared with: table by table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<Listing>,
    /// What was seen of each reader.
    pub readers: Vec<ReaderTrace>,
}

/// What a step must have been for a trace to name it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A command.
    Command,
    /// A dump of all of the kernel's rules.
    Dump,
    /// A dump of one chain.
    Chain,
    /// Packets.
    Packets,
}

impl LoadTrace {
    /// Every step that it names, with what that must have been.
    pub fn steps(&self) -> impl Iterator<Item = (StepRef, StepKind)> + '_ {
        use StepKind::{Command, Dump, Packets};
        let unwritten = self.unwritten.iter().map(|step| (*step, Packets));
        let written = self.written.iter().map(|of| (of.left, Dump));
        let refused = self.refused.iter().map(|of| (of.command, Command));
        let prints = self.prints.iter();
        let prints = prints.flat_map(|of| [(of.state, Dump), (of.command, Command)]);
        let packets = self.packets.iter().flat_map(|of| {
            let counted = of.counted.iter().map(|step| (*step, Command));
            [(of.state, Dump), (of.packets, Packets)]
                .into_iter()
                .chain(counted)
        });
        let listed = self.listed.iter().map(|of| (of.command, Command));
        let readers = self.readers.iter().flat_map(ReaderTrace::steps);
        let first = unwritten.chain(written).chain(refused).chain(prints);
        first.chain(packets).chain(listed).chain(readers)
    }

    /// The sets of rules that it names, of the scenario's.
    pub fn rule_sets(&self) -> impl Iterator<Item = &RuleSet> {
        let written = self.written.iter().map(|of| &of.rules);
        let refused = self.refused.iter().map(|of| &of.rules);
        let readings = self.readers.iter().flat_map(|of| &of.readings);
        let of_readings =
            readings.flat_map(|of| [Some(&of.rules), of.part.as_ref().map(|part| &part.rules)]);
        written.chain(refused).chain(of_readings.flatten())
    }
}

/// A set of rules that the writer took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The rules.
    pub rules: RuleSet,
    /// The dump of what the kernel then held.
    pub left: StepRef,
}

/// A command of the writer's that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The rules that were to be written.
    pub rules: RuleSet,
    /// The command.
    pub command: StepRef,
}

/// What a build printed of a state of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintOf {
    /// The dump of the state.
    pub state: StepRef,
    /// The command.
    pub command: StepRef,
}

/// Packets that were sent into a state of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketsInto {
    /// The dump of the state.
    pub state: StepRef,
    /// What became of the packets.
    pub packets: StepRef,
    /// The commands that printed how many packets met each rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<StepRef>,
}

/// What was seen of one reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderTrace {
    /// Who read.
    pub reader: BuildId,
    /// How it looked which backend is in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<LookAt>,
    /// Its readings: the first of all the rules that the writer took, the others of parts of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// Its `-S` and `-L -n -v` of all the rules, table by table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<Listing>,
    /// Its `-C` of each rule and of rules like it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Its `-D` of each rule. Of one that came after another had taken the wrong rule nothing can be said: it was done
    /// again, and that one is named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Deletion>,
    /// What came of its writing the rules itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassertion: Option<Reassertion>,
}

impl ReaderTrace {
    fn steps(&self) -> impl Iterator<Item = (StepRef, StepKind)> + '_ {
        use StepKind::{Chain, Command, Dump};
        let looks = self.looks.iter().map(|of| (of.command, Command));
        let readings = self.readings.iter().flat_map(Reading::steps);
        let lists = self.lists.iter().map(|of| (of.command, Command));
        let checks = self.checks.iter().map(|of| (of.command, Command));
        let deletions = self
            .deletions
            .iter()
            .flat_map(|of| [(of.command, Command), (of.before, Chain), (of.after, Chain)]);
        let reassertion = self.reassertion.iter().flat_map(|of| {
            let refused = of.refused.map(|step| (step, Command));
            refused.into_iter().chain([(of.left, Dump)])
        });
        let first = looks.chain(readings).chain(lists).chain(checks);
        first.chain(deletions).chain(reassertion)
    }

    /// Nothing yet.
    pub fn of(reader: BuildId) -> Self {
        ReaderTrace {
            reader,
            looks: Vec::new(),
            readings: Vec::new(),
            lists: Vec::new(),
            checks: Vec::new(),
            deletions: Vec::new(),
            reassertion: None,
        }
    }
}

/// A look at one backend's tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookAt {
    /// Whose tables.
    pub backend: Backend,
    /// Whether only the mangle table was printed.
    pub mangle: bool,
    /// The command.
    pub command: StepRef,
}

/// A reader on one set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The rules that were in the lane.
    pub rules: RuleSet,
    /// The dump of the state that they are.
    pub state: StepRef,
    /// What the reader printed.
    pub saved: StepRef,
    /// Some of the rules, whose lines alone the reader could not restore either; none where it is of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// What came of restoring that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Restored>,
    /// Where the writer could not print all of what the rewrite left: parts of the reader's print, restored by the reader and
    /// printed by the writer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reread: Vec<RereadPart>,
    /// What came of writer and reader going on in turn, the writer first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cycle: Vec<Restored>,
    /// What came of adding a chain to that and restoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<Restored>,
    /// What came of restoring a part of that without a flush.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_noflush: Option<Restored>,
}

impl Reading {
    fn steps(&self) -> impl Iterator<Item = (StepRef, StepKind)> + '_ {
        use StepKind::{Command, Dump};
        let both = |of: &Restored| [(of.command, Command), (of.left, Dump)];
        let own = [(self.state, Dump), (self.saved, Command)];
        let restores = self.rewrite.iter().chain(&self.cycle);
        let restores = restores.chain(&self.sync).chain(&self.sync_noflush);
        let restores = restores.chain(self.part.iter().map(|part| &part.restored));
        let parts = self.reread.iter().flat_map(move |of| {
            let print = (of.print, Command);
            both(&of.restored).into_iter().chain([print])
        });
        own.into_iter().chain(restores.flat_map(both)).chain(parts)
    }
}

/// Lines of a print that its reader could not restore, in a lane with nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The scenario's rules that they are of.
    pub rules: RuleSet,
    /// The restore and what it left.
    pub restored: Restored,
}

/// A restore and what it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The restore.
    pub command: StepRef,
    /// The dump of what the kernel then held.
    pub left: StepRef,
}

/// A part of what the reader printed, restored by it in a lane with nothing else, and printed by the writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RereadPart {
    /// The rules of the reader's print that were restored, by their place in it from 0. The chains are all there.
    pub rules: RuleSet,
    /// The restore and what it left.
    pub restored: Restored,
    /// What the writer printed of that.
    pub print: StepRef,
}

/// A listing of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Which listing.
    pub listed_as: ListedAs,
    /// The table.
    pub table: String,
    /// The command.
    pub command: StepRef,
}

/// What a `-C` asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// The rule as it was given.
    Given,
    /// The rule with one value changed, which is not there.
    NearMiss {
        /// What it has otherwise: `out-interface: -o eth0x`.
        otherwise: String,
    },
    /// The rule with its matches in another order.
    Reordered,
}

/// A `-C`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The rule, by its place in the scenario's ruleset from 0.
    pub rule: usize,
    /// What it asked for.
    pub asked: Asked,
    /// The command.
    pub command: StepRef,
}

/// A `-D`, with dumps of its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The rule, by its place in the scenario's ruleset from 0.
    pub rule: usize,
    /// The command.
    pub command: StepRef,
    /// The chain before it.
    pub before: StepRef,
    /// The chain after it.
    pub after: StepRef,
}

/// What came of it when a reader of the other backend wrote the rules too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassertion {
    /// The first of its commands that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<StepRef>,
    /// The dump of what the kernel then held.
    pub left: StepRef,
}
