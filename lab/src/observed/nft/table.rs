//! Tables.

use serde::{Deserialize, Serialize};

use super::chain::NftChain;
use super::object::{NftFlowtable, NftObject};
use super::set::NftSet;
use super::stamp::Stamp;
use crate::observed::bytes::Bytes;
use crate::observed::expression::Attribute;
use crate::observed::flags::flags;

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
    /// Its sets and maps, in the kernel's order; the anonymous ones last, by number.
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
        self.but_stamp() == other.but_stamp()
    }

    fn but_stamp(&self) -> impl PartialEq {
        let NftTable {
            family,
            name,
            flags,
            chains,
            sets,
            objects,
            flowtables,
            stamp: _,
            userdata,
            other,
        } = self;
        let within = (chains, sets, objects, flowtables);
        (family, name, flags, within, userdata, other)
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
