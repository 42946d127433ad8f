//! What the judge concludes about one rule.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::as_run::AsRun;
use super::by_operation::ByOperation;
use super::not_run::NotRun;
use super::reason::Reason;
use super::verdict::{Consequence, Impact, Verdict};
use crate::catalog::{BuildId, Tool};
use crate::plan::Operation;
use crate::tool::Change;

/// Where the one reason is from that is told of a rule: the first of these that has any.
const RULE_REASONS: [Operation; 6] = [
    Operation::Write,
    Operation::Save,
    Operation::Rewrite,
    Operation::Sync,
    Operation::SyncNoflush,
    Operation::Reassert,
];

/// What the judge concludes about one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RuleVerdict {
    /// The scenario's table.
    pub table: Arc<str>,
    /// The scenario's chain.
    pub chain: Arc<str>,
    /// The rule's place in its chain in the scenario, from 1.
    pub index: usize,
    /// Whose rule it is: the tool in whose words the scenario has it.
    pub tool: Tool,
    /// Which of the scenario's layers it is of, from 1.
    pub layer: usize,
    /// The rule as the scenario has it.
    pub given: Arc<str>,
    /// The rule as its writer prints it right after writing; none where the writer refused it or cannot print it.
    pub written: Option<Arc<str>>,
    /// The rule as the reader prints it.
    pub read: Option<Arc<str>>,
    /// The rule as the witness prints it before the rewrite.
    pub witness_before: Option<Arc<str>>,
    /// The rule as the witness prints it after the rewrite.
    pub witness_after: Option<Arc<str>>,
    /// The rule as the writer prints it after the rewrite.
    pub reread: Option<Arc<str>>,
    /// What each operation came to: those that were asked for, but for effect.
    pub operations: ByOperation,
    /// Whether the reader's `-C` finds it with its matches in another order: no verdict, and no loss. None where it was not asked
    /// for so, or has not two matches.
    #[serde(default)]
    pub check_reordered: Option<Verdict>,
    /// What the near miss that `-C` found has otherwise: `out-interface: -o eth0x`.
    #[serde(default)]
    pub near_miss: Option<String>,
    /// What `-D` deleted instead, as the witness prints it.
    #[serde(default)]
    pub deleted_instead: Option<String>,
    /// When, by whom and to what it changed in the cycle.
    #[serde(default)]
    pub drift: Option<Box<Drift>>,
    /// Whether packets met it under each backend, where the kernel held it twice and some were sent.
    #[serde(default)]
    pub met: Option<Met>,
    /// The parts that are gone.
    pub lost: Vec<Change>,
    /// The parts that are there with another value.
    pub altered: Vec<Change>,
    /// The parts that were not there.
    pub added: Vec<Change>,
    /// What the loss in the kernel does to packets: as the rules predict where none were sent and where some showed that; as
    /// packets showed where nothing in the pairing predicts it; none where packets should have shown it and did not. What is
    /// only `misdirected` stands where another rule explains what packets showed.
    pub consequence: Option<Impact>,
    /// What the rules predict: of the loss in the kernel, or, if what was read were written back, of that.
    pub potential: Option<Consequence>,
}

impl RuleVerdict {
    /// All that was printed of the rule.
    pub(super) fn prints(&self) -> impl Iterator<Item = &Arc<str>> {
        let prints = [
            &self.written,
            &self.read,
            &self.witness_before,
            &self.witness_after,
            &self.reread,
        ];
        prints.into_iter().flatten()
    }

    /// The same, so that equal prints can take their place.
    pub(super) fn prints_mut(&mut self) -> impl Iterator<Item = &mut Arc<str>> {
        let prints = [
            &mut self.written,
            &mut self.read,
            &mut self.witness_before,
            &mut self.witness_after,
            &mut self.reread,
        ];
        prints.into_iter().flatten()
    }

    /// The verdict about an operation; none where it has none.
    pub fn of(&self, operation: Operation) -> Option<Verdict> {
        self.operations.verdict(operation)
    }

    /// The first reason that any operation has. Of a rule that could not be written: what is missing, and what its writer said.
    pub fn reason(&self) -> Option<&Reason> {
        self.operations.reason(&RULE_REASONS)
    }

    /// The operations that were asked for and have no verdict about this rule, each with the reason.
    pub fn not_run(&self) -> impl Iterator<Item = (Operation, NotRun)> {
        self.operations.all_not_run()
    }

