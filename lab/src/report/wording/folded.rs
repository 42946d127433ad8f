//! What the folded matrix and the groups of losses say, in every format.

use std::collections::{BTreeMap, BTreeSet};

use super::builds::{builds, builds_by_number, builds_in_short, range};
use super::counted::counted;
use super::harm::certainty;
use super::parts::option;
use crate::catalog::{Backend, BuildId, Tool};
use crate::cause::{Cause, Gravest, WorstScenario};
use crate::judge::Cell;
use crate::judge::verdict::Verdict;
use crate::matrix::{BuildSet, Certainty, Folded, How, Layer, Letter, Letters, LostPart, Matrix};

/// The heading over the folded matrix.
pub fn folded_heading(matrix: &Matrix) -> String {
    match matrix.scenarios.len() {
        1 => "What is lost, in one scenario".to_owned(),
        many => format!("What is lost, in {many} scenarios"),
    }
}

/// Which builds a folded matrix is of, and how it is read.
pub fn folded_title(of: &Folded) -> String {
    format!(
        "{} → {}: a row is who wrote the rules last, a column is who reads them",
        programs(&of.rows, of.encoders),
        programs(&of.columns, of.decoders)
    )
}

/// What is said instead of a folded matrix in which nothing is lost.
pub fn nothing_lost(of: &Folded) -> String {
    let seen = match of.encoders == of.decoders {
        true => "",
        false => ": readers do not see these rules",
    };
    let from = programs(&of.rows, of.encoders);
    let to = programs(&of.columns, of.decoders);
    format!("{from} → {to}: nothing is lost{seen}")
}

/// The programs that builds of a backend are of: `iptables-nft, nft`.
fn programs(builds: &[BuildSet], of: Backend) -> String {
    let spans = builds.iter().flat_map(BuildSet::spans);
    let programs: BTreeSet<String> = spans.map(|span| span.tool.commands().program(of)).collect();
    programs.into_iter().collect::<Vec<_>>().join(", ")
}

/// That scenarios with rules of several programs are not in the folded matrix; none where there are none.
pub fn of_several_programs(matrix: &Matrix) -> Option<String> {
    let cells = matrix.cells.iter().filter(|of| !of.bystanders.is_empty());
    let scenarios: BTreeSet<&str> = cells.map(|of| of.scenario.as_str()).collect();
    let said = match scenarios.len() {
        0 => return None,
        1 => "a scenario",
        _ => "scenarios",
    };
    let names: Vec<&str> = scenarios.into_iter().collect();
    Some(format!(
        "not in this table: {said} with rules of several programs, {}",
        names.join(", ")
    ))
}

/// The families of a layer, where it is not of all.
pub fn layer(of: &Layer, all: &[Layer]) -> Option<String> {
    let families: Vec<&str> = of.families.iter().map(|of| of.as_str()).collect();
    let families = families.join(", ");
    match all {
        [_] if of.families.len() == 1 => Some(format!("{families} only")),
        [first, _, ..] if first != of => {
            Some(format!("{families}, where it differs from the above"))
        }
        _ => None,
    }
}

/// Builds that behave alike, without the name of the tool that is meant where none is named: `1.8.4 to 1.8.6, debian-1.8.7-1`; `nft debian-1.0.6-2`.
pub fn class(set: &BuildSet) -> String {
    let ranges: Vec<String> = set.spans().iter().map(range).collect();
    let mut tools = set.spans().iter().map(|span| span.tool);
    match tools.find(|tool| *tool != Tool::default()) {
        Some(tool) => format!("{tool} {}", ranges.join(", ")),
        None => ranges.join(", "),
    }
}

/// What a letter stands for.
pub fn letter(letter: Letter) -> &'static str {
    match letter {
        Letter::Mark => "mark",
        Letter::Port => "port or protocol",
        Letter::Address => "address",
        Letter::Interface => "interface",
        Letter::Other => "other part",
        Letter::Whole => "whole rule or table",
        Letter::Nothing => "table not printed, not restored",
        Letter::Lookup => "-C or -D misses the rule or hits another",
        Letter::Crash => "the program dies or hangs",
    }
}

/// What the letters stand for that are in `all`, and what capitals are: items between ` · `.
pub fn legend(all: Letters) -> String {
    let used = Letter::ALL.into_iter().filter(|of| all.has(*of));
    let mut items: Vec<String> = used
        .map(|of| format!("{} {}", of.sign(), letter(of)))
        .collect();
    items.push(". nothing".to_owned());
    items.push("CAPITAL confirmed with packets, else predicted".to_owned());
    items.join(" · ")
}

