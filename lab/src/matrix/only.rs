//! A cell as it would be if only some of its operations had been run: two runs are compared by what both did.

use super::Matrix;
use crate::judge::outcome::{Answer, Outcomes, PrintVerdict};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, RuleVerdict};
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
            self.outcomes(&mut chain.outcomes);
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

    /// What these operations came to. That what a print lacks was kept or not is what the rewrite says.
    fn outcomes(&self, outcomes: &mut Outcomes) {
        let is_other = |of: &Operation| *of != Operation::Write && !self.has(*of);
        for operation in Operation::ALL.into_iter().filter(is_other) {
            outcomes.remove(operation);
        }
        if self.has(Operation::Rewrite) {
            return;
        }
        let prints = [
            (Operation::Save, Answer::Save(PrintVerdict::Differs)),
            (Operation::List, Answer::List(PrintVerdict::Differs)),
        ];
        for (operation, differs) in prints {
            let verdict = outcomes.verdict(operation);
            if matches!(verdict, Some(Verdict::Reworded | Verdict::Lossy)) {
                outcomes.set(differs);
            }
        }
    }

    fn rule(&self, rule: &RuleVerdict) -> RuleVerdict {
        let mut rule = rule.clone();
        self.outcomes(&mut rule.outcomes);
        let is_changed = rule.is_changed();
        rule.consequence = match (is_changed, self.packets_of_one) {
            (false, _) => None,
            (true, false) => rule.consequence,
            // Without packets the rules have the last word.
            (true, true) => rule.potential,
        };
        rule
    }
}
