//! What a cause is told by.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::judge::verdict::Verdict;
use crate::matrix::How;
use crate::plan::Operation;

/// What a cause is told by. Two losses with the same signature have the same cause.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Signature {
    /// The program that decodes: `iptables-nft`.
    pub decoder: String,
    /// What it makes of what it reads.
    pub effect: Effect,
    /// The kernel's expressions that it reads so, without values: `meta mark; bitwise; cmp`. Empty where it is no expression's doing;
    /// the name of the part where the kernel has none for it.
    pub encoded: String,
    /// How it encodes the same itself.
    pub own: Own,
}

/// What a decoder makes of what it reads.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It leaves the part out.
    Dropped,
    /// It takes it for another value.
    Altered,
    /// It sees a part that is not there.
    Added,
    /// It takes the rule for another one, or for none.
    Replaced,
    /// It refuses the rule, or the whole table because of it.
    Refused,
    /// It dies.
    Crashes,
    /// It never ends.
    Hangs,
    /// It cannot load what it printed.
    Unrestorable,
    /// It cannot load a part of what it printed without a flush.
    UnrestorableNoflush,
    /// `-C` or `-D` takes another rule for it.
    HitsAnother,
    /// `-C` or `-D` does not find it.
    Misses,
    /// It writes the rule once more under another backend.
    Doubled,
}

/// How a decoder encodes itself what it reads otherwise.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Own {
    /// Otherwise: as these expressions.
    As(String),
    /// As the same expressions, in another order.
    InAnotherOrder,
    /// It does the same to what it wrote itself: the fault is its own, whoever encoded the rule.
    Itself,
    /// It is not known, or it has no words for such a rule.
    Unknown,
}

/// The name of a cause that follows from its signature: `c` and eight hexadecimal digits.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct CauseId(String);

impl CauseId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Signature {
    /// Its name.
    pub fn id(&self) -> CauseId {
        let digest = Sha256::digest(self.to_string());
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| digest[at]);
        CauseId(format!("c{a:02x}{b:02x}{c:02x}{d:02x}"))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (decoder, effect, encoded) = (&self.decoder, self.effect, &self.encoded);
        write!(f, "{decoder} {effect} [{encoded}]")?;
        match &self.own {
            Own::As(own) => write!(f, " beside [{own}]"),
            Own::InAnotherOrder => f.write_str(" in another order"),
            Own::Itself => f.write_str(" of its own, too"),
            Own::Unknown => Ok(()),
        }
    }
}

impl Effect {
    /// What becomes of a part, or of a rule as a whole by an operation.
    pub fn of(how: How, operation: Operation) -> Self {
        match how {
            How::Lost => Effect::Dropped,
            How::Altered => Effect::Altered,
            How::Added => Effect::Added,
            How::Whole(verdict) => match verdict {
                Verdict::Refused
                | Verdict::Incompatible
                | Verdict::Unreadable
                | Verdict::NothingToRestore => Effect::Refused,
                Verdict::Crashed => Effect::Crashes,
                Verdict::TimedOut => Effect::Hangs,
                Verdict::Unrestorable if operation == Operation::SyncNoflush => {
                    Effect::UnrestorableNoflush
                }
                Verdict::Unrestorable => Effect::Unrestorable,
                Verdict::FoundWrong | Verdict::WrongRule => Effect::HitsAnother,
                Verdict::NotFound | Verdict::NotDeleted => Effect::Misses,
                Verdict::Doubled => Effect::Doubled,
                _ => Effect::Replaced,
            },
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Dropped => "drops",
            Effect::Altered => "alters",
            Effect::Added => "adds",
            Effect::Replaced => "replaces",
            Effect::Refused => "refuses",
            Effect::Crashes => "dies of",
            Effect::Hangs => "hangs on",
            Effect::Unrestorable => "cannot restore",
            Effect::UnrestorableNoflush => "cannot restore without a flush",
            Effect::HitsAnother => "takes another rule for",
            Effect::Misses => "does not find",
            Effect::Doubled => "writes once more",
        }
    }

    /// Whether a part of a rule suffers, and not all of it.
    pub fn is_of_part(self) -> bool {
        matches!(self, Effect::Dropped | Effect::Altered | Effect::Added)
    }

    /// Whether the rule is not read at all, or is read as another one.
    pub fn is_of_whole_reading(self) -> bool {
        matches!(
            self,
            Effect::Refused | Effect::Crashes | Effect::Hangs | Effect::Replaced
        )
    }

    /// Whether one rule brings it upon others of its table.
    pub fn spreads(self) -> bool {
        matches!(
            self,
            Effect::Refused
                | Effect::Crashes
                | Effect::Hangs
                | Effect::Unrestorable
                | Effect::UnrestorableNoflush
                | Effect::Replaced
        )
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
