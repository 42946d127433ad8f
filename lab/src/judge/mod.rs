//! Observations to verdicts. Pure: whoever reads this needs no Docker to understand or test it.
//!
//! `given` is the rule as the scenario has it, `written` as its writer prints it right after writing, `read` as the
//! reader prints it. Texts are compared as tokens after shell-quote parsing, in order, no synonyms; whether the
//! kernel still holds the same rule is said by dumps, and by the witness where an encoding changed.

mod chain;
mod complaint;
mod consequence;
mod crash;
mod culprit;
mod cycle;
mod effect;
mod evidence;
mod kernel;
mod laid;
mod lookup;
mod native;
mod not_run;
pub mod outcome;
mod partners;
mod place;
mod proof;
mod read;
mod reassert;
mod rewrite;
mod rule;
mod schema1;
mod shared;
mod sheet;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
pub mod verdict;

use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build, BuildId, Family};
use crate::plan::Operation;
use crate::plan::step::RuleSet;
use crate::recording::LoadRecord;
use crate::scenario::{Look, Scenario, Write};
use crate::tool::Change;
pub use complaint::core_message;
pub use crash::Crash;
use culprit::Culprits;
pub use culprit::{AsRun, RuleName};
pub use cycle::Drift;
pub use effect::{ProbeVerdict, is_as_expected};
use evidence::{Baseline, Evidence, LookUps, Reading};
use laid::LaidChains;
pub use not_run::NotRun;
use outcome::Outcomes;
use place::{Place, Places};
use proof::Proof;
pub use proof::shown;
use reassert::Reasserted;
pub use reassert::{Met, Warning};
use shared::KnownOfRules;
pub use shared::{KnownVerdicts, RuleVerdicts};
use verdict::{Consequence, Verdict};

/// What the judge concludes about one pairing in one scenario and family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// The scenario's name.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub reader: BuildId,
    /// The worst of all verdicts about what the reader did.
    pub verdict: Verdict,
    /// A verdict for each `-A` line of the scenario, in order.
    #[schemars(with = "Vec<RuleVerdict>")]
    pub rules: RuleVerdicts,
    /// A verdict for each chain.
    pub chains: Vec<ChainVerdict>,
    /// What became of the scenario's packets.
    pub probes: Vec<ProbeVerdict>,
    /// The backend that the reader picked, where it looked which one is in use.
    #[serde(default)]
    pub picked: Option<Backend>,
    /// What writer and reader said when both backends held rules.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Where all its losses are known: the place among the matrix's known losses of the first that names one of them.
    /// None as it is judged.
    #[serde(default)]
    pub known: Option<usize>,
    /// Which of its losses are known, all or some; none as it is judged.
    #[serde(default)]
    pub known_losses: Vec<KnownSubject>,
    /// What died, and the least rules on which it did.
    #[serde(default)]
    pub crashes: Vec<Crash>,
}

/// A rule or a chain of a cell whose loss is known already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownSubject {
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// The rule's place in the chain, from 1; none where it is the chain itself.
    pub index: Option<usize>,
    /// The place among the matrix's known losses of the first that names it.
    pub known: usize,
}

impl Cell {
    /// The rules that nobody read, because they could not be written, each with its place in the scenario from 0.
    pub fn untested(&self) -> impl Iterator<Item = (usize, &RuleVerdict)> {
        let rules = self.rules.iter().enumerate();
        rules.filter(|(_, rule)| rule.not_tested().is_some())
    }

    /// Whether not one of its rules could be written: then nothing is known of the pairing.
    pub fn is_untested(&self) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rule| rule.not_tested().is_some())
    }

    /// The place among the matrix's known losses of the first that names what befell a rule, or a chain itself.
    pub fn known_of(&self, table: &str, chain: &str, index: Option<usize>) -> Option<usize> {
        let is_it =
            |of: &&KnownSubject| of.table == table && of.chain == chain && of.index == index;
        match self.known_losses.is_empty() {
            // A report from before losses were told apart says it of the whole cell.
            true => self.known,
            false => self.known_losses.iter().find(is_it).map(|of| of.known),
        }
    }
}

