//! What each operation of a pairing does to each rule and chain. The one type that says so: words are made of it in `report`.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::side::Side;
use super::subject::Subject;
use crate::catalog::Tool;
use crate::judge::core_message;
use crate::judge::verdict::{Consequence, Effect, Impact, Verdict};
use crate::judge::{Cell, ChainVerdict, NotRun, ProbeVerdict, Reason, RuleName, RuleVerdict};
use crate::plan::Operation;
use crate::tool::Change;

/// What one operation does to one rule or chain.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Harm {
    /// The operation.
    pub operation: Operation,
    /// The verdict about it.
    pub verdict: Verdict,
    /// The parts that are gone, by name: `match mark`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// The parts that have another value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<String>,
    /// The parts that were not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// What a program said, where it refused, or the part that a wrongly found rule has otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it does to packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consequence: Option<Consequence>,
    /// How sure that is.
    pub certainty: Certainty,
}

/// How sure it is that a loss does to packets what its rules say.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Packets showed it.
    Shown,
    /// The rules say so; no packets were sent, or another rule explains what they showed.
    Predicted,
    /// The rules say so, and none of the packets that were sent fared so.
    Unmet,
    /// It comes only if what was read is written back.
    IfWrittenBack,
}

/// What became of a part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartChange {
    /// It was not there before.
    Added,
    /// It has another value.
    Altered,
    /// It is gone.
    Lost,
}

impl Harm {
    /// Who encoded the rule that then was decoded otherwise: after a rewrite the reader did.
    pub fn encoder(&self) -> Side {
        match self.operation {
            Operation::Recognition => Side::Reader,
            _ => Side::Writer,
        }
    }

    /// Who decoded it.
    pub fn decoder(&self) -> Side {
        match self.encoder() {
            Side::Writer => Side::Reader,
            Side::Reader => Side::Writer,
        }
    }

    /// Who encoded the rule in a cell: as the two go on in turn, either may have.
    pub fn encoder_in(&self, cell: &Cell, rule: Option<&RuleVerdict>) -> Side {
        let drift = rule.and_then(|rule| rule.drift.as_ref());
        // By the rule's own doing, or by others'.
        let is_changed = rule.is_some_and(|rule| {
            let mut as_run = rule.as_run();
            let changed = Verdict::Changed;
            rule.of(Operation::Rewrite) == Some(changed)
                || as_run.any(|(of, run)| of == Operation::Rewrite && run.verdict == changed)
        });
        match (self.operation, drift) {
            (Operation::Cycle, Some(drift)) if drift.by == cell.writer => Side::Reader,
            // What the reader changed, its writer reads as it is.
            (Operation::Recognition, _) if self.verdict == Verdict::Misread && is_changed => {
                Side::Writer
            }
            _ => self.encoder(),
        }
    }

    /// Whether parts of the rule are lost, altered or added, so that what is left of it is another rule.
    pub fn takes_parts(&self) -> bool {
        !(self.lost.is_empty() && self.altered.is_empty() && self.added.is_empty())
    }

    /// Whether somebody is harmed: what is only printed otherwise, not seen at all or not supported is no harm.
    pub fn is_harmful(&self) -> bool {
        self.verdict.severity() > Verdict::Unsupported.severity()
    }

    /// The parts that differ, by name, each with what became of it.
    pub fn parts(&self) -> impl Iterator<Item = (&str, PartChange)> {
        let lost = self.lost.iter().map(|name| (name, PartChange::Lost));
        let altered = self.altered.iter().map(|name| (name, PartChange::Altered));
        let added = self.added.iter().map(|name| (name, PartChange::Added));
        let all = lost.chain(altered).chain(added);
        all.map(|(name, change)| (name.as_str(), change))
    }

    /// The graver one is the greater one: what is done before what is still to come, then by consequence, by verdict, and by
    /// how sure it is.
    pub fn gravity(&self) -> (bool, Option<Consequence>, u8, Reverse<Certainty>) {
        let is_done = self.consequence.is_some() && self.certainty != Certainty::IfWrittenBack;
        let severity = self.verdict.severity();
        (is_done, self.consequence, severity, Reverse(self.certainty))
    }
}

