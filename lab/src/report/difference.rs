//! What differs between two matrices, causes first: for the terminal, as Markdown, as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::terminal::{HEADING, inert, paint, sign, style, wrap};
use super::{markdown, wording};
use crate::catalog::Family;
use crate::cause::{CauseChange, CauseDirection, Ends};
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{
    BuildSet, Certainty, Change, Difference, Direction, Example, Form, Inventory, Letters, Subject,
};

/// What is said where nothing differs.
const NOTHING: &str = "no loss came, went or changed";

/// For the terminal, in `width` columns.
pub fn text(difference: &Difference, causes: &[CauseChange], width: usize) -> String {
    let mut page = String::new();
    for direction in CAUSE_DIRECTIONS {
        let mut changes = causes
            .iter()
            .filter(|of| of.direction == direction)
            .peekable();
        if changes.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            page,
            "{}",
            paint(HEADING, wording::cause_direction(direction))
        );
        for change in changes {
            let said = inert(&wording::cause_change(change));
            let lines = wrap(&said, width.saturating_sub(6));
            let mark = paint(style(change.worst.verdict), cause_sign(change));
            let _ = writeln!(page, "  {mark} {}", lines.join("\n      "));
        }
        page.push('\n');
    }
    for direction in DIRECTIONS {
        let changes = of_direction(difference, direction);
        if changes.is_empty() {
            continue;
        }
        let _ = writeln!(page, "{}", paint(HEADING, heading(direction)));
        for change in changes {
            let verdict = worst(change);
            let lines = wrap(&inert(&wording::change(change)), width.saturating_sub(6));
            let mark = paint(style(verdict), sign(verdict));
            let _ = writeln!(page, "  {mark} {}", lines.join("\n      "));
        }
        page.push('\n');
    }
    for line in inventory(difference) {
        let _ = writeln!(
            page,
            "{}",
            wrap(&inert(&line), width.saturating_sub(2)).join("\n  ")
        );
    }
    page
}

/// As GitHub's Markdown, in at most `limit` characters.
pub fn markdown(difference: &Difference, causes: &[CauseChange], limit: usize) -> String {
    let mut page = "## What changed in what one iptables loses of another's rules\n".to_owned();
    let inventory = inventory(difference).into_iter();
    let end: String = inventory
        .map(|line| format!("\n{}\n", markdown::escape(&line)))
        .collect();
    let mut room = limit.saturating_sub(markdown::length(&page) + markdown::length(&end) + 100);
    let mut left_out = 0;
    let line = |sign: char, said: &str| {
        format!(
            "- {} {}\n",
            markdown::code(&sign.to_string()),
            markdown::escape(said)
        )
    };
    let of_causes = CAUSE_DIRECTIONS.map(|direction| {
        let changes = causes.iter().filter(|of| of.direction == direction);
        let lines = changes.map(|of| line(cause_sign(of), &wording::cause_change(of)));
        (
            wording::cause_direction(direction),
            lines.collect::<Vec<_>>(),
        )
    });
    let of_losses = DIRECTIONS.map(|direction| {
        let changes = of_direction(difference, direction).into_iter();
        let lines = changes.map(|of| line(sign(worst(of)), &wording::change(of)));
        (heading(direction), lines.collect::<Vec<_>>())
    });
    for (heading, lines) in of_causes.into_iter().chain(of_losses) {
        if lines.is_empty() {
            continue;
        }
        let mut section = format!("\n### {heading}\n\n");
        for line in lines {
            if left_out > 0 || markdown::length(&section) + markdown::length(&line) > room {
                left_out += 1;
            } else {
                section.push_str(&line);
            }
        }
        room = room.saturating_sub(markdown::length(&section));
        page.push_str(&section);
    }
    if left_out > 0 {
        let _ = writeln!(
            page,
            "\n_{left_out} lines are left out: there was no room for them._"
        );
    }
    page + &end
}

/// As one JSON document, indented, with a line's end.
///
/// # Errors
/// Never in practice: every field has a JSON form.
pub fn json(difference: &Difference, causes: &[CauseChange]) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(&DifferenceView::of(difference, causes))?;
    Ok(format!("{}\n", super::json::inert(&text)))
}

/// The form of the document.
#[derive(Serialize)]
struct DifferenceView<'a> {
    compared: usize,
    operations: &'a [String],
    came: &'a Inventory,
    went: &'a Inventory,
    causes: Vec<CauseView<'a>>,
    changes: Vec<ChangeView<'a>>,
}

/// A cause that differs.
#[derive(Serialize)]
struct CauseView<'a> {
    direction: CauseDirection,
    name: &'a str,
    says: Option<&'a str>,
    /// Whom it hits now and did not before.
    came: Vec<EndsView<'a>>,
    /// Whom it hit before and does not now.
    went: Vec<EndsView<'a>>,
    verdict: Verdict,
    consequence: Option<Consequence>,
    certainty: Certainty,
}

/// Who encodes and who decodes.
#[derive(Serialize)]
struct EndsView<'a> {
    encoders: &'a BuildSet,
    decoders: &'a BuildSet,
}

