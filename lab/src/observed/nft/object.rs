//! Stateful objects and flowtables.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::chain::Device;
use crate::observed::bytes::{Bytes, Name};
use crate::observed::expression::{Attribute, Expression, ObjectKind};
use crate::observed::flags::flags;
use crate::observed::printed::{each, part};

/// `enum nft_object_attributes`: one object, without use count and handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftObject {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: ObjectKind,
    /// What it does, as the expression of the same name does it.
    pub data: Expression,
    /// What its writer keeps with it: a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Bytes>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

impl fmt::Display for NftObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {} {}", self.name, self.data)?;
        part(f, " userdata ", self.userdata.as_ref())?;
        each(f, &self.other)
    }
}

/// `enum nft_flowtable_attributes`: one flowtable, without use count and handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftFlowtable {
    /// Its name.
    pub name: Name,
    /// Where packets enter it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<FlowtableHook>,
    /// Whether network cards do its work, and whether packets are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<FlowtableFlags>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

/// `enum nft_flowtable_hook_attributes`: where packets enter a flowtable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlowtableHook {
    /// The number of the hook, of `enum nf_dev_hooks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Its place among what else hangs there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// What else the kernel says of the hook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

flags! {
    /// `enum nft_flowtable_flags`.
    FlowtableFlags {
        /// Network cards do its work.
        HW_OFFLOAD = 0x1;
        /// Packets are counted.
        COUNTER = 0x2;
    }
}

impl fmt::Display for NftFlowtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flowtable {}", self.name)?;
        if let Some(hook) = &self.hook {
            part(f, " hook ", hook.number)?;
            part(f, " prio ", hook.priority)?;
            hook.devices
                .iter()
                .try_for_each(|device| write!(f, " dev {device}"))?;
            each(f, &hook.other)?;
        }
        part(f, " flags ", self.flags)?;
        each(f, &self.other)
    }
}