    /// Those of them that another run could test.
    pub fn gaps(&self) -> impl Iterator<Item = (Operation, NotRun)> {
        self.not_run().filter(|(_, why)| why.is_gap())
    }

    /// What came of operations as they were run on all rules, where others of them are at fault for it: the verdicts about the
    /// operations say what becomes of the rule without those.
    pub fn as_run(&self) -> impl Iterator<Item = (Operation, &AsRun)> {
        self.operations.all_as_run()
    }

    /// What kept the rule from being written, so that no reader was tested with it: the reason says why. None where it was
    /// written. It is no verdict about a reader, and no loss.
    pub fn not_tested(&self) -> Option<Verdict> {
        self.of(Operation::Write)
            .filter(|verdict| verdict.severity() > 0)
    }

    /// The verdicts about what the reader did, in the order of the operations.
    pub fn by_operation(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        let all = self.operations.verdicts();
        all.filter(|(operation, _)| *operation != Operation::Write)
    }

    /// The same without the operations.
    pub fn of_reader(&self) -> impl Iterator<Item = Verdict> {
        let of_reader = self.by_operation().map(|(_, verdict)| verdict);
        of_reader.chain(self.as_run().map(|(_, of)| of.verdict))
    }

    /// What its damage does to packets, or would if what was read were written back.
    pub fn does(&self) -> Option<Consequence> {
        self.consequence.map(|of| of.what).or(self.potential)
    }

    /// Whether the kernel does not hold the same rule any more after some restore of the reader's, or of both in turn.
    pub fn is_changed(&self) -> bool {
        const RESTORES: [Operation; 4] = [
            Operation::Rewrite,
            Operation::Sync,
            Operation::SyncNoflush,
            Operation::Cycle,
        ];
        let verdicts = RESTORES.iter().filter_map(|of| self.of(*of));
        let mut changed = verdicts.filter(|of| matches!(of, Verdict::Changed | Verdict::Drifts));
        changed.next().is_some()
    }
}

/// When, by whom and to what a rule changed as both went on rewriting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// In which round, from 1: in each the reader rewrites, then the writer.
    pub round: usize,
    /// Whose rewrite it was.
    pub by: BuildId,
    /// The rule as the witness prints it then; none where it is gone, or cannot be told.
    pub to: Option<String>,
}

/// Whether packets met a rule that the kernel holds twice. How many is not said: a connection is asked for again, and a
/// neighbour, after a time that no pairing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Met {
    /// Under the writer's backend.
    pub writer: bool,
    /// Under the reader's.
    pub reader: bool,
}

/// A verdict for each rule of a ruleset, in order. Most rules fare alike between most builds, and most rulesets between many:
/// what is the same is in memory once, however many pairings there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleVerdicts(pub(super) Arc<[Arc<RuleVerdict>]>);

impl RuleVerdicts {
    /// In order.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &RuleVerdict> + ExactSizeIterator + Clone {
        self.0.iter().map(Arc::as_ref)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is not one rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the very same verdicts, not only equal ones.
    pub(super) fn is_shared_with(&self, other: &RuleVerdicts) -> bool {
        let mut pairs = self.0.iter().zip(other.0.iter());
        self.len() == other.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// The verdict about the rule at `place`, from 0.
    pub fn get(&self, place: usize) -> Option<&RuleVerdict> {
        self.0.get(place).map(Arc::as_ref)
    }
}

impl std::ops::Index<usize> for RuleVerdicts {
    type Output = RuleVerdict;

    fn index(&self, place: usize) -> &RuleVerdict {
        &self.0[place]
    }
}

impl<'a> IntoIterator for &'a RuleVerdicts {
    type Item = &'a RuleVerdict;
    type IntoIter = std::iter::Map<
        std::slice::Iter<'a, Arc<RuleVerdict>>,
        fn(&'a Arc<RuleVerdict>) -> &'a RuleVerdict,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(Arc::as_ref)
    }
}

impl FromIterator<Arc<RuleVerdict>> for RuleVerdicts {
    fn from_iter<I: IntoIterator<Item = Arc<RuleVerdict>>>(verdicts: I) -> Self {
        RuleVerdicts(verdicts.into_iter().collect())
    }
}

impl From<Vec<RuleVerdict>> for RuleVerdicts {
    fn from(verdicts: Vec<RuleVerdict>) -> Self {
        verdicts.into_iter().map(Arc::new).collect()
    }
}
