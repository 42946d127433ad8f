//! What a change of a rule or a chain does to packets, as far as the rules alone can tell. Probes have the last word.

use super::verdict::Consequence;
use crate::tool::{Difference, Rule, Target};

/// Of a rule that is gone.
pub fn of_vanished(rule: &Rule) -> Consequence {
    match rule.target() {
        Target::Drop | Target::Reject => Consequence::Exposure,
        Target::Accept
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_)
        | Target::Other(_)
        | Target::None => Consequence::Misdirected,
    }
}

/// Of a rule that is there, but differs.
pub fn of_changed(rule: &Rule, difference: &Difference) -> Consequence {
    if !difference.widened() {
        return Consequence::Misdirected;
    }
    match rule.target() {
        Target::Drop | Target::Reject => Consequence::Blackhole,
        Target::Accept => Consequence::Exposure,
        Target::Return | Target::Jump(_) | Target::Goto(_) | Target::Other(_) | Target::None => {
            Consequence::Misdirected
        }
    }
}

/// Of a policy that is another one now, `ACCEPT` where there is no base chain any more.
pub fn of_policy(before: &str, after: &str) -> Option<Consequence> {
    match (before, after) {
        ("DROP", "ACCEPT") => Some(Consequence::Exposure),
        ("ACCEPT", "DROP") => Some(Consequence::Blackhole),
        _ => None,
    }
}
