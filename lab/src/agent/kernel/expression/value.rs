//! What expressions share: registers, values, verdicts.

use crate::agent::kernel::attributes::Attributes;
use crate::observed::Value;
use crate::observed::expression::{Data, Register, Verdict};

/// Takes the number of a register.
pub(super) fn register(a: &mut Attributes, kind: u16) -> Option<Register> {
    a.be32(kind).map(Register)
}

/// `enum nft_data_attributes`: a value or a verdict, and nothing else.
pub(in crate::agent::kernel) fn data(a: &mut Attributes, kind: u16) -> Option<Data> {
    a.take(kind, |nest| {
        let mut data = Attributes::parse(nest).ok()?;
        let known = match data.bytes(1) {
            Some(value) => Data::Value(value.into()),
            None => Data::Verdict(verdict(data.bytes(2)?)?),
        };
        data.is_empty().then_some(known)
    })
}

/// `enum nft_data_attributes` that holds a value and nothing else.
pub(super) fn value(a: &mut Attributes, kind: u16) -> Option<Value> {
    match data(a, kind)? {
        Data::Value(value) => Some(value),
        Data::Verdict(_) => None,
    }
}

/// `enum nft_verdict_attributes`.
fn verdict(nest: &[u8]) -> Option<Verdict> {
    let mut a = Attributes::parse(nest).ok()?;
    let code = a.be32(1)?.cast_signed().into();
    let chain = a.name(2);
    a.is_empty().then_some(Verdict { code, chain })
}
