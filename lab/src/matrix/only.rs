//! A cell as it would be if only some of its operations had been run: two runs are compared by what both did.

use super::Matrix;
use crate::judge::by_operation::{Answer, ByOperation, PrintVerdict};
use crate::judge::verdict::{Impact, Verdict};
use crate::judge::{Cell, Outcome, RuleVerdict};
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
        let mut outcome = Outcome::clone(&cell.outcome);
        let rules: Vec<RuleVerdict> = outcome.rules.iter().map(|rule| self.rule(rule)).collect();
        outcome.rules = rules.into();
        for chain in &mut outcome.chains {
            self.operations(&mut chain.operations);
        }
        if self.has(Operation::Effect) {
            for probe in &mut outcome.probes {
                probe.after.retain(|operation, _| self.has(*operation));
            }
        } else {
            outcome.probes.clear();
        }
        Cell {
            outcome: outcome.into(),
            ..cell.clone()
        }
    }

    fn has(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    /// What these operations came to. That what a print lacks was kept or not is what the rewrite says.
    fn operations(&self, operations: &mut ByOperation) {
        let is_other = |of: &Operation| *of != Operation::Write && !self.has(*of);
        for operation in Operation::ALL.into_iter().filter(is_other) {
            operations.remove(operation);
        }
        if self.has(Operation::Rewrite) {
            return;
        }
        let prints = [
            (Operation::Save, Answer::Save(PrintVerdict::Differs)),
            (Operation::List, Answer::List(PrintVerdict::Differs)),
        ];
        for (operation, differs) in prints {
            let verdict = operations.verdict(operation);
            if matches!(verdict, Some(Verdict::Reworded | Verdict::Lossy)) {
                operations.set(differs);
            }
        }
    }

    fn rule(&self, rule: &RuleVerdict) -> RuleVerdict {
        let mut rule = rule.clone();
        self.operations(&mut rule.operations);
        let is_changed = rule.is_changed();
        rule.consequence = match (is_changed, self.packets_of_one) {
            (false, _) => None,
            (true, false) => rule.consequence,
            // Without packets the rules have the last word.
            (true, true) => rule.potential.map(Impact::from),
        };
        rule
    }
}
