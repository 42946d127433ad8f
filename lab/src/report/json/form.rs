//! A report as schema 2 has it: what came of pairings is there once, and cells say in which place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Build, BuildId, Family, Missing};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, KnownSubject, Outcome};
use crate::matrix::{KnownLoss, Lab, Matrix, ScenarioHead, Witness};
use crate::plan::Operation;
use crate::recording::{Commands, Host};

/// The version of the form. It only grows.
pub const SCHEMA: u32 = 2;

/// All verdicts of a run.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Matrix")]
pub struct Report<'m> {
    /// 2.
    schema: u32,
    /// The program that judged.
    lab: Cow<'m, Lab>,
    /// Where the run was made.
    host: Cow<'m, Host>,
    /// When the run began.
    #[schemars(with = "String")]
    started: Timestamp,
    /// When it ended; unknown of a run that was killed.
    #[schemars(with = "Option<String>")]
    finished: Option<Timestamp>,
    /// What was done with each pairing.
    operations: Cow<'m, [Operation]>,
    /// Who said what the kernel held.
    witness: Cow<'m, Witness>,
    /// The builds that took part.
    builds: Cow<'m, [Build]>,
    /// The builds that could not be had.
    missing: Cow<'m, [Missing]>,
    /// The scenarios, in the order in which reports show them.
    scenarios: Cow<'m, [ScenarioHead]>,
    /// How many pairings were to be run, counted once for each scenario and family; a run that was cut short has
    /// fewer cells.
    pairings: usize,
    /// Why the run ended early; null if its plan was through.
    cut_short: Cow<'m, Option<String>>,
    /// How many commands the run took; null of one that was killed or interrupted.
    commands: Option<Commands>,
    /// The losses that are known already, and how many cells each of them names.
    known_losses: Cow<'m, [KnownLoss]>,
    /// What came of pairings, each distinct outcome once.
    #[schemars(with = "Vec<Outcome>")]
    outcomes: Vec<Arc<Outcome>>,
    /// A cell for each pairing that was run, by scenario, family, writer and reader.
    cells: Vec<CellForm<'m>>,
}

/// One pairing in one scenario and family.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Cell")]
pub struct CellForm<'m> {
    /// The scenario's name.
    scenario: Cow<'m, str>,
    /// Which of its rulesets.
    family: Family,
    /// Who wrote.
    writer: Cow<'m, BuildId>,
    /// Who read.
    reader: Cow<'m, BuildId>,
    /// The worst of all verdicts about what the reader did.
    verdict: Verdict,
    /// What came of it: a place in `outcomes`, from 0.
    outcome: usize,
    /// Where all its losses are known: the place in the report's `known_losses`, from 0, of the first that names one of them.
    known: Option<usize>,
    /// Which of its losses are known, all or some.
    known_losses: Cow<'m, [KnownSubject]>,
}

impl<'m> From<&'m Matrix> for Report<'m> {
    fn from(matrix: &'m Matrix) -> Self {
        let mut outcomes = Places::default();
        let cells = matrix.cells.iter().map(|cell| CellForm {
            scenario: Cow::Borrowed(&cell.scenario),
            family: cell.family,
            writer: Cow::Borrowed(&cell.writer),
            reader: Cow::Borrowed(&cell.reader),
            verdict: cell.verdict,
            outcome: outcomes.place(&cell.outcome),
            known: cell.known,
            known_losses: Cow::Borrowed(&cell.known_losses),
        });
        let cells = cells.collect();
        Report {
            schema: SCHEMA,
            lab: Cow::Borrowed(&matrix.lab),
            host: Cow::Borrowed(&matrix.host),
            started: matrix.started,
            finished: matrix.finished,
            operations: Cow::Borrowed(&matrix.operations),
            witness: Cow::Borrowed(&matrix.witness),
            builds: Cow::Borrowed(&matrix.builds),
            missing: Cow::Borrowed(&matrix.missing),
            scenarios: Cow::Borrowed(&matrix.scenarios),
            pairings: matrix.pairings,
            cut_short: Cow::Borrowed(&matrix.cut_short),
            commands: matrix.commands,
            known_losses: Cow::Borrowed(&matrix.known),
            outcomes: outcomes.distinct,
            cells,
        }
    }
}

/// Distinct outcomes, in the order in which cells have them first.
#[derive(Default)]
struct Places {
    distinct: Vec<Arc<Outcome>>,
    /// By where they are in memory: cells that share an outcome need no comparison.
    by_address: HashMap<*const Outcome, usize>,
}

impl Places {
    fn place(&mut self, outcome: &Arc<Outcome>) -> usize {
        let next = self.distinct.len();
        let place = self.by_address.entry(Arc::as_ptr(outcome));
        let place = *place.or_insert(next);
        if place == next {
            self.distinct.push(outcome.clone());
        }
        place
    }
}

impl Report<'_> {
    /// The matrix that it is of.
    ///
    /// # Errors
    /// A cell names an outcome that is not there.
    pub fn into_matrix(self) -> Result<Matrix, String> {
        let outcomes = self.outcomes;
        let cells = self.cells.into_iter().map(|cell| {
            let outcome = outcomes.get(cell.outcome).cloned();
            let outcome = outcome.ok_or_else(|| {
                format!(
                    "the cell of {} in {} {} is of outcome {}, and there are {} (counted from 0)",
                    format_args!("{} and {}", cell.writer, cell.reader),
                    cell.scenario,
                    cell.family,
                    cell.outcome,
                    outcomes.len()
                )
            })?;
            Ok::<_, String>(Cell {
                scenario: cell.scenario.into_owned(),
                family: cell.family,
                writer: cell.writer.into_owned(),
                reader: cell.reader.into_owned(),
                verdict: cell.verdict,
                outcome,
                known: cell.known,
                known_losses: cell.known_losses.into_owned(),
            })
        });
        Ok(Matrix {
            cells: cells.collect::<Result<_, _>>()?,
            lab: self.lab.into_owned(),
            host: self.host.into_owned(),
            started: self.started,
            finished: self.finished,
            operations: self.operations.into_owned(),
            witness: self.witness.into_owned(),
            builds: self.builds.into_owned(),
            missing: self.missing.into_owned(),
            scenarios: self.scenarios.into_owned(),
            pairings: self.pairings,
            cut_short: self.cut_short.into_owned(),
            commands: self.commands,
            known: self.known_losses.into_owned(),
        })
    }
}
