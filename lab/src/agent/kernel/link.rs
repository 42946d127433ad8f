//! Interfaces over rtnetlink: bridges and veth pairs made, brought up and deleted, and their settings.
//!
//! Attribute numbers are those of the kernel's include/uapi/linux/if_link.h, veth.h and ip.h.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use nix::libc;

use super::attributes::{Attributes, put, put_name, put_nest, without_nul};
use super::error::KernelError;
use super::netlink::{Connection, messages};

/// `LOOPBACK_IFINDEX` of the kernel: `lo` is the first interface of every namespace.
pub(super) const LOOPBACK: i32 = 1;

/// `IFLA_*`.
mod attribute {
    pub const NAME: u16 = 3;
    pub const MASTER: u16 = 10;
    pub const OPERSTATE: u16 = 16;
    pub const LINKINFO: u16 = 18;
    pub const NET_NS_PID: u16 = 19;
    pub const NET_NS_FD: u16 = 28;
    pub const AF_SPEC: u16 = 26;
    pub const GROUP: u16 = 27;
    /// Within `IFLA_LINKINFO`.
    pub const INFO_KIND: u16 = 1;
    pub const INFO_DATA: u16 = 2;
    /// Within the data of a veth: `VETH_INFO_PEER`.
    pub const VETH_PEER: u16 = 1;
    /// Within `IFLA_AF_SPEC`: `AF_INET`, `AF_INET6`, and what each holds.
    pub const INET: u16 = 2;
    pub const INET_CONF: u16 = 1;
    pub const INET6: u16 = 10;
    pub const INET6_ADDR_GEN_MODE: u16 = 8;
}

/// `IN6_ADDR_GEN_MODE_NONE`: no link-local address comes by itself, at a time of its own.
const NO_ADDRESSES: u8 = 1;

/// The group of interfaces that were made here, for they are deleted together. Everyone else's are in group 0.
const OWN: u32 = 0x1ab;

/// `IF_OPER_UP`.
const OPER_UP: u8 = 6;

/// What the kernel answers where it has no such kind of interface.
const NO_SUCH_KIND: [i32; 4] = [
    libc::EOPNOTSUPP,
    libc::ENODEV,
    libc::ENOENT,
    libc::EPROTONOSUPPORT,
];

/// What `rtnl_link_ops` lack for an interface that every namespace has by itself, such as `sit0`.
const UNDELETABLE: [i32; 3] = [libc::EOPNOTSUPP, libc::EINVAL, libc::ENODEV];

/// One interface of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Its index.
    pub(super) index: i32,
    /// Its name.
    pub(super) name: String,
    /// What it is; nothing of `lo`.
    pub(super) kind: Option<String>,
    /// The index of the bridge that it is a port of.
    pub(super) master: Option<i32>,
    /// Whether packets can pass.
    pub(super) is_up: bool,
    /// Its IPv4 settings, by `IPV4_DEVCONF_*`.
    pub(super) inet: BTreeMap<u16, u32>,
    /// Whether the kernel speaks IPv6 on it.
    pub(super) has_inet6: bool,
}

/// An interface that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bridge.
    Bridge,
    /// One end of a pair; the other is `eth0` in this network namespace.
    Veth { far: NetworkOf },
}

/// How a network namespace is known to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkOf {
    /// It is this process's, by its id here.
    Process(u32),
    /// It is open here, by this descriptor.
    Descriptor(RawFd),
}

/// What is set on an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Settings {
    /// Whether it is brought up.
    pub(super) up: bool,
    /// The bridge that it becomes a port of.
    pub(super) master: Option<i32>,
    /// IPv4 settings, by `IPV4_DEVCONF_*`.
    pub(super) inet: BTreeMap<u16, u32>,
    /// Whether the kernel is kept from giving it a link-local address.
    pub(super) no_link_local: bool,
}

/// A connection to rtnetlink.
pub(super) fn connect() -> Result<Connection, KernelError> {
    Connection::open(netlink_sys::protocols::NETLINK_ROUTE)
}

/// Brings `lo` up.
pub(super) fn loopback_up() -> Result<(), KernelError> {
    let up = Settings {
        up: true,
        ..Settings::default()
    };
    set(&mut connect()?, LOOPBACK, "lo", &up)
}

/// All interfaces of the namespace.
pub(super) fn all(connection: &mut Connection) -> Result<Vec<Link>, KernelError> {
    let asked = header(0, 0);
    let answer = connection.whole_dump("reading the interfaces", libc::RTM_GETLINK, &asked)?;
    messages(&answer)
        .map(|message| decode(message?.body))
        .collect()
}

/// Whether packets can pass an interface, asked for it alone: since Linux 6.8 the kernel then sees at once what it else
/// sees within a second (`rtnl_getlink` in net/core/rtnetlink.c, `linkwatch_sync_dev`).
pub(super) fn is_up(connection: &mut Connection, link: &Link) -> Result<bool, KernelError> {
    let what = format!("reading the interface {}", link.name);
    let answer = connection.ask(&what, libc::RTM_GETLINK, 0, &header(link.index, 0))?;
    match messages(&answer).next().transpose()? {
        Some(message) => Ok(decode(message.body)?.is_up),
        None => Ok(false),
    }
}

/// Makes an interface, and its other end.
pub(super) fn make(connection: &mut Connection, name: &str, kind: Kind) -> Result<(), KernelError> {
    let word = match kind {
        Kind::Bridge => "bridge",
        Kind::Veth { .. } => "veth",
    };
    make_kind(connection, name, word, kind)
}

