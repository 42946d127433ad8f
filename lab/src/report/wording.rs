//! What every format says in the same words: losses, packets, what was not run, and what the run was.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Family;
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{
    Absence, Broken, Certainty, Change, Form, Headline, Loss, Matrix, PacketChange, ScenarioHead,
    Subject, Tested, sampled, tested, untested,
};

/// What is said of a scenario in which nothing is lost.
const NO_HARM: &str = "no rule comes to harm";

/// What is said of a scenario in which nothing is lost of what was tested.
pub fn no_harm(matrix: &Matrix, scenario: &str) -> &'static str {
    match tested(matrix, scenario) {
        Tested::All => NO_HARM,
        Tested::Some => "nothing is lost of the rules that were tested",
        Tested::Nothing => "not tested: none of its rules could be written",
    }
}

/// What was not tested of a scenario: rules that could not be written, and what readers were not asked for. A line each.
pub fn not_tested(matrix: &Matrix, scenario: &str) -> Vec<String> {
    let unwritten = untested(matrix, scenario);
    let unwritten = unwritten.iter().map(|of| {
        format!(
            "not tested: {}, which {} cannot write: {}",
            subjects(&of.subjects),
            of.writers,
            of.why
        )
    });
    let sampled = sampled(matrix, scenario);
    let sampled = sampled.iter().map(|(family, of)| {
        let operations: Vec<&str> = of.operations.iter().map(|of| of.as_str()).collect();
        format!(
            "{}: {} of {} rules were asked for ({family}), one of each shape; --all-rules asks for all",
            operations.join(" and "),
            of.asked,
            of.of
        )
    });
    unwritten.chain(sampled).collect()
}

/// What is said of a scenario that has no cell.
pub fn no_cell(matrix: &Matrix, scenario: &ScenarioHead) -> &'static str {
    let (writers, readers) = (matrix.writers(), matrix.readers());
    let mut pairs = writers
        .iter()
        .flat_map(|writer| readers.iter().map(move |reader| (writer, reader)));
    match pairs.any(|(one, other)| matrix.absence(scenario, one, other) == Absence::NotRun) {
        true => "not run: the run was cut short before this scenario",
        false => "no pairing of these builds is one of the scenario's",
    }
}

/// One loss, in one line.
pub fn loss(loss: &Loss) -> String {
    let consequence = consequence(loss);
    let consequence = consequence.map_or_else(String::new, |said| format!("; {said}"));
    let known = loss.known.as_ref();
    let known = known.map_or_else(String::new, |known| format!("; known: {known}"));
    format!(
        "{}: {}; {} → {}{consequence}; {}{known}",
        loss.verdict,
        loss.what,
        loss.writers,
        loss.readers,
        subjects(&loss.subjects),
    )
}

/// A loss that came, went or became another, in one line.
pub fn change(change: &Change) -> String {
    let form = |form: &Form| {
        let consequence = form.consequence.map_or_else(String::new, |of| {
            format!("; {of}{}", certainty(form.certainty))
        });
        format!("{}: {}{consequence}", form.verdict, form.what)
    };
    let what = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{}; it was {}", form(after), form(before)),
        (Some(only), None) | (None, Some(only)) => form(only),
        (None, None) => String::new(),
    };
    format!(
        "{}: {what}; {} → {}; {}",
        change.scenario,
        change.writers,
        change.readers,
        subjects(&change.subjects),
    )
}

/// What came of the losses that are listed as known: those that do not happen any more, and those that nothing was run
/// of.
pub fn known(matrix: &Matrix) -> Vec<String> {
    let said = matrix.known.iter().filter_map(|known| {
        let (writers, readers) = (known.writers.join(", "), known.readers.join(", "));
        let losses = match known.losses_in_words() {
            all if all.is_empty() => String::new(),
            some => format!(", {some}"),
        };
        let what = format!(
            "{}, {writers} → {readers}{losses}: {}",
            known.scenario,
            known.in_words()
        );
        match (known.run, known.happened) {
            (0, _) => Some(format!("known, and no such pairing was run: {what}")),
            (_, 0) => Some(format!("known, and does not happen any more: {what}")),
            _ => None,
        }
    });
    said.collect()
}

/// What a loss does to packets, and how sure that is.
pub fn consequence(loss: &Loss) -> Option<String> {
    let consequence = loss.consequence?;
    Some(format!("{consequence}{}", certainty(loss.certainty)))
}