/// What is lost, with at most so many names: `-m mark, -m connmark lost`. Of a whole rule what comes of it.
pub(super) fn what_parts(parts: &BTreeSet<LostPart>, most: usize) -> String {
    let mut by_how: Vec<(How, Vec<String>)> = Vec::new();
    for of in parts {
        match by_how.iter_mut().find(|(how, _)| *how == of.how) {
            Some((_, names)) => names.push(option(&of.name)),
            None => by_how.push((of.how, vec![option(&of.name)])),
        }
    }
    let words = by_how.into_iter().map(|(how, names)| {
        let named = &names[..names.len().min(most)];
        let rest = match names.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let said = named.join(", ");
        match how {
            How::Lost => format!("{said}{rest} lost"),
            How::Altered => format!("{said}{rest} altered"),
            How::Added => format!("{said}{rest} added"),
            How::Whole(verdict) => whole(verdict).to_owned(),
        }
    });
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [first, _, ..] if most == 1 => format!("{first} and more"),
        _ => words.join("; "),
    }
}

/// What becomes of a rule as a whole.
fn whole(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Crashed => "the reader dies",
        Verdict::TimedOut => "the reader hangs",
        Verdict::NothingToRestore => "table not printed, not restored",
        Verdict::Refused | Verdict::Incompatible => "reader refuses the table",
        Verdict::Unrestorable => "reader cannot restore its own print",
        Verdict::Unreadable => "table unreadable",
        Verdict::NotFound => "-C does not find the rule",
        Verdict::NotDeleted => "-D does not delete the rule",
        Verdict::FoundWrong => "-C finds a rule that is not there",
        Verdict::WrongRule => "-D deletes another rule",
        Verdict::Misread => "the rule is not printed",
        _ => "whole rule lost",
    }
}

/// Who encoded and who decodes: the program is named once where it is the same.
fn between(cause: &Cause) -> String {
    let (from, to) = (&cause.encoders, &cause.decoders);
    let kind = |set: &BuildSet| {
        let mut kinds = set.spans().iter().map(|of| (of.tool, of.backend));
        let first = kinds.next()?;
        kinds.all(|of| of == first).then_some(first)
    };
    match kind(from).is_some() && kind(from) == kind(to) {
        true => format!("{} → {}", builds(from), class(to)),
        false => format!("{} → {}", builds(from), builds(to)),
    }
}

/// Since when, by who writes and by who reads.
pub(super) fn since(cause: &Cause) -> Option<String> {
    let since = cause.edge.first_encoder.as_ref();
    let since = since.map(|of| format!("since {}", of.stem));
    let mended = cause.edge.mended_in.as_ref();
    let mended = mended.map(|of| format!("readers fixed in {}", of.stem));
    let all: Vec<String> = since.into_iter().chain(mended).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The worst effect, and how sure it is.
pub fn worst(of: &Gravest) -> String {
    match of.consequence {
        Some(consequence) => {
            let sure = match of.certainty {
                Certainty::Unmet => " (predicted)",
                Certainty::IfWrittenBack => " (if written back)",
                sure => certainty(sure),
            };
            format!("{consequence}{sure}")
        }
        None => of.verdict.as_str().to_owned(),
    }
}

/// The same, in less room.
fn worst_in_short(of: &Gravest) -> String {
    match (of.consequence, of.certainty) {
        (Some(consequence), Certainty::Shown) => format!("{consequence} (confirmed)"),
        _ => worst(of),
    }
}

/// A group of losses: what, from whom to whom, since when, the worst effect, where. The most words come first; the others are for less
/// room.
pub fn cause(cause: &Cause) -> Vec<String> {
    let (from, to) = (&cause.encoders, &cause.decoders);
    let by_number = format!("{} → {}", builds_by_number(from), builds_by_number(to));
    let in_short = format!("{} → {}", builds_in_short(from), builds_in_short(to));
    let mut all = Vec::new();
    for between in [between(cause), by_number] {
        for most in [usize::MAX, 3, 1] {
            all.extend(sentences(cause, &between, &what_parts(&cause.parts, most)));
        }
    }
    all.extend(sentences(cause, &in_short, &what_parts(&cause.parts, 1)));
    all
}

/// What is said of a group, where what is lost and between whom is said so.
fn sentences(cause: &Cause, between: &str, what: &str) -> [String; 6] {
    let (worst, short) = (worst(&cause.worst), worst_in_short(&cause.worst));
    let since = since(cause).map_or_else(String::new, |said| format!("; {said}"));
    let since_in_short = since.replace("readers fixed", "fixed");
    let found = counted(cause.scenarios.len(), "scenario");
    let reason = cause.reason.as_deref();
    let reason = reason.map_or_else(String::new, |said| format!(" ({})", unplaced(said)));
    let (example, rules) = (&cause.cell.scenario, counted(cause.rules, "rule"));
    let what = format!("{}: {what}", cause.name);
    let head = format!("{what}: {between}{since}; {worst}");
    [
        format!("{what}{reason}: {between}{since}; {worst}; {rules} in {found}, as {example}"),
        format!("{head}; {rules} in {found}, as {example}"),
        format!("{head}; {rules} in {found}"),
        format!("{head}; {found}"),
        format!("{what}: {between}{since}; {short}; {found}"),
        format!("{what}: {between}{since_in_short}; {short}; {found}"),
    ]
}

/// What was said, without the line of the input where it was.
fn unplaced(said: &str) -> &str {
    let said = said.trim_start_matches("# ");
    match said.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => said,
    }
}

