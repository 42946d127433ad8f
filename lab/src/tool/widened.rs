//! Whether a rule that lost parts matches more packets than before.

use super::change::{Change, Difference, Weight};
use super::{iptables, nft};

impl Difference {
    /// Whether the rule now matches more packets and does the same with them: only conditions were lost (comments may
    /// go with them), nothing was added or altered.
    pub fn widened(&self) -> bool {
        let weights: Vec<Weight> = self.lost.iter().map(weight).collect();
        self.altered.is_empty()
            && self.added.is_empty()
            && weights.contains(&Weight::Condition)
            && !weights.contains(&Weight::Other)
    }
}

/// What the loss of a part does: a part of a rule as iptables has it, or an expression of the kernel's.
fn weight(lost: &Change) -> Weight {
    match lost.part.strip_prefix("expression ") {
        Some(name) => nft::weight(name),
        None => iptables::weight(lost),
    }
}
