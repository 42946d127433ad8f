//! Where each rule of a scenario stands.

use std::collections::HashMap;

use crate::ruleset::{Rule, Ruleset};

/// Where a rule stands in its scenario.
pub struct Place<'a> {
    /// Its place in the whole ruleset, from 0.
    pub global: usize,
    /// Its place in its chain, from 1.
    pub index: usize,
    /// Its table.
    pub table: &'a str,
    /// The rule.
    pub rule: &'a Rule,
}

/// The places of all rules of a scenario's ruleset, in order.
pub fn places(ruleset: &Ruleset) -> Vec<Place<'_>> {
    let mut in_chain: HashMap<(&str, &str), usize> = HashMap::new();
    let rules = ruleset
        .tables
        .iter()
        .flat_map(|table| table.rules.iter().map(move |rule| (table, rule)));
    rules
        .enumerate()
        .map(|(global, (table, rule))| {
            let index = in_chain.entry((&table.name, &rule.chain)).or_default();
            *index += 1;
            Place {
                global,
                index: *index,
                table: &table.name,
                rule,
            }
        })
        .collect()
}
