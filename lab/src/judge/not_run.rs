//! Why an operation that was asked for has no verdict about a rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reading::Reading;
use super::{Pairing, RuleVerdict};
use crate::plan::Operation;

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
    /// nft wrote the rule, and no iptables is asked for a rule in nft's words.
    WrittenByNft,
}

impl NotRun {
    /// Every reason.
    pub const ALL: [NotRun; 9] = [
        NotRun::NotWritten,
        NotRun::Averted,
        NotRun::NotSampled,
        NotRun::NoWitness,
        NotRun::NotPrinted,
        NotRun::NothingRestored,
        NotRun::OtherBackend,
        NotRun::SameBackend,
        NotRun::WrittenByNft,
    ];

    /// Whether it leaves something untested that another run could test.
    pub fn is_gap(self) -> bool {
        matches!(self, NotRun::NotSampled)
    }
}

impl<'a> Pairing<'a> {
    /// Gives each operation that was asked for, and has no verdict about the rule, its reason.
    pub(super) fn note_not_run(&self, reading: Option<&Reading<'a>>, verdict: &mut RuleVerdict) {
        let asked = self.case.operations.iter().copied();
        for operation in asked.filter(|of| *of != Operation::Effect) {
            let is_known = verdict.operations.of(operation).is_some_and(|of| {
                of.verdict.is_some() || of.as_run.is_some() || of.not_run.is_some()
            });
            if !is_known {
                let why = self.why_not_run(operation, reading, verdict);
                verdict.operations.not_run(operation, why);
            }
        }
    }

    /// A rule that nobody read, because it could not be written.
    pub(super) fn not_written(&self, mut verdict: RuleVerdict) -> RuleVerdict {
        self.note_not_run(None, &mut verdict);
        verdict
    }

    fn why_not_run(
        &self,
        operation: Operation,
        reading: Option<&Reading<'a>>,
        verdict: &RuleVerdict,
    ) -> NotRun {
        let is_restored = reading.is_some_and(|of| of.rewrite.is_some());
        match operation {
            _ if reading.is_none() => NotRun::NotWritten,
            Operation::Reassert if !self.crossed => NotRun::SameBackend,
            Operation::Write if !self.witness_speaks_like_writer() => NotRun::WrittenByNft,
            _ if !self.suits(operation) => NotRun::WrittenByNft,
            Operation::Write if verdict.written.is_none() => NotRun::NotPrinted,
            Operation::Write => NotRun::NoWitness,
            Operation::Cycle | Operation::Check | Operation::Delete | Operation::List
                if self.crossed =>
            {
                NotRun::OtherBackend
            }
            Operation::Recognition if is_restored => NotRun::NotPrinted,
            Operation::Save
            | Operation::List
            | Operation::Rewrite
            | Operation::Recognition
            | Operation::Cycle
            | Operation::Sync
            | Operation::SyncNoflush
            | Operation::Check
            | Operation::Delete
            | Operation::Reassert
            | Operation::Effect => NotRun::NothingRestored,
        }
    }
}
