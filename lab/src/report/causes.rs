//! The causes of a run, as a table for the terminal, or one of them whole.

use super::markdown::escape;
use super::terminal::{HEADING, cut, inert, paint, style, wrap};
use super::wording;
use crate::cause::{Cause, Causes, KnownCause, Seen, SeenCell};
use crate::judge::verdict::Verdict;
use crate::matrix::Matrix;

/// What is known of the causes of a run, each with how the run showed it.
pub fn shown(matrix: &Matrix, causes: &Causes) -> Vec<KnownCause> {
    causes.causes.iter().map(|of| known(matrix, of)).collect()
}

fn known(matrix: &Matrix, cause: &Cause) -> KnownCause {
    let day = matrix.started.strftime("%Y-%m-%d").to_string();
    let stem = |of: &Option<crate::matrix::BuildName>| of.as_ref().map(|of| of.stem.clone());
    let cell = &cause.cell;
    let seen = Seen {
        encoders: wording::builds(&cause.encoders),
        decoders: wording::builds(&cause.decoders),
        since: stem(&cause.edge.first_encoder),
        mended_in: stem(&cause.edge.mended_in),
        lost: wording::lost(cause),
        worst: wording::worst(&cause.worst),
        before: cause.example.as_ref().map(|of| of.before.clone()),
        after: cause.example.as_ref().map(|of| of.after.clone()),
        told_by: cause.signatures.keys().map(ToString::to_string).collect(),
        reason: cause.reason.clone(),
        cell: SeenCell {
            scenario: cell.scenario.clone(),
            family: cell.family,
            writer: cell.writer.clone(),
            reader: cell.reader.clone(),
        },
        scenarios: cause.scenarios.len(),
        rules: cause.rules,
        cells: cause.cells,
        kernel: matrix.host.kernel.clone(),
        first: day.clone(),
        last: day,
    };
    let unknown = || KnownCause {
        name: cause.name.clone(),
        says: wording::signatures(cause.signatures.keys()),
        kind: None,
        signatures: cause.signatures.keys().map(ToString::to_string).collect(),
        remedy: None,
        reports: Vec::new(),
        commits: crate::cause::Commits::default(),
        seen: None,
    };
    KnownCause {
        seen: Some(seen),
        ..cause.known.clone().unwrap_or_else(unknown)
    }
}

/// All of them, in few columns: name, since when and mended when, the worst that comes of it, and how many rules.
pub fn table(causes: &[KnownCause], width: usize) -> String {
    let cells = causes.iter().map(|of| {
        let seen = of.seen.as_ref();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            of.name.clone(),
            or_none(seen.and_then(|of| of.since.clone())),
            or_none(seen.and_then(|of| of.mended_in.clone())),
            or_none(seen.map(|of| of.worst.clone())),
            or_none(seen.map(|of| of.rules.to_string())),
        ]
    });
    let head = ["CAUSE", "SINCE", "MENDED", "WORST", "RULES"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(cells).collect();
    let columns = [0, 1, 2, 3, 4].map(|at| {
        let lengths = rows.iter().map(|row| row[at].chars().count());
        lengths.max().unwrap_or(0)
    });
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let (cell, width) = (inert(cell), columns[column]);
            match column {
                4 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = cut(line.trim_end(), width);
        let line = if at == 0 { paint(HEADING, line) } else { line };
        text.push_str(&line);
        text.push('\n');
        if let Some(says) = at.checked_sub(1).and_then(|at| causes.get(at)) {
            for line in wrap(&inert(&says.says), width.saturating_sub(4)) {
                text.push_str(&format!("    {line}\n"));
            }
        }
    }
    text
}

/// What is said of a cause one after the other: what kind it is, what is lost, whom it hits, since when, and what to do.
pub fn facts(cause: &KnownCause) -> Vec<(&'static str, String)> {
    let kind = cause.kind.map_or("not known", wording::cause_kind);
    let mut facts = vec![("kind", kind.to_owned())];
    if let Some(seen) = &cause.seen {
        let (rules, scenarios, cells) = (seen.rules, seen.scenarios, seen.cells);
        let days = wording::cause_days(&seen.first, &seen.last, &seen.kernel);
        let all = [
            ("lost", Some(seen.lost.clone())),
            ("written by", Some(seen.encoders.clone())),
            ("read by", Some(seen.decoders.clone())),
            ("since", seen.since.clone()),
            ("mended in", seen.mended_in.clone()),
            ("worst", Some(seen.worst.clone())),
            (
                "where",
                Some(wording::cause_places(rules, scenarios, cells)),
            ),
            ("it says", seen.reason.clone()),
            ("seen", Some(days)),
        ];
        let known = all.into_iter();
        facts.extend(known.filter_map(|(name, said)| Some((name, said?))));
    }
    facts.extend(cause.remedy.clone().map(|said| ("what to do", said)));
    facts
}

