//! IP sets: their types, and their entries as the ipset tool writes them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Family;

/// The types of set that the agent makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SetKind {
    /// Addresses.
    #[serde(rename = "hash:ip")]
    HashIp,
    /// Networks.
    #[serde(rename = "hash:net")]
    HashNet,
    /// Addresses with a port each.
    #[serde(rename = "hash:ip,port")]
    HashIpPort,
    /// Addresses with a port and a second address each.
    #[serde(rename = "hash:ip,port,ip")]
    HashIpPortIp,
    /// Addresses with a port and a network each.
    #[serde(rename = "hash:ip,port,net")]
    HashIpPortNet,
    /// Networks with a port each.
    #[serde(rename = "hash:net,port")]
    HashNetPort,
    /// Networks with an interface each.
    #[serde(rename = "hash:net,iface")]
    HashNetIface,
    /// Ports.
    #[serde(rename = "bitmap:port")]
    BitmapPort,
    /// Other sets.
    #[serde(rename = "list:set")]
    ListSet,
}

/// What a part of an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Address,
    ProtocolAndPort,
    Port,
    Interface,
    Set,
}

impl SetKind {
    /// What `ipset create` must be told besides the type.
    pub fn create_options(self, family: &str) -> String {
        match self {
            SetKind::BitmapPort => " range 0-65535".to_owned(),
            SetKind::ListSet => String::new(),
            _ => format!(" family {family}"),
        }
    }

    /// The type as the kernel and the ipset tool call it.
    pub fn as_str(self) -> &'static str {
        match self {
            SetKind::HashIp => "hash:ip",
            SetKind::HashNet => "hash:net",
            SetKind::HashIpPort => "hash:ip,port",
            SetKind::HashIpPortIp => "hash:ip,port,ip",
            SetKind::HashIpPortNet => "hash:ip,port,net",
            SetKind::HashNetPort => "hash:net,port",
            SetKind::HashNetIface => "hash:net,iface",
            SetKind::BitmapPort => "bitmap:port",
            SetKind::ListSet => "list:set",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<SetKind> {
        let all = [
            SetKind::HashIp,
            SetKind::HashNet,
            SetKind::HashIpPort,
            SetKind::HashIpPortIp,
            SetKind::HashIpPortNet,
            SetKind::HashNetPort,
            SetKind::HashNetIface,
            SetKind::BitmapPort,
            SetKind::ListSet,
        ];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether its entries hold addresses, all of the set's family.
    pub fn has_addresses(self) -> bool {
        self.dimensions().contains(&Dimension::Address)
    }

    fn dimensions(self) -> &'static [Dimension] {
        use Dimension::{Address, Interface, Port, ProtocolAndPort, Set};
        match self {
            SetKind::HashIp | SetKind::HashNet => &[Address],
            SetKind::HashIpPort | SetKind::HashNetPort => &[Address, ProtocolAndPort],
            SetKind::HashIpPortIp | SetKind::HashIpPortNet => &[Address, ProtocolAndPort, Address],
            SetKind::HashNetIface => &[Address, Interface],
            SetKind::BitmapPort => &[Port],
            SetKind::ListSet => &[Set],
        }
    }
}

/// One part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`.
    Address {
        /// The address, or the first one.
        first: IpAddr,
        /// The prefix length, where there is one.
        length: Option<u8>,
        /// The last address of a range.
        last: Option<IpAddr>,
    },
    /// `tcp:80`, `udp:5000-5010`, `80`.
    Port {
        /// The protocol's number; none in a set of ports alone.
        protocol: Option<u8>,
        /// The port, or the first one.
        first: u16,
        /// The last port of a range.
        last: Option<u16>,
    },
    /// `eth0`.
    Interface(String),
    /// The name of another set.
    Set(String),
}

/// One entry of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its parts, in the order of the type's name.
    pub parts: Vec<Part>,
    /// `nomatch`: an exception from a wider network.
    pub is_exception: bool,
}

impl Entry {
    /// Reads an entry as the ipset tool writes it.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that names it.
    pub fn parse(kind: SetKind, family: Family, text: &str) -> Result<Entry, String> {
        let (words, is_exception) = match text.strip_suffix(" nomatch") {
            Some(words) => (words, true),
            None => (text, false),
        };
        let dimensions = kind.dimensions();
        let words: Vec<&str> = words.split(',').collect();
        if words.len() != dimensions.len() {
            let (has, wants) = (words.len(), dimensions.len());
            return Err(format!(
                "has {has} parts, and {} has {wants}",
                kind.as_str()
            ));
        }
        let parts = dimensions.iter().zip(words);
        Ok(Entry {
            parts: parts
                .map(|(dimension, word)| part(*dimension, family, word))
                .collect::<Result<_, _>>()?,
            is_exception,
        })
    }
}

