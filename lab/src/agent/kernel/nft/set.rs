//! Sets and elements, decoded.

use crate::agent::kernel::attributes::Attributes;
use crate::agent::kernel::error::KernelError;
use crate::agent::kernel::expression;
use crate::observed::expression::Expression;
use crate::observed::{Bytes, Name, NftElement, NftSet, SetDescription};

/// `enum nft_set_attributes`, all but table and name. Left out: handle, id, the count of elements, and the backend, which the kernel
/// picks itself and which depends on the processor.
pub(super) fn set(name: Name, mut attributes: Attributes) -> Result<NftSet, KernelError> {
    let a = &mut attributes;
    let set = NftSet {
        name,
        flags: a.be32(3).unwrap_or_default().into(),
        key_type: a.be32(4),
        key_length: a.be32(5),
        data_type: a.be32(6),
        data_length: a.be32(7),
        policy: a.be32(8),
        object_kind: a.be32(15).map(Into::into),
        timeout: a.be64(11),
        gc_interval: a.be32(12),
        description: description(a)?,
        userdata: a.bytes(13).map(Bytes::from),
        expressions: expressions(a, 17, 18)?,
        other: Vec::new(),
        elements: Vec::new(),
    };
    attributes.ignore(&[10, 14, 16, 19, 20]);
    Ok(NftSet {
        other: attributes.rest(),
        ..set
    })
}

/// `enum nft_set_desc_attributes`.
fn description(set: &mut Attributes) -> Result<SetDescription, KernelError> {
    let mut attributes = Attributes::parse(set.bytes(9).unwrap_or_default())?;
    Ok(SetDescription {
        size: attributes.be32(1),
        concatenation: attributes.bytes(2).map(Bytes::from),
        other: attributes.rest(),
    })
}

/// The expressions of a set or an element: the kernel sends one alone, several as a list.
fn expressions(
    attributes: &mut Attributes,
    one: u16,
    many: u16,
) -> Result<Vec<Expression>, KernelError> {
    let mut found = Vec::new();
    if let Some(nest) = attributes.bytes(one) {
        found.push(expression::decode(nest)?);
    }
    if let Some(list) = attributes.bytes(many) {
        found.extend(expression::decode_list(list)?);
    }
    Ok(found)
}

/// `enum nft_set_elem_attributes`. Left out: when it expires.
pub(super) fn element(nest: &[u8]) -> Result<NftElement, KernelError> {
    let mut attributes = Attributes::parse(nest)?;
    let a = &mut attributes;
    let element = NftElement {
        key: expression::data(a, 1),
        key_end: expression::data(a, 10),
        data: expression::data(a, 2),
        object: a.name(9),
        flags: a.be32(3).map(Into::into),
        timeout: a.be64(4),
        expressions: expressions(a, 7, 11)?,
        userdata: a.bytes(6).map(Bytes::from),
        other: Vec::new(),
    };
    attributes.ignore(&[5, 8]);
    Ok(NftElement {
        other: attributes.rest(),
        ..element
    })
}
