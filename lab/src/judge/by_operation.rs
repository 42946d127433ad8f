//! What each operation came to: a map by operation, in which no operation has a verdict that is another's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::as_run::{AsRun, RuleName};
use super::not_run::NotRun;
use super::reason::Reason;
use super::verdict::Verdict;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OperationOutcome<'a> {
    /// The verdict; none where the operation was not done, or says nothing: `reason` says why.
    pub verdict: Option<Verdict>,
    /// Why, where a verdict needs saying so: what a build said, or what could not be told.
    pub reason: Option<&'a Reason>,
    /// Why there is no verdict, where the operation was asked for.
    pub not_run: Option<NotRun>,
    /// What came of it as it was run on all rules, where others of them are at fault for that: the verdict then says what
    /// becomes of the rule without those.
    pub as_run: Option<&'a AsRun>,
}

/// What each operation came to. Every rule of every cell has one of these: what most rules have takes a byte for each
/// operation, and only what few have takes more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByOperation {
    verdicts: [Option<Verdict>; Operation::ALL.len()],
    not_run: [Option<NotRun>; Operation::ALL.len()],
    /// By operation, in their order.
    reasons: Vec<(Operation, Reason)>,
    /// By operation, in their order.
    as_run: Vec<(Operation, AsRun)>,
}

/// Puts `value` in its operation's place among those that there are, for another one where there is one.
fn put<T>(among: &mut Vec<(Operation, T)>, operation: Operation, value: T) {
    match among.binary_search_by_key(&operation, |(of, _)| *of) {
        Ok(place) => among[place].1 = value,
        Err(place) => {
            among.reserve_exact(1);
            among.insert(place, (operation, value));
        }
    }
}

/// What an operation has among those that have one.
fn get<T>(among: &[(Operation, T)], operation: Operation) -> Option<&T> {
    let place = among.binary_search_by_key(&operation, |(of, _)| *of).ok()?;
    Some(&among[place].1)
}

impl ByOperation {
    /// The verdict about an operation; none where it has none.
    pub fn verdict(&self, operation: Operation) -> Option<Verdict> {
        self.verdicts[operation as usize]
    }

    /// What came of a rewrite or a sync; none where it was not done.
    pub fn restored(&self, operation: Operation) -> Option<RestoreVerdict> {
        RestoreVerdict::new(self.verdict(operation)?)
    }

    /// What an operation came to; none where nothing is known of it.
    pub fn of(&self, operation: Operation) -> Option<OperationOutcome<'_>> {
        let outcome = OperationOutcome {
            verdict: self.verdict(operation),
            reason: get(&self.reasons, operation),
            not_run: self.not_run[operation as usize],
            as_run: self.as_run(operation),
        };
        (outcome != OperationOutcome::default()).then_some(outcome)
    }

    /// All that something is known of, in the order of the operations.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, OperationOutcome<'_>)> {
        let all = Operation::ALL.into_iter();
        all.filter_map(|operation| Some((operation, self.of(operation)?)))
    }

    /// The verdicts, in the order of the operations.
    pub fn verdicts(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        let all = Operation::ALL.into_iter().zip(self.verdicts);
        all.filter_map(|(operation, verdict)| Some((operation, verdict?)))
    }

    /// Why operations that were asked for have no verdict, in the order of the operations.
    pub fn all_not_run(&self) -> impl Iterator<Item = (Operation, NotRun)> {
        let all = Operation::ALL.into_iter().zip(self.not_run);
        all.filter_map(|(operation, why)| Some((operation, why?)))
    }

    /// What came of operations as they were run on all rules, where others are at fault for it, in the order of the operations.
    pub fn all_as_run(&self) -> impl Iterator<Item = (Operation, &AsRun)> {
        self.as_run.iter().map(|(operation, of)| (*operation, of))
    }

    /// Another verdict about an operation, with the reason that is there.
    pub fn set(&mut self, answer: Answer) {
        self.verdicts[answer.operation() as usize] = Some(answer.verdict());
    }

    /// A verdict about an operation, and why.
    pub fn set_because(&mut self, answer: Answer, reason: Option<Reason>) {
        self.set(answer);
        match reason {
            Some(reason) => self.explain(answer.operation(), reason),
            None => self.reasons.retain(|(of, _)| *of != answer.operation()),
        }
    }

    /// Why an operation has its verdict, or has none.
    pub fn explain(&mut self, operation: Operation, reason: Reason) {
        put(&mut self.reasons, operation, reason);
    }

    /// Why an operation that was asked for has no verdict.
    pub fn not_run(&mut self, operation: Operation, why: NotRun) {
        self.not_run[operation as usize] = Some(why);
    }

    /// What came of an operation as it was run on all rules.
    pub fn run_as(&mut self, operation: Operation, as_run: AsRun) {
        put(&mut self.as_run, operation, as_run);
    }

    /// What came of an operation as it was run on all rules, where others are at fault for it.
    pub fn as_run(&self, operation: Operation) -> Option<&AsRun> {
        get(&self.as_run, operation)
    }

    /// Forgets what an operation came to.
    pub fn remove(&mut self, operation: Operation) {
        self.verdicts[operation as usize] = None;
        self.not_run[operation as usize] = None;
        self.reasons.retain(|(of, _)| *of != operation);
        self.as_run.retain(|(of, _)| *of != operation);
    }

    /// The first reason of `operations`, in that order.
    pub fn reason(&self, operations: &[Operation]) -> Option<&Reason> {
        operations.iter().find_map(|of| get(&self.reasons, *of))
    }
}

