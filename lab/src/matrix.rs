//! All verdicts of a run: what every report is made from.

mod build_set;
mod difference;
mod example;
mod fold;
mod form;
mod harm;
mod known;
mod letter;
mod losses;
mod only;
mod packets;
mod side;
mod subject;
mod symptoms;
mod unstable;
mod untested;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use build_set::place;
pub use build_set::{BuildName, BuildSet, Member, NameKind, Span};
pub use difference::{Change, Difference, Direction, Inventory, difference};
pub use example::{Example, ExampleTexts, PrintedBy, example_texts};
pub use fold::{Folded, Layer, folded};
pub use form::Form;
pub use harm::{Certainty, Gap, GapReason, Harm, Harmed, PartChange, gaps, harms};
pub use known::{Known, KnownError, KnownLoss, NamedLoss};
pub use letter::{How, Letter, Letters, LostPart};
pub(crate) use letter::{letters, parts};
pub use losses::{Loss, Worst, losses, worst};
pub use only::what_both_ran;
pub use packets::{Broken, PacketChange, broken, packet_changes};
pub use side::Side;
pub use subject::{Subject, SubjectKind};
pub use symptoms::{Seen, Sighting, Symptom, symptoms};
pub use unstable::UnstableAnswer;
pub use untested::{Sampled, Tested, Untested, sampled, tested, untested};

use crate::catalog::{Backend, Build, BuildId, Family, Missing, Tool};
use crate::judge::{Case, Cell, SharedVerdicts, judge_among};
use crate::plan::{Operation, WithoutBystander, is_pairing};
use crate::recording::{Commands, CutShort, Head, Host, LoadRecord, Recording, RunEnd};
use crate::scenario::{Pairings, Scenario};

/// All verdicts of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The program that judged.
    pub lab: Lab,
    /// Where the run was made.
    pub host: Host,
    /// When the run began.
    pub started: jiff::Timestamp,
    /// When it ended; unknown of a run that was killed.
    pub finished: Option<jiff::Timestamp>,
    /// What was done with each pairing.
    pub operations: Vec<Operation>,
    /// Who said what the kernel held.
    pub witness: Witness,
    /// The builds that took part.
    pub builds: Vec<Build>,
    /// The builds that could not be had.
    pub missing: Vec<Missing>,
    /// The scenarios, in the order in which reports show them.
    pub scenarios: Vec<ScenarioHead>,
    /// How many pairings were to be run, counted once for each scenario and family; a run that was cut short has
    /// fewer cells.
    pub pairings: usize,
    /// Why the run ended early; none if its plan was through.
    pub cut_short: Option<String>,
    /// How many commands the run took; unknown of one that was killed or interrupted, and of older recordings.
    pub commands: Option<Commands>,
    /// The losses that are known already, and how many cells each of them names.
    pub known: Vec<KnownLoss>,
    /// A cell for each pairing that was run, by scenario, family, writer and reader.
    pub cells: Vec<Cell>,
}

/// The program that judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lab {
    /// Its version.
    pub version: String,
}

/// The witness of each backend; none where no build of it took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Witness {
    /// Of nft rules.
    pub nft: Option<BuildId>,
    /// Of legacy rules.
    pub legacy: Option<BuildId>,
}

/// What reports say of a scenario above its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioHead {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Which program writes its rules; unknown in older reports.
    #[serde(default)]
    pub tool: Option<Tool>,
    /// Which tools write the other systems' rules of it, layer by layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Tool>,
    /// Which pairings it is about; unknown in older reports.
    #[serde(default)]
    pub pairings: Option<Pairings>,
    /// The layers that nobody was there to write: with writers of these backends it was not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_bystander: Vec<WithoutBystander>,
}

/// Why a pairing has no cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absence {
    /// The run ended before it.
    NotRun,
    /// It is none of the scenario's.
    NotOfScenario,
}

impl Matrix {
    /// Judges a recording.
    pub fn of(recording: &Recording) -> Self {
        let mut builder = MatrixBuilder::new(&recording.head);
        for load in &recording.loads {
            builder.add(load);
        }
        builder.finish(recording.end.as_ref())
    }

