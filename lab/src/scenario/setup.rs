//! What must be there before a scenario's rules are written: interfaces, addresses, routes, sysctls, sets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::catalog::Family;

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
    /// Sysctls to set: `"net.ipv4.ip_forward" = "1"`.
    pub sysctls: BTreeMap<String, String>,
    /// IP sets to make.
    pub sets: Vec<Set>,
}

/// An interface to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// `docker0`.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
}

/// The kinds of interface that the agent makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceKind {
    /// Takes every packet and drops it.
    Dummy,
    /// A bridge without ports.
    Bridge,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The interface that gets it.
    pub interface: String,
    /// The address with its prefix length.
    pub address: Prefix,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The destination.
    pub to: Prefix,
    /// The next hop.
    pub via: Option<IpAddr>,
    /// The interface it leaves by.
    pub interface: Option<String>,
}

/// An IP set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The name that `--match-set` uses.
    pub name: String,
    /// `hash:ip`, `hash:ip,port`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The family of its addresses.
    pub family: Family,
    /// Its members, as the ipset tool writes them.
    #[serde(default)]
    pub entries: Vec<String>,
}

/// An address with a prefix length: `10.0.0.1/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// The number of leading bits that are the network's.
    pub length: u8,
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
