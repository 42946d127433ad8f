//! What every format says in the same words: losses, packets, what was not run, and what the run was.

mod builds;
mod causes;
mod counted;
mod folded;
mod harm;
mod meanings;
mod parts;
mod reasons;
mod symptoms;

use std::collections::{BTreeMap, BTreeSet};

pub use builds::{builds, builds_by_number, builds_in_short};
pub use causes::*;
pub use counted::counted;
pub use folded::*;
pub use harm::*;
pub use meanings::*;
pub use parts::{Parts, option};
pub use symptoms::*;

use crate::catalog::{Family, Origin, Version};
use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{ChainVerdict, Reason, RuleVerdict};
use crate::matrix::{
    Absence, Broken, Change, Form, Loss, Matrix, PacketChange, ScenarioHead, Subject, Tested,
    sampled, tested, untested,
};
use crate::recording::Commands;

/// What is said of a scenario in which nothing is lost.
const NO_HARM: &str = "no rule was lost or changed";

/// What is said of a scenario in which nothing is lost of what was tested.
pub fn no_harm(matrix: &Matrix, scenario: &str) -> &'static str {
    match tested(matrix, scenario) {
        Tested::All => NO_HARM,
        Tested::Some => "nothing is lost of the rules that were tested",
        Tested::Nothing => "not tested: none of its rules could be written",
    }
}

/// What is said where nobody says why a rule could not be written.
const UNKNOWN_REASON: &str = "nobody says why";

/// Why a rule could not be written.
pub fn why_untested(reason: Option<&Reason>) -> String {
    reason.map_or_else(|| UNKNOWN_REASON.to_owned(), Reason::to_string)
}

