//! What is known of a packet: loaded into a register, or set from one.

use super::value::register;
use crate::agent::kernel::attributes::Attributes;
use crate::observed::expression::{
    Access, Ct, Extension, Fib, Meta, Osf, Register, Rt, Socket, Tunnel, Xfrm,
};

pub(super) fn extension(a: &mut Attributes) -> Option<Extension> {
    Some(Extension {
        name: a.name(1)?,
        revision: a.be32(2)?,
        payload: a.bytes(3)?.into(),
    })
}

/// One of both registers.
fn access(to: Option<Register>, from: Option<Register>) -> Option<Access> {
    match (to, from) {
        (Some(to), None) => Some(Access::Load(to)),
        (None, Some(from)) => Some(Access::Set(from)),
        _ => None,
    }
}

pub(super) fn ct(a: &mut Attributes) -> Option<Ct> {
    Some(Ct {
        key: a.be32(2)?.into(),
        access: access(register(a, 1), register(a, 4))?,
        direction: a.u8(3).map(|direction| u32::from(direction).into()),
    })
}

pub(super) fn meta(a: &mut Attributes) -> Option<Meta> {
    Some(Meta {
        key: a.be32(2)?.into(),
        access: access(register(a, 1), register(a, 3))?,
    })
}

pub(super) fn rt(a: &mut Attributes) -> Option<Rt> {
    Some(Rt {
        to: register(a, 1)?,
        key: a.be32(2)?.into(),
    })
}

pub(super) fn socket(a: &mut Attributes) -> Option<Socket> {
    Some(Socket {
        key: a.be32(1)?.into(),
        to: register(a, 2)?,
        level: a.be32(3),
    })
}

pub(super) fn tunnel(a: &mut Attributes) -> Option<Tunnel> {
    Some(Tunnel {
        key: a.be32(1)?.into(),
        to: register(a, 2)?,
        mode: a.be32(3),
    })
}

pub(super) fn xfrm(a: &mut Attributes) -> Option<Xfrm> {
    Some(Xfrm {
        to: register(a, 1)?,
        key: a.be32(2)?.into(),
        direction: u32::from(a.u8(3)?).into(),
        number: a.be32(4)?,
    })
}

pub(super) fn osf(a: &mut Attributes) -> Option<Osf> {
    Some(Osf {
        to: register(a, 1)?,
        ttl: a.u8(2),
        flags: a.be32(3),
    })
}

pub(super) fn fib(a: &mut Attributes) -> Option<Fib> {
    Some(Fib {
        to: register(a, 1)?,
        result: a.be32(2)?.into(),
        flags: a.be32(3)?,
    })
}
