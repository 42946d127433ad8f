//! `REPORT.md`: a loss as a bug tracker takes it. What a maintainer asks first stands first.

mod happens;
mod pairings;
pub mod reproducer;
mod standing;
pub mod title;

use std::fmt::Write;

use super::markdown::escape;
use super::terminal::inert;
use super::wording;
use crate::catalog::{Build, BuildId};
use crate::evidence::{Damaged, History, Loss, LossKind, Smaller};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, Reason, RuleVerdict};
use crate::matrix::Matrix;
use crate::scenario::Scenario;

/// All that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What it is about.
    pub loss: &'a Loss,
    /// The scenario that it was found in.
    pub found_in: &'a Scenario,
    /// Its cell, with the packets that were sent.
    pub whole: &'a Cell,
    /// The least rules that show it, as text.
    pub least: &'a str,
    /// The rule or chain of the least rules that suffers.
    pub damaged: Damaged<'a>,
    /// The least rules in every pairing.
    pub matrix: &'a Matrix,
    /// Who writes.
    pub writer: &'a Build,
    /// Who reads.
    pub reader: &'a Build,
    /// Since when.
    pub history: &'a History,
    /// How it was shrunk.
    pub shrunk: Shrunk,
    /// What `reproduce.sh` came to where this report was made.
    pub tried: Tried,
    /// Whether there is a backtrace; none of what is no crash.
    pub backtrace: Option<Backtrace>,
    /// The files beside it, each with what it is.
    pub files: &'a [(&'a str, &'a str)],
}

/// How a ruleset was shrunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrunk {
    /// What it was.
    pub from: Smaller,
    /// What is left.
    pub to: Smaller,
    /// How many rulesets were tried.
    pub tried: usize,
    /// Whether the steps ran out before it was as small as it gets.
    pub cut_short: bool,
}

/// What `reproduce.sh` came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It ended with this status.
    Ended(i32),
    /// It was not run.
    Not,
}

/// Whether gdb said where a crash happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backtrace {
    /// It did: `backtrace.txt`.
    Kept,
    /// gdb is there, and the crash did not come again.
    NotAgain,
    /// There is no gdb.
    NoDebugger,
}

/// The report.
pub fn render(evidence: &Evidence<'_>) -> String {
    let Evidence { writer, reader, .. } = evidence;
    let mut page = format!(
        "# {} ({} writes, {} reads)\n\n",
        escape(&capital(&title::title(evidence.loss)).replace('`', "")),
        writer.id,
        reader.id
    );
    page.push_str(&standing::standing(evidence));
    page.push_str(&happens::what_happens(evidence));
    page.push_str(&happens::consequence(evidence));
    page.push_str(&reproduce(evidence));
    page.push_str(&pairings::versions(evidence));
    page.push_str(&pairings::pairings(evidence));
    page.push_str(&shrunk(evidence));
    page.push_str("## Files\n\n");
    for (name, what) in evidence.files {
        let _ = writeln!(page, "- `{name}`: {what}");
    }
    page
}

/// What is said where no loss was found in the cell of a pairing: nothing is lost, none of the kind that was asked for, or
/// something was not tested.
pub fn nothing_found(cell: &Cell, kind: Option<LossKind>, pairing: &str) -> String {
    if let Some(kind) = kind {
        return format!("no loss of the kind `{}` in {pairing}", kind.as_str());
    }
    let is_untested = |verdict: Verdict| verdict.severity() > Verdict::Invisible.severity();
    let untested = cell
        .outcome
        .rules
        .iter()
        .filter(|rule| rule.not_tested().is_some() || rule.of_reader().any(is_untested));
    let untested: Vec<&RuleVerdict> = untested.collect();
    let Some(first) = untested.first() else {
        let meaning = wording::verdict_meaning(cell.verdict);
        return format!("nothing is lost in {pairing}: {meaning}");
    };
    let verdict = first.of_reader().find(|verdict| is_untested(*verdict));
    let meaning = || verdict.map(|of| wording::verdict_meaning(of).to_owned());
    let reason = first.reason().map(Reason::to_string).or_else(meaning);
    format!(
        "no loss was found in {pairing}, but {} of {} rules were not tested: {}",
        untested.len(),
        cell.outcome.rules.len(),
        inert(reason.as_deref().unwrap_or("no reason is known"))
    )
}

/// The release that a build is of.
fn release<'a>(matrix: &'a Matrix, id: &'a BuildId) -> &'a str {
    let mut builds = matrix.builds.iter();
    let build = builds.find(|build| &build.id == id);
    build.map_or(id.as_str(), |build| build.version.release())
}

