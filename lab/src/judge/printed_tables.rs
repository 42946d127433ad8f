//! What a build printed, sorted by table and chain once, however many rules and readers ask for it.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use crate::tool::{GivenUp, Printed, PrintedTable, Rule, Words};

/// The rules of one chain as one build printed them.
#[derive(Clone, Default)]
pub struct Listing {
    /// Those of its whole table, chain by chain.
    table: Rc<[Arc<Rule>]>,
    range: Range<usize>,
}

impl Listing {
    /// In order.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.table[self.range.clone()]
    }
}

/// Whether both are the same rules, word for word and in the same order.
pub fn is_alike(one: &[Arc<Rule>], other: &[Arc<Rule>]) -> bool {
    let alike = |(one, other): (&Arc<Rule>, &Arc<Rule>)| {
        Arc::ptr_eq(one, other) || one.tokens() == other.tokens()
    };
    one.len() == other.len() && one.iter().zip(other).all(alike)
}

/// The words of each rule.
pub fn words(rules: &[Arc<Rule>]) -> Vec<&Words> {
    rules.iter().map(|rule| rule.tokens()).collect()
}

/// The tables of a print, by name, each with its chains.
pub struct PrintedTables {
    /// Lines that are nothing known.
    pub strays: Vec<String>,
    /// The tables that the build says it cannot print.
    given_up: Vec<GivenUp>,
    tables: HashMap<String, Section>,
}

/// A table. One that was printed twice is one.
#[derive(Default)]
struct Section {
    chains: HashMap<String, Printout>,
    /// The rules of all chains, chain by chain.
    rules: Rc<[Arc<Rule>]>,
    is_cut_off: bool,
}

/// What was printed of a chain.
#[derive(Default)]
struct Printout {
    /// Its policy, if it has one; none where only its rules were printed.
    policy: Option<Option<String>>,
    /// Which of the table's rules are its own.
    rules: Range<usize>,
}

impl Section {
    /// The sections of one table that a build printed, most often one.
    fn of(printed: Vec<PrintedTable>) -> Self {
        let mut section = Section::default();
        let mut rules = Vec::new();
        for (number, table) in printed.into_iter().enumerate() {
            section.is_cut_off |= !table.is_ended;
            // Of a table that was printed twice, the first says which chains there are.
            if number == 0 {
                section.chains.reserve(table.chains.len());
                for chain in table.chains {
                    let printout = section.chains.entry(chain.name).or_default();
                    printout.policy.get_or_insert(chain.policy);
                }
            }
            match rules.is_empty() {
                true => rules = table.rules,
                false => rules.extend(table.rules),
            }
        }
        // No build prints a table's rules otherwise than chain by chain, but for one that prints it twice.
        if !section.place(&rules) {
            rules.sort_by(|one: &Arc<Rule>, other| one.chain.cmp(&other.chain));
            section.place(&rules);
        }
        section.rules = rules.into();
        section
    }

    /// Notes where each chain's rules are; false where those of one are in more than one place.
    fn place(&mut self, rules: &[Arc<Rule>]) -> bool {
        let mut start = 0;
        for of_chain in rules.chunk_by(|one, next| one.chain == next.chain) {
            let range = start..start + of_chain.len();
            start = range.end;
            let chain = &of_chain[0].chain;
            match self.chains.get_mut(chain) {
                Some(known) if !known.rules.is_empty() && known.rules != range => {
                    for printout in self.chains.values_mut() {
                        printout.rules = 0..0;
                    }
                    return false;
                }
                Some(known) => known.rules = range,
                None => {
                    let rules = range;
                    let new = Printout {
                        rules,
                        ..Printout::default()
                    };
                    self.chains.insert(chain.clone(), new);
                }
            }
        }
        true
    }
}

impl PrintedTables {
    /// Sorts what was printed.
    pub fn of(printed: Printed) -> Self {
        let mut tables: HashMap<String, Vec<PrintedTable>> = HashMap::default();
        for table in printed.tables {
            tables.entry(table.name.clone()).or_default().push(table);
        }
        let sections = tables.into_iter();
        PrintedTables {
            given_up: printed.given_up,
            strays: printed.strays,
            tables: sections.map(|(name, of)| (name, Section::of(of))).collect(),
        }
    }

    /// Whether it has the table.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Whether it says that it cannot print the table.
    pub fn gives_up(&self, table: &str) -> bool {
        self.said_of(table).is_some()
    }

    /// What it says of a table that it cannot print.
    pub fn said_of(&self, table: &str) -> Option<&str> {
        let mut given_up = self.given_up.iter();
        let of_table = given_up.find(|known| known.table == table);
        of_table.map(|known| known.said.as_str())
    }

    /// Whether it says of any table that it cannot print it.
    pub fn gives_up_any(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Whether a section of the table has no `COMMIT`.
    pub fn is_cut_off(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|known| known.is_cut_off)
    }

    /// Whether it has the table, and has it whole.
    pub fn has_whole(&self, table: &str) -> bool {
        let section = self.tables.get(table);
        section.is_some_and(|section| !section.is_cut_off) && !self.gives_up(table)
    }

    /// The policy that it says a chain has, if any; none where it has no such chain.
    pub fn policy(&self, table: &str, chain: &str) -> Option<Option<&str>> {
        let printout = self.tables.get(table)?.chains.get(chain)?;
        Some(printout.policy.as_ref()?.as_deref())
    }

    /// The rules of a chain; none where it has no such table.
    pub fn listing(&self, table: &str, chain: &str) -> Option<Listing> {
        let section = self.tables.get(table)?;
        let printout = section.chains.get(chain);
        Some(Listing {
            table: section.rules.clone(),
            range: printout.map_or(0..0, |printout| printout.rules.clone()),
        })
    }
}

/// The places of the rules of each table and chain among those of a print, from 0.
pub type Lines = HashMap<(String, String), Vec<usize>>;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn texts(tables: &PrintedTables, chain: &str) -> Vec<String> {
        let listing = tables.listing("filter", chain).unwrap();
        let rules = listing.rules().iter();
        rules.map(|rule| rule.text.to_string()).collect()
    }

    #[test]
    fn a_chain_has_its_rules_in_order_wherever_they_were_printed() {
        let printed = "*filter\n:A - [0:0]\n-A A -j ONE\n-A B -j ONE\n-A A -j TWO\nCOMMIT\n\
                       *filter\n:A ACCEPT [0:0]\n-A B -j TWO\n-A A -j THREE\n";
        let tables = PrintedTables::of(crate::tool::iptables::read(printed));
        assert_eq!(
            texts(&tables, "A"),
            ["-A A -j ONE", "-A A -j TWO", "-A A -j THREE"]
        );
        assert_eq!(texts(&tables, "B"), ["-A B -j ONE", "-A B -j TWO"]);
        assert!(texts(&tables, "C").is_empty());
        assert_eq!(tables.policy("filter", "A"), Some(None), "the first says");
        assert_eq!(tables.policy("filter", "B"), None, "it was not declared");
        assert!(tables.is_cut_off("filter"));
        assert!(tables.listing("nat", "A").is_none());
    }
}
