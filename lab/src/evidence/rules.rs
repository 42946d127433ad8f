//! A ruleset that parts are left out of, in iptables' words or in nft's.

use std::fmt;

use super::loss::Subject;
use crate::catalog::Family;
use crate::scenario::Scenario;
use crate::tool::iptables::{atom_ranges, target, unit_ranges};
use crate::tool::nft::{statement_ranges, word_ranges, words_of};
use crate::tool::{Rule, Ruleset, Target};

/// Where what an nft rule says begins: behind `add rule FAMILY TABLE CHAIN`.
const SAYS: usize = 5;

/// The rules of a scenario, in the language that they are written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// For iptables.
    Iptables(Ruleset),
    /// Commands for nft.
    Nft(Vec<String>),
}

/// A piece of a rule: words that stand or fall together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The rule's place in the text, from 0.
    rule: usize,
    /// The places of its words.
    words: Vec<usize>,
}

/// How finely rules are cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Whole matches, or nft's statements.
    Units,
    /// Single options, or nft's words.
    Options,
}

impl Rules {
    /// Those that `scenario` has in `family`.
    pub fn of(scenario: &Scenario, family: Family) -> Rules {
        match scenario.nft.get(&family) {
            Some(native) => {
                let commands = native.commands().map(|(command, _)| command.to_owned());
                Rules::Nft(commands.collect())
            }
            None => Rules::Iptables(scenario.ruleset(family).clone()),
        }
    }

