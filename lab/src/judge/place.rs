//! Where each rule of a scenario stands.

use std::sync::Arc;

use foldhash::HashMap;

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
    /// What its verdicts call its table and chain.
    pub names: Names,
}

/// A table and a chain, in memory once for all verdicts about their rules.
#[derive(Clone)]
pub struct Names {
    /// The table.
    pub table: Arc<str>,
    /// The chain.
    pub chain: Arc<str>,
}

/// The places of all rules of a scenario's ruleset, in order, and chain by chain.
pub struct Places<'a> {
    all: Vec<Place<'a>>,
    /// By table and chain.
    chains: HashMap<(&'a str, &'a str), Vec<usize>>,
}

impl<'a> Places<'a> {
    /// Those of `ruleset`.
    pub fn of(ruleset: &'a Ruleset) -> Self {
        let all = places(ruleset);
        let mut chains: HashMap<_, Vec<usize>> = HashMap::default();
        for place in &all {
            let of_chain = chains.entry((place.table, place.rule.chain.as_str()));
            of_chain.or_default().push(place.global);
        }
        Places { all, chains }
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Place<'a>> {
        self.all.iter()
    }

    /// Those of one chain, in order.
    pub fn of_chain(&self, table: &str, chain: &str) -> Vec<&Place<'a>> {
        let of_chain = self.chains.get(&(table, chain)).into_iter().flatten();
        of_chain.map(|place| &self.all[*place]).collect()
    }

    /// How many rules one chain has.
    pub fn count(&self, table: &str, chain: &str) -> usize {
        self.chains.get(&(table, chain)).map_or(0, Vec::len)
    }
}

fn places(ruleset: &Ruleset) -> Vec<Place<'_>> {
    let mut in_chain: HashMap<(&str, &str), (usize, Names)> = HashMap::default();
    let rules = ruleset
        .tables
        .iter()
        .flat_map(|table| table.rules.iter().map(move |rule| (table, rule)));
    rules
        .enumerate()
        .map(|(global, (table, rule))| {
            let of_chain = in_chain.entry((&table.name, &rule.chain));
            let (index, names) = of_chain.or_insert_with(|| {
                let names = Names {
                    table: table.name.as_str().into(),
                    chain: rule.chain.as_str().into(),
                };
                (0, names)
            });
            *index += 1;
            Place {
                global,
                index: *index,
                table: &table.name,
                rule,
                names: names.clone(),
            }
        })
        .collect()
}
