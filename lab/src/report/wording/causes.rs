//! What is said of causes, in every format.

use std::collections::BTreeSet;

use super::builds::builds_by_number;
use super::counted::counted;
use super::folded::{since, what_parts, worst};
use super::sent;
use crate::cause::{
    Cause, CauseChange, CauseDirection, CauseKind, Effect, Ends, FoundCommit, KnownCauses, Own,
    Signature,
};
use crate::judge::ProbeVerdict;
use crate::judge::verdict::Effect as PacketEffect;

/// What is lost by a cause, with few names: `-m mark lost`.
pub fn lost(cause: &Cause) -> String {
    what_parts(&cause.parts, 3)
}

/// A cause in few words: its name, since when, the worst that comes of it, and where.
pub fn cause_in_short(cause: &Cause) -> String {
    let since = since(cause).map_or_else(String::new, |said| format!("; {said}"));
    let found = counted(cause.scenarios.len(), "scenario");
    format!("{}{since}; {}; {found}", cause.name, worst(&cause.worst))
}

/// What happens by each of these causes, a sentence each, and where one reads more.
pub fn causes_named(names: &BTreeSet<&str>) -> Vec<String> {
    let known = KnownCauses::built_in();
    let mut said: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let cause = known.iter().find(|of| of.name == **name)?;
            Some(format!("{}: {}.", cause.name, cause.says))
        })
        .collect();
    if let Some(last) = said.last_mut() {
        let more = match names.len() {
            1 => names.first().copied().unwrap_or_default(),
            _ => "NAME",
        };
        last.push_str(&format!(" More: iptables-lab causes {more}"));
    }
    said
}

/// Whom a cause hits: who writes so, and who reads it.
pub fn cause_between(cause: &Cause) -> String {
    let (from, to) = (&cause.encoders, &cause.decoders);
    format!("{} → {}", builds_by_number(from), builds_by_number(to))
}

/// Causes that differ from an earlier run, as a heading.
pub fn cause_direction(direction: CauseDirection) -> &'static str {
    match direction {
        CauseDirection::New => "new causes",
        CauseDirection::Changed => "causes that hit other builds than before",
        CauseDirection::Gone => "causes that are gone",
    }
}

/// A cause that differs from an earlier run, in one line.
pub fn cause_change(change: &CauseChange) -> String {
    let name = &change.name;
    let (came, went) = (all_ends(&change.came), all_ends(&change.went));
    let says = change
        .says
        .as_ref()
        .map_or_else(String::new, |says| format!("{says}; "));
    let worst = worst(&change.worst);
    match change.direction {
        CauseDirection::New => format!("{name}: {says}{came}; {worst}"),
        CauseDirection::Gone => format!("{name}: {says}it hit {went}"),
        CauseDirection::Changed if went.is_empty() => {
            format!("{name}: now hits {came} too; {worst}")
        }
        CauseDirection::Changed if came.is_empty() => {
            format!("{name}: no longer hits {went}; {worst}")
        }
        CauseDirection::Changed => {
            format!("{name}: now hits {came} too; no longer hits {went}; {worst}")
        }
    }
}

fn all_ends(all: &[Ends]) -> String {
    let ends = all.iter().map(|of| {
        let (from, to) = (&of.encoders, &of.decoders);
        format!("{} → {}", builds_by_number(from), builds_by_number(to))
    });
    ends.collect::<Vec<_>>().join(", ")
}

/// What a reader makes of what it reads, beside what the kernel holds.
pub fn read_as(effect: Effect) -> &'static str {
    match effect {
        Effect::Dropped => "nothing: it leaves that part out",
        Effect::Altered => "another value",
        Effect::Added => "a part that is not there",
        Effect::Replaced => "another rule, or none",
        Effect::Refused => "an error: it refuses the rule or its table",
        Effect::Crashes => "the end: it dies",
        Effect::Hangs => "no end: it hangs",
        Effect::Unrestorable => "a text that it cannot load again",
        Effect::UnrestorableNoflush => "a text that it cannot load again with --noflush",
        Effect::HitsAnother => "a rule that -C or -D takes another one for",
        Effect::Misses => "a rule that -C or -D does not find",
        Effect::Doubled => "no rule of its own: it writes it once more",
    }
}

/// What a reader would have the kernel hold, had it written the rule.
pub fn own_encoding(own: &Own) -> &str {
    match own {
        Own::As(own) if own.is_empty() => "nothing",
        Own::As(own) => own,
        Own::InAnotherOrder => "the same in another order",
        Own::Itself => "the same: it does this to its own rules too",
        Own::Unknown => "not known",
    }
}

