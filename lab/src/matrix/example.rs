//! The rule of one cell that shows a loss best: this loss alone, in as few words as there are.

use std::collections::BTreeMap;

use super::losses::{Example, Subject};
use crate::catalog::{BuildId, Family};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, RuleVerdict};
use crate::ruleset::{Change, compare, tokens};

/// How many rules of pairings are looked at before the first one does.
const LOOKED_AT: usize = 400;

/// Two texts of a rule, the later of which shows what it has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// As it was.
    pub before: &'a str,
    /// As it is afterwards.
    pub after: &'a str,
    /// Whose texts they are.
    pub by: ShownBy,
    /// The parts that differ between the two and are no part of the loss: `source`. None where it is shown alone.
    pub beside: Vec<String>,
}

/// Whose texts show a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShownBy {
    /// The writer prints it, then the reader does.
    Reader,
    /// The writer prints it, and the witness does after what the reader restored.
    Restore,
    /// The writer prints it before and after what the reader restored.
    Writer,
    /// The witness prints it before and after what the reader restored.
    Witness,
    /// The witness prints it before, and once reader and writer have restored in turn.
    Turns,
    /// The rule that was to be deleted, and the one that was.
    Deletion,
}

/// The texts that show what `verdict` says of a rule, this alone where any do; none where no text shows it.
pub fn shown(rule: &RuleVerdict, verdict: Verdict) -> Option<Shown<'_>> {
    let (written, witness) = (rule.written.as_deref(), rule.witness_before.as_deref());
    let drifted = rule.drift.as_ref().and_then(|drift| drift.to.as_deref());
    let pairs = match verdict {
        Verdict::WrongRule => {
            return Some(Shown {
                before: written.unwrap_or(&rule.given),
                after: rule.deleted_instead.as_deref()?,
                by: ShownBy::Deletion,
                beside: Vec::new(),
            });
        }
        Verdict::Drifts => vec![(witness.or(written), drifted, ShownBy::Turns)],
        Verdict::Lossy | Verdict::Changed | Verdict::Misread | Verdict::Reworded | Verdict::Differs => vec![
            (written, rule.read.as_deref(), ShownBy::Reader),
            (written, rule.witness_after.as_deref(), ShownBy::Restore),
            (written, rule.reread.as_deref(), ShownBy::Writer),
            (witness, rule.witness_after.as_deref(), ShownBy::Witness),
            (witness, drifted, ShownBy::Turns),
        ],
        _ => Vec::new(),
    };
    let pairs = pairs.into_iter().filter_map(|(before, after, by)| {
        let (before, after) = (before?, after?);
        let beside = beside(rule, before, after)?;
        Some(Shown {
            before,
            after,
            by,
            beside,
        })
    });
    pairs.min_by_key(|shown| shown.beside.len())
}

/// The parts that differ between two texts beside those that a rule has lost; none where not all of those differ.
fn beside(rule: &RuleVerdict, before: &str, after: &str) -> Option<Vec<String>> {
    if before == after {
        return None;
    }
    let (Some(from), Some(to)) = (words(before), words(after)) else {
        // What nft wrote is in another language than what iptables prints: all of it differs.
        return Some(Vec::new());
    };
    let difference = compare(&from, &to);
    let mut differ = Vec::new();
    for (found, named) in [
        (&difference.lost, &rule.lost),
        (&difference.altered, &rule.altered),
        (&difference.added, &rule.added),
    ] {
        let has = |changes: &[Change], part: &str| changes.iter().any(|of| of.part == part);
        if named.iter().any(|change| !has(found, &change.part)) {
            return None;
        }
        let others = found.iter().filter(|change| !has(named, &change.part));
        differ.extend(others.map(|change| change.part.clone()));
    }
    Some(differ)
}

/// What follows `-A CHAIN` in a rule of iptables.
fn words(rule: &str) -> Option<Vec<String>> {
    let words = tokens::split(rule).ok()?.into_iter();
    let words: Vec<String> = words.map(|token| token.text.into_owned()).collect();
    let is_rule = words.first().is_some_and(|word| word == "-A");
    is_rule.then(|| words.into_iter().skip(2).collect())
}

/// Cells by family, writer and reader.
pub(super) type Cells<'a> = BTreeMap<(Family, &'a BuildId, &'a BuildId), &'a Cell>;

/// A cell and a rule of it that show a loss of `verdict` best, among those of `writers` and `readers`: the loss alone where any does,
/// in the writer's own words where these do, and the shortest rule.
pub(super) fn best(
    cells: &Cells<'_>,
    verdict: Verdict,
    subjects: &BTreeMap<Family, Vec<Subject>>,
    (writers, readers): (&[&BuildId], &[&BuildId]),
) -> Option<Example> {
    let first = subjects.iter().next()?;
    let cell = cells.get(&(*first.0, writers.first()?, readers.first()?))?;
    let length = |subject: &Subject| {
        let rule = subject.rule().and_then(|place| cell.rules.get(place));
        rule.map_or(usize::MAX, |rule| rule.given.len())
    };
    let mut by_length: Vec<(Family, &Subject)> = subjects
        .iter()
        .flat_map(|(family, of)| of.iter().map(|subject| (*family, subject)))
        .collect();
    by_length.sort_by_key(|(family, subject)| (length(subject), *family));
    let pairs = |(family, subject): (Family, &Subject)| {
        let place = subject.rule();
        let pairs = writers.iter().flat_map(|writer| readers.iter().map(move |reader| (*writer, *reader)));
        pairs.map(move |(writer, reader)| Example {
            family,
            writer: writer.clone(),
            reader: reader.clone(),
            rule: place,
        }).collect::<Vec<_>>()
    };
    let all = by_length.into_iter().flat_map(pairs).take(LOOKED_AT);
    let rank = |example: &Example| {
        let cell = cells.get(&(example.family, &example.writer, &example.reader));
        let rule = cell.zip(example.rule).and_then(|(cell, place)| cell.rules.get(place));
        let shown = rule.and_then(|rule| shown(rule, verdict));
        shown.map_or((usize::MAX, ShownBy::Deletion), |shown| (shown.beside.len(), shown.by))
    };
    let mut best: Option<((usize, ShownBy), Example)> = None;
    for example in all {
        let rank = rank(&example);
        let is_better = best.as_ref().is_none_or(|(known, _)| rank < *known);
        if is_better {
            best = Some((rank, example));
        }
        if rank == (0, ShownBy::Reader) {
            break;
        }
    }
    best.map(|(_, example)| example)
}
