//! What is known of a rule, a chain or a packet of a cell, each with its name: the same in every format.

use std::borrow::Cow;

use nix::sys::signal::Signal;

use super::wording;
use crate::catalog::BuildId;
use crate::judge::by_operation::ByOperation;
use crate::judge::verdict::{Consequence, Effect, Verdict};
use crate::judge::{AsRun, ChainVerdict, Crash, ProbeVerdict, RuleVerdict};
use crate::matrix::{ExampleTexts, Loss, Matrix, PrintedBy, example_texts};
use crate::plan::Operation;
use crate::tool::Change;

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is: `given`, `rewrite`, `lost`.
    pub name: Cow<'static, str>,
    /// What is known.
    pub said: Said,
}

/// What is known, as a verdict or in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A verdict about an operation.
    Verdict(Verdict),
    /// A rule's text, or words.
    Text(String),
}

/// The texts of a rule: as the scenario has it, and as builds print it, before and after the reader's rewrite. `witness` prints it
/// a second time.
pub fn texts(rule: &RuleVerdict, witness: Option<&BuildId>) -> Vec<Fact> {
    let witness = witness.map_or("newest", BuildId::as_str);
    let texts: [(Cow<'static, str>, _); 6] = [
        ("given".into(), Some(&rule.given)),
        ("written".into(), rule.written.as_ref()),
        ("read".into(), rule.read.as_ref()),
        (
            format!("{witness} before").into(),
            rule.witness_before.as_ref(),
        ),
        (
            format!("{witness} after").into(),
            rule.witness_after.as_ref(),
        ),
        ("writer after".into(), rule.reread.as_ref()),
    ];
    let known = texts.into_iter().filter_map(|(name, said)| {
        Some(Fact {
            name,
            said: Said::Text(said?.to_string()),
        })
    });
    known.collect()
}

/// What is known of a rule beside its texts.
pub fn of_rule(rule: &RuleVerdict) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.extend(verdicts(&rule.operations));
    facts.extend(details(rule));
    let changes = [
        ("lost", &rule.lost),
        ("altered", &rule.altered),
        ("added", &rule.added),
    ];
    for (how, changes) in changes {
        facts.extend(
            changes
                .iter()
                .map(|change| text(how, change_in_words(change))),
        );
    }
    facts.extend(
        rule.consequence
            .map(|of| consequence("consequence", of.what)),
    );
    let predicted = rule.potential.filter(|_| rule.consequence.is_none());
    facts.extend(predicted.map(|of| consequence("predicted", of)));
    for (operation, why) in rule.gaps() {
        facts.push(text(
            operation.as_str(),
            wording::not_run_meaning(why).to_owned(),
        ));
    }
    let because = match rule.not_tested() {
        Some(_) => "not tested",
        None => "because",
    };
    let listed = rule.operations.reason(&[Operation::List]);
    facts.extend(listed.map(|said| text("listed", said.to_string())));
    facts.extend(
        rule.reason()
            .map(|reason| text(because, reason.to_string())),
    );
    facts
}

/// Whether nothing is to be said of a rule: it was written, and fared well.
pub fn is_unharmed(rule: &RuleVerdict) -> bool {
    rule.not_tested().is_none() && rule.of_reader().all(|verdict| verdict.severity() == 0)
}

/// Whether nothing more is to be said of a rule than that the reader lists it in other words.
pub fn is_only_listed_otherwise(rule: &RuleVerdict) -> bool {
    let is_list = |(operation, verdict): (Operation, Verdict)| {
        operation == Operation::List && verdict == Verdict::Reworded
    };
    let mut harmed = rule.by_operation().filter(|(_, of)| of.severity() > 0);
    rule.as_run().next().is_none() && harmed.all(is_list)
}

/// What is known of a chain.
pub fn of_chain(chain: &ChainVerdict) -> Vec<Fact> {
    let mut facts = verdicts(&chain.operations);
    let reason = chain.reason();
    facts.extend(reason.map(|reason| text("because", reason.to_string())));
    facts
}

/// What became of a packet.
pub fn of_probe(probe: &ProbeVerdict) -> Vec<Fact> {
    let sent = |said: &Option<String>| wording::sent(said.as_deref()).to_owned();
    let mut facts = vec![
        text("expected", probe.expected.clone()),
        text("before the write", sent(&probe.before)),
        text("after the write", sent(&probe.written)),
    ];
    if probe.as_expected == Some(false) {
        facts.push(text(
            "broken",
            "that is not what the scenario expects".to_owned(),
        ));
    }
    for (operation, effect) in &probe.after {
        let said = match (effect, probe.then.get(operation)) {
            (Effect::AsBefore, _) => "as before".to_owned(),
            (Effect::Dropped, Some(then)) => then.clone(),
            (effect, Some(then)) => format!("{effect}: {then}"),
            (effect, None) => effect.to_string(),
        };
        facts.push(Fact {
            name: format!("after {operation}").into(),
            said: Said::Text(said),
        });
    }
    facts
}

