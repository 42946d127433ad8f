//! The folded matrix as text: one table per backend, its legend, and what is said where nothing is lost.

use std::ops::Range;

use super::terminal::{ASIDE, paint, style, wrap};
use super::wording;
use crate::judge::verdict::Verdict;
use crate::matrix::{BuildSet, Folded, Layer, Letter, Letters, Matrix, folded};

/// The folded matrices with their legend, in `width` columns.
pub fn lines(matrix: &Matrix, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let all = folded(matrix);
    let mut used = Letters::default();
    for of in all.iter().filter(|of| of.is_harmed()) {
        let title = wrap(&wording::folded_title(of), width).into_iter();
        lines.extend(title.map(|line| paint(ASIDE, line)));
        lines.extend(table(of, width));
        used = used.and(of.letters());
    }
    if !used.is_empty() {
        lines.extend(wrap_at(&wording::legend(used), " · ", width));
    }
    for of in all.iter().filter(|of| !of.is_harmed()) {
        let said = wrap(&wording::nothing_lost(of), width).into_iter();
        lines.extend(said.map(|line| paint(style(Verdict::Same), line)));
    }
    if let Some(said) = wording::of_several_programs(matrix) {
        lines.extend(
            wrap(&said, width)
                .into_iter()
                .map(|line| paint(ASIDE, line)),
        );
    }
    lines
}

/// Breaks a list between its items only.
fn wrap_at(text: &str, between: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in text.split(between) {
        match lines.last_mut() {
            Some(last)
                if last.chars().count() + between.chars().count() + item.chars().count()
                    <= width =>
            {
                last.push_str(between);
                last.push_str(item);
            }
            _ => lines.push(item.to_owned()),
        }
    }
    lines
}

/// The least columns that the names of a row get.
const LABEL: usize = 18;

/// One folded matrix: the number of a column is that of the row of the same builds.
fn table(of: &Folded, width: usize) -> Vec<String> {
    let signs = |letters: &Option<Letters>| match letters {
        Some(letters) if letters.is_empty() => ".".to_owned(),
        Some(letters) => letters.signs(),
        None => String::new(),
    };
    let widths: Vec<usize> = (0..of.columns.len())
        .map(|column| {
            let rows = of.layers.iter().flat_map(|layer| layer.rows.values());
            let widest = rows.map(|row| signs(&row[column]).len()).max().unwrap_or(0);
            widest.max((column + 1).to_string().len()) + 1
        })
        .collect();
    let names = Names::of(of);
    let longest = names.rows.iter().map(|(_, name)| name.chars().count() + 3);
    let longest = longest.max().unwrap_or(0);
    let mut lines = Vec::new();
    for block in blocks(&widths, width.saturating_sub(LABEL)) {
        let taken: usize = widths[block.clone()].iter().sum();
        let label = longest
            .min(width.saturating_sub(taken))
            .max(LABEL.min(width));
        let numbers = block
            .clone()
            .map(|at| format!("{:>1$}", at + 1, widths[at]));
        let numbers: String = numbers.collect();
        lines.push(paint(ASIDE, format!("{:label$}{numbers}", "")));
        for layer in &of.layers {
            if let Some(said) = wording::layer(layer, &of.layers) {
                lines.push(paint(ASIDE, said));
            }
            let shown = Shown {
                label,
                widths: &widths,
                block: block.clone(),
            };
            lines.extend(rows(layer, &names, &shown, signs));
        }
    }
    for line in wrap_at(&names.unexplained.join("; "), "; ", width.saturating_sub(2)) {
        if !line.is_empty() {
            lines.push(paint(ASIDE, format!("  {line}")));
        }
    }
    lines
}

/// The columns, in blocks that fit side by side into `room`.
fn blocks(widths: &[usize], room: usize) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut taken = 0;
    for (at, width) in widths.iter().enumerate() {
        match blocks.last_mut() {
            Some(last) if taken + width <= room => last.end = at + 1,
            _ => {
                blocks.push(at..at + 1);
                taken = 0;
            }
        }
        taken += width;
    }
    blocks
}

/// What part of a folded matrix is shown, and how wide.
struct Shown<'w> {
    label: usize,
    widths: &'w [usize],
    block: Range<usize>,
}

fn rows(
    layer: &Layer,
    names: &Names,
    shown: &Shown<'_>,
    signs: impl Fn(&Option<Letters>) -> String,
) -> Vec<String> {
    let (label, block) = (shown.label, &shown.block);
    let mut lines = Vec::new();
    for (at, cells) in &layer.rows {
        let (number, name) = &names.rows[*at];
        let mut said = wrap(name, label.saturating_sub(3)).into_iter();
        let first = format!("{number} {}", said.next().unwrap_or_default());
        let cells = cells[block.clone()]
            .iter()
            .zip(&shown.widths[block.clone()]);
        let cells = cells.map(|(letters, width)| {
            let text = format!("{:>width$}", signs(letters));
            match letters {
                Some(letters) => paint(tone(*letters), text),
                None => text,
            }
        });
        let line: String = cells.collect();
        lines.push(format!("{first:<label$}{line}"));
        lines.extend(said.map(|line| format!("   {line}")));
    }
    lines
}

/// What the rows and columns of a folded matrix are called.
struct Names {
    /// The number and the builds of each row.
    rows: Vec<(String, String)>,
    /// The columns that no row explains.
    unexplained: Vec<String>,
}

impl Names {
    fn of(of: &Folded) -> Names {
        let same = |one: &BuildSet, other: &BuildSet| one.ids().eq(other.ids());
        let number = |row: &BuildSet| {
            let at = of.columns.iter().position(|column| same(row, column));
            at.map_or_else(|| "  ".to_owned(), |at| format!("{:>2}", at + 1))
        };
        let numbers: Vec<String> = of.rows.iter().map(number).collect();
        let rows = of.rows.iter().zip(numbers);
        let columns = of.columns.iter().enumerate();
        Names {
            rows: rows
                .map(|(row, number)| (number, wording::class(row)))
                .collect(),
            unexplained: columns
                .filter(|(_, column)| !of.rows.iter().any(|row| same(row, column)))
                .map(|(at, column)| format!("{} {}", at + 1, wording::class(column)))
                .collect(),
        }
    }
}

/// The colour of letters: red where a rule silently becomes another one.
pub(super) fn tone(letters: Letters) -> anstyle::Style {
    let silent = [
        Letter::Mark,
        Letter::Port,
        Letter::Address,
        Letter::Interface,
        Letter::Other,
    ];
    let is_silent = silent.into_iter().any(|of| letters.has(of));
    match (letters.is_empty(), is_silent) {
        (true, _) => style(Verdict::Same),
        (false, true) => style(Verdict::Lossy),
        (false, false) => style(Verdict::Unrestorable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_side_by_side_are_below_each_other() {
        assert_eq!(blocks(&[5, 5, 5, 5], 11), [0..2, 2..4]);
        let only = |widths: &[usize]| match blocks(widths, 20).as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        assert_eq!(only(&[5, 5]), Some(0..2));
        assert_eq!(only(&[30]), Some(0..1));
    }
}