/// Makes an interface of a kind that the kernel knows by this word, or does not know.
pub(super) fn make_kind(
    connection: &mut Connection,
    name: &str,
    word: &str,
    kind: Kind,
) -> Result<(), KernelError> {
    connection
        .request(
            &format!("making the {word} {name}"),
            libc::RTM_NEWLINK,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            &making(name, word, kind),
        )
        .map_err(|error| error.lacking_if(&NO_SUCH_KIND))
}

fn making(name: &str, word: &str, kind: Kind) -> Vec<u8> {
    let mut body = header(0, 0);
    put_name(&mut body, attribute::NAME, name);
    put(&mut body, attribute::GROUP, &OWN.to_ne_bytes());
    put_nest(&mut body, attribute::LINKINFO, |info| {
        put_name(info, attribute::INFO_KIND, word);
        if let Kind::Veth { far } = kind {
            put_nest(info, attribute::INFO_DATA, |data| {
                put_nest(data, attribute::VETH_PEER, |peer| {
                    peer.extend(header(0, 0));
                    put_name(peer, attribute::NAME, "eth0");
                    match far {
                        NetworkOf::Process(id) => {
                            put(peer, attribute::NET_NS_PID, &id.to_ne_bytes())
                        }
                        NetworkOf::Descriptor(open) => {
                            put(peer, attribute::NET_NS_FD, &open.to_ne_bytes())
                        }
                    }
                });
            });
        }
    });
    body
}

/// Changes an interface.
pub(super) fn set(
    connection: &mut Connection,
    index: i32,
    name: &str,
    settings: &Settings,
) -> Result<(), KernelError> {
    let what = format!("setting up {name}");
    connection.request(&what, libc::RTM_NEWLINK, 0, &setting(index, settings))
}

fn setting(index: i32, settings: &Settings) -> Vec<u8> {
    let up = if settings.up { libc::IFF_UP } else { 0 };
    let mut body = header(index, up.cast_unsigned());
    if let Some(master) = settings.master {
        put(&mut body, attribute::MASTER, &master.to_ne_bytes());
    }
    if settings.inet.is_empty() && !settings.no_link_local {
        return body;
    }
    // Unlike /proc/sys, which is read-only in containers, this takes settings of interfaces (`inet_set_link_af` in
    // net/ipv4/devinet.c, `inet6_set_link_af` in net/ipv6/addrconf.c).
    put_nest(&mut body, attribute::AF_SPEC, |families| {
        if !settings.inet.is_empty() {
            put_nest(families, attribute::INET, |inet| {
                put_nest(inet, attribute::INET_CONF, |conf| {
                    for (key, value) in &settings.inet {
                        put(conf, *key, &value.to_ne_bytes());
                    }
                });
            });
        }
        if settings.no_link_local {
            put_nest(families, attribute::INET6, |inet6| {
                put(inet6, attribute::INET6_ADDR_GEN_MODE, &[NO_ADDRESSES]);
            });
        }
    });
    body
}

/// Deletes what was made, with a single wait for the kernel's grace period (`rtnl_group_dellink` in
/// net/core/rtnetlink.c).
pub(super) fn delete_own(connection: &mut Connection) -> Result<(), KernelError> {
    let mut body = header(0, 0);
    put(&mut body, attribute::GROUP, &OWN.to_ne_bytes());
    match connection.request("deleting interfaces", libc::RTM_DELLINK, 0, &body) {
        // There is none.
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(()),
        other => other,
    }
}

/// Deletes an interface, unless the namespace has it by itself.
pub(super) fn delete(connection: &mut Connection, link: &Link) -> Result<(), KernelError> {
    let what = format!("deleting {}", link.name);
    let deleted = connection.request(&what, libc::RTM_DELLINK, 0, &header(link.index, 0));
    match deleted {
        Err(error) if error.errno().is_some_and(|no| UNDELETABLE.contains(&no)) => Ok(()),
        other => other,
    }
}

/// `struct ifinfomsg`: an interface, and the flags that are set.
fn header(index: i32, flags: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body
}

fn decode(body: &[u8]) -> Result<Link, KernelError> {
    let malformed = KernelError::Malformed("message about an interface");
    let (Some(index), Some(rest)) = (body.get(4..8), body.get(16..)) else {
        return Err(malformed);
    };
    let index: [u8; 4] = index.try_into().map_err(|_| malformed)?;
    let mut attributes = Attributes::parse(rest)?;
    let name = attributes.bytes(attribute::NAME).unwrap_or_default();
    let kind = match attributes.bytes(attribute::LINKINFO) {
        Some(info) => Attributes::parse(info)?.word(attribute::INFO_KIND),
        None => None,
    };
    let families = attributes.bytes(attribute::AF_SPEC).unwrap_or_default();
    let mut families = Attributes::parse(families)?;
    Ok(Link {
        index: i32::from_ne_bytes(index),
        name: String::from_utf8_lossy(without_nul(name)).into_owned(),
        kind,
        master: attributes.take(attribute::MASTER, |value| {
            value.try_into().ok().map(i32::from_ne_bytes)
        }),
        is_up: attributes.u8(attribute::OPERSTATE) == Some(OPER_UP),
        inet: inet(families.bytes(attribute::INET).unwrap_or_default())?,
        has_inet6: families.bytes(attribute::INET6).is_some(),
    })
}

/// The array of all IPv4 settings, from the first (`inet_fill_link_af` in net/ipv4/devinet.c).
fn inet(inet: &[u8]) -> Result<BTreeMap<u16, u32>, KernelError> {
    let conf = Attributes::parse(inet)?.bytes(attribute::INET_CONF);
    let (values, _) = conf.unwrap_or_default().as_chunks::<4>();
    let values = values.iter().map(|value| u32::from_ne_bytes(*value));
    Ok((1..).zip(values).collect())
}
