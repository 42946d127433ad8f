//! Legacy tables: their chains and rules.

mod conditions;
mod rule;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Family;

pub use conditions::{Conditions, Interface, Network};
pub use rule::{LegacyEntry, LegacyRule, LegacyTarget};

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
    /// Its rules in order, without the policy or the return that the kernel has at its end.
    pub rules: Vec<Arc<LegacyRule>>,
}
