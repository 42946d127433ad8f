//! IP sets over netlink: made, filled, deleted.
//!
//! Commands, attributes and errors are those of the kernel's include/uapi/linux/netfilter/ipset/ip_set.h.

use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use super::attributes::{Attributes, NETWORK_ORDER, put, put_name, put_nest};
use super::error::KernelError;
use super::netlink::{Connection, messages};
use crate::catalog::Family;
use crate::scenario::{Entry, Part, Set, SetKind};

/// `NFNL_SUBSYS_IPSET`, the upper byte of every message type here.
const IPSET: u16 = 6 << 8;

/// The oldest protocol that every kernel since 2.6.39 speaks (`IPSET_PROTOCOL_MIN`).
const PROTOCOL: u8 = 6;

/// `enum ipset_cmd`.
mod command {
    pub const CREATE: u16 = 2;
    pub const DESTROY: u16 = 3;
    pub const FLUSH: u16 = 4;
    pub const LIST: u16 = 7;
    pub const ADD: u16 = 9;
    pub const TYPE: u16 = 13;
}

/// Attributes of a command.
mod attribute {
    pub const PROTOCOL: u16 = 1;
    pub const SET: u16 = 2;
    pub const TYPE: u16 = 3;
    pub const REVISION: u16 = 4;
    pub const FAMILY: u16 = 5;
    pub const FLAGS: u16 = 6;
    pub const DATA: u16 = 7;
}

/// Attributes of an entry, and of what is made.
mod data {
    pub const CIDR: u16 = 3;
    pub const PORT: u16 = 4;
    pub const PORT_TO: u16 = 5;
    pub const PROTOCOL: u16 = 7;
    pub const FLAGS: u16 = 8;
    pub const NAME: u16 = 18;
    pub const INTERFACE: u16 = 23;
    /// The first and the second address of an entry: itself, its prefix length, the last of a range.
    pub const ADDRESSES: [(u16, u16, u16); 2] = [(1, CIDR, 2), (20, 21, 22)];
}

/// `IPSET_FLAG_LIST_SETNAME`: names alone.
const NAMES_ONLY: u32 = 1 << 1;

/// `IPSET_FLAG_NOMATCH`.
const NO_MATCH: u32 = 1 << 2;

/// `enum ipset_errno`, with what each means; a type's own begin at 4352.
const ERRORS: [(i32, &str); 18] = [
    (4097, "IPSET_ERR_PROTOCOL: not understood"),
    (FIND_TYPE, "IPSET_ERR_FIND_TYPE: no such set type"),
    (4099, "IPSET_ERR_MAX_SETS: too many sets"),
    (BUSY, "IPSET_ERR_BUSY: in use"),
    (4101, "IPSET_ERR_EXIST_SETNAME2: the name is taken"),
    (4102, "IPSET_ERR_TYPE_MISMATCH: of another type"),
    (4103, "IPSET_ERR_EXIST: it is there already"),
    (4104, "IPSET_ERR_INVALID_CIDR: no such prefix length here"),
    (4105, "IPSET_ERR_INVALID_NETMASK: no such mask"),
    (4106, "IPSET_ERR_INVALID_FAMILY: no such family"),
    (4107, "IPSET_ERR_TIMEOUT: no timeout"),
    (4108, "IPSET_ERR_REFERENCED: another set has it"),
    (4109, "IPSET_ERR_IPADDR_IPV4: no such IPv4 address"),
    (4110, "IPSET_ERR_IPADDR_IPV6: no such IPv6 address"),
    (
        4352,
        "an error of the type's own, the 1st: not understood, or out of range",
    ),
    (
        4353,
        "an error of the type's own, the 2nd: no such protocol, or no such set",
    ),
    (4354, "an error of the type's own, the 3rd"),
    (4355, "an error of the type's own, the 4th"),
];

/// `IPSET_ERR_FIND_TYPE`.
const FIND_TYPE: i32 = 4098;

/// `IPSET_ERR_BUSY`.
const BUSY: i32 = 4100;