    /// How many rules there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Rules::Iptables(ruleset) => ruleset.rule_count(),
            Rules::Nft(commands) => commands.iter().filter(|of| is_rule(of)).count(),
        }
    }

    /// How many words the rules have.
    pub(super) fn words(&self) -> usize {
        match self {
            Rules::Iptables(ruleset) => ruleset.rules().map(|(_, rule)| rule.tokens().len()).sum(),
            Rules::Nft(commands) => {
                let rules = commands.iter().filter(|of| is_rule(of));
                rules.map(|rule| words_of(rule).len() - SAYS).sum()
            }
        }
    }

    /// The place in the text of the rule that `given` is the text of.
    pub(super) fn place_of(&self, given: &str) -> Option<usize> {
        match self {
            Rules::Iptables(ruleset) => ruleset.rules().position(|(_, rule)| *rule.text == *given),
            Rules::Nft(commands) => {
                let mut rules = commands.iter().filter(|of| is_rule(of));
                rules.position(|rule| rule == given)
            }
        }
    }

    /// Only those rules whose place in the text is kept.
    pub(super) fn only(&self, kept: &[usize]) -> Rules {
        match self {
            Rules::Iptables(ruleset) => Rules::Iptables(ruleset.only(|at| kept.contains(&at))),
            Rules::Nft(commands) => {
                let mut rules = 0..;
                let is_kept = |command: &&String| {
                    !is_rule(command) || rules.next().is_some_and(|at| kept.contains(&at))
                };
                Rules::Nft(commands.iter().filter(is_kept).cloned().collect())
            }
        }
    }

    /// How many things are declared beside the rules: chains, and nft's tables, sets and elements.
    pub(super) fn declared(&self) -> usize {
        match self {
            Rules::Iptables(ruleset) => ruleset.tables.iter().map(|of| of.chains.len()).sum(),
            Rules::Nft(commands) => commands.iter().filter(|of| !is_rule(of)).count(),
        }
    }

    /// The places of those that the rules, or the chain that a loss is seen at, seem to need.
    pub(super) fn needed(&self, subject: &Subject) -> Vec<usize> {
        let is_subject = |table: &str, chain: &str| matches!(subject, Subject::Chain { table: of, chain: named } if of == table && named == chain);
        let needed: Vec<bool> = match self {
            Rules::Iptables(ruleset) => {
                let chains = ruleset.tables.iter().flat_map(|table| {
                    let chains = table.chains.iter();
                    chains.map(move |chain| {
                        let leads = |rule: &Rule| match target(&rule.tokens().to_vec()) {
                            Target::Jump(to) | Target::Goto(to) => to == chain.name,
                            _ => false,
                        };
                        let mut rules = table.rules.iter();
                        rules.any(|rule| rule.chain == chain.name || leads(rule))
                            || is_subject(&table.name, &chain.name)
                    })
                });
                chains.collect()
            }
            Rules::Nft(commands) => {
                let rules: Vec<Vec<&str>> = commands
                    .iter()
                    .filter(|of| is_rule(of))
                    .map(|rule| words_of(rule))
                    .collect();
                let declared = commands.iter().filter(|of| !is_rule(of));
                let is_needed = |command: &String| {
                    let words = words_of(command);
                    let (table, name) = (words.get(2..4), words.get(4));
                    let names = |rule: &Vec<&str>| {
                        let mut said = rule.iter().skip(SAYS - 1);
                        let is_named =
                            |name: &&str| said.any(|of| of.trim_start_matches('@') == *name);
                        rule.get(2..4) == table && name.is_none_or(is_named)
                    };
                    // An `inet` table is called `inet NAME` where verdicts are.
                    let is_table = |of: &str| {
                        table.is_some_and(|table| of.split(' ').next_back() == Some(table[1]))
                    };
                    let of_subject = match (subject, name) {
                        (Subject::Chain { table, chain }, Some(name)) => {
                            is_table(table) && chain == name
                        }
                        (Subject::Chain { table, .. }, None) => is_table(table),
                        (Subject::Rule { .. }, _) => false,
                    };
                    of_subject || rules.iter().any(names)
                };
                declared.map(is_needed).collect()
            }
        };
        let places = needed
            .into_iter()
            .enumerate()
            .filter(|(_, is_needed)| *is_needed);
        places.map(|(place, _)| place).collect()
    }

    /// Only those declarations whose place is kept; a table of iptables' goes with the last that was in it.
    pub(super) fn with_declared(&self, kept: &[usize]) -> Rules {
        let mut declared = 0..;
        let mut is_kept = || declared.next().is_some_and(|at| kept.contains(&at));
        match self {
            Rules::Iptables(ruleset) => {
                let mut smaller = ruleset.clone();
                for table in &mut smaller.tables {
                    table.chains.retain(|_| is_kept());
                }
                smaller
                    .tables
                    .retain(|table| !table.rules.is_empty() || !table.chains.is_empty());
                Rules::Iptables(smaller)
            }
            Rules::Nft(commands) => {
                let kept = commands.iter().filter(|of| is_rule(of) || is_kept());
                Rules::Nft(kept.cloned().collect())
            }
        }
    }

    /// The rules in pieces.
    pub(super) fn pieces(&self, cut: Cut) -> Vec<Piece> {
        let of_rules: Vec<Vec<Vec<usize>>> = match self {
            Rules::Iptables(ruleset) => {
                let ranges = match cut {
                    Cut::Units => unit_ranges::<&str>,
                    Cut::Options => atom_ranges,
                };
                ruleset
                    .rules()
                    .map(|(_, rule)| ranges(&rule.tokens().to_vec()))
                    .collect()
            }
            Rules::Nft(commands) => {
                let ranges = match cut {
                    Cut::Units => statement_ranges,
                    Cut::Options => word_ranges,
                };
                let rules = commands.iter().filter(|of| is_rule(of));
                rules.map(|rule| ranges(&words_of(rule)[SAYS..])).collect()
            }
        };
        let pieces = of_rules.into_iter().enumerate().flat_map(|(rule, ranges)| {
            let ranges = ranges.into_iter();
            ranges.map(move |words| Piece { rule, words })
        });
        pieces.collect()
    }

    /// The rules with only these pieces of them.
    pub(super) fn of_pieces(&self, pieces: &[Piece]) -> Rules {
        let kept = |rule: usize| {
            let mut words: Vec<usize> = pieces
                .iter()
                .filter(|piece| piece.rule == rule)
                .flat_map(|piece| piece.words.iter().copied())
                .collect();
            words.sort_unstable();
            words
        };
        match self {
            Rules::Iptables(ruleset) => {
                let mut smaller = ruleset.clone();
                let rules = smaller.tables.iter_mut().flat_map(|table| &mut table.rules);
                for (place, rule) in rules.enumerate() {
                    let words = kept(place);
                    if words.len() < rule.tokens().len() {
                        let all = rule.tokens().to_vec();
                        let kept = words.iter().map(|&word| all[word]);
                        *rule = Rule::new(rule.chain.clone(), kept);
                    }
                }
                Rules::Iptables(smaller)
            }
            Rules::Nft(commands) => {
                let mut smaller = commands.clone();
                let rules = smaller.iter_mut().filter(|of| is_rule(of));
                for (place, rule) in rules.enumerate() {
                    let (words, kept) = (words_of(rule), kept(place));
                    if kept.len() < words.len() - SAYS {
                        let kept = kept.iter().map(|&word| words[SAYS + word]);
                        let words: Vec<&str> = words[..SAYS].iter().copied().chain(kept).collect();
                        *rule = words.join(" ");
                    }
                }
                Rules::Nft(smaller)
            }
        }
    }
}

/// Whether a command for nft adds a rule, and says something in it.
fn is_rule(command: &str) -> bool {
    let words = words_of(command);
    words.starts_with(&["add", "rule"]) && words.len() >= SAYS
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rules::Iptables(ruleset) => write!(f, "{ruleset}"),
            Rules::Nft(commands) => {
                let mut commands = commands.iter();
                commands.try_for_each(|command| writeln!(f, "{command}"))
            }
        }
    }
}
