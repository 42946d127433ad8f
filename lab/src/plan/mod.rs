//! Pairings and rules laid out in lanes, loads and steps. Pure: no clock, no I/O, no engine.

mod burst;
pub mod control;
pub mod coroutine;
pub mod fault;
pub mod isolate;
mod lane_kind;
mod load;
mod operation;
pub mod procedure;
pub mod sample;
mod shard;
pub mod step;
pub mod trace;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build, BuildId, Family, Origin, Tool};
use crate::scenario::{By, Pairings, Scenario, Setup};
pub use lane_kind::LaneKind;
pub use load::{Bystander, Load, Reader};
pub use operation::Operation;
pub use shard::Shard;
use step::RuleSet;

/// What `operations` need around the rules of `scenario`. Only packets need a way, and some tools the interfaces that rules
/// name; none takes rules about sets that are not there.
pub fn surroundings<'s>(scenario: &'s Scenario, operations: &[Operation]) -> Cow<'s, Setup> {
    let mut layers = scenario.layers();
    let needs_interfaces = layers.any(|layer| layer.tool().commands().needs_interfaces());
    match operations.contains(&Operation::Effect) || needs_interfaces {
        true => Cow::Borrowed(&scenario.setup),
        false => Cow::Owned(Setup {
            sets: scenario.setup.sets.clone(),
            accounts: scenario.setup.accounts.clone(),
            ..Setup::default()
        }),
    }
}

/// All that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is done with each pairing.
    pub operations: Vec<Operation>,
    /// The loads, scenario by scenario, in the order in which they run.
    pub loads: Vec<Load>,
    /// The builds that each kind of lane must hold: writers, readers and witnesses.
    pub lanes: BTreeMap<LaneKind, BTreeSet<BuildId>>,
    /// The scenarios that have no load because nobody is there who could write one of their layers.
    pub without_bystander: Vec<WithoutBystander>,
}

/// A scenario that is not run with writers of a backend, because nobody is there who could write one of its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithoutBystander {
    /// The scenario's name.
    pub scenario: String,
    /// The layer, from 1.
    pub layer: usize,
    /// The tool that writes it.
    pub tool: Tool,
    /// The backend that a build of it would have to be of.
    pub backend: Backend,
}

/// Who takes part in a plan.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Every build that is available: the witnesses come from here.
    pub available: &'a [Build],
    /// Who writes.
    pub writers: &'a [Build],
    /// Who reads.
    pub readers: &'a [Build],
    /// Whether somebody said who shall read. Else those do that read unasked.
    pub are_readers_named: bool,
}

impl Plan {
    /// Lays out every pairing of the selection with every scenario and family. Who writes a scenario is the tool that its
    /// system uses; who reads is of any tool. A scenario that nobody of the selection can write has no load. What people
    /// wait for runs first.
    pub fn new(
        scenarios: &[Scenario],
        selection: Selection<'_>,
        operations: Vec<Operation>,
    ) -> Self {
        let mut plan = Plan {
            operations,
            loads: Vec::new(),
            lanes: BTreeMap::new(),
            without_bystander: Vec::new(),
        };
        let mut in_order: Vec<&Scenario> = scenarios.iter().collect();
        in_order.sort_by_key(|scenario| scenario.weight());
        for scenario in in_order {
            for family in scenario.families() {
                let tool = scenario.tool();
                for writer in selection.writers.iter().filter(|of| of.tool == tool) {
                    plan.add_loads(scenario, family, writer, selection);
                }
            }
        }
        plan
    }

    fn add_loads(
        &mut self,
        scenario: &Scenario,
        family: Family,
        writer: &Build,
        selection: Selection<'_>,
    ) {
        let mut readers: BTreeMap<LaneKind, Vec<Reader>> = BTreeMap::new();
        let pairings = &scenario.pairings;
        let beside = scenario.tools_beside();
        let pairs = selection.readers.iter().filter(|build| {
            let reads_unasked = build.tool.commands().reads_unasked(scenario.tool());
            (selection.are_readers_named || reads_unasked)
                && is_pairing(
                    (scenario.tool(), &beside),
                    pairings,
                    (writer, build),
                    selection.available,
                )
        });
        let pairs: Vec<&Build> = pairs.collect();
        if pairs.is_empty() {
            return;
        }
        let Some(bystanders) = self.bystanders(scenario, writer, selection.available) else {
            return;
        };
        for build in pairs {
            let kind = match pairings.detect {
                // Who looks which backend is in use asks both of its own.
                Some(_) => LaneKind::Cross,
                None => LaneKind::of(writer.backend, build.backend),
            };
            let witness_of = |writer: &Build| {
                let second = writer.tool.commands().witness(build.tool);
                let other_than = Some(&build.id);
                let found = witness(selection.available, second, writer.backend, other_than);
                found.map(|witness| witness.id.clone())
            };
            readers.entry(kind).or_default().push(Reader {
                build: build.clone(),
                witness: witness_of(writer),
                beside: bystanders.iter().map(|of| witness_of(&of.build)).collect(),
            });
        }
        for (kind, readers) in readers {
            let members = self.lanes.entry(kind).or_default();
            members.insert(writer.id.clone());
            members.extend(bystanders.iter().map(|of| of.build.id.clone()));
            members.extend(readers.iter().map(|reader| reader.build.id.clone()));
            members.extend(readers.iter().flat_map(Reader::witnesses).cloned());
            if pairings.detect.is_some() {
                let siblings = readers.iter().flat_map(|reader| {
                    let build = &reader.build;
                    Backend::ALL.map(|backend| build.id.sibling(build.backend, backend))
                });
                members.extend(siblings);
            }
            let (scenario, writer) = (scenario.name.clone(), writer.clone());
            self.loads.push(Load {
                scenario,
                family,
                writer,
                bystanders: bystanders.clone(),
                readers,
                kind,
                asked: None,
            });
        }
    }