/// How sure a consequence is, behind its word.
pub fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Shown => ", as packets show",
        Certainty::Predicted => "",
        Certainty::Unmet => " by the rules, and no packet that was sent met it",
        Certainty::IfWrittenBack => " if written back",
    }
}

/// How many things, or scenarios, a sentence names before it only counts.
const NAMED: usize = 6;

/// What some builds silently lose of what others write, in a sentence.
pub fn headline(of: &Headline) -> String {
    let what: Vec<String> = of.parts().split("; ").map(str::to_owned).collect();
    let scenarios: Vec<String> = of.scenarios.iter().cloned().collect();
    let consequence = of.consequence;
    let consequence = consequence.map_or_else(String::new, |(consequence, sure)| {
        format!("; at worst {consequence}{}", certainty(sure))
    });
    format!(
        "What {} writes comes to harm with {}: {}{consequence}; in {}",
        of.writers,
        of.readers,
        some(&what, "; "),
        some(&scenarios, ", "),
    )
}

/// The first few, and how many more there are.
fn some(all: &[String], between: &str) -> String {
    let (named, rest) = all.split_at(all.len().min(NAMED));
    match rest.len() {
        0 => named.join(between),
        more => format!("{}{between}and {more} more", named.join(between)),
    }
}

/// A packet that fares otherwise afterwards.
pub fn packet(change: &PacketChange) -> String {
    let operations: Vec<&str> = change.operations.iter().map(|of| of.as_str()).collect();
    format!(
        "packet {}: {} ({}); {}, and {} after {}; {} → {}",
        change.effect,
        change.probe,
        change.family,
        change.written,
        change.then,
        operations.join(", "),
        change.writers,
        change.readers,
    )
}

/// A packet that does not fare as its scenario says in the first place.
pub fn broken(of: &Broken) -> String {
    format!(
        "broken: {} ({}) is expected to be {} and is {}, with what {} writes",
        of.probe, of.family, of.expected, of.written, of.writers
    )
}

/// The verdicts that cells have, the least first, with how many have each.
pub fn verdicts(matrix: &Matrix) -> Vec<(Verdict, usize)> {
    let count = |verdict: Verdict| {
        let of_verdict = matrix.cells.iter().filter(|cell| cell.verdict == verdict);
        (verdict, of_verdict.count())
    };
    let counted = Verdict::ALL.into_iter().map(count);
    counted.filter(|(_, count)| *count > 0).collect()
}

/// The consequences that any cell names.
pub fn consequences(matrix: &Matrix) -> BTreeSet<Consequence> {
    let of_cells = matrix.cells.iter().flat_map(|cell| {
        let rules = cell.rules.iter();
        let of_rules = rules.filter_map(|rule| rule.consequence.or(rule.potential));
        of_rules.chain(cell.chains.iter().filter_map(|chain| chain.consequence))
    });
    of_cells.collect()
}

/// The heading over the builds that could not be had.
pub fn not_run(matrix: &Matrix) -> String {
    format!("not run: {} builds", matrix.missing.len())
}

/// How much was run, and how much of it is damage that nobody is told about.
pub fn count(matrix: &Matrix) -> String {
    let cells = matrix.cells.iter();
    let silent = cells.filter(|cell| cell.verdict.is_silent_damage()).count();
    let untested = matrix
        .cells
        .iter()
        .filter(|cell| cell.is_untested())
        .count();
    let untested = match untested {
        0 => String::new(),
        some => format!("; not tested, because nothing could be written: {some}"),
    };
    format!(
        "{} of {} pairings run ({} writers, {} readers, {} scenarios); silent damage in {silent}{untested}",
        matrix.cells.len(),
        matrix.pairings,
        matrix.writers().len(),
        matrix.readers().len(),
        matrix.scenarios.len(),
    )
}

/// Where it was run, and who said what the kernel held.
pub fn machine(matrix: &Matrix) -> String {
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
    let notes = matrix.host.notes.iter();
    notes.fold(machine, |said, note| format!("{said}; {note}"))
}

/// Why the run ended early, if it did.
pub fn cut_short(matrix: &Matrix) -> Option<String> {
    let reason = matrix.cut_short.as_deref()?;
    Some(format!("this run was cut short: {reason}"))
}

/// `KUBE-FIREWALL 1-2, INPUT 1`; by family, where the families differ.
fn subjects(subjects: &BTreeMap<Family, Vec<Subject>>) -> String {
    let mut by_words: Vec<(String, Vec<&str>)> = Vec::new();
    for (family, subjects) in subjects {
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
