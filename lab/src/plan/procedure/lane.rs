//! The lane as the procedure knows it: which rules are in it, what the kernel holds, and who printed what of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::scene::Scene;
use crate::catalog::{BuildId, Tool};
use crate::observed::{End, Interner, Ran, State, Text};
use crate::plan::coroutine::Performer;
use crate::plan::fault::Fault;
use crate::plan::step::{Action, Burst, Role, RuleSet, Stage, Step};
use crate::plan::trace::{LoadTrace, PacketsInto, PrintOf, RereadPart, Restored, StepRef};
use crate::plan::{Load, Operation, Reader};
use crate::scenario::{Namespace, Probe, Scenario};
use crate::tool::Argv;

/// A command as it ended, and its place among the load's steps.
#[derive(Clone)]
pub struct Command {
    pub step: StepRef,
    pub ran: Ran,
}

impl Command {
    /// Whether it exited with status 0.
    pub fn succeeded(&self) -> bool {
        self.ran.end == End::Exit(0)
    }
}

/// What the kernel holds, and the step that dumped it.
#[derive(Clone)]
pub struct Dumped {
    pub step: StepRef,
    pub holds: Arc<State>,
}

impl Dumped {
    /// Whether both are the same state, at whatever time they were dumped.
    pub fn is(&self, other: &Dumped) -> bool {
        Arc::ptr_eq(&self.holds, &other.holds) || self.holds == other.holds
    }
}

/// When a build is asked for a print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Print {
    /// Unless it printed the same state before.
    IfNew,
    /// Each time, for printing may touch what the kernel holds.
    Always,
}

/// The lane as the procedure knows it: what it was last seen to hold.
pub struct TrackedLane {
    pub performer: Performer,
    pub load: Arc<Load>,
    pub scenario: Arc<Scenario>,
    pub(super) operations: Arc<[Operation]>,
    /// What the steps were to the operations, so far.
    pub trace: LoadTrace,
    /// Those who wrote and have listed what they wrote.
    pub listed_by: BTreeSet<BuildId>,
    /// All the rules that the writer takes, once that is known.
    pub whole: Option<RuleSet>,
    /// The rules that are in the lane exactly as the writer left them.
    pub(super) in_lane: Option<RuleSet>,
    /// What the kernel held when the writer had written a set of rules.
    pub(super) baselines: BTreeMap<RuleSet, Dumped>,
    /// Sets of rules that come to something else when they are restored at once.
    pub(super) is_slow: Vec<RuleSet>,
    /// Every state of the kernel that was seen in this load, once: states that are equal are then one in memory, and told apart
    /// by looking at nothing else.
    states: Interner<State>,
    /// What the kernel holds, as it was last dumped; none while nothing is known of it.
    pub(super) held: Option<Dumped>,
    /// Who printed what of which kernel state.
    prints: Vec<(BuildId, Dumped, Command)>,
    /// The parts in which somebody who had written was given what rewrites of a tool's builds had left that it could not print.
    pub reread: Vec<(Tool, BuildId, Dumped, Vec<RereadPart>)>,
    /// The rules that a reader failed at, alone: the next one will at most of them.
    pub at_fault: RuleSet,
    /// The rules of a reader's print that the writer could not read, alone, by their place in it.
    pub unreadable: RuleSet,
    /// The packets of the load's family.
    probes: Arc<[(Namespace, Probe)]>,
    /// The kernel states that packets were sent into.
    probed: Vec<Dumped>,
}

impl TrackedLane {
    pub fn new(
        performer: Performer,
        load: Arc<Load>,
        scenario: Arc<Scenario>,
        operations: Arc<[Operation]>,
    ) -> Self {
        let probes = scenario.probes_of(load.family).collect();
        TrackedLane {
            performer,
            load,
            scenario,
            operations,
            trace: LoadTrace::default(),
            listed_by: BTreeSet::new(),
            whole: None,
            in_lane: None,
            baselines: BTreeMap::new(),
            is_slow: Vec::new(),
            states: Interner::default(),
            held: None,
            prints: Vec::new(),
            reread: Vec::new(),
            at_fault: RuleSet::default(),
            unreadable: RuleSet::default(),
            probes,
            probed: Vec::new(),
        }
    }

