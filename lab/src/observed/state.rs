//! The state of one network namespace: everything that decides about its packets.

use serde::{Deserialize, Serialize};

use super::content::digest;
use super::legacy::LegacyTable;
use super::nft::{NftTable, TableFlags, kernel_table};
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

/// A state by its content. States that are equal have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateId([u8; 32]);

impl StateId {
    /// Its bytes.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl State {
    /// Its id.
    pub fn id(&self) -> StateId {
        let digest = digest(self);
        StateId(digest.expect("a state is lists, texts and numbers, which all have a JSON form"))
    }

    /// Whether a program that is there owns one of its tables: no other can make such a state, for a table is its maker's.
    pub fn is_owned(&self) -> bool {
        let mut tables = self.nft.iter();
        tables.any(|table| table.flags.has(TableFlags::OWNER))
    }

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
        let (family, nft_table) = name.nft_table();
        let (nft, legacy) = match name.backend {
            Backend::Nft => (true, false),
            Backend::Legacy => (false, true),
        };
        self.nft
            .retain(|known| nft && known.family == family && known.name == nft_table);
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

impl ChainName {
    /// The family and name of its table in nf_tables.
    pub fn nft_table(&self) -> (&str, &str) {
        kernel_table(self.family, &self.table)
    }
}

/// A rule, by where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RulePlace {
    /// The chain.
    pub chain: ChainName,
    /// How many rules are before it there.
    pub place: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Stamp;

    fn state(name: &str) -> State {
        let table = serde_json::json!({ "family": "ip", "name": name, "chains": [] });
        serde_json::from_value(serde_json::json!({ "nft": [table] })).expect("a state")
    }

    #[test]
    fn states_that_are_equal_have_one_id_and_others_have_others() {
        assert_eq!(state("filter").id(), state("filter").id());
        assert_ne!(state("filter").id(), state("nat").id());
        assert_ne!(state("filter").id(), State::default().id());
    }

    #[test]
    fn which_nft_made_a_table_is_part_of_the_id_and_the_only_difference() {
        let (plain, mut stamped) = (state("filter"), state("filter"));
        stamped.nft[0].stamp = Some(Stamp::default());
        assert_ne!(stamped.id(), plain.id());
        assert!(stamped.is_same_but_stamps(&plain));
        assert!(!stamped.is_same_but_stamps(&state("nat")));
        assert!(!stamped.is_same_but_stamps(&State::default()));
    }
}