fn reproduce(evidence: &Evidence<'_>) -> String {
    let Evidence { writer, reader, .. } = evidence;
    let tried = match evidence.tried {
        Tried::Ended(1) => {
            "On the machine that made this report it ended with exit status 1: the loss is there."
                .to_owned()
        }
        Tried::Ended(status) => format!(
            "**On the machine that made this report it ended with exit status {status}: it does not show the loss**; the \
             recording does."
        ),
        Tried::Not => "It was not run on the machine that made this report.".to_owned(),
    };
    let mut text = format!(
        "## To reproduce\n\n{}\n{tried} It needs two binaries, source trees, root filesystems or container images (without arguments it says how \
         they are named), and makes a network namespace of its own. Exit status 1 while the loss is there, 0 when it is gone, \
         125 when it cannot be tried.\n\n",
        fenced(&format!(
            "WRITER={} READER={} sh ./reproduce.sh",
            binary(writer),
            binary(reader)
        ))
    );
    text.push_str(&standing::bisect(evidence));
    text
}

/// Where one may have a build's binary.
fn binary(build: &Build) -> String {
    let binary = build.tool.commands().binary(build.backend);
    format!("/path/to/{}/{binary}", build.version.release())
}

fn shrunk(evidence: &Evidence<'_>) -> String {
    let Shrunk {
        from,
        to,
        tried,
        cut_short,
    } = evidence.shrunk;
    let end = match cut_short {
        true => "the steps ran out: a smaller ruleset may show it, too",
        false => "nothing more can be left out",
    };
    format!(
        "## How it was found\n\nIn the scenario `{}` ({}): {} of {} words, shrunk to {} of {} words; {tried} rulesets were \
         tried; {end}.\n\n",
        evidence.found_in.name,
        escape(&evidence.found_in.title),
        rules(from.rules),
        from.words,
        rules(to.rules),
        to.words
    )
}

fn rules(count: usize) -> String {
    match count {
        0 => "no rule".to_owned(),
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    }
}

/// Text of builds and scenarios in a block of code that nothing in it can end.
fn fenced(text: &str) -> String {
    let text = inert(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// Text of builds and scenarios as code within a line.
fn code(text: &str) -> String {
    let text = inert(text).replace(['\n', '\t'], " ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    match longest {
        0 => format!("`{text}`"),
        longest => {
            let fence = "`".repeat(longest + 1);
            format!("{fence} {text} {fence}")
        }
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + rest.as_str()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::judge::Outcome;
    use crate::judge::by_operation::{Answer, PrintVerdict, WriteVerdict};
    use crate::plan::Operation;

    #[rstest]
    #[case("-j DROP", "```\n-j DROP\n```\n")]
    #[case("a ``` b\n", "````\na ``` b\n````\n")]
    fn nothing_ends_a_block_of_code_but_its_own_end(#[case] text: &str, #[case] block: &str) {
        assert_eq!(fenced(text), block);
    }

    #[rstest]
    #[case("-j DROP", "`-j DROP`")]
    #[case("a`b", "`` a`b ``")]
    fn code_within_a_line_is_as_it_is(#[case] text: &str, #[case] written: &str) {
        assert_eq!(code(text), written);
    }

    fn cell(rules: Vec<RuleVerdict>, verdict: Verdict) -> Cell {
        Cell {
            scenario: "own".to_owned(),
            family: crate::catalog::Family::Ipv4,
            writer: BuildId::named("1.8.8-nft"),
            bystanders: Vec::new(),
            reader: BuildId::named("1.8.7-nft"),
            verdict,
            outcome: Outcome {
                rules: rules.into(),
                ..Outcome::default()
            }
            .into(),
            encoded: std::sync::Arc::default(),
            known: None,
            known_losses: Vec::new(),
        }
    }

    /// "Nothing is lost" is said only where all was tested and the matrix shows nothing worse than rules that are not seen.
    #[test]
    fn nothing_is_lost_only_where_all_was_tested() {
        let rule = |answers: &[Answer]| RuleVerdict {
            operations: answers.iter().copied().collect(),
            ..RuleVerdict::default()
        };
        let fine = || {
            rule(&[
                Answer::Write(WriteVerdict::Faithful),
                Answer::Save(PrintVerdict::Same),
            ])
        };
        let said = |rules, verdict, kind| nothing_found(&cell(rules, verdict), kind, "own");
        let invisible = rule(&[Answer::Save(PrintVerdict::Invisible)]);
        assert_eq!(
            said(vec![fine(), invisible], Verdict::Invisible, None),
            "nothing is lost in own: not in the reader's tables: not seen, not touched"
        );
        let mut refused = rule(&[Answer::Write(WriteVerdict::Refused)]);
        let why = Reason::said("the set foo does not exist");
        refused.operations.explain(Operation::Write, why);
        assert_eq!(
            said(vec![fine(), refused], Verdict::Refused, None),
            "no loss was found in own, but 1 of 2 rules were not tested: the set foo does not exist"
        );
        assert_eq!(
            said(vec![fine()], Verdict::Crashed, Some(LossKind::Lossy)),
            "no loss of the kind `lossy` in own"
        );
    }
}