/// What the judge concludes about one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RuleVerdict {
    /// The scenario's table.
    pub table: Arc<str>,
    /// The scenario's chain.
    pub chain: Arc<str>,
    /// The rule's place in its chain in the scenario, from 1.
    pub index: usize,
    /// The rule as the scenario has it.
    pub given: Arc<str>,
    /// The rule as its writer prints it right after writing; none where the writer refused it or cannot print it.
    pub written: Option<Arc<str>>,
    /// The rule as the reader prints it.
    pub read: Option<Arc<str>>,
    /// The rule as the witness prints it before the rewrite.
    pub witness_before: Option<Arc<str>>,
    /// The rule as the witness prints it after the rewrite.
    pub witness_after: Option<Arc<str>>,
    /// The rule as the writer prints it after the rewrite.
    pub reread: Option<Arc<str>>,
    /// What each operation came to.
    #[serde(flatten, with = "schema1::rule")]
    #[schemars(with = "schema1::OfRule")]
    pub outcomes: Outcomes,
    /// Whether the reader's `-C` finds it with its matches in another order: no verdict, and no loss. None where it was not asked
    /// for so, or has not two matches.
    #[serde(default)]
    pub check_reordered: Option<Verdict>,
    /// What the near miss that `-C` found has otherwise: `out-interface: -o eth0x`.
    #[serde(default)]
    pub near_miss: Option<String>,
    /// What `-D` deleted instead, as the witness prints it.
    #[serde(default)]
    pub deleted_instead: Option<String>,
    /// When, by whom and to what it changed in the cycle.
    #[serde(default)]
    pub drift: Option<Box<Drift>>,
    /// Whether packets met it under each backend, where the kernel held it twice and some were sent.
    #[serde(default)]
    pub met: Option<Met>,
    /// The parts that are gone.
    pub lost: Vec<Change>,
    /// The parts that are there with another value.
    pub altered: Vec<Change>,
    /// The parts that were not there.
    pub added: Vec<Change>,
    /// What the loss in the kernel does to packets: as the rules predict where none were sent and where some showed that; as
    /// packets showed where nothing in the pairing predicts it; none where packets should have shown it and did not. What is
    /// only `misdirected` stands where another rule explains what packets showed.
    pub consequence: Option<Consequence>,
    /// What the rules predict: of the loss in the kernel, or, if what was read were written back, of that.
    pub potential: Option<Consequence>,
}

impl RuleVerdict {
    /// All that was printed of the rule.
    fn prints(&self) -> impl Iterator<Item = &Arc<str>> {
        let prints = [
            &self.written,
            &self.read,
            &self.witness_before,
            &self.witness_after,
            &self.reread,
        ];
        prints.into_iter().flatten()
    }

    /// The same, so that equal prints can take their place.
    fn prints_mut(&mut self) -> impl Iterator<Item = &mut Arc<str>> {
        let prints = [
            &mut self.written,
            &mut self.read,
            &mut self.witness_before,
            &mut self.witness_after,
            &mut self.reread,
        ];
        prints.into_iter().flatten()
    }

    /// The verdict about an operation; none where it has none.
    pub fn of(&self, operation: Operation) -> Option<Verdict> {
        self.outcomes.verdict(operation)
    }

    /// The first reason that any operation has. Of a rule that could not be written: what is missing, and what its writer said.
    pub fn reason(&self) -> Option<&str> {
        let reason = self.outcomes.reason(&schema1::RULE_REASONS);
        reason.map(|reason| &**reason)
    }

    /// The operations that were asked for and have no verdict about this rule, each with the reason.
    pub fn not_run(&self) -> impl Iterator<Item = (Operation, NotRun)> {
        let all = self.outcomes.iter();
        all.filter_map(|(operation, outcome)| Some((operation, outcome.not_run?)))
    }

    /// Those of them that another run could test.
    pub fn gaps(&self) -> impl Iterator<Item = (Operation, NotRun)> {
        self.not_run().filter(|(_, why)| why.is_gap())
    }

