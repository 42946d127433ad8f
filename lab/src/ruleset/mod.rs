//! The iptables-save language: parse, print, compare. And nft's, as far as scenarios are written in it.
//!
//! [`parse`] reads what people write, strictly; [`Printed::read`] reads what builds print, tolerantly. [`align`] finds
//! which rule of one print is which rule of another, [`compare`] names the parts in which two such rules differ.

mod align;
mod atoms;
mod compare;
mod extensions;
mod family;
mod fault;
mod native;
mod near_miss;
mod parse;
mod parts;
mod print;
mod printed;
mod protocols;
pub mod shape;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
pub mod tokens;

use std::fmt;
use std::sync::{Arc, OnceLock};

pub use align::{Alignment, Partner, align};
pub use compare::{Change, Difference, compare};
pub use family::{FamilyOf, family_of};
pub use fault::{Fault, InFile};
pub use native::{Native, read_listing, statement_ranges, word_ranges, words_of};
pub use near_miss::{NearMiss, near_misses, reordered};
use parse::without_counters;
pub use parse::{built_in_chains, is_iptables_table, parse};
pub use parts::{Part, Target, atom_ranges, parts, target, unit_ranges};
pub use print::{between_stamps, normalise_save};
pub use printed::{KnownRules, Printed, PrintedTable, listed_rules};
pub use protocols::{Renamed, with_numbers};
pub use shape::{Addresses, Shape};
pub use tokens::Words;

/// A ruleset in `iptables-save` syntax.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    /// Its tables, in the order of the text. No table twice.
    pub tables: Vec<Table>,
}

/// One `*table` … `COMMIT` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `filter`, `nat`, `mangle`, `raw`, `security`.
    pub name: String,
    /// The `:CHAIN policy` lines, in order.
    pub chains: Vec<Chain>,
    /// The `-A` lines of all chains, in the order of the text.
    pub rules: Vec<Rule>,
}

/// One `:CHAIN policy [packets:bytes]` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// `INPUT`, `KUBE-FIREWALL`.
    pub name: String,
    /// `ACCEPT` or `DROP`; none (`-`) for a user's chain.
    pub policy: Option<String>,
}

/// One `-A` line.
#[derive(Clone)]
pub struct Rule {
    /// The chain it is appended to.
    pub chain: String,
    /// Its words. None as long as nobody asked for them: then they are the text's.
    words: OnceLock<Words>,
    /// The line as it stands, without trailing blanks.
    pub text: Arc<str>,
    /// The line's number in its text, from 1.
    pub line: usize,
}

impl Rule {
    /// What follows `-A CHAIN`, after shell-quote parsing: `["-m", "mark", "--mark", "0x8000/0x8000", "-j", "DROP"]`.
    pub fn tokens(&self) -> &Words {
        self.words.get_or_init(|| {
            let words = tokens::tokens(without_counters(&self.text)).skip(2);
            words.map_while(|word| Some(word.ok()?.text)).collect()
        })
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        let own = (&self.chain, &self.text, self.line, self.tokens());
        own == (&other.chain, &other.text, other.line, other.tokens())
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("chain", &self.chain)
            .field("tokens", self.tokens())
            .field("text", &self.text)
            .field("line", &self.line)
            .finish()
    }
}
