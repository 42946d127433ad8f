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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::kernel::attributes::{put, put_name, put_nest};

    /// As `nf_tables_fill_flowtable_info` of net/netfilter/nf_tables_api.c sends one.
    #[test]
    fn a_flowtable_has_its_hook_its_devices_and_what_is_not_known() {
        let mut message = Vec::new();
        put_name(&mut message, 2, "ft");
        put(&mut message, 4, &1u32.to_be_bytes());
        put(&mut message, 5, &7u64.to_be_bytes());
        put(&mut message, 7, &2u32.to_be_bytes());
        put_nest(&mut message, 3, |hook| {
            put(hook, 1, &0u32.to_be_bytes());
            put(hook, 2, &(-10i32).to_be_bytes());
            put_nest(hook, 3, |devices| {
                put_name(devices, 1, "lo");
                put_name(devices, 2, "eth");
            });
            put(hook, 9, b"?");
        });
        put(&mut message, 77, b"!");
        let flowtable = flowtable(Attributes::parse(&message).expect("well formed"));
        assert_eq!(
            flowtable.expect("it has a name").to_string(),
            "flowtable ft hook 0 prio -10 dev lo dev prefix eth attribute 9 0x3f flags 0x2 attribute 77 0x21"
        );
    }
}
