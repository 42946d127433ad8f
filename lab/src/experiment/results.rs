//! What came of each scenario, as soon as all its loads are through.

use std::collections::BTreeMap;

use crate::cause;
use crate::judge::Cell;
use crate::matrix::{Known, Matrix, MatrixBuilder};
use crate::plan::Plan;
use crate::recording::{Head, LoadRecord};
use crate::report;

/// The scenarios that are not through yet.
pub struct Results<'a> {
    head: &'a Head,
    known: Option<&'a Known>,
    /// By scenario: how many loads are left, and the cells of those that are through.
    waiting: BTreeMap<String, (usize, Vec<Cell>)>,
}

impl<'a> Results<'a> {
    /// Of the loads of `plan` and those that were `recorded` before. Losses that are `known` are not told.
    pub fn new(
        head: &'a Head,
        plan: &Plan,
        recorded: &[LoadRecord],
        known: Option<&'a Known>,
    ) -> Self {
        let planned = plan.loads.iter().map(|load| &load.scenario);
        let recorded = recorded.iter().map(|load| &load.scenario);
        let mut waiting: BTreeMap<String, (usize, Vec<Cell>)> = BTreeMap::new();
        for scenario in planned.chain(recorded) {
            waiting.entry(scenario.clone()).or_default().0 += 1;
        }
        Results {
            head,
            known,
            waiting,
        }
    }

    /// One more load is through: what came of its scenario, if that was its last.
    pub fn add(&mut self, load: &LoadRecord, cells: &[Cell]) -> Option<String> {
        let (left, known) = self.waiting.get_mut(&load.scenario)?;
        known.extend(cells.iter().cloned());
        *left -= 1;
        if *left > 0 {
            return None;
        }
        let (_, cells) = self.waiting.remove(&load.scenario)?;
        let mut matrix = Matrix {
            cells,
            ..MatrixBuilder::new(self.head).finish(None)
        };
        if let Some(known) = self.known {
            cause::mark(&mut matrix, known);
        }
        Some(report::result::line(&matrix, &load.scenario))
    }
}
