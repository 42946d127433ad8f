//! Addresses, routes and neighbours over rtnetlink.
//!
//! Attribute numbers are those of the kernel's include/uapi/linux/if_addr.h, rtnetlink.h and neighbour.h.

use std::net::IpAddr;

use nix::libc;

use super::attributes::{Attributes, put, put_name};
use super::error::KernelError;
use super::link::LOOPBACK;
use super::netlink::{Connection, messages};
use crate::scenario::Prefix;

/// `IFA_ADDRESS`, `IFA_LOCAL`, `IFA_FLAGS`.
const IFA: (u16, u16, u16) = (1, 2, 8);

/// `IFA_F_NODAD`: usable at once, for nobody else has it.
const NO_DETECTION: u32 = 0x02;

/// `RTA_DST`, `RTA_OIF`, `RTA_GATEWAY`.
const RTA: (u16, u16, u16) = (1, 4, 5);

/// `RT_TABLE_MAIN`.
const MAIN: u8 = 254;

/// `RTPROT_STATIC`: nobody else makes such routes here, so these are the ones to delete.
const STATIC: u8 = 4;

/// `RT_SCOPE_LINK`, of an IPv4 route without a next hop.
const SCOPE_LINK: u8 = 253;

/// `RTN_UNICAST`, `RTN_LOCAL`.
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;

/// `FRA_PRIORITY`, `FRA_IIFNAME`.
const FRA: (u16, u16) = (6, 3);

/// `FR_ACT_BLACKHOLE`.
const BLACKHOLE: u8 = 6;

/// The place of a rule behind those that every namespace has, of which the last is at 32767.
const LAST: u32 = 40_000;

/// `NDA_DST`.
const NDA_DST: u16 = 1;

/// `NUD_NOARP | NUD_PERMANENT`: neighbours that nobody asked for.
const GIVEN: u16 = 0x40 | 0x80;

/// An address that an interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// The index of the interface.
    pub(super) index: i32,
    /// The address.
    pub(super) prefix: Prefix,
}

/// Gives an address to an interface.
pub(super) fn add_address(connection: &mut Connection, held: Held) -> Result<(), KernelError> {
    let what = format!("adding the address {}", String::from(held.prefix));
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    connection
        .request(&what, libc::RTM_NEWADDR, flags, &address_body(held))
        .map_err(no_such_family)
}

/// Takes an address from an interface.
pub(super) fn delete_address(connection: &mut Connection, held: Held) -> Result<(), KernelError> {
    let what = format!("deleting the address {}", String::from(held.prefix));
    connection.request(&what, libc::RTM_DELADDR, 0, &address_body(held))
}

/// All addresses of the namespace.
pub(super) fn addresses(connection: &mut Connection) -> Result<Vec<Held>, KernelError> {
    let answer = connection.whole_dump("reading the addresses", libc::RTM_GETADDR, &[0; 8])?;
    let mut found = Vec::new();
    for message in messages(&answer) {
        // `struct ifaddrmsg`.
        let [_, length, _, _, index @ ..] = message?.body else {
            return Err(KernelError::Malformed("message about an address"));
        };
        let Some((index, attributes)) = index.split_first_chunk::<4>() else {
            return Err(KernelError::Malformed("message about an address"));
        };
        let mut attributes = Attributes::parse(attributes)?;
        let address = attributes.take(IFA.1, address_of);
        if let Some(address) = address.or_else(|| attributes.take(IFA.0, address_of)) {
            found.push(Held {
                index: i32::from_ne_bytes(*index),
                prefix: Prefix {
                    address,
                    length: *length,
                },
            });
        }
    }
    Ok(found)
}

/// `struct ifaddrmsg` with its attributes.
fn address_body(held: Held) -> Vec<u8> {
    let mut body = vec![family(held.prefix.address), held.prefix.length, 0, 0];
    body.extend(held.index.to_ne_bytes());
    let bytes = octets(held.prefix.address);
    put(&mut body, IFA.0, &bytes);
    put(&mut body, IFA.1, &bytes);
    if held.prefix.address.is_ipv6() {
        put(&mut body, IFA.2, &NO_DETECTION.to_ne_bytes());
    }
    body
}

/// Adds a route to the main table.
pub(super) fn add_route(
    connection: &mut Connection,
    to: Prefix,
    via: Option<IpAddr>,
    interface: Option<i32>,
) -> Result<(), KernelError> {
    let what = format!("adding the route to {}", String::from(to));
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    connection
        .request(
            &what,
            libc::RTM_NEWROUTE,
            flags,
            &route_body(to, via, interface),
        )
        .map_err(no_such_family)
}

/// `struct rtmsg` with its attributes.
fn route_body(to: Prefix, via: Option<IpAddr>, interface: Option<i32>) -> Vec<u8> {
    let scope = match (to.address, via) {
        (IpAddr::V4(_), None) => SCOPE_LINK,
        _ => 0,
    };
    let mut body = route_header(to.address, to.length);
    body[4..8].copy_from_slice(&[MAIN, STATIC, scope, UNICAST]);
    put(&mut body, RTA.0, &octets(to.address));
    if let Some(via) = via {
        put(&mut body, RTA.2, &octets(via));
    }
    if let Some(index) = interface {
        put(&mut body, RTA.1, &index.to_ne_bytes());
    }
    body
}

