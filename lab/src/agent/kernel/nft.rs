//! nf_tables over netlink: everything the kernel holds, decoded; everything deleted.
//!
//! Attribute numbers are those of the kernel's include/uapi/linux/netfilter/nf_tables.h.

mod chain;
mod decode;
mod object;
mod put_back;
mod set;
mod stamp;

use std::cell::RefCell;
use std::io;

use nix::libc;

use super::attributes::{Attributes, put, put_name, without_nul};
use super::decoded::DecodedRules;
use super::error::KernelError;
use super::netlink::{ATTEMPTS, Connection, Dumped, Message, messages};
use crate::catalog::Family;
use crate::observed::expression::ProtocolFamily;
use crate::observed::{ChainName, NftRule, NftTable};
pub(super) use decode::decode;
pub(super) use put_back::put_back;

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of every message type here.
const NFTABLES: u16 = 10 << 8;

/// `NFNL_MSG_COMPAT_GET` of `NFNL_SUBSYS_NFT_COMPAT`, and its `NFTA_COMPAT_NAME`, `NFTA_COMPAT_REV` and `NFTA_COMPAT_TYPE`.
const COMPAT_GET: u16 = 11 << 8;
const COMPAT_NAME: u16 = 1;
const COMPAT_REVISION: u16 = 2;
const COMPAT_IS_TARGET: u16 = 3;

