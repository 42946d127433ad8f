//! Chains, and where base chains hang.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rule::NftRule;
use crate::observed::bytes::{Bytes, Name};
use crate::observed::cursor::Cursor;
use crate::observed::expression::Attribute;
use crate::observed::flags::flags;
use crate::observed::printed;

/// `enum nft_chain_attributes`: one chain, without use count, handle and counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftChain {
    /// The chain's name.
    pub name: String,
    /// Where it hangs, if it is a base chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<NftHook>,
    /// Its rules, in order.
    pub rules: Vec<Arc<NftRule>>,
    /// Its flags, without that of a base chain, which follows from `base`.
    #[serde(default, skip_serializing_if = "ChainFlags::is_empty")]
    pub flags: ChainFlags,
    /// What its writer keeps with it: a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Bytes>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

flags! {
    /// `enum nft_chain_flags`.
    ChainFlags {
        /// It hangs at a hook.
        BASE = 0x1;
        /// The network card does its work.
        HW_OFFLOAD = 0x2;
        /// It belongs to the rule that jumps to it, and has no name of its own.
        BINDING = 0x4;
    }
}

/// `enum nft_hook_attributes` with the chain's type and policy: where a base chain hangs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftHook {
    /// Its type: what its rules may do.
    pub kind: ChainKind,
    /// At which hook.
    pub hook: Hook,
    /// Its place among the chains of the hook.
    pub priority: i32,
    /// What becomes of a packet that no rule decides about.
    pub policy: ChainPolicy,
    /// The interfaces it hangs on, where it hangs on interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// What else the kernel says of the hook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

/// What becomes of a packet that no rule of a base chain decides about. The kernel takes nothing else (`nf_tables_newchain` of
/// net/netfilter/nf_tables_api.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChainPolicy {
    /// `NF_ACCEPT`.
    Accept,
    /// `NF_DROP`.
    Drop,
}

impl ChainPolicy {
    /// `ACCEPT` or `DROP`.
    pub fn as_str(self) -> &'static str {
        match self {
            ChainPolicy::Accept => "ACCEPT",
            ChainPolicy::Drop => "DROP",
        }
    }
}

impl fmt::Display for ChainPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `NFTA_CHAIN_TYPE`: what the rules of a base chain may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChainKind {
    /// `filter`.
    Filter,
    /// `nat`.
    Nat,
    /// `route`.
    Route,
    /// One that this program does not know.
    Other(Name),
}

impl From<Name> for ChainKind {
    fn from(name: Name) -> Self {
        match name.as_bytes() {
            b"filter" => ChainKind::Filter,
            b"nat" => ChainKind::Nat,
            b"route" => ChainKind::Route,
            _ => ChainKind::Other(name),
        }
    }
}

impl fmt::Display for ChainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainKind::Filter => f.write_str("filter"),
            ChainKind::Nat => f.write_str("nat"),
            ChainKind::Route => f.write_str("route"),
            ChainKind::Other(name) => name.fmt(f),
        }
    }
}

impl Serialize for ChainKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Name::deserialize(from).map(Into::into)
    }
}

/// `enum nf_inet_hooks`, `NF_ARP_*`, `enum nf_dev_hooks`: where a packet is when it meets a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "each is named after the word that it is printed as"
)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Ingress,
    Egress,
    /// One that this program does not know.
    Unknown(u32),
}

impl Hook {
    const NAMED: [(Hook, &str); 7] = [
        (Hook::Prerouting, "prerouting"),
        (Hook::Input, "input"),
        (Hook::Forward, "forward"),
        (Hook::Output, "output"),
        (Hook::Postrouting, "postrouting"),
        (Hook::Ingress, "ingress"),
        (Hook::Egress, "egress"),
    ];

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        if line.text("unknown-").is_some() {
            return line.number().map(Hook::Unknown);
        }
        let word = line.word();
        let named = Self::NAMED.iter().find(|(_, name)| *name == word);
        named.map(|(hook, _)| *hook)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::NAMED.iter().find(|(hook, _)| hook == self)) {
            (_, Some((_, name))) => f.write_str(name),
            (Hook::Unknown(number), None) => write!(f, "unknown-{number}"),
            (_, None) => Ok(()),
        }
    }
}

impl Serialize for Hook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hook {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        printed::deserialize_whole(from, "hook", Hook::read)
    }
}

/// `enum nft_devices_attributes`: an interface that a base chain or a flowtable hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The one of this name.
    Name(Name),
    /// Each whose name begins so.
    Prefix(Name),
    /// In a way that this program does not know.
    Other(Attribute),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Name(name) => name.fmt(f),
            Device::Prefix(name) => write!(f, "prefix {name}"),
            Device::Other(attribute) => attribute.fmt(f),
        }
    }
}
