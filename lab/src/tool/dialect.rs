//! The language of a tool: its rules, the texts that its commands print and load, and its tables.
//!
//! What has a default here is what nobody asks a tool for that does not read what others wrote.

use std::borrow::Cow;

use foldhash::HashMap;

use super::change::{Difference, HeldRule, Rewritten};
use super::printed::{KnownRules, Printed};
use super::ruleset::{Rule, Table, Target};
use super::words::Words;
use crate::catalog::Family;
use crate::observed::{Clause, Text};

/// A rule with one value changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The rule's words.
    pub tokens: Vec<String>,
    /// The option whose value was changed: `--mark`, `-s`.
    pub option: String,
}

/// What a rule has in common with others of its chain that differ in values only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    /// The chain, without what differs from node to node in its name.
    pub(super) chain: String,
    /// Its options, in an order of their own.
    pub(super) units: Vec<String>,
}

/// A component that adds a chain of its own to tables of others.
#[derive(Debug, Clone, Copy)]
pub struct Component<'c> {
    /// Whom its rules are for.
    pub family: Family,
    /// The tables, as a ruleset for that family calls them.
    pub tables: &'c [Table],
    /// The chains that it owns already, by name.
    pub owned: &'c [String],
    /// The chain that it adds.
    pub adds: &'c str,
}

/// The language of a tool.
pub trait Dialect: Sync {
    /// Whether it knows a table of a ruleset: it sees no others, whatever the kernel holds.
    fn has_table(&self, table: &str) -> bool;

    /// The words of the rule that stands in a line, without what says where it belongs.
    fn words(&self, line: &str) -> Words;

    /// What a rule of these words does with a packet.
    fn target(&self, words: &[&str]) -> Target;

    /// What differs between two rules.
    fn compare(&self, from: &[&str], to: &[&str]) -> Difference;

    /// The rule with one value changed, for each value that can be.
    fn near_misses(&self, _words: &[String]) -> Vec<NearMiss> {
        Vec::new()
    }

    /// The rule with its matches in another order; none where there is none.
    fn reordered(&self, _words: &[String]) -> Option<Vec<String>> {
        None
    }

    /// What the rule has in common with others; none where nobody knows what that is.
    fn shape(&self, _rule: &Rule) -> Option<Shape> {
        None
    }

    /// Whether a part of a rule, as [`Dialect::compare`] names it, is encoded in a clause of the kernel's.
    fn is_encoded_in(&self, _family: Family, _part: &str, _clause: &Clause) -> bool {
        false
    }

    /// The parts of a rule of these words that are encoded each for itself, as [`Dialect::is_encoded_in`] names them; none where only
    /// the kernel's clauses tell its parts.
    fn encoded_parts(&self, _words: &[&str]) -> Vec<String> {
        Vec::new()
    }

    /// Whether its rules are made of xtables' matches and targets, in nf_tables too.
    fn is_xtables(&self) -> bool;

    /// What the rule names that a kernel may lack. `is_chain` says which names are chains'.
    fn extensions<'r>(&self, words: &[&'r str], is_chain: &dyn Fn(&str) -> bool) -> Vec<&'r str>;

    /// Whether a rule of these words names IP sets or accounting objects, which must be there before it.
    fn names_objects(&self, _words: &[&str]) -> bool {
        false
    }

    /// How many packets met the rule that stands in a line of a print with counters.
    fn packets(&self, _line: &str) -> Option<u64> {
        None
    }

    /// Whether the kernel's expressions say what became of its rules, rather than prints.
    fn is_told_by_kernel(&self) -> bool {
        false
    }

    /// What became of a rule that this tool wrote, where the kernel's expressions must say it; none where prints do.
    fn rewritten(
        &self,
        _family: Family,
        _was: HeldRule<'_>,
        _is: HeldRule<'_>,
    ) -> Option<Rewritten> {
        None
    }

    /// Reads a print. Never fails: what is not understood is among the strays.
    fn read(&self, family: Family, known: &mut KnownRules, stdout: &str) -> Printed;

    /// Reads what a table was listed as, as rules.
    fn read_list(&self, _known: &mut KnownRules, _table: &str, _stdout: &str) -> Printed {
        Printed::default()
    }

    /// Reads what tables were listed as, for people: of each chain the words of each rule, in order, without its counters.
    fn read_tables<'t>(&self, _stdout: &'t str) -> HashMap<&'t str, Vec<Vec<&'t str>>> {
        HashMap::default()
    }

    /// A print without what differs from one time to another, in pieces: two that are equal read alike.
    fn lasting<'t>(&self, print: &'t [u8]) -> Vec<&'t [u8]> {
        vec![print]
    }

    /// What is loaded to write back what was printed.
    fn written_back(&self, print: &Text) -> Text;

    /// What a component loads in place of all that is there: what it printed, with its chain and a jump to that.
    fn with_own_chain(&self, _print: &Text, _component: Component<'_>) -> Option<Text> {
        None
    }

    /// What a component loads beside what others own: the chains that it owns, as they were printed, its chain, and a jump to that.
    fn own_chains(&self, _print: &Text, _component: Component<'_>) -> Option<Text> {
        None
    }

    /// The table and chain of each rule of a print, in the order of the text; tables are called as in a ruleset for `family`.
    fn places<'t>(&self, family: Family, print: &'t str) -> Vec<(Cow<'t, str>, Cow<'t, str>)>;

    /// A print with only the rules whose place in [`Dialect::places`] is kept, and all of its chains.
    fn only(&self, print: &Text, keep: &dyn Fn(usize) -> bool) -> Text;
}
