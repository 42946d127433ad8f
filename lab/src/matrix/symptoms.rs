//! What people see on a node, and the cells that show it.

use std::collections::BTreeMap;

use super::Matrix;
use super::example::Example;
use crate::catalog::{Backend, Tool};
use crate::judge::verdict::{Effect, Verdict};
use crate::judge::{Cell, RuleVerdict};
use crate::plan::Operation;

/// What people see on a node and search for, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symptom {
    /// cannot ping localhost.
    PingLocalhost,
    /// connection timed out, i/o timeout, packets are dropped.
    Timeout,
    /// a port is open that the rules close.
    OpenPort,
    /// a service answers from the wrong pod, wrong source address.
    WrongPeer,
    /// rules multiply, the same rule again and again in iptables-save.
    RulesMultiply,
    /// Bad rule (does a matching rule exist in that chain?).
    BadRule,
    /// Table is incompatible, use 'nft' tool.
    IncompatibleTable,
    /// Warning: iptables-legacy tables present, use iptables-legacy to see them.
    LegacyTablesPresent,
    /// rules are there twice, under iptables-legacy and iptables-nft.
    RulesTwice,
    /// iptables-save shows nothing, iptables -L is empty.
    SaveShowsNothing,
    /// iptables-save: Segmentation fault.
    SegmentationFault,
    /// nft list ruleset: Segmentation fault.
    NftSegmentationFault,
    /// iptables hangs, another app is currently holding the xtables lock.
    Hangs,
    /// iptables-restore: line 5 failed.
    RestoreFails,
    /// nft -f: unsupported xtables compat expression.
    XtablesExpression,
    /// nft -f: syntax error in nft's own listing.
    NftSyntaxError,
    /// iptables -D deletes the wrong rule.
    DeletesWrongRule,
    /// iptables -C finds a rule that does not exist.
    ChecksWrongRule,
    /// rules lose a match (mark, port, comment) after iptables-save and iptables-restore.
    MatchesLost,
}

/// A symptom, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub symptom: Symptom,
    /// Where it was seen, by scenario.
    pub sightings: Vec<Sighting>,
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

impl Symptom {
    /// Every symptom, the gravest first.
    pub const ALL: [Symptom; 19] = [
        Symptom::PingLocalhost,
        Symptom::Timeout,
        Symptom::OpenPort,
        Symptom::WrongPeer,
        Symptom::RulesMultiply,
        Symptom::BadRule,
        Symptom::IncompatibleTable,
        Symptom::LegacyTablesPresent,
        Symptom::RulesTwice,
        Symptom::SaveShowsNothing,
        Symptom::SegmentationFault,
        Symptom::NftSegmentationFault,
        Symptom::Hangs,
        Symptom::RestoreFails,
        Symptom::XtablesExpression,
        Symptom::NftSyntaxError,
        Symptom::DeletesWrongRule,
        Symptom::ChecksWrongRule,
        Symptom::MatchesLost,
    ];

