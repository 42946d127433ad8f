//! What is known of a writer and a reader: whether they may live side by side.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::member::Member;
use super::published::{Caused, Damage, Published, Tested, Untested};
use crate::catalog::Backend;
use crate::judge::verdict::Verdict;
use crate::matrix::{Certainty, Harm};
use crate::plan::Operation;

/// What is known of a writer and a reader; the mildest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// All was tested, and no rule was lost or changed.
    Safe,
    /// What was tested is safe, and something was not tested.
    SafeAsTested,
    /// Nothing was tested that would tell.
    NotTested,
    /// They use different backends: neither sees the other's rules, and packets meet the rules of both.
    TwoBackends,
    /// Rules are lost or changed, or a program fails.
    Unsafe,
}

impl Safety {
    /// All of them, the mildest first.
    pub const ALL: [Safety; 5] = [
        Safety::Safe,
        Safety::SafeAsTested,
        Safety::NotTested,
        Safety::TwoBackends,
        Safety::Unsafe,
    ];

    /// The word that every format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Safety::Safe => "safe",
            Safety::SafeAsTested => "safe-as-tested",
            Safety::NotTested => "not-tested",
            Safety::TwoBackends => "two-backends",
            Safety::Unsafe => "unsafe",
        }
    }
}

/// A rule or a chain that comes to harm, and the worst of what the reader's way of changing rules does to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The rule or the chain.
    pub damage: &'a Damage,
    /// The worst.
    pub harm: Harm,
    /// What it is in the report: who encoded and who decoded, and the causes.
    pub of: &'a Caused,
}

/// A writer and a reader, and what is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Who writes, by its place among the members.
    pub writer: usize,
    /// Who reads.
    pub reader: usize,
    /// What is known of them, in a word.
    pub safety: Safety,
    /// In which scenarios they were run.
    pub scenarios: BTreeSet<&'a str>,
    /// The operations that were run and count for this reader.
    pub operations: Vec<Operation>,
    /// The operations that this reader needs and that were not run.
    pub missing: Vec<Operation>,
    /// What comes to harm.
    pub harms: Vec<Found<'a>>,
    /// What could not be tested.
    pub untested: Vec<&'a Untested>,
}

/// What is known of two members.
pub(super) fn pair<'a>(
    published: &'a Published,
    writer: &Member,
    reader: &Member,
    is_asked: impl Fn(&str) -> bool,
) -> Pair<'a> {
    let tested = published.pair(&writer.build, &reader.build, is_asked);
    let is_run = tested.is_some();
    let tested = tested.unwrap_or_default();
    let counts = |operation: &Operation| reader.changes.count(*operation);
    let needed = reader.changes.needed().iter().copied();
    let missing: Vec<Operation> = needed
        .filter(|of| !tested.operations.contains(of))
        .collect();
    let harms: Vec<Found<'_>> = tested
        .damages
        .iter()
        .filter_map(|damage| {
            let done = damage.harms.iter();
            let done = done.filter_map(|of| {
                let harm = between(&of.harm, writer.changes, reader.changes)?;
                Some((harm, of))
            });
            let (harm, of) = done.max_by_key(|(harm, _)| harm.gravity())?;
            Some(Found { damage, harm, of })
        })
        .collect();
    let untested = tested.untested.iter().copied();
    let untested: Vec<&Untested> = untested
        .filter(|of| of.operation.as_ref().is_none_or(counts))
        .collect();
    let is_nothing = !is_run
        || missing.len() == reader.changes.needed().len()
        || is_all_unwritten(&tested, &untested);
    let safety = match (harms.is_empty(), is_nothing) {
        (false, _) => Safety::Unsafe,
        _ if is_cross(writer.backend(), reader.backend()) => Safety::TwoBackends,
        (true, true) => Safety::NotTested,
        (true, false) if missing.is_empty() && untested.is_empty() => Safety::Safe,
        (true, false) => Safety::SafeAsTested,
    };
    Pair {
        writer: 0,
        reader: 0,
        safety,
        operations: tested
            .operations
            .iter()
            .copied()
            .filter(|of| counts(of))
            .collect(),
        scenarios: tested.scenarios,
        missing,
        harms,
        untested,
    }
}

/// What a harm is between a writer and a reader that change rules in these ways; none where it is none.
pub fn between(harm: &Harm, writer: Changes, reader: Changes) -> Option<Harm> {
    let is_done = reader.count(harm.operation) && harm.is_harmful();
    let harm = is_done.then(|| harm.clone())?;
    let is_misread = harm.verdict == Verdict::Misread;
    // It takes two that rewrite whole tables.
    let is_in_turn = harm.operation == Operation::Cycle;
    match writer {
        Changes::OwnChains | Changes::SingleRules if is_in_turn => None,
        Changes::WholeTable | Changes::Unknown => Some(harm),
        // It restores the rules that it wants, whatever it reads.
        Changes::OwnChains if is_misread => None,
        // It does not find its rule, and writes nothing back.
        Changes::OwnChains | Changes::SingleRules => Some(match harm.certainty {
            Certainty::IfWrittenBack => Harm {
                consequence: None,
                ..harm
            },
            _ => harm,
        }),
    }
}

pub(super) fn is_cross(writer: Backend, reader: Backend) -> bool {
    writer != reader
}

/// Whether there was no rule to lose: not one of them could be written.
fn is_all_unwritten(tested: &Tested<'_>, untested: &[&Untested]) -> bool {
    let unwritten = untested.iter().filter(|of| of.operation.is_none()).count();
    unwritten > 0 && unwritten >= tested.rules
}
