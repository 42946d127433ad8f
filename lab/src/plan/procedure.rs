//! What is done with one load: the writer writes, every reader reads and writes back, and what fails is split.
//!
//! Pure: it yields steps and branches on their answers; it never concludes a verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command;
use super::isolate::{Trial, isolate};
use super::script::Lab;
use super::step::{Action, Answer, Burst, Role, RuleSet, Stage, Step};
use super::{Load, Operation, Reader};
use crate::agent::kernel::KernelDump;
use crate::agent::protocol::{End, Ran, Text};
use crate::catalog::BuildId;
use crate::ruleset::Printed;
use crate::scenario::Scenario;

/// The chain that a reader adds as its own in `sync`, as a component adds its chain to what it saved.
pub const OWN_CHAIN: &str = "IPTABLES-LAB";

/// Takes `load` through all of `operations`.
pub async fn procedure(
    lab: Lab,
    load: Arc<Load>,
    scenario: Arc<Scenario>,
    operations: Arc<[Operation]>,
) {
    let mut bench = Bench {
        lab,
        load: load.clone(),
        scenario,
        operations,
        laid: None,
        baselines: BTreeMap::new(),
    };
    let Some(accepted) = bench.accepted().await else {
        return;
    };
    for reader in &load.readers {
        bench
            .print_baseline(&accepted, reader.witness.as_ref())
            .await;
        let all_went_well = bench.reading(reader, &accepted).await;
        if !all_went_well && accepted.len() > 1 {
            bench.split_reading(reader, &accepted).await;
        }
    }
}

/// The lane as the procedure knows it: what was laid into it, and what the kernel holds when nobody touched that.
struct Bench {
    lab: Lab,
    load: Arc<Load>,
    scenario: Arc<Scenario>,
    operations: Arc<[Operation]>,
    /// The rules that are in the lane exactly as the writer left them.
    laid: Option<RuleSet>,
    baselines: BTreeMap<RuleSet, Baseline>,
}

/// What is known of a set of rules that the writer laid.
struct Baseline {
    dump: KernelDump,
    printed_by: Vec<BuildId>,
}

impl Bench {
    /// Writes all rules; where the writer refuses, finds those that it takes. None where it takes not one.
    async fn accepted(&mut self) -> Option<RuleSet> {
        let all = RuleSet::first(self.scenario.rule_count(self.load.family));
        let scene = Scene {
            rules: &all,
            reader: None,
            stage: Stage::Baseline,
        };
        if self.lay(scene).await {
            return Some(all);
        }
        let isolated = isolate(&all, &mut Writing { bench: self }).await;
        let any = !isolated.innocent.is_empty();
        any.then_some(isolated.innocent)
    }

    /// Empties the lane and has the writer write `rules`, unless they lie there untouched. Says whether it took them.
    async fn lay(&mut self, scene: Scene<'_>) -> bool {
        if self.laid.as_ref() == Some(scene.rules) {
            return true;
        }
        self.laid = None;
        let load = &self.load;
        let commands = command::write(&load.writer, load.family, &self.scenario, scene.rules);
        let writes = commands.into_iter().map(|(argv, stdin)| {
            let build = load.writer.id.clone();
            scene.step(Role::Write, Action::Command { build, argv, stdin })
        });
        let reset = scene.step(Role::Reset, Action::Reset);
        let dump = scene.step(Role::Dump, Action::Dump);
        let steps: Vec<Step> = [reset].into_iter().chain(writes).chain([dump]).collect();
        let answers = self.lab.perform(Burst::until_failure(steps)).await;
        // The dump is there only if every write succeeded.
        let Some(Answer::Dumped(dump)) = answers.into_iter().next_back() else {
            return false;
        };
        let printed_by = Vec::new();
        let baseline = Baseline { dump, printed_by };
        self.baselines
            .entry(scene.rules.clone())
            .or_insert(baseline);
        self.laid = Some(scene.rules.clone());
        true
    }

    /// Has the writer and `witness` print the rules that lie in the lane, each once for each set of rules.
    async fn print_baseline(&mut self, rules: &RuleSet, witness: Option<&BuildId>) {
        let scene = Scene {
            rules,
            reader: None,
            stage: Stage::Baseline,
        };
        let writer = self.load.writer.id.clone();
        let prints = [
            (Role::WriterPrint, Some(&writer)),
            (Role::WitnessPrint, witness),
        ];
        for (role, build) in prints {
            let Some(build) = build else { continue };
            let baseline = self.baselines.get(rules);
            let is_known = baseline.is_some_and(|known| known.printed_by.contains(build));
            if is_known || !self.lay(scene).await {
                continue;
            }
            self.print_and_dump(scene, role, build).await;
            if let Some(baseline) = self.baselines.get_mut(rules) {
                baseline.printed_by.push(build.clone());
            }
        }
    }