    /// The cell of one pairing, if it was run.
    pub fn cell(
        &self,
        scenario: &str,
        family: Family,
        writer: &BuildId,
        reader: &BuildId,
    ) -> Option<&Cell> {
        let of_pairing = |cell: &&Cell| {
            cell.scenario == scenario
                && cell.family == family
                && &cell.writer == writer
                && &cell.reader == reader
        };
        self.cells.iter().find(of_pairing)
    }

    /// The cells of a scenario and family, by writer and reader.
    pub fn by_pairing(
        &self,
        scenario: &str,
        family: Family,
    ) -> BTreeMap<(&BuildId, &BuildId), &Cell> {
        let cells = self.cells.iter();
        let cells = cells.filter(|cell| cell.scenario == scenario && cell.family == family);
        cells
            .map(|cell| ((&cell.writer, &cell.reader), cell))
            .collect()
    }

    /// Why this writer and this reader have no cell in a scenario.
    pub fn absence(&self, scenario: &ScenarioHead, writer: &Build, reader: &Build) -> Absence {
        // A run that is through has run every pairing of its scenarios.
        let is_through = self.cut_short.is_none();
        let is_pairing = || match (scenario.tool, &scenario.pairings) {
            (Some(tool), Some(pairings)) => is_pairing(
                (tool, &scenario.beside),
                pairings,
                (writer, reader),
                &self.builds,
            ),
            _ => true,
        };
        match is_through || !is_pairing() {
            true => Absence::NotOfScenario,
            false => Absence::NotRun,
        }
    }

    /// Why pairings that could be in some table have no cell there.
    pub fn absences(&self) -> BTreeSet<Absence> {
        let (writers, readers) = (self.writers(), self.readers());
        let mut absences = BTreeSet::new();
        for scenario in &self.scenarios {
            for family in self.families(&scenario.name) {
                let cells = self.by_pairing(&scenario.name, family);
                let pairs = writers
                    .iter()
                    .flat_map(|writer| readers.iter().map(move |reader| (writer, reader)));
                let absent =
                    pairs.filter(|(one, other)| !cells.contains_key(&(&one.id, &other.id)));
                absences.extend(absent.map(|(one, other)| self.absence(scenario, one, other)));
            }
        }
        absences
    }

    /// Those that wrote in a scenario and family, or were yet to do so when the run ended, in order.
    pub fn writers_of(&self, scenario: &ScenarioHead, family: Family) -> Vec<&Build> {
        let (mut writers, readers) = (self.writers(), self.readers());
        let wrote = self.by_pairing(&scenario.name, family);
        let wrote: BTreeSet<&BuildId> = wrote.keys().map(|(writer, _)| *writer).collect();
        let is_due = |writer: &Build| {
            let mut readers = readers.iter();
            readers.any(|reader| self.absence(scenario, writer, reader) == Absence::NotRun)
        };
        writers.retain(|writer| wrote.contains(&writer.id) || is_due(writer));
        writers
    }

    /// Those that read in a scenario and family, or were yet to do so when the run ended, in order.
    pub fn readers_of(&self, scenario: &ScenarioHead, family: Family) -> Vec<&Build> {
        let (writers, mut readers) = (self.writers(), self.readers());
        let read = self.by_pairing(&scenario.name, family);
        let read: BTreeSet<&BuildId> = read.keys().map(|(_, reader)| *reader).collect();
        let is_due = |reader: &Build| {
            let mut writers = writers.iter();
            writers.any(|writer| self.absence(scenario, writer, reader) == Absence::NotRun)
        };
        readers.retain(|reader| read.contains(&reader.id) || is_due(reader));
        readers
    }

