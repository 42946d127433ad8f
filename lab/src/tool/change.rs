//! What differs between two prints of one rule: parts that are lost, altered or added.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::observed::{NftRule, NftSet};

/// One part that differs; unknown is null.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Change {
    /// `match mark`, `tcp --dport`, `source`; `order` where the same parts stand in another order.
    pub part: String,
    /// Its text before; none where it was added.
    pub from: Option<String>,
    /// Its text after; none where it was lost.
    pub to: Option<String>,
}

/// All that differs between two prints of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Difference {
    /// Parts that are gone.
    pub lost: Vec<Change>,
    /// Parts that are there and read otherwise.
    pub altered: Vec<Change>,
    /// Parts that were not there.
    pub added: Vec<Change>,
}

impl Difference {
    /// Whether the two prints are the same, word for word.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.altered.is_empty() && self.added.is_empty()
    }
}

/// What the loss of a part does to the set of packets that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// More packets match.
    Condition,
    /// The same packets match.
    Neutral,
    /// Not known, or the rule does something else with them.
    Other,
}

/// A rule as the kernel holds it in a table of nf_tables.
#[derive(Debug, Clone, Copy)]
pub struct HeldRule<'k> {
    /// The rule.
    pub rule: &'k NftRule,
    /// The sets of its table, if it uses any.
    pub sets: &'k [NftSet],
}

/// What became of a rule that somebody wrote anew, by what the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// It does the same to packets.
    Same,
    /// It has lost these expressions, and has no others instead.
    Lost(Difference),
    /// Another, for all that is known.
    Another {
        /// The expressions that it has no more.
        gone: Vec<String>,
        /// Those that it has instead.
        new: Vec<String>,
    },
}
