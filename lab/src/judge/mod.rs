//! Observations to verdicts. Pure: whoever reads this needs no Docker to understand or test it.
//!
//! `given` is the rule as the scenario has it, `written` as its writer prints it right after writing, `read` as the
//! reader prints it. Texts are compared as tokens after shell-quote parsing, in order, no synonyms; whether the
//! kernel still holds the same rule is said by dumps, and by the witness where an encoding changed.

mod aligned;
mod as_run;
pub mod by_operation;
mod cell;
mod chain;
mod chain_in_lane;
mod complaint;
mod consequence;
mod crash;
mod culprit;
mod cycle;
mod effect;
mod encoded;
mod evidence;
mod fate;
mod gaps;
mod kernel;
mod location;
mod lookup;
mod not_run;
mod outcome;
mod partners;
mod printed_tables;
mod proof;
mod read;
mod reading;
mod reason;
mod reassert;
mod rewrite;
mod rule;
mod rule_verdict;
mod shared;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
pub mod verdict;

use std::rc::Rc;

use crate::catalog::{Backend, Build, BuildId, Family, Tool};
use crate::plan::Operation;
use crate::plan::step::RuleSet;
use crate::recording::LoadRecord;
use crate::scenario::{Look, Scenario};
use crate::tool::Dialect;
pub use as_run::{AsRun, RuleName};
pub use cell::{Cell, KnownSubject};
use chain_in_lane::ChainsInLane;
pub use complaint::core_message;
use culprit::Culprits;
pub use effect::is_as_expected;
pub use encoded::Encoded;
use encoded::RuleEncoded;
use evidence::Evidence;
use foldhash::HashMap;
use location::{Location, Locations};
pub use not_run::NotRun;
pub use outcome::{ChainVerdict, Crash, Outcome, ProbeVerdict, Warning};
use proof::Proof;
pub use proof::shown;
use reading::{Baseline, LookUps, Reading};
pub use reason::{Complaint, DeletedInstead, Lacking, Needed, Reason};
use reassert::Reasserted;
pub use rule_verdict::{Drift, Met, RuleVerdict, RuleVerdicts};
use shared::SharedOfRuleset;
pub use shared::SharedVerdicts;
use verdict::Verdict;

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

    fn tool(&self, id: &BuildId) -> Tool {
        let mut builds = self.builds.iter();
        let build = builds.find(|build| &build.id == id);
        build.map_or_else(Tool::default, |build| build.tool)
    }
}

/// One pairing under judgement: what a reader makes of what one build has written. Where the scenario has several layers, that is
/// the writer, and the bystanders are beside it.
struct Pairing<'a> {
    case: Case<'a>,
    evidence: &'a Evidence<'a>,
    locations: &'a Locations<'a>,
    family: Family,
    /// The number of the layer, from 1.
    layer: usize,
    /// Who wrote it.
    writer: &'a BuildId,
    /// Who wrote the other layers; none beside a bystander.
    beside: Vec<Pairing<'a>>,
    /// The writer's tool and the reader's.
    tools: (Tool, Tool),
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
    judge_among(load, case, &mut SharedVerdicts::default())
}

/// The cells of one load, a reader each; verdicts that are known from other loads are the same in memory.
pub fn judge_among(load: &LoadRecord, case: Case<'_>, shared: &mut SharedVerdicts) -> Vec<Cell> {
    let evidence = Evidence::new(load, case);
    let backend = case.backend(&load.writer);
    let locations = Locations::of(case.scenario, load.family);
    let shared = shared.0.entry((load.scenario.clone(), load.family));
    let shared = shared.or_default();
    let cells = load.readers.iter().map(|reader| {
        let crossed = case.backend(&reader.id) != backend;
        let readings = evidence.readings(&reader.id);
        let look_ups = evidence.look_ups(&reader.id);
        let of_layer = |layer, writer, witness, beside| Pairing {
            whole: readings.first().map(|whole| whole.rules),
            look_ups: look_ups.clone(),
            readings: readings.clone(),
            case,
            evidence: &evidence,
            locations: &locations,
            family: load.family,
            layer,
            writer,
            beside,
            tools: (case.tool(writer), case.tool(&reader.id)),
            backend,
            crossed,
            witness,
        };
        let bystanders = load.bystanders.iter().zip(&reader.beside);
        let beside = bystanders
            .map(|(of, witness)| of_layer(of.layer, &of.id, witness.as_ref(), Vec::new()))
            .collect();
        let (layer, witness) = (case.scenario.own_layer(), reader.witness.as_ref());
        of_layer(layer, &load.writer, witness, beside).cell(&reader.id, shared)
    });
    cells.collect()
}

impl<'a> Pairing<'a> {
    /// Whether the reader prints in the writer's language: prints of two have no words in common.
    fn speak_alike(&self) -> bool {
        let (writer, reader) = self.tools;
        writer == reader
    }

    /// Whether the witness prints in the writer's language.
    fn witness_speaks_like_writer(&self) -> bool {
        let (writer, reader) = self.tools;
        writer.commands().witness(reader) == writer
    }

    /// Whether the witness prints in the reader's language.
    fn witness_speaks_like_reader(&self) -> bool {
        let (writer, reader) = self.tools;
        writer.commands().witness(reader) == reader
    }

    /// Whether an operation is done where this writer writes and this reader reads.
    fn suits(&self, operation: Operation) -> bool {
        let (writer, reader) = self.tools;
        operation.suits(writer, reader)
    }

