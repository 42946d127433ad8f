//! What each operation came to: a map by operation, in which no operation has a verdict that is another's.

use std::sync::Arc;

use super::verdict::Verdict;
use super::{AsRun, NotRun};
use crate::plan::Operation;

/// An enum of the verdicts that an operation can come to.
macro_rules! verdicts {
    ($(#[$doc:meta])* $name:ident: $($verdict:ident),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("[`Verdict::", stringify!($verdict), "`]")]
                $verdict,
            )+
        }

        impl From<$name> for Verdict {
            fn from(of: $name) -> Verdict {
                match of {
                    $($name::$verdict => Verdict::$verdict,)+
                }
            }
        }

        impl $name {
            fn new(verdict: Verdict) -> Option<Self> {
                match verdict {
                    $(Verdict::$verdict => Some($name::$verdict),)+
                    _ => None,
                }
            }
        }
    };
}

verdicts!(
    /// Of writing.
    WriteVerdict: Faithful, Misprinted, Refused, Unsupported, Crashed, TimedOut,
);
verdicts!(
    /// Of printing: save and list.
    PrintVerdict: Same, Reworded, Lossy, Differs, Refused, Invisible, Unsupported, Crashed, TimedOut,
);
verdicts!(
    /// Of restoring what was printed: rewrite and both syncs.
    RestoreVerdict: Kept, Changed, Unrestorable, NothingToRestore,
);
verdicts!(
    /// Of the writer's print after the rewrite.
    RecognitionVerdict: Recognised, Misread, Unreadable,
);
verdicts!(
    /// Of rewriting in turn.
    CycleVerdict: Stable, Drifts,
);
verdicts!(
    /// Of `-C`.
    CheckVerdict: Found, NotFound, FoundWrong, Unsupported, Crashed, TimedOut,
);
verdicts!(
    /// Of `-D`.
    DeleteVerdict: Deleted, NotDeleted, WrongRule, Unsupported, Crashed, TimedOut,
);
verdicts!(
    /// Of writing the rules under the other backend.
    ReassertVerdict: Doubled, Changed, Refused,
);

impl PrintVerdict {
    /// What a difference in print comes to, given what the rewrite made of the rule; none where nothing was rewritten.
    pub fn of_difference(rewrite: Option<RestoreVerdict>) -> Self {
        match rewrite {
            Some(RestoreVerdict::Kept) => PrintVerdict::Reworded,
            Some(RestoreVerdict::Changed) => PrintVerdict::Lossy,
            Some(RestoreVerdict::Unrestorable | RestoreVerdict::NothingToRestore) | None => {
                PrintVerdict::Differs
            }
        }
    }
}

/// An operation, and a verdict that it can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// [`Operation::Write`]
    Write(WriteVerdict),
    /// [`Operation::Save`]
    Save(PrintVerdict),
    /// [`Operation::List`]
    List(PrintVerdict),
    /// [`Operation::Rewrite`]
    Rewrite(RestoreVerdict),
    /// [`Operation::Recognition`]
    Recognition(RecognitionVerdict),
    /// [`Operation::Cycle`]
    Cycle(CycleVerdict),
    /// [`Operation::Sync`]
    Sync(RestoreVerdict),
    /// [`Operation::SyncNoflush`]
    SyncNoflush(RestoreVerdict),
    /// [`Operation::Check`]
    Check(CheckVerdict),
    /// [`Operation::Delete`]
    Delete(DeleteVerdict),
    /// [`Operation::Reassert`]
    Reassert(ReassertVerdict),
}

impl Answer {
    /// What `operation` came to; none where it cannot come to that.
    pub fn new(operation: Operation, verdict: Verdict) -> Option<Self> {
        Some(match operation {
            Operation::Write => Answer::Write(WriteVerdict::new(verdict)?),
            Operation::Save => Answer::Save(PrintVerdict::new(verdict)?),
            Operation::List => Answer::List(PrintVerdict::new(verdict)?),
            Operation::Rewrite => Answer::Rewrite(RestoreVerdict::new(verdict)?),
            Operation::Recognition => Answer::Recognition(RecognitionVerdict::new(verdict)?),
            Operation::Cycle => Answer::Cycle(CycleVerdict::new(verdict)?),
            Operation::Sync => Answer::Sync(RestoreVerdict::new(verdict)?),
            Operation::SyncNoflush => Answer::SyncNoflush(RestoreVerdict::new(verdict)?),
            Operation::Check => Answer::Check(CheckVerdict::new(verdict)?),
            Operation::Delete => Answer::Delete(DeleteVerdict::new(verdict)?),
            Operation::Reassert => Answer::Reassert(ReassertVerdict::new(verdict)?),
            // Packets are no rule's.
            Operation::Effect => return None,
        })
    }

    /// Which operation it is of.
    pub fn operation(self) -> Operation {
        match self {
            Answer::Write(_) => Operation::Write,
            Answer::Save(_) => Operation::Save,
            Answer::List(_) => Operation::List,
            Answer::Rewrite(_) => Operation::Rewrite,
            Answer::Recognition(_) => Operation::Recognition,
            Answer::Cycle(_) => Operation::Cycle,
            Answer::Sync(_) => Operation::Sync,
            Answer::SyncNoflush(_) => Operation::SyncNoflush,
            Answer::Check(_) => Operation::Check,
            Answer::Delete(_) => Operation::Delete,
            Answer::Reassert(_) => Operation::Reassert,
        }
    }

