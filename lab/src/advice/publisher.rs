//! Makes a published report of a run, cell by cell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::published::{Between, Caused, Damage, Pairs, Published, PublishedBuild, Ran, Untested};
use crate::catalog::{BuildId, Family, Tool};
use crate::cause::{Attribution, KnownCauses, Loss, Signature};
use crate::judge::Cell;
use crate::matrix::{Harm, Matrix, gaps, harms};
use crate::plan::Operation;

/// Readers by writer.
type PairSet = BTreeMap<usize, BTreeSet<usize>>;

/// Makes a published report cell by cell.
struct Builder {
    places: BTreeMap<BuildId, usize>,
    operations: Vec<Operation>,
    ran: BTreeMap<(String, Family, usize, Vec<Operation>), PairSet>,
    damages: BTreeMap<Damage, PairSet>,
    gaps: BTreeMap<Untested, PairSet>,
    /// Every rule, with its table, that some writer prints of its own: what looks like one of them is no damage.
    sound: BTreeSet<(String, String)>,
    head: Published,
}

impl Builder {
    fn new(matrix: &Matrix) -> Self {
        let named = matrix.builds.iter().enumerate();
        Builder {
            places: named
                .map(|(place, build)| (build.id.clone(), place))
                .collect(),
            operations: matrix.operations.clone(),
            ran: BTreeMap::new(),
            damages: BTreeMap::new(),
            gaps: BTreeMap::new(),
            sound: BTreeSet::new(),
            head: Published {
                lab: matrix.lab.version.clone(),
                host: matrix.host.clone(),
                started: matrix.started,
                builds: matrix.builds.iter().map(PublishedBuild::of).collect(),
                ran: Vec::new(),
                damages: Vec::new(),
                gaps: Vec::new(),
            },
        }
    }

    /// Adds a cell. One between builds that the run does not name is left out.
    fn add(&mut self, cell: &Cell, losses: &[(Loss, Signature)]) {
        let place = |id| self.places.get(id).copied();
        let Some((writer, reader)) = place(&cell.writer).zip(place(&cell.reader)) else {
            return;
        };
        let backend = |place: usize| self.head.builds[place].backend;
        let tool = |place: usize| self.head.builds[place].tool;
        let tools = (tool(writer), tool(reader));
        let operations = self.operations.iter().copied();
        let operations = operations.filter(|of| of.suits(tools.0, tools.1));
        // Only a reader of the other backend does not see the rules and writes them again.
        let is_cross = backend(writer) != backend(reader);
        let operations = operations.filter(|of| is_cross || *of != Operation::Reassert);
        let rules = cell.outcome.rules.len();
        let key = (
            cell.scenario.clone(),
            cell.family,
            rules,
            operations.collect(),
        );
        let of_scenario = self.ran.entry(key).or_default();
        of_scenario.entry(writer).or_default().insert(reader);
        for untested in untested(cell, &self.operations, tools) {
            let pairs = self.gaps.entry(untested).or_default();
            pairs.entry(writer).or_default().insert(reader);
        }
        for rule in &cell.outcome.rules {
            let written = rule.written.as_ref();
            let written = written.map(|text| (rule.table.to_string(), text.to_string()));
            self.sound.extend(written);
        }
        for damage in damages(cell, losses) {
            let pairs = self.damages.entry(damage).or_default();
            pairs.entry(writer).or_default().insert(reader);
        }
    }

    fn finish(self) -> Published {
        let ran = self.ran.into_iter();
        let ran = ran.map(|((scenario, family, rules, operations), pairs)| Ran {
            scenario,
            family,
            rules,
            operations,
            pairs: grouped(pairs),
        });
        let sound = self.sound;
        let damages = self.damages.into_iter().map(|(mut damage, pairs)| {
            let table = damage.table.clone();
            damage
                .left
                .retain(|left| !sound.contains(&(table.clone(), left.clone())));
            Between {
                what: damage,
                pairs: grouped(pairs),
            }
        });
        let gaps = self.gaps.into_iter().map(|(what, pairs)| Between {
            what,
            pairs: grouped(pairs),
        });
        Published {
            ran: ran.collect(),
            damages: damages.collect(),
            gaps: gaps.collect(),
            ..self.head
        }
    }
}

impl From<&Matrix> for Published {
    fn from(matrix: &Matrix) -> Self {
        let mut builder = Builder::new(matrix);
        let attribution = Attribution::new(matrix);
        for cell in &matrix.cells {
            builder.add(cell, &attribution.cell(cell));
        }
        builder.finish()
    }
}

/// The names of the causes that a harm of a rule, or of a chain, comes of.
fn names(losses: &[(Loss, Signature)], rule: Option<usize>, harm: &Harm) -> BTreeSet<String> {
    let of_harm = losses
        .iter()
        .filter(|(loss, _)| loss.rule == rule && loss.harm == *harm);
    let known = KnownCauses::built_in();
    of_harm
        .map(|(_, signature)| known.name(signature))
        .collect()
}

fn damages<'c>(
    cell: &'c Cell,
    losses: &'c [(Loss, Signature)],
) -> impl Iterator<Item = Damage> + 'c {
    harms(cell).into_iter().map(move |harmed| {
        let rule = harmed.rule.and_then(|place| cell.outcome.rules.get(place));
        let written = rule.and_then(|rule| rule.written.as_deref());
        let left = rule
            .into_iter()
            .flat_map(|rule| [&rule.read, &rule.witness_after, &rule.reread]);
        let left: BTreeSet<String> = left
            .flatten()
            .filter(|text| Some(&***text) != written)
            .map(|text| text.to_string())
            .collect();
        let rule = harmed.rule;
        let caused = harmed.harms.into_iter().map(|harm| Caused {
            causes: names(losses, rule, &harm),
            encoder: harm.encoder_in(cell, rule.and_then(|at| cell.outcome.rules.get(at))),
            harm,
        });
        Damage {
            scenario: cell.scenario.clone(),
            family: cell.family,
            table: harmed.subject.table,
            chain: harmed.subject.chain,
            index: harmed.subject.index,
            written: written.map(str::to_owned),
            left: left.into_iter().collect(),
            harms: caused.collect(),
        }
    })
}

fn untested(
    cell: &Cell,
    operations: &[Operation],
    tools: (Tool, Tool),
) -> impl Iterator<Item = Untested> {
    gaps(cell, operations, tools)
        .into_iter()
        .map(|gap| Untested {
            scenario: cell.scenario.clone(),
            family: cell.family,
            table: gap.subject.table,
            chain: gap.subject.chain,
            index: gap.subject.index,
            given: gap.given,
            operation: gap.operation,
            reason: gap.reason.to_string(),
        })
}

/// Writers with the same readers together.
fn grouped(pairs: PairSet) -> Arc<Pairs> {
    let mut groups: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    for (writer, readers) in pairs {
        groups.entry(readers).or_default().push(writer);
    }
    let group = |(readers, writers): (BTreeSet<usize>, Vec<usize>)| {
        (writers, readers.into_iter().collect())
    };
    Arc::new(groups.into_iter().map(group).collect())
}
