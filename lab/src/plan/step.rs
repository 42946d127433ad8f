//! One step of a load: what is done in the lane, for whom, and in which part of the procedure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::burst::Burst;
use super::fault::Fault;
use crate::catalog::BuildId;
use crate::observed::{ChainName, End, Ran, RulePlace, State, Text};
use crate::scenario::{Namespace, Outcome, Probe, Setup};
use crate::tool::{Staying, Through};

/// A set of a scenario's rules, by their place in its ruleset from 0. In JSON: `"1-5,7"`, counted from 1.
///
/// Every step carries one, and nearly all are one range: it is kept as such, so that a step costs the same however many
/// rules there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleSet {
    /// First and last of each range, ascending, with at least one rule left out between two.
    ranges: Vec<(usize, usize)>,
}

impl RuleSet {
    /// The first `count` rules.
    pub fn first(count: usize) -> Self {
        let ranges = count.checked_sub(1).map(|last| (0, last));
        RuleSet {
            ranges: ranges.into_iter().collect(),
        }
    }

    /// Whether the rule at `index` (from 0) is in it.
    pub fn contains(&self, index: usize) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= index);
        after > 0 && self.ranges[after - 1].1 >= index
    }

    /// The indices (from 0), ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// How many rules are in it.
    pub fn len(&self) -> usize {
        let lengths = self.ranges.iter().map(|(first, last)| last - first + 1);
        lengths.sum()
    }

    /// Whether no rule is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The last of its rules, if it has one.
    pub fn last(&self) -> Option<usize> {
        self.ranges.last().map(|(_, last)| *last)
    }

    /// Its first and its second half, in order; the first is the smaller where they differ.
    pub fn halves(&self) -> (RuleSet, RuleSet) {
        let middle = self.len() / 2;
        (
            self.iter().take(middle).collect(),
            self.iter().skip(middle).collect(),
        )
    }

    /// The rules of this set that are not in `other`.
    pub fn without(&self, other: &RuleSet) -> RuleSet {
        self.iter().filter(|rule| !other.contains(*rule)).collect()
    }

    /// Adds the rules of `other`.
    pub fn extend(&mut self, other: &RuleSet) {
        *self = self.iter().chain(other.iter()).collect();
    }
}

impl FromIterator<usize> for RuleSet {
    fn from_iter<I: IntoIterator<Item = usize>>(rules: I) -> Self {
        let mut set = RuleSet::default();
        let mut unordered = BTreeSet::new();
        for rule in rules {
            match set.ranges.last_mut() {
                Some((_, last)) if rule == *last + 1 => *last = rule,
                Some((_, last)) if rule <= *last => drop(unordered.insert(rule)),
                _ => set.ranges.push((rule, rule)),
            }
        }
        match unordered.is_empty() {
            true => set,
            false => {
                unordered.extend(set.iter());
                unordered.into_iter().collect()
            }
        }
    }
}

impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (first, last) in &self.ranges {
            write!(f, "{separator}{}", first + 1)?;
            if last > first {
                write!(f, "-{}", last + 1)?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for RuleSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| match digits.parse::<usize>() {
            Ok(n) if (1..=1_000_000).contains(&n) => Ok(n - 1),
            _ => Err(format!("`{text}` is not a set of rules such as `1-5,7`")),
        };
        let mut rules = Vec::new();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            rules.push(number(first)?..=number(last)?);
        }
        Ok(rules.into_iter().flatten().collect())
    }
}

impl TryFrom<String> for RuleSet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RuleSet> for String {
    fn from(rules: RuleSet) -> String {
        rules.to_string()
    }
}