    /// The verdict.
    pub fn verdict(self) -> Verdict {
        match self {
            Answer::Write(verdict) => verdict.into(),
            Answer::Save(verdict) | Answer::List(verdict) => verdict.into(),
            Answer::Rewrite(verdict) | Answer::Sync(verdict) | Answer::SyncNoflush(verdict) => {
                verdict.into()
            }
            Answer::Recognition(verdict) => verdict.into(),
            Answer::Cycle(verdict) => verdict.into(),
            Answer::Check(verdict) => verdict.into(),
            Answer::Delete(verdict) => verdict.into(),
            Answer::Reassert(verdict) => verdict.into(),
        }
    }
}

/// What an operation came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The verdict; none where the operation was not done, or says nothing: `reason` says why.
    pub verdict: Option<Verdict>,
    /// Why, where a verdict needs saying so: what a build said, or what could not be told.
    pub reason: Option<Arc<str>>,
    /// Why there is no verdict, where the operation was asked for.
    pub not_run: Option<NotRun>,
    /// What came of it as it was run on all rules, where others of them are at fault for that: the verdict then says what
    /// becomes of the rule without those.
    pub as_run: Option<AsRun>,
}

/// What each operation came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcomes([Option<Outcome>; Operation::ALL.len()]);

impl Outcomes {
    /// The verdict about an operation; none where it has none.
    pub fn verdict(&self, operation: Operation) -> Option<Verdict> {
        self.of(operation)?.verdict
    }

    /// What came of a rewrite or a sync; none where it was not done.
    pub fn restored(&self, operation: Operation) -> Option<RestoreVerdict> {
        RestoreVerdict::new(self.verdict(operation)?)
    }

    /// What an operation came to; none where nothing is known of it.
    pub fn of(&self, operation: Operation) -> Option<&Outcome> {
        self.0[operation as usize].as_ref()
    }

    /// All that something is known of, in the order of the operations.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, &Outcome)> {
        let all = Operation::ALL.into_iter().zip(&self.0);
        all.filter_map(|(operation, outcome)| Some((operation, outcome.as_ref()?)))
    }

    /// The verdicts, in the order of the operations.
    pub fn verdicts(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        self.iter()
            .filter_map(|(operation, outcome)| Some((operation, outcome.verdict?)))
    }

    /// Another verdict about an operation, with the reason that is there.
    pub fn set(&mut self, answer: Answer) {
        let outcome = self.0[answer.operation() as usize].get_or_insert_default();
        outcome.verdict = Some(answer.verdict());
    }

    /// A verdict about an operation, and why.
    pub fn set_because(&mut self, answer: Answer, reason: Option<Arc<str>>) {
        let outcome = self.0[answer.operation() as usize].get_or_insert_default();
        outcome.verdict = Some(answer.verdict());
        outcome.reason = reason;
    }

    /// Why an operation has its verdict, or has none.
    pub fn explain(&mut self, operation: Operation, reason: Arc<str>) {
        let outcome = self.0[operation as usize].get_or_insert_default();
        outcome.reason = Some(reason);
    }

    /// Why an operation that was asked for has no verdict.
    pub fn not_run(&mut self, operation: Operation, why: NotRun) {
        let outcome = self.0[operation as usize].get_or_insert_default();
        outcome.not_run = Some(why);
    }

    /// What came of an operation as it was run on all rules.
    pub fn run_as(&mut self, operation: Operation, as_run: AsRun) {
        let outcome = self.0[operation as usize].get_or_insert_default();
        outcome.as_run = Some(as_run);
    }

    /// What came of an operation as it was run on all rules, where others are at fault for it.
    pub fn as_run(&self, operation: Operation) -> Option<&AsRun> {
        self.of(operation)?.as_run.as_ref()
    }

    /// Forgets what an operation came to.
    pub fn remove(&mut self, operation: Operation) {
        self.0[operation as usize] = None;
    }

    /// The first reason of `operations`, in that order.
    pub fn reason(&self, operations: &[Operation]) -> Option<&Arc<str>> {
        let mut reasons = operations.iter().filter_map(|of| self.of(*of));
        reasons.find_map(|outcome| outcome.reason.as_ref())
    }
}

impl FromIterator<Answer> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Answer>>(answers: I) -> Self {
        let mut outcomes = Outcomes::default();
        for answer in answers {
            outcomes.set(answer);
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_operations_verdict_and_no_other() {
        let mut possible = 0;
        for operation in Operation::ALL {
            for verdict in Verdict::ALL {
                if let Some(answer) = Answer::new(operation, verdict) {
                    assert_eq!((answer.operation(), answer.verdict()), (operation, verdict));
                    possible += 1;
                }
            }
        }
        assert!(possible < Operation::ALL.len() * Verdict::ALL.len() / 4);
        assert_eq!(Answer::new(Operation::Save, Verdict::Kept), None);
    }

    /// But for what is said of a whole cell, and what is another rule's doing.
    #[test]
    fn every_verdict_is_of_an_operation() {
        for verdict in Verdict::ALL {
            let mut all = Operation::ALL.into_iter();
            let is_of_one = all.any(|operation| Answer::new(operation, verdict).is_some());
            let is_of_others = [Verdict::Averted, Verdict::Incompatible].contains(&verdict);
            assert_eq!(is_of_one, !is_of_others, "{verdict}");
        }
    }

    #[test]
    fn operations_are_numbered_in_their_order() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
    }
}
