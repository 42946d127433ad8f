//! Outcomes as schema 1 of the matrix's JSON has them: a field for each operation, and one reason for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome::{Answer, Outcomes};
use super::verdict::Verdict;
use super::{AsRun, NotRun, RuleName};
use crate::plan::Operation;

/// Where the one reason of a rule is from: the first of these that has any.
pub(super) const RULE_REASONS: [Operation; 6] = [
    Operation::Write,
    Operation::Save,
    Operation::Rewrite,
    Operation::Sync,
    Operation::SyncNoflush,
    Operation::Reassert,
];

/// Where the one reason of a chain is from.
pub(super) const CHAIN_REASONS: [Operation; 4] = [
    Operation::Rewrite,
    Operation::Sync,
    Operation::SyncNoflush,
    Operation::Save,
];

/// What each operation came to for a rule.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct OfRule {
    /// Why, where a verdict needs saying so: what a build said, or what could not be told. Of a rule that could not be
    /// written: what is missing, and what its writer said.
    reason: Option<Arc<str>>,
    /// The operations that were asked for and have no verdict about this rule, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    not_run: BTreeMap<Operation, NotRun>,
    /// Of the operations whose verdict is other rules' doing: those rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    because_of: BTreeMap<Operation, Vec<RuleName>>,
    /// Of these operations: the verdict without those rules, where that is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    without_it: BTreeMap<Operation, Verdict>,
    /// What came of writing it.
    write: Option<Verdict>,
    /// What the reader's save shows of it.
    read_verdict: Option<Verdict>,
    /// What the reader's rewrite made of it.
    rewrite_verdict: Option<Verdict>,
    /// Whether the writer knows it after the rewrite.
    recognition: Option<Verdict>,
    /// What the reader's rewrite with a chain of its own made of it.
    sync: Option<Verdict>,
    /// What the reader's restore of its own chains, without a flush, made of it.
    sync_noflush: Option<Verdict>,
    /// What became of it as reader and writer went on rewriting in turn.
    cycle: Option<Verdict>,
    /// Whether the reader's `-C` finds it, and only it.
    check: Option<Verdict>,
    /// Whether the reader's `-D` deletes it.
    delete: Option<Verdict>,
    /// What the reader's `-S` and `-L` show of it: the worse of both.
    #[serde(default)]
    list: Option<Verdict>,
    /// What came of it when a reader of the other backend wrote it too.
    #[serde(default)]
    reassert: Option<Verdict>,
    /// What the reader lists otherwise than the writer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<Arc<str>>,
}

/// What each operation came to for a chain.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct OfChain {
    /// What the reader's save shows of it.
    #[serde(default)]
    read_verdict: Option<Verdict>,
    /// What the rewrite made of it.
    rewrite_verdict: Option<Verdict>,
    /// What `sync` made of it.
    sync: Option<Verdict>,
    /// What `sync-noflush` made of it.
    #[serde(default)]
    sync_noflush: Option<Verdict>,
    /// What became of it as reader and writer went on rewriting in turn.
    #[serde(default)]
    cycle: Option<Verdict>,
    /// What changed.
    reason: Option<Arc<str>>,
}

/// Sets the verdicts that there are.
///
/// # Errors
/// An operation cannot come to its verdict.
fn outcomes(
    verdicts: impl IntoIterator<Item = (Operation, Option<Verdict>)>,
) -> Result<Outcomes, String> {
    let known = verdicts.into_iter();
    let known = known.filter_map(|(operation, verdict)| Some((operation, verdict?)));
    let answers = known.map(|(operation, verdict)| {
        let impossible = || format!("`{operation}` cannot be {verdict}");
        Answer::new(operation, verdict).ok_or_else(impossible)
    });
    answers.collect()
}