/// How long a rule that was deleted may hold on to its set: nf_tables frees what a rule held in a work queue, after a
/// grace period (`nf_tables_trans_destroy_work` in net/netfilter/nf_tables_api.c).
const RELEASE: Duration = Duration::from_secs(10);

/// Deletes every set of the namespace.
pub(super) fn reset() -> Result<(), KernelError> {
    let mut connection = connect()?;
    if names(&mut connection)?.is_empty() {
        return Ok(());
    }
    // A set that is an entry of another is in use, so all are emptied first.
    let all = start(libc::AF_UNSPEC);
    connection
        .request("emptying the sets", IPSET | command::FLUSH, 0, &all)
        .map_err(worded)?;
    let begun = Instant::now();
    loop {
        let what = "deleting the sets";
        match connection.request(what, IPSET | command::DESTROY, 0, &all) {
            Err(error) if error.errno() == Some(BUSY) && begun.elapsed() < RELEASE => {
                thread::sleep(Duration::from_millis(2));
            }
            ended => return ended.map_err(worded),
        }
    }
}

/// The names of all sets of the namespace.
pub(super) fn names(connection: &mut Connection) -> Result<Vec<String>, KernelError> {
    let mut body = start(libc::AF_UNSPEC);
    put(
        &mut body,
        attribute::FLAGS | NETWORK_ORDER,
        &NAMES_ONLY.to_be_bytes(),
    );
    let listed = connection.whole_dump("listing the sets", IPSET | command::LIST, &body);
    let answer = match listed {
        Ok(answer) => answer,
        // A kernel without sets has none: a subsystem that nobody registered is EINVAL (`nfnetlink_rcv_msg`).
        Err(error) if error.errno() == Some(libc::EINVAL) => return Ok(Vec::new()),
        Err(error) => return Err(worded(error)),
    };
    let mut names = Vec::new();
    for message in messages(&answer) {
        let attributes = message?.body.get(4..).unwrap_or_default();
        names.extend(Attributes::parse(attributes)?.word(attribute::SET));
    }
    Ok(names)
}

/// Makes a set and fills it.
pub(super) fn make(set: &Set) -> Result<(), KernelError> {
    let mut connection = connect()?;
    let revision = newest_revision(&mut connection, set.kind.as_str(), family(set))?;
    let what = format!("making the set {}", set.name);
    // Without this flag a set that is there already would do (`flag_exist` in net/netfilter/ipset/ip_set_core.c).
    let (kind, flags) = (IPSET | command::CREATE, libc::NLM_F_EXCL);
    connection
        .request(&what, kind, flags, &creation(set, revision))
        .map_err(worded)?;
    for text in &set.entries {
        let what = format!("adding `{text}` to the set {}", set.name);
        let entry = Entry::parse(set.kind, set.family, text)
            .map_err(|wrong| KernelError::refused(&what)(io::Error::other(wrong)))?;
        connection
            .request(&what, IPSET | command::ADD, 0, &addition(set, &entry))
            .map_err(worded)?;
    }
    Ok(())
}

/// A connection to the subsystem.
pub(super) fn connect() -> Result<Connection, KernelError> {
    Connection::open(netlink_sys::protocols::NETLINK_NETFILTER)
}

/// The newest revision of a set type that the kernel has.
pub(super) fn newest_revision(
    connection: &mut Connection,
    kind: &str,
    family: i32,
) -> Result<u8, KernelError> {
    let mut body = start(family);
    put_name(&mut body, attribute::TYPE, kind);
    put(&mut body, attribute::FAMILY, &[family_byte(family)]);
    let what = format!("looking for the set type {kind}");
    let lacking = [FIND_TYPE, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOENT];
    let answer = connection
        .ask(&what, IPSET | command::TYPE, 0, &body)
        .map_err(|error| worded(error.lacking_if(&lacking)))?;
    let malformed = KernelError::Malformed("answer about a set type");
    let Some(message) = messages(&answer).next().transpose()? else {
        return Err(malformed);
    };
    let attributes = message.body.get(4..).unwrap_or_default();
    Attributes::parse(attributes)?
        .u8(attribute::REVISION)
        .ok_or(malformed)
}

