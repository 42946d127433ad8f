//! What `nft list ruleset` prints.

use std::ops::Range;
use std::sync::Arc;

use foldhash::HashMap;

use super::table::{name_of, policy};
use super::words::{Word, open_braces, split, words_of};
use crate::catalog::{Family, Tool};
use crate::observed::Text;
use crate::tool::{Chain, Printed, PrintedTable, Rule};

/// Reads what `nft list ruleset` printed, with the names that tables have in a ruleset for `family`. Never fails: what
/// is not understood is among the strays; sets and maps are left out.
pub fn read_listing(family: Family, stdout: &str) -> Printed {
    Listing::of(family, stdout).printed
}

/// The table and chain of each rule that was printed, in order.
pub fn places(family: Family, stdout: &str) -> Vec<(String, String)> {
    let tables = read_listing(family, stdout).tables.into_iter();
    let of_table = |table: PrintedTable| {
        let rules = table.rules.into_iter();
        rules.map(move |rule| (table.name.clone(), rule.chain.clone()))
    };
    tables.flat_map(of_table).collect()
}

/// A listing with only those rules whose place, from 0, is kept.
pub fn only(print: &Text, keep: &dyn Fn(usize) -> bool) -> Text {
    let text = print.to_lossy();
    // What tables are called changes nothing about where their rules stand.
    let lines = Listing::of(Family::Ipv4, &text).lines;
    let gone: Vec<&Range<usize>> = (0..)
        .zip(&lines)
        .filter(|(rule, _)| !keep(*rule))
        .map(|(_, of)| of)
        .collect();
    let is_kept = |line: usize| {
        let before = gone.partition_point(|of| of.end <= line);
        gone.get(before).is_none_or(|of| !of.contains(&line))
    };
    let kept = text.split_inclusive('\n').enumerate();
    let kept: String = kept
        .filter(|(line, _)| is_kept(*line))
        .map(|(_, line)| line)
        .collect();
    kept.into()
}

/// What `nft -a list` printed: of each chain the words of each rule, in order, without its handle, which stands in a comment.
pub fn listed(stdout: &str) -> HashMap<&str, Vec<Vec<&str>>> {
    let lines: Vec<&str> = stdout.lines().collect();
    // What tables are called changes nothing about where their rules stand.
    let listing = Listing::of(Family::Ipv4, stdout);
    let mut rules = listing.lines.into_iter().peekable();
    let mut chains: HashMap<&str, Vec<Vec<&str>>> = HashMap::default();
    let mut chain = "";
    for (at, line) in lines.iter().enumerate() {
        if let ["chain", name, "{"] = words_of(line).as_slice() {
            chain = name;
        }
        if let Some(of) = rules.next_if(|of| of.start == at) {
            let words = lines[of].iter().flat_map(|line| words_of(line));
            chains.entry(chain).or_default().push(words.collect());
        }
    }
    chains
}

/// A line without the handle that `nft -a` prints at its end: the kernel counts what a table ever had, so that it is another one
/// where the same rules came to be otherwise.
pub fn without_handle(line: &[u8]) -> &[u8] {
    const SAYS: &[u8] = b" # handle ";
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let rest = &line[..line.len() - digits.count()];
    match rest.strip_suffix(SAYS) {
        Some(before) if rest.len() < line.len() => before,
        _ => line,
    }
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
    /// The lines of each rule, from 0, in order.
    lines: Vec<Range<usize>>,
}

impl Listing {
    /// What `stdout` holds.
    fn of(family: Family, stdout: &str) -> Self {
        let mut listing = Listing {
            family,
            printed: Printed::default(),
            block: Block::Outside,
            rule: String::new(),
            lines: Vec::new(),
        };
        let mut begun = 0;
        for (index, line) in stdout.lines().enumerate() {
            let line = line.trim();
            if listing.rule.is_empty() {
                begun = index;
            }
            if line.is_empty() {
                continue;
            }
            let before = listing.count();
            if !listing.take(line, index + 1) {
                listing.printed.strays.push(line.to_owned());
            }
            if listing.count() > before {
                listing.lines.push(begun..index + 1);
            }
        }
        listing
    }

    /// How many rules the table in hand has.
    fn count(&self) -> usize {
        let table = self.printed.tables.last();
        table.map_or(0, |table| table.rules.len())
    }

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
        // A comment of the chain's own. Where nft prints an xtables match as one, a rule goes on behind it.
        _ if words[0].is("comment") && words.len() == 2 => {}
        _ => {
            let rule = Rule::of_line(Tool::Nft, chain.to_owned(), text.into(), number);
            table.rules.push(Arc::new(rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
table ip filter {
	set trusted {
		type ipv4_addr
		elements = { 192.0.2.1 }
	}

	chain INPUT {
		type filter hook input priority filter; policy accept;
		ip saddr @trusted counter accept
		tcp dport { 22, 80,
			    443 } counter drop
		counter
	}
}
table inet other {
	chain c {
		accept
	}
}
";

    #[test]
    fn each_rule_has_its_place() {
        let place = |table: &str, chain: &str| (table.to_owned(), chain.to_owned());
        let input = || place("filter", "INPUT");
        let all = [input(), input(), input(), place("inet other", "c")];
        assert_eq!(places(Family::Ipv4, LISTING), all);
    }

    #[test]
    fn a_listing_with_handles_has_the_words_of_each_rule() {
        let listing = "\
table ip filter { # handle 3
	set trusted { # handle 2
		type ipv4_addr
	}

	chain INPUT { # handle 1
		type filter hook input priority 0; policy accept;
		tcp dport { 22, 80,
			    443 } counter drop # handle 12
		log prefix \"a # handle b\" # handle 13
	}

	chain OUTPUT { # handle 2
		counter # handle 5
	}
}
";
        let rules = listed(listing);
        assert_eq!(rules.len(), 2);
        let ports = rules["INPUT"][0].join(" ");
        assert_eq!(ports, "tcp dport { 22 , 80 , 443 } counter drop");
        assert_eq!(rules["INPUT"][1].last(), Some(&"\"a # handle b\""));
        assert_eq!(rules["OUTPUT"], [["counter"]]);
    }

    #[test]
    fn a_handle_is_what_stands_at_the_end_of_a_line() {
        let without =
            |line: &str| String::from_utf8_lossy(without_handle(line.as_bytes())).into_owned();
        assert_eq!(
            without("\t\tcounter accept # handle 12"),
            "\t\tcounter accept"
        );
        for line in [
            "counter",
            "# handle ",
            "x # handle a",
            "log prefix \"# handle 7\"",
            "dport 7",
        ] {
            assert_eq!(without(line), line);
        }
    }

    #[test]
    fn rules_are_left_out_with_all_of_their_lines_and_nothing_else() {
        let text: Text = LISTING.to_owned().into();
        assert_eq!(only(&text, &|_| true), text);
        let without = |lines: &[usize]| {
            let left = LISTING.split_inclusive('\n').enumerate();
            let left = left.filter(|(line, _)| !lines.contains(line));
            left.map(|(_, line)| line).collect::<String>()
        };
        assert_eq!(only(&text, &|rule| rule != 1), without(&[9, 10]).into());
        assert_eq!(only(&text, &|rule| rule == 1), without(&[8, 11, 16]).into());
    }
}
