//! What each verdict of a rule or chain is a sign of: which kind of loss, shown by which operation.

use super::kind::LossKind;
use crate::judge::verdict::Verdict;
use crate::judge::{ChainVerdict, RuleVerdict};
use crate::matrix::SubjectKind;
use crate::plan::Operation;

/// A verdict of a rule or chain that is a loss, and what was done that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    /// Which kind of loss.
    pub kind: LossKind,
    /// What was done.
    pub operation: Operation,
    /// What the judge says of that.
    pub verdict: Verdict,
}

impl Sign {
    /// Whether it is what somebody means who chooses this kind.
    pub fn is_meant_by(self, kind: LossKind) -> bool {
        match kind {
            LossKind::Sync | LossKind::SyncNoflush => kind.seen_by().contains(&self.operation),
            kind => kind == self.kind,
        }
    }

    /// The less, the worse.
    pub fn rank(self) -> (Option<usize>, Option<usize>) {
        let kind = LossKind::ALL.iter().position(|of| *of == self.kind);
        let mut operations = self.kind.seen_by().iter();
        (kind, operations.position(|of| *of == self.operation))
    }

    /// Whether both say the same of a rule, whatever was done.
    pub fn is_like(self, other: Sign) -> bool {
        let is_change = |kind: LossKind| {
            matches!(
                kind,
                LossKind::Lossy
                    | LossKind::Changed
                    | LossKind::Chain
                    | LossKind::Sync
                    | LossKind::SyncNoflush
                    | LossKind::Drifts
            )
        };
        self.kind == other.kind || is_change(self.kind) && is_change(other.kind)
    }
}

/// All that is wrong with a rule. What its writer refuses, or the machine lacks, is no loss of the pairing.
pub(super) fn of_rule(rule: &RuleVerdict) -> Vec<Sign> {
    signs(SubjectKind::Rule, rule.by_operation())
}

/// All that is wrong with a chain as such.
pub(super) fn of_chain(chain: &ChainVerdict) -> Vec<Sign> {
    signs(SubjectKind::Chain, chain.by_operation())
}

fn signs(of: SubjectKind, all: impl Iterator<Item = (Operation, Verdict)>) -> Vec<Sign> {
    let signs = all.filter_map(|(operation, verdict)| {
        let operation = shown_by(operation);
        Some(Sign {
            kind: kind(of, operation, verdict)?,
            operation,
            verdict,
        })
    });
    signs.collect()
}

/// What is done to show what an operation comes to: the reader's save is the first half of its rewrite.
fn shown_by(operation: Operation) -> Operation {
    match operation {
        Operation::Save => Operation::Rewrite,
        other => other,
    }
}

/// What a verdict about an operation is a sign of; none where nothing is lost.
pub(super) fn kind(of: SubjectKind, operation: Operation, verdict: Verdict) -> Option<LossKind> {
    match (of, of_rules(operation, verdict)?) {
        (SubjectKind::Chain, LossKind::Lossy | LossKind::Changed) => Some(LossKind::Chain),
        (_, kind) => Some(kind),
    }
}

fn of_rules(operation: Operation, verdict: Verdict) -> Option<LossKind> {
    match verdict {
        Verdict::Changed => match operation {
            Operation::Sync => Some(LossKind::Sync),
            Operation::SyncNoflush => Some(LossKind::SyncNoflush),
            _ => Some(LossKind::Changed),
        },
        // A listing is called so where the rewrite changed the rule: that is the sign.
        Verdict::Lossy if operation == Operation::List => None,
        Verdict::Lossy => Some(LossKind::Lossy),
        Verdict::Refused | Verdict::NothingToRestore => Some(LossKind::Refused),
        Verdict::Unrestorable => Some(LossKind::Unrestorable),
        Verdict::TimedOut => Some(LossKind::TimedOut),
        Verdict::Crashed => Some(LossKind::Crashed),
        Verdict::NotFound => Some(LossKind::NotFound),
        Verdict::NotDeleted => Some(LossKind::NotDeleted),
        Verdict::Misread => Some(LossKind::Misread),
        Verdict::Unreadable => Some(LossKind::Unreadable),
        Verdict::Drifts => Some(LossKind::Drifts),
        Verdict::FoundWrong => Some(LossKind::FoundWrong),
        Verdict::WrongRule => Some(LossKind::WrongRule),
        Verdict::Doubled => Some(LossKind::Doubled),
        Verdict::Faithful
        | Verdict::Misprinted
        | Verdict::Unsupported
        | Verdict::Same
        | Verdict::Reworded
        | Verdict::Differs
        | Verdict::Invisible
        // The rule at fault has its own sign.
        | Verdict::Incompatible
        | Verdict::Kept
        | Verdict::Recognised
        | Verdict::Stable
        | Verdict::Found
        | Verdict::Deleted
        | Verdict::Averted => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the matrix shows as worse than a rule that the reader does not see is a loss of some kind, that looks where it is shown. What
    /// the kernel or a build lacks was not tested.
    #[test]
    fn every_grave_verdict_is_a_sign_of_a_loss() {
        let all = [
            Operation::Rewrite,
            Operation::List,
            Operation::Recognition,
            Operation::Cycle,
            Operation::Sync,
            Operation::SyncNoflush,
            Operation::Check,
            Operation::Delete,
            Operation::Reassert,
        ];
        for verdict in Verdict::ALL {
            let is_grave = verdict.severity() > Verdict::Invisible.severity()
                && ![Verdict::Unsupported, Verdict::Incompatible].contains(&verdict)
                || verdict == Verdict::Doubled;
            for operation in all {
                let of_rewrite = verdict == Verdict::Lossy && operation == Operation::List;
                let sign = kind(SubjectKind::Rule, operation, verdict);
                assert_eq!(
                    sign.is_some(),
                    is_grave && !of_rewrite,
                    "{operation} {verdict}"
                );
            }
        }
        for kind in LossKind::ALL {
            assert!(!kind.seen_by().is_empty());
        }
    }
}
