//! One cell in full: the commands as they were run, both texts, the verdicts and why.

pub(in crate::report) mod commands;

use std::fmt::Write;

use nix::sys::signal::Signal;
use similar::{ChangeTag, TextDiff};

use super::terminal::{HEADING, inert, paint, sign, style};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::plan::step::Role;
use crate::recording::{CommandRecord, LoadRecord, Seen};
use crate::ruleset::Change;
use crate::scenario::Scenario;

/// The cell, from the load that it was judged from, and its scenario.
pub fn render(cell: &Cell, load: &LoadRecord, scenario: &Scenario) -> String {
    let mut page = String::new();
    let title = format!(
        "{} / {} / {} / {}",
        cell.writer, cell.reader, cell.scenario, cell.family
    );
    let _ = writeln!(page, "{}", paint(HEADING, title));
    let mark = paint(
        style(cell.verdict),
        format!("{} {}", sign(cell.verdict), cell.verdict),
    );
    let _ = writeln!(page, "{mark}: {}\n", cell.verdict.meaning());
    page.push_str(&verdicts(cell));
    page.push_str(&packets(cell));
    page.push_str(&warnings(cell));
    page.push_str(&crashes(cell));
    page.push_str(&prints(cell, load));
    page.push_str(&commands::render(cell, load, scenario));
    page
}

fn verdicts(cell: &Cell) -> String {
    let mut text = format!("{}\n", paint(HEADING, "verdicts"));
    let mut unharmed = 0;
    for rule in &cell.rules {
        if rule.of_reader().all(|verdict| verdict.severity() == 0) {
            unharmed += 1;
        } else {
            text.push_str(&of_rule(rule));
        }
    }
    for chain in &cell.chains {
        text.push_str(&of_chain(chain));
    }
    if unharmed > 0 {
        let _ = writeln!(
            text,
            "  {unharmed} of {} rules: same, kept, recognised",
            cell.rules.len()
        );
    }
    text.push('\n');
    text
}

fn of_rule(rule: &RuleVerdict) -> String {
    let mut text = format!("  {} {} {}\n", rule.table, rule.chain, rule.index);
    let texts = [
        ("given", Some(&rule.given)),
        ("written", rule.written.as_ref()),
        ("read", rule.read.as_ref()),
        ("witness before", rule.witness_before.as_ref()),
        ("witness after", rule.witness_after.as_ref()),
        ("reread", rule.reread.as_ref()),
    ];
    for (name, said) in texts {
        if let Some(said) = said {
            let _ = writeln!(text, "    {name:<15} {}", inert(said));
        }
    }
    let operations = [
        ("write", rule.write),
        ("save", rule.read_verdict),
        ("list", rule.list),
        ("rewrite", rule.rewrite_verdict),
        ("recognition", rule.recognition),
        ("cycle", rule.cycle),
        ("sync", rule.sync),
        ("sync-noflush", rule.sync_noflush),
        ("check", rule.check),
        ("delete", rule.delete),
        ("reassert", rule.reassert),
    ];
    for (name, verdict) in operations {
        if let Some(verdict) = verdict {
            let _ = writeln!(text, "    {name:<15} {}", explained(verdict));
        }
    }
    text.push_str(&details(rule));
    for (how, changes) in [
        ("lost", &rule.lost),
        ("altered", &rule.altered),
        ("added", &rule.added),
    ] {
        for change in changes {
            let _ = writeln!(text, "    {how:<15} {}", inert(&change_in_words(change)));
        }
    }
    for (name, consequence) in [
        ("consequence", rule.consequence),
        ("predicted", rule.potential),
    ] {
        if let Some(consequence) = consequence {
            let meaning = consequence.meaning();
            let _ = writeln!(text, "    {name:<15} {consequence}: {meaning}");
        }
    }
    if let Some(reason) = &rule.reason {
        let _ = writeln!(text, "    {:<15} {}", "because", inert(reason));
    }
    text
}