/// What an operation came to, in JSON.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct OperationForm {
    /// The verdict, of the operation as it was run; null where it was not, or says nothing.
    verdict: Option<Verdict>,
    /// Why, where a verdict needs saying so: what a build said, or what could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// Why there is no verdict, where the operation was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_run: Option<NotRun>,
    /// The rules whose doing the verdict is, where it is other rules' doing; empty where it cannot be told which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    because_of: Option<Vec<RuleName>>,
    /// The verdict without those rules, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    without_it: Option<Verdict>,
}

impl From<OperationOutcome<'_>> for OperationForm {
    fn from(of: OperationOutcome<'_>) -> Self {
        OperationForm {
            verdict: of.as_run.map_or(of.verdict, |as_run| Some(as_run.verdict)),
            reason: of.reason.cloned(),
            not_run: of.not_run,
            because_of: of.as_run.map(|as_run| as_run.because_of.clone()),
            without_it: of.verdict.filter(|_| of.as_run.is_some()),
        }
    }
}

impl Serialize for ByOperation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let forms = self.iter().map(|(operation, of)| (operation, of.into()));
        to.collect_map(forms.map(|(operation, of): (Operation, OperationForm)| (operation, of)))
    }
}

impl<'de> Deserialize<'de> for ByOperation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let forms = BTreeMap::<Operation, OperationForm>::deserialize(from)?;
        ByOperation::read(forms).map_err(D::Error::custom)
    }
}

impl ByOperation {
    /// From its form in JSON.
    ///
    /// # Errors
    /// An operation cannot come to its verdict.
    fn read(forms: BTreeMap<Operation, OperationForm>) -> Result<Self, String> {
        let mut all = ByOperation::default();
        for (operation, form) in forms {
            let own = match form.because_of {
                Some(_) => form.without_it,
                None => form.verdict,
            };
            if let Some(verdict) = own {
                let impossible = || format!("`{operation}` cannot be {verdict}");
                all.set(Answer::new(operation, verdict).ok_or_else(impossible)?);
            }
            if let Some((because_of, verdict)) = form.because_of.zip(form.verdict) {
                let as_run = AsRun {
                    verdict,
                    because_of,
                };
                all.run_as(operation, as_run);
            }
            if let Some(reason) = form.reason {
                all.explain(operation, reason);
            }
            if let Some(why) = form.not_run {
                all.not_run(operation, why);
            }
        }
        Ok(all)
    }
}

impl JsonSchema for ByOperation {
    fn schema_name() -> Cow<'static, str> {
        "ByOperation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <BTreeMap<Operation, OperationForm>>::json_schema(generator)
    }
}

impl FromIterator<Answer> for ByOperation {
    fn from_iter<I: IntoIterator<Item = Answer>>(answers: I) -> Self {
        let mut outcomes = ByOperation::default();
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

    /// In JSON as it is in memory, whatever an operation came to.
    #[test]
    fn what_operations_came_to_is_read_back_as_it_was() {
        let mut all: ByOperation = [
            Answer::Save(PrintVerdict::Same),
            Answer::Rewrite(RestoreVerdict::Changed),
        ]
        .into_iter()
        .collect();
        for operation in [Operation::Rewrite, Operation::List] {
            let as_run = AsRun {
                verdict: Verdict::Incompatible,
                because_of: vec![RuleName {
                    table: "filter".into(),
                    chain: "INPUT".into(),
                    index: 2,
                }],
            };
            all.run_as(operation, as_run);
            all.explain(operation, Reason::said("so it was said"));
        }
        all.not_run(Operation::Check, NotRun::NotSampled);
        let json = serde_json::to_value(&all).expect("it has a JSON form");
        assert_eq!(json["save"], serde_json::json!({"verdict": "same"}));
        assert_eq!(json["rewrite"]["verdict"], "incompatible");
        assert_eq!(json["rewrite"]["without_it"], "changed");
        assert_eq!(json["list"]["without_it"], serde_json::Value::Null);
        assert_eq!(json["check"]["verdict"], serde_json::Value::Null);
        assert_eq!(json["check"]["not_run"], "not-sampled");
        assert_eq!(serde_json::from_value::<ByOperation>(json).ok(), Some(all));
    }

    #[test]
    fn a_verdict_of_another_operation_is_refused() {
        let read = serde_json::from_str::<ByOperation>(r#"{"save": {"verdict": "kept"}}"#);
        let error = read.expect_err("a save keeps nothing").to_string();
        assert!(error.contains("`save` cannot be kept"), "{error}");
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut all = ByOperation::default();
        all.set_because(
            Answer::Save(PrintVerdict::Refused),
            Some(Reason::said("it was said")),
        );
        all.set_because(Answer::Save(PrintVerdict::Same), None);
        assert_eq!(
            all,
            [Answer::Save(PrintVerdict::Same)].into_iter().collect()
        );
        all.remove(Operation::Save);
        assert_eq!(all, ByOperation::default());
    }
}
