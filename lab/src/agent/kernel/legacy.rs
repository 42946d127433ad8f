//! Legacy tables over getsockopt and setsockopt: read, decoded, registered, emptied.
//!
//! The forms are those of the kernel's include/uapi/linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h and
//! netfilter/x_tables.h, on 64-bit machines. Reading a table registers it in its namespace (`xt_find_table_lock`), so
//! only tables that are registered already are read.

mod entry;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use foldhash::HashMap;
use nix::libc::{self, c_int};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use serde::{Deserialize, Serialize};

use super::decoded::DecodedRules;
use super::error::KernelError;
use super::netlink::ATTEMPTS;
use super::nft;
use super::sockopt;
use crate::catalog::Family;
use crate::observed::{LegacyChain, LegacyRule, LegacyTable, Text, plain};
use entry::{
    ACCEPT, DROP, Entry, Layout, RETURN, entries, error_entry, layout, policy_entry, u32_at,
};

/// Every legacy table that a kernel can have.
const TABLES: [&str; 5] = ["filter", "mangle", "nat", "raw", "security"];

/// The built-in chains, by hook number (`enum nf_inet_hooks`).
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// `IPT_SO_SET_REPLACE`, `IPT_SO_GET_INFO` and their IPv6 twins.
const REPLACE_OR_INFO: c_int = 64;

/// `IPT_SO_GET_ENTRIES` and its IPv6 twin.
const ENTRIES: c_int = 65;

/// `XT_TABLE_MAXNAMELEN`.
const NAME: usize = 32;

/// `struct ipt_getinfo`.
const INFO: usize = 84;

/// `struct ipt_get_entries`: name, size, and padding before the entries.
const ENTRIES_HEADER: usize = 40;

/// `struct ipt_replace` up to the entries, and where in it the pointer to the old counters is.
const REPLACE_HEADER: usize = 96;
const REPLACE_POINTER: usize = 88;

/// Reads and decodes all registered tables, IPv4 first, by name.
pub(super) fn dump(
    decoded: &mut DecodedRules<LegacyRule>,
) -> Result<Vec<LegacyTable>, KernelError> {
    let mut tables = Vec::new();
    each_registered(|control, name| {
        tables.push(decode(control.family, name, &control.read(name)?, decoded)?);
        Ok(())
    })?;
    Ok(tables)
}

/// Whether any table is registered.
pub(super) fn is_there() -> Result<bool, KernelError> {
    let (ipv4, ipv6) = (registered(Family::Ipv4)?, registered(Family::Ipv6)?);
    Ok(!ipv4.is_empty() || !ipv6.is_empty())
}

/// Registers every table that the kernel has, of both families, by asking for it.
///
/// Asking for a table loads its own module, but not that of all tables of its family, which iptables runs modprobe(8) for.
/// That one is also the module of a match (`MODULE_ALIAS` of net/ipv4/netfilter/ip_tables.c and its IPv6 twin), and the
/// kernel itself loads what a rule of nf_tables needs.
pub(super) fn register() -> Result<(), KernelError> {
    for (family, of_tables) in [(Family::Ipv4, "icmp"), (Family::Ipv6, "icmp6")] {
        let Some(control) = Control::open(family)? else {
            continue;
        };
        let asked = control.info(TABLES[0]);
        if asked.is_err_and(|error| error.raw_os_error() == Some(libc::ENOPROTOOPT)) {
            nft::load_match(family, of_tables);
        }
        for table in TABLES {
            match control.info(table) {
                Ok(_) => {}
                // The kernel has no such table, or no legacy tables at all.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOPROTOOPT)) => {}
                Err(error) => {
                    return Err(KernelError::refused(format!(
                        "registering {family} table {table}"
                    ))(error));
                }
            }
        }
    }
    Ok(())
}

/// Empties every registered table that is not as the kernel made it.
pub(super) fn reset() -> Result<(), KernelError> {
    each_registered(|control, name| {
        let old = control.read(name)?;
        if is_pristine(layout(control.family), &old)? {
            Ok(())
        } else {
            control.empty(name, &old.info)
        }
    })
}

/// What the kernel sent of a registered table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedTable {
    family: Family,
    name: String,
    info: Info,
    /// The entries, as the kernel sent them.
    entries: Text,
}