    /// Whether a cell shows it.
    fn is_in(self, cell: &Cell) -> bool {
        match self {
            Symptom::PingLocalhost => {
                packet(cell, Effect::Dropped, |name| name.contains("localhost"))
            }
            Symptom::Timeout => packet(cell, Effect::Dropped, |name| !name.contains("localhost")),
            Symptom::OpenPort => packet(cell, Effect::Passed, |_| true),
            Symptom::WrongPeer => packet(cell, Effect::Rerouted, |_| true),
            Symptom::RulesMultiply => rule(cell, |rule| {
                rule.of(Operation::Check) == Some(Verdict::NotFound)
            }),
            Symptom::BadRule => {
                let missed = |rule: &RuleVerdict| {
                    rule.of(Operation::Check) == Some(Verdict::NotFound)
                        || rule.of(Operation::Delete) == Some(Verdict::NotDeleted)
                };
                rule(cell, missed)
            }
            Symptom::IncompatibleTable => says(cell, &["incompatible, use 'nft' tool"]),
            Symptom::LegacyTablesPresent => says(cell, &["tables present, use iptables-legacy"]),
            Symptom::RulesTwice => rule(cell, |rule| {
                rule.of(Operation::Reassert) == Some(Verdict::Doubled)
            }),
            Symptom::SaveShowsNothing => rule(cell, |rule| {
                rule.of(Operation::Save) == Some(Verdict::Invisible)
            }),
            Symptom::SegmentationFault => any(cell, Verdict::Crashed) && !nft_dies(cell),
            Symptom::NftSegmentationFault => nft_dies(cell),
            Symptom::Hangs => any(cell, Verdict::TimedOut),
            Symptom::RestoreFails => any(cell, Verdict::Unrestorable) && !says(cell, &[OF_NFT]),
            Symptom::XtablesExpression => says(cell, &["unsupported xtables compat expression"]),
            Symptom::NftSyntaxError => says(cell, &[OF_NFT]) && says(cell, &["syntax error"]),
            Symptom::DeletesWrongRule => any(cell, Verdict::WrongRule),
            Symptom::ChecksWrongRule => any(cell, Verdict::FoundWrong),
            Symptom::MatchesLost => any(cell, Verdict::Lossy),
        }
    }
}

/// The symptoms that any cell shows.
pub fn symptoms(matrix: &Matrix) -> Vec<Seen> {
    let sightings = |symptom: Symptom| {
        let mut seen: BTreeMap<&str, Sighting> = BTreeMap::new();
        for cell in matrix.cells.iter().filter(|cell| symptom.is_in(cell)) {
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
    let all = Symptom::ALL.into_iter().map(|symptom| Seen {
        symptom,
        sightings: sightings(symptom),
    });
    all.filter(|of| !of.sightings.is_empty()).collect()
}

fn packet(cell: &Cell, effect: Effect, is_called: fn(&str) -> bool) -> bool {
    let mut named = cell
        .outcome
        .probes
        .iter()
        .filter(|probe| is_called(&probe.name));
    named.any(|probe| probe.after.values().any(|of| *of == effect))
}

fn rule(cell: &Cell, is_so: fn(&RuleVerdict) -> bool) -> bool {
    cell.outcome.rules.iter().any(is_so)
}

fn any(cell: &Cell, verdict: Verdict) -> bool {
    let of_rules = cell.outcome.rules.iter().flat_map(RuleVerdict::of_reader);
    let of_chains = cell
        .outcome
        .chains
        .iter()
        .flat_map(|chain| chain.of_reader());
    of_rules.chain(of_chains).any(|of| of == verdict)
}

/// What nft's complaints about what it is to load have: the name of the input, as the lab gives it.
const OF_NFT: &str = "/dev/stdin:";

/// Whether an nft died.
fn nft_dies(cell: &Cell) -> bool {
    let mut crashes = cell.outcome.crashes.iter();
    let stem = Tool::Nft.commands().program(Backend::Nft);
    crashes.any(|crash| crash.argv.first() == Some(&stem))
}

/// Whether a reason or a warning has one of these words.
fn says(cell: &Cell, words: &[&str]) -> bool {
    let tested = cell
        .outcome
        .rules
        .iter()
        .filter(|rule| rule.not_tested().is_none());
    let of_rules = tested.filter_map(|rule| rule.reason());
    let of_chains = cell
        .outcome
        .chains
        .iter()
        .filter_map(|chain| chain.reason());
    let warnings = cell
        .outcome
        .warnings
        .iter()
        .map(|warning| warning.text.as_str());
    let has_one = |said: &str| words.iter().any(|words| said.contains(words));
    let mut reasons = of_rules.chain(of_chains);
    reasons.any(|reason| has_one(&reason.to_string())) || warnings.into_iter().any(has_one)
}
