//! What differs between two matrices: losses that came, went or became others, and what only one of them has.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Matrix;
use super::build_set::BuildSet;
use super::example::Example;
use super::form::Form;
use super::losses::{Found, Kind, of_cell};
use super::only::Common;
use super::subject::Subject;
use crate::catalog::{BuildId, Family};
use crate::judge::Cell;
use crate::judge::verdict::Verdict;

/// What differs between two matrices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// How many pairings both ran: only these can be compared.
    pub compared: usize,
    /// The operations that both ran: only what these came to is compared.
    pub operations: Vec<String>,
    /// What only the new one has.
    pub came: Inventory,
    /// What only the old one has.
    pub went: Inventory,
    /// The losses that differ in pairings that both ran, regressions first.
    pub changes: Vec<Change>,
}

/// What one matrix has and the other has not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Inventory {
    /// Builds that took part.
    pub builds: Vec<String>,
    /// Scenarios that were run.
    pub scenarios: Vec<String>,
    /// Operations.
    pub operations: Vec<String>,
    /// Pairings of builds, scenarios and families that were run.
    pub pairings: usize,
}

/// A loss that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether it came, went, or became another.
    pub direction: Direction,
    /// In which scenario.
    pub scenario: String,
    /// What it was; none where it came.
    pub before: Option<Form>,
    /// What it is; none where it went.
    pub after: Option<Form>,
    /// The rules and chains.
    pub subjects: BTreeMap<Family, Vec<Subject>>,
    /// The writers.
    pub writers: BuildSet,
    /// The readers.
    pub readers: BuildSet,
    /// How many pairings.
    pub pairings: usize,
    /// One cell that shows it.
    pub example: Example,
}

/// Which way a loss differs; the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It was not there.
    New,
    /// It is graver than it was.
    Worse,
    /// It is another one, and not graver.
    Changed,
    /// It is not there any more.
    Gone,
}

impl Difference {
    /// The losses that came or became graver.
    pub fn regressions(&self) -> impl Iterator<Item = &Change> {
        let grave = [Direction::New, Direction::Worse];
        self.changes
            .iter()
            .filter(move |change| grave.contains(&change.direction))
    }

    /// Whether the new one did not run something that the old one did: then nothing can be said of that.
    pub fn is_less(&self) -> bool {
        self.went.pairings > 0 || !self.went.operations.is_empty()
    }
}

/// Which way a loss differs, what it was, and what it is.
type Turn = (Direction, Option<Form>, Option<Form>);

/// A pairing in a scenario.
type Key<'a> = (&'a str, Family, &'a BuildId, &'a BuildId);

/// What differs in `new` beside `old`. Losses that are known in the new one are no difference.
pub fn difference(old: &Matrix, new: &Matrix) -> Difference {
    let (before, after) = (cells(old), cells(new));
    let common = Common::of(old, new);
    let (writers, readers) = (new.writers(), new.readers());
    let mut changes = Vec::new();
    let mut compared = 0;
    for scenario in &new.scenarios {
        let mut found = Found::new(&writers, &readers);
        let of_scenario = after
            .iter()
            .filter(|((name, ..), _)| *name == scenario.name);
        for (key, cell) in of_scenario {
            let Some(earlier) = before.get(key) else {
                continue;
            };
            compared += 1;
            for (subject, change) in between(&common.cell(earlier), &common.cell(cell)) {
                found.add(change, cell, subject);
            }
        }
        let verdict = |(_, before, after): &Turn| {
            let form = after.as_ref().or(before.as_ref());
            form.map_or(Verdict::Same, |form| form.harm.verdict)
        };
        changes.extend(found.groups(verdict).into_iter().map(|group| {
            let (direction, before, after) = group.kind;
            Change {
                direction,
                scenario: scenario.name.clone(),
                before,
                after,
                subjects: group.subjects,
                writers: group.writers,
                readers: group.readers,
                pairings: group.pairings,
                example: group.example,
            }
        }));
    }
    changes.sort_by_key(|change| change.direction);
    Difference {
        compared,
        operations: common.names(),
        came: only(new, old, after.len() - compared),
        went: only(old, new, before.len() - compared),
        changes,
    }
}

