//! What decides about a packet, keeps count of packets, or uses what else is in the table.

use super::value::{data, register};
use crate::agent::kernel::attributes::Attributes;
use crate::observed::expression::{
    Connlimit, Dynset, ElementExpressions, Expression, FlowOffload, Immediate, Limit, Log, Objref,
    Queue, QueueNumbers, Quota, Reject,
};

pub(super) fn immediate(a: &mut Attributes) -> Option<Immediate> {
    Some(Immediate {
        to: register(a, 1)?,
        data: data(a, 2)?,
    })
}

/// `enum nft_counter_attributes`: bytes and packets change with every packet.
pub(super) fn counter(a: &mut Attributes) -> Expression {
    a.ignore(&[1, 2, 3]);
    Expression::Counter
}

/// `enum nft_last_attributes`: whether and when it was last met.
pub(super) fn last(a: &mut Attributes) -> Expression {
    a.ignore(&[1, 2, 3]);
    Expression::Last
}

pub(super) fn quota(a: &mut Attributes) -> Option<Quota> {
    const DEPLETED: u32 = 1 << 1;
    let (bytes, flags) = (a.be64(1)?, a.be32(2)?);
    a.ignore(&[3, 4]);
    Some(Quota {
        bytes,
        flags: flags & !DEPLETED,
    })
}

pub(super) fn connlimit(a: &mut Attributes) -> Option<Connlimit> {
    Some(Connlimit {
        count: a.be32(1)?,
        flags: a.be32(2)?,
    })
}

pub(super) fn limit(a: &mut Attributes) -> Option<Limit> {
    let limit = Limit {
        rate: a.be64(1)?,
        period: a.be64(2)?,
        burst: a.be32(3)?,
        kind: a.be32(4)?.into(),
        flags: a.be32(5)?,
    };
    a.ignore(&[6]);
    Some(limit)
}

pub(super) fn log(a: &mut Attributes) -> Log {
    Log {
        prefix: a.name(2),
        group: a.be16(1),
        snaplen: a.be32(3),
        qthreshold: a.be16(4),
        level: a.be32(5),
        flags: a.be32(6),
    }
}

/// A TCP reset has no code.
pub(super) fn reject(a: &mut Attributes) -> Option<Reject> {
    Some(Reject {
        kind: a.be32(1)?,
        code: a.u8(2),
    })
}

pub(super) fn queue(a: &mut Attributes) -> Option<Queue> {
    let numbers = match a.be16(1) {
        Some(first) => Some(QueueNumbers {
            first,
            total: a.be16(2).filter(|&total| total != 0)?,
        }),
        None => None,
    };
    Some(Queue {
        numbers,
        from: register(a, 4),
        flags: a.be16(3).unwrap_or(0),
    })
}

pub(super) fn dynset(a: &mut Attributes) -> Option<Dynset> {
    let dynset = Dynset {
        set: a.name(1)?,
        operation: a.be32(3)?.into(),
        key: register(a, 4)?,
        data: register(a, 5),
        timeout: a.be64(6),
        flags: a.be32(9),
        expressions: ElementExpressions {
            one: a.take(7, |expression| super::decode(expression).ok()),
            list: a.take(10, |list| super::decode_list(list).ok()),
        },
    };
    a.ignore(&[8]);
    Some(dynset)
}

pub(super) fn objref(a: &mut Attributes) -> Option<Objref> {
    Some(match register(a, 3) {
        Some(from) => Objref::Looked {
            from,
            set: a.name(4)?,
        },
        None => Objref::Named {
            kind: a.be32(1)?,
            name: a.name(2)?,
        },
    })
}

pub(super) fn flow_offload(a: &mut Attributes) -> Option<FlowOffload> {
    let flowtable = a.name(1)?;
    Some(FlowOffload { flowtable })
}
