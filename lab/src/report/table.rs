//! The matrix for the terminal: a table a scenario, writers down, readers across, and each distinct loss in a line.

use std::collections::BTreeSet;
use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::{Alignment, Padding, Style as Borders, object::Columns};

use super::by_reason;
use super::terminal::{ASIDE, HEADING, inert, paint, sign, style, wrap};
use crate::catalog::{Build, BuildId, Family};
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Loss, Matrix, Subject, broken, losses, packet_changes};

/// The whole matrix, in `width` columns.
pub fn render(matrix: &Matrix, width: usize) -> String {
    let mut page = String::new();
    for scenario in &matrix.scenarios {
        let title = format!("{}  {}", scenario.name, inert(&scenario.title));
        let title = wrap(&title, width.saturating_sub(2)).join("\n  ");
        let (name, title) = title.split_at(scenario.name.len());
        let _ = writeln!(page, "{} {title}", paint(HEADING, name));
        for (families, table) in tables(matrix, &scenario.name, width) {
            let families: Vec<&str> = families.iter().map(|family| family.as_str()).collect();
            let _ = writeln!(
                page,
                "{}",
                paint(
                    ASIDE,
                    format!("{}; writers down, readers across", families.join(" and "))
                )
            );
            let _ = writeln!(page, "{table}");
        }
        page.push_str(&losses_of(matrix, &scenario.name, width));
        page.push_str(&packets_of(matrix, &scenario.name, width));
        page.push('\n');
    }
    page.push_str(&legend(matrix, width));
    page.push_str(&not_run(matrix, width));
    page.push_str(&summary(matrix, width));
    page
}

/// A table for each family, one for both where they are alike.
fn tables(matrix: &Matrix, scenario: &str, width: usize) -> Vec<(Vec<Family>, String)> {
    let mut tables: Vec<(Vec<Family>, String)> = Vec::new();
    for family in matrix.families(scenario) {
        let table = table(matrix, scenario, family, width);
        match tables.iter_mut().find(|(_, known)| *known == table) {
            Some((families, _)) => families.push(family),
            None => tables.push((vec![family], table)),
        }
    }
    tables
}

fn table(matrix: &Matrix, scenario: &str, family: Family, width: usize) -> String {
    let (mut writers, readers) = (matrix.writers(), matrix.readers());
    let cells = matrix.cells.iter();
    let cells = cells.filter(|cell| cell.scenario == scenario && cell.family == family);
    let wrote: BTreeSet<&BuildId> = cells.map(|cell| &cell.writer).collect();
    writers.retain(|writer| wrote.contains(&writer.id));
    let headers = Headers::fitting(&writers, &readers, width);
    let mut builder = Builder::default();
    builder.push_record(std::iter::once(String::new()).chain(headers.columns));
    for (label, writer) in headers.rows.into_iter().zip(&writers) {
        let signs = readers.iter().map(|reader| {
            match matrix.cell(scenario, family, &writer.id, &reader.id) {
                Some(cell) => paint(style(cell.verdict), sign(cell.verdict)),
                None => " ".to_owned(),
            }
        });
        builder.push_record(std::iter::once(label).chain(signs));
    }
    let mut table = builder.build();
    table
        .with(Borders::blank())
        .with(Padding::new(0, headers.gap, 0, 0));
    table.modify(Columns::new(1..), Alignment::center());
    let table = table.to_string();
    let lines = table.lines().map(str::trim_end).map(str::to_owned);
    let numbers = wrap(&headers.unexplained.join(" "), width.saturating_sub(4));
    let numbers = numbers.into_iter().filter(|line| !line.is_empty());
    let numbers = numbers.map(|line| format!("    {}", paint(ASIDE, line)));
    lines.chain(numbers).collect::<Vec<_>>().join("\n")
}

/// The labels of a table: names where they fit, else numbers that the rows explain.
struct Headers {
    columns: Vec<String>,
    rows: Vec<String>,
    /// Readers that are in no row, with their numbers: `12=1.8.9-nft`.
    unexplained: Vec<String>,
    gap: usize,
}

impl Headers {
    fn fitting(writers: &[&Build], readers: &[&Build], width: usize) -> Self {
        let label_width = writers
            .iter()
            .map(|writer| writer.id.as_str().len())
            .max()
            .unwrap_or(0);
        let names: Vec<String> = readers.iter().map(|reader| stacked_name(reader)).collect();
        // Beside the padding there is a blank between any two columns.
        let needed = |gap: usize| {
            let column = |name: &String| name.lines().map(str::len).max().unwrap_or(0) + 1 + gap;
            label_width + names.iter().map(column).sum::<usize>()
        };
        if let Some(gap) = [1, 0].into_iter().find(|&gap| needed(gap) <= width) {
            let rows = writers.iter().map(|writer| writer.id.to_string()).collect();
            return Headers {
                columns: names,
                rows,
                unexplained: Vec::new(),
                gap,
            };
        }
        Headers::numbered(writers, readers, label_width, width)
    }

