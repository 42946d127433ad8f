//! Bytes of a packet's headers: loaded or written.

use super::value::register;
use crate::agent::kernel::attributes::Attributes;
use crate::observed::expression::{Exthdr, ExthdrAccess, Inner, Payload, PayloadAccess};

pub(super) fn payload(a: &mut Attributes) -> Option<Payload> {
    let (base, offset, length) = (a.be32(2)?.into(), a.be32(3)?, a.be32(4)?);
    let access = match register(a, 1) {
        Some(to) => PayloadAccess::Load(to),
        None => PayloadAccess::Write {
            from: register(a, 5)?,
            checksum: a.be32(6),
            checksum_offset: a.be32(7),
            checksum_flags: a.be32(8),
        },
    };
    Some(Payload {
        base,
        offset,
        length,
        access,
    })
}

/// Without a register it is `reset tcpopt`.
pub(super) fn exthdr(a: &mut Attributes) -> Option<Exthdr> {
    let (kind, offset, length) = (a.u8(2)?, a.be32(3)?, a.be32(4)?);
    let access = match (register(a, 1), register(a, 7)) {
        (Some(to), None) => ExthdrAccess::Load(to),
        (None, Some(from)) => ExthdrAccess::Write(from),
        (None, None) if length == 0 => ExthdrAccess::Reset,
        _ => return None,
    };
    Some(Exthdr {
        operation: a.be32(6).unwrap_or(0).into(),
        kind,
        offset,
        length,
        flags: a.be32(5).unwrap_or(0),
        access,
    })
}

pub(super) fn inner(a: &mut Attributes) -> Option<Inner> {
    Some(Inner {
        number: a.be32(1).unwrap_or(0),
        kind: a.be32(2)?,
        flags: a.be32(3)?,
        header: a.be32(4)?,
        expression: a.take(5, |expression| super::decode(expression).ok())?,
    })
}
