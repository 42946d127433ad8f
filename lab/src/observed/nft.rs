//! nf_tables: tables, and what is in them.
//!
//! Each type names the enum of the kernel's include/uapi/linux/netfilter/nf_tables.h that its fields are from. What the kernel sends
//! and this program does not know is in `other`. The printed words are those of `nft --debug=netlink` where it has any.

mod anonymous;
mod chain;
mod object;
mod rule;
mod set;
mod stamp;
mod table;
#[cfg(test)]
mod tests;

use crate::catalog::Family;

pub use chain::{ChainFlags, ChainKind, ChainPolicy, Device, Hook, NftChain, NftHook};
pub use object::{FlowtableFlags, FlowtableHook, NftFlowtable, NftObject};
pub use rule::{Compat, NftRule};
pub use set::{ElementFlags, NftElement, NftSet, SetDescription, SetFlags};
pub use stamp::Stamp;
pub use table::{NftTable, TableFlags};

/// What nf_tables calls a family.
pub fn nft_family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

/// The family and name in the kernel of a table of a ruleset for `family`, which calls `inet filter` what is not of that family.
pub fn kernel_table(family: Family, table: &str) -> (&str, &str) {
    table.split_once(' ').unwrap_or((nft_family(family), table))
}
