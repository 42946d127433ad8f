//! What `nft list ruleset` prints.

use std::sync::Arc;

use super::table::{name_of, policy};
use super::words::{Word, open_braces, split};
use crate::catalog::{Family, Tool};
use crate::tool::{Chain, Printed, PrintedTable, Rule};

/// Reads what `nft list ruleset` printed, with the names that tables have in a ruleset for `family`. Never fails: what
/// is not understood is among the strays; sets and maps are left out.
pub fn read_listing(family: Family, stdout: &str) -> Printed {
    let mut listing = Listing {
        family,
        printed: Printed::default(),
        block: Block::Outside,
        rule: String::new(),
    };
    for (index, line) in stdout.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !listing.take(line, index + 1) {
            listing.printed.strays.push(line.to_owned());
        }
    }
    listing.printed
}

/// What the line in hand stands in.
enum Block {
    Outside,
    Table,
    Chain(String),
    /// A set, a map, an object: so many braces are open.
    Other(isize),
}

struct Listing {
    family: Family,
    printed: Printed,
    block: Block,
    /// The beginning of a rule that goes on: of a set in it, the elements may stand in several lines.
    rule: String,
}

impl Listing {
    /// Takes a line to where it belongs; false where it belongs nowhere.
    fn take(&mut self, line: &str, number: usize) -> bool {
        if line.starts_with('#') {
            self.printed.comments.push(line.to_owned());
            return true;
        }
        let Ok(words) = split(line) else {
            return false;
        };
        let opens = words.last().is_some_and(|word| word.is("{"));
        let Some(table) = self
            .printed
            .tables
            .last_mut()
            .filter(|table| !table.is_ended)
        else {
            return self.open_table(&words);
        };
        match &mut self.block {
            Block::Table if line == "}" => {
                table.is_ended = true;
                self.block = Block::Outside;
            }
            Block::Table if words[0].is("chain") && opens && words.len() == 3 => {
                let name = words[1].text.clone();
                table.chains.push(Chain {
                    name: name.clone(),
                    policy: None,
                });
                self.block = Block::Chain(name);
            }
            Block::Table if opens => self.block = Block::Other(1),
            // Flags and comments of the table.
            Block::Table => {}
            Block::Other(depth) => {
                *depth += open_braces(&words);
                if *depth <= 0 {
                    self.block = Block::Table;
                }
            }
            Block::Chain(_) if line == "}" && self.rule.is_empty() => self.block = Block::Table,
            Block::Chain(name) => take_rule(table, name, &mut self.rule, line, number),
            Block::Outside => return false,
        }
        true
    }

    fn open_table(&mut self, words: &[Word]) -> bool {
        let [table, family, name, brace] = words else {
            return false;
        };
        if !table.is("table") || !brace.is("{") {
            return false;
        }
        self.printed.tables.push(PrintedTable {
            name: name_of(self.family, &family.text, &name.text),
            ..PrintedTable::default()
        });
        self.block = Block::Table;
        true
    }
}

/// Takes a line of a chain: where it hangs, or a rule, or a part of one.
fn take_rule(table: &mut PrintedTable, chain: &str, rule: &mut String, line: &str, number: usize) {
    if !rule.is_empty() {
        rule.push(' ');
    }
    rule.push_str(line);
    let Ok(words) = split(rule) else { return };
    if open_braces(&words) > 0 {
        return;
    }
    let text = std::mem::take(rule);
    let hooked = policy(&words).filter(|_| words[0].is("type"));
    match (hooked, table.chains.last_mut()) {
        (Some(policy), Some(chain)) => chain.policy = Some(policy),
        // A comment of the chain's own.
        _ if words[0].is("comment") => {}
        _ => {
            let rule = Rule::of_line(Tool::Nft, chain.to_owned(), text.into(), number);
            table.rules.push(Arc::new(rule));
        }
    }
}
