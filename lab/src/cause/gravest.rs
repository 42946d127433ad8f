//! The gravest of some harms.

use std::cmp::Reverse;

use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Harm};

/// The gravest of some harms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gravest {
    /// The verdict.
    pub verdict: Verdict,
    /// What it does to packets.
    pub consequence: Option<Consequence>,
    /// How sure that is.
    pub certainty: Certainty,
}

/// The graver one is the greater.
pub type Gravity = (bool, Option<Consequence>, Reverse<Certainty>, u8);

impl Gravest {
    /// What a harm comes to.
    pub fn of(harm: &Harm) -> Self {
        Gravest {
            verdict: harm.verdict,
            consequence: harm.consequence,
            certainty: harm.certainty,
        }
    }

    /// The graver one is the greater.
    pub fn gravity(self) -> Gravity {
        let is_done = self.consequence.is_some() && self.certainty != Certainty::IfWrittenBack;
        let severity = self.verdict.severity();
        (is_done, self.consequence, Reverse(self.certainty), severity)
    }
}
