//! Why an operation that was asked for has no verdict about a rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why an operation that was asked for has no verdict about a rule.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NotRun {
    /// The rule could not be written.
    NotWritten,
    /// The reader looked which backend is in use, and took the other one.
    Averted,
    /// Of a large ruleset only some rules were asked for.
    NotSampled,
    /// There is no other build of the backend that could print the rule a second time.
    NoWitness,
    /// The writer itself does not print the rule.
    NotPrinted,
    /// The reader could not print or restore, so nothing came after that.
    NothingRestored,
    /// The rule is in the other backend's tables, where the reader does not look.
    OtherBackend,
    /// Only a reader of the other backend writes rules anew that it does not find.
    SameBackend,
    /// The rule is of a bystander's layer, and a reader writes the writer's anew.
    OtherLayer,
    /// The rule is in another tool's words than the reader's, or than the witness's.
    OtherWords,
    /// The reader's tool has no command for that.
    NoCommand,
}

impl NotRun {
    /// Every reason.
    pub const ALL: [NotRun; 11] = [
        NotRun::NotWritten,
        NotRun::Averted,
        NotRun::NotSampled,
        NotRun::NoWitness,
        NotRun::NotPrinted,
        NotRun::NothingRestored,
        NotRun::OtherBackend,
        NotRun::SameBackend,
        NotRun::OtherLayer,
        NotRun::OtherWords,
        NotRun::NoCommand,
    ];

    /// Whether it leaves something untested that another run could test.
    pub fn is_gap(self) -> bool {
        matches!(self, NotRun::NotSampled)
    }
}
