//! One cell in full: the commands as they were run, both texts, the verdicts and why.

pub mod commands;

use std::collections::BTreeMap;
use std::fmt::Write;

use similar::{ChangeTag, TextDiff};

use super::facts::{self, Fact, Said};
use super::terminal::{HEADING, inert, paint, sign, style};
use super::wording;
use crate::catalog::BuildId;
use crate::cause::KnownCause;
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::plan::Operation;
use crate::plan::step::Role;
use crate::recording::{CommandRecord, LoadRecord, Seen};
use crate::scenario::Scenario;

/// The cell, from the load that it was judged from, and its scenario.
pub fn render(
    cell: &Cell,
    load: &LoadRecord,
    scenario: &Scenario,
    causes: &[&KnownCause],
) -> String {
    let mut page = String::new();
    let title = format!(
        "{} → {}, {}, {}",
        cell.writer, cell.reader, cell.scenario, cell.family
    );
    let _ = writeln!(page, "{}", paint(HEADING, title));
    let mark = paint(
        style(cell.verdict),
        format!("{} {}", sign(cell.verdict), cell.verdict),
    );
    let _ = writeln!(page, "{mark}: {}", wording::verdict_meaning(cell.verdict));
    page.push_str(&not_tested(cell));
    page.push('\n');
    page.push_str(&of_causes(causes));
    page.push_str(&verdicts(cell, commands::witness(cell, load)));
    page.push_str(&packets(cell));
    page.push_str(&warnings(cell));
    page.push_str(&crashes(cell));
    page.push_str(&prints(cell, load));
    page.push_str(&commands::render(cell, load, scenario));
    page
}

/// What its losses come of.
fn of_causes(causes: &[&KnownCause]) -> String {
    if causes.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", paint(HEADING, "causes"));
    for cause in causes {
        let _ = writeln!(text, "  {}: {}", inert(&cause.name), inert(&cause.says));
    }
    text.push('\n');
    text
}

/// How many rules say nothing of the reader, or were not asked for.
fn not_tested(cell: &Cell) -> String {
    let (all, mut text) = (cell.outcome.rules.len(), String::new());
    let unwritten = cell.outcome.untested().count();
    if unwritten > 0 {
        let _ = writeln!(
            text,
            "not tested: {unwritten} of {all} rules, which {} cannot write",
            cell.writer
        );
    }
    let mut unasked: BTreeMap<(Operation, &str), usize> = BTreeMap::new();
    let gaps = cell.outcome.rules.iter().flat_map(RuleVerdict::gaps);
    for (operation, why) in gaps {
        *unasked
            .entry((operation, wording::not_run_meaning(why)))
            .or_default() += 1;
    }
    for ((operation, why), count) in unasked {
        let _ = writeln!(text, "{operation}: {count} of {all} rules {why}");
    }
    text
}

fn verdicts(cell: &Cell, witness: Option<&BuildId>) -> String {
    let mut text = format!("{}\n", paint(HEADING, "verdicts"));
    let mut unharmed = 0;
    for rule in &cell.outcome.rules {
        if facts::is_unharmed(rule) {
            unharmed += 1;
        } else {
            text.push_str(&of_rule(cell, rule, witness));
        }
    }
    for chain in &cell.outcome.chains {
        text.push_str(&of_chain(chain));
    }
    if unharmed > 0 {
        let _ = writeln!(
            text,
            "  {unharmed} of {} rules: nothing lost",
            cell.outcome.rules.len()
        );
    }
    text.push('\n');
    text
}

fn of_rule(cell: &Cell, rule: &RuleVerdict, witness: Option<&BuildId>) -> String {
    let mut bystanders = cell.bystanders.iter();
    let by = bystanders.find(|of| of.layer == rule.layer);
    let by = by.map(|of| format!(", which {} wrote (layer {})", of.id, of.layer));
    let by = by.unwrap_or_default();
    let place = format!("  {} {} {}{by}\n", rule.table, rule.chain, rule.index);
    place + &lines([facts::texts(rule, witness), facts::of_rule(rule)].concat())
}