/// A loss that differs.
#[derive(Serialize)]
struct ChangeView<'a> {
    direction: Direction,
    scenario: &'a str,
    before: Option<FormView>,
    after: Option<FormView>,
    subjects: &'a BTreeMap<Family, Vec<Subject>>,
    writers: &'a BuildSet,
    readers: &'a BuildSet,
    pairings: usize,
    example: &'a Example,
}

/// What a loss is.
#[derive(Serialize)]
struct FormView {
    verdict: Verdict,
    /// In the words that people read.
    what: String,
    consequence: Option<Consequence>,
    certainty: Certainty,
}

impl<'a> DifferenceView<'a> {
    fn of(difference: &'a Difference, causes: &'a [CauseChange]) -> Self {
        let Difference {
            compared,
            operations,
            came,
            went,
            changes,
        } = difference;
        DifferenceView {
            compared: *compared,
            operations,
            came,
            went,
            causes: causes.iter().map(CauseView::of).collect(),
            changes: changes.iter().map(ChangeView::of).collect(),
        }
    }
}

impl<'a> CauseView<'a> {
    fn of(change: &'a CauseChange) -> Self {
        let ends = |all: &'a [Ends]| {
            let all = all.iter().map(|of| EndsView {
                encoders: &of.encoders,
                decoders: &of.decoders,
            });
            all.collect()
        };
        CauseView {
            direction: change.direction,
            name: &change.name,
            says: change.says.as_deref(),
            came: ends(&change.came),
            went: ends(&change.went),
            verdict: change.worst.verdict,
            consequence: change.worst.consequence,
            certainty: change.worst.certainty,
        }
    }
}

impl<'a> ChangeView<'a> {
    fn of(change: &'a Change) -> Self {
        ChangeView {
            direction: change.direction,
            scenario: &change.scenario,
            before: change.before.as_ref().map(FormView::of),
            after: change.after.as_ref().map(FormView::of),
            subjects: &change.subjects,
            writers: &change.writers,
            readers: &change.readers,
            pairings: change.pairings,
            example: &change.example,
        }
    }
}

impl FormView {
    fn of(form: &Form) -> Self {
        FormView {
            verdict: form.harm.verdict,
            what: wording::what(form),
            consequence: form.harm.consequence,
            certainty: form.harm.certainty,
        }
    }
}

/// What the old one ran and the new one did not, in a sentence: no regression can be told there.
pub fn less(difference: &Difference) -> Option<String> {
    if !difference.is_less() {
        return None;
    }
    let Inventory {
        builds,
        scenarios,
        operations,
        pairings,
    } = &difference.went;
    let named = [
        ("builds", builds),
        ("scenarios", scenarios),
        ("operations", operations),
    ];
    let pairings =
        (*pairings > 0).then(|| format!("{pairings} pairings of the older run were not run now"));
    let named = named.into_iter().filter(|(_, names)| !names.is_empty());
    let named = named.map(|(what, names)| format!("{what} that are missing: {}", names.join(", ")));
    let all: Vec<String> = pairings.into_iter().chain(named).collect();
    Some(inert(&format!("not compared: {}", all.join("; "))))
}

const CAUSE_DIRECTIONS: [CauseDirection; 3] = [
    CauseDirection::New,
    CauseDirection::Changed,
    CauseDirection::Gone,
];

fn cause_sign(change: &CauseChange) -> char {
    let signs = Letters::of(change.letter, change.worst.certainty).signs();
    signs.chars().next().unwrap_or(' ')
}

const DIRECTIONS: [Direction; 4] = [
    Direction::New,
    Direction::Worse,
    Direction::Changed,
    Direction::Gone,
];

fn of_direction(difference: &Difference, direction: Direction) -> Vec<&Change> {
    let changes = difference.changes.iter();
    changes
        .filter(|change| change.direction == direction)
        .collect()
}

fn heading(direction: Direction) -> &'static str {
    match direction {
        Direction::New => "new losses",
        Direction::Worse => "graver than before",
        Direction::Changed => "changed, and not graver",
        Direction::Gone => "gone",
    }
}

fn worst(change: &Change) -> Verdict {
    let forms = change.after.iter().chain(&change.before);
    let worst = forms.map(|form| form.harm.verdict).next();
    worst.unwrap_or(Verdict::Same)
}

/// What only one of both has, and how much was compared.
fn inventory(difference: &Difference) -> Vec<String> {
    let mut lines = Vec::new();
    if difference.changes.is_empty() {
        lines.push(NOTHING.to_owned());
    }
    let sides = [
        ("only in the new one", &difference.came),
        ("only in the old one", &difference.went),
    ];
    for (side, only) in sides {
        let Inventory {
            builds,
            scenarios,
            operations,
            pairings,
        } = only;
        for (what, names) in [
            ("builds", builds),
            ("scenarios", scenarios),
            ("operations", operations),
        ] {
            if !names.is_empty() {
                lines.push(format!("{what} {side}: {}", names.join(", ")));
            }
        }
        if *pairings > 0 {
            lines.push(format!("{pairings} pairings {side} were not compared"));
        }
    }
    lines.push(format!(
        "{} pairings compared, by the operations that both ran: {}",
        difference.compared,
        difference.operations.join(", ")
    ));
    lines
}