/// Puts the one reason back to the first operation that needs one; where none was done, it says why nothing was written.
fn put_back(outcomes: &mut Outcomes, operations: &[Operation], reason: Option<Arc<str>>) {
    let Some(reason) = reason else { return };
    let severity = |of: &Operation| outcomes.verdict(*of).map(Verdict::severity);
    let needs_one = |of: &&Operation| severity(of).is_some_and(|severity| severity > 0);
    let has_verdict = |of: &&Operation| **of != Operation::Write && severity(of).is_some();
    let first = operations.iter().find(needs_one);
    let first = first.or_else(|| operations.iter().find(has_verdict));
    let operation = first.copied().unwrap_or(Operation::Write);
    outcomes.explain(operation, reason);
}

impl OfRule {
    fn of(outcomes: &Outcomes) -> Self {
        let verdict = |operation| {
            let as_run = outcomes.as_run(operation).map(|of| of.verdict);
            as_run.or(outcomes.verdict(operation))
        };
        let all = || outcomes.iter();
        let of_others = || all().filter_map(|(at, of)| Some((at, of, of.as_run.as_ref()?)));
        OfRule {
            reason: outcomes.reason(&RULE_REASONS).cloned(),
            not_run: all()
                .filter_map(|(at, of)| Some((at, of.not_run?)))
                .collect(),
            because_of: of_others()
                .map(|(at, _, as_run)| (at, as_run.because_of.clone()))
                .collect(),
            without_it: of_others()
                .filter_map(|(at, of, _)| Some((at, of.verdict?)))
                .collect(),
            write: verdict(Operation::Write),
            read_verdict: verdict(Operation::Save),
            rewrite_verdict: verdict(Operation::Rewrite),
            recognition: verdict(Operation::Recognition),
            sync: verdict(Operation::Sync),
            sync_noflush: verdict(Operation::SyncNoflush),
            cycle: verdict(Operation::Cycle),
            check: verdict(Operation::Check),
            delete: verdict(Operation::Delete),
            list: verdict(Operation::List),
            reassert: verdict(Operation::Reassert),
            listed: outcomes.reason(&[Operation::List]).cloned(),
        }
    }

    fn outcomes(self) -> Result<Outcomes, String> {
        let shown = [
            (Operation::Write, self.write),
            (Operation::Save, self.read_verdict),
            (Operation::Rewrite, self.rewrite_verdict),
            (Operation::Recognition, self.recognition),
            (Operation::Sync, self.sync),
            (Operation::SyncNoflush, self.sync_noflush),
            (Operation::Cycle, self.cycle),
            (Operation::Check, self.check),
            (Operation::Delete, self.delete),
            (Operation::List, self.list),
            (Operation::Reassert, self.reassert),
        ];
        let mut because_of = self.because_of;
        let without_it = &self.without_it;
        let own = shown.map(|(operation, verdict)| match because_of.get(&operation) {
            Some(_) => (operation, without_it.get(&operation).copied()),
            None => (operation, verdict),
        });
        let mut all = outcomes(own)?;
        put_back(&mut all, &RULE_REASONS, self.reason);
        if let Some(listed) = self.listed {
            all.explain(Operation::List, listed);
        }
        for (operation, verdict) in shown {
            if let Some((because_of, verdict)) = because_of.remove(&operation).zip(verdict) {
                let as_run = AsRun {
                    verdict,
                    because_of,
                };
                all.run_as(operation, as_run);
            }
        }
        for (operation, why) in self.not_run {
            all.not_run(operation, why);
        }
        Ok(all)
    }
}

impl OfChain {
    fn of(outcomes: &Outcomes) -> Self {
        let verdict = |operation| outcomes.verdict(operation);
        OfChain {
            read_verdict: verdict(Operation::Save),
            rewrite_verdict: verdict(Operation::Rewrite),
            sync: verdict(Operation::Sync),
            sync_noflush: verdict(Operation::SyncNoflush),
            cycle: verdict(Operation::Cycle),
            reason: outcomes.reason(&CHAIN_REASONS).cloned(),
        }
    }