fn part(dimension: Dimension, family: Family, word: &str) -> Result<Part, String> {
    match dimension {
        Dimension::Address => address(family, word),
        Dimension::ProtocolAndPort => {
            let (protocol, ports) = word.split_once(':').unwrap_or(("tcp", word));
            let protocol = protocol_number(protocol)
                .ok_or_else(|| format!("names no protocol with ports: `{protocol}`"))?;
            port(Some(protocol), ports)
        }
        Dimension::Port => port(None, word),
        Dimension::Interface => name(word).map(Part::Interface),
        Dimension::Set => name(word).map(Part::Set),
    }
}

fn address(family: Family, word: &str) -> Result<Part, String> {
    let read = |word: &str| -> Result<IpAddr, String> {
        let address: IpAddr = word
            .parse()
            .map_err(|_| format!("has no address in `{word}`"))?;
        let is_of_family = address.is_ipv4() == (family == Family::Ipv4);
        is_of_family
            .then_some(address)
            .ok_or_else(|| format!("has an address that is no {family} one: {address}"))
    };
    if let Some((first, last)) = word.split_once('-') {
        return Ok(Part::Address {
            first: read(first)?,
            length: None,
            last: Some(read(last)?),
        });
    }
    let (first, length) = match word.split_once('/') {
        Some((first, length)) => (first, Some(length)),
        None => (word, None),
    };
    let bits = if family == Family::Ipv4 { 32 } else { 128 };
    let length = length.map(|length| {
        let length: Option<u8> = length.parse().ok();
        length
            .filter(|length| *length <= bits)
            .ok_or_else(|| format!("has no prefix length in `{word}`"))
    });
    Ok(Part::Address {
        first: read(first)?,
        length: length.transpose()?,
        last: None,
    })
}

fn port(protocol: Option<u8>, word: &str) -> Result<Part, String> {
    let read = |word: &str| word.parse().map_err(|_| format!("has no port in `{word}`"));
    let (first, last) = match word.split_once('-') {
        Some((first, last)) => (read(first)?, Some(read(last)?)),
        None => (read(word)?, None),
    };
    Ok(Part::Port {
        protocol,
        first,
        last,
    })
}

fn name(word: &str) -> Result<String, String> {
    let is_name = !word.is_empty() && !word.contains(char::is_whitespace);
    is_name
        .then(|| word.to_owned())
        .ok_or_else(|| format!("has no name in `{word}`"))
}

/// The protocols whose ports a set takes (`ip_set_get_ipaddr4_port` of net/netfilter/ipset/ip_set_getport.c), but for
/// ICMP, whose types stand for ports there.
fn protocol_number(name: &str) -> Option<u8> {
    match name {
        "tcp" => Some(6),
        "udp" => Some(17),
        "sctp" => Some(132),
        "udplite" => Some(136),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::not_enough(SetKind::HashIpPort, "10.0.0.1", "has 1 parts, and hash:ip,port has 2")]
    #[case::too_much(SetKind::HashIp, "10.0.0.1,80", "has 2 parts")]
    #[case::no_address(SetKind::HashIp, "here", "has no address in `here`")]
    #[case::other_family(SetKind::HashNet, "fd00::/8", "no ipv4 one")]
    #[case::length(SetKind::HashNet, "10.0.0.0/33", "has no prefix length")]
    #[case::protocol(
        SetKind::HashNetPort,
        "10.0.0.0/8,icmp:8",
        "no protocol with ports: `icmp`"
    )]
    #[case::port(SetKind::BitmapPort, "http", "has no port in `http`")]
    #[case::option(SetKind::ListSet, "one timeout 3", "has no name")]
    fn what_is_wrong_with_an_entry_is_said(
        #[case] kind: SetKind,
        #[case] text: &str,
        #[case] says: &str,
    ) {
        let wrong = Entry::parse(kind, Family::Ipv4, text);
        assert!(
            wrong.as_ref().is_err_and(|wrong| wrong.contains(says)),
            "{wrong:?}"
        );
    }

    #[test]
    fn an_entry_is_read_in_its_parts() {
        let text = "10.0.0.1-10.0.0.3,udp:5000-5010,10.1.0.0/16 nomatch";
        let entry = Entry::parse(SetKind::HashIpPortNet, Family::Ipv4, text);
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let parts = vec![
            Part::Address {
                first: address("10.0.0.1"),
                length: None,
                last: Some(address("10.0.0.3")),
            },
            Part::Port {
                protocol: Some(17),
                first: 5000,
                last: Some(5010),
            },
            Part::Address {
                first: address("10.1.0.0"),
                length: Some(16),
                last: None,
            },
        ];
        let expected = Entry {
            parts,
            is_exception: true,
        };
        assert_eq!(entry, Ok(expected));
    }
}