    /// Who writes the layers that are not the writer's: of each tool the newest build of its backend. None where one is not there,
    /// which is noted. Whose program is to stay is a package before all others: the lab compiles nft without its prompt.
    fn bystanders(
        &mut self,
        scenario: &Scenario,
        writer: &Build,
        available: &[Build],
    ) -> Option<Vec<Bystander>> {
        let mut bystanders = Vec::new();
        for layer in scenario.layers().filter(|of| of.by == By::Bystander) {
            let (number, tool, backend) = (layer.number, layer.tool(), writer.backend);
            let packages = layer.stays.then(|| available.iter().filter(is_package));
            let packages: Vec<Build> = packages.into_iter().flatten().cloned().collect();
            let newest = witness(&packages, tool, backend, None)
                .or_else(|| witness(available, tool, backend, None));
            let Some(build) = newest else {
                let without = WithoutBystander {
                    scenario: scenario.name.clone(),
                    layer: number,
                    tool,
                    backend,
                };
                if !self.without_bystander.contains(&without) {
                    self.without_bystander.push(without);
                }
                return None;
            };
            bystanders.push(Bystander {
                layer: number,
                build: build.clone(),
            });
        }
        Some(bystanders)
    }

    /// Has readers be asked for a sample of the rules of large rulesets, not for each.
    pub fn sample(&mut self, scenarios: &BTreeMap<String, Arc<Scenario>>) {
        let mut known: BTreeMap<(String, Family), Option<RuleSet>> = BTreeMap::new();
        for load in &mut self.loads {
            let key = (load.scenario.clone(), load.family);
            let asked = known.entry(key).or_insert_with(|| {
                let scenario = scenarios.get(&load.scenario)?;
                sample::sample(scenario, load.family)
            });
            load.asked = asked.clone();
        }
    }

    /// How many pairings the plan has, counted once for each scenario and family.
    pub fn pairings(&self) -> usize {
        self.loads.iter().map(|load| load.readers.len()).sum()
    }
}

fn is_package(build: &&Build) -> bool {
    build.origin == Origin::Debian
}

/// Whether a writer and a reader are ever put side by side in a scenario whose rules the tool `own` writes, those of others the
/// tools `beside`, and that is about `pairings`. All of its layers lie in the tables of one backend.
pub fn is_pairing(
    (own, beside): (Tool, &[Tool]),
    pairings: &Pairings,
    (writer, reader): (&Build, &Build),
    available: &[Build],
) -> bool {
    let mut beside = beside.iter();
    writer.tool == own
        && beside.all(|tool| tool.commands().has_backend(writer.backend))
        && pairings.allow(writer, reader)
        && (pairings.detect.is_none() || has_both_backends(available, reader))
}

/// Whether the image of `build` holds the other backend too.
fn has_both_backends(available: &[Build], build: &Build) -> bool {
    Backend::ALL.into_iter().all(|backend| {
        let sibling = build.id.sibling(build.backend, backend);
        available.iter().any(|known| known.id == sibling)
    })
}

/// Whether builds of a tool are witnesses before those of other origins: upstream's iptables are. A release of nft is compiled only
/// for who asks for it, and what a cell says does not depend on that.
pub fn is_witness_first(tool: Tool, origin: Origin) -> bool {
    tool == Tool::Iptables && origin == Origin::Upstream
}

/// The witness of a tool and backend: the newest upstream build, or the newest of any origin where there is none; the next newest
/// where that is the `reader` itself.
pub fn witness<'a>(
    available: &'a [Build],
    tool: Tool,
    backend: Backend,
    reader: Option<&BuildId>,
) -> Option<&'a Build> {
    available
        .iter()
        .filter(|build| build.tool == tool && build.backend == backend)
        .filter(|build| Some(&build.id) != reader)
        .max_by_key(|build| {
            let is_whole = build.variant.is_none();
            let is_upstream = is_witness_first(build.tool, build.origin);
            (is_whole, is_upstream, &build.version, &build.id)
        })
}

#[cfg(test)]
mod tests;
