//! What the kernel itself holds, read and made over netlink and getsockopt, not by any iptables or ip.

mod attributes;
mod conntrack;
mod error;
mod expression;
mod ipset;
mod known;
mod legacy;
mod link;
mod netlink;
mod nfacct;
mod nft;
mod route;
mod sockopt;
pub mod surroundings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::protocol::ChainName;
use crate::catalog::{Backend, Family};

pub use error::KernelError;
use known::Known;
pub use link::NetworkOf;

/// Reads what the kernel holds, again and again.
#[derive(Debug, Default)]
pub struct Reader {
    nft: Known<NftRule>,
    legacy: Known<str>,
}

impl Reader {
    /// What the kernel holds in the network namespace of the calling thread. It does not depend on what was read before.
    ///
    /// # Errors
    /// The kernel refuses, sends what it should not, or its rules do not stand still.
    pub fn dump(&mut self) -> Result<KernelDump, KernelError> {
        Ok(KernelDump {
            nft: nft::dump(&mut self.nft)?,
            legacy: legacy::dump(&mut self.legacy)?,
        })
    }
}

/// Whose tables the kernel has; the legacy ones where they were registered in the network namespace of the calling thread.
pub fn backends() -> Result<BTreeSet<Backend>, KernelError> {
    let nft = nft::is_there()?.then_some(Backend::Nft);
    let legacy = legacy::is_there()?.then_some(Backend::Legacy);
    Ok(nft.into_iter().chain(legacy).collect())
}

/// Brings `lo` up and, where legacy builds will run, registers every legacy table that the kernel has.
pub fn prepare(tables: LegacyTables) -> Result<(), KernelError> {
    link::loopback_up()?;
    match tables {
        LegacyTables::Register => legacy::register(),
        LegacyTables::Leave => Ok(()),
    }
}

/// Deletes every nf_tables table, empties every registered legacy table and sets its policies to ACCEPT.
pub fn reset() -> Result<(), KernelError> {
    nft::reset()?;
    legacy::reset()
}

/// Whether [`prepare`] touches legacy tables: once touched they stay registered in their namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyTables {
    /// Register all that the kernel has.
    Register,
    /// Touch none.
    Leave,
}

/// All rules of one network namespace, in the kernel's own terms, without handles and counters.
///
/// Two equal dumps are the same rules: nothing that decides about a packet is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct KernelDump {
    /// nf_tables tables of every family, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nft: Vec<NftTable>,
    /// Registered legacy tables, IPv4 first, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legacy: Vec<LegacyTable>,
}

impl KernelDump {
    /// What it holds of one chain: its table with nothing but that chain and the sets that its rules may use.
    pub fn only(mut self, name: &ChainName) -> Self {
        let ChainName { table, chain, .. } = name;
        let (nft_family, nft, legacy) = match name.backend {
            Backend::Nft => (name.family.nft(), true, false),
            Backend::Legacy => (name.family.nft(), false, true),
        };
        self.nft
            .retain(|known| nft && known.family == nft_family && known.name == *table);
        self.legacy
            .retain(|known| legacy && known.family == name.family && known.name == *table);
        for table in &mut self.nft {
            table.chains.retain(|known| known.name == *chain);
        }
        for table in &mut self.legacy {
            table.chains.retain(|known| known.name == *chain);
        }
        self
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
    /// Its expressions in order, each as `nft --debug=netlink` prints it, without the brackets:
    /// `meta load mark => reg 1`. What this program does not know is printed as its raw attributes.
    pub expressions: Vec<Arc<str>>,
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

/// One registered legacy table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LegacyTable {
    /// `iptables`' or `ip6tables`'.
    pub family: Family,
    /// `filter`, `nat`, `mangle`, `raw`, `security`.
    pub name: String,
    /// Built-in chains in hook order, then the user's in the kernel's order.
    pub chains: Vec<LegacyChain>,
}

/// One chain of a legacy table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LegacyChain {
    /// The chain's name: `INPUT`, `KUBE-FIREWALL`.
    pub name: String,
    /// `ACCEPT` or `DROP` for a built-in chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its rules in order, without the trailing policy or return entry: the fields of `struct ipt_ip` that are set,
    /// each match and the target with revision and payload in hexadecimal, jumps by chain name.
    pub rules: Vec<Arc<str>>,
}

/// The rules of dumps that were seen before. Most rules of most dumps are: they are in memory once, and known to be equal
/// without a look at them. So are the expressions of those that are new, most of which other rules have too.
#[derive(Debug, Default)]
pub struct SeenRules {
    nft: foldhash::HashSet<Arc<NftRule>>,
    expressions: foldhash::HashSet<Arc<str>>,
    legacy: foldhash::HashSet<Arc<str>>,
}

impl SeenRules {
    /// Has `dump` hold the rules that were seen before in the place of its own that are equal.
    pub fn share_with(&mut self, dump: &mut KernelDump) {
        let chains = dump.nft.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            if share(&self.nft, rule) {
                continue;
            }
            // One that somebody else holds too keeps its own.
            for expression in Arc::get_mut(rule).map_or(&mut [][..], |own| &mut own.expressions) {
                if !share(&self.expressions, expression) {
                    self.expressions.insert(expression.clone());
                }
            }
            self.nft.insert(rule.clone());
        }
        let chains = dump.legacy.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            if !share(&self.legacy, rule) {
                self.legacy.insert(rule.clone());
            }
        }
    }

    /// Forgets what is in no dump any more.
    pub fn forget_unused(&mut self) {
        self.nft.retain(|rule| Arc::strong_count(rule) > 1);
        self.legacy.retain(|rule| Arc::strong_count(rule) > 1);
        self.expressions.retain(|of| Arc::strong_count(of) > 1);
    }
}

/// Puts what was seen in the place of what is equal to it; false where nothing is.
fn share<R: Eq + Hash + ?Sized>(seen: &foldhash::HashSet<Arc<R>>, new: &mut Arc<R>) -> bool {
    match seen.get(&**new) {
        Some(known) => {
            *new = known.clone();
            true
        }
        None => false,
    }
}

fn is_zero(flags: &u32) -> bool {
    *flags == 0
}