/// What was not tested of a scenario: rules that could not be written, and what readers were not asked for. A line each.
pub fn not_tested(matrix: &Matrix, scenario: &str) -> Vec<String> {
    let unwritten = untested(matrix, scenario);
    let unwritten = unwritten.iter().map(|of| {
        format!(
            "not tested: {}, which {} cannot write: {}",
            subjects(&of.subjects),
            builds(&of.writers),
            of.why.as_deref().unwrap_or(UNKNOWN_REASON)
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
pub fn loss(matrix: &Matrix, loss: &Loss) -> String {
    let known = loss.known.and_then(|place| matrix.known.get(place));
    let known = known.map_or_else(String::new, |of| format!("; known: {}", known_loss(of)));
    let Form { harm, .. } = &loss.form;
    let consequence = consequence(harm).map_or_else(String::new, |said| format!("; {said}"));
    format!(
        "{}: {}; {} → {}{consequence}; {}{known}",
        harm.verdict,
        what(&loss.form),
        builds(&loss.writers),
        builds(&loss.readers),
        subjects(&loss.subjects),
    )
}

/// A loss that came, went or became another, in one line.
pub fn change(change: &Change) -> String {
    let what = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{}; it was {}", form(after), form(before)),
        (Some(only), None) | (None, Some(only)) => form(only),
        (None, None) => String::new(),
    };
    format!(
        "{}: {what}; {} → {}; {}",
        change.scenario,
        builds(&change.writers),
        builds(&change.readers),
        subjects(&change.subjects),
    )
}

/// What came of the losses that are listed as known: those that do not happen any more, and those that nothing was run
/// of.
pub fn known(matrix: &Matrix) -> Vec<String> {
    let said = matrix.known.iter().filter_map(|known| {
        let (writers, readers) = (known.writers.join(", "), known.readers.join(", "));
        let losses = match known_losses_of(known) {
            all if all.is_empty() => String::new(),
            some => format!(", {some}"),
        };
        let what = format!(
            "{}, {writers} → {readers}{losses}: {}",
            known.scenario,
            known_loss(known)
        );
        match (known.run, known.happened) {
            (0, _) => Some(format!("known, and no such pairing was run: {what}")),
            (_, 0) => Some(format!("known, and does not happen any more: {what}")),
            _ => None,
        }
    });
    said.collect()
}

/// A packet that fares otherwise afterwards.
pub fn packet(change: &PacketChange) -> String {
    let operations: Vec<&str> = change.operations.iter().map(|of| of.as_str()).collect();
    format!(
        "packet {}: {} ({}); {}, and {} after {}; {} → {}",
        change.effect,
        change.probe,
        change.family,
        sent(change.written.as_deref()),
        change.then,
        operations.join(", "),
        builds(&change.writers),
        builds(&change.readers),
    )
}

/// A packet that does not fare as its scenario says in the first place.
pub fn broken(of: &Broken) -> String {
    format!(
        "broken: {} ({}) is expected to be {} and is {}, with what {} writes",
        of.probe,
        of.family,
        of.expected,
        sent(of.written.as_deref()),
        builds(&of.writers)
    )
}

/// What became of a packet.
pub fn sent(outcome: Option<&str>) -> &str {
    outcome.unwrap_or("not sent")
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
        let rules = cell.outcome.rules.iter();
        let of_rules = rules.filter_map(RuleVerdict::does);
        of_rules.chain(cell.outcome.chains.iter().filter_map(ChainVerdict::does))
    });
    of_cells.collect()
}

/// The builds that could not be had, in a line; none where there is none.
pub fn not_available(matrix: &Matrix) -> Option<String> {
    super::builds::not_available(&matrix.missing, &matrix.builds)
}

/// The scenarios that were not run because nobody was there to write one of their layers, a line each.
pub fn without_bystander(matrix: &Matrix) -> Vec<String> {
    let of_scenarios = matrix.scenarios.iter().flat_map(|of| &of.without_bystander);
    of_scenarios.map(super::builds::no_bystander).collect()
}

/// When the run began, and how long it took where its end is known.
pub fn when(matrix: &Matrix) -> String {
    let began = matrix.started.strftime("%Y-%m-%d %H:%M UTC");
    let Some(finished) = matrix.finished else {
        return format!("Began {began}");
    };
    let seconds = finished.duration_since(matrix.started).as_secs();
    let took = match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    };
    let commands = matrix.commands.filter(|of| of.asked > 0);
    let commands = commands.map(|of| {
        let Commands { asked, run, .. } = of;
        let earlier = of.oldest.map(|oldest| {
            let since = oldest.strftime("%Y-%m-%d");
            format!(", {} known since {since}", of.before)
        });
        let earlier = earlier.unwrap_or_default();
        format!("; of {asked} commands {run} were run{earlier}")
    });
    format!(
        "Began {began}, ended after {took}{}",
        commands.unwrap_or_default()
    )
}

/// The heading over the builds that could not be had.
pub fn not_run(matrix: &Matrix) -> String {
    format!("not run: {}", counted(matrix.missing.len(), "build"))
}

