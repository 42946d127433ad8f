//! nf_tables: tables, and what is in them.
//!
//! Each type names the enum of the kernel's include/uapi/linux/netfilter/nf_tables.h that its fields are from. What the kernel sends
//! and this program does not know is in `other`. The printed words are those of `nft --debug=netlink` where it has any.

mod chain;
mod object;
mod rule;
mod set;
mod stamp;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::expression::Attribute;
use super::flags::flags;
use crate::catalog::Family;

pub use chain::{ChainFlags, ChainKind, ChainPolicy, Device, Hook, NftChain, NftHook};
pub use object::{FlowtableFlags, FlowtableHook, NftFlowtable, NftObject};
pub use rule::{Compat, NftRule};
pub use set::{ElementFlags, NftElement, NftSet, SetDescription, SetFlags};
pub use stamp::Stamp;

/// What nf_tables calls a family.
pub fn nft_family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

/// `enum nft_table_attributes`: one table, without use count, handle and owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftTable {
    /// `ip`, `ip6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: String,
    /// The table's name.
    pub name: String,
    /// Whether it is asleep, and whose it is.
    #[serde(default, skip_serializing_if = "TableFlags::is_empty")]
    pub flags: TableFlags,
    /// Its chains, in the kernel's order.
    pub chains: Vec<NftChain>,
    /// Its sets and maps, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<NftSet>,
    /// Its stateful objects, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<NftObject>,
    /// Its flowtables, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flowtables: Vec<NftFlowtable>,
    /// Which nft made it, where that nft says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// What its writer keeps with it besides: a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Bytes>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

impl NftTable {
    /// Whether both are the same, whichever nft made them.
    pub fn is_same_but_stamp(&self, other: &NftTable) -> bool {
        let unstamped = |table: &NftTable| NftTable {
            stamp: None,
            ..table.clone()
        };
        *self == *other || unstamped(self) == unstamped(other)
    }
}

flags! {
    /// `enum nft_table_flags`.
    TableFlags {
        /// No packet meets it.
        DORMANT = 0x1;
        /// It goes away with the program that made it.
        OWNER = 0x2;
        /// It stays without the program that owned it.
        PERSIST = 0x4;
    }
}