    /// Does every operation of `reader` on `rules`. Says whether it could print and restore all of them.
    async fn reading(&mut self, reader: &Reader, rules: &RuleSet) -> bool {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Save,
        };
        if !self.lay(scene).await {
            return false;
        }
        let saved = self
            .print_and_dump(scene, Role::ReaderPrint, &reader.build.id)
            .await;
        let mut well = printed_whole(&saved);
        if self.wants(Operation::Rewrite) && succeeded(&saved) {
            let scene = Scene {
                stage: Stage::Rewrite,
                ..scene
            };
            well &= self.restore(scene, reader, saved.stdout).await;
            if self.wants(Operation::Recognition) {
                let writer = self.load.writer.id.clone();
                self.print(scene, Role::WriterPrint, &writer).await;
            }
        }
        if self.wants(Operation::Sync) {
            let scene = Scene {
                stage: Stage::Sync,
                ..scene
            };
            well &= self.sync(scene, reader).await;
        }
        well
    }

    /// The reader saves, adds a chain and a jump of its own, and restores. Says whether its restore succeeded.
    async fn sync(&mut self, scene: Scene<'_>, reader: &Reader) -> bool {
        if !self.lay(scene).await {
            return false;
        }
        let saved = self
            .print_and_dump(scene, Role::ReaderPrint, &reader.build.id)
            .await;
        if !succeeded(&saved) {
            return true;
        }
        let tables = &self.scenario.ruleset(self.load.family).tables;
        let with_own = command::add_own_chain(&saved.stdout, tables, OWN_CHAIN);
        self.restore(scene, reader, with_own).await
    }

    /// The reader restores `text`; dump and witness say what that left. Says whether the restore succeeded.
    async fn restore(&mut self, scene: Scene<'_>, reader: &Reader, text: Text) -> bool {
        let build = reader.build.id.clone();
        let argv = command::restore(reader.build.backend, self.load.family);
        let restore = Action::Command {
            build,
            argv,
            stdin: Some(text),
        };
        let ran = self.run_and_dump(scene, Role::Restore, restore).await;
        if let Some(witness) = &reader.witness {
            self.print(scene, Role::WitnessPrint, witness).await;
        }
        succeeded(&ran)
    }

    /// Runs the reading on ever smaller sets, until the rules that this reader fails at stand alone.
    async fn split_reading(&mut self, reader: &Reader, failing: &RuleSet) {
        let mut trial = Readings {
            bench: self,
            reader,
            known: BTreeMap::from([(failing.clone(), false)]),
        };
        let isolated = isolate(failing, &mut trial).await;
        for group in isolated.faulty.iter().chain([&isolated.innocent]) {
            if !group.is_empty() {
                trial.passes(group).await;
            }
        }
    }

    fn wants(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    fn save(&self, scene: Scene<'_>, role: Role, build: &BuildId) -> Step {
        let argv = command::save(self.load.backend_of(build), self.load.family);
        let build = build.clone();
        scene.step(
            role,
            Action::Command {
                build,
                argv,
                stdin: None,
            },
        )
    }

    async fn print(&self, scene: Scene<'_>, role: Role, build: &BuildId) {
        self.lab.perform_one(self.save(scene, role, build)).await;
    }

    async fn print_and_dump(&mut self, scene: Scene<'_>, role: Role, build: &BuildId) -> Ran {
        let action = self.save(scene, role, build).action;
        self.run_and_dump(scene, role, action).await
    }

    /// Runs a command, and notes by a dump whether what the writer laid is still as it was.
    async fn run_and_dump(&mut self, scene: Scene<'_>, role: Role, action: Action) -> Ran {
        let steps = vec![
            scene.step(role, action),
            scene.step(Role::Dump, Action::Dump),
        ];
        let mut answers = self.lab.perform(Burst::all(steps)).await.into_iter();
        let (ran, dump) = (answers.next(), answers.next());
        let baseline = self.baselines.get(scene.rules);
        let same = match (baseline, &dump) {
            (Some(baseline), Some(Answer::Dumped(dump))) => baseline.dump == *dump,
            _ => false,
        };
        self.laid = same.then(|| scene.rules.clone());
        match ran {
            Some(Answer::Ran(ran)) => ran,
            _ => Ran {
                end: End::NotFound(0),
                stdout: Text::default(),
                stderr: Text::default(),
            },
        }
    }
}

/// Which rules are in the lane, for whom, and why.
#[derive(Clone, Copy)]
struct Scene<'a> {
    rules: &'a RuleSet,
    reader: Option<&'a Reader>,
    stage: Stage,
}

impl Scene<'_> {
    fn step(&self, role: Role, action: Action) -> Step {
        let reader = self.reader.map(|reader| reader.build.id.clone());
        Step {
            stage: self.stage,
            role,
            reader,
            rules: self.rules.clone(),
            action,
        }
    }
}

/// Whether the writer takes a set of rules.
struct Writing<'a> {
    bench: &'a mut Bench,
}

impl Trial for Writing<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> bool {
        let scene = Scene {
            rules,
            reader: None,
            stage: Stage::Baseline,
        };
        self.bench.lay(scene).await
    }
}

/// Whether a reader can print and restore a set of rules. No set is tried twice.
struct Readings<'a> {
    bench: &'a mut Bench,
    reader: &'a Reader,
    known: BTreeMap<RuleSet, bool>,
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

/// Whether a command ended with exit status 0.
pub fn succeeded(ran: &Ran) -> bool {
    ran.end == End::Exit(0)
}

/// Whether a save ended well and left no table out. Up to 1.8.8 it exits 0 where it could not decode a table, and
/// says so only in a comment.
pub fn printed_whole(ran: &Ran) -> bool {
    succeeded(ran)
        && Printed::read(&ran.stdout.to_lossy())
            .incompatible_tables()
            .is_empty()
}
