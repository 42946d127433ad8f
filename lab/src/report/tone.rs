//! How grave a verdict looks, in every format that has colours.

use crate::judge::verdict::Verdict;

/// A group of verdicts that look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Nothing is lost.
    Fine,
    /// It is printed otherwise, and kept.
    Note,
    /// Writer and reader do not meet.
    Aside,
    /// It goes wrong, and says so.
    Loud,
    /// It goes wrong later, or for someone else.
    Later,
    /// Damage is done, and nobody is told.
    Silent,
}

impl Tone {
    /// The tone of a verdict.
    pub fn of(verdict: Verdict) -> Tone {
        match verdict {
            Verdict::Faithful
            | Verdict::Same
            | Verdict::Kept
            | Verdict::Recognised
            | Verdict::Stable
            | Verdict::Found
            | Verdict::Deleted => Tone::Fine,
            Verdict::Misprinted | Verdict::Reworded | Verdict::Differs => Tone::Note,
            Verdict::Invisible | Verdict::Doubled | Verdict::Averted => Tone::Aside,
            Verdict::Unsupported
            | Verdict::Refused
            | Verdict::Incompatible
            | Verdict::NothingToRestore
            | Verdict::Unrestorable
            | Verdict::TimedOut
            | Verdict::Crashed => Tone::Loud,
            Verdict::NotFound | Verdict::NotDeleted | Verdict::Misread | Verdict::Unreadable => {
                Tone::Later
            }
            Verdict::Drifts
            | Verdict::Changed
            | Verdict::Lossy
            | Verdict::FoundWrong
            | Verdict::WrongRule => Tone::Silent,
        }
    }

    /// The word that style sheets use.
    pub fn as_str(self) -> &'static str {
        match self {
            Tone::Fine => "fine",
            Tone::Note => "note",
            Tone::Aside => "aside",
            Tone::Loud => "loud",
            Tone::Later => "later",
            Tone::Silent => "silent",
        }
    }
}