    /// The reader's language.
    fn dialect(&self) -> &'static dyn Dialect {
        let (_, reader) = self.tools;
        reader.dialect()
    }

    fn cell(&self, reader: &BuildId, shared: &mut SharedOfRuleset) -> Cell {
        let picked = self.picked(reader);
        let is_averted = picked.is_some_and(|picked| picked != self.case.backend(reader));
        let readings = &self.readings;
        let reasserted = self.reasserted(reader);
        let baseline = readings
            .first()
            .and_then(|whole| self.evidence.baseline(whole.rules, self.writer));
        let probes = self.probes(
            readings.first().map(Rc::as_ref),
            reasserted.as_ref(),
            baseline.as_ref(),
        );
        let mut chains = self.worst_chains(readings);
        let reasserted_rules = reasserted.as_ref().zip(baseline.as_ref());
        let proof = Proof::new(&probes, || {
            let of_rules = self.rules(reasserted_rules);
            let of_rules = of_rules.filter_map(|(rule, _)| rule.consequence);
            let of_chains = chains.iter().filter_map(|chain| chain.consequence);
            of_rules.chain(of_chains).map(|of| of.what).collect()
        });
        for chain in &mut chains {
            chain.consequence = chain.consequence.map(|of| proof.beside(of.what));
        }
        // One after the other: all of a large ruleset's verdicts at once are more than a processor's cache holds.
        let (sets, sets_rewritten) = self.encoded_sets();
        let mut encoded = Encoded {
            sets,
            sets_rewritten,
            ..Encoded::default()
        };
        let keep = |(place, (mut rule, by)): (usize, (RuleVerdict, RuleEncoded))| {
            rule.consequence = rule.consequence.and_then(|of| proof.of(of.what));
            encoded.add(place, by);
            shared.rule(place, rule)
        };
        let rules = match is_averted {
            true => {
                let rules = self.untouched().map(|rule| (rule, RuleEncoded::default()));
                rules.enumerate().map(keep).collect()
            }
            false => {
                let rules = self.rules(reasserted_rules).enumerate();
                rules.map(keep).collect()
            }
        };
        let rules = shared.rules(rules);
        let warnings = reasserted.map(|seen| self.warnings(&seen));
        let outcome = Outcome {
            rules,
            chains,
            probes,
            picked,
            warnings: warnings.unwrap_or_default(),
            crashes: self.crashes(reader),
        };
        let of_rules = outcome.rules.iter().flat_map(RuleVerdict::of_reader);
        let of_chains = outcome.chains.iter().flat_map(ChainVerdict::of_reader);
        let worst = of_rules
            .chain(of_chains)
            .max_by_key(|verdict| verdict.severity());
        let verdict = worst.filter(|verdict| verdict.severity() > 0).unwrap_or(
            match (is_averted, outcome.is_untested()) {
                (true, _) => Verdict::Averted,
                (false, true) => Verdict::Unsupported,
                (false, false) => Verdict::Same,
            },
        );
        Cell {
            scenario: self.evidence.load.scenario.clone(),
            family: self.family,
            writer: self.evidence.load.writer.clone(),
            bystanders: self.evidence.load.bystanders.clone(),
            reader: reader.clone(),
            verdict,
            outcome: shared.outcome(outcome),
            encoded: shared.encoded(encoded),
            known: None,
            known_losses: Vec::new(),
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
        self.locations.iter().map(|location| {
            let mut rule = self.blank(location);
            let operations = self.case.operations.iter();
            for operation in operations {
                rule.operations.not_run(*operation, NotRun::Averted);
            }
            rule
        })
    }

    fn rules(
        &self,
        reasserted: Option<(&Reasserted<'a>, &Baseline<'a>)>,
    ) -> impl Iterator<Item = (RuleVerdict, RuleEncoded)> {
        let readings = &self.readings;
        let culprits = Culprits::of(readings);
        let mut chains = ChainsInLane::new();
        let verdict = move |location: &Location<'a>| {
            let of = self.of_layer(location.layer);
            if let Some(lacks) = self.evidence.lacks() {
                let verdict = of.not_written(of.lacking(location, lacks));
                return (verdict, RuleEncoded::default());
            }
            let Some(number) = culprits.deciding(readings, location.global) else {
                let verdict = of.not_written(of.refused_by_writer(location));
                return (verdict, RuleEncoded::default());
            };
            let failing: Vec<&Reading<'a>> = culprits
                .least
                .iter()
                .map(|at| readings[*at].as_ref())
                .collect();
            let is_innocent = number != 0
                && !failing
                    .iter()
                    .any(|of| of.tried().contains(location.global));
            let reading = (number, &readings[number]);
            let (mut verdict, encoded) = match chains.get(of, location, reading) {
                Some(chain) => {
                    let in_lane = chain.rule(location);
                    (of.rule(in_lane), of.encoded(in_lane))
                }
                None => (of.unknown(location), RuleEncoded::default()),
            };
            if let Some(whole) = readings.first()
                && let Some(chain) = chains.get(of, location, (0, whole))
            {
                if is_innocent {
                    of.beside_culprits(chain.rule(location), &failing, &mut verdict);
                }
                of.look_up(chain.rule(location), &mut verdict);
            }
            if let Some(reasserted) = reasserted {
                self.reassert(location, reasserted, &mut verdict);
            }
            of.note_not_run(Some(readings[number].as_ref()), &mut verdict);
            (verdict, encoded)
        };
        self.locations.iter().map(verdict)
    }

    /// What the reader makes of a layer.
    fn of_layer(&self, layer: usize) -> &Pairing<'a> {
        let mut beside = self.beside.iter();
        beside.find(|of| of.layer == layer).unwrap_or(self)
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
            .max_by_key(|&at| readings[at].tried().len())
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
