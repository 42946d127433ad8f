//! What a build printed, sorted by table and chain once, however many rules and readers ask for it.

use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use crate::ruleset::{Chain, Printed, Rule, Words};

/// The rules of one chain as one build printed them.
#[derive(Clone, Default)]
pub struct Listing {
    /// In order.
    pub rules: Vec<Arc<Rule>>,
}

/// Whether both are the same rules, word for word and in the same order.
pub fn is_alike(one: &[Arc<Rule>], other: &[Arc<Rule>]) -> bool {
    let alike = |(one, other): (&Arc<Rule>, &Arc<Rule>)| {
        Arc::ptr_eq(one, other) || one.tokens == other.tokens
    };
    one.len() == other.len() && one.iter().zip(other).all(alike)
}

/// The words of each rule.
pub fn words(rules: &[Arc<Rule>]) -> Vec<&Words> {
    rules.iter().map(|rule| &rule.tokens).collect()
}

/// A print, by table and chain.
pub struct Sheet {
    /// All `#` lines but those that say when and by what it was printed.
    pub comments: Vec<String>,
    /// Lines that are nothing known.
    pub strays: Vec<String>,
    /// The tables that the build says it cannot print.
    given_up: Vec<String>,
    tables: HashMap<String, Section>,
}

/// A table. One that was printed twice is one.
#[derive(Default)]
struct Section {
    chains: HashMap<String, Printout>,
    is_cut_off: bool,
}

/// What was printed of a chain.
#[derive(Default)]
struct Printout {
    /// The chain as such; none where only its rules were printed.
    chain: Option<Chain>,
    listing: Rc<Listing>,
}

impl Printout {
    fn add(&mut self, rules: &[Arc<Rule>]) {
        Rc::make_mut(&mut self.listing)
            .rules
            .extend_from_slice(rules);
    }
}

impl Sheet {
    /// Sorts what was printed.
    pub fn of(printed: Printed) -> Self {
        let given_up = printed.incompatible_tables().into_iter();
        let mut sheet = Sheet {
            given_up: given_up.map(str::to_owned).collect(),
            comments: printed.comments,
            strays: printed.strays,
            tables: HashMap::default(),
        };
        for table in printed.tables {
            let is_new = !sheet.tables.contains_key(&table.name);
            let section = sheet.tables.entry(table.name).or_default();
            section.is_cut_off |= !table.committed;
            // Of a table that was printed twice, the first says which chains there are.
            if is_new {
                section.chains.reserve(table.chains.len());
                for chain in table.chains {
                    let printout = section.chains.entry(chain.name.clone()).or_default();
                    printout.chain.get_or_insert(chain);
                }
            }
            for of_chain in table.rules.chunk_by(|one, next| one.chain == next.chain) {
                let chain = &of_chain[0].chain;
                match section.chains.get_mut(chain) {
                    Some(known) => known.add(of_chain),
                    None => {
                        let mut new = Printout::default();
                        new.add(of_chain);
                        section.chains.insert(chain.clone(), new);
                    }
                }
            }
        }
        sheet
    }

    /// Whether it has the table.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Whether it says that it cannot print the table.
    pub fn gives_up(&self, table: &str) -> bool {
        self.given_up.iter().any(|known| known == table)
    }

    /// Whether it says of any table that it cannot print it.
    pub fn gives_up_any(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Whether a section of the table has no `COMMIT`.
    pub fn is_cut_off(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|known| known.is_cut_off)
    }

    /// What it says of a chain as such.
    pub fn chain(&self, table: &str, chain: &str) -> Option<&Chain> {
        self.tables.get(table)?.chains.get(chain)?.chain.as_ref()
    }

    /// The rules of a chain; none where it has no such table.
    pub fn listing(&self, table: &str, chain: &str) -> Option<Rc<Listing>> {
        let printout = self.tables.get(table)?.chains.get(chain);
        Some(printout.map_or_else(Rc::default, |printout| printout.listing.clone()))
    }
}
