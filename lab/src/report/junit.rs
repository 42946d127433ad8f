//! The matrix as JUnit's XML, for CI systems: a suite a scenario and family, a test case a cell.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::builds::no_bystander;
use super::facts::{self, Fact, Said};
use super::terminal::inert;
use super::tone::Tone;
use super::wording;
use crate::judge::Cell;
use crate::judge::verdict::Verdict;
use crate::matrix::{Matrix, worst};

/// The whole matrix. A cell fails where damage is done that nobody is told about, and where it goes wrong later; what
/// could not be run is skipped, and all else passes.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn render(matrix: &Matrix) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("iptables-lab");
    let mut suites: BTreeMap<(usize, String), TestSuite> = BTreeMap::new();
    for cell in &matrix.cells {
        let place = matrix
            .scenarios
            .iter()
            .position(|of| of.name == cell.scenario);
        let name = format!("{}.{}", cell.scenario, cell.family);
        let suite = suites
            .entry((place.unwrap_or(usize::MAX), name.clone()))
            .or_insert_with(|| TestSuite::new(inert(&name)));
        suite.add_test_case(case(matrix, cell));
    }
    report.add_test_suites(suites.into_values());
    let known = wording::known(matrix);
    if !known.is_empty() {
        report.add_test_suite(known_suite(&known));
    }
    if !matrix.missing.is_empty() || !wording::without_bystander(matrix).is_empty() {
        report.add_test_suite(missing(matrix));
    }
    let mut text = report.to_string()?;
    text.push('\n');
    Ok(text)
}

fn case(matrix: &Matrix, cell: &Cell) -> TestCase {
    let known = cell.known.and_then(|place| matrix.known.get(place));
    let verdict = not_known(cell);
    let mut status = match Tone::of(verdict) {
        _ if known.is_some() || cell.outcome.is_untested() => TestCaseStatus::skipped(),
        Tone::Fine | Tone::Note | Tone::Aside | Tone::Loud => TestCaseStatus::success(),
        Tone::Later | Tone::Silent => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    let is_failure = matches!(status, TestCaseStatus::NonSuccess { .. });
    let said = format!("{verdict}: {}", wording::verdict_meaning(verdict));
    if is_failure {
        status.set_type(verdict.as_str()).set_message(said.clone());
        status.set_description(inert(&description(matrix, cell)));
    }
    if let Some(known) = known {
        status.set_message(inert(&format!(
            "known: {}; {said}",
            wording::known_loss(known)
        )));
    }
    if let (true, Some(rule)) = (cell.outcome.is_untested(), cell.outcome.rules.get(0)) {
        let why = wording::why_untested(rule.reason());
        status.set_message(inert(&format!("not tested: {why}")));
    }
    let name = format!("{} writes, {} reads", cell.writer, cell.reader);
    let mut case = TestCase::new(inert(&name), status);
    case.set_classname(inert(&format!("{}.{}", cell.scenario, cell.family)));
    if !is_failure {
        case.set_system_out(said);
    }
    case
}

/// The worst verdict that is not known already; of a cell of which all is known, or nothing, the worst.
fn not_known(cell: &Cell) -> Verdict {
    if cell.known_losses.is_empty() {
        return cell.verdict;
    }
    let harms = worst(cell).into_iter().filter(|of| of.known.is_none());
    let worst = harms
        .map(|of| of.form.harm.verdict)
        .max_by_key(|of| of.severity());
    worst.unwrap_or(cell.verdict)
}

/// What befell the rules, a line each fact.
fn description(matrix: &Matrix, cell: &Cell) -> String {
    let known = |table: &str, chain: &str, index| {
        let known = cell.known_of(table, chain, index);
        let known = known.and_then(|place| matrix.known.get(place));
        known.map_or_else(String::new, |known| {
            format!(" (known: {})", wording::known_loss(known))
        })
    };
    let mut text = String::new();
    let mut tell = |place: String, facts: Vec<Fact>| {
        text.push_str(&place);
        for Fact { name, said } in facts {
            let said = match said {
                Said::Verdict(verdict) => {
                    format!("{verdict}: {}", wording::verdict_meaning(verdict))
                }
                Said::Text(text) => text,
            };
            text.push_str(&format!("\n  {name}: {said}"));
        }
        text.push('\n');
    };
    for rule in &cell.outcome.rules {
        if !facts::is_unharmed(rule) {
            let known = known(&rule.table, &rule.chain, Some(rule.index));
            let place = format!("{} {} {}{known}", rule.table, rule.chain, rule.index);
            let texts = facts::texts(rule, None);
            tell(place, [texts, facts::of_rule(rule)].concat());
        }
    }
    for chain in &cell.outcome.chains {
        if chain.of_reader().any(|verdict| verdict.severity() > 0) {
            let known = known(&chain.table, &chain.chain, None);
            let place = format!("{} chain {}{known}", chain.table, chain.chain);
            tell(place, facts::of_chain(chain));
        }
    }
    text
}

/// What came of the losses that are listed as known.
fn known_suite(known: &[String]) -> TestSuite {
    let mut suite = TestSuite::new("known losses");
    for said in known {
        let mut status = TestCaseStatus::skipped();
        status.set_message(inert(said));
        suite.add_test_case(TestCase::new(inert(said), status));
    }
    suite
}

/// The builds that could not be had: nothing of theirs was run.
fn missing(matrix: &Matrix) -> TestSuite {
    let mut suite = TestSuite::new(inert(&wording::not_run(matrix)));
    for missing in &matrix.missing {
        let mut status = TestCaseStatus::skipped();
        status.set_message(inert(&missing.reason));
        suite.add_test_case(TestCase::new(inert(missing.id.as_str()), status));
    }
    for of in matrix.scenarios.iter().flat_map(|of| &of.without_bystander) {
        let mut status = TestCaseStatus::skipped();
        status.set_message(inert(&no_bystander(of)));
        suite.add_test_case(TestCase::new(inert(&of.scenario), status));
    }
    suite
}