/// Which part of the procedure a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The writer writes, and writer and witness print what it wrote.
    Baseline,
    /// The reader finds out which backend is in use.
    Detect,
    /// The reader saves.
    Save,
    /// The reader's `-S` and `-L -n -v` of every table.
    List,
    /// The reader restores just what it saved; witness and writer print what that left.
    Rewrite,
    /// Where the writer cannot print all of what that left: the reader restores parts of what it saved, and the writer prints
    /// each.
    Reread,
    /// Writer and reader go on rewriting in turn.
    Cycle,
    /// The reader saves, adds a chain and a jump of its own, and restores.
    Sync,
    /// The reader saves, and restores what it owns of that with `--noflush`.
    SyncNoflush,
    /// The reader's `-C` of each rule and of near misses.
    Check,
    /// The reader's `-D` of each rule.
    Delete,
    /// A reader of the other backend writes the rules itself.
    Reassert,
}

/// What a step is for within its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The lane is emptied.
    Reset,
    /// Interfaces, addresses, routes, sysctls and sets are made.
    Furnish,
    /// The writer writes the rules, with one command or several.
    Write,
    /// The kernel's own rules are read.
    Dump,
    /// The writer's `iptables-save`.
    WriterPrint,
    /// The witness's `iptables-save`.
    WitnessPrint,
    /// What one of the reader's own backends prints while it looks which one is in use.
    Look,
    /// The reader's `iptables-save`.
    ReaderPrint,
    /// An `iptables-restore` of what the build printed before.
    Restore,
    /// The reader's `iptables -S`.
    ListRules,
    /// The reader's `iptables -L -n -v`.
    ListTable,
    /// The build's `iptables -C` of a rule.
    Check,
    /// The reader's `iptables -C` of a rule that is not there, but nearly.
    CheckNearMiss,
    /// The reader's `iptables -C` of a rule with its matches in another order.
    CheckReordered,
    /// The reader's `iptables -D` of a rule, or its `nft delete rule`.
    Delete,
    /// The scenario's packets are sent.
    Probe,
    /// An `iptables-save -c`: which rules packets have met.
    Count,
}

/// What is done in the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A command of one of the lane's builds.
    Command {
        /// Whose command.
        build: BuildId,
        /// Program and arguments.
        argv: Vec<String>,
        /// What it reads from standard input.
        stdin: Option<Text>,
        /// The rule whose handle the lane puts in the place of the last argument.
        handle_of: Option<RulePlace>,
        /// How it says that it is through what it reads, if it stays then: until the lane is emptied.
        stays: Option<Through>,
    },
    /// The kernel's own rules are read.
    Dump,
    /// The kernel's own rules of one chain are read.
    DumpChain(ChainName),
    /// Everything is deleted.
    Reset,
    /// What the scenario's rules and probes need is made, and what an earlier load's needed is removed.
    Furnish(Arc<Setup>),
    /// Every one of these packets is sent, from its namespace.
    Probe(Arc<[(Namespace, Probe)]>),
}

/// One step of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which part of the procedure it belongs to.
    pub stage: Stage,
    /// What it is for.
    pub role: Role,
    /// The reader it is done for; none while the writer's baseline is written.
    pub reader: Option<BuildId>,
    /// The rules that are in the lane, or are to be.
    pub rules: RuleSet,
    /// The one rule that it is about, by its place in the scenario's ruleset from 1; none where it is about all.
    pub rule: Option<usize>,
    /// What is done.
    pub action: Action,
}

impl Action {
    /// A command of `build` that names no rule by its handle.
    pub fn command(build: BuildId, argv: Vec<String>, stdin: Option<Text>) -> Self {
        Action::Command {
            build,
            argv,
            stdin,
            handle_of: None,
            stays: None,
        }
    }

    /// A command of `build` that stays until the lane is emptied.
    pub fn staying(build: BuildId, command: Staying) -> Self {
        Action::Command {
            build,
            argv: command.argv,
            stdin: Some(command.stdin),
            handle_of: None,
            stays: Some(command.through),
        }
    }
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The command ended.
    Ran(Ran),
    /// The kernel's rules.
    Dumped(Arc<State>),
    /// The lane is empty.
    Reset,
    /// The lane is furnished, or cannot be: what the kernel lacks, in its own words.
    Furnished(Result<(), String>),
    /// What became of each packet, in their order.
    Probed(Vec<Outcome>),
}

