//! The iptables-save language: parse, print, compare.
//!
//! [`parse`] reads what people write, strictly; [`Printed::read`] reads what builds print, tolerantly. [`compare`] names the
//! parts in which two prints of one rule differ.

mod atoms;
mod compare;
mod extensions;
mod family;
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

pub use compare::{Change, Difference, compare};
pub use family::{FamilyOf, family_of};
pub use near_miss::{NearMiss, near_misses, reordered};
pub(super) use parse::without_counters;
pub use parse::{built_in_chains, is_iptables_table, parse};
pub use parts::{Part, atom_ranges, parts, target, unit_ranges};
pub use print::{between_stamps, heeded, normalise_save};
pub use printed::{KnownRules, Printed, PrintedTable, listed_rules};
pub use protocols::{Renamed, with_numbers};
pub use shape::{Addresses, Shape};
pub use tokens::Words;
