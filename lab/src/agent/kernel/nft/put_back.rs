//! Writes back what the kernel sent, in one transaction.

use super::{BATCH, NFTABLES, header, kind, open, split};
use crate::agent::kernel::attributes::{Attributes, put, put_name, put_nest};
use crate::agent::kernel::error::KernelError;
use crate::agent::kernel::expression;
use crate::agent::kernel::netlink::messages;
use crate::observed::expression::{
    Access, Cmp, CmpOperator, Expression, Meta, MetaKey, Payload, PayloadAccess, PayloadBase,
};

/// `NLM_F_CREATE`, `NLM_F_APPEND`.
const CREATE_LAST: i32 = 0x0c00;

/// `NLM_F_ACK`.
const ACKNOWLEDGE: i32 = 0x4;

/// The kinds of messages in the order in which they must come, so that each finds what it names, with the attributes that the kernel
/// sends and does not take: handles, positions, counts.
const ORDER: [(u16, &[u16]); 7] = [
    (kind::NEW_TABLE, &[3, 4, 5, 7]),
    (kind::NEW_CHAIN, &[2, 6, 8, 9, 11]),
    (kind::NEW_OBJECT, &[5, 6, 7]),
    (kind::NEW_FLOWTABLE, &[4, 5, 6]),
    (kind::NEW_SET, &[10, 14, 16, 19, 20]),
    (kind::NEW_ELEMENTS, &[]),
    (kind::NEW_RULE, &[3, 6]),
];

/// `NFTA_SET_ID`, which the kernel wants of a set and does not send.
const SET_ID: u16 = 10;

/// `NFTA_RULE_EXPRESSIONS` and `NFTA_RULE_COMPAT`.
const EXPRESSIONS: u16 = 4;
const COMPAT: u16 = 5;

/// Writes what [`super::read`] returned into a namespace that holds none of it.
///
/// # Errors
/// The kernel does not take what it sent: then it has taken none of it.
pub(in crate::agent::kernel) fn put_back(answer: &[u8]) -> Result<(), KernelError> {
    let sent = messages(answer).collect::<Result<Vec<_>, _>>()?;
    let mut bodies = Vec::new();
    for (kind, left_out) in ORDER {
        for message in sent.iter().filter(|of| of.kind == NFTABLES | kind) {
            bodies.push((message.kind, body(kind, message.body, left_out)?));
        }
    }
    if bodies.len() < sent.len() {
        return Err(KernelError::Malformed("known nf_tables message"));
    }
    let what = "writing nf_tables rules back";
    let mut connection = open()?;
    let mut batch = Vec::new();
    // `res_id` of the batch's own messages is the subsystem.
    let marker = [0, 0, 0, (NFTABLES >> 8) as u8];
    connection.put(&mut batch, BATCH.0, 0, &marker);
    let mut awaited = Vec::new();
    let last = bodies.len().saturating_sub(1);
    for (place, (kind, body)) in bodies.iter().enumerate() {
        // Refusals come unasked; thousands of acknowledgements would not fit into the socket.
        let flags = match place == last {
            true => CREATE_LAST | ACKNOWLEDGE,
            false => CREATE_LAST,
        };
        let sequence = connection.put(&mut batch, *kind, flags, body);
        if place == last {
            awaited.push(sequence);
        }
    }
    if awaited.is_empty() {
        return Ok(());
    }
    connection.put(&mut batch, BATCH.1, 0, &marker);
    connection.send(what, &batch)?;
    connection.acknowledged(what, awaited)
}

/// What a message says, in the form that the kernel takes it in.
fn body(kind: u16, sent: &[u8], left_out: &[u16]) -> Result<Vec<u8>, KernelError> {
    let (family, _, attributes) = split(sent)?;
    let mut body = header(family);
    if kind == kind::NEW_SET {
        put(&mut body, SET_ID, &1u32.to_be_bytes());
    }
    for (of, value) in Attributes::parse(attributes)?.members() {
        match of {
            EXPRESSIONS if kind == kind::NEW_RULE => rule(&mut body, value)?,
            of if left_out.contains(&of) => {}
            of => put(&mut body, of, value),
        }
    }
    Ok(body)
}

/// A rule's expressions, with counters that begin at zero, and what nft_compat wants to know of a rule and does not tell.
fn rule(body: &mut Vec<u8>, list: &[u8]) -> Result<(), KernelError> {
    let expressions = expression::decode_list(list)?;
    let members = Attributes::parse(list)?.members();
    put_nest(body, EXPRESSIONS, |nest| {
        for ((kind, sent), decoded) in members.zip(&expressions) {
            match decoded {
                Expression::Counter => put_nest(nest, kind, |counter| {
                    put_name(counter, 1, "counter");
                    put_nest(counter, 2, |_| {});
                }),
                _ => put(nest, kind, sent),
            }
        }
    });
    let is_extension = |of: &Expression| matches!(of, Expression::Match(_) | Expression::Target(_));
    if let Some((protocol, flags)) =
        protocol(&expressions).filter(|_| expressions.iter().any(is_extension))
    {
        put_nest(body, COMPAT, |nest| {
            put(nest, 1, &u32::from(protocol).to_be_bytes());
            put(nest, 2, &flags.to_be_bytes());
        });
    }
    Ok(())
}

/// The protocol that a rule is about, and `NFT_RULE_COMPAT_F_INV` where it is about all others: xtables extensions look at it when
/// they are added (`nft_parse_compat` of net/netfilter/nft_compat.c), and at no other time. It is what iptables compares in the
/// rule itself: `-p`.
fn protocol(expressions: &[Expression]) -> Option<(u8, u32)> {
    const INVERTED: u32 = 1 << 1;
    expressions.windows(2).find_map(|pair| {
        let [
            loads,
            Expression::Cmp(Cmp {
                operator, value, ..
            }),
        ] = pair
        else {
            return None;
        };
        let is_protocol = match loads {
            Expression::Meta(Meta {
                key,
                access: Access::Load(_),
            }) => *key == MetaKey::L4proto,
            Expression::Payload(Payload {
                base,
                offset,
                length,
                access: PayloadAccess::Load(_),
            }) => {
                // `protocol` of `struct iphdr`, `nexthdr` of `struct ipv6hdr`.
                *base == PayloadBase::Network && matches!(offset, 6 | 9) && *length == 1
            }
            _ => false,
        };
        match (operator, value.as_slice()) {
            (CmpOperator::Equal, [protocol]) if is_protocol => Some((*protocol, 0)),
            (CmpOperator::NotEqual, [protocol]) if is_protocol => Some((*protocol, INVERTED)),
            _ => None,
        }
    })
}
