//! A reader saves and writes back: rewrite, cycle, sync with and without a flush.

use std::collections::{BTreeMap, BTreeSet};

use super::lane::{Command, Dumped, Print, TrackedLane};
use super::scene::Scene;
use super::{OWN_CHAIN, ROUNDS};
use crate::catalog::BuildId;
use crate::plan::fault::Fault;
use crate::plan::isolate::{Suspects, Trial, alone, isolate};
use crate::plan::step::{Role, RuleSet, Stage};
use crate::plan::trace::{ReaderTrace, Reading, Restored};
use crate::plan::{Operation, Reader};
use crate::tool::Component;

/// How a reader restores what it saved and added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SyncWith {
    /// All of it: what was there before is flushed.
    Flush,
    /// Without a flush, and only what it owns.
    Noflush,
}

impl SyncWith {
    fn operation(self) -> Operation {
        match self {
            SyncWith::Flush => Operation::Sync,
            SyncWith::Noflush => Operation::SyncNoflush,
        }
    }

    fn stage(self) -> Stage {
        match self {
            SyncWith::Flush => Stage::Sync,
            SyncWith::Noflush => Stage::SyncNoflush,
        }
    }
}

impl TrackedLane {
    /// Has `reader` save `rules` and write them back. Says at what it failed.
    pub async fn reading(
        &mut self,
        reader: &Reader,
        rules: &RuleSet,
        trace: &mut ReaderTrace,
    ) -> Result<Failures, Fault> {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Save,
        };
        let mut failures = Failures::default();
        if !self.wants(Operation::Save) || !self.write(scene).await? {
            return Ok(failures);
        }
        let state = self.held()?;
        let id = &reader.build.id;
        let saved = self.print(scene, Role::ReaderPrint, id, Print::Always);
        let saved = saved.await?;
        let mut reading = Reading {
            rules: rules.clone(),
            state: state.step,
            saved: saved.step,
            part: None,
            rewrite: None,
            reread: Vec::new(),
            cycle: Vec::new(),
            sync: None,
            sync_noflush: None,
        };
        failures.note(
            Operation::Save,
            self.printed_whole(&reader.build.id, &saved),
        );
        // Scripts load what was printed, whatever the print's exit status was.
        let well = self.rewrite(scene, reader, &saved, &mut reading).await?;
        failures.note(Operation::Rewrite, well);
        if saved.succeeded() {
            for with in [SyncWith::Flush, SyncWith::Noflush] {
                let sync = self.sync(scene, reader, &saved, (with, &mut reading));
                failures.note(with.operation(), sync.await?);
            }
        }
        trace.readings.push(reading);
        Ok(failures)
    }

    /// The reader restores what it saved, the writer reads that, and both go on in turn. Says whether the reader's
    /// restore succeeded.
    async fn rewrite(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        saved: &Command,
        reading: &mut Reading,
    ) -> Result<bool, Fault> {
        if !self.wants(Operation::Rewrite) || !self.write(scene).await? {
            return Ok(true);
        }
        let scene = Scene {
            stage: Stage::Rewrite,
            ..scene
        };
        let text = reader.build.tool.dialect().written_back(&saved.ran.stdout);
        let (command, restored) = self.restore(scene, &reader.build.id, text).await?;
        reading.rewrite = Some(restored);
        let mut unreadable = Vec::new();
        if self.wants_of(reader, Operation::Recognition) {
            let writers: BTreeSet<BuildId> = self.load.writers().map(|of| of.id.clone()).collect();
            for writer in writers {
                let reread = self.print(scene, Role::WriterPrint, &writer, Print::IfNew);
                let reread = reread.await?;
                if command.succeeded() && !self.printed_whole(&writer, &reread) {
                    unreadable.push((self.held()?, (writer, reread)));
                }
            }
        }
        // A reader of the other backend rewrites its own tables, which are empty.
        if self.wants_of(reader, Operation::Cycle) && !self.load.is_crossed(reader) {
            let scene = Scene {
                stage: Stage::Cycle,
                ..scene
            };
            self.cycle(scene, reader, &mut reading.cycle).await?;
        }
        for (left, (writer, reread)) in unreadable {
            let found = self.reread_in_parts(scene, (reader, saved), (&left, &writer, &reread));
            reading.reread.extend(found.await?);
        }
        Ok(command.succeeded())
    }

    /// Writer and reader go on rewriting in turn, until the kernel's rules are as they were after an earlier turn of
    /// the writer.
    async fn cycle(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        turns: &mut Vec<Restored>,
    ) -> Result<(), Fault> {
        let writer = self.load.writer.id.clone();
        let mut seen: Vec<Dumped> = self.baseline(scene.rules).cloned().into_iter().collect();
        for round in 1..=ROUNDS {
            let went_on = self.turn(scene, Role::WriterPrint, &writer, turns).await?;
            let held = self.held()?;
            if !went_on || seen.iter().any(|of| of.is(&held)) {
                return Ok(());
            }
            seen.push(held);
            if round == ROUNDS {
                return Ok(());
            }
            let id = &reader.build.id;
            if !self.turn(scene, Role::ReaderPrint, id, turns).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `build` restores what it prints. Says whether it could.
    async fn turn(
        &mut self,
        scene: Scene<'_>,
        role: Role,
        build: &BuildId,
        turns: &mut Vec<Restored>,
    ) -> Result<bool, Fault> {
        let saved = self.print(scene, role, build, Print::IfNew).await?;
        if !saved.succeeded() {
            return Ok(false);
        }
        let dialect = self.load.kind_of(build).0.dialect();
        let text = dialect.written_back(&saved.ran.stdout);
        let (command, restored) = self.restore(scene, build, text).await?;
        turns.push(restored);
        Ok(command.succeeded())
    }

    /// The reader adds a chain and a jump of its own to what it saved, and restores. Says whether it could.
    async fn sync(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        saved: &Command,
        (with, reading): (SyncWith, &mut Reading),
    ) -> Result<bool, Fault> {
        if !self.wants_of(reader, with.operation()) || !self.write(scene).await? {
            return Ok(true);
        }
        let scene = Scene {
            stage: with.stage(),
            ..scene
        };
        let component = Component {
            family: self.load.family,
            tables: &self.scenario.ruleset(self.load.family).tables,
            owned: &self.scenario.own_chains,
            adds: OWN_CHAIN,
        };
        let (printed, dialect) = (&saved.ran.stdout, reader.build.tool.dialect());
        let (commands, program) = self.load.commands_of(&reader.build.id);
        let (load, text) = match with {
            SyncWith::Flush => (
                Some(commands.load(program)),
                dialect.with_own_chain(printed, component),
            ),
            SyncWith::Noflush => (
                commands.load_beside(program),
                dialect.own_chains(printed, component),
            ),
        };
        let Some(load) = load.zip(text) else {
            return Ok(true);
        };
        let (command, restored) = self.restore_with(scene, &reader.build.id, load).await?;
        match with {
            SyncWith::Flush => reading.sync = Some(restored),
            SyncWith::Noflush => reading.sync_noflush = Some(restored),
        }
        Ok(command.succeeded())
    }

    /// The rules of layers that `reader` could not have written.
    fn rules_of_other_tools(&self, reader: &Reader) -> RuleSet {
        let (scenario, family) = (&self.scenario, self.load.family);
        let layers = scenario.layers();
        let others = layers.filter(|layer| layer.tool() != reader.build.tool);
        let others: BTreeSet<usize> = others.map(|layer| layer.number).collect();
        (0..scenario.rule_count(family))
            .filter(|rule| others.contains(&scenario.in_layer(family, *rule).layer))
            .collect()
    }

    /// Runs the reading on ever smaller sets, until the rules that this reader fails at stand alone, and on all others
    /// together. What it fails at without any rule is no rule's fault: 1.8.4 at every restore with `--noflush`.
    pub async fn split_reading(
        &mut self,
        reader: &Reader,
        (failing, whole): (&RuleSet, Failures),
        trace: &mut ReaderTrace,
    ) -> Result<(), Fault> {
        let mut trial = Readings {
            lane: self,
            reader,
            trace,
            regardless: Failures::default(),
            known: BTreeMap::from([(failing.clone(), false)]),
        };
        trial.regardless = trial.failures(&RuleSet::default()).await?;
        if whole.but(&trial.regardless).is_empty() {
            return Ok(());
        }
        trial.known.insert(RuleSet::default(), true);
        let whole = whole.but(&trial.regardless);
        let mut failing = failing.clone();
        if whole.are_of_restoring() {
            let found = trial
                .lane
                .split_print(reader, &failing, trial.trace)
                .await?;
            for group in &found {
                failing = failing.without(group);
            }
            if !found.is_empty() && (failing.is_empty() || trial.passes(&failing).await?) {
                return Ok(());
            }
        }
        let suspects = Suspects {
            alone: trial.lane.at_fault.clone(),
            among: trial.lane.rules_of_other_tools(reader),
        };
        let isolated = isolate(&failing, &suspects, &mut trial).await?;
        let found: RuleSet = alone(&isolated.faulty).collect();
        trial.lane.at_fault.extend(&found);
        for group in isolated.faulty.into_iter().chain([isolated.innocent]) {
            if !group.is_empty() {
                trial.passes(&group).await?;
            }
        }
        Ok(())
    }
}

/// The operations at which a reader failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures(BTreeSet<Operation>);

impl Failures {
    fn note(&mut self, operation: Operation, went_well: bool) {
        if !went_well {
            self.0.insert(operation);
        }
    }

    /// Whether it failed at nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it printed all rules, and failed as it restored that.
    fn are_of_restoring(&self) -> bool {
        self.0.contains(&Operation::Rewrite) && !self.0.contains(&Operation::Save)
    }

    /// These without those.
    fn but(&self, those: &Failures) -> Failures {
        Failures(self.0.difference(&those.0).copied().collect())
    }
}

/// Whether a reader can print and restore a set of rules. No set is tried twice.
struct Readings<'a> {
    lane: &'a mut TrackedLane,
    reader: &'a Reader,
    trace: &'a mut ReaderTrace,
    /// At what it fails without any rule.
    regardless: Failures,
    known: BTreeMap<RuleSet, bool>,
}

impl Readings<'_> {
    async fn failures(&mut self, rules: &RuleSet) -> Result<Failures, Fault> {
        self.lane.print_baseline(rules, self.reader).await?;
        self.lane.reading(self.reader, rules, self.trace).await
    }
}

impl Trial for Readings<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> Result<bool, Fault> {
        if let Some(known) = self.known.get(rules) {
            return Ok(*known);
        }
        let failures = self.failures(rules).await?;
        let well = failures.but(&self.regardless).is_empty();
        self.known.insert(rules.clone(), well);
        Ok(well)
    }
}
