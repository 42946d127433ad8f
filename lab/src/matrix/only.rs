//! A cell as it would be if only some of its operations had been run: two runs are compared by what both did.

use std::collections::HashSet;

use super::Matrix;
use crate::catalog::{BuildId, Family};
use crate::judge::by_operation::{Answer, ByOperation, PrintVerdict};
use crate::judge::verdict::{Impact, Verdict};
use crate::judge::{Cell, Outcome, RuleVerdict};
use crate::plan::Operation;

/// Both runs, each as if only the pairings and operations that both ran had been run. What is known in the newer one is in neither.
pub fn what_both_ran(old: &Matrix, new: &Matrix) -> [Matrix; 2] {
    let common = Common::of(old, new);
    let is_same = old.operations == new.operations;
    let is_new: HashSet<Key<'_>> = new
        .cells
        .iter()
        .filter(|of| of.known.is_none())
        .map(key)
        .collect();
    let is_old: HashSet<Key<'_>> = old.cells.iter().map(key).collect();
    [old, new].map(|matrix| {
        let mut both = matrix.clone();
        let is_both = |cell: &Cell| is_new.contains(&key(cell)) && is_old.contains(&key(cell));
        both.cells.retain(is_both);
        if !is_same {
            both.cells = both.cells.iter().map(|cell| common.cell(cell)).collect();
        }
        both.operations.clone_from(&common.operations);
        both
    })
}

/// A pairing in a scenario.
type Key<'a> = (&'a str, Family, &'a BuildId, &'a BuildId);

fn key(cell: &Cell) -> Key<'_> {
    (&cell.scenario, cell.family, &cell.writer, &cell.reader)
}

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
