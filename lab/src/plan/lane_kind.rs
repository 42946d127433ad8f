//! Which backends run in a lane.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::Backend;

/// Which backends run in a lane. A legacy table, once touched, stays registered in its namespace, and nft tools then
/// print a warning about it: so a lane is of one kind, never by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneKind {
    /// nft builds only; no legacy table is ever registered.
    Nft,
    /// Legacy builds only; all legacy tables are registered from the start.
    Legacy,
    /// Both; all legacy tables are registered from the start.
    Cross,
}

impl LaneKind {
    /// The kind in which these two meet.
    pub(super) fn of(writer: Backend, reader: Backend) -> Self {
        match (writer, reader) {
            (Backend::Nft, Backend::Nft) => LaneKind::Nft,
            (Backend::Legacy, Backend::Legacy) => LaneKind::Legacy,
            (Backend::Nft, Backend::Legacy) | (Backend::Legacy, Backend::Nft) => LaneKind::Cross,
        }
    }

    /// Whether legacy builds run in it.
    pub fn has_legacy(self) -> bool {
        match self {
            LaneKind::Nft => false,
            LaneKind::Legacy | LaneKind::Cross => true,
        }
    }

    /// The word that recordings and messages use.
    pub fn as_str(self) -> &'static str {
        match self {
            LaneKind::Nft => "nft",
            LaneKind::Legacy => "legacy",
            LaneKind::Cross => "cross",
        }
    }
}

impl fmt::Display for LaneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
