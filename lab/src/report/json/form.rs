//! A report as schema 2 has it: what came of pairings is there once, and cells say in which place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::encoded::{Collected, Encodings};
use crate::catalog::{Build, BuildId, Family, Missing};
use crate::cause::{KnownCause, LostPartOf, causes};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, Encoded, KnownSubject, Outcome};
use crate::matrix::{KnownLoss, Lab, Matrix, ScenarioHead, Witness};
use crate::plan::Operation;
use crate::recording::{BystanderRecord, Commands, Host};
use crate::report::causes;

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
    /// What the losses come of, the worst first. Who reads the report finds them again.
    #[serde(default, skip_deserializing)]
    causes: Vec<KnownCause>,
    /// What cells lost by which cause, each distinct list once.
    #[serde(default, skip_deserializing)]
    losses: Vec<Vec<LossForm>>,
    /// What came of pairings, each distinct outcome once.
    #[schemars(with = "Vec<Outcome>")]
    outcomes: Vec<Arc<Outcome>>,
    /// How rules are encoded in the kernel; empty in reports of older releases.
    #[serde(default)]
    encodings: Encodings,
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
    /// Who wrote the other layers of the scenario.
    #[serde(default, skip_serializing_if = "<[BystanderRecord]>::is_empty")]
    bystanders: Cow<'m, [BystanderRecord]>,
    /// Who read.
    reader: Cow<'m, BuildId>,
    /// The worst of all verdicts about what the reader did.
    verdict: Verdict,
    /// What came of it: a place in `outcomes`, from 0.
    outcome: usize,
    /// What it lost by which cause: a place in `losses`, from 0; unknown in reports of older releases.
    #[serde(default)]
    losses: Option<usize>,
    /// How its rules are encoded in the kernel: a place in the lists of `encodings`, from 0; unknown in reports of older releases.
    #[serde(default)]
    encoded: Option<usize>,
    /// Where all its losses are known: the place in the report's `known_losses`, from 0, of the first that names one of them; else
    /// not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<usize>,
    /// Which of its losses are known, all or some; not there where none is: most cells of a report are many and short.
    #[serde(default, skip_serializing_if = "<[KnownSubject]>::is_empty")]
    known_losses: Cow<'m, [KnownSubject]>,
}

/// A part of a rule that is lost.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(title = "LostByCause")]
struct LossForm {
    /// The rule's place among the outcome's rules, from 0; null where a chain suffers.
    rule: Option<usize>,
    /// The part's name; empty where it is the rule as a whole.
    part: String,
    /// The place of the cause in `causes`, from 0.
    cause: usize,
}

impl LossForm {
    fn of(loss: &LostPartOf) -> Self {
        LossForm {
            rule: loss.rule,
            part: loss.part.clone(),
            cause: loss.cause,
        }
    }
}

impl<'m> From<&'m Matrix> for Report<'m> {
    fn from(matrix: &'m Matrix) -> Self {
        let mut outcomes = Places::default();
        let mut encodings = Collected::default();
        let causes = causes(matrix);
        let mut losses: Vec<&[LostPartOf]> = Vec::new();
        let mut places: HashMap<&[LostPartOf], usize> = HashMap::new();
        let of_cells = causes.of_cells.iter().map(|list| {
            *places.entry(list).or_insert_with(|| {
                losses.push(list);
                losses.len() - 1
            })
        });
        let of_cells: Vec<usize> = of_cells.collect();
        let cells = matrix.cells.iter().zip(of_cells);
        let cells = cells.map(|(cell, losses)| CellForm {
            scenario: Cow::Borrowed(&cell.scenario),
            family: cell.family,
            writer: Cow::Borrowed(&cell.writer),
            bystanders: Cow::Borrowed(&cell.bystanders),
            reader: Cow::Borrowed(&cell.reader),
            verdict: cell.verdict,
            outcome: outcomes.place(&cell.outcome),
            losses: Some(losses),
            encoded: Some(encodings.place(&cell.encoded)),
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
            causes: causes::shown(matrix, &causes),
            losses: losses
                .into_iter()
                .map(|list| list.iter().map(LossForm::of).collect())
                .collect(),
            outcomes: outcomes.distinct,
            encodings: encodings.finish(),
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
        let encoded = self.encodings.into_lists()?;
        let unknown = Arc::new(Encoded::default());
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
                bystanders: cell.bystanders.into_owned(),
                reader: cell.reader.into_owned(),
                verdict: cell.verdict,
                outcome,
                encoded: match cell.encoded {
                    Some(place) => encoded.get(place).cloned().ok_or_else(|| {
                        format!(
                            "a cell is encoded as {place}, and there are {} lists (counted from 0)",
                            encoded.len()
                        )
                    })?,
                    None => unknown.clone(),
                },
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