    /// What came of operations as they were run on all rules, where others of them are at fault for it: the verdicts about the
    /// operations say what becomes of the rule without those.
    pub fn as_run(&self) -> impl Iterator<Item = (Operation, &AsRun)> {
        let all = self.outcomes.iter();
        all.filter_map(|(operation, outcome)| Some((operation, outcome.as_run.as_ref()?)))
    }

    /// What kept the rule from being written, so that no reader was tested with it: the reason says why. None where it was
    /// written. It is no verdict about a reader, and no loss.
    pub fn not_tested(&self) -> Option<Verdict> {
        self.of(Operation::Write)
            .filter(|verdict| verdict.severity() > 0)
    }

    /// The verdicts about what the reader did, in the order of the operations.
    pub fn by_operation(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        let all = self.outcomes.verdicts();
        all.filter(|(operation, _)| *operation != Operation::Write)
    }

    /// The same without the operations.
    pub fn of_reader(&self) -> impl Iterator<Item = Verdict> {
        let of_reader = self.by_operation().map(|(_, verdict)| verdict);
        of_reader.chain(self.as_run().map(|(_, of)| of.verdict))
    }

    /// Whether the kernel does not hold the same rule any more after some restore of the reader's, or of both in turn.
    pub fn is_changed(&self) -> bool {
        const RESTORES: [Operation; 4] = [
            Operation::Rewrite,
            Operation::Sync,
            Operation::SyncNoflush,
            Operation::Cycle,
        ];
        let verdicts = RESTORES.iter().filter_map(|of| self.of(*of));
        let mut changed = verdicts.filter(|of| matches!(of, Verdict::Changed | Verdict::Drifts));
        changed.next().is_some()
    }
}

/// What the judge concludes about one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainVerdict {
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// The policy before the reader came; none of a user's chain.
    pub policy_before: Option<String>,
    /// The policy after the rewrite; none of a user's chain, or if it is gone.
    pub policy_after: Option<String>,
    /// The policy after `sync`.
    pub policy_after_sync: Option<String>,
    /// What each operation came to.
    #[serde(flatten, with = "schema1::chain")]
    #[schemars(with = "schema1::OfChain")]
    pub outcomes: Outcomes,
    /// What that does to packets.
    pub consequence: Option<Consequence>,
}

impl ChainVerdict {
    /// The verdict about an operation; none where it has none.
    pub fn of(&self, operation: Operation) -> Option<Verdict> {
        self.outcomes.verdict(operation)
    }

    /// What changed: the first reason that any operation has.
    pub fn reason(&self) -> Option<&str> {
        let reason = self.outcomes.reason(&schema1::CHAIN_REASONS);
        reason.map(|reason| &**reason)
    }

    /// The verdicts about what the reader did, in the order of the operations.
    pub fn by_operation(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        self.outcomes.verdicts()
    }

    /// The same without the operations.
    pub fn of_reader(&self) -> impl Iterator<Item = Verdict> {
        self.by_operation().map(|(_, verdict)| verdict)
    }
}

/// What the judge must know of a run besides a load's observations.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The load's scenario.
    pub scenario: &'a Scenario,
    /// Every build of the run.
    pub builds: &'a [Build],
    /// What was done with each pairing.
    pub operations: &'a [Operation],
}

impl Case<'_> {
    fn wants(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    fn backend(&self, id: &BuildId) -> Backend {
        self.builds
            .iter()
            .find(|build| &build.id == id)
            .map_or(Backend::Nft, |build| build.backend)
    }
}

/// One pairing under judgement.
struct Pairing<'a> {
    case: Case<'a>,
    evidence: &'a Evidence<'a>,
    places: &'a Places<'a>,
    family: Family,
    /// The backend whose tables hold the rules: the writer's.
    backend: Backend,
    /// Whether the reader is of the other backend.
    crossed: bool,
    witness: Option<&'a BuildId>,
    /// What was seen of the reader: on all the rules that the writer took, and on each part that those were split into.
    readings: Vec<Rc<Reading<'a>>>,
    /// All the rules that the writer took; none where it took none.
    whole: Option<&'a RuleSet>,
    /// What was seen of the reader as it looked rules up.
    look_ups: LookUps<'a>,
}