impl CapturedTable {
    /// How many bytes its entries have.
    pub(super) fn size(&self) -> usize {
        self.entries.bytes().len()
    }
}

/// What the kernel holds in registered tables, as it sends it.
pub(super) fn read() -> Result<Vec<CapturedTable>, KernelError> {
    let mut tables = Vec::new();
    each_registered(|control, name| {
        let blob = control.read(name)?;
        tables.push(CapturedTable {
            family: control.family,
            name: name.to_owned(),
            info: blob.info,
            entries: blob.entries.into(),
        });
        Ok(())
    })?;
    Ok(tables)
}

/// Has tables hold again what the kernel sent of them.
///
/// # Errors
/// The kernel does not take what it sent.
pub(super) fn put_back(tables: &[CapturedTable]) -> Result<(), KernelError> {
    for table in tables {
        let what = format!("writing {} table {} back", table.family, table.name);
        let control = Control::open(table.family)?.ok_or_else(|| {
            let source = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
            KernelError::refused(&what)(source)
        })?;
        // Asking for a table registers it.
        let old = control
            .info(&table.name)
            .map_err(KernelError::refused(&what))?;
        let replacement = replacement(&table.name, table.info, table.entries.bytes(), old.count);
        control.replace(&what, old, replacement)?;
    }
    Ok(())
}

/// Calls `act` for every registered table.
fn each_registered(
    mut act: impl FnMut(&Control, &str) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    for family in [Family::Ipv4, Family::Ipv6] {
        let names = registered(family)?;
        if names.is_empty() {
            continue;
        }
        if let Some(control) = Control::open(family)? {
            names.iter().try_for_each(|name| act(&control, name))?;
        }
    }
    Ok(())
}

/// The names of the tables that are registered in this thread's network namespace.
///
/// In a user namespace these files belong to its root only if the network namespace was made after the map of user ids
/// was written (`xt_proto_init` of net/netfilter/x_tables.c looks at the map once); else nobody there may read them.
fn registered(family: Family) -> Result<Vec<String>, KernelError> {
    let path = match family {
        Family::Ipv4 => "/proc/thread-self/net/ip_tables_names",
        Family::Ipv6 => "/proc/thread-self/net/ip6_tables_names",
    };
    let list = match fs::read_to_string(path) {
        Ok(list) => list,
        // The kernel has no legacy tables of this family; without /proc this directory is not there either.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && fs::exists("/proc/thread-self/net").unwrap_or(false) =>
        {
            String::new()
        }
        Err(error) => return Err(KernelError::refused(format!("reading {path}"))(error)),
    };
    let mut names: Vec<String> = list.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// `struct ipt_getinfo` without the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Info {
    /// Which hooks the table has, one bit each.
    hooks: u32,
    /// Where the chain of each hook begins.
    begins: [u32; 5],
    /// Where its policy is.
    ends: [u32; 5],
    /// How many entries there are.
    count: u32,
    /// How many bytes they take.
    size: u32,
}

impl Info {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |place: usize| u32_at(bytes, NAME + 4 * place);
        let five = |place: usize| -> Option<[u32; 5]> {
            Some([
                number(place)?,
                number(place + 1)?,
                number(place + 2)?,
                number(place + 3)?,
                number(place + 4)?,
            ])
        };
        Some(Info {
            hooks: number(0)?,
            begins: five(1)?,
            ends: five(6)?,
            count: number(11)?,
            size: number(12)?,
        })
    }

    /// The hooks that the table has: number, begin and end of the chain.
    fn chains(&self) -> impl Iterator<Item = (usize, u32, u32)> {
        (0..HOOKS.len())
            .filter(|hook| self.hooks & (1 << hook) != 0)
            .map(|hook| (hook, self.begins[hook], self.ends[hook]))
    }
}

/// A table as the kernel sent it.
#[derive(Debug)]
pub(super) struct Blob {
    /// Where things are in it.
    pub(super) info: Info,
    /// The entries.
    pub(super) entries: Vec<u8>,
}

/// A socket to the legacy tables of one family.
struct Control {
    family: Family,
    socket: OwnedFd,
}

