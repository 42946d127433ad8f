//! The cells of one pairing, one a line: sign, verdict, scenario, family, and the worst loss in few words.

use std::fmt::Write;

use super::terminal::{inert, paint, sign, style};
use super::wording;
use crate::judge::{Cell, core_message};
use crate::matrix::{Worst, worst};

/// The cells, in `width` columns each.
pub fn render(cells: &[&Cell], width: usize) -> String {
    let names = cells.iter().map(|cell| cell.scenario.len());
    let name = names.max().unwrap_or(0);
    let mut page = String::new();
    for cell in cells {
        let head = format!(
            "{} {:<14} {:<name$} {} ",
            sign(cell.verdict),
            cell.verdict,
            cell.scenario,
            cell.family
        );
        let room = width.saturating_sub(head.chars().count());
        let said = shortened(&inert(&in_few_words(cell)), room);
        let line = format!("{head} {said}");
        let _ = writeln!(page, "{}", paint(style(cell.verdict), line.trim_end()));
    }
    page
}

/// The worst that happened, in few words; nothing where all went well.
fn in_few_words(cell: &Cell) -> String {
    let all = worst(cell);
    let grade = |of: &&Worst| (of.form.harm.verdict.severity(), of.form.harm.consequence);
    let Some(worst) = all.iter().max_by_key(grade) else {
        let mut untested = cell.outcome.untested();
        let why = untested.next().and_then(|(_, rule)| rule.reason());
        let why = why.map(|why| format!("not tested: {}", core_message(&why.to_string())));
        return why.unwrap_or_default();
    };
    let consequence = wording::consequence(&worst.form.harm);
    let consequence = consequence.map_or_else(String::new, |said| format!("; {said}"));
    let (place, more) = (&worst.subject, all.len() - 1);
    let index = place.index.map_or_else(String::new, |at| format!(" {at}"));
    let more = match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let what = wording::what(&worst.form);
    format!("{}{index}: {what}{consequence}{more}", place.chain)
}

/// As much as there is room for.
fn shortened(text: &str, room: usize) -> String {
    let text = text.replace('\n', " ");
    if text.chars().count() <= room {
        return text;
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