/// The cells of one load, a reader each.
pub fn judge(load: &LoadRecord, case: Case<'_>) -> Vec<Cell> {
    judge_among(load, case, &mut KnownVerdicts::default())
}

/// The cells of one load, a reader each; verdicts that are known from other loads are the same in memory.
pub fn judge_among(load: &LoadRecord, case: Case<'_>, known: &mut KnownVerdicts) -> Vec<Cell> {
    let evidence = Evidence::new(load);
    let backend = case.backend(&load.writer);
    let places = Places::of(case.scenario.ruleset(load.family));
    let known = known.0.entry((load.scenario.clone(), load.family));
    let known = known.or_default();
    let cells = load.readers.iter().map(|reader| {
        let crossed = case.backend(&reader.id) != backend;
        let witness = reader.witness.as_ref();
        let readings = evidence.readings(&reader.id);
        let pairing = Pairing {
            whole: readings.first().map(|whole| whole.rules),
            look_ups: evidence.look_ups(&reader.id),
            readings,
            case,
            evidence: &evidence,
            places: &places,
            family: load.family,
            backend,
            crossed,
            witness,
        };
        pairing.cell(&reader.id, known)
    });
    cells.collect()
}

impl<'a> Pairing<'a> {
    /// Whether nft itself wrote: its own print has no words in common with any reader's.
    fn is_native(&self) -> bool {
        self.case.scenario.write == Write::Nft
    }

    fn cell(&self, reader: &BuildId, known: &mut KnownOfRules) -> Cell {
        let picked = self.picked(reader);
        let is_averted = picked.is_some_and(|picked| picked != self.case.backend(reader));
        let readings = &self.readings;
        let reasserted = self.reasserted(reader);
        let baseline = readings
            .first()
            .and_then(|whole| self.evidence.baseline(whole.rules));
        let probes = self.probes(
            readings.first().map(Rc::as_ref),
            reasserted.as_ref(),
            baseline.as_ref(),
        );
        let chains = self.worst_chains(readings);
        let reasserted_rules = reasserted.as_ref().zip(baseline.as_ref());
        let proof = Proof::new(&probes, || {
            let of_rules = self.rules(reasserted_rules);
            let of_rules = of_rules.filter_map(|rule| rule.consequence);
            let of_chains = chains.iter().filter_map(|chain| chain.consequence);
            of_rules.chain(of_chains).collect()
        });
        // One after the other: all of a large ruleset's verdicts at once are more than a processor's cache holds.
        let keep = |(place, mut rule): (usize, RuleVerdict)| {
            rule.consequence = rule.consequence.and_then(|of| proof.of(of));
            known.shared(place, rule)
        };
        let rules = match is_averted {
            true => self.untouched().enumerate().map(keep).collect(),
            false => {
                let rules = self.rules(reasserted_rules).enumerate();
                rules.map(keep).collect()
            }
        };
        let rules = known.all_shared(rules);
        let is_untested = !rules.is_empty() && rules.iter().all(|rule| rule.not_tested().is_some());
        let of_rules = rules.iter().flat_map(RuleVerdict::of_reader);
        let of_chains = chains.iter().flat_map(ChainVerdict::of_reader);
        let worst = of_rules
            .chain(of_chains)
            .max_by_key(|verdict| verdict.severity());
        let verdict = worst.filter(|verdict| verdict.severity() > 0).unwrap_or(
            match (is_averted, is_untested) {
                (true, _) => Verdict::Averted,
                (false, true) => Verdict::Unsupported,
                (false, false) => Verdict::Same,
            },
        );
        let warnings = reasserted.map(|seen| self.warnings(&seen));
        Cell {
            scenario: self.evidence.load.scenario.clone(),
            family: self.family,
            writer: self.evidence.load.writer.clone(),
            reader: reader.clone(),
            verdict,
            rules,
            chains,
            probes,
            picked,
            warnings: warnings.unwrap_or_default(),
            known: None,
            known_losses: Vec::new(),
            crashes: self.crashes(reader),
        }
    }

