//! How a system writes its rules.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Tool;

/// How a system writes its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Write {
    /// `iptables-restore`.
    #[default]
    Restore,
    /// One `iptables -A` a rule.
    Append,
    /// One `iptables -I` a rule.
    Insert,
    /// `iptables-restore --noflush`.
    RestoreNoflush,
    /// `nft -f`, not iptables; the rules are text for it.
    Nft,
    /// The same, but each rule goes in front of what its chain holds: `insert rule`.
    NftInsert,
}

impl Write {
    /// The tool that writes so.
    pub fn tool(self) -> Tool {
        match self {
            Write::Restore | Write::Append | Write::Insert | Write::RestoreNoflush => {
                Tool::Iptables
            }
            Write::Nft | Write::NftInsert => Tool::Nft,
        }
    }

    /// Whether its rules stand in front of those that their chains hold already.
    pub fn is_in_front(self) -> bool {
        match self {
            Write::Insert | Write::NftInsert => true,
            Write::Restore | Write::Append | Write::RestoreNoflush | Write::Nft => false,
        }
    }

    /// Whether what its tables hold already is gone then.
    pub fn replaces(self) -> bool {
        self == Write::Restore
    }

    /// Whether each rule takes a command of its own.
    pub fn is_rule_by_rule(self) -> bool {
        match self {
            Write::Append | Write::Insert => true,
            Write::Restore | Write::RestoreNoflush | Write::Nft | Write::NftInsert => false,
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Write::Restore => "iptables-restore",
            Write::Append => "iptables -A, rule by rule",
            Write::Insert => "iptables -I, rule by rule",
            Write::RestoreNoflush => "iptables-restore --noflush",
            Write::Nft => "nft -f",
            Write::NftInsert => "nft -f, each rule in front of its chain",
        })
    }
}