/// The groups that there was no room for.
pub fn milder(count: usize) -> String {
    let losses = if count == 1 { "loss" } else { "losses" };
    format!("and {count} milder {losses} (--full shows all)")
}

/// A scenario: the worst that comes of what is lost, and how often.
pub fn scenario(of: &WorstScenario) -> String {
    let (worst, silent, pairings) = (worst_in_short(&of.worst), of.silent, of.pairings);
    format!("{worst}; silent in {silent} of {pairings}")
}

/// The scenarios that have no line: `more` of those in which anything is lost, and all others.
pub fn other_scenarios(matrix: &Matrix, lost: usize, more: usize) -> String {
    let ran: BTreeSet<&str> = matrix.cells.iter().map(|of| of.scenario.as_str()).collect();
    let mut said = Vec::new();
    if more > 0 {
        said.push(format!("and {more} more with losses"));
    }
    match ran.len().saturating_sub(lost) {
        0 => {}
        unharmed => said.push(format!("nothing is lost in {unharmed}")),
    }
    match matrix.scenarios.len().saturating_sub(ran.len()) {
        0 => {}
        1 => said.push("1 was not run".to_owned()),
        not_run => said.push(format!("{not_run} were not run")),
    }
    said.join("; ")
}

/// Whose losses these are, and how one learns of the others.
pub fn whole_table() -> &'static str {
    "These losses are for readers that rewrite the whole table. For readers that restore only their own chains (--noflush): \
     iptables-lab matrix --operation sync-noflush"
}

/// The commands that go on from here, each with what it shows.
pub fn next(
    matrix: &Matrix,
    causes: &[Cause],
    worst: &[WorstScenario],
) -> Vec<(String, &'static str)> {
    let first = matrix.scenarios.first().map(|of| of.name.as_str());
    let scenario = worst.first().map(|of| of.name.as_str()).or(first);
    let example = causes.first().map(|of| &of.cell);
    let mut all = Vec::new();
    if let Some(scenario) = scenario {
        all.push((
            format!("iptables-lab matrix --scenario {scenario}"),
            "one scenario",
        ));
    }
    if let Some(of) = example {
        let (writer, reader, scenario) = (&of.writer, &of.reader, &of.scenario);
        all.push((
            format!("iptables-lab show {writer} {reader} --scenario {scenario}"),
            "one cell",
        ));
    }
    all.push((
        "iptables-lab matrix --format html --output report.html".to_owned(),
        "the page",
    ));
    if is_nft_unasked(matrix) {
        all.push((
            "iptables-lab matrix --reader 'debian-nft-*' --scenario 'kube-*'".to_owned(),
            "nft reads",
        ));
    }
    all
}

/// Whether there is an nft, and none has read what iptables wrote.
fn is_nft_unasked(matrix: &Matrix) -> bool {
    let tools: BTreeMap<&BuildId, Tool> =
        matrix.builds.iter().map(|of| (&of.id, of.tool)).collect();
    let pair = |cell: &Cell| (tools.get(&cell.writer), tools.get(&cell.reader));
    let of_iptables = Some(&Tool::Iptables);
    tools.values().any(|tool| *tool == Tool::Nft)
        && matrix.cells.iter().any(|cell| pair(cell).0 == of_iptables)
        && !matrix
            .cells
            .iter()
            .any(|cell| pair(cell) == (of_iptables, Some(&Tool::Nft)))
}

/// Where it was run, in a line.
pub fn machine_in_short(matrix: &Matrix) -> String {
    let machine = format!(
        "Kernel {}, {}; engine: {}",
        matrix.host.kernel, matrix.host.arch, matrix.host.engine
    );
    let notes = matrix.host.notes.iter();
    notes.fold(machine, |said, note| format!("{said}; {note}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference has the letters that the screen has, in their order, and no other.
    #[test]
    fn the_docs_explain_every_letter_and_no_other() {
        let page = include_str!("../../../../docs/reference/verdicts.md");
        let (_, section) = page
            .split_once("## Letters of the folded matrix")
            .expect("the page has the section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        let letters = Letter::ALL.map(|of| format!("| `{}` | {} |", of.sign(), letter(of)));
        let all: Vec<String> = letters
            .into_iter()
            .chain(["| `.` | nothing |".to_owned()])
            .collect();
        assert_eq!(rows, all);
        assert!(section.contains("A capital is confirmed with packets, a small letter predicted"));
    }
}
