//! A cell as it would be if only some of its operations had been run: two runs are compared by what both did.

use super::Matrix;
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::plan::Operation;

/// Operations that both of two runs did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    operations: Vec<Operation>,
    /// Whether only one of them sent packets.
    packets_of_one: bool,
}

impl Common {
    /// What both did, in order.
    pub fn of(one: &Matrix, other: &Matrix) -> Self {
        let both = one.operations.iter().copied();
        let sent = |matrix: &Matrix| matrix.operations.contains(&Operation::Effect);
        Common {
            operations: both.filter(|of| other.operations.contains(of)).collect(),
            packets_of_one: sent(one) != sent(other),
        }
    }

    /// By name, in order.
    pub fn names(&self) -> Vec<String> {
        self.operations
            .iter()
            .map(|of| of.as_str().to_owned())
            .collect()
    }

    /// The cell with the verdicts of these operations alone.
    pub fn cell(&self, cell: &Cell) -> Cell {
        let mut cell = cell.clone();
        let rules: Vec<RuleVerdict> = cell.rules.iter().map(|rule| self.rule(rule)).collect();
        cell.rules = rules.into();
        for chain in &mut cell.chains {
            self.chain(chain);
        }
        if self.has(Operation::Effect) {
            for probe in &mut cell.probes {
                probe.after.retain(|operation, _| self.has(*operation));
            }
        } else {
            cell.probes.clear();
        }
        cell
    }

    fn has(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    /// The verdict, if the operation is one of these.
    fn keep(&self, operation: Operation, verdict: &mut Option<Verdict>) {
        if !self.has(operation) {
            *verdict = None;
        }
    }

    /// What a print comes to: that it was kept or not is what the rewrite says.
    fn print(&self, operation: Operation, verdict: &mut Option<Verdict>) {
        self.keep(operation, verdict);
        if !self.has(Operation::Rewrite)
            && matches!(verdict, Some(Verdict::Reworded | Verdict::Lossy))
        {
            *verdict = Some(Verdict::Differs);
        }
    }

    fn rule(&self, rule: &RuleVerdict) -> RuleVerdict {
        let mut rule = rule.clone();
        self.print(Operation::Save, &mut rule.read_verdict);
        self.print(Operation::List, &mut rule.list);
        self.keep(Operation::Rewrite, &mut rule.rewrite_verdict);
        self.keep(Operation::Recognition, &mut rule.recognition);
        self.keep(Operation::Cycle, &mut rule.cycle);
        self.keep(Operation::Sync, &mut rule.sync);
        self.keep(Operation::SyncNoflush, &mut rule.sync_noflush);
        self.keep(Operation::Check, &mut rule.check);
        self.keep(Operation::Delete, &mut rule.delete);
        self.keep(Operation::Reassert, &mut rule.reassert);
        let changing = [
            rule.rewrite_verdict,
            rule.sync,
            rule.sync_noflush,
            rule.cycle,
        ];
        let is_changed = changing
            .iter()
            .any(|of| matches!(of, Some(Verdict::Changed | Verdict::Drifts)));
        rule.consequence = match (is_changed, self.packets_of_one) {
            (false, _) => None,
            (true, false) => rule.consequence,
            // Without packets the rules have the last word.
            (true, true) => rule.potential,
        };
        rule
    }

    fn chain(&self, chain: &mut ChainVerdict) {
        self.print(Operation::Save, &mut chain.read_verdict);
        self.keep(Operation::Rewrite, &mut chain.rewrite_verdict);
        self.keep(Operation::Cycle, &mut chain.cycle);
        self.keep(Operation::Sync, &mut chain.sync);
        self.keep(Operation::SyncNoflush, &mut chain.sync_noflush);
    }
}