/// What is known besides the verdicts of cycle, check, delete and reassert.
fn details(rule: &RuleVerdict) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(drift) = &rule.drift {
        let to = drift.to.as_deref().unwrap_or("nothing that can be told");
        let said = format!("in round {}, by {}, to {to}", drift.round, drift.by);
        facts.push(text("drifts", said));
    }
    if let Some(near_miss) = &rule.near_miss {
        facts.push(text("-C finds too", format!("the rule with {near_miss}")));
    }
    if let Some(instead) = &rule.deleted_instead {
        facts.push(text("-D deleted", instead.clone()));
    }
    if let Some(met) = &rule.met {
        let said = match (met.writer, met.reader) {
            (true, true) => "it under both backends",
            (true, false) => "it under the writer's backend alone",
            (false, true) => "it under the reader's backend alone",
            (false, false) => "it under neither backend",
        };
        facts.push(text("packets met", said.to_owned()));
    }
    facts
}

fn text(name: &'static str, said: String) -> Fact {
    Fact {
        name: name.into(),
        said: Said::Text(said),
    }
}

fn verdicts(outcomes: &ByOperation) -> Vec<Fact> {
    let facts = outcomes.iter().filter_map(|(operation, outcome)| {
        let said = match (&outcome.as_run, outcome.verdict) {
            (Some(as_run), without) => Said::Text(by_others(as_run, without)),
            (None, verdict) => Said::Verdict(verdict?),
        };
        Some(Fact {
            name: operation.as_str().into(),
            said,
        })
    });
    facts.collect()
}

/// A verdict that is other rules' doing, those rules, and the verdict without them.
fn by_others(as_run: &AsRun, without: Option<Verdict>) -> String {
    let at_fault: Vec<String> = as_run.because_of.iter().map(ToString::to_string).collect();
    let (at_fault, it) = match at_fault.as_slice() {
        [] => ("other rules".to_owned(), "them"),
        [only] => (only.clone(), "it"),
        all => (all.join(", "), "them"),
    };
    let without = without.map(|verdict| format!("; without {it} {verdict}"));
    let without = without.unwrap_or_default();
    format!("{}, because of {at_fault}{without}", as_run.verdict)
}

fn consequence(name: &'static str, consequence: Consequence) -> Fact {
    text(
        name,
        format!(
            "{consequence}: {}",
            wording::consequence_meaning(consequence)
        ),
    )
}

/// What died, and of what.
pub fn crash(crash: &Crash) -> String {
    let signal = match Signal::try_from(crash.signal) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {}", crash.signal),
    };
    format!("{} of {} dies of {signal}", crash.argv.join(" "), crash.by)
}

/// The same rule as two builds have it, where these differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The rule as it was written.
    pub written: &'a str,
    /// The rule as it is afterwards, or for someone else.
    pub other: &'a str,
    /// For whom, or when, `other` is.
    pub label: &'static str,
}

/// The two texts that show best what happened to a rule; none where all texts are alike, or there is only one.
pub fn pair(rule: &RuleVerdict) -> Option<Pair<'_>> {
    let written = rule.written.as_deref().unwrap_or(&rule.given);
    let drifted = rule.drift.as_ref().and_then(|drift| drift.to.as_deref());
    let others = [
        ("as the reader prints it", rule.read.as_deref()),
        ("as the kernel then holds it", rule.witness_after.as_deref()),
        ("as its writer then prints it", rule.reread.as_deref()),
        ("as the cycle leaves it", drifted),
        ("what -D deleted instead", rule.deleted_instead.as_deref()),
    ];
    let pairs = others.into_iter().filter_map(|(label, other)| {
        let other = other?;
        (other != written).then_some(Pair {
            written,
            other,
            label,
        })
    });
    pairs.into_iter().next()
}

/// The texts of one rule that show a loss, and where the rule is; none where no text shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleRule<'a> {
    /// The rule.
    pub rule: &'a RuleVerdict,
    /// Its texts.
    pub texts: ExampleTexts<'a>,
}

impl ExampleRule<'_> {
    /// When and by whom the second text is printed; and which other parts differ in it.
    pub fn label(&self) -> String {
        let by = printed_by(self.texts.by);
        match self.texts.beside.is_empty() {
            true => by.to_owned(),
            false => format!(
                "{by}; {} differ here because the writer misprints its own rule",
                self.texts.beside.join(", ")
            ),
        }
    }
}

/// When and by whom the second text of an example is printed.
pub fn printed_by(by: PrintedBy) -> &'static str {
    match by {
        PrintedBy::Reader => "as the reader prints it",
        PrintedBy::Restore => "as the kernel holds it after the reader's restore",
        PrintedBy::Writer => "as the writer prints it after the reader's restore",
        PrintedBy::Witness => {
            "as the newest release prints it before and after the reader's restore"
        }
        PrintedBy::Turns => "after reader and writer restored in turn",
        PrintedBy::Deletion => "what -D deleted instead",
    }
}

/// The rule that is the example of a loss.
pub fn example<'a>(matrix: &'a Matrix, scenario: &str, loss: &Loss) -> Option<ExampleRule<'a>> {
    let of = &loss.example;
    let cell = matrix.cell(scenario, of.family, &of.writer, &of.reader)?;
    let rule = cell.outcome.rules.get(of.rule?)?;
    let texts = example_texts(rule, loss.form.harm.verdict)?;
    Some(ExampleRule { rule, texts })
}

fn change_in_words(change: &Change) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{}: `{from}` is now `{to}`", change.part),
        (Some(from), None) => format!("{}: `{from}`", change.part),
        (None, Some(to)) => format!("{}: `{to}`", change.part),
        (None, None) => change.part.clone(),
    }
}
