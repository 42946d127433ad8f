//! What gives a packet other addresses, or sends it elsewhere.

use super::value::register;
use crate::agent::kernel::attributes::Attributes;
use crate::observed::expression::{Dup, Fwd, Masquerade, Nat, Synproxy, Tproxy};

pub(super) fn nat(a: &mut Attributes) -> Option<Nat> {
    Some(Nat {
        kind: a.be32(1)?.into(),
        family: a.be32(2)?.into(),
        addr_min: register(a, 3),
        addr_max: register(a, 4),
        proto_min: register(a, 5),
        proto_max: register(a, 6),
        flags: a.be32(7),
    })
}

pub(super) fn masq(a: &mut Attributes) -> Masquerade {
    Masquerade {
        flags: a.be32(1),
        proto_min: register(a, 2),
        proto_max: register(a, 3),
    }
}

pub(super) fn redir(a: &mut Attributes) -> Masquerade {
    Masquerade {
        proto_min: register(a, 1),
        proto_max: register(a, 2),
        flags: a.be32(3),
    }
}

pub(super) fn tproxy(a: &mut Attributes) -> Option<Tproxy> {
    let family = a.be32(1)?;
    Some(Tproxy {
        family: (family != 0).then(|| family.into()),
        addr: register(a, 2),
        port: register(a, 3),
    })
}

pub(super) fn dup(a: &mut Attributes) -> Dup {
    Dup {
        addr: register(a, 1),
        dev: register(a, 2),
    }
}

pub(super) fn fwd(a: &mut Attributes) -> Option<Fwd> {
    Some(Fwd {
        dev: register(a, 1)?,
        addr: register(a, 2),
        nfproto: a.be32(3),
    })
}

pub(super) fn synproxy(a: &mut Attributes) -> Option<Synproxy> {
    Some(Synproxy {
        mss: a.be16(1)?,
        wscale: a.u8(2)?,
        flags: a.be32(3)?,
    })
}