/// A rule or a chain, and what each operation does to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harmed {
    /// The rule or the chain.
    pub subject: Subject,
    /// The rule's place among the cell's rules; none where the chain itself suffers.
    pub rule: Option<usize>,
    /// What is done to it, in the order of the operations.
    pub harms: Vec<Harm>,
}

/// Something that could not be tested: nobody's fault, and not safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The rule.
    pub subject: Subject,
    /// The rule as the scenario has it.
    pub given: String,
    /// The operation that has no verdict about it; none where the rule could not even be written.
    pub operation: Option<Operation>,
    /// Why.
    pub reason: GapReason,
}

/// Why something could not be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GapReason {
    /// What the judge knows of it.
    Because(Reason),
    /// No more is known than the verdict.
    Verdict(Verdict),
    /// The operation was not done.
    NotRun(NotRun),
    /// Nothing is known of the rule's writing.
    NothingWritten,
    /// The operation has no verdict about the rule.
    NoVerdict,
}

/// All that the operations do to the rules and chains of a cell. What its writer refuses is none of it: see [`gaps`].
pub fn harms(cell: &Cell) -> Vec<Harmed> {
    let rules = cell
        .outcome
        .rules
        .iter()
        .enumerate()
        .map(|(place, rule)| Harmed {
            subject: Subject::of_rule(place, rule),
            rule: Some(place),
            harms: of_rule(rule, &cell.outcome.probes),
        });
    let chains = cell
        .outcome
        .chains
        .iter()
        .enumerate()
        .map(|(at, chain)| Harmed {
            subject: Subject::chain(cell.outcome.rules.len() + at, chain),
            rule: None,
            harms: of_chain(chain),
        });
    let all = rules.chain(chains);
    all.filter(|of| !of.harms.is_empty()).collect()
}

/// What was not tested in a cell that was run with `operations` between builds of these tools, the writer's first.
pub fn gaps(cell: &Cell, operations: &[Operation], (writer, reader): (Tool, Tool)) -> Vec<Gap> {
    // Who finds the other backend in use takes that: such a pairing does not come about, and nothing is written.
    let is_averted = cell.outcome.picked.is_some();
    let mut gaps = Vec::new();
    for (place, rule) in cell.outcome.rules.iter().enumerate() {
        let gap = |operation, reason| Gap {
            subject: Subject::of_rule(place, rule),
            given: rule.given.to_string(),
            operation,
            reason,
        };
        let because = |or| rule.reason().cloned().map_or(or, GapReason::Because);
        match rule.of(Operation::Write) {
            Some(verdict) if verdict.severity() > 0 => {
                gaps.push(gap(None, because(GapReason::Verdict(verdict))));
                continue;
            }
            None if rule.written.is_none() && rule.of(Operation::Save).is_none() => {
                if !is_averted {
                    gaps.push(gap(None, because(GapReason::NothingWritten)));
                }
                continue;
            }
            _ => {}
        }
        let asked = operations.iter().filter(|of| of.suits(writer, reader));
        for operation in asked {
            if !is_of_every_rule(*operation) {
                continue;
            }
            let verdict = rule.of(*operation);
            match verdict {
                None => match rule.operations.of(*operation) {
                    Some(of) => {
                        let why = of.not_run.filter(|why| why.is_gap());
                        gaps.extend(why.map(|why| gap(Some(*operation), GapReason::NotRun(why))));
                    }
                    None => gaps.push(gap(Some(*operation), GapReason::NoVerdict)),
                },
                Some(Verdict::Unsupported) => {
                    let why = because(GapReason::Verdict(Verdict::Unsupported));
                    gaps.push(gap(Some(*operation), why));
                }
                Some(_) => {}
            }
        }
    }
    gaps
}

/// Whether an operation has a verdict about every rule that was written.
fn is_of_every_rule(operation: Operation) -> bool {
    match operation {
        Operation::Save
        | Operation::Rewrite
        | Operation::Recognition
        | Operation::Cycle
        | Operation::Sync
        | Operation::SyncNoflush
        | Operation::Check
        | Operation::Delete => true,
        // Not every print has a line for a rule, only the other backend writes rules again, and packets are of no rule.
        Operation::List | Operation::Reassert | Operation::Write | Operation::Effect => false,
    }
}