fn cells(matrix: &Matrix) -> BTreeMap<Key<'_>, &Cell> {
    let cells = matrix.cells.iter();
    cells
        .map(|cell| {
            (
                (&*cell.scenario, cell.family, &cell.writer, &cell.reader),
                cell,
            )
        })
        .collect()
}

/// Each subject whose loss differs, and how.
fn between(old: &Cell, new: &Cell) -> Vec<(Subject, Turn)> {
    let losses = |cell: &Cell| -> BTreeMap<Subject, Kind> { of_cell(cell).into_iter().collect() };
    let (old, new) = (losses(old), losses(new));
    let is_known = |subject: &&Subject| new.get(subject).is_some_and(|of| of.known.is_some());
    let subjects: BTreeSet<&Subject> = old.keys().chain(new.keys()).collect();
    let subjects = subjects.into_iter().filter(|subject| !is_known(subject));
    let differs = subjects.filter_map(|subject| {
        let (before, after) = (old.get(subject), new.get(subject));
        let form = |kind: &Kind| kind.form.clone();
        let (before, after) = (before.map(form), after.map(form));
        let direction = direction(before.as_ref(), after.as_ref())?;
        Some((subject.clone(), (direction, before, after)))
    });
    differs.collect()
}

fn direction(before: Option<&Form>, after: Option<&Form>) -> Option<Direction> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Direction::New),
        (Some(_), None) => Some(Direction::Gone),
        (Some(before), Some(after)) if before == after => None,
        (Some(before), Some(after)) => {
            let weight = |of: &Form| (of.harm.verdict.severity(), of.harm.consequence);
            let (was, is) = (weight(before), weight(after));
            match is.0 > was.0 || is.1 > was.1 {
                true => Some(Direction::Worse),
                false => Some(Direction::Changed),
            }
        }
    }
}

