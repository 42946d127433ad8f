//! The matrix for the terminal: a table a scenario, writers down, readers across, and each distinct loss in a line.

use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::{Alignment, Padding, Style as Borders, object::Columns};

use super::terminal::{ASIDE, HEADING, absent, inert, paint, sign, style, wrap};
use super::wording;
use crate::catalog::{Build, BuildId, Family};
use crate::judge::verdict::Verdict;
use crate::matrix::{Loss, Matrix, ScenarioHead, broken, losses, packet_changes};

/// The whole matrix, in `width` columns.
pub fn render(matrix: &Matrix, width: usize) -> String {
    let mut page = String::new();
    for scenario in &matrix.scenarios {
        let title = format!("{}  {}", scenario.name, inert(&scenario.title));
        let title = wrap(&title, width.saturating_sub(2)).join("\n  ");
        let (name, title) = title.split_at(scenario.name.len());
        let _ = writeln!(page, "{} {title}", paint(HEADING, name));
        for (families, table) in tables(matrix, scenario, width) {
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
        page.push_str(&losses_of(matrix, scenario, width));
        for said in wording::not_tested(matrix, &scenario.name) {
            let mark = paint(style(Verdict::Unsupported), sign(Verdict::Unsupported));
            page.push_str(&marked(mark, &said, width));
        }
        page.push_str(&packets_of(matrix, &scenario.name, width));
        page.push('\n');
    }
    page.push_str(&legend(matrix, width));
    page.push_str(&summary(matrix, width));
    page
}

/// A table for each family, one for both where they are alike.
fn tables(matrix: &Matrix, scenario: &ScenarioHead, width: usize) -> Vec<(Vec<Family>, String)> {
    let mut tables: Vec<(Vec<Family>, String)> = Vec::new();
    for family in matrix.families(&scenario.name) {
        let table = table(matrix, scenario, family, width);
        match tables.iter_mut().find(|(_, known)| *known == table) {
            Some((families, _)) => families.push(family),
            None => tables.push((vec![family], table)),
        }
    }
    tables
}

fn table(matrix: &Matrix, scenario: &ScenarioHead, family: Family, width: usize) -> String {
    let (writers, readers) = (matrix.writers_of(scenario, family), matrix.readers());
    let known = matrix.by_pairing(&scenario.name, family);
    let headers = Headers::fitting(&writers, &readers, width);
    let mut builder = Builder::default();
    builder.push_record(std::iter::once(String::new()).chain(headers.columns));
    for (label, writer) in headers.rows.into_iter().zip(&writers) {
        let signs = readers
            .iter()
            .map(|reader| match known.get(&(&writer.id, &reader.id)) {
                Some(cell) => paint(style(cell.verdict), sign(cell.verdict)),
                None => paint(ASIDE, absent(matrix.absence(scenario, writer, reader))),
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

fn losses_of(matrix: &Matrix, scenario: &ScenarioHead, width: usize) -> String {
    if matrix.families(&scenario.name).is_empty() {
        return format!("  {}\n", wording::no_cell(matrix, scenario));
    }
    let losses = losses(matrix, &scenario.name);
    if losses.is_empty() {
        let said = wording::no_harm(matrix, &scenario.name);
        return format!("  {}\n", paint(style(Verdict::Same), said));
    }
    let line = |loss: &Loss| {
        let mark = paint(style(loss.form.harm.verdict), sign(loss.form.harm.verdict));
        marked(mark, &wording::loss(matrix, loss), width)
    };
    losses.iter().map(line).collect()
}

/// The packets that fare otherwise afterwards, and those that do not fare as the scenario says in the first place.
fn packets_of(matrix: &Matrix, scenario: &str, width: usize) -> String {
    let broken = broken(matrix, scenario);
    let broken = broken.iter().map(|of| ('?', wording::broken(of)));
    let changes = packet_changes(matrix, scenario);
    let changes = changes.iter().map(|of| ('*', wording::packet(of)));
    let lines = broken.chain(changes);
    lines
        .map(|(mark, said)| marked(paint(style(Verdict::Lossy), mark), &said, width))
        .collect()
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

/// The signs that the tables use, with how many cells have each.
fn legend(matrix: &Matrix, width: usize) -> String {
    let mut text = format!("{}\n", paint(HEADING, "signs"));
    for (verdict, count) in wording::verdicts(matrix) {
        let mark = paint(style(verdict), sign(verdict));
        let name = format!("{verdict} ({count})");
        let said = meaning(wording::verdict_meaning(verdict), width);
        let _ = writeln!(text, "  {mark} {name:<26} {said}");
    }
    for absence in matrix.absences() {
        let (mark, name) = (paint(ASIDE, absent(absence)), wording::absence(absence));
        let said = meaning(wording::absence_meaning(absence), width);
        let _ = writeln!(text, "  {mark} {name:<26} {said}");
    }
    for consequence in wording::consequences(matrix) {
        let said = meaning(wording::consequence_meaning(consequence), width);
        let _ = writeln!(text, "    {:<26} {said}", consequence.as_str());
    }
    text.push('\n');
    text
}

/// What a word of the legend means, beside it.
fn meaning(text: &str, width: usize) -> String {
    wrap(text, width.saturating_sub(31)).join(&format!("\n{:31}", ""))
}

fn summary(matrix: &Matrix, width: usize) -> String {
    let lines = |text: &str| wrap(&inert(text), width.saturating_sub(2)).join("\n  ");
    let mut text = String::new();
    // What could not be run never vanishes.
    let all = wording::not_available(matrix).into_iter();
    let all = all.chain(wording::without_bystander(matrix));
    for said in all.chain([
        wording::count(matrix),
        wording::machine(matrix),
        wording::when(matrix),
    ]) {
        let _ = writeln!(text, "{}", lines(&said));
    }
    for said in wording::known(matrix) {
        let _ = writeln!(text, "{}", lines(&said));
    }
    if let Some(said) = wording::cut_short(matrix) {
        let _ = writeln!(text, "{}", paint(style(Verdict::Lossy), lines(&said)));
    }
    text
}