fn of_rule(rule: &RuleVerdict, probes: &[ProbeVerdict]) -> Vec<Harm> {
    let of_reader = rule
        .operations
        .iter()
        .filter(|(of, _)| *of != Operation::Write);
    let told = of_reader.filter_map(|(operation, outcome)| {
        // What others are at fault for is told where that is worse than what the rule suffers without them.
        let as_run = outcome.as_run.as_ref().map(|of| (of.verdict, true));
        let own = outcome.verdict.map(|verdict| (verdict, false));
        let both = [as_run, own].into_iter().flatten();
        let (worst, is_of_others) = both.max_by_key(|(verdict, _)| verdict.severity())?;
        is_told(&worst).then_some((operation, worst, is_of_others))
    });
    let harms = told.map(|(operation, verdict, is_of_others)| {
        let (consequence, certainty) = consequence(rule, operation, verdict, probes);
        // What its own print has otherwise is not what others do to it.
        let names = |changes: &[Change]| match tells_parts(verdict) && !is_of_others {
            true => changes.iter().map(|change| change.part.clone()).collect(),
            false => Vec::new(),
        };
        let harm = Harm {
            operation,
            verdict,
            lost: names(&rule.lost),
            altered: names(&rule.altered),
            added: names(&rule.added),
            reason: None,
            consequence,
            certainty,
        };
        Harm {
            reason: reason(rule, verdict).filter(|_| !harm.takes_parts()),
            ..harm
        }
    });
    harms.collect()
}

/// What is only printed otherwise, and what is the other backend's, is no harm to tell of.
fn is_told(verdict: &Verdict) -> bool {
    verdict.severity() > Verdict::Invisible.severity() || *verdict == Verdict::Doubled
}

/// Whether the parts of the rule that differ are what the verdict is about.
fn tells_parts(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Reworded
            | Verdict::Differs
            | Verdict::Lossy
            | Verdict::Changed
            | Verdict::Drifts
            | Verdict::Misread
    )
}

/// What was said of it, without what each release says in its own words.
fn reason(rule: &RuleVerdict, verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::FoundWrong => {
            let near = rule.near_miss.as_deref()?;
            Some(
                near.split_once(':')
                    .map_or(near, |(part, _)| part)
                    .to_owned(),
            )
        }
        Verdict::Incompatible => {
            let mut at_fault = rule.as_run().flat_map(|(_, of)| &of.because_of);
            at_fault.next().map(RuleName::to_string)
        }
        Verdict::WrongRule => rule.deleted_instead.clone(),
        Verdict::NotFound | Verdict::NotDeleted | Verdict::Doubled => None,
        _ => Some(core_message(&rule.reason()?.to_string()).to_owned()),
    }
}

/// What an operation does to packets, and how sure that is: packets that were sent after it have the last word.
fn consequence(
    rule: &RuleVerdict,
    operation: Operation,
    verdict: Verdict,
    probes: &[ProbeVerdict],
) -> (Option<Consequence>, Certainty) {
    let is_changed = matches!(verdict, Verdict::Changed | Verdict::Drifts);
    let is_print = matches!(
        verdict,
        Verdict::Lossy | Verdict::Differs | Verdict::Misread | Verdict::Unreadable
    );
    if !is_changed && !is_print {
        return (None, Certainty::Predicted);
    }
    let changes_by = match operation {
        // What is printed lossily comes into the kernel by the rewrite.
        Operation::Save | Operation::Recognition => Operation::Rewrite,
        other => other,
    };
    let shown = shown_after(probes, changes_by);
    let Some(consequence) = rule.does() else {
        return (None, Certainty::Predicted);
    };
    let by_this = is_changed
        || (changes_by == Operation::Rewrite
            && rule.of(Operation::Rewrite) == Some(Verdict::Changed));
    let certainty = match (by_this, rule.consequence) {
        (false, _) => Certainty::IfWrittenBack,
        (true, _) if shown.contains(&consequence) => Certainty::Shown,
        (true, Some(_)) => Certainty::Predicted,
        (true, None) => Certainty::Unmet,
    };
    (Some(consequence), certainty)
}