    /// The backend that the reader picked, if it looked.
    fn picked(&self, reader: &BuildId) -> Option<Backend> {
        let detection = self.case.scenario.pairings.detect?;
        let looks = self.evidence.looks(reader);
        let texts = looks.iter().map(|(_, of)| self.evidence.text(of.stdout));
        let texts: Vec<String> = texts.collect();
        let looks = looks.iter().zip(&texts).map(|((look, _), stdout)| Look {
            backend: look.backend,
            mangle: look.mangle,
            stdout,
        });
        let looks: Vec<Look<'_>> = looks.collect();
        (!looks.is_empty()).then(|| detection.pick(&looks))
    }

    /// The rules of a pairing that does not come about.
    fn untouched(&self) -> impl Iterator<Item = RuleVerdict> {
        self.places.iter().map(|place| {
            let mut rule = self.blank(place);
            let operations = self.case.operations.iter();
            for operation in operations {
                rule.outcomes.not_run(*operation, NotRun::Averted);
            }
            rule
        })
    }

    fn rules(
        &self,
        reasserted: Option<(&Reasserted<'a>, &Baseline<'a>)>,
    ) -> impl Iterator<Item = RuleVerdict> {
        let readings = &self.readings;
        let culprits = Culprits::of(readings);
        let mut chains = LaidChains::new();
        let verdict = move |place: &Place<'a>| {
            if let Some(lacks) = self.evidence.lacks() {
                return self.not_written(self.lacking(place, lacks));
            }
            let Some(number) = culprits.deciding(readings, place.global) else {
                return self.not_written(self.refused_by_writer(place));
            };
            let failing: Vec<&Reading<'a>> = culprits
                .least
                .iter()
                .map(|at| readings[*at].as_ref())
                .collect();
            let is_innocent =
                number != 0 && !failing.iter().any(|of| of.rules.contains(place.global));
            let reading = (number, &readings[number]);
            let mut verdict = match chains.get(self, place, reading) {
                Some(chain) => self.rule(chain.rule(place)),
                None => self.unknown(place),
            };
            if let Some(whole) = readings.first()
                && let Some(chain) = chains.get(self, place, (0, whole))
            {
                if is_innocent {
                    self.beside_culprits(chain.rule(place), &failing, &mut verdict);
                }
                self.look_up(chain.rule(place), &mut verdict);
            }
            if let Some(reasserted) = reasserted {
                self.reassert(place, reasserted, &mut verdict);
            }
            self.note_not_run(Some(readings[number].as_ref()), &mut verdict);
            verdict
        };
        self.places.iter().map(verdict)
    }

    /// The verdicts about chains, which no split takes apart: on all the rules that the writer took and, where that
    /// went wrong, on those that went well together, the worse of both.
    fn worst_chains(&self, readings: &[Rc<Reading<'a>>]) -> Vec<ChainVerdict> {
        let Some(whole) = readings.first() else {
            return Vec::new();
        };
        let mut chains = self.chains(whole);
        let culprits = Culprits::of(readings);
        let numbers = (0..readings.len()).filter(|&at| !culprits.failed[at] && culprits.failed[0]);
        let innocent = numbers
            .max_by_key(|&at| readings[at].rules.len())
            .map(|at| &readings[at]);
        let Some(innocent) = innocent else {
            return chains;
        };
        let places = chains.iter().enumerate();
        let places: HashMap<(String, String), usize> = places
            .map(|(at, chain)| ((chain.table.clone(), chain.chain.clone()), at))
            .collect();
        let severity = |chain: &ChainVerdict| chain.of_reader().map(Verdict::severity).max();
        for chain in self.chains(innocent) {
            match places.get(&(chain.table.clone(), chain.chain.clone())) {
                Some(&at) if severity(&chains[at]) < severity(&chain) => chains[at] = chain,
                Some(_) => {}
                None => chains.push(chain),
            }
        }
        chains
    }
}