    fn outcomes(self) -> Result<Outcomes, String> {
        let mut all = outcomes([
            (Operation::Save, self.read_verdict),
            (Operation::Rewrite, self.rewrite_verdict),
            (Operation::Sync, self.sync),
            (Operation::SyncNoflush, self.sync_noflush),
            (Operation::Cycle, self.cycle),
        ])?;
        put_back(&mut all, &CHAIN_REASONS, self.reason);
        Ok(all)
    }
}

/// A rule's outcomes, for serde.
pub mod rule {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{OfRule, Outcomes};

    /// As schema 1 has them.
    ///
    /// # Errors
    /// Where `to` cannot be written.
    pub fn serialize<S: Serializer>(outcomes: &Outcomes, to: S) -> Result<S::Ok, S::Error> {
        OfRule::of(outcomes).serialize(to)
    }

    /// From schema 1.
    ///
    /// # Errors
    /// It is not of the form, or an operation cannot come to its verdict.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Outcomes, D::Error> {
        let form = OfRule::deserialize(from)?;
        form.outcomes().map_err(serde::de::Error::custom)
    }
}

/// A chain's outcomes, for serde.
pub mod chain {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{OfChain, Outcomes};

    /// As schema 1 has them.
    ///
    /// # Errors
    /// Where `to` cannot be written.
    pub fn serialize<S: Serializer>(outcomes: &Outcomes, to: S) -> Result<S::Ok, S::Error> {
        OfChain::of(outcomes).serialize(to)
    }

    /// From schema 1.
    ///
    /// # Errors
    /// It is not of the form, or an operation cannot come to its verdict.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Outcomes, D::Error> {
        let form = OfChain::deserialize(from)?;
        form.outcomes().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::outcome::{PrintVerdict, RestoreVerdict, WriteVerdict};
    use super::*;

    /// The one reason is put back where one is needed.
    #[rstest]
    #[case::refused(&[Answer::Write(WriteVerdict::Refused)], Operation::Write)]
    #[case::of_the_print(
        &[Answer::Write(WriteVerdict::Faithful), Answer::Save(PrintVerdict::Differs)],
        Operation::Save
    )]
    #[case::of_the_restore(
        &[Answer::Save(PrintVerdict::Same), Answer::Rewrite(RestoreVerdict::Changed)],
        Operation::Rewrite
    )]
    #[case::of_another_restore(
        &[
            Answer::Save(PrintVerdict::Same),
            Answer::Rewrite(RestoreVerdict::Kept),
            Answer::SyncNoflush(RestoreVerdict::Unrestorable),
        ],
        Operation::SyncNoflush
    )]
    #[case::nothing_was_seen(&[], Operation::Write)]
    fn a_rule_is_read_back_as_it_was(#[case] answers: &[Answer], #[case] of: Operation) {
        let mut outcomes: Outcomes = answers.iter().copied().collect();
        outcomes.explain(of, "so it was said".into());
        outcomes.explain(Operation::List, "so it was listed".into());
        outcomes.not_run(Operation::Check, NotRun::NotSampled);
        assert_eq!(OfRule::of(&outcomes).outcomes(), Ok(outcomes));
    }

    #[test]
    fn what_is_another_rules_doing_is_read_back_as_it_was() {
        let mut outcomes: Outcomes = [Answer::Rewrite(RestoreVerdict::Changed)]
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
            outcomes.run_as(operation, as_run);
        }
        let form = OfRule::of(&outcomes);
        assert_eq!(form.rewrite_verdict, Some(Verdict::Incompatible));
        assert_eq!(form.without_it[&Operation::Rewrite], Verdict::Changed);
        assert_eq!(form.outcomes(), Ok(outcomes));
    }

    #[test]
    fn a_verdict_of_another_operation_is_refused() {
        let read = outcomes([(Operation::Save, Some(Verdict::Kept))]);
        assert_eq!(read, Err("`save` cannot be kept".to_owned()));
    }
}