fn of_chain(chain: &ChainVerdict) -> String {
    if chain.of_reader().all(|verdict| verdict.severity() == 0) {
        return String::new();
    }
    let place = format!("  {} chain {}\n", chain.table, chain.chain);
    place + &lines(facts::of_chain(chain))
}

/// What became of the scenario's packets.
fn packets(cell: &Cell) -> String {
    if cell.outcome.probes.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", paint(HEADING, "packets"));
    for probe in &cell.outcome.probes {
        let _ = writeln!(text, "  {}", inert(&probe.name));
        text.push_str(&lines(facts::of_probe(probe)));
    }
    text.push('\n');
    text
}

fn lines(facts: Vec<Fact>) -> String {
    let names = facts.iter().map(|fact| fact.name.chars().count());
    let width = names.max().unwrap_or(0).max(15);
    let mut text = String::new();
    for Fact { name, said } in facts {
        let said = match said {
            Said::Verdict(verdict) => explained(verdict),
            Said::Text(said) => inert(&said),
        };
        let _ = writeln!(text, "    {name:<width$} {said}");
    }
    text
}

fn explained(verdict: Verdict) -> String {
    format!(
        "{}: {}",
        paint(style(verdict), verdict),
        wording::verdict_meaning(verdict)
    )
}

/// What writer and reader say when both backends hold rules.
fn warnings(cell: &Cell) -> String {
    if cell.outcome.warnings.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", paint(HEADING, "warnings"));
    for warning in &cell.outcome.warnings {
        let _ = writeln!(text, "  {}: {}", warning.by, inert(&warning.text));
    }
    text.push('\n');
    text
}

/// What died, and the least ruleset on which it did.
fn crashes(cell: &Cell) -> String {
    let mut text = String::new();
    for crash in &cell.outcome.crashes {
        let died = facts::crash(crash);
        let died = format!("{}. The fewest rules that cause it:", inert(&died));
        let _ = writeln!(text, "{}", paint(HEADING, died));
        for line in crash.rules.lines() {
            let _ = writeln!(text, "  {}", inert(line));
        }
        text.push('\n');
    }
    text
}

/// What writer and reader print of the same kernel state, as a diff.
fn prints(cell: &Cell, load: &LoadRecord) -> String {
    let Some((written, read)) = both_prints(cell, load) else {
        return String::new();
    };
    let mut text = format!(
        "{}\n",
        paint(
            HEADING,
            "what the writer prints (-) and what the reader prints (+)"
        )
    );
    if written == read {
        let _ = writeln!(text, "  the same, {} lines", written.lines().count());
    }
    for group in TextDiff::from_lines(&written, &read).grouped_ops(2) {
        for change in group.iter().flat_map(|op| {
            TextDiff::from_lines(&written, &read)
                .iter_changes(op)
                .map(|c| (c.tag(), c.value().to_owned()))
                .collect::<Vec<_>>()
        }) {
            let (tag, line) = change;
            let line = line.trim_end_matches('\n');
            let _ = match tag {
                ChangeTag::Delete => writeln!(
                    text,
                    "{}",
                    paint(style(Verdict::Lossy), format!("- {line}"))
                ),
                ChangeTag::Insert => {
                    writeln!(text, "{}", paint(style(Verdict::Same), format!("+ {line}")))
                }
                ChangeTag::Equal => writeln!(text, "  {line}"),
            };
        }
    }
    text.push('\n');
    text
}

/// What writer and reader print of the same kernel state: without what only says when; none where one did not print.
pub fn both_prints(cell: &Cell, load: &LoadRecord) -> Option<(String, String)> {
    let find = |role: Role, of_reader: bool| {
        load.observations.iter().find_map(|seen| match &seen.seen {
            Seen::Command(command)
                if seen.role == role
                    && (seen.reader.as_ref() == Some(&cell.reader)) == of_reader =>
            {
                Some(command)
            }
            _ => None,
        })
    };
    let normalised = |command: &CommandRecord| {
        let printed = load.text(command.stdout).to_lossy();
        inert(&crate::tool::iptables::normalise_save(&printed))
    };
    let written = find(Role::WriterPrint, false)?;
    let read = find(Role::ReaderPrint, true)?;
    Some((normalised(written), normalised(read)))
}
