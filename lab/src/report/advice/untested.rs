//! What an advice says of what was not tested.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::basis::Details;
use super::pairs::grouped;
use super::words::{self, list, name};
use crate::advice::{Advice, Member, Pair, Untested};
use crate::report::terminal::{HEADING, inert, paint, wrap};

/// All that was not tested, in half a sentence.
pub(super) fn gaps(advice: &Advice<'_>) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut operations = BTreeSet::new();
    for pair in &advice.pairs {
        operations.extend(pair.missing.iter().copied());
    }
    if advice.pairs.iter().any(|pair| pair.scenarios.is_empty()) {
        let never = advice.pairs.iter().filter(|pair| pair.scenarios.is_empty());
        said.push(format!("{} pairs that were never run", never.count()));
    } else if !operations.is_empty() {
        let operations: Vec<_> = operations.into_iter().collect();
        said.push(words::missing(&operations));
    }
    let rules = untested(advice.pairs.iter());
    if !rules.is_empty() {
        said.push(format!("{} rules ({})", rules.len(), reasons(&rules)));
    }
    if !advice.left_out.is_empty() {
        said.push(format!(
            "the iptables of {}",
            inert(&advice.left_out.join(", "))
        ));
    }
    list(&said)
}

/// Rules that could not be tested, each once.
fn untested<'a>(pairs: impl Iterator<Item = &'a Pair<'a>>) -> Vec<&'a Untested> {
    let all: BTreeSet<&Untested> = pairs
        .flat_map(|pair| pair.untested.iter().copied())
        .collect();
    all.into_iter().collect()
}

/// The first reason, and how many there are.
fn reasons(rules: &[&Untested]) -> String {
    let reasons: BTreeSet<&str> = rules.iter().map(|rule| rule.reason.as_str()).collect();
    let first = reasons.first().map(|of| inert(of)).unwrap_or_default();
    match reasons.len() {
        0 | 1 => first,
        several => format!("{first}; and {} other reasons", several - 1),
    }
}

/// How many reasons are told in short.
const REASONS: usize = 3;

/// What was not tested, in short with few of the rules.
pub(super) fn not_tested(
    advice: &Advice<'_>,
    members: &[Member],
    details: Details,
    width: usize,
) -> String {
    let mut said: Vec<String> = Vec::new();
    for group in grouped(advice, members) {
        let names: Vec<String> = group.readers.iter().map(|of| name(&members[*of])).collect();
        let pair = group.pair;
        let line = match (pair.scenarios.is_empty(), pair.missing.as_slice()) {
            (true, _) => {
                let writers: Vec<String> =
                    group.writers.iter().map(|of| name(&members[*of])).collect();
                format!("{} → {}: never run together", list(&writers), list(&names))
            }
            (false, []) => continue,
            (false, missing) => format!("{} as reader: {}", list(&names), words::missing(missing)),
        };
        if !said.contains(&line) {
            said.push(line);
        }
    }
    for left_out in &advice.left_out {
        said.push(format!(
            "Nothing is known of the iptables of {}",
            inert(left_out)
        ));
    }
    let rules = untested(advice.pairs.iter());
    said.extend(untested_rules(&rules, details));
    if said.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(HEADING, "Not tested"));
    for line in said {
        let lines = wrap(&line, width.saturating_sub(4));
        let _ = writeln!(text, "  {}", lines.join("\n    "));
    }
    text
}

/// Rules that could not be tested, by their reasons.
fn untested_rules(rules: &[&Untested], details: Details) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&Untested>)> = Vec::new();
    for rule in rules {
        match by_reason
            .iter_mut()
            .find(|(reason, _)| *reason == rule.reason)
        {
            Some((_, same)) => same.push(rule),
            None => by_reason.push((&rule.reason, vec![rule])),
        }
    }
    by_reason.sort_by_key(|(_, same)| std::cmp::Reverse(same.len()));
    let mut said = Vec::new();
    let shown = match details {
        Details::Short => REASONS,
        Details::Full => by_reason.len(),
    };
    let rule = |of: &Untested| {
        let index = of
            .index
            .map_or_else(String::new, |index| format!(" rule {index}"));
        let with = of.operation.map_or_else(String::new, |operation| {
            format!(" with {}", words::operation(operation))
        });
        inert(&format!(
            "{}, {}{index}{with}: {}",
            of.scenario, of.chain, of.given
        ))
    };
    for (reason, same) in by_reason.iter().take(shown) {
        let (first, all) = (
            same.first().map(|of| rule(of)).unwrap_or_default(),
            same.len(),
        );
        match (details, all) {
            (Details::Short, 1) => said.push(format!("{first} ({})", inert(reason))),
            (Details::Short, _) => {
                said.push(format!("{all} rules ({}). Example: {first}", inert(reason)));
            }
            (Details::Full, _) => {
                said.extend(
                    same.iter()
                        .map(|of| format!("{} ({})", rule(of), inert(reason))),
                );
            }
        }
    }
    if by_reason.len() > shown {
        let rest = by_reason[shown..].iter().map(|(_, same)| same.len());
        said.push(format!(
            "{} more rules for other reasons",
            rest.sum::<usize>()
        ));
    }
    said
}
