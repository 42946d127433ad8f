//! Rules.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::observed::bytes::Bytes;
use crate::observed::expression::{Attribute, Expression};

/// `enum nft_rule_attributes`: one rule, without handle and position.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftRule {
    /// Its expressions in order.
    pub expressions: Vec<Arc<Expression>>,
    /// What else the kernel says of it and this program does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
    /// What nft_compat hands to xtables matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compat>,
    /// What its writer keeps with it: comments and the like, which no packet ever meets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Bytes>,
}

/// `enum nft_rule_compat_attributes`: protocol and flags that nft_compat hands to xtables matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Compat {
    /// The number of the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// `enum nft_rule_compat_flags`: whether it is every other protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<u32>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.map(|protocol| format!("proto {protocol}"));
        let flags = self.flags.map(|flags| format!("flags {flags:#x}"));
        let known = protocol.into_iter().chain(flags);
        let all = known.chain(self.other.iter().map(ToString::to_string));
        f.write_str(&all.collect::<Vec<_>>().join(" "))
    }
}