    /// Whether an operation was asked for.
    pub fn wants(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    /// Whether an operation was asked for that is done with `reader`.
    pub fn wants_of(&self, reader: &Reader, operation: Operation) -> bool {
        self.wants(operation) && self.load.suits(operation, reader)
    }

    /// What was dumped at `step`: the state that is equal to it, if one was seen before.
    pub(super) fn state(&mut self, step: StepRef, dump: Arc<State>) -> Dumped {
        let mut holds = dump;
        self.states.share(&mut holds);
        Dumped { step, holds }
    }

    /// What the kernel held when the writer had written `rules`.
    pub fn baseline(&self, rules: &RuleSet) -> Option<&Dumped> {
        self.baselines.get(rules)
    }

    /// What the kernel holds now. After a command that was not followed by a dump nobody may ask.
    pub fn held(&self) -> Result<Dumped, Fault> {
        let held = self.held.clone();
        held.ok_or_else(|| Fault::NotDone {
            step: "a dump of the kernel's rules".to_owned(),
        })
    }

    /// Has everybody who wrote, and the witnesses of `reader`, print the rules that are in the lane, each once for each set of rules.
    pub async fn print_baseline(&mut self, rules: &RuleSet, reader: &Reader) -> Result<(), Fault> {
        let scene = Scene {
            rules,
            reader: None,
            stage: Stage::Baseline,
        };
        let load = self.load.clone();
        let of_writers = load.writers().map(|of| (Role::WriterPrint, &of.id));
        let of_witnesses = reader.witnesses().map(|of| (Role::WitnessPrint, of));
        for (role, build) in of_writers.chain(of_witnesses) {
            if self.write(scene).await? {
                self.print(scene, role, build, Print::IfNew).await?;
            }
        }
        Ok(())
    }

    /// What `build` printed of what the kernel holds now, if it did.
    fn known_print(&self, build: &BuildId) -> Option<&Command> {
        self.print_of_state(build, self.held.as_ref()?)
    }

    /// What `build` printed of what the writer left of `rules`, if it did.
    pub fn print_of(&self, build: &BuildId, rules: &RuleSet) -> Option<&Command> {
        self.print_of_state(build, self.baseline(rules)?)
    }

    fn print_of_state(&self, build: &BuildId, state: &Dumped) -> Option<&Command> {
        let mut prints = self.prints.iter();
        let known = prints.find(|(by, of, _)| by == build && of.is(state));
        known.map(|(.., command)| command)
    }

    /// What `build` prints of what the kernel holds now.
    pub async fn print(
        &mut self,
        scene: Scene<'_>,
        role: Role,
        build: &BuildId,
        when: Print,
    ) -> Result<Command, Fault> {
        let known = self.known_print(build).cloned();
        if let (Some(known), Print::IfNew) = (&known, when) {
            return Ok(known.clone());
        }
        let argv = self.load.print_command(build);
        let action = Action::command(build.clone(), argv, None);
        let of = self.held()?;
        let command = self.run_and_dump(scene, role, action).await?;
        if known.is_none() {
            self.trace.prints.push(PrintOf {
                state: of.step,
                command: command.step,
            });
            self.prints.push((build.clone(), of, command.clone()));
        }
        Ok(command)
    }

    /// Has `build` load `text` in place of all that is there; dump and witness say what that left.
    pub async fn restore(
        &mut self,
        scene: Scene<'_>,
        build: &BuildId,
        text: Text,
    ) -> Result<(Command, Restored), Fault> {
        let (commands, program) = self.load.commands_of(build);
        self.restore_with(scene, build, (commands.load(program), text))
            .await
    }

    /// Has `build` load a text with this command; dump and witness say what that left.
    pub async fn restore_with(
        &mut self,
        scene: Scene<'_>,
        build: &BuildId,
        command: (Argv, Text),
    ) -> Result<(Command, Restored), Fault> {
        let restored = self.restore_only(scene, build, command).await?;
        for witness in scene.reader.into_iter().flat_map(Reader::witnesses) {
            self.print(scene, Role::WitnessPrint, witness, Print::IfNew)
                .await?;
        }
        self.effect(scene).await?;
        Ok(restored)
    }

    /// Has `build` load a text with this command; a dump says what that left.
    pub async fn restore_only(
        &mut self,
        scene: Scene<'_>,
        build: &BuildId,
        (argv, text): (Argv, Text),
    ) -> Result<(Command, Restored), Fault> {
        let restore = Action::command(build.clone(), argv, Some(text));
        let command = self.run_and_dump(scene, Role::Restore, restore).await?;
        let restored = Restored {
            command: command.step,
            left: self.held()?.step,
        };
        Ok((command, restored))
    }

    /// Has `reader` restore a print with only the rules whose place in it is `kept`, in an empty lane: what comes of that depends on
    /// nobody who wrote there.
    pub async fn restore_part(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        (print, kept): (&Text, &RuleSet),
    ) -> Result<(Command, Restored), Fault> {
        let (id, dialect) = (&reader.build.id, reader.build.tool.dialect());
        let part = dialect.only(print, &|rule| kept.contains(rule));
        let (commands, program) = self.load.commands_of(id);
        let (argv, text) = (commands.load(program), dialect.written_back(&part));
        let restore = Action::command(id.clone(), argv, Some(text));
        let steps = vec![
            scene.step(Role::Reset, Action::Reset),
            scene.step(Role::Restore, restore),
            scene.step(Role::Dump, Action::Dump),
        ];
        self.touched();
        let mut answers = self.performer.perform(Burst::all(steps)).await?;
        let (Some((left, dump)), Some((command, ran))) = (answers.pop(), answers.pop()) else {
            return Err(Fault::NotDone {
                step: "a restore of lines of a print".to_owned(),
            });
        };
        self.now_holds(scene.rules, left, dump.dumped()?);
        let ran = ran.ran()?;
        let step = command;
        Ok((Command { step, ran }, Restored { command, left }))
    }

    /// Runs a command, and notes by a dump whether what the writer wrote is still as it was.
    pub async fn run_and_dump(
        &mut self,
        scene: Scene<'_>,
        role: Role,
        action: Action,
    ) -> Result<Command, Fault> {
        let step = scene.step(role, action);
        let shown = step.to_string();
        let mut ran = self.run_all(scene, vec![step]).await?;
        ran.pop().ok_or(Fault::NotDone { step: shown })
    }

    /// Runs commands of one build, and notes by a dump whether what the writer wrote is still as it was.
    pub async fn run_all(
        &mut self,
        scene: Scene<'_>,
        mut steps: Vec<Step>,
    ) -> Result<Vec<Command>, Fault> {
        steps.push(scene.step(Role::Dump, Action::Dump));
        let mut answers = self.performer.perform(Burst::all(steps)).await?;
        if let Some((step, dump)) = answers.pop() {
            self.now_holds(scene.rules, step, dump.dumped()?);
        }
        let ran = answers.into_iter().map(|(step, answer)| {
            let ran = answer.ran()?;
            Ok(Command { step, ran })
        });
        ran.collect()
    }

    /// Notes what the kernel holds, and whether those are `rules` as the writer left them.
    fn now_holds(&mut self, rules: &RuleSet, step: StepRef, dump: Arc<State>) {
        let state = self.state(step, dump);
        let same = self.baseline(rules).is_some_and(|of| of.is(&state));
        self.in_lane = same.then(|| rules.clone());
        self.held = Some(state);
    }

    /// Nothing is known of the lane any more.
    pub fn touched(&mut self) {
        self.in_lane = None;
        self.held = None;
    }

    /// Sends every packet of the scenario before anything is written.
    pub async fn probe_empty(&mut self, scene: Scene<'_>) -> Result<(), Fault> {
        if !self.has_probes() {
            return Ok(());
        }
        let reset = scene.step(Role::Reset, Action::Reset);
        let dump = scene.step(Role::Dump, Action::Dump);
        self.in_lane = None;
        let mut answers = self
            .performer
            .perform(Burst::all(vec![reset, dump]))
            .await?;
        if let Some((step, dump)) = answers.pop() {
            self.held = Some(self.state(step, dump.dumped()?));
            self.trace.unwritten = Some(self.send(scene).await?);
            // A reader may leave as little. Then what packets meet there is what comes of its rewrite, too.
            self.probed.clear();
        }
        Ok(())
    }

    /// Whether packets are sent into the rules. Of parts of them nothing is expected.
    pub fn is_probed(&self, scene: Scene<'_>) -> bool {
        self.has_probes() && self.whole.as_ref() == Some(scene.rules)
    }

    fn has_probes(&self) -> bool {
        self.wants(Operation::Effect) && !self.probes.is_empty()
    }

    /// Sends every packet of the scenario into what the kernel holds now, if none were sent into the same before. Says
    /// whether it did.
    pub async fn effect(&mut self, scene: Scene<'_>) -> Result<bool, Fault> {
        if !self.is_probed(scene) {
            return Ok(false);
        }
        let held = self.held()?;
        if self.probed.iter().any(|of| of.is(&held)) {
            return Ok(false);
        }
        let packets = self.send(scene).await?;
        self.trace.packets.push(PacketsInto {
            state: held.step,
            packets,
            counted: Vec::new(),
        });
        Ok(true)
    }

    async fn send(&mut self, scene: Scene<'_>) -> Result<StepRef, Fault> {
        let step = scene.step(Role::Probe, Action::Probe(self.probes.clone()));
        let (step, _) = self.performer.perform_one(step).await?;
        self.probed.extend(self.held.clone());
        Ok(step)
    }
}