fn shown_after(probes: &[ProbeVerdict], operation: Operation) -> BTreeSet<Consequence> {
    let effects = probes
        .iter()
        .filter_map(|probe| probe.after.get(&operation));
    effects.copied().filter_map(Effect::consequence).collect()
}

/// Of what needs no writing back.
pub(super) fn certainty_of(impact: Option<Impact>) -> Certainty {
    match impact {
        Some(of) if of.confirmed => Certainty::Shown,
        _ => Certainty::Predicted,
    }
}

fn of_chain(chain: &ChainVerdict) -> Vec<Harm> {
    let told = chain.by_operation().filter(|(_, verdict)| is_told(verdict));
    let harms = told.map(|(operation, verdict)| Harm {
        operation,
        verdict,
        lost: Vec::new(),
        altered: Vec::new(),
        added: Vec::new(),
        reason: chain.reason().map(Reason::to_string),
        consequence: chain.does(),
        certainty: certainty_of(chain.consequence),
    });
    harms.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::matrix::{Matrix, worst};

    fn matrix(name: &str) -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join(name);
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    /// Rule by rule the gravest of all operations is what the losses of a scenario are made of.
    #[test]
    fn the_worst_of_all_operations_is_the_worst_of_the_rule() {
        let mut told = 0;
        for name in ["kube-firewall-by-1.8.9.jsonl", "docker-by-1.8.10.jsonl"] {
            for cell in &matrix(name).cells {
                let harms: Vec<(Subject, Verdict)> = harms(cell)
                    .into_iter()
                    .map(|of| {
                        let verdicts = of.harms.iter().map(|harm| harm.verdict);
                        (of.subject, verdicts.max_by_key(|of| of.severity()).unwrap())
                    })
                    .collect();
                let worst = worst(cell)
                    .into_iter()
                    .map(|of| (of.subject, of.form.harm.verdict));
                assert_eq!(harms, worst.collect::<Vec<_>>());
                told += harms.len();
            }
        }
        assert!(told > 0);
    }

    /// After a rewrite it is the reader that encoded, and the writer that decodes.
    #[test]
    fn each_harm_says_which_operation_did_it_and_who_encoded() {
        let matrix = matrix("kube-firewall-by-1.8.9.jsonl");
        let mut cells = matrix.cells.iter();
        let cell = cells
            .find(|cell| cell.reader.as_str() == "debian-1.8.7-1-nft")
            .unwrap();
        let harmed = harms(cell);
        let said = harmed.iter().flat_map(|of| &of.harms);
        let said: Vec<_> = said
            .map(|of| {
                let parts: Vec<_> = of.parts().collect();
                (of.operation, of.verdict, of.encoder(), parts)
            })
            .collect();
        let lost = vec![("match mark", PartChange::Lost)];
        let (writer, reader) = (Side::Writer, Side::Reader);
        assert_eq!(
            said,
            [
                (Operation::Save, Verdict::Lossy, writer, lost.clone()),
                (Operation::Rewrite, Verdict::Changed, writer, lost.clone()),
                (
                    Operation::Recognition,
                    Verdict::Misread,
                    reader,
                    lost.clone()
                ),
                (Operation::Sync, Verdict::Changed, writer, lost),
            ]
        );
    }

    /// 1.8.4's ip6tables refuses some of Docker's rules: that is nothing that a reader does to them.
    #[test]
    fn what_the_writer_refuses_is_not_tested_and_harms_nobody() {
        let matrix = matrix("refused-by-its-writer.jsonl");
        let mut refused = 0;
        for cell in &matrix.cells {
            let gaps = gaps(cell, &matrix.operations, (Tool::Iptables, Tool::Iptables));
            let harms = harms(cell);
            for gap in gaps.iter().filter(|gap| gap.operation.is_none()) {
                assert!(!gap.reason.to_string().is_empty());
                assert!(harms.iter().all(|of| of.subject != gap.subject));
                refused += 1;
            }
        }
        assert!(refused > 0);
    }
}