/// What is known besides the verdicts of cycle, check, delete and reassert.
fn details(rule: &RuleVerdict) -> String {
    let mut text = String::new();
    let mut line = |name: &str, said: String| {
        let _ = writeln!(text, "    {name:<15} {}", inert(&said));
    };
    if let Some(drift) = &rule.drift {
        let to = drift.to.as_deref().unwrap_or("nothing that can be told");
        line(
            "drifts",
            format!("in round {}, by {}, to {to}", drift.round, drift.by),
        );
    }
    if let Some(near_miss) = &rule.near_miss {
        line("-C finds too", format!("the rule with {near_miss}"));
    }
    if let Some(instead) = &rule.deleted_instead {
        line("-D deleted", instead.clone());
    }
    if let Some(met) = &rule.met {
        let (writer, reader) = (met.writer, met.reader);
        line(
            "packets met",
            format!("{writer} under the writer's backend, {reader} under the reader's"),
        );
    }
    text
}

/// What became of the scenario's packets.
fn packets(cell: &Cell) -> String {
    if cell.probes.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", paint(HEADING, "packets"));
    for probe in &cell.probes {
        let _ = writeln!(text, "  {}", inert(&probe.name));
        let mut line = |name: &str, said: &str| {
            let _ = writeln!(text, "    {name:<15} {}", inert(said));
        };
        line("expected", &probe.expected);
        line("before", probe.before.as_deref().unwrap_or("not sent"));
        line("written", probe.written.as_deref().unwrap_or("not sent"));
        if probe.as_expected == Some(false) {
            line("broken", "that is not what the scenario expects");
        }
        for (operation, effect) in &probe.after {
            let then = probe.then.get(operation);
            let then = then.map_or_else(String::new, |then| format!(": {then}"));
            line(operation.as_str(), &format!("{effect}{then}"));
        }
    }
    text.push('\n');
    text
}

fn of_chain(chain: &ChainVerdict) -> String {
    let harmed = chain.of_reader().any(|verdict| verdict.severity() > 0);
    if !harmed {
        return String::new();
    }
    let mut text = format!("  {} chain {}\n", chain.table, chain.chain);
    let operations = [
        ("save", chain.read_verdict),
        ("rewrite", chain.rewrite_verdict),
        ("cycle", chain.cycle),
        ("sync", chain.sync),
        ("sync-noflush", chain.sync_noflush),
    ];
    for (name, verdict) in operations {
        if let Some(verdict) = verdict {
            let _ = writeln!(text, "    {name:<15} {}", explained(verdict));
        }
    }
    if let Some(reason) = &chain.reason {
        let _ = writeln!(text, "    {:<15} {}", "because", inert(reason));
    }
    text
}

fn explained(verdict: Verdict) -> String {
    format!("{}: {}", paint(style(verdict), verdict), verdict.meaning())
}

fn change_in_words(change: &Change) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{}: `{from}` is now `{to}`", change.part),
        (Some(from), None) => format!("{}: `{from}`", change.part),
        (None, Some(to)) => format!("{}: `{to}`", change.part),
        (None, None) => change.part.clone(),
    }
}

/// What writer and reader say when both backends hold rules.
fn warnings(cell: &Cell) -> String {
    if cell.warnings.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", paint(HEADING, "warnings"));
    for warning in &cell.warnings {
        let _ = writeln!(text, "  {}: {}", warning.by, inert(&warning.text));
    }
    text.push('\n');
    text
}

/// What died, and the least ruleset on which it did.
fn crashes(cell: &Cell) -> String {
    let mut text = String::new();
    for crash in &cell.crashes {
        let signal = match Signal::try_from(crash.signal) {
            Ok(signal) => signal.as_str().to_owned(),
            Err(_) => format!("signal {}", crash.signal),
        };
        let died = format!("{} of {} dies of {signal}", crash.argv.join(" "), crash.by);
        let died = format!("{}; the least rules on which it does", inert(&died));
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
    let (Some(written), Some(read)) = (
        find(Role::WriterPrint, false),
        find(Role::ReaderPrint, true),
    ) else {
        return String::new();
    };
    let normalised = |command: &CommandRecord| {
        inert(&crate::ruleset::normalise_save(
            &load.text(command.stdout).to_lossy(),
        ))
    };
    let (written, read) = (normalised(written), normalised(read));
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
