//! Stateful objects and flowtables, decoded.

use super::chain::devices;
use crate::agent::kernel::attributes::Attributes;
use crate::agent::kernel::error::KernelError;
use crate::agent::kernel::expression;
use crate::observed::expression::ObjectKind;
use crate::observed::{Bytes, FlowtableHook, NftFlowtable, NftObject};

/// `enum nft_object_attributes`, all but the table. Left out: use count and handle.
pub(super) fn object(mut attributes: Attributes) -> Result<NftObject, KernelError> {
    let name = attributes.name(2).ok_or(KernelError::Malformed("object"))?;
    let kind = attributes.be32(3).ok_or(KernelError::Malformed("object"))?;
    let kind = ObjectKind::from(kind);
    let data = expression::decode_named(
        kind.to_string().into_bytes().into(),
        attributes.bytes(4).unwrap_or_default(),
        Attributes::default(),
    );
    let userdata = attributes.bytes(8).map(Bytes::from);
    attributes.ignore(&[5, 6, 7]);
    Ok(NftObject {
        name,
        kind,
        data,
        userdata,
        other: attributes.rest(),
    })
}

/// `enum nft_flowtable_attributes`, all but the table. Left out: use count and handle.
pub(super) fn flowtable(mut attributes: Attributes) -> Result<NftFlowtable, KernelError> {
    let name = attributes
        .name(2)
        .ok_or(KernelError::Malformed("flowtable"))?;
    let hook = attributes.bytes(3).map(flowtable_hook).transpose()?;
    let flags = attributes.be32(7).map(Into::into);
    attributes.ignore(&[4, 5, 6]);
    Ok(NftFlowtable {
        name,
        hook,
        flags,
        other: attributes.rest(),
    })
}

/// `enum nft_flowtable_hook_attributes`.
fn flowtable_hook(nest: &[u8]) -> Result<FlowtableHook, KernelError> {
    let mut attributes = Attributes::parse(nest)?;
    Ok(FlowtableHook {
        number: attributes.be32(1),
        priority: attributes.be32(2).map(u32::cast_signed),
        devices: devices(&mut attributes, 3)?,
        other: attributes.rest(),
    })
}
