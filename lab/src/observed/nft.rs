//! nf_tables: tables, chains, rules, sets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::expression::{Attribute, Expression};
use crate::catalog::Family;

/// What nf_tables calls a family.
pub fn nft_family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

/// One nf_tables table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftTable {
    /// `ip`, `ip6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: String,
    /// The table's name.
    pub name: String,
    /// `NFTA_TABLE_FLAGS`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flags: u32,
    /// Its chains, in the kernel's order.
    pub chains: Vec<NftChain>,
    /// Its sets and maps, with their elements: one printed line each, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<NftSet>,
    /// Stateful objects and flowtables: one printed line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// What else the kernel says of it, one printed attribute each: userdata, and what this program does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<String>,
}

/// One nf_tables chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftChain {
    /// The chain's name.
    pub name: String,
    /// Where it hangs, if it is a base chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<NftHook>,
    /// Its rules, in order.
    pub rules: Vec<Arc<NftRule>>,
    /// What else the kernel says of it, one printed attribute each: flags other than that of a base chain, userdata,
    /// and what this program does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<String>,
}

/// Where a base chain hangs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftHook {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`.
    pub hook: String,
    /// Its place among the chains of the hook.
    pub priority: i32,
    /// `ACCEPT` or `DROP`.
    pub policy: String,
    /// The interfaces it hangs on, where it hangs on interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// One nf_tables rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftRule {
    /// Its expressions in order.
    pub expressions: Vec<Arc<Expression>>,
    /// What else the kernel says of it and this program does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
    /// `NFTA_RULE_COMPAT`: protocol and flags that nft_compat hands to xtables matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compat: Option<String>,
    /// `NFTA_RULE_USERDATA` in hexadecimal: comments and the like, which no packet ever meets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<String>,
}

/// One nf_tables set or map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftSet {
    /// Its name; `__set%d` of anonymous ones as the kernel numbered it.
    pub name: String,
    /// Flags, key and data type and length.
    pub header: String,
    /// Its elements, one printed line each, sorted.
    pub elements: Vec<String>,
}

fn is_zero(flags: &u32) -> bool {
    *flags == 0
}