impl Control {
    /// Opens a raw socket, which takes CAP_NET_RAW; nothing if the machine does not have the family.
    fn open(family: Family) -> Result<Option<Self>, KernelError> {
        let domain = match family {
            Family::Ipv4 => AddressFamily::Inet,
            Family::Ipv6 => AddressFamily::Inet6,
        };
        match socket(
            domain,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            nix::sys::socket::SockProtocol::Raw,
        ) {
            Ok(socket) => Ok(Some(Control { family, socket })),
            Err(nix::errno::Errno::EAFNOSUPPORT) => Ok(None),
            Err(error) => Err(KernelError::refused(format!(
                "opening a raw {family} socket"
            ))(error.into())),
        }
    }

    /// `SOL_IP`, `SOL_IPV6`.
    fn level(&self) -> c_int {
        match self.family {
            Family::Ipv4 => libc::SOL_IP,
            Family::Ipv6 => libc::SOL_IPV6,
        }
    }

    fn info(&self, table: &str) -> io::Result<Info> {
        let mut bytes = named(table, INFO);
        sockopt::get(&self.socket, self.level(), REPLACE_OR_INFO, &mut bytes)?;
        Info::parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads a table; again, if it changed its size between the two questions that this takes.
    fn read(&self, table: &str) -> Result<Blob, KernelError> {
        let what = format!("reading {} table {table}", self.family);
        for _ in 0..ATTEMPTS {
            let info = self.info(table).map_err(KernelError::refused(&what))?;
            let mut bytes = named(table, ENTRIES_HEADER + info.size as usize);
            bytes[NAME..NAME + 4].copy_from_slice(&info.size.to_ne_bytes());
            match sockopt::get(&self.socket, self.level(), ENTRIES, &mut bytes) {
                // Only if nothing moved are the places in `info` those of these entries.
                Ok(_) if self.info(table).is_ok_and(|now| now == info) => {
                    return Ok(Blob {
                        info,
                        entries: bytes.split_off(ENTRIES_HEADER),
                    });
                }
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                Err(error) => return Err(KernelError::refused(what)(error)),
            }
        }
        Err(KernelError::Unsteady(ATTEMPTS))
    }

    /// Replaces a table by an empty one of the same hooks, with ACCEPT policies.
    fn empty(&self, table: &str, old: &Info) -> Result<(), KernelError> {
        let what = format!("emptying {} table {table}", self.family);
        self.replace(&what, *old, empty_table(layout(self.family), table, old))
    }

    /// Replaces a table that is `old`.
    fn replace(&self, what: &str, old: Info, mut replacement: Vec<u8>) -> Result<(), KernelError> {
        let replaced = sockopt::replace(
            &self.socket,
            self.level(),
            REPLACE_OR_INFO,
            &mut replacement,
            REPLACE_POINTER,
            old.count as usize,
        );
        replaced.map_err(KernelError::refused(what))
    }
}

/// Zeroes that begin with a table's name.
fn named(table: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let name = &table.as_bytes()[..table.len().min(NAME - 1)];
    bytes[..name.len()].copy_from_slice(name);
    bytes
}

/// `struct ipt_replace` with one policy entry a hook and the error entry that ends every table.
fn empty_table(layout: &Layout, table: &str, old: &Info) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut places = [0u32; 5];
    for (hook, _, _) in old.chains() {
        places[hook] = u32::try_from(entries.len()).expect("a few entries are short");
        entries.extend(policy_entry(layout, ACCEPT));
    }
    entries.extend(error_entry(layout));
    let count = old.hooks.count_ones() + 1;
    let size = u32::try_from(entries.len()).expect("a few entries are short");
    let info = Info {
        hooks: old.hooks,
        begins: places,
        ends: places,
        count,
        size,
    };
    replacement(table, info, &entries, old.count)
}

/// `struct ipt_replace`, to take the place of a table with so many entries.
fn replacement(table: &str, info: Info, entries: &[u8], counters: u32) -> Vec<u8> {
    let mut replacement = named(table, NAME);
    let header = [
        &[info.hooks, info.count, info.size][..],
        &info.begins,
        &info.ends,
        &[counters],
    ]
    .concat();
    replacement.extend(header.iter().flat_map(|number| number.to_ne_bytes()));
    replacement.resize(REPLACE_HEADER, 0);
    replacement.extend(entries);
    replacement
}