/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`.
const BATCH: (u16, u16) = (0x10, 0x11);

/// `enum nf_tables_msg_types`: what the kernel sends, and what asks for it.
mod kind {
    pub const NEW_TABLE: u16 = 0;
    pub const GET_TABLE: u16 = 1;
    pub const DELETE_TABLE: u16 = 2;
    pub const NEW_CHAIN: u16 = 3;
    pub const GET_CHAIN: u16 = 4;
    pub const NEW_RULE: u16 = 6;
    pub const GET_RULE: u16 = 7;
    pub const NEW_SET: u16 = 9;
    pub const GET_SET: u16 = 10;
    pub const NEW_ELEMENTS: u16 = 12;
    pub const GET_ELEMENTS: u16 = 13;
    pub const NEW_OBJECT: u16 = 18;
    pub const GET_OBJECT: u16 = 19;
    pub const NEW_FLOWTABLE: u16 = 22;
    pub const GET_FLOWTABLE: u16 = 23;
}

/// Has the kernel load the module of an xtables match, as a rule with that match does: `nfnl_compat_get_rcu` of
/// net/netfilter/nft_compat.c. A kernel that cannot goes on without.
pub(super) fn load_match(family: Family, name: &str) {
    let domain = match family {
        Family::Ipv4 => libc::AF_INET,
        Family::Ipv6 => libc::AF_INET6,
    };
    let mut body = header(u8::try_from(domain).expect("address families are small"));
    put_name(&mut body, COMPAT_NAME, name);
    for kind in [COMPAT_REVISION, COMPAT_IS_TARGET] {
        put(&mut body, kind, &0u32.to_be_bytes());
    }
    if let Ok(mut connection) = open() {
        let _ = connection.request("looking for a match", COMPAT_GET, 0, &body);
    }
}

/// Whether the kernel has nf_tables. What it has as a module is loaded by being asked for.
pub(super) fn is_there() -> Result<bool, KernelError> {
    Ok(read_if_there()?.is_some())
}

/// Reads and decodes all tables of all families; none where the kernel has no nf_tables.
pub(super) fn dump(decoded: &mut DecodedRules<NftRule>) -> Result<Vec<NftTable>, KernelError> {
    read_if_there()?.map_or_else(|| Ok(Vec::new()), |answer| decode(&answer, decoded))
}

/// What [`read`] gives; none where the kernel has no nf_tables.
pub(super) fn read_if_there() -> Result<Option<Vec<u8>>, KernelError> {
    match read() {
        Err(KernelError::Lacks { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// The handles of the rules of a chain, in order.
pub(super) fn handles(chain: &ChainName) -> Result<Vec<u64>, KernelError> {
    let (family, table) = chain.nft_table();
    for _ in 0..ATTEMPTS {
        let (mut connection, mut answer) = (open()?, Vec::new());
        if ask(&mut connection, kind::GET_RULE, &mut answer)? == Dumped::Interrupted {
            continue;
        }
        let mut handles = Vec::new();
        for message in messages(&answer) {
            let (of, _, attributes) = split(message?.body)?;
            // `enum nft_rule_attributes`: table, chain, handle.
            let name = |kind, what| Ok(without_nul(attribute(attributes, kind, what)?));
            let is_there = ProtocolFamily::from(u32::from(of)).to_string() == family
                && name(1, "table of a rule")? == table.as_bytes()
                && name(2, "chain of a rule")? == chain.chain.as_bytes();
            if is_there {
                let handle = Attributes::parse(attributes)?.be64(3);
                handles.push(handle.ok_or(KernelError::Malformed("handle of a rule"))?);
            }
        }
        return Ok(handles);
    }
    Err(KernelError::Unsteady(ATTEMPTS))
}

/// Deletes all tables of all families in one transaction.
pub(super) fn reset() -> Result<(), KernelError> {
    let mut tables = Vec::new();
    let asked = open().and_then(|mut connection| {
        ask_tables(&mut connection, &mut tables)?;
        Ok(connection)
    });
    let mut connection = match asked {
        Err(KernelError::Lacks { .. }) => return Ok(()),
        connection => connection?,
    };
    if tables.is_empty() {
        return Ok(());
    }
    let mut batch = Vec::new();
    // `res_id` of the batch's own messages is the subsystem, `family` is AF_UNSPEC.
    let marker = [0, 0, 0, (NFTABLES >> 8) as u8];
    connection.put(&mut batch, BATCH.0, 0, &marker);
    let mut awaited = Vec::new();
    for message in messages(&tables) {
        let (family, _, attributes) = split(message?.body)?;
        let mut body = header(family);
        put(&mut body, 1, attribute(attributes, 1, "table")?);
        awaited.push(connection.put(
            &mut batch,
            NFTABLES | kind::DELETE_TABLE,
            libc::NLM_F_ACK,
            &body,
        ));
    }
    connection.put(&mut batch, BATCH.1, 0, &marker);
    connection.send("deleting the nf_tables tables", &batch)?;
    connection.acknowledged("deleting the nf_tables tables", awaited)?;
    LAST.replace(Some(connection));
    Ok(())
}

thread_local! {
    /// What deleted the tables last. Whoever closes a socket waits until all that was deleted is freed, a grace period later
    /// (`nft_rcv_nl_event` of net/netfilter/nf_tables_api.c): it stays open until the next one is there, which is later still.
    static LAST: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Everything the kernel holds as it sent it: its messages, one after the other, all of one generation.
///
/// # Errors
/// [`KernelError::Lacks`] where it has no nf_tables.
pub(super) fn read() -> Result<Vec<u8>, KernelError> {
    for _ in 0..ATTEMPTS {
        let mut connection = open()?;
        if let Some(answer) = read_once(&mut connection)? {
            return Ok(answer);
        }
    }
    Err(KernelError::Unsteady(ATTEMPTS))
}

/// One reading; nothing if the rules changed meanwhile.
fn read_once(connection: &mut Connection) -> Result<Option<Vec<u8>>, KernelError> {
    let mut answer = Vec::new();
    let mut whole = ask_tables(connection, &mut answer)? == Dumped::Whole;
    if answer.is_empty() {
        return Ok(whole.then_some(answer));
    }
    for kind in [
        kind::GET_CHAIN,
        kind::GET_RULE,
        kind::GET_OBJECT,
        kind::GET_FLOWTABLE,
    ] {
        whole &= ask(connection, kind, &mut answer)? == Dumped::Whole;
    }
    let mut sets = Vec::new();
    whole &= ask(connection, kind::GET_SET, &mut sets)? == Dumped::Whole;
    answer.extend(&sets);
    for message in messages(&sets) {
        whole &= ask_elements(connection, message?, &mut answer)? == Dumped::Whole;
    }
    Ok((whole && one_generation(&answer)?).then_some(answer))
}

/// A kernel without nfnetlink has no such protocol.
fn open() -> Result<Connection, KernelError> {
    Connection::open(netlink_sys::protocols::NETLINK_NETFILTER)
        .map_err(|error| error.lacking_if(&[libc::EPROTONOSUPPORT]))
}

/// A kernel without nf_tables knows nobody to ask (`nfnetlink_rcv_msg` of net/netfilter/nfnetlink.c).
fn ask_tables(connection: &mut Connection, answer: &mut Vec<u8>) -> Result<Dumped, KernelError> {
    ask(connection, kind::GET_TABLE, answer).map_err(|error| error.lacking_if(&[libc::EINVAL]))
}

fn ask(
    connection: &mut Connection,
    kind: u16,
    answer: &mut Vec<u8>,
) -> Result<Dumped, KernelError> {
    connection.dump("reading nf_tables", NFTABLES | kind, &header(0), answer)
}

fn ask_elements(
    connection: &mut Connection,
    set: Message,
    answer: &mut Vec<u8>,
) -> Result<Dumped, KernelError> {
    let (family, _, attributes) = split(set.body)?;
    let mut body = header(family);
    put(&mut body, 1, attribute(attributes, 1, "set")?);
    put(&mut body, 2, attribute(attributes, 2, "set")?);
    match connection.dump(
        "reading nf_tables set elements",
        NFTABLES | kind::GET_ELEMENTS,
        &body,
        answer,
    ) {
        // The set went away since it was listed.
        Err(KernelError::Refused { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Dumped::Interrupted)
        }
        other => other,
    }
}

/// Whether all messages tell of the same generation of rules (`nft_base_seq_be16` in net/netfilter/nf_tables_api.c).
fn one_generation(answer: &[u8]) -> Result<bool, KernelError> {
    let mut first = None;
    for message in messages(answer) {
        let (_, generation, _) = split(message?.body)?;
        if *first.get_or_insert(generation) != generation {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `struct nfgenmsg` of a request.
fn header(family: u8) -> Vec<u8> {
    vec![family, 0, 0, 0]
}

/// A message's family, generation and attributes.
fn split(body: &[u8]) -> Result<(u8, u16, &[u8]), KernelError> {
    match body {
        [family, _, high, low, attributes @ ..] => {
            Ok((*family, u16::from_be_bytes([*high, *low]), attributes))
        }
        _ => Err(KernelError::Malformed("nf_tables message")),
    }
}

/// The bytes of an attribute that must be there, final NUL included.
fn attribute<'a>(
    attributes: &'a [u8],
    kind: u16,
    of: &'static str,
) -> Result<&'a [u8], KernelError> {
    Attributes::parse(attributes)?
        .bytes(kind)
        .ok_or(KernelError::Malformed(of))
}
