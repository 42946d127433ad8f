//! What registers are compared with, looked up in, made of.

use super::value::{data, register, value};
use crate::agent::kernel::attributes::Attributes;
use crate::observed::Value;
use crate::observed::expression::{
    Bitwise, Byteorder, Cmp, Hash, Hashed, Lookup, Numgen, Operand, Range,
};

pub(super) fn bitwise(a: &mut Attributes) -> Option<Bitwise> {
    let (from, to, length) = (register(a, 1)?, register(a, 2)?, a.be32(3)?);
    let operation = a.be32(6).unwrap_or(0);
    if operation == 0 {
        return Some(Bitwise::Mask {
            from,
            to,
            length,
            mask: value(a, 4)?,
            flips: value(a, 5)?,
        });
    }
    let operand = match register(a, 8) {
        Some(register) => Operand::Register(register),
        None => Operand::Data(data(a, 7)?),
    };
    Some(Bitwise::Operation {
        from,
        to,
        length,
        operator: operation.into(),
        operand,
    })
}

pub(super) fn byteorder(a: &mut Attributes) -> Option<Byteorder> {
    Some(Byteorder {
        from: register(a, 1)?,
        to: register(a, 2)?,
        operation: a.be32(3)?.into(),
        length: a.be32(4)?,
        size: a.be32(5)?,
    })
}

pub(super) fn cmp(a: &mut Attributes) -> Option<Cmp> {
    Some(Cmp {
        from: register(a, 1)?,
        operator: a.be32(2)?.into(),
        value: value(a, 3)?,
    })
}

/// The kernel takes none whose values are not of one length (`nft_range_init`).
pub(super) fn range(a: &mut Attributes) -> Option<Range> {
    let range = Range {
        from: register(a, 1)?,
        operator: a.be32(2)?.into(),
        first: value(a, 3)?,
        last: value(a, 4)?,
    };
    let length = |value: &Value| value.as_slice().len();
    (length(&range.first) == length(&range.last)).then_some(range)
}

pub(super) fn lookup(a: &mut Attributes) -> Option<Lookup> {
    Some(Lookup {
        set: a.name(1)?,
        from: register(a, 2)?,
        to: register(a, 3),
        flags: a.be32(5),
    })
}

pub(super) fn hash(a: &mut Attributes) -> Option<Hash> {
    let (to, modulus) = (register(a, 2)?, a.be32(4)?);
    let of = match a.be32(7)? {
        0 => Hashed::Register {
            from: register(a, 1)?,
            length: a.be32(3)?,
            seed: a.be32(5),
        },
        1 => Hashed::Flow,
        _ => return None,
    };
    Some(Hash {
        of,
        to,
        modulus,
        offset: a.be32(6).unwrap_or(0),
    })
}

pub(super) fn numgen(a: &mut Attributes) -> Option<Numgen> {
    Some(Numgen {
        to: register(a, 1)?,
        modulus: a.be32(2)?,
        kind: a.be32(3)?.into(),
        offset: a.be32(4).unwrap_or(0),
    })
}
