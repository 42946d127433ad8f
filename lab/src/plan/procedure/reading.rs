//! A reader saves and writes back: rewrite, cycle, sync with and without a flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bench::{Bench, Scene};
use super::{OWN_CHAIN, ROUNDS, printed_whole, succeeded};
use crate::observed::{Ran, State};
use crate::plan::isolate::{Trial, isolate};
use crate::plan::step::{Role, RuleSet, Stage};
use crate::plan::{Operation, Reader, command};

impl Bench {
    /// Has `reader` save `rules` and write them back. Says whether it could print and restore all of them.
    pub async fn reading(&mut self, reader: &Reader, rules: &RuleSet) -> bool {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Save,
        };
        if !self.wants(Operation::Save) || !self.lay(scene).await {
            return true;
        }
        let saved = self
            .print_and_dump(scene, Role::ReaderPrint, &reader.build.id)
            .await;
        let mut well = printed_whole(&saved);
        if succeeded(&saved) {
            well &= self.rewrite(scene, reader, &saved).await;
            well &= self.sync(scene, reader, &saved).await;
            well &= self.sync_noflush(scene, reader, &saved).await;
        }
        well
    }

    /// The reader restores what it saved, the writer reads that, and both go on in turn. Says whether the reader's
    /// restore succeeded.
    async fn rewrite(&mut self, scene: Scene<'_>, reader: &Reader, saved: &Ran) -> bool {
        if !self.wants(Operation::Rewrite) || !self.lay(scene).await {
            return true;
        }
        let scene = Scene {
            stage: Stage::Rewrite,
            ..scene
        };
        let id = &reader.build.id;
        let restored = self.restore(scene, id, saved.stdout.clone(), &[]).await;
        if self.wants(Operation::Recognition) {
            let writer = self.load.writer.id.clone();
            self.print(scene, Role::WriterPrint, &writer).await;
        }
        // A reader of the other backend rewrites its own tables, which are empty.
        if self.wants(Operation::Cycle) && !self.load.is_crossed(reader) {
            let scene = Scene {
                stage: Stage::Cycle,
                ..scene
            };
            self.cycle(scene, reader).await;
        }
        succeeded(&restored)
    }

    /// Writer and reader go on rewriting in turn, until the kernel's rules are as they were after an earlier turn of
    /// the writer.
    async fn cycle(&mut self, scene: Scene<'_>, reader: &Reader) {
        let writer = self.load.writer.id.clone();
        let mut seen: Vec<Arc<State>> = self.baseline(scene.rules).cloned().into_iter().collect();
        for round in 1..=ROUNDS {
            if !self.turn(scene, Role::WriterPrint, &writer).await || seen.contains(&self.held) {
                return;
            }
            seen.push(self.held.clone());
            if round == ROUNDS || !self.turn(scene, Role::ReaderPrint, &reader.build.id).await {
                return;
            }
        }
    }

    /// `build` restores what it prints. Says whether it could.
    async fn turn(
        &mut self,
        scene: Scene<'_>,
        role: Role,
        build: &crate::catalog::BuildId,
    ) -> bool {
        let saved = self.print(scene, role, build).await;
        succeeded(&saved) && succeeded(&self.restore(scene, build, saved.stdout, &[]).await)
    }

    /// The reader adds a chain and a jump of its own to what it saved, and restores. Says whether it could.
    async fn sync(&mut self, scene: Scene<'_>, reader: &Reader, saved: &Ran) -> bool {
        if !self.wants(Operation::Sync) || !self.lay(scene).await {
            return true;
        }
        let scene = Scene {
            stage: Stage::Sync,
            ..scene
        };
        let tables = &self.scenario.ruleset(self.load.family).tables;
        let with_own = command::add_own_chain(&saved.stdout, tables, OWN_CHAIN);
        let restored = self.restore(scene, &reader.build.id, with_own, &[]).await;
        succeeded(&restored)
    }

    /// The reader restores, without a flush, what it owns of what it saved, and a chain and a jump of its own. Says
    /// whether it could.
    async fn sync_noflush(&mut self, scene: Scene<'_>, reader: &Reader, saved: &Ran) -> bool {
        if !self.wants(Operation::SyncNoflush) || !self.lay(scene).await {
            return true;
        }
        let scene = Scene {
            stage: Stage::SyncNoflush,
            ..scene
        };
        let tables = &self.scenario.ruleset(self.load.family).tables;
        let own = command::own_chains(&saved.stdout, tables, &self.scenario.own_chains, OWN_CHAIN);
        let restored = self
            .restore(scene, &reader.build.id, own, &["--noflush"])
            .await;
        succeeded(&restored)
    }

    /// Runs the reading on ever smaller sets, until the rules that this reader fails at stand alone. Returns the sets:
    /// each that it fails at, and all the others together.
    pub async fn split_reading(&mut self, reader: &Reader, failing: &RuleSet) -> Vec<RuleSet> {
        let mut trial = Readings {
            bench: self,
            reader,
            known: BTreeMap::from([(failing.clone(), false)]),
        };
        let isolated = isolate(failing, &mut trial).await;
        let mut groups = Vec::new();
        for group in isolated.faulty.into_iter().chain([isolated.innocent]) {
            if !group.is_empty() {
                trial.passes(&group).await;
                groups.push(group);
            }
        }
        groups
    }
}

/// Whether a reader can print and restore a set of rules. No set is tried twice.
pub struct Readings<'a> {
    pub bench: &'a mut Bench,
    pub reader: &'a Reader,
    pub known: BTreeMap<RuleSet, bool>,
}

impl Trial for Readings<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> bool {
        if let Some(known) = self.known.get(rules) {
            return *known;
        }
        self.bench
            .print_baseline(rules, self.reader.witness.as_ref())
            .await;
        let well = self.bench.reading(self.reader, rules).await;
        self.known.insert(rules.clone(), well);
        well
    }
}