/// Whether a table has no rules and no chains, ACCEPT policies, and has counted no packet.
fn is_pristine(layout: &'static Layout, blob: &Blob) -> Result<bool, KernelError> {
    let found = entries(layout, &blob.entries)?;
    let (_, policies) = found
        .split_last()
        .ok_or(KernelError::Malformed("legacy table"))?;
    let policies_only = policies.len() == blob.info.hooks.count_ones() as usize;
    Ok(policies_only
        && policies
            .iter()
            .all(|entry| entry.verdict() == Some(ACCEPT) && !entry.has_counted()))
}

/// Decodes a table as the kernel sent it; rules that are `decoded` already are not decoded anew.
pub(super) fn decode(
    family: Family,
    name: &str,
    blob: &Blob,
    decoded: &mut DecodedRules<LegacyRule>,
) -> Result<LegacyTable, KernelError> {
    let found = entries(layout(family), &blob.entries)?;
    // The entry that ends every table is the head of no chain.
    let (_, found) = found
        .split_last()
        .ok_or(KernelError::Malformed("legacy table"))?;
    let names: HashMap<u32, &[u8]> = found
        .iter()
        .filter_map(|entry| Some((entry.next(), entry.chain_name()?)))
        .collect();
    let mut chains: Vec<LegacyChain> = Vec::new();
    for entry in found {
        let begins = blob
            .info
            .chains()
            .find(|&(_, begin, _)| begin == entry.place);
        let builtin = begins.map(|(hook, _, _)| HOOKS[hook].to_owned());
        let user = entry.chain_name().map(plain);
        let head = user.is_some();
        if let Some(name) = builtin.or(user) {
            chains.push(LegacyChain {
                name,
                policy: None,
                rules: Vec::new(),
            });
        }
        let chain = chains
            .last_mut()
            .ok_or(KernelError::Malformed("legacy chain"))?;
        match policy(entry, &blob.info) {
            Some(policy) => chain.policy = Some(policy),
            None if head || is_tail(entry, found) => {}
            None => chain.rules.push(entry.rule(&names, decoded)),
        }
    }
    Ok(LegacyTable {
        family,
        name: name.to_owned(),
        chains,
    })
}

/// The policy, if this entry is where a built-in chain ends.
fn policy(entry: &Entry, info: &Info) -> Option<String> {
    info.chains().find(|&(_, _, end)| end == entry.place)?;
    Some(match entry.verdict()? {
        ACCEPT => "ACCEPT".to_owned(),
        DROP => "DROP".to_owned(),
        other => format!("verdict {other}"),
    })
}

/// Whether this is the RETURN that libiptc ends every chain of the user's with.
fn is_tail(entry: &Entry, found: &[Entry]) -> bool {
    let next = found.binary_search_by_key(&entry.next(), |other| other.place);
    let last = next.is_err() || next.is_ok_and(|place| found[place].chain_name().is_some());
    last && entry.verdict() == Some(RETURN) && entry.is_unconditional()
}

#[cfg(test)]
impl Blob {
    /// A table out of the test data: `struct ipt_getinfo`, then the entries.
    pub(super) fn from_capture(bytes: &[u8]) -> Self {
        let info = Info::parse(bytes).expect("test data begins with the table's info");
        Blob {
            info,
            entries: bytes[INFO..].to_vec(),
        }
    }
}

/// A registered table as test data.
#[cfg(test)]
pub(super) fn capture(family: Family, table: &str) -> Vec<u8> {
    let control = Control::open(family)
        .expect("a socket")
        .expect("the family");
    let mut bytes = named(table, INFO);
    sockopt::get(
        &control.socket,
        control.level(),
        REPLACE_OR_INFO,
        &mut bytes,
    )
    .expect("registered");
    bytes.extend(control.read(table).expect("readable").entries);
    bytes
}

#[cfg(test)]
impl CapturedTable {
    /// A table out of the test data.
    pub(super) fn from_capture(family: Family, name: &str, bytes: &[u8]) -> Self {
        let blob = Blob::from_capture(bytes);
        CapturedTable {
            family,
            name: name.to_owned(),
            info: blob.info,
            entries: blob.entries.into(),
        }
    }
}
