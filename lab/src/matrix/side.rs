//! The two builds of a pairing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::BuildId;
use crate::judge::Cell;

/// One of the two builds of a pairing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Who wrote the rules.
    Writer,
    /// Who read them and changed something.
    Reader,
}

impl Side {
    /// Who decoded a rule of a cell that this side encoded; none where it is a chain.
    pub fn decoder(self, cell: &Cell, rule: Option<usize>) -> &BuildId {
        match self {
            Side::Writer => &cell.reader,
            Side::Reader => rule.map_or(&cell.writer, |rule| cell.writer_of(rule)),
        }
    }
}