fn creation(set: &Set, revision: u8) -> Vec<u8> {
    let family = family(set);
    let mut body = start(family);
    put_name(&mut body, attribute::SET, &set.name);
    put_name(&mut body, attribute::TYPE, set.kind.as_str());
    put(&mut body, attribute::REVISION, &[revision]);
    put(&mut body, attribute::FAMILY, &[family_byte(family)]);
    put_nest(&mut body, attribute::DATA, |made| {
        if set.kind == SetKind::BitmapPort {
            put_port(made, data::PORT, 0);
            put_port(made, data::PORT_TO, u16::MAX);
        }
    });
    body
}

fn addition(set: &Set, entry: &Entry) -> Vec<u8> {
    let mut body = start(family(set));
    put_name(&mut body, attribute::SET, &set.name);
    put_nest(&mut body, attribute::DATA, |added| {
        let mut addresses = data::ADDRESSES.into_iter();
        for part in &entry.parts {
            put_part(added, part, &mut addresses);
        }
        if entry.is_exception {
            put(added, data::FLAGS | NETWORK_ORDER, &NO_MATCH.to_be_bytes());
        }
    });
    body
}

fn put_part(
    added: &mut Vec<u8>,
    part: &Part,
    addresses: &mut impl Iterator<Item = (u16, u16, u16)>,
) {
    match part {
        Part::Address {
            first,
            length,
            last,
        } => {
            let (address, cidr, to) = addresses
                .next()
                .expect("no type of set has three addresses");
            put_address(added, address, *first);
            if let Some(length) = length {
                put(added, cidr, &[*length]);
            }
            if let Some(last) = last {
                put_address(added, to, *last);
            }
        }
        Part::Port {
            protocol,
            first,
            last,
        } => {
            put_port(added, data::PORT, *first);
            if let Some(last) = last {
                put_port(added, data::PORT_TO, *last);
            }
            if let Some(protocol) = protocol {
                put(added, data::PROTOCOL, &[*protocol]);
            }
        }
        Part::Interface(name) => put_name(added, data::INTERFACE, name),
        Part::Set(name) => put_name(added, data::NAME, name),
    }
}

/// `IPSET_ATTR_IPADDR_IPV4`, `IPSET_ATTR_IPADDR_IPV6`.
fn put_address(added: &mut Vec<u8>, kind: u16, address: IpAddr) {
    put_nest(added, kind, |nest| match address {
        IpAddr::V4(address) => put(nest, 1 | NETWORK_ORDER, &address.octets()),
        IpAddr::V6(address) => put(nest, 2 | NETWORK_ORDER, &address.octets()),
    });
}

fn put_port(added: &mut Vec<u8>, kind: u16, port: u16) {
    put(added, kind | NETWORK_ORDER, &port.to_be_bytes());
}

/// `struct nfgenmsg` of a request, and the protocol.
fn start(family: i32) -> Vec<u8> {
    let mut body = vec![family_byte(family), 0, 0, 0];
    put(&mut body, attribute::PROTOCOL, &[PROTOCOL]);
    body
}

/// The family of what a set holds: sets of ports and of sets have none.
fn family(set: &Set) -> i32 {
    match set.family {
        _ if !set.kind.has_addresses() => libc::AF_UNSPEC,
        Family::Ipv4 => libc::AF_INET,
        Family::Ipv6 => libc::AF_INET6,
    }
}

fn family_byte(family: i32) -> u8 {
    u8::try_from(family).expect("families are small numbers")
}

/// The error in words, where it is one of the subsystem's own.
fn worded(error: KernelError) -> KernelError {
    let in_words = |source: io::Error| {
        let known = ERRORS
            .iter()
            .find(|(errno, _)| source.raw_os_error() == Some(*errno));
        known.map_or(source, |(_, words)| io::Error::other(*words))
    };
    match error {
        KernelError::Refused { what, source } => KernelError::Refused {
            what,
            source: in_words(source),
        },
        KernelError::Lacks { what, source } => KernelError::Lacks {
            what,
            source: in_words(source),
        },
        other => other,
    }
}
