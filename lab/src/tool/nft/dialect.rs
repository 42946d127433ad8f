//! nft's language, as the lab asks a tool for its own.

use super::Nft;
use super::expressions::rewritten;
use super::listing::read_listing;
use super::words::{statement_ranges, target, words};
use crate::catalog::Family;
use crate::observed::{NftRule, Text};
use crate::tool::{Change, Dialect, Difference, KnownRules, Printed, Rewritten, Target, Words};

/// What rules name that is in modules of its own, in most kernels: all else is nf_tables itself.
const EXPRESSIONS: [&str; 11] = [
    "ct",
    "dnat",
    "fib",
    "limit",
    "log",
    "masquerade",
    "notrack",
    "numgen",
    "redirect",
    "reject",
    "snat",
];

impl Dialect for Nft {
    fn has_table(&self, _table: &str) -> bool {
        true
    }

    fn words(&self, line: &str) -> Words {
        words(line)
    }

    fn target(&self, words: &[&str]) -> Target {
        target(words)
    }

    /// Statement by statement.
    fn compare(&self, from: &[&str], to: &[&str]) -> Difference {
        let (before, after) = (statements(from), statements(to));
        let gone = before.iter().filter(|statement| !after.contains(statement));
        let new = after.iter().filter(|statement| !before.contains(statement));
        let part = |statement: &str| statement.split(' ').next().unwrap_or_default().to_owned();
        Difference {
            lost: gone
                .map(|statement| Change {
                    part: part(statement),
                    from: Some(statement.clone()),
                    to: None,
                })
                .collect(),
            altered: Vec::new(),
            added: new
                .map(|statement| Change {
                    part: part(statement),
                    from: None,
                    to: Some(statement.clone()),
                })
                .collect(),
        }
    }

    fn is_xtables(&self) -> bool {
        false
    }

    fn extensions<'r>(&self, words: &[&'r str], _is_chain: &dyn Fn(&str) -> bool) -> Vec<&'r str> {
        let named = words.iter().filter(|word| EXPRESSIONS.contains(word));
        named.copied().collect()
    }

    /// No print proves anything of what nft wrote: every iptables prints a rule that matches a set without that match.
    fn rewritten(&self, family: Family, was: &NftRule, is: &NftRule) -> Option<Rewritten> {
        Some(rewritten(family, was, is))
    }

    fn read(&self, family: Family, _known: &mut KnownRules, stdout: &str) -> Printed {
        read_listing(family, stdout)
    }

    /// What is there goes first: a listing only adds.
    fn written_back(&self, print: &Text) -> Text {
        [b"flush ruleset\n", print.bytes()].concat().into()
    }
}

fn statements(words: &[&str]) -> Vec<String> {
    let ranges = statement_ranges(words).into_iter();
    let text = |places: Vec<usize>| {
        let words: Vec<&str> = places.iter().map(|&place| words[place]).collect();
        words.join(" ")
    };
    ranges.map(text).collect()
}
