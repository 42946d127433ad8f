//! What the judge can conclude, and how bad each is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Operation;

/// A verdict about a rule, a chain or a table.
///
/// What a report does with each is a `match` without a catch-all: a new verdict does not compile until every report
/// has an answer for it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    // write
    /// Writer and witness print it alike.
    Faithful,
    /// Writer and witness print it differently.
    Misprinted,
    /// The build refuses it.
    Refused,
    /// The kernel or the build lacks what it takes.
    Unsupported,
    // save
    /// The reader prints what the writer prints.
    Same,
    /// The reader prints it differently, and the rewrite kept it.
    Reworded,
    /// The reader prints it differently, and the rewrite did not keep it.
    Lossy,
    /// The reader prints it differently or not at all, and restored nothing that would show what comes of it.
    Differs,
    /// Another rule keeps the build from the rule's table.
    Incompatible,
    /// The rule is the other backend's.
    Invisible,
    /// A signal ended the build.
    Crashed,
    /// The build was still running when its time was up.
    TimedOut,
    // rewrite, sync
    /// The kernel holds the same rule as before.
    Kept,
    /// The kernel does not hold the same rule any more.
    Changed,
    /// The reader's restore refused what the reader had saved.
    Unrestorable,
    /// The reader printed no such table, so it restored none; the kernel still holds the rule.
    NothingToRestore,
    // recognition
    /// After the rewrite the writer prints it as before.
    Recognised,
    /// After the rewrite the writer prints it differently, or not at all.
    Misread,
    /// After the rewrite the writer cannot print its table.
    Unreadable,
    // cycle
    /// However often both rewrite, the kernel holds the same rule.
    Stable,
    /// As both go on rewriting, the kernel's rule becomes another, or the chain gets more rules.
    Drifts,
    // check
    /// The reader's `-C` finds the rule.
    Found,
    /// The reader's `-C` does not find the rule that is there.
    NotFound,
    /// The reader's `-C` finds a rule that is not there.
    FoundWrong,
    // delete
    /// The reader's `-D` deleted the rule.
    Deleted,
    /// The reader's `-D` left the rule where it is.
    NotDeleted,
    /// The reader's `-D` deleted another rule.
    WrongRule,
    // detect
    /// The reader looked which backend is in use and takes the other one: this pairing does not come about.
    Averted,
    // reassert
    /// The kernel holds the rule under both backends.
    Doubled,
}

impl Verdict {
    /// Every verdict, the least first.
    pub const ALL: [Verdict; 29] = [
        Verdict::Faithful,
        Verdict::Same,
        Verdict::Kept,
        Verdict::Recognised,
        Verdict::Stable,
        Verdict::Found,
        Verdict::Deleted,
        Verdict::Averted,
        Verdict::Misprinted,
        Verdict::Reworded,
        Verdict::Differs,
        Verdict::Doubled,
        Verdict::Invisible,
        Verdict::Unsupported,
        Verdict::Refused,
        Verdict::Incompatible,
        Verdict::NothingToRestore,
        Verdict::Unrestorable,
        Verdict::TimedOut,
        Verdict::Crashed,
        Verdict::NotFound,
        Verdict::NotDeleted,
        Verdict::Misread,
        Verdict::Unreadable,
        Verdict::Drifts,
        Verdict::Changed,
        Verdict::Lossy,
        Verdict::FoundWrong,
        Verdict::WrongRule,
    ];

    /// How bad it is. What stays silent outranks what is loud; 0 is no harm at all.
    pub fn severity(self) -> u8 {
        match self {
            Verdict::Faithful
            | Verdict::Same
            | Verdict::Kept
            | Verdict::Recognised
            | Verdict::Stable
            | Verdict::Found
            | Verdict::Deleted
            | Verdict::Averted
            | Verdict::Misprinted => 0,
            Verdict::Reworded => 1,
            Verdict::Differs => 2,
            Verdict::Doubled => 3,
            Verdict::Invisible => 4,
            Verdict::Unsupported => 5,
            Verdict::Refused | Verdict::Incompatible | Verdict::NothingToRestore => 6,
            Verdict::Unrestorable => 7,
            Verdict::TimedOut => 8,
            Verdict::Crashed => 9,
            Verdict::NotFound | Verdict::NotDeleted => 10,
            Verdict::Misread | Verdict::Unreadable => 11,
            Verdict::Drifts => 12,
            Verdict::Changed => 13,
            Verdict::Lossy => 14,
            Verdict::FoundWrong => 15,
            Verdict::WrongRule => 16,
        }
    }

