//! What the kernel itself holds, read and made over netlink and getsockopt, not by any iptables or ip.

mod attributes;
mod conntrack;
mod decoded;
mod error;
mod expression;
mod ipset;
mod legacy;
mod link;
mod netlink;
mod nfacct;
mod nft;
mod route;
mod sockopt;
pub mod surroundings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalog::Backend;
use crate::observed::{LegacyRule, NftRule, RulePlace, State, Text};

use decoded::DecodedRules;
pub use error::KernelError;
use legacy::CapturedTable;
pub use link::NetworkOf;

/// Reads what the kernel holds, again and again.
#[derive(Debug, Default)]
pub struct Reader {
    nft: DecodedRules<NftRule>,
    legacy: DecodedRules<LegacyRule>,
}

impl Reader {
    /// What the kernel holds in the network namespace of the calling thread. It does not depend on what was read before.
    ///
    /// # Errors
    /// The kernel refuses, sends what it should not, or its rules do not stand still.
    pub fn dump(&mut self) -> Result<State, KernelError> {
        Ok(State {
            nft: nft::dump(&mut self.nft)?,
            legacy: legacy::dump(&mut self.legacy)?,
        })
    }
}

/// Whose tables the kernel has; the legacy ones where they were registered in the network namespace of the calling thread.
pub fn backends() -> Result<BTreeSet<Backend>, KernelError> {
    let nft = nft::is_there()?.then_some(Backend::Nft);
    let legacy = legacy::is_there()?.then_some(Backend::Legacy);
    Ok(nft.into_iter().chain(legacy).collect())
}

/// The handle by which nf_tables knows a rule; 0, which is no rule's, where there is none.
///
/// # Errors
/// The kernel refuses, sends what it should not, or its rules do not stand still.
pub fn handle(rule: &RulePlace) -> Result<u64, KernelError> {
    let handles = nft::handles(&rule.chain)?;
    Ok(handles.get(rule.place).copied().unwrap_or_default())
}

/// Brings `lo` up and, where legacy builds will run, registers every legacy table that the kernel has.
pub fn prepare(tables: LegacyTables) -> Result<(), KernelError> {
    link::loopback_up()?;
    match tables {
        LegacyTables::Register => legacy::register(),
        LegacyTables::Leave => Ok(()),
    }
}

/// Deletes every nf_tables table, empties every registered legacy table and sets its policies to ACCEPT.
pub fn reset() -> Result<(), KernelError> {
    nft::reset()?;
    legacy::reset()
}

/// What the kernel holds in a namespace, in its own form: what it takes to have another one hold the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The messages of nf_tables.
    nft: Text,
    /// The registered legacy tables.
    legacy: Vec<CapturedTable>,
}

impl Capture {
    /// What the kernel holds in the network namespace of the calling thread.
    ///
    /// # Errors
    /// As [`Reader::dump`].
    pub fn take() -> Result<Self, KernelError> {
        Ok(Capture {
            nft: nft::read_if_there()?.unwrap_or_default().into(),
            legacy: legacy::read()?,
        })
    }

    /// Has the network namespace of the calling thread, in which there are no rules, hold the same. Whether it does is for a dump to
    /// prove: what the kernel sends is not always what it takes.
    ///
    /// # Errors
    /// The kernel does not take what it sent.
    pub fn put_back(&self) -> Result<(), KernelError> {
        nft::put_back(self.nft.bytes())?;
        legacy::put_back(&self.legacy)
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        let legacy = self.legacy.iter().map(CapturedTable::size);
        self.nft.bytes().len() + legacy.sum::<usize>()
    }
}

/// Whether [`prepare`] touches legacy tables: once touched they stay registered in their namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyTables {
    /// Register all that the kernel has.
    Register,
    /// Touch none.
    Leave,
}
