//! Operations that were asked for and have no verdict about a rule: each is given its reason.

use super::Pairing;
use super::not_run::NotRun;
use super::reading::Reading;
use super::rule_verdict::RuleVerdict;
use crate::plan::Operation;

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
            Operation::Reassert if self.layer != self.case.scenario.own_layer() => {
                NotRun::OtherLayer
            }
            Operation::Write if !self.witness_speaks_like_writer() => NotRun::OtherWords,
            _ if !self.suits(operation) && self.speak_alike() => NotRun::NoCommand,
            _ if !self.suits(operation) => NotRun::OtherWords,
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
