//! What came of a pairing: of each rule, each chain and each packet.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_operation::ByOperation;
use super::shared::RuleVerdicts;
use super::verdict::{Consequence, Impact, Verdict};
use super::{AsRun, Crash, Drift, Met, NotRun, ProbeVerdict, Reason, Warning};
use crate::catalog::{Backend, Tool};
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

/// Where the one reason is from that is told of a chain.
const CHAIN_REASONS: [Operation; 4] = [
    Operation::Rewrite,
    Operation::Sync,
    Operation::SyncNoflush,
    Operation::Save,
];

/// What came of a pairing. Pairings for which it is the same share it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// A verdict for each `-A` line of the scenario, in order.
    #[schemars(with = "Vec<RuleVerdict>")]
    pub rules: RuleVerdicts,
    /// A verdict for each chain.
    pub chains: Vec<ChainVerdict>,
    /// What became of the scenario's packets.
    pub probes: Vec<ProbeVerdict>,
    /// The backend that the reader picked, where it looked which one is in use.
    #[serde(default)]
    pub picked: Option<Backend>,
    /// What writer and reader said when both backends held rules.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// What died, and the least rules on which it did.
    #[serde(default)]
    pub crashes: Vec<Crash>,
}

impl Outcome {
    /// The rules that nobody read, because they could not be written, each with its place in the scenario from 0.
    pub fn untested(&self) -> impl Iterator<Item = (usize, &RuleVerdict)> {
        let rules = self.rules.iter().enumerate();
        rules.filter(|(_, rule)| rule.not_tested().is_some())
    }

    /// Whether not one of its rules could be written: then nothing is known of the pairing.
    pub fn is_untested(&self) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rule| rule.not_tested().is_some())
    }
}

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

/// What the judge concludes about one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainVerdict {
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// The policy before the reader came; none of a user's chain.
    pub policy_before: Option<String>,
    /// The policy after the rewrite; none of a user's chain, or if it is gone.
    pub policy_after: Option<String>,
    /// The policy after `sync`.
    pub policy_after_sync: Option<String>,
    /// What each operation came to that is about chains too.
    pub operations: ByOperation,
    /// What that does to packets.
    pub consequence: Option<Impact>,
}

impl ChainVerdict {
    /// The verdict about an operation; none where it has none.
    pub fn of(&self, operation: Operation) -> Option<Verdict> {
        self.operations.verdict(operation)
    }

    /// What changed: the first reason that any operation has.
    pub fn reason(&self) -> Option<&Reason> {
        self.operations.reason(&CHAIN_REASONS)
    }

    /// The verdicts about what the reader did, in the order of the operations.
    pub fn by_operation(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        self.operations.verdicts()
    }

    /// What its change does to packets.
    pub fn does(&self) -> Option<Consequence> {
        self.consequence.map(|of| of.what)
    }

    /// The same without the operations.
    pub fn of_reader(&self) -> impl Iterator<Item = Verdict> {
        self.by_operation().map(|(_, verdict)| verdict)
    }
}