/// What `one` has and `other` has not.
fn only(one: &Matrix, other: &Matrix, pairings: usize) -> Inventory {
    let without = |one: Vec<String>, other: Vec<String>| -> Vec<String> {
        one.into_iter()
            .filter(|name| !other.contains(name))
            .collect()
    };
    let builds = |of: &Matrix| of.builds.iter().map(|build| build.id.to_string()).collect();
    let scenarios = |of: &Matrix| of.scenarios.iter().map(|head| head.name.clone()).collect();
    let operations = |of: &Matrix| {
        let operations = of.operations.iter();
        operations.map(|of| of.as_str().to_owned()).collect()
    };
    Inventory {
        builds: without(builds(one), builds(other)),
        scenarios: without(scenarios(one), scenarios(other)),
        operations: without(operations(one), operations(other)),
        pairings,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::judge::RuleVerdict;
    use crate::judge::verdict::Consequence;
    use crate::plan::Operation;

    fn matrix() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    /// The matrix in which nothing is said of the rules of lossy cells.
    fn without_losses() -> Matrix {
        let mut matrix = matrix();
        for cell in matrix
            .cells
            .iter_mut()
            .filter(|cell| cell.verdict.is_silent_damage())
        {
            let outcome = Arc::make_mut(&mut cell.outcome);
            outcome.rules = Vec::new().into();
            outcome.chains.clear();
        }
        matrix
    }

    #[test]
    fn a_matrix_does_not_differ_from_itself() {
        let difference = difference(&matrix(), &matrix());
        let compared = matrix().cells.len();
        assert_eq!(
            difference,
            Difference {
                compared,
                operations: names(&matrix().operations),
                ..Difference::default()
            }
        );
    }

    #[test]
    fn what_came_one_way_went_the_other_way() {
        let came = difference(&without_losses(), &matrix());
        let went = difference(&matrix(), &without_losses());
        assert!(!came.changes.is_empty());
        assert!(
            came.changes
                .iter()
                .all(|of| of.direction == Direction::New && of.before.is_none())
        );
        assert!(
            went.changes
                .iter()
                .all(|of| of.direction == Direction::Gone && of.after.is_none())
        );
        assert_eq!(came.regressions().count(), came.changes.len());
        assert_eq!(went.regressions().count(), 0);
        let forms = |of: &Difference| -> Vec<Form> {
            of.changes
                .iter()
                .filter_map(|of| of.before.clone().or(of.after.clone()))
                .collect()
        };
        assert_eq!(forms(&came), forms(&went));
    }

    #[test]
    fn a_graver_consequence_is_a_regression_and_a_milder_one_is_not() {
        let mut milder = matrix();
        for cell in &mut milder.cells {
            let mut rules: Vec<RuleVerdict> = cell.outcome.rules.iter().cloned().collect();
            for rule in &mut rules {
                if let Some(of) = &mut rule.consequence
                    && of.what == Consequence::Blackhole
                {
                    of.what = Consequence::Misdirected;
                }
            }
            Arc::make_mut(&mut cell.outcome).rules = rules.into();
        }
        let directions = |of: Difference| -> BTreeSet<Direction> {
            of.changes.iter().map(|of| of.direction).collect()
        };
        assert_eq!(
            directions(difference(&milder, &matrix())),
            BTreeSet::from([Direction::Worse])
        );
        assert_eq!(
            directions(difference(&matrix(), &milder)),
            BTreeSet::from([Direction::Changed])
        );
    }

    #[test]
    fn builds_and_pairings_that_only_one_has_are_named_and_not_compared() {
        let mut less = matrix();
        let reader = less
            .cells
            .iter()
            .find(|of| of.verdict.is_silent_damage())
            .unwrap()
            .reader
            .clone();
        less.cells.retain(|cell| cell.reader != reader);
        less.builds.retain(|build| build.id != reader);
        let difference = difference(&less, &matrix());
        assert_eq!(difference.changes, []);
        assert_eq!(difference.came.builds, [reader.to_string()]);
        assert_eq!(
            difference.came.pairings,
            matrix().cells.len() - less.cells.len()
        );
        assert_eq!(difference.went, Inventory::default());
    }

    fn names(operations: &[Operation]) -> Vec<String> {
        operations.iter().map(|of| of.as_str().to_owned()).collect()
    }

    /// The matrix of a run that did less with the same pairings.
    fn of_operations(operations: &[Operation]) -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let mut recording = crate::recording::read(&file).unwrap().recording;
        recording.head.operations = operations.to_vec();
        let readers = recording
            .loads
            .iter_mut()
            .flat_map(|of| &mut of.trace.readers);
        for reading in readers.flat_map(|of| &mut of.readings) {
            if !operations.contains(&Operation::Rewrite) {
                reading.rewrite = None;
            }
            if !operations.contains(&Operation::Sync) {
                reading.sync = None;
            }
        }
        Matrix::of(&recording)
    }

    /// A run of everything, beside one of what decides, either way round: what only one of them did is no difference.
    #[rstest]
    #[case::without_sync(&[Operation::Write, Operation::Save, Operation::Rewrite, Operation::Recognition])]
    #[case::rewrite_alone(&[Operation::Write, Operation::Save, Operation::Rewrite])]
    #[case::without_a_rewrite(&[Operation::Write, Operation::Save])]
    #[case::sync_alone(&[Operation::Write, Operation::Save, Operation::Sync])]
    fn what_an_operation_that_only_one_ran_came_to_is_no_difference(
        #[case] operations: &[Operation],
    ) {
        let (all, some) = (matrix(), of_operations(operations));
        let common = names(operations);
        let less = difference(&all, &some);
        assert_eq!(less.operations, common);
        assert_eq!(less.changes, []);
        assert!(less.is_less());
        let more = difference(&some, &all);
        assert_eq!(more.operations, common);
        assert_eq!(more.changes, []);
        assert!(!more.is_less());
    }
}