/// The smallest scenario of a run that shows a cause.
pub fn least_scenario(scenario: &str, rules: usize) -> String {
    format!("fewest rules: {scenario}, {}", counted(rules, "rule"))
}

/// A packet that fares otherwise in a cell: before, and after which operations. None where it fares as before.
pub fn cause_packet(probe: &ProbeVerdict) -> Option<String> {
    let otherwise = probe
        .after
        .iter()
        .filter(|(_, of)| **of != PacketEffect::AsBefore);
    let after = otherwise.map(|(operation, effect)| {
        let then = probe
            .then
            .get(operation)
            .map_or_else(|| effect.to_string(), Clone::clone);
        format!("{then} after {operation}")
    });
    let after: Vec<String> = after.collect();
    let before = sent(probe.written.as_deref());
    (!after.is_empty()).then(|| format!("{}: {before}, and {}", probe.name, after.join(", ")))
}

/// What kind of thing a cause is.
pub fn cause_kind(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::Bug => "a bug: a program does what it should not",
        CauseKind::Encoding => "a change of encoding, which older programs do not know",
        CauseKind::Design => "as it is meant, and not to be mixed",
    }
}

/// Where a cause was seen.
pub fn cause_places(rules: usize, scenarios: usize, cells: usize) -> String {
    let (rules, scenarios) = (counted(rules, "rule"), counted(scenarios, "scenario"));
    format!("{rules} in {scenarios}, {}", counted(cells, "cell"))
}

/// When a cause was seen, and under which kernel last.
pub fn cause_days(first: &str, last: &str, kernel: &str) -> String {
    match first == last {
        true => format!("on {last}, kernel {kernel}"),
        false => format!("from {first} to {last}, kernel {kernel}"),
    }
}

/// What a search for a commit came to.
pub fn found_commit(found: &FoundCommit) -> String {
    let commit = found.commit.as_deref().map(|commit| {
        let date = found.date.as_deref().map(|date| format!(", {date}"));
        let subject = found.subject.as_deref().map(|of| format!(": {of}"));
        let (date, subject) = (date.unwrap_or_default(), subject.unwrap_or_default());
        format!("{commit}{date}{subject}")
    });
    let between = found.between.as_ref();
    let between = between.map(|[from, to]| format!("between {from} and {to}"));
    let skipped = match found.skipped.len() {
        0 => None,
        some => Some(format!("{} could not be tried", counted(some, "commit"))),
    };
    let said = [commit, found.because.clone(), between, skipped];
    said.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What the signatures of a cause say that nobody has named: of the first of them.
pub fn signatures<'s>(mut all: impl Iterator<Item = &'s Signature>) -> String {
    all.next().map(signature).unwrap_or_default()
}

fn signature(of: &Signature) -> String {
    let (decoder, encoded) = (&of.decoder, of.encoded.as_str());
    let what = match encoded {
        "" => "a rule".to_owned(),
        part if part.starts_with('(') => part.trim_matches(['(', ')']).to_owned(),
        form => format!("`{form}`"),
    };
    let does = match of.effect {
        Effect::Dropped => format!("{decoder} reads {what} as nothing"),
        Effect::Altered => format!("{decoder} reads another value out of {what}"),
        Effect::Added => format!("{decoder} reads {what} where there is none"),
        Effect::Replaced => format!("{decoder} makes another rule of one with {what}"),
        Effect::Refused => format!("{decoder} refuses a table because of {what}"),
        Effect::Crashes => format!("{decoder} dies of {what}"),
        Effect::Hangs => format!("{decoder} never ends with {what}"),
        Effect::Unrestorable => format!("{decoder} cannot load what it prints of {what}"),
        Effect::UnrestorableNoflush => {
            format!("{decoder} cannot load what it prints of {what} without a flush")
        }
        Effect::HitsAnother => format!("{decoder} takes a rule with another {what} for this one"),
        Effect::Misses => format!("{decoder} does not find {what}"),
        Effect::Doubled => format!("{decoder} writes {what} once more beside the other backend's"),
    };
    match &of.own {
        Own::As(own) if own.is_empty() => format!("{does}, which it writes without that"),
        Own::As(own) => format!("{does}, which it writes as `{own}`"),
        Own::InAnotherOrder => format!("{does}, which it writes in another order"),
        Own::Itself => format!("{does}, whoever wrote it"),
        Own::Unknown => does,
    }
}
