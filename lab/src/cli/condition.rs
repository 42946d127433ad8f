//! `--fail-on`: what of a matrix, or of its difference to an earlier one, ends the program with exit status 1.

use std::collections::BTreeSet;

use miette::miette;

use crate::experiment::Failure;
use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{ChainVerdict, RuleVerdict};
use crate::matrix::{Difference, Matrix};
use crate::plan::Operation;

/// What `--fail-on` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A verdict about any rule or chain.
    Verdict(Verdict),
    /// A consequence in the kernel.
    Consequence(Consequence),
    /// A loss that came or became graver.
    Regression,
    /// A pairing or an operation of the baseline that was not run.
    Missing,
}

/// A condition by its word.
pub fn parse_condition(text: &str) -> Result<Condition, String> {
    const CONSEQUENCES: [Consequence; 3] = [
        Consequence::Blackhole,
        Consequence::Exposure,
        Consequence::Misdirected,
    ];
    let verdict = Verdict::ALL
        .into_iter()
        .find(|verdict| verdict.as_str() == text)
        .map(Condition::Verdict);
    let consequence = || {
        CONSEQUENCES
            .into_iter()
            .find(|c| c.as_str() == text)
            .map(Condition::Consequence)
    };
    let of_baseline = || match text {
        "regression" => Some(Condition::Regression),
        "missing" => Some(Condition::Missing),
        _ => None,
    };
    let condition = verdict.or_else(consequence).or_else(of_baseline);
    condition.ok_or_else(|| {
        let verdicts = Verdict::ALL.map(Verdict::as_str).join(", ");
        let consequences = CONSEQUENCES.map(Consequence::as_str).join(", ");
        format!("a verdict ({verdicts}), a consequence ({consequences}), regression or missing")
    })
}

/// Refuses a verdict or a consequence that nothing which is run can come to: it would fail nothing, whatever happens.
///
/// # Errors
/// There is one: the operation that would have to be run too.
pub fn require_possible(conditions: &[Condition], operations: &[Operation]) -> Result<(), Failure> {
    let comes_of = |condition: &Condition| match condition {
        Condition::Verdict(verdict) => Some((verdict.as_str(), verdict.comes_of())),
        Condition::Consequence(of) => Some((of.as_str(), of.comes_of())),
        Condition::Regression | Condition::Missing => None,
    };
    let impossible = conditions
        .iter()
        .filter_map(comes_of)
        .find(|(_, comes_of)| !comes_of.iter().any(|of| operations.contains(of)));
    let Some((condition, [lacking, ..])) = impossible else {
        return Ok(());
    };
    let named = |all: &[Operation]| {
        all.iter()
            .map(|of| of.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let with_it: BTreeSet<Operation> = operations.iter().chain([lacking]).copied().collect();
    // These are run with all others.
    let implied = [Operation::Write, Operation::Save];
    let with_it = with_it.iter().filter(|of| !implied.contains(of));
    let options: Vec<String> = with_it.map(|of| format!("--operation {of}")).collect();
    let error = miette!(
        help = format!(
            "add `--operation {lacking}` to those: {}; or run all: --operation all",
            options.join(" ")
        ),
        "--fail-on {condition} can never be met: {condition} is a verdict of {lacking}, and these operations run: {}",
        named(operations)
    );
    Err(Failure::bad_input(error))
}

/// Whether the matrix, known losses aside, or its difference to the baseline has what one of the conditions names.
pub fn met(matrix: &Matrix, difference: Option<&Difference>, conditions: &[Condition]) -> bool {
    let rules = || {
        matrix.cells.iter().flat_map(|cell| {
            let known =
                |rule: &RuleVerdict| cell.known_of(&rule.table, &rule.chain, Some(rule.index));
            cell.outcome
                .rules
                .iter()
                .filter(move |rule| known(rule).is_none())
        })
    };
    let chains = || {
        matrix.cells.iter().flat_map(|cell| {
            let known = |chain: &ChainVerdict| cell.known_of(&chain.table, &chain.chain, None);
            cell.outcome
                .chains
                .iter()
                .filter(move |chain| known(chain).is_none())
        })
    };
    let has = |condition: &Condition| match condition {
        Condition::Verdict(wanted) => {
            // What the writer could not write was not tested.
            let tested = rules().filter(|rule| rule.not_tested().is_none());
            let of_rules =
                tested.flat_map(|rule| rule.of_reader().chain(rule.of(Operation::Write)));
            let mut verdicts = of_rules.chain(chains().flat_map(ChainVerdict::of_reader));
            verdicts.any(|verdict| verdict == *wanted)
        }
        Condition::Consequence(wanted) => {
            let of_rules = rules().filter_map(|rule| rule.consequence.map(|of| of.what));
            let mut all = of_rules.chain(chains().filter_map(ChainVerdict::does));
            all.any(|found| found == *wanted)
        }
        Condition::Regression => difference.is_some_and(|of| of.regressions().next().is_some()),
        Condition::Missing => difference.is_some_and(Difference::is_less),
    };
    conditions.iter().any(has)
}
