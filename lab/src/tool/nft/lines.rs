//! Commands for nft that commands and parts of rules are left out of: what is left need be no script that nft takes.

use std::fmt;

use super::words::{SAYS, statement_ranges, word_ranges, words_of};
use crate::tool::piece::{Cut, Piece};

/// Commands for nft, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines(Vec<String>);

impl Lines {
    /// Those of a script.
    pub fn of(script: &str) -> Self {
        Lines(script.lines().map(str::to_owned).collect())
    }

    fn rules(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|line| is_rule(line))
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.rules().count()
    }

    /// How many words the rules have.
    pub fn words(&self) -> usize {
        self.rules().map(|rule| words_of(rule).len() - SAYS).sum()
    }

    /// The place of the rule that `given` is the text of.
    pub fn place_of(&self, given: &str) -> Option<usize> {
        self.rules().position(|rule| rule == given)
    }

    /// Only those rules whose place is kept.
    pub fn only(&self, kept: &[usize]) -> Self {
        let mut rules = 0..;
        let is_kept =
            |line: &&String| !is_rule(line) || rules.next().is_some_and(|at| kept.contains(&at));
        Lines(self.0.iter().filter(is_kept).cloned().collect())
    }

    /// How many commands add no rule.
    pub fn declared(&self) -> usize {
        self.0.len() - self.count()
    }

    /// Of each command that adds no rule whether a rule seems to need it, or this `chain` of a table.
    pub fn needed(&self, chain: Option<(&str, &str)>) -> Vec<bool> {
        let rules: Vec<Vec<&str>> = self.rules().map(|rule| words_of(rule)).collect();
        let declared = self.0.iter().filter(|line| !is_rule(line));
        let is_needed = |line: &String| {
            let words = words_of(line);
            let (table, name) = (words.get(2..4), words.get(4));
            let names = |rule: &Vec<&str>| {
                let mut said = rule.iter().skip(SAYS - 1);
                let is_named = |name: &&str| said.any(|of| of.trim_start_matches('@') == *name);
                rule.get(2..4) == table && name.is_none_or(is_named)
            };
            // An `inet` table is called `inet NAME` where verdicts are.
            let is_table =
                |of: &str| table.is_some_and(|table| of.split(' ').next_back() == Some(table[1]));
            let is_of_chain = chain
                .is_some_and(|(of, chain)| is_table(of) && name.is_none_or(|name| *name == chain));
            is_of_chain || rules.iter().any(names)
        };
        declared.map(is_needed).collect()
    }

    /// Only those commands that add no rule whose place is kept.
    pub fn with_declared(&self, kept: &[usize]) -> Self {
        let mut declared = 0..;
        let is_kept =
            |line: &&String| is_rule(line) || declared.next().is_some_and(|at| kept.contains(&at));
        Lines(self.0.iter().filter(is_kept).cloned().collect())
    }

    /// The words of each rule that stand or fall together, by their places in what it says.
    pub fn ranges(&self, cut: Cut) -> Vec<Vec<Vec<usize>>> {
        let ranges = match cut {
            Cut::Units => statement_ranges,
            Cut::Options => word_ranges,
        };
        let rules = self.rules();
        rules.map(|rule| ranges(&words_of(rule)[SAYS..])).collect()
    }

    /// The rules with only these pieces of them.
    pub fn of_pieces(&self, pieces: &[Piece]) -> Self {
        let mut smaller = self.clone();
        let rules = smaller.0.iter_mut().filter(|line| is_rule(line));
        for (place, rule) in rules.enumerate() {
            let (words, kept) = (words_of(rule), Piece::kept(pieces, place));
            if kept.len() < words.len() - SAYS {
                let kept = kept.iter().map(|&word| words[SAYS + word]);
                let words: Vec<&str> = words[..SAYS].iter().copied().chain(kept).collect();
                *rule = words.join(" ");
            }
        }
        smaller
    }
}

/// Whether a command adds a rule, and says something in it.
fn is_rule(line: &str) -> bool {
    let words = words_of(line);
    words.starts_with(&["add", "rule"]) && words.len() >= SAYS
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
