//! nft's language, as the lab asks a tool for its own.

use std::borrow::Cow;

use foldhash::HashMap;

use super::Nft;
use super::expressions::rewritten;
use super::listing::{listed, only, places, read_listing};
use super::own_chain;
use super::words::{statement_ranges, target, words};
use crate::catalog::Family;
use crate::observed::{Clause, Text};
use crate::tool::{
    Change, Component, Dialect, Difference, HeldRule, KnownRules, Printed, Rewritten, Target, Words,
};

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

    /// A part is an expression by name, `expression lookup`, or the first word of a statement.
    fn is_encoded_in(&self, _family: Family, part: &str, clause: &Clause) -> bool {
        let name = part.strip_prefix("expression ").unwrap_or(part);
        let mut steps = clause.steps();
        steps.any(|step| step.split(' ').next() == Some(name))
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

    fn is_told_by_kernel(&self) -> bool {
        true
    }

    /// No print proves anything of what nft wrote: every iptables prints a rule that matches a set without that match.
    fn rewritten(&self, family: Family, was: HeldRule<'_>, is: HeldRule<'_>) -> Option<Rewritten> {
        Some(rewritten(family, was, is))
    }

    fn read(&self, family: Family, _known: &mut KnownRules, stdout: &str) -> Printed {
        read_listing(family, stdout)
    }

    fn read_tables<'t>(&self, stdout: &'t str) -> HashMap<&'t str, Vec<Vec<&'t str>>> {
        listed(stdout)
    }

    fn with_own_chain(&self, print: &Text, component: Component<'_>) -> Option<Text> {
        Some(own_chain::with_own_chain(print, component))
    }

    fn own_chains(&self, print: &Text, component: Component<'_>) -> Option<Text> {
        Some(own_chain::own_chains(print, component))
    }

    fn places<'t>(&self, family: Family, print: &'t str) -> Vec<(Cow<'t, str>, Cow<'t, str>)> {
        let places = places(family, print).into_iter();
        places
            .map(|(table, chain)| (table.into(), chain.into()))
            .collect()
    }

    fn only(&self, print: &Text, keep: &dyn Fn(usize) -> bool) -> Text {
        only(print, keep)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rules_differ_by_their_statements() {
        let from = ["ip", "saddr", "@trusted", "counter", "accept"];
        let to = ["counter", "drop"];
        let Difference {
            lost,
            altered,
            added,
        } = Nft.compare(&from, &to);
        let texts = |changes: &[Change]| -> Vec<(String, Option<String>)> {
            let texts = changes.iter();
            texts
                .map(|of| (of.part.clone(), of.from.clone().or(of.to.clone())))
                .collect()
        };
        let part = |name: &str, text: &str| (name.to_owned(), Some(text.to_owned()));
        assert_eq!(
            texts(&lost),
            [part("ip", "ip saddr @trusted"), part("accept", "accept")]
        );
        assert!(altered.is_empty());
        assert_eq!(texts(&added), [part("drop", "drop")]);
        assert!(Nft.compare(&to, &to).is_empty());
    }
}