/// How much was run, and how much of it is damage that nobody is told about.
pub fn count(matrix: &Matrix) -> String {
    let cells = matrix.cells.iter();
    let silent = cells.filter(|cell| cell.verdict.is_silent_damage()).count();
    let untested = matrix
        .cells
        .iter()
        .filter(|cell| cell.outcome.is_untested())
        .count();
    let untested = match untested {
        0 => String::new(),
        some => format!("; not tested, because nothing could be written: {some}"),
    };
    format!(
        "{} of {} run ({}, {}, {}); silent damage in {silent}{untested}",
        matrix.cells.len(),
        counted(matrix.pairings, "pairing"),
        counted(matrix.writers().len(), "writer"),
        counted(matrix.readers().len(), "reader"),
        counted(matrix.scenarios.len(), "scenario"),
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
    let notes = matrix.host.notes.iter().cloned();
    let notes = notes.chain(in_place(matrix));
    notes.fold(machine, |said, note| format!("{said}; {note}"))
}

/// Which releases the user's own builds stand for.
fn in_place(matrix: &Matrix) -> Option<String> {
    let own = matrix.builds.iter().filter(|of| of.origin == Origin::Own);
    let stems = own.filter_map(|build| {
        let stem = build.id.stem(build.tool, build.backend);
        (stem == build.version.as_str()).then_some((&build.version, stem))
    });
    let names: BTreeMap<&Version, String> = stems.collect();
    let names: Vec<String> = names.into_values().collect();
    let said = format!("own builds stand for the releases {}", names.join(", "));
    (!names.is_empty()).then_some(said)
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
    use crate::catalog::{Backend, BuildId, Tool};
    use crate::matrix::{BuildSet, Member};

    /// Builds of one kind, oldest first; those with a star are in the set.
    fn set(ran: &[&str], tool: Tool, backend: Backend, origin: Origin) -> BuildSet {
        let builds: Vec<(BuildId, Version)> = ran
            .iter()
            .map(|name| name.trim_end_matches('*'))
            .map(|name| (BuildId::of_tool(tool, name, backend), Version::new(name)))
            .collect();
        let members = builds.iter().map(|(id, version)| Member {
            id,
            version,
            tool,
            backend,
            variant: None,
            origin,
        });
        let is_in = |id: &BuildId| {
            let place = builds.iter().position(|(of, _)| of == id);
            place.is_some_and(|place| ran[place].ends_with('*'))
        };
        BuildSet::of(members, is_in)
    }

    #[rstest]
    #[case::all_that_ran(&["1.8.8*"], "iptables-nft 1.8.8")]
    #[case::two(&["1.8.8*", "1.8.10*"], "iptables-nft 1.8.8, 1.8.10")]
    #[case::all_of_some(&["1.8.4*", "1.8.8*", "1.8.13*"], "iptables-nft 1.8.4 to 1.8.13")]
    #[case::the_oldest_alone(&["1.8.4*", "1.8.13"], "iptables-nft 1.8.4")]
    #[case::apart(&["1.8.4*", "1.8.5", "1.8.6*", "1.8.7*", "1.8.8*"], "iptables-nft 1.8.4, 1.8.6 to 1.8.8")]
    fn a_range_names_builds_that_ran_at_both_ends(#[case] ran: &[&str], #[case] words: &str) {
        let set = set(ran, Tool::Iptables, Backend::Nft, Origin::Upstream);
        assert_eq!(builds(&set), words);
    }

    #[rstest]
    #[case::one(&["1.8.8*", "1.8.9"], "iptables-nft 1.8.8")]
    #[case::two(&["1.8.8*", "1.8.10*"], "iptables-nft 1.8.8 and 1 more build")]
    #[case::apart(&["1.8.4*", "1.8.5", "1.8.6*", "1.8.7*"], "iptables-nft 1.8.4 and 2 more builds")]
    fn where_there_is_little_room_builds_are_counted(#[case] ran: &[&str], #[case] words: &str) {
        let set = set(ran, Tool::Iptables, Backend::Nft, Origin::Upstream);
        assert_eq!(builds_in_short(&set), words);
    }

    #[test]
    fn the_tool_nft_is_not_the_backend() {
        let names = [
            "debian-nft-0.9.8-3*",
            "debian-nft-1.0.6-2*",
            "debian-nft-1.1.3-1*",
        ];
        let set = set(&names, Tool::Nft, Backend::Nft, Origin::Debian);
        assert_eq!(builds(&set), "nft debian-0.9.8-3 to debian-1.1.3-1");
    }

    #[rstest]
    #[case(&[1], "1")]
    #[case(&[1, 2, 3, 7], "1-3+7")]
    #[case(&[1, 3, 4], "1+3-4")]
    fn neighbouring_rules_are_named_as_a_range(#[case] indices: &[usize], #[case] words: &str) {
        assert_eq!(ranges(indices), words);
    }
}
