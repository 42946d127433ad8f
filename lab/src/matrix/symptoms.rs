//! What people see and search for, and the cells that show it.

use std::collections::BTreeMap;

use super::Matrix;
use super::losses::Example;
use crate::judge::verdict::{Effect, Verdict};
use crate::judge::{Cell, RuleVerdict};

/// What someone sees on a node, in the words that they search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symptom {
    /// The words.
    pub words: &'static str,
    /// What is behind it.
    pub cause: &'static str,
    /// Where it was seen, by scenario.
    pub seen: Vec<Sighting>,
}

/// A scenario in which a symptom was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Which.
    pub scenario: String,
    /// In how many cells.
    pub cells: usize,
    /// The first of them.
    pub example: Example,
}

/// How a symptom is known in a cell.
type Shows = fn(&Cell) -> bool;

/// Every symptom, the gravest first.
const ALL: &[(&str, &str, Shows)] = &[
    (
        "cannot ping localhost",
        "a DROP rule came back without its match and drops the node's own packets",
        |cell| packet(cell, Effect::Dropped, |name| name.contains("localhost")),
    ),
    (
        "connection timed out, i/o timeout, packets are dropped",
        "a rule came back with fewer matches, or an ACCEPT is gone: packets that were let through are dropped",
        |cell| packet(cell, Effect::Dropped, |name| !name.contains("localhost")),
    ),
    (
        "a port is open that the rules close",
        "a DROP is gone or an ACCEPT matches more: packets that were kept out are let through",
        |cell| packet(cell, Effect::Passed, |_| true),
    ),
    (
        "a service answers from the wrong pod, wrong source address",
        "a DNAT, SNAT or MASQUERADE rule is another one now: packets arrive elsewhere",
        |cell| packet(cell, Effect::Rerouted, |_| true),
    ),
    (
        "rules multiply, the same rule again and again in iptables-save",
        "-C does not find the rule that is there, so a program that checks first adds it again",
        |cell| rule(cell, |rule| rule.check == Some(Verdict::NotFound)),
    ),
    (
        "Bad rule (does a matching rule exist in that chain?)",
        "-C or -D does not find the rule that is there: writer and reader encode it differently",
        |cell| {
            let missed = |rule: &RuleVerdict| {
                rule.check == Some(Verdict::NotFound) || rule.delete == Some(Verdict::NotDeleted)
            };
            rule(cell, missed)
        },
    ),
    (
        "Table is incompatible, use 'nft' tool",
        "one rule that the reader cannot decode makes it give up the whole table",
        |cell| says(cell, &["incompatible, use 'nft' tool"]),
    ),
    (
        "# Warning: iptables-legacy tables present, use iptables-legacy to see them",
        "both backends hold rules; each tool shows only its own, and packets meet both",
        |cell| says(cell, &["tables present, use iptables-legacy"]),
    ),
    (
        "rules are there twice, under iptables-legacy and iptables-nft",
        "a component of the other backend does not see the rules and writes them again",
        |cell| rule(cell, |rule| rule.reassert == Some(Verdict::Doubled)),
    ),
    (
        "iptables-save shows nothing, iptables -L is empty",
        "the rules are under the other backend",
        |cell| rule(cell, |rule| rule.read_verdict == Some(Verdict::Invisible)),
    ),
    (
        "iptables-save: Segmentation fault",
        "the reader dies of a rule that it cannot decode",
        |cell| any(cell, Verdict::Crashed),
    ),
    (
        "iptables hangs, another app is currently holding the xtables lock",
        "the build was still running when its time was up",
        |cell| any(cell, Verdict::TimedOut),
    ),
    (
        "iptables-restore: line 5 failed",
        "the reader refuses what it has itself just saved",
        |cell| any(cell, Verdict::Unrestorable),
    ),
    (
        "iptables -D deletes the wrong rule",
        "-D takes another rule for the one that it is given",
        |cell| any(cell, Verdict::WrongRule),
    ),
    (
        "iptables -C finds a rule that does not exist",
        "-C overlooks a difference, so the rule that is wanted is never added",
        |cell| any(cell, Verdict::FoundWrong),
    ),
    (
        "rules lose a match (mark, port, comment) after iptables-save and iptables-restore",
        "the reader prints the rule without a part, and restores what it printed",
        |cell| any(cell, Verdict::Lossy),
    ),
];

/// The symptoms that any cell shows.
pub fn symptoms(matrix: &Matrix) -> Vec<Symptom> {
    let seen = |shows: Shows| {
        let mut seen: BTreeMap<&str, Sighting> = BTreeMap::new();
        for cell in matrix.cells.iter().filter(|cell| shows(cell)) {
            let sighting = seen.entry(&cell.scenario).or_insert_with(|| Sighting {
                scenario: cell.scenario.clone(),
                cells: 0,
                example: Example {
                    family: cell.family,
                    writer: cell.writer.clone(),
                    reader: cell.reader.clone(),
                    rule: None,
                },
            });
            sighting.cells += 1;
        }
        seen.into_values().collect::<Vec<Sighting>>()
    };
    let symptoms = ALL.iter().map(|&(words, cause, shows)| Symptom {
        words,
        cause,
        seen: seen(shows),
    });
    symptoms
        .filter(|symptom| !symptom.seen.is_empty())
        .collect()
}

fn packet(cell: &Cell, effect: Effect, is_called: fn(&str) -> bool) -> bool {
    let mut named = cell.probes.iter().filter(|probe| is_called(&probe.name));
    named.any(|probe| probe.after.values().any(|of| *of == effect))
}

fn rule(cell: &Cell, is_so: fn(&RuleVerdict) -> bool) -> bool {
    cell.rules.iter().any(is_so)
}

fn any(cell: &Cell, verdict: Verdict) -> bool {
    let of_rules = cell.rules.iter().flat_map(RuleVerdict::of_reader);
    let of_chains = cell.chains.iter().flat_map(|chain| chain.of_reader());
    of_rules.chain(of_chains).any(|of| of == verdict)
}

/// Whether a reason or a warning has one of these words.
fn says(cell: &Cell, words: &[&str]) -> bool {
    let tested = cell.rules.iter().filter(|rule| rule.not_tested().is_none());
    let of_rules = tested.filter_map(|rule| rule.reason.as_deref());
    let of_chains = cell
        .chains
        .iter()
        .filter_map(|chain| chain.reason.as_deref());
    let warnings = cell.warnings.iter().map(|warning| warning.text.as_str());
    let mut said = of_rules.chain(of_chains).chain(warnings);
    said.any(|said| words.iter().any(|words| said.contains(words)))
}
