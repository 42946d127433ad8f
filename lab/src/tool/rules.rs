//! Rules that parts are left out of, in the language of the tool that writes them.

use std::fmt;

use super::given::Given;
use super::iptables;
use super::nft::Lines;
use super::piece::{Cut, Piece};
use super::ruleset::Ruleset;
use crate::catalog::Tool;

/// Rules that parts are left out of, in the language of the tool that writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Language);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Language {
    Iptables(Ruleset),
    Nft(Lines),
}

impl Rules {
    /// Those of a scenario.
    pub fn of(given: &Given) -> Rules {
        Rules(match given.tool() {
            Tool::Iptables => Language::Iptables(given.ruleset().clone()),
            Tool::Nft => Language::Nft(Lines::of(&given.only(|_| true))),
        })
    }

    /// The tool that writes them.
    pub fn tool(&self) -> Tool {
        match &self.0 {
            Language::Iptables(_) => Tool::Iptables,
            Language::Nft(_) => Tool::Nft,
        }
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        match &self.0 {
            Language::Iptables(ruleset) => ruleset.rule_count(),
            Language::Nft(lines) => lines.count(),
        }
    }

    /// How many words the rules have.
    pub fn words(&self) -> usize {
        match &self.0 {
            Language::Iptables(ruleset) => {
                let rules = ruleset.rules();
                rules.map(|(_, rule)| rule.tokens().len()).sum()
            }
            Language::Nft(lines) => lines.words(),
        }
    }

    /// The place in the text of the rule that `given` is the text of.
    pub fn place_of(&self, given: &str) -> Option<usize> {
        match &self.0 {
            Language::Iptables(ruleset) => {
                ruleset.rules().position(|(_, rule)| *rule.text == *given)
            }
            Language::Nft(lines) => lines.place_of(given),
        }
    }

    /// Only those rules whose place in the text is kept.
    pub fn only(&self, kept: &[usize]) -> Rules {
        Rules(match &self.0 {
            Language::Iptables(ruleset) => {
                Language::Iptables(ruleset.only(|at| kept.contains(&at)))
            }
            Language::Nft(lines) => Language::Nft(lines.only(kept)),
        })
    }

    /// How many things are declared beside the rules: chains, and nft's tables, sets and elements.
    pub fn declared(&self) -> usize {
        match &self.0 {
            Language::Iptables(ruleset) => ruleset.tables.iter().map(|of| of.chains.len()).sum(),
            Language::Nft(lines) => lines.declared(),
        }
    }

    /// The places of those that the rules, or this `chain` of a table, seem to need.
    pub fn needed(&self, chain: Option<(&str, &str)>) -> Vec<usize> {
        let needed = match &self.0 {
            Language::Iptables(ruleset) => iptables::needed_chains(ruleset, chain),
            Language::Nft(lines) => lines.needed(chain),
        };
        let places = needed.into_iter().enumerate();
        let needed = places.filter(|(_, is_needed)| *is_needed);
        needed.map(|(place, _)| place).collect()
    }

    /// Only those declarations whose place is kept; a table of iptables' goes with the last that was in it.
    pub fn with_declared(&self, kept: &[usize]) -> Rules {
        Rules(match &self.0 {
            Language::Iptables(ruleset) => Language::Iptables(iptables::with_chains(ruleset, kept)),
            Language::Nft(lines) => Language::Nft(lines.with_declared(kept)),
        })
    }

    /// The rules in pieces.
    pub fn pieces(&self, cut: Cut) -> Vec<Piece> {
        let of_rules = match &self.0 {
            Language::Iptables(ruleset) => iptables::ranges(ruleset, cut),
            Language::Nft(lines) => lines.ranges(cut),
        };
        let pieces = of_rules.into_iter().enumerate().flat_map(|(rule, ranges)| {
            let ranges = ranges.into_iter();
            ranges.map(move |words| Piece { rule, words })
        });
        pieces.collect()
    }

    /// The rules with only these pieces of them.
    pub fn of_pieces(&self, pieces: &[Piece]) -> Rules {
        Rules(match &self.0 {
            Language::Iptables(ruleset) => Language::Iptables(iptables::of_pieces(ruleset, pieces)),
            Language::Nft(lines) => Language::Nft(lines.of_pieces(pieces)),
        })
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Language::Iptables(ruleset) => ruleset.fmt(f),
            Language::Nft(lines) => lines.fmt(f),
        }
    }
}
