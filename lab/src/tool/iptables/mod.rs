//! iptables and ip6tables: the iptables-save language, and the commands that speak it.
//!
//! [`parse`] reads what people write, strictly; [`read`] reads what builds print, tolerantly. [`compare`] names the parts in
//! which two prints of one rule differ.

mod atoms;
mod commands;
mod compare;
mod dialect;
mod encoding;
mod extensions;
mod family;
mod near_miss;
mod own_chain;
mod parse;
mod part;
mod parts;
mod pieces;
mod print;
mod protocols;
mod read;
pub mod shape;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
pub mod tokens;
mod weight;

pub use commands::{save_table, stem};
pub use compare::compare;
pub use dialect::{OF_ACCOUNT, OF_SETS};
pub use family::{FamilyOf, family_of};
pub use own_chain::{first_hook, known_tables};
pub use parse::parse;
pub use parts::{Part, parts};
pub use print::{heeded, normalise_save};
pub use protocols::{Renamed, with_numbers};
pub use read::read;
pub use shape::Addresses;

pub(super) use commands::write;
pub(super) use parse::parse_some;
pub(super) use pieces::{needed_chains, of_pieces, ranges, with_chains};
pub(super) use weight::weight;

use encoding::{encoded_parts, is_encoded_in};
use near_miss::{near_misses, reordered};
use parse::is_iptables_table;
use parts::{atom_ranges, target, unit_ranges};
use print::between_stamps;
use read::{listed_rules, read_list, read_with};

/// iptables and ip6tables.
#[derive(Debug, Clone, Copy)]
pub struct Iptables;
