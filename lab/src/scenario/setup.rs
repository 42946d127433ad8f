//! What must be there before a scenario's rules are written: interfaces, addresses, routes, sysctls, sets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SetKind;
use crate::catalog::Family;

/// Where a probe is sent from or arrives, and where an address or a route is made.
///
/// The rules lie in the lane. The two others hold nothing but one end of a veth pair each, `eth0`, and no rules.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// The namespace with the rules: the node.
    #[default]
    Lane,
    /// Another machine: what is outside of the node.
    Peer,
    /// What is behind the node: a container, a pod, a virtual machine.
    Inner,
}

impl Namespace {
    /// The word that scenario files and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Namespace::Lane => "lane",
            Namespace::Peer => "peer",
            Namespace::Inner => "inner",
        }
    }

    /// Whether it is the rules' own.
    pub fn is_lane(&self) -> bool {
        *self == Namespace::Lane
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the agent makes before the rules are written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// Interfaces to make, all of them up.
    pub interfaces: Vec<Interface>,
    /// Addresses to give to interfaces.
    pub addresses: Vec<Address>,
    /// Routes to add.
    pub routes: Vec<Route>,
    /// Sysctls to set on interfaces: `"net.ipv4.conf.docker0.route_localnet" = "1"`. Packets are forwarded in every lane.
    pub sysctls: BTreeMap<String, String>,
    /// IP sets to make.
    pub sets: Vec<Set>,
    /// Accounting objects (nfacct) to make, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
}

impl Setup {
    /// The namespaces that veth pairs lead to.
    pub fn ends(&self) -> BTreeSet<Namespace> {
        self.interfaces
            .iter()
            .filter_map(|interface| interface.end)
            .collect()
    }

    /// Whether any of it is IPv6's.
    pub fn has_ipv6(&self) -> bool {
        let addresses = self.addresses.iter().map(|address| address.address.address);
        let routes = self.routes.iter().map(|route| route.to.address);
        addresses.chain(routes).any(|address| address.is_ipv6())
    }
}

/// An interface to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// `docker0`.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// Where the other end of a veth pair lies, as `eth0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Namespace>,
    /// The bridge that it is a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
}

/// The kinds of interface that the agent makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceKind {
    /// A bridge. Without ports it takes every packet and drops it.
    Bridge,
    /// One end of a veth pair; the other lies in another namespace.
    Veth,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The namespace of the interface.
    #[serde(default, skip_serializing_if = "Namespace::is_lane")]
    pub at: Namespace,
    /// The interface that gets it; outside of the lane there is only `eth0`.
    #[serde(default = "eth0")]
    pub interface: String,
    /// The address with its prefix length.
    pub address: Prefix,
}

fn eth0() -> String {
    "eth0".to_owned()
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The namespace that gets it.
    #[serde(default, skip_serializing_if = "Namespace::is_lane")]
    pub at: Namespace,
    /// The destination.
    pub to: Prefix,
    /// The next hop.
    pub via: Option<IpAddr>,
    /// The interface it leaves by.
    pub interface: Option<String>,
}

/// An IP set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The name that `--match-set` uses.
    pub name: String,
    /// `hash:ip`, `hash:ip,port`.
    #[serde(rename = "type")]
    pub kind: SetKind,
    /// The family of its addresses.
    pub family: Family,
    /// Its members, as the ipset tool writes them.
    #[serde(default)]
    pub entries: Vec<String>,
}

/// An address with a prefix length: `10.0.0.1/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// The number of leading bits that are the network's.
    pub length: u8,
}

impl Prefix {
    /// The network's own address: all other bits are zero.
    pub fn network(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length));
                IpAddr::from((address.to_bits() & mask.unwrap_or(0)).to_be_bytes())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length));
                IpAddr::from((address.to_bits() & mask.unwrap_or(0)).to_be_bytes())
            }
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let address: IpAddr = address.parse().ok()?;
            let length: u8 = length.parse().ok()?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            (length <= bits).then_some(Prefix { address, length })
        });
        parsed.ok_or_else(|| {
            format!("`{text}` is no address with a prefix length: write 10.0.0.1/24")
        })
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> String {
        format!("{}/{}", prefix.address, prefix.length)
    }
}
