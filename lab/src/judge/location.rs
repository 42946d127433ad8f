//! Where each rule of a scenario stands: its table, its chain, and its place in both.

use std::sync::Arc;

use foldhash::HashMap;

use super::as_run::RuleName;
use crate::catalog::Family;
use crate::scenario::Scenario;
use crate::tool::{Rule, Table};

/// Where a rule stands in its scenario.
pub struct Location<'a> {
    /// Its place in the whole ruleset, from 0.
    pub global: usize,
    /// Its place in its chain, from 1.
    pub index: usize,
    /// Its table.
    pub table: &'a str,
    /// Its chain's number among the scenario's, from 0.
    pub chain: usize,
    /// The rule.
    pub rule: &'a Rule,
    /// The number of its layer, from 1.
    pub layer: usize,
    /// What its verdicts call its table and chain.
    pub names: Names,
}

impl Location<'_> {
    /// What verdicts call it.
    pub fn name(&self) -> RuleName {
        RuleName {
            table: self.names.table.clone(),
            chain: self.names.chain.clone(),
            index: self.index,
        }
    }
}

/// A table and a chain, in memory once for all verdicts about their rules.
#[derive(Clone)]
pub struct Names {
    /// The table.
    pub table: Arc<str>,
    /// The chain.
    pub chain: Arc<str>,
}

/// The locations of all rules of a scenario's ruleset, in order, and chain by chain.
pub struct Locations<'a> {
    all: Vec<Location<'a>>,
    /// Those of each chain, by its number.
    chains: Vec<Vec<usize>>,
}

impl<'a> Locations<'a> {
    /// Those of a scenario's rules of a family.
    pub fn of(scenario: &'a Scenario, family: Family) -> Self {
        let ruleset = scenario.ruleset(family);
        let mut numbers: HashMap<(&str, &str), (usize, Names)> = HashMap::default();
        let mut chains: Vec<Vec<usize>> = Vec::new();
        let rules = ruleset.rules().enumerate();
        let location = |(global, (table, rule)): (usize, (&'a Table, &'a Rule))| {
            let of_chain = numbers.entry((&table.name, &rule.chain));
            let (chain, names) = of_chain.or_insert_with(|| {
                chains.push(Vec::new());
                let names = Names {
                    table: table.name.as_str().into(),
                    chain: rule.chain.as_str().into(),
                };
                (chains.len() - 1, names)
            });
            chains[*chain].push(global);
            Location {
                global,
                index: chains[*chain].len(),
                table: &table.name,
                chain: *chain,
                rule,
                layer: scenario.in_layer(family, global).layer,
                names: names.clone(),
            }
        };
        let all = rules.map(location).collect();
        Locations { all, chains }
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Location<'a>> {
        self.all.iter()
    }

    /// Those of the chain with that number, by their places in the whole ruleset, in order.
    pub fn of_chain(&self, chain: usize) -> &[usize] {
        &self.chains[chain]
    }

    /// How many of the rules of the chain with that number are of a layer.
    pub fn count_of(&self, chain: usize, layer: usize) -> usize {
        let of_chain = self.chains[chain].iter();
        of_chain.filter(|at| self.all[**at].layer == layer).count()
    }

    /// The rule at a place in the whole ruleset.
    pub fn rule(&self, global: usize) -> &'a Rule {
        self.all[global].rule
    }
}
