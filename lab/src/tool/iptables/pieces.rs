//! A ruleset that chains and parts of rules are left out of.

use super::{atom_ranges, target, unit_ranges};
use crate::tool::piece::{Cut, Piece};
use crate::tool::{Rule, Ruleset, Target};

/// Of each declared chain whether a rule stands in it or leads to it, or whether it is this `chain` of a table.
pub fn needed_chains(ruleset: &Ruleset, chain: Option<(&str, &str)>) -> Vec<bool> {
    let chains = ruleset.tables.iter().flat_map(|table| {
        let chains = table.chains.iter();
        chains.map(move |of| {
            let leads = |rule: &Rule| match target(&rule.tokens().to_vec()) {
                Target::Jump(to) | Target::Goto(to) => to == of.name,
                _ => false,
            };
            let mut rules = table.rules.iter();
            rules.any(|rule| rule.chain == of.name || leads(rule))
                || chain == Some((&table.name, &of.name))
        })
    });
    chains.collect()
}

/// Only those declared chains whose place is kept; a table goes with the last that was in it.
pub fn with_chains(ruleset: &Ruleset, kept: &[usize]) -> Ruleset {
    let mut declared = 0..;
    let mut smaller = ruleset.clone();
    for table in &mut smaller.tables {
        table
            .chains
            .retain(|_| declared.next().is_some_and(|at| kept.contains(&at)));
    }
    smaller
        .tables
        .retain(|table| !table.rules.is_empty() || !table.chains.is_empty());
    smaller
}

/// The words of each rule that stand or fall together, by their places.
pub fn ranges(ruleset: &Ruleset, cut: Cut) -> Vec<Vec<Vec<usize>>> {
    let ranges = match cut {
        Cut::Units => unit_ranges::<&str>,
        Cut::Options => atom_ranges,
    };
    let rules = ruleset.rules();
    rules
        .map(|(_, rule)| ranges(&rule.tokens().to_vec()))
        .collect()
}

/// The rules with only these pieces of them.
pub fn of_pieces(ruleset: &Ruleset, pieces: &[Piece]) -> Ruleset {
    let mut smaller = ruleset.clone();
    let rules = smaller.tables.iter_mut().flat_map(|table| &mut table.rules);
    for (place, rule) in rules.enumerate() {
        let words = Piece::kept(pieces, place);
        if words.len() < rule.tokens().len() {
            let all = rule.tokens().to_vec();
            let kept = words.iter().map(|&word| all[word]);
            *rule = Rule::new(rule.chain.clone(), kept);
        }
    }
    smaller
}