    /// Whether damage is done that nobody is told about.
    pub fn is_silent_damage(self) -> bool {
        self.severity() >= Verdict::Drifts.severity()
    }

    /// The operations that may come to it, any one of them.
    pub fn comes_of(self) -> &'static [Operation] {
        match self {
            Verdict::Faithful | Verdict::Misprinted => &[Operation::Write],
            Verdict::Refused
            | Verdict::Incompatible
            | Verdict::Unsupported
            | Verdict::Same
            | Verdict::Differs
            | Verdict::Invisible
            | Verdict::Crashed
            | Verdict::TimedOut
            | Verdict::Averted => &[Operation::Save],
            Verdict::Reworded | Verdict::Lossy => &[Operation::Rewrite],
            Verdict::Kept
            | Verdict::Changed
            | Verdict::Unrestorable
            | Verdict::NothingToRestore => {
                &[Operation::Rewrite, Operation::Sync, Operation::SyncNoflush]
            }
            Verdict::Recognised | Verdict::Misread | Verdict::Unreadable => {
                &[Operation::Recognition]
            }
            Verdict::Stable | Verdict::Drifts => &[Operation::Cycle],
            Verdict::Found | Verdict::NotFound | Verdict::FoundWrong => &[Operation::Check],
            Verdict::Deleted | Verdict::NotDeleted | Verdict::WrongRule => &[Operation::Delete],
            Verdict::Doubled => &[Operation::Reassert],
        }
    }

    /// The word that every format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Faithful => "faithful",
            Verdict::Misprinted => "misprinted",
            Verdict::Refused => "refused",
            Verdict::Unsupported => "unsupported",
            Verdict::Same => "same",
            Verdict::Reworded => "reworded",
            Verdict::Lossy => "lossy",
            Verdict::Differs => "differs",
            Verdict::Incompatible => "incompatible",
            Verdict::Invisible => "invisible",
            Verdict::Crashed => "crashed",
            Verdict::TimedOut => "timed-out",
            Verdict::Kept => "kept",
            Verdict::Changed => "changed",
            Verdict::Unrestorable => "unrestorable",
            Verdict::NothingToRestore => "nothing-to-restore",
            Verdict::Recognised => "recognised",
            Verdict::Misread => "misread",
            Verdict::Unreadable => "unreadable",
            Verdict::Stable => "stable",
            Verdict::Drifts => "drifts",
            Verdict::Found => "found",
            Verdict::NotFound => "not-found",
            Verdict::FoundWrong => "found-wrong",
            Verdict::Deleted => "deleted",
            Verdict::NotDeleted => "not-deleted",
            Verdict::WrongRule => "wrong-rule",
            Verdict::Doubled => "doubled",
            Verdict::Averted => "averted",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of a packet after a reader changed the rules, beside what became of it before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The same.
    AsBefore,
    /// It arrives elsewhere, or from another address.
    Rerouted,
    /// It was not answered before, and is now.
    Passed,
    /// It was answered before, and is not any more.
    Dropped,
}

impl Effect {
    /// The word that every format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::AsBefore => "as-before",
            Effect::Rerouted => "rerouted",
            Effect::Passed => "passed",
            Effect::Dropped => "dropped",
        }
    }

    /// What it is called where rules are to blame for it; none where nothing changed.
    pub fn consequence(self) -> Option<Consequence> {
        match self {
            Effect::AsBefore => None,
            Effect::Rerouted => Some(Consequence::Misdirected),
            Effect::Passed => Some(Consequence::Exposure),
            Effect::Dropped => Some(Consequence::Blackhole),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a loss does to packets.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// Packets are treated otherwise, neither plainly dropped nor plainly let through.
    Misdirected,
    /// Packets that were dropped are let through.
    Exposure,
    /// Packets that were let through are dropped.
    Blackhole,
}

impl Consequence {
    /// The operations that may come to it, any one of them: those that change the kernel's rules.
    pub fn comes_of(self) -> &'static [Operation] {
        &[
            Operation::Rewrite,
            Operation::Cycle,
            Operation::Sync,
            Operation::SyncNoflush,
        ]
    }

    /// The word that every format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Consequence::Misdirected => "misdirected",
            Consequence::Exposure => "exposure",
            Consequence::Blackhole => "blackhole",
        }
    }
}

/// What a loss does to packets, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// What it does.
    pub what: Consequence,
    /// Whether packets fared so; else the rules predict it.
    pub confirmed: bool,
}

impl From<Consequence> for Impact {
    /// As the rules predict it.
    fn from(what: Consequence) -> Self {
        Impact {
            what,
            confirmed: false,
        }
    }
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
