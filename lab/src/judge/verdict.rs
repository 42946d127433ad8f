//! What the judge can conclude, and how bad each is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A verdict about a rule, a chain or a table.
///
/// What a report does with each is a `match` without a catch-all: a new verdict does not compile until every report
/// has an answer for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The reader prints it differently, and no rewrite was run.
    Differs,
    /// The reader prints the table, but not the rule.
    Absent,
    /// The rule is the other backend's.
    Invisible,
    /// A signal ended the build.
    Crashed,
    /// The build was still running when its time was up.
    TimedOut,
    /// Which of the printed rules it is cannot be told: several fit equally well.
    Ambiguous,
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
    /// After the rewrite the writer prints it differently.
    Misread,
    /// After the rewrite the writer does not print it.
    Unseen,
    /// After the rewrite the writer cannot print its table.
    Unreadable,
}

impl Verdict {
    /// Every verdict, the least first.
    pub const ALL: [Verdict; 21] = [
        Verdict::Faithful,
        Verdict::Same,
        Verdict::Kept,
        Verdict::Recognised,
        Verdict::Misprinted,
        Verdict::Reworded,
        Verdict::Differs,
        Verdict::Invisible,
        Verdict::Unsupported,
        Verdict::Refused,
        Verdict::NothingToRestore,
        Verdict::Unrestorable,
        Verdict::TimedOut,
        Verdict::Crashed,
        Verdict::Misread,
        Verdict::Unseen,
        Verdict::Unreadable,
        Verdict::Ambiguous,
        Verdict::Absent,
        Verdict::Changed,
        Verdict::Lossy,
    ];

    /// How bad it is. What stays silent outranks what is loud; 0 is no harm at all.
    pub fn severity(self) -> u8 {
        match self {
            Verdict::Faithful
            | Verdict::Same
            | Verdict::Kept
            | Verdict::Recognised
            | Verdict::Misprinted => 0,
            Verdict::Reworded => 1,
            Verdict::Differs => 2,
            Verdict::Invisible => 3,
            Verdict::Unsupported => 4,
            Verdict::Refused | Verdict::NothingToRestore => 5,
            Verdict::Unrestorable => 6,
            Verdict::TimedOut => 7,
            Verdict::Crashed => 8,
            Verdict::Misread | Verdict::Unseen | Verdict::Unreadable => 9,
            Verdict::Ambiguous => 10,
            Verdict::Absent => 11,
            Verdict::Changed => 12,
            Verdict::Lossy => 13,
        }
    }

    /// What a difference in print comes to, given what the rewrite made of the rule.
    pub fn of_difference(rewrite: Verdict) -> Verdict {
        match rewrite {
            Verdict::Kept => Verdict::Reworded,
            Verdict::Changed => Verdict::Lossy,
            _ => Verdict::Differs,
        }
    }

    /// Whether damage is done that nobody is told about.
    pub fn is_silent_damage(self) -> bool {
        self.severity() >= Verdict::Absent.severity()
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
            Verdict::Absent => "absent",
            Verdict::Invisible => "invisible",
            Verdict::Crashed => "crashed",
            Verdict::TimedOut => "timed-out",
            Verdict::Ambiguous => "ambiguous",
            Verdict::Kept => "kept",
            Verdict::Changed => "changed",
            Verdict::Unrestorable => "unrestorable",
            Verdict::NothingToRestore => "nothing-to-restore",
            Verdict::Recognised => "recognised",
            Verdict::Misread => "misread",
            Verdict::Unseen => "unseen",
            Verdict::Unreadable => "unreadable",
        }
    }

    /// What it means, in half a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Verdict::Faithful => "writer and witness print it alike",
            Verdict::Misprinted => "writer and witness print it differently",
            Verdict::Refused => "refused, loudly",
            Verdict::Unsupported => "the kernel or the build lacks what it takes",
            Verdict::Same => "printed and kept as it was",
            Verdict::Reworded => "printed differently, kept",
            Verdict::Lossy => "printed differently, and not kept",
            Verdict::Differs => "printed differently; no rewrite was run",
            Verdict::Absent => "left out of the print, without a word",
            Verdict::Invisible => "the other backend's: not seen, not touched",
            Verdict::Crashed => "the build dies",
            Verdict::TimedOut => "the build hangs",
            Verdict::Ambiguous => "which of several alike rules it is cannot be told",
            Verdict::Kept => "the kernel holds the same rule",
            Verdict::Changed => "the kernel does not hold the same rule any more",
            Verdict::Unrestorable => "the reader refuses its own print",
            Verdict::NothingToRestore => "not printed, so not restored",
            Verdict::Recognised => "the writer still knows it",
            Verdict::Misread => "after the rewrite its writer reads it differently",
            Verdict::Unseen => "after the rewrite its writer does not see it any more",
            Verdict::Unreadable => "after the rewrite its writer cannot read its table any more",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a loss does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The word that every format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Consequence::Misdirected => "misdirected",
            Consequence::Exposure => "exposure",
            Consequence::Blackhole => "blackhole",
        }
    }

    /// What it means, in half a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Consequence::Misdirected => "packets are treated otherwise than the rule says",
            Consequence::Exposure => "packets that the rules kept out are let through",
            Consequence::Blackhole => "packets that the rules let through are dropped",
        }
    }
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
