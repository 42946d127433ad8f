//! What a build printed, read tolerantly: nothing it says is refused, and nothing is dropped silently.

use std::sync::Arc;

use foldhash::HashMap;

use super::ruleset::{Chain, Rule};

/// What a build printed, whatever its quality.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printed {
    /// The tables, in order; a table that was printed twice is here twice.
    pub tables: Vec<PrintedTable>,
    /// The tables that the build says it cannot print.
    pub given_up: Vec<GivenUp>,
    /// All comments but those that say when and by what it was printed.
    pub comments: Vec<String>,
    /// Lines that are nothing known, and rules or chains outside any table.
    pub strays: Vec<String>,
}

/// One table as it was printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrintedTable {
    /// `filter`.
    pub name: String,
    /// Its chains, with whatever policy was printed.
    pub chains: Vec<Chain>,
    /// Its rules, of all chains.
    pub rules: Vec<Arc<Rule>>,
    /// Whether its end was printed: what is cut off before that is not restored.
    pub is_ended: bool,
}

/// A table that a build says it cannot print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The table.
    pub table: String,
    /// What it says.
    pub said: String,
}

impl Printed {
    /// The table of that name, if it was printed.
    pub fn table(&self, name: &str) -> Option<&PrintedTable> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl PrintedTable {
    /// The rules of one chain, in order.
    pub fn chain_rules<'a>(&'a self, chain: &'a str) -> impl Iterator<Item = &'a Arc<Rule>> {
        self.rules.iter().filter(move |rule| rule.chain == chain)
    }
}

/// Rules that were read before. Most builds print most rules of a load alike, and in the same order: each such line is
/// taken apart once, and looked for first where it followed the line before it the last time.
#[derive(Debug, Default)]
pub struct KnownRules {
    rules: Vec<KnownRule>,
    /// The places of all of them, by their lines.
    places: HashMap<Arc<str>, usize>,
    /// The place of the rule that was read last.
    last: usize,
}

#[derive(Debug)]
struct KnownRule {
    rule: Arc<Rule>,
    /// The place of the rule that followed it the last time.
    next: usize,
}

impl KnownRules {
    /// The rule that stands on the line `number`: one that was read before, or what `read` makes of it.
    pub(super) fn rule(
        &mut self,
        (line, number): (&str, usize),
        read: fn(&str, usize) -> Option<Rule>,
    ) -> Option<Arc<Rule>> {
        let expected = self.rules.get(self.last).map_or(0, |last| last.next);
        let is_expected = |known: &KnownRule| *known.rule.text == *line;
        let place = match self.rules.get(expected).is_some_and(is_expected) {
            true => expected,
            false => match self.places.get(line) {
                Some(place) => *place,
                None => self.add(read(line, number)?),
            },
        };
        if let Some(last) = self.rules.get_mut(self.last) {
            last.next = place;
        }
        self.last = place;
        Some(self.rules[place].rule.clone())
    }

    fn add(&mut self, rule: Rule) -> usize {
        let place = self.rules.len();
        self.places.insert(rule.text.clone(), place);
        let rule = Arc::new(rule);
        self.rules.push(KnownRule { rule, next: 0 });
        place
    }

    /// Makes room for the rules of a print of so many lines, if it is the first.
    pub(super) fn expect(&mut self, lines: usize) {
        if self.rules.is_empty() {
            self.places.reserve(lines);
        }
    }
}
