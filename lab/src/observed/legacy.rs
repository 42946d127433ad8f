//! Legacy tables: their chains and rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Family;

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