/// `struct rtmsg` that says nothing but a destination.
fn route_header(to: IpAddr, length: u8) -> Vec<u8> {
    let mut body = vec![0; 12];
    body[..2].copy_from_slice(&[family(to), length]);
    body
}

/// Deletes the routes that were added and have not gone with their interface.
pub(super) fn delete_routes(connection: &mut Connection) -> Result<(), KernelError> {
    let answer = connection.whole_dump("reading the routes", libc::RTM_GETROUTE, &[0; 12])?;
    for message in messages(&answer) {
        let body = message?.body;
        if matches!(body, [_, _, _, _, MAIN, STATIC, ..]) {
            connection.request("deleting a route", libc::RTM_DELROUTE, 0, body)?;
        }
    }
    Ok(())
}

/// Has what comes from `interface` and has no route dropped without a word.
///
/// The kernel's own word to its sender is none of any rule's, and comes or does not come by a limit on how many one sender
/// is told in how many seconds, which no namespace can set (`ip_error` of net/ipv4/route.c): the same packet would fare
/// otherwise from time to time. A kernel without policy routing goes on without.
pub(super) fn drop_unroutable(
    connection: &mut Connection,
    interface: &str,
) -> Result<(), KernelError> {
    // `struct fib_rule_hdr`: family, lengths of source and destination, TOS, table, two reserved, action, flags.
    let mut body = vec![0; 12];
    body[0] = u8::try_from(libc::AF_INET).expect("families are small numbers");
    body[7] = BLACKHOLE;
    put(&mut body, FRA.0, &LAST.to_ne_bytes());
    put_name(&mut body, FRA.1, interface);
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let what = format!("dropping what comes from {interface} and has no route");
    match connection.request(&what, libc::RTM_NEWRULE, flags, &body) {
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => Ok(()),
        done => done,
    }
}

/// Deletes what [`drop_unroutable`] made.
pub(super) fn delete_rules(connection: &mut Connection) -> Result<(), KernelError> {
    let mut asked = vec![0; 12];
    asked[0] = u8::try_from(libc::AF_INET).expect("families are small numbers");
    let answer = match connection.whole_dump("reading the rules", libc::RTM_GETRULE, &asked) {
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => return Ok(()),
        answer => answer?,
    };
    for message in messages(&answer) {
        let body = message?.body;
        if body.get(7) == Some(&BLACKHOLE) {
            connection.request("deleting a rule", libc::RTM_DELRULE, 0, body)?;
        }
    }
    Ok(())
}

/// Whether packets to this address are the namespace's own.
///
/// The kernel adds the route that says so after the address, in a work queue (`addrconf_dad_start` in
/// net/ipv6/addrconf.c), even where no duplicate is looked for.
pub(super) fn is_local(connection: &mut Connection, address: IpAddr) -> Result<bool, KernelError> {
    let mut body = route_header(address, if address.is_ipv4() { 32 } else { 128 });
    put(&mut body, RTA.0, &octets(address));
    match connection.ask("looking up a route", libc::RTM_GETROUTE, 0, &body) {
        Ok(answer) => match messages(&answer).next().transpose()? {
            Some(message) => Ok(message.body.get(7) == Some(&LOCAL)),
            None => Ok(false),
        },
        Err(error) if error.errno() == Some(libc::ENETUNREACH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Forgets every neighbour, so that whoever sends asks anew, through the rules that are there now.
pub(super) fn forget_neighbours(connection: &mut Connection) -> Result<(), KernelError> {
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut asked = vec![0; 12];
        asked[0] = u8::try_from(family).expect("families are small numbers");
        let answer = connection.whole_dump("reading the neighbours", libc::RTM_GETNEIGH, &asked)?;
        for message in messages(&answer) {
            let body = message?.body;
            let Some((header, attributes)) = body.split_first_chunk::<12>() else {
                return Err(KernelError::Malformed("message about a neighbour"));
            };
            let state = u16::from_ne_bytes([header[8], header[9]]);
            let Some(address) = Attributes::parse(attributes)?.bytes(NDA_DST) else {
                continue;
            };
            if state & GIVEN != 0 {
                continue;
            }
            let mut body = header.to_vec();
            put(&mut body, NDA_DST, address);
            match connection.request("forgetting a neighbour", libc::RTM_DELNEIGH, 0, &body) {
                // It was forgotten meanwhile.
                Err(error) if error.errno() == Some(libc::ENOENT) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Whether the namespace itself, not the lab, gave this address to `lo`.
pub(super) fn is_of_the_loopback(held: &Held) -> bool {
    let is_usual = match held.prefix.address {
        IpAddr::V4(address) => address.octets() == [127, 0, 0, 1] && held.prefix.length == 8,
        IpAddr::V6(address) => address.is_loopback(),
    };
    held.index == LOOPBACK && is_usual
}

/// The kernel's answers where it was built, or booted, without the family.
fn no_such_family(error: KernelError) -> KernelError {
    error.lacking_if(&[libc::EOPNOTSUPP, libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT])
}

fn family(address: IpAddr) -> u8 {
    let family = match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    u8::try_from(family).expect("families are small numbers")
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}
