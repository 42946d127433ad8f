//! What was not tested: rules that could not be written, and rules of large rulesets that readers were not asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::build_set::{BuildSet, place};
use super::subject::Subject;
use crate::catalog::Family;
use crate::judge::{Reason, RuleVerdict, core_message};
use crate::plan::Operation;

/// Rules that the same writers could not write, for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untested {
    /// What is missing, and what was said, without what each release says in its own words; none where nothing was said.
    pub why: Option<String>,
    /// The rules.
    pub subjects: BTreeMap<Family, Vec<Subject>>,
    /// The writers.
    pub writers: BuildSet,
}

/// The writers that could not write each rule, by their places.
type WritersOf = BTreeMap<(Family, Subject), BTreeSet<usize>>;

/// The rules of `scenario` that could not be written, by reason.
pub fn untested(matrix: &Matrix, scenario: &str) -> Vec<Untested> {
    let writers = matrix.writers();
    let mut found: BTreeMap<Option<String>, WritersOf> = BTreeMap::new();
    for cell in matrix.cells.iter().filter(|cell| cell.scenario == scenario) {
        for (order, rule) in cell.outcome.untested() {
            let why = rule.reason().map(Reason::to_string);
            let why = why.map(|why| core_message(&why).to_owned());
            let of_rule = found.entry(why).or_default();
            let key = (cell.family, Subject::of_rule(order, rule));
            let of_writers = of_rule.entry(key).or_default();
            of_writers.insert(place(&writers, &cell.writer));
        }
    }
    let mut all = Vec::new();
    for (why, of_rules) in found {
        let mut groups: BTreeMap<BTreeSet<usize>, BTreeMap<Family, Vec<Subject>>> = BTreeMap::new();
        for ((family, subject), by) in of_rules {
            let of_family = groups.entry(by).or_default();
            of_family.entry(family).or_default().push(subject);
        }
        all.extend(groups.into_iter().map(|(by, subjects)| Untested {
            why: why.clone(),
            subjects,
            writers: BuildSet::at(&by, &writers),
        }));
    }
    let first = |of: &Untested| {
        let first = of.subjects.first_key_value();
        first.map(|(family, subjects)| (*family, subjects.first().cloned()))
    };
    all.sort_by_key(first);
    all
}

/// How much of a scenario could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tested {
    /// All of it.
    All,
    /// Some of its rules.
    Some,
    /// Nothing, in any cell.
    Nothing,
}

/// How much of `scenario` could be written.
pub fn tested(matrix: &Matrix, scenario: &str) -> Tested {
    let cells = || matrix.cells.iter().filter(|cell| cell.scenario == scenario);
    if cells().all(|cell| cell.outcome.untested().next().is_none()) {
        return Tested::All;
    }
    match cells().all(|cell| cell.outcome.is_untested()) {
        true => Tested::Nothing,
        false => Tested::Some,
    }
}

/// What was asked for a sample of a large ruleset's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// What readers did.
    pub operations: BTreeSet<Operation>,
    /// How many rules they were asked for.
    pub asked: usize,
    /// Of how many.
    pub of: usize,
}

/// What readers were asked for only some rules of `scenario`, by family; none where they were asked for all.
pub fn sampled(matrix: &Matrix, scenario: &str) -> BTreeMap<Family, Sampled> {
    let mut all: BTreeMap<Family, Sampled> = BTreeMap::new();
    for cell in matrix.cells.iter().filter(|cell| cell.scenario == scenario) {
        let unasked = cell
            .outcome
            .rules
            .iter()
            .filter(|rule| rule.gaps().next().is_some());
        let gaps = unasked.clone().flat_map(RuleVerdict::gaps);
        let operations: BTreeSet<Operation> = gaps.map(|(operation, _)| operation).collect();
        if !operations.is_empty() {
            let (count, of) = (unasked.count(), cell.outcome.rules.len());
            let known = all.entry(cell.family).or_insert_with(|| Sampled {
                operations: BTreeSet::new(),
                asked: of - count,
                of,
            });
            known.operations.extend(operations);
            known.asked = known.asked.min(of - count);
        }
    }
    all
}
