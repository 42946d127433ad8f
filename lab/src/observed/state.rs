//! The state of one network namespace: everything that decides about its packets.

use serde::{Deserialize, Serialize};

use super::legacy::LegacyTable;
use super::nft::{NftTable, nft_family};
use crate::catalog::{Backend, Family};

/// What the kernel holds in one network namespace, in its own terms, without handles and counters.
///
/// Two that are equal are the same rules: nothing that decides about a packet is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct State {
    /// nf_tables tables of every family, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nft: Vec<NftTable>,
    /// Registered legacy tables, IPv4 first, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legacy: Vec<LegacyTable>,
}

impl State {
    /// Whether both hold the same, whichever nft made their tables.
    pub fn is_same_but_stamps(&self, other: &State) -> bool {
        let mut tables = self.nft.iter().zip(&other.nft);
        self.legacy == other.legacy
            && self.nft.len() == other.nft.len()
            && tables.all(|(own, its)| own.is_same_but_stamp(its))
    }

    /// What it holds of one chain: its table with nothing but that chain and the sets that its rules may use.
    pub fn only(mut self, name: &ChainName) -> Self {
        let ChainName { table, chain, .. } = name;
        let family = nft_family(name.family);
        let (nft, legacy) = match name.backend {
            Backend::Nft => (true, false),
            Backend::Legacy => (false, true),
        };
        self.nft
            .retain(|known| nft && known.family == family && known.name == *table);
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

/// One chain of the tables that iptables uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChainName {
    /// Whose tables: those of nf_tables, or the legacy ones.
    pub backend: Backend,
    /// `iptables`' or `ip6tables`'.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
}