    fn numbered(writers: &[&Build], readers: &[&Build], label_width: usize, width: usize) -> Self {
        let rows = writers.iter().map(|writer| {
            let number = readers
                .iter()
                .position(|reader| reader.id == writer.id)
                .map(|at| (at + 1).to_string());
            format!("{:>2} {}", number.unwrap_or_default(), writer.id)
        });
        let numbered = readers.iter().enumerate();
        let is_row = |id: &BuildId| writers.iter().any(|writer| &writer.id == id);
        let unexplained = numbered
            .filter(|(_, reader)| !is_row(&reader.id))
            .map(|(at, reader)| format!("{}={}", at + 1, reader.id));
        let gap = usize::from(label_width + 4 + 3 * readers.len() <= width);
        let columns = (1..=readers.len()).map(|number| match number {
            0..=9 => format!(" \n{number}"),
            _ => format!("{}\n{}", number / 10, number % 10),
        });
        Headers {
            columns: columns.collect(),
            rows: rows.collect(),
            unexplained: unexplained.collect(),
            gap,
        }
    }
}

/// A build's name in as few columns as it takes: `debian`, `1.8.7-1` and `nft` under each other.
fn stacked_name(build: &Build) -> String {
    let image = build
        .id
        .as_str()
        .strip_suffix(build.backend.as_str())
        .unwrap_or(build.id.as_str())
        .trim_end_matches('-');
    match image.split_once('-') {
        Some((origin, version)) => format!("{origin}\n{version}\n{}", build.backend),
        None => format!("\n{image}\n{}", build.backend),
    }
}

fn losses_of(matrix: &Matrix, scenario: &str, width: usize) -> String {
    if matrix.families(scenario).is_empty() {
        return "  no pairing of these builds is one of the scenario's\n".to_owned();
    }
    let losses = losses(matrix, scenario);
    if losses.is_empty() {
        return format!(
            "  {}\n",
            paint(style(Verdict::Same), "no rule comes to harm")
        );
    }
    losses.iter().map(|loss| line_of(loss, width)).collect()
}

/// The packets that fare otherwise afterwards, and those that do not fare as the scenario says in the first place.
fn packets_of(matrix: &Matrix, scenario: &str, width: usize) -> String {
    let mut text = String::new();
    for of in broken(matrix, scenario) {
        let said = format!(
            "broken: {} ({}) is expected to be {} and is {}, with what {} writes",
            of.probe, of.family, of.expected, of.written, of.writers
        );
        let mark = paint(style(Verdict::Lossy), '?');
        text.push_str(&marked(mark, &said, width));
    }
    for change in packet_changes(matrix, scenario) {
        let operations: Vec<&str> = change.operations.iter().map(|of| of.as_str()).collect();
        let said = format!(
            "packet {}: {} ({}); {}, and {} after {}; {} → {}",
            change.effect,
            change.probe,
            change.family,
            change.written,
            change.then,
            operations.join(", "),
            change.writers,
            change.readers,
        );
        let mark = paint(style(Verdict::Lossy), '*');
        text.push_str(&marked(mark, &said, width));
    }
    text
}

/// One loss.
fn line_of(loss: &Loss, width: usize) -> String {
    let mark = paint(style(loss.verdict), sign(loss.verdict));
    let certainty = match loss.certainty {
        Certainty::Shown => ", as packets show",
        Certainty::Predicted => "",
        Certainty::Unmet => " by the rules, and no packet that was sent met it",
        Certainty::IfWrittenBack => " if written back",
    };
    let consequence = loss.consequence;
    let consequence = consequence.map_or_else(String::new, |of| format!("; {of}{certainty}"));
    let text = format!(
        "{}: {}; {} → {}{consequence}; {}",
        loss.verdict,
        loss.what,
        loss.writers,
        loss.readers,
        subjects_in_words(loss),
    );
    marked(mark, &text, width)
}

/// A line behind its mark: wrapped and indented where it is wider than the terminal.
fn marked(mark: String, text: &str, width: usize) -> String {
    let mut lines = wrap(&inert(text), width.saturating_sub(6)).into_iter();
    let mut out = format!("  {mark} {}\n", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(out, "      {line}");
    }
    out
}

/// `KUBE-FIREWALL 1-2, INPUT 1`; by family, where the families differ.
fn subjects_in_words(loss: &Loss) -> String {
    let mut by_words: Vec<(String, Vec<&str>)> = Vec::new();
    for (family, subjects) in &loss.subjects {
        let words = chains_in_words(subjects);
        match by_words.iter_mut().find(|(known, _)| *known == words) {
            Some((_, families)) => families.push(family.as_str()),
            None => by_words.push((words, vec![family.as_str()])),
        }
    }
    let words = by_words
        .iter()
        .map(|(words, families)| format!("{words} ({})", families.join(", ")));
    words.collect::<Vec<_>>().join(", ")
}

