//! Where base chains hang, decoded.

use nix::libc;

use crate::agent::kernel::attributes::{Attributes, without_nul};
use crate::agent::kernel::error::KernelError;
use crate::observed::expression::Attribute;
use crate::observed::{ChainKind, ChainPolicy, Device, Hook, NftHook};

/// `enum nft_hook_attributes` with the chain's type and policy; nothing for a chain that is no base chain.
pub(super) fn hook(family: u8, chain: &mut Attributes) -> Result<Option<NftHook>, KernelError> {
    let Some(nest) = chain.bytes(4) else {
        return Ok(None);
    };
    let mut attributes = Attributes::parse(nest)?;
    let number = attributes.be32(1).ok_or(KernelError::Malformed("hook"))?;
    let priority = attributes.be32(2).ok_or(KernelError::Malformed("hook"))?;
    let mut devices = devices(&mut attributes, 4)?;
    match attributes.name(3) {
        // A chain of one device names it twice (nft_dump_basechain_hook).
        Some(device) if devices.is_empty() => devices.push(Device::Name(device)),
        _ => {}
    }
    Ok(Some(NftHook {
        kind: chain.name(7).map_or(ChainKind::Filter, Into::into),
        hook: hook_of(family, number),
        priority: priority.cast_signed(),
        policy: chain.take(5, policy).unwrap_or(ChainPolicy::Accept),
        devices,
        other: attributes.rest(),
    }))
}

/// `NFTA_CHAIN_POLICY`: `NF_DROP` or `NF_ACCEPT`.
fn policy(value: &[u8]) -> Option<ChainPolicy> {
    match u32::from_be_bytes(value.try_into().ok()?) {
        0 => Some(ChainPolicy::Drop),
        1 => Some(ChainPolicy::Accept),
        _ => None,
    }
}

/// Interfaces of `enum nft_devices_attributes`, or prefixes of their names.
pub(super) fn devices(attributes: &mut Attributes, kind: u16) -> Result<Vec<Device>, KernelError> {
    let list = attributes.bytes(kind).unwrap_or_default();
    let devices = Attributes::parse(list)?.members();
    let device = |(kind, value): (u16, &[u8])| match kind {
        1 => Device::Name(without_nul(value).into()),
        2 => Device::Prefix(without_nul(value).into()),
        kind => Device::Other(Attribute {
            kind,
            value: value.into(),
        }),
    };
    Ok(devices.map(device).collect())
}

/// `enum nf_inet_hooks`, `NF_ARP_*`, `enum nf_dev_hooks`.
fn hook_of(family: u8, number: u32) -> Hook {
    let hooks: &[Hook] = match i32::from(family) {
        libc::NFPROTO_ARP => &[Hook::Input, Hook::Output, Hook::Forward],
        libc::NFPROTO_NETDEV => &[Hook::Ingress, Hook::Egress],
        _ => &[
            Hook::Prerouting,
            Hook::Input,
            Hook::Forward,
            Hook::Output,
            Hook::Postrouting,
            Hook::Ingress,
        ],
    };
    let place = usize::try_from(number).ok();
    let known = place.and_then(|place| hooks.get(place));
    known.copied().unwrap_or(Hook::Unknown(number))
}