impl Answer {
    /// Whether an answer of this kind is one to `action`.
    pub fn fits(&self, action: &Action) -> bool {
        match action {
            Action::Command { .. } => matches!(self, Answer::Ran(_)),
            Action::Dump | Action::DumpChain(_) => matches!(self, Answer::Dumped(_)),
            Action::Reset => matches!(self, Answer::Reset),
            Action::Furnish(_) => matches!(self, Answer::Furnished(_)),
            Action::Probe(packets) => {
                matches!(self, Answer::Probed(outcomes) if outcomes.len() == packets.len())
            }
        }
    }

    /// What it is, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Answer::Ran(_) => "a command's end",
            Answer::Dumped(_) => "a dump",
            Answer::Reset => "a reset",
            Answer::Furnished(_) => "surroundings",
            Answer::Probed(_) => "what became of packets",
        }
    }

    /// Whether it is of a command that did not exit with status 0.
    pub fn is_failure(&self) -> bool {
        matches!(self, Answer::Ran(ran) if ran.end != End::Exit(0))
    }

    /// The command's end.
    ///
    /// # Errors
    /// It is of no command.
    pub fn ran(self) -> Result<Ran, Fault> {
        match self {
            Answer::Ran(ran) => Ok(ran),
            other => Err(other.misfit("a command")),
        }
    }

    /// The kernel's rules.
    ///
    /// # Errors
    /// It is no dump.
    pub fn dumped(self) -> Result<Arc<State>, Fault> {
        match self {
            Answer::Dumped(dump) => Ok(dump),
            other => Err(other.misfit("a dump")),
        }
    }

    fn misfit(&self, step: &str) -> Fault {
        Fault::Misfit {
            step: step.to_owned(),
            answer: self.name().to_owned(),
        }
    }
}

/// A step as messages name it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Command { build, argv, .. } => write!(f, "`{}` of {build}", argv.join(" ")),
            Action::Dump => f.write_str("a dump of the kernel's rules"),
            Action::DumpChain(chain) => write!(f, "a dump of chain {}", chain.chain),
            Action::Reset => f.write_str("a reset of the lane"),
            Action::Furnish(_) => f.write_str("the making of the surroundings"),
            Action::Probe(packets) => write!(f, "the sending of {} packets", packets.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", &[])]
    #[case("1", &[0])]
    #[case("1-3", &[0, 1, 2])]
    #[case("1-3,5,9-10", &[0, 1, 2, 4, 8, 9])]
    fn a_rule_set_is_printed_as_ranges_and_read_back(#[case] text: &str, #[case] rules: &[usize]) {
        let set: RuleSet = rules.iter().copied().collect();
        assert_eq!(set.to_string(), text);
        assert_eq!(text.parse::<RuleSet>().unwrap(), set);
    }

    #[rstest]
    #[case("1-4,8", "2-3", "1,4,8")]
    #[case("1-4", "1-4", "")]
    #[case("1-4", "9", "1-4")]
    fn what_is_taken_out_can_be_put_back(
        #[case] all: &str,
        #[case] some: &str,
        #[case] rest: &str,
    ) {
        let set = |text: &str| text.parse::<RuleSet>().unwrap();
        let mut left = set(all).without(&set(some));
        assert_eq!(left.to_string(), rest);
        left.extend(&set(some));
        for rule in set(all).iter() {
            assert!(left.contains(rule), "{rule}");
        }
        assert_eq!(left.iter().count(), left.len());
    }

    #[test]
    fn a_range_is_one_range_however_many_rules_it_has() {
        let mut set = RuleSet::first(10_000);
        assert_eq!(set.ranges.len(), 1);
        let (one, other) = set.halves();
        set = other;
        set.extend(&one);
        assert_eq!(set, RuleSet::first(10_000));
    }

    #[rstest]
    #[case("0")]
    #[case("a")]
    #[case("1-")]
    #[case("99999999999")]
    fn what_is_no_rule_set_is_refused(#[case] text: &str) {
        assert!(text.parse::<RuleSet>().is_err());
    }
}
