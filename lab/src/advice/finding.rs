//! What is found in the print of a node's rules that is not as a system would have written it.

use std::collections::BTreeSet;

use super::published::Damage;
use crate::catalog::{Backend, Family};
use crate::scenario::System;
use crate::tool::Rule;

/// Where something is: whose table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose rules; none where the print does not say it.
    pub family: Option<Family>,
    /// The backend that holds them; none where the print does not say it.
    pub backend: Option<Backend>,
    /// The table.
    pub table: String,
}

/// Something in the print that is not as a system would have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A line that a reader makes of a rule that a known system writes.
    Damaged(Box<Damaged>),
    /// A rule of a known system that is there several times.
    Repeated {
        /// Where.
        place: Place,
        /// The rule.
        rule: Rule,
        /// Its places in its chain, from 1.
        indices: Vec<usize>,
    },
    /// A policy that its system sets to `DROP`.
    Policy {
        /// Where.
        place: Place,
        /// The chain.
        chain: String,
        /// What the print says it is.
        policy: String,
        /// Who sets it, and what makes it do so again.
        system: System,
    },
    /// A table that the build that printed it cannot read.
    Incompatible {
        /// Where.
        place: Place,
    },
    /// Tables under both backends.
    TwoBackends,
}

/// A damaged rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Where.
    pub place: Place,
    /// The rule as it was printed.
    pub rule: Rule,
    /// Its place in its chain, from 1.
    pub index: usize,
    /// The worst damage that looks like it: the same line may be left of several rules.
    pub damage: Damage,
    /// Whether it is that line word for word, or the same rule with other addresses, ports and names.
    pub likeness: Likeness,
    /// The rules that it may be left of, as their systems write them; none where nft wrote them.
    pub meant: Vec<String>,
    /// Whether one of the rules that it may be left of is nft's.
    pub is_perhaps_of_nft: bool,
    /// Whether some rule that it may be left of stands in the same chain, whole.
    pub stands_beside: bool,
    /// Who wrote the rule.
    pub system: System,
    /// The releases that print the rule so while the kernel still holds it as it was.
    pub printed_so_by: BTreeSet<String>,
}

/// How much a line is like one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Word for word.
    Same,
    /// With other addresses, ports and names.
    Alike,
}