/// One cause as a page of Markdown, which reads as a mail of plain text too.
pub fn markdown(cause: &KnownCause) -> String {
    let mut text = format!("# {}\n\n{}.\n\n", escape(&cause.name), escape(&cause.says));
    for (name, said) in facts(cause) {
        text.push_str(&format!("- {name}: {}\n", escape(&inert(&said))));
    }
    if let Some(seen) = &cause.seen
        && let (Some(before), Some(after)) = (&seen.before, &seen.after)
    {
        text.push_str("\nA rule as it was, and as it is then:\n\n");
        text.push_str(&format!(
            "    - {}\n    + {}\n",
            inert(before),
            inert(after)
        ));
    }
    let commits: Vec<_> = cause.commits.all().collect();
    if !commits.is_empty() {
        text.push_str("\n## Commits\n\n");
        for (what, found) in commits {
            let found = escape(&inert(&wording::found_commit(found)));
            text.push_str(&format!("- {what} {found}\n"));
        }
    }
    text.push_str("\n## What it is told by\n\n");
    text.push_str("What the kernel holds, without values:\n\n");
    for signature in told_by(cause) {
        text.push_str(&format!("    {}\n", inert(signature)));
    }
    if !cause.reports.is_empty() {
        text.push_str("\n## Reports\n\n");
        for report in &cause.reports {
            text.push_str(&format!("- <{}>\n", inert(report)));
        }
    }
    if let Some(Seen { cell, .. }) = &cause.seen {
        text.push_str("\n## To see it\n\n");
        let SeenCell {
            scenario,
            family,
            writer,
            reader,
        } = cell;
        text.push_str(&format!(
            "    iptables-lab evidence --scenario {scenario} --family {family} \\\n      --writer {writer} --reader {reader}\n"
        ));
    }
    text
}

/// One cause whole.
pub fn one(cause: &KnownCause, width: usize) -> String {
    let mut lines = vec![paint(HEADING, inert(&cause.name))];
    let mut say = |name: &str, text: &str| {
        let said = wrap(&inert(text), width.saturating_sub(16)).into_iter();
        for (at, line) in said.enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(format!("  {name:<13} {line}"));
        }
    };
    say("what", &cause.says);
    for (name, said) in facts(cause) {
        say(name, &said);
    }
    for (what, found) in cause.commits.all() {
        say(what, &wording::found_commit(found));
    }
    for report in &cause.reports {
        say("report", report);
    }
    for signature in told_by(cause) {
        say("told by", signature);
    }
    if let Some(seen) = &cause.seen {
        if let (Some(before), Some(after)) = (&seen.before, &seen.after) {
            let painted = |mark: &str, text: &str, verdict| {
                let text = inert(&format!("{mark} {text}"));
                paint(style(verdict), text)
            };
            lines.push(String::new());
            lines.push(painted("-", before, Verdict::Same));
            lines.push(painted("+", after, Verdict::Lossy));
        }
        let SeenCell {
            scenario,
            family,
            writer,
            reader,
        } = &seen.cell;
        lines.push(String::new());
        lines.push(inert(&format!(
            "iptables-lab show {writer} {reader} --scenario {scenario} --family {family}"
        )));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The signatures that a run showed; where none did, patterns of such.
fn told_by(cause: &KnownCause) -> &[String] {
    match &cause.seen {
        Some(seen) => &seen.told_by,
        None => &cause.signatures,
    }
}

/// Some of them as one JSON document.
///
/// # Errors
/// None that is known: every value can be written.
pub fn json(causes: &impl serde::Serialize) -> std::io::Result<String> {
    let mut text = serde_json::to_string_pretty(causes)?;
    text.push('\n');
    Ok(text)
}