fn chains_in_words(subjects: &[Subject]) -> String {
    let mut chains: Vec<((&str, &str), Vec<usize>)> = Vec::new();
    for subject in subjects {
        let chain = (subject.table.as_str(), subject.chain.as_str());
        match chains.iter_mut().find(|(known, _)| *known == chain) {
            Some((_, indices)) => indices.extend(subject.index),
            None => chains.push((chain, subject.index.into_iter().collect())),
        }
    }
    // The table is said where tables have chains of the same name.
    let name = |(table, chain): (&str, &str)| {
        let of_name = chains.iter().filter(|((_, other), _)| *other == chain);
        match of_name.count() {
            1 => chain.to_owned(),
            _ => format!("{table} {chain}"),
        }
    };
    let words = chains
        .iter()
        .map(|(chain, indices)| match indices.as_slice() {
            [] => format!("chain {}", name(*chain)),
            indices => format!("{} {}", name(*chain), ranges(indices)),
        });
    words.collect::<Vec<_>>().join(", ")
}

/// `1-4+7` of 1, 2, 3, 4, 7.
fn ranges(indices: &[usize]) -> String {
    let mut words = Vec::new();
    for run in indices.chunk_by(|one, next| one + 1 == *next) {
        match run {
            [first, .., last] => words.push(format!("{first}-{last}")),
            [only] => words.push(only.to_string()),
            [] => {}
        }
    }
    words.join("+")
}

/// The signs that the tables use, with how many cells have each.
fn legend(matrix: &Matrix, width: usize) -> String {
    let used: BTreeSet<usize> = matrix
        .cells
        .iter()
        .filter_map(|cell| {
            Verdict::ALL
                .iter()
                .position(|verdict| *verdict == cell.verdict)
        })
        .collect();
    let mut text = format!("{}\n", paint(HEADING, "signs"));
    for verdict in used.into_iter().map(|at| Verdict::ALL[at]) {
        let count = matrix
            .cells
            .iter()
            .filter(|cell| cell.verdict == verdict)
            .count();
        let mark = paint(style(verdict), sign(verdict));
        let name = format!("{verdict} ({count})");
        let _ = writeln!(
            text,
            "  {mark} {name:<26} {}",
            meaning(verdict.meaning(), width)
        );
    }
    let consequences: BTreeSet<Consequence> = matrix
        .cells
        .iter()
        .flat_map(|cell| {
            let of_rules = cell
                .rules
                .iter()
                .filter_map(|rule| rule.consequence.or(rule.potential));
            of_rules.chain(cell.chains.iter().filter_map(|chain| chain.consequence))
        })
        .collect();
    for consequence in consequences {
        let _ = writeln!(
            text,
            "    {:<26} {}",
            consequence.as_str(),
            meaning(consequence.meaning(), width)
        );
    }
    text.push('\n');
    text
}

/// What a word of the legend means, beside it.
fn meaning(text: &str, width: usize) -> String {
    wrap(text, width.saturating_sub(31)).join(&format!("\n{:31}", ""))
}

/// What could not be run: it never vanishes.
fn not_run(matrix: &Matrix, width: usize) -> String {
    if matrix.missing.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "{}\n",
        paint(HEADING, format!("not run: {} builds", matrix.missing.len()))
    );
    for (reason, ids) in by_reason(&matrix.missing) {
        let lines = wrap(
            &inert(&format!("{}: {reason}", ids.join(", "))),
            width.saturating_sub(4),
        );
        let _ = writeln!(text, "  {}", lines.join("\n    "));
    }
    text.push('\n');
    text
}

fn summary(matrix: &Matrix, width: usize) -> String {
    let silent = matrix
        .cells
        .iter()
        .filter(|cell| cell.verdict.is_silent_damage())
        .count();
    let count = format!(
        "{} of {} pairings run ({} writers, {} readers, {} scenarios); silent damage in {silent}",
        matrix.cells.len(),
        matrix.pairings,
        matrix.writers().len(),
        matrix.readers().len(),
        matrix.scenarios.len(),
    );
    let witness = |id: &Option<crate::catalog::BuildId>| {
        id.as_ref().map_or("none".to_owned(), ToString::to_string)
    };
    let reason = matrix.host.engine_reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(", {reason}"));
    let machine = format!(
        "kernel {}, {}; engine: {}{reason}; witnesses: {} and {}",
        matrix.host.kernel,
        matrix.host.arch,
        matrix.host.engine,
        witness(&matrix.witness.nft),
        witness(&matrix.witness.legacy),
    );
    let lines = |text: &str| wrap(text, width.saturating_sub(2)).join("\n  ");
    let mut text = format!("{}\n{}\n", lines(&count), lines(&machine));
    for note in &matrix.host.notes {
        let _ = writeln!(text, "{}", lines(&inert(note)));
    }
    if let Some(reason) = &matrix.cut_short {
        let reason = lines(&format!("this run was cut short: {}", inert(reason)));
        let _ = writeln!(text, "{}", paint(style(Verdict::Lossy), reason));
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[1], "1")]
    #[case(&[1, 2, 3, 7], "1-3+7")]
    #[case(&[1, 3, 4], "1+3-4")]
    fn neighbouring_rules_are_named_as_a_range(#[case] indices: &[usize], #[case] words: &str) {
        assert_eq!(ranges(indices), words);
    }
}
