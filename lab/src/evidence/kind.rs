//! The kinds of loss that a report can be about, and what is done that shows each.

use clap::ValueEnum;

use crate::plan::Operation;

/// What kind of loss it is: how it is seen with two binaries and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum LossKind {
    /// The reader's `-D` deletes another rule.
    WrongRule,
    /// The reader's `-C` finds a rule that is not there.
    FoundWrong,
    /// The reader prints another rule, and restores that.
    Lossy,
    /// The reader restores another rule than it printed.
    Changed,
    /// After the reader's rewrite a chain is gone or new, or has another policy, another hook or more rules.
    Chain,
    /// The reader adds a chain of its own to what it restores, and the kernel then holds another rule; or anything else that goes
    /// wrong there.
    Sync,
    /// The reader restores its own chains with `--noflush`, and the kernel then holds another rule; or anything else that goes
    /// wrong there.
    SyncNoflush,
    /// After the reader's rewrite the writer prints another rule.
    Misread,
    /// After the reader's rewrite the writer cannot print its table.
    Unreadable,
    /// The reader's first rewrite keeps it; later ones by writer and reader change it.
    Drifts,
    /// The reader's `-C` does not find the rule.
    NotFound,
    /// The reader's `-D` does not delete the rule.
    NotDeleted,
    /// A signal ends the reader.
    Crashed,
    /// The reader does not end.
    TimedOut,
    /// The reader refuses to restore what it printed itself.
    Unrestorable,
    /// The reader refuses to print, or to write, the rules.
    Refused,
    /// A reader of the other backend does not see the rule, and writes it again.
    Doubled,
}

impl LossKind {
    /// Every kind, the worst first; behind a misreading what comes of it.
    pub const ALL: [LossKind; 17] = [
        LossKind::WrongRule,
        LossKind::FoundWrong,
        LossKind::Lossy,
        LossKind::Changed,
        LossKind::Chain,
        LossKind::Sync,
        LossKind::SyncNoflush,
        LossKind::Misread,
        LossKind::Unreadable,
        LossKind::Drifts,
        LossKind::NotFound,
        LossKind::NotDeleted,
        LossKind::Crashed,
        LossKind::TimedOut,
        LossKind::Unrestorable,
        LossKind::Refused,
        LossKind::Doubled,
    ];

    /// The word that scripts use.
    pub fn as_str(self) -> &'static str {
        match self {
            LossKind::WrongRule => "wrong-rule",
            LossKind::FoundWrong => "found-wrong",
            LossKind::Lossy => "lossy",
            LossKind::Changed => "changed",
            LossKind::Chain => "chain",
            LossKind::Sync => "sync",
            LossKind::SyncNoflush => "sync-noflush",
            LossKind::Misread => "misread",
            LossKind::Unreadable => "unreadable",
            LossKind::Drifts => "drifts",
            LossKind::NotFound => "not-found",
            LossKind::NotDeleted => "not-deleted",
            LossKind::Crashed => "crashed",
            LossKind::TimedOut => "timed-out",
            LossKind::Unrestorable => "unrestorable",
            LossKind::Refused => "refused",
            LossKind::Doubled => "doubled",
        }
    }

    /// The operations that can show it, in the order in which they are looked at.
    pub fn seen_by(self) -> &'static [Operation] {
        match self {
            LossKind::WrongRule | LossKind::NotDeleted => &[Operation::Delete],
            LossKind::FoundWrong | LossKind::NotFound => &[Operation::Check],
            LossKind::Lossy | LossKind::Chain => &[Operation::Rewrite],
            LossKind::Changed => &[Operation::Rewrite, Operation::Reassert],
            LossKind::Sync => &[Operation::Sync],
            LossKind::SyncNoflush => &[Operation::SyncNoflush],
            LossKind::Misread | LossKind::Unreadable => &[Operation::Recognition],
            LossKind::Drifts => &[Operation::Cycle],
            LossKind::Unrestorable => {
                &[Operation::Rewrite, Operation::Sync, Operation::SyncNoflush]
            }
            LossKind::Crashed | LossKind::TimedOut | LossKind::Refused => &[
                Operation::Rewrite,
                Operation::Sync,
                Operation::SyncNoflush,
                Operation::List,
                Operation::Check,
                Operation::Delete,
                Operation::Reassert,
            ],
            LossKind::Doubled => &[Operation::Reassert],
        }
    }

    /// Whether it is the writer that misreads: what the reader restored. A drift is what comes of that: the reader's own
    /// rewrite kept the rule.
    pub fn is_seen_by_writer(self) -> bool {
        matches!(
            self,
            LossKind::Misread | LossKind::Unreadable | LossKind::Drifts
        )
    }
}