    /// The families in which a scenario was run.
    pub fn families(&self, scenario: &str) -> Vec<Family> {
        let has = |family: &Family| {
            self.cells
                .iter()
                .any(|cell| cell.scenario == scenario && cell.family == *family)
        };
        [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .filter(has)
            .collect()
    }

    /// Those builds that wrote in some cell, in order.
    pub fn writers(&self) -> Vec<&Build> {
        self.builds
            .iter()
            .filter(|build| self.cells.iter().any(|cell| cell.writer == build.id))
            .collect()
    }

    /// Those builds that read in some cell, in order.
    pub fn readers(&self) -> Vec<&Build> {
        self.builds
            .iter()
            .filter(|build| self.cells.iter().any(|cell| cell.reader == build.id))
            .collect()
    }
}

/// Judges load by load, so that no recording needs to be in memory.
pub struct MatrixBuilder<'h> {
    head: &'h Head,
    cells: Vec<Cell>,
    /// What cells share.
    shared: SharedVerdicts,
}

impl<'h> MatrixBuilder<'h> {
    /// No cell yet.
    pub fn new(head: &'h Head) -> Self {
        MatrixBuilder {
            head,
            cells: Vec::new(),
            shared: SharedVerdicts::default(),
        }
    }

    /// Judges one load; returns its cells. A load of a scenario that the head does not name has none.
    pub fn add(&mut self, load: &LoadRecord) -> &[Cell] {
        let before = self.cells.len();
        if let Some(scenario) = self
            .head
            .scenarios
            .iter()
            .find(|scenario| scenario.name == load.scenario)
        {
            self.cells.extend(judge_among(
                load,
                Case {
                    scenario,
                    builds: &self.head.builds,
                    operations: &self.head.operations,
                },
                &mut self.shared,
            ));
        }
        &self.cells[before..]
    }

    /// The matrix, its cells in an order that does not depend on the order of the loads.
    pub fn finish(self, end: Option<&RunEnd>) -> Matrix {
        let MatrixBuilder {
            head, mut cells, ..
        } = self;
        let scenarios: BTreeMap<&str, usize> =
            places(head.scenarios.iter().map(|scenario| scenario.name.as_str()));
        let builds: BTreeMap<&BuildId, usize> = places(head.builds.iter().map(|build| &build.id));
        cells.sort_by_key(|cell| {
            let scenario = scenarios.get(cell.scenario.as_str()).copied();
            (
                scenario,
                cell.family,
                builds.get(&cell.writer).copied(),
                builds.get(&cell.reader).copied(),
            )
        });
        let shard = head
            .shard
            .as_ref()
            .map(|of| CutShort::IsShard(*of).to_string());
        let cut_short = match end {
            Some(end) => end.cut_short.clone().or(shard),
            None => Some(CutShort::Killed.to_string()),
        };
        let witness = |backend| head.witness.get(&backend).cloned();
        let scenario_head =
            |scenario: &Scenario| ScenarioHead::of(scenario, &head.without_bystander);
        let mut host = head.host.clone();
        let unstable = UnstableAnswer::of(&head.builds, &cells);
        host.notes.extend(unstable.map(|of| of.to_string()));
        Matrix {
            lab: Lab {
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            witness: Witness {
                nft: witness(Backend::Nft),
                legacy: witness(Backend::Legacy),
            },
            host,
            started: head.started,
            finished: end.map(|end| end.finished),
            operations: head.operations.clone(),
            builds: head.builds.clone(),
            missing: head.missing.clone(),
            scenarios: head.scenarios.iter().map(scenario_head).collect(),
            pairings: head.pairings,
            cut_short,
            commands: end.and_then(|end| end.commands),
            known: Vec::new(),
            cells,
        }
    }
}

impl ScenarioHead {
    fn of(scenario: &Scenario, without_bystander: &[WithoutBystander]) -> Self {
        let without = without_bystander.iter();
        let without = without.filter(|of| of.scenario == scenario.name);
        ScenarioHead {
            name: scenario.name.clone(),
            title: scenario.title.clone(),
            tool: Some(scenario.tool()),
            beside: scenario.tools_beside(),
            without_bystander: without.cloned().collect(),
            pairings: Some(scenario.pairings.clone()),
        }
    }
}

fn places<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    items
        .enumerate()
        .map(|(place, item)| (item, place))
        .collect()
}
