//! The iptables-save language, as the lab asks a tool for its own.

use std::borrow::Cow;

use foldhash::HashMap;

use super::parse::without_counters;
use super::{
    Addresses, Iptables, between_stamps, compare, encoded_parts, is_encoded_in, is_iptables_table,
    listed_rules, near_misses, own_chain, part, read_list, read_with, reordered, target, tokens,
};
use crate::catalog::Family;
use crate::observed::{Clause, Text};
use crate::tool::{
    Component, Dialect, Difference, KnownRules, NearMiss, Printed, Rule, Shape, Target, Words,
};

/// The options whose value is the name of an IP set.
pub const OF_SETS: [&str; 4] = ["--match-set", "--add-set", "--del-set", "--map-set"];

/// The option whose value is the name of an accounting object.
pub const OF_ACCOUNT: &str = "--nfacct-name";

impl Dialect for Iptables {
    fn has_table(&self, table: &str) -> bool {
        is_iptables_table(table)
    }

    /// What follows `-A CHAIN`, after shell-quote parsing.
    fn words(&self, line: &str) -> Words {
        let words = tokens::tokens(without_counters(line)).skip(2);
        words.map_while(|word| Some(word.ok()?.text)).collect()
    }

    fn target(&self, words: &[&str]) -> Target {
        target(words)
    }

    fn compare(&self, from: &[&str], to: &[&str]) -> Difference {
        compare(from, to)
    }

    fn near_misses(&self, words: &[String]) -> Vec<NearMiss> {
        near_misses(words)
    }

    fn reordered(&self, words: &[String]) -> Option<Vec<String>> {
        reordered(words)
    }

    fn shape(&self, rule: &Rule) -> Option<Shape> {
        let words = rule.tokens().to_vec();
        Some(Shape::of(&rule.chain, &words, Addresses::Any))
    }

    fn is_encoded_in(&self, family: Family, part: &str, clause: &Clause) -> bool {
        is_encoded_in(family, part, clause)
    }

    fn encoded_parts(&self, words: &[&str]) -> Vec<String> {
        encoded_parts(words)
    }

    fn is_xtables(&self) -> bool {
        true
    }

    /// Matches and targets. A jump to a chain needs nothing.
    fn extensions<'r>(&self, words: &[&'r str], is_chain: &dyn Fn(&str) -> bool) -> Vec<&'r str> {
        const VERDICTS: [&str; 3] = ["ACCEPT", "DROP", "RETURN"];
        let options = words.windows(2).filter_map(|pair| {
            let (option, name) = (pair[0], pair[1]);
            match option {
                "-m" | "--match" => Some(name),
                "-j" | "--jump" if !is_chain(name) && !VERDICTS.contains(&name) => Some(name),
                _ => None,
            }
        });
        options.collect()
    }

    fn names_objects(&self, words: &[&str]) -> bool {
        words
            .iter()
            .any(|word| OF_SETS.contains(word) || *word == OF_ACCOUNT)
    }

    /// The first number of `[packets:bytes] -A CHAIN …`.
    fn packets(&self, line: &str) -> Option<u64> {
        let (packets, _) = line.strip_prefix('[')?.split_once(':')?;
        packets.parse().ok()
    }

    fn read(&self, _family: Family, known: &mut KnownRules, stdout: &str) -> Printed {
        read_with(known, stdout)
    }

    /// What `-S` printed.
    fn read_list(&self, known: &mut KnownRules, table: &str, stdout: &str) -> Printed {
        read_list(known, table, stdout)
    }

    /// What `-L -n -v` printed.
    fn read_tables<'t>(&self, stdout: &'t str) -> HashMap<&'t str, Vec<Vec<&'t str>>> {
        listed_rules(stdout)
    }

    fn lasting<'t>(&self, print: &'t [u8]) -> Vec<&'t [u8]> {
        between_stamps(print)
    }

    fn written_back(&self, print: &Text) -> Text {
        print.clone()
    }

    fn with_own_chain(&self, print: &Text, component: Component<'_>) -> Option<Text> {
        Some(own_chain::add_own_chain(print, component))
    }

    fn own_chains(&self, print: &Text, component: Component<'_>) -> Option<Text> {
        Some(own_chain::own_chains(print, component))
    }

    fn places<'t>(&self, _family: Family, print: &'t str) -> Vec<(Cow<'t, str>, Cow<'t, str>)> {
        let places = part::places(print).into_iter();
        places
            .map(|(table, chain)| (table.into(), chain.into()))
            .collect()
    }

    fn only(&self, print: &Text, keep: &dyn Fn(usize) -> bool) -> Text {
        part::only(print, keep)
    }
}
