//! What a loss is, apart from where it happens.

use std::cmp::Ordering;

use super::harm::Harm;
use super::subject::SubjectKind;
use crate::plan::Operation;

/// What a loss is, apart from where it happens. Equal ones are one loss: which operation did it tells them apart only where
/// that is part of what it is.
#[derive(Debug, Clone)]
pub struct Form {
    /// What it is done to.
    pub of: SubjectKind,
    /// What is done.
    pub harm: Harm,
}

impl Form {
    /// The operation, where it is part of what the loss is: a reader that adds a chain of its own, or restores only its own
    /// chains, and loses the whole of a rule or chain.
    pub fn own_operation(&self) -> Option<Operation> {
        let operation = self.harm.operation;
        let is_own = matches!(operation, Operation::Sync | Operation::SyncNoflush);
        (is_own && !self.harm.takes_parts()).then_some(operation)
    }

    /// Parts by name first, then chains, then whole rules.
    fn compared(&self, other: &Form) -> Ordering {
        let (one, two) = (&self.harm, &other.harm);
        let verdicts = one.verdict.cmp(&two.verdict);
        verdicts
            .then_with(|| two.takes_parts().cmp(&one.takes_parts()))
            .then_with(|| other.of.cmp(&self.of))
            .then_with(|| one.parts().cmp(two.parts()))
            .then_with(|| self.own_operation().cmp(&other.own_operation()))
            .then_with(|| one.reason.cmp(&two.reason))
            .then_with(|| one.consequence.cmp(&two.consequence))
            .then_with(|| one.certainty.cmp(&two.certainty))
    }
}

impl PartialEq for Form {
    fn eq(&self, other: &Form) -> bool {
        self.compared(other) == Ordering::Equal
    }
}

impl Eq for Form {}

impl PartialOrd for Form {
    fn partial_cmp(&self, other: &Form) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Form {
    fn cmp(&self, other: &Form) -> Ordering {
        self.compared(other)
    }
}
