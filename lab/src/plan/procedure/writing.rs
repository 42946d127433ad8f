//! The rules are written into the lane, layer by layer: by the writer, and by bystanders.

use super::lane::{Dumped, TrackedLane};
use super::scene::Scene;
use crate::catalog::Build;
use crate::plan::fault::Fault;
use crate::plan::step::{Action, Burst, Role, RuleSet, Step};
use crate::plan::trace::{Refused, StepRef, Written};
use crate::scenario::Layer;
use crate::tool::{self, Program, Write};

/// How layers are written.
#[derive(Clone, Copy)]
enum Pace {
    /// Each as its system writes it.
    AsItsSystem,
    /// The first at once.
    FirstAtOnce,
}

/// The commands with which one layer is written, in order.
type LayerWrites = Vec<Action>;

impl TrackedLane {
    /// Empties the lane and has the writer write `rules`, and bystanders those of other layers, unless they are there untouched.
    /// Says whether all were taken.
    ///
    /// Rules that were written one by one before are restored at once, if the dump proves that to come to the same.
    pub async fn write(&mut self, scene: Scene<'_>) -> Result<bool, Fault> {
        if self.in_lane.as_ref() == Some(scene.rules) {
            return Ok(true);
        }
        self.in_lane = None;
        let known = self.baseline(scene.rules).cloned();
        // What is restored at once takes away what layers before it have.
        let first = self.scenario.layers().next().map(|layer| layer.write);
        let is_slow =
            !first.is_some_and(Write::is_rule_by_rule) || self.is_slow.contains(scene.rules);
        let quickly = known.clone().filter(|_| !is_slow);
        let quickly = quickly.map(|known| (known, self.writes(scene.rules, Pace::FirstAtOnce)));
        let slowly = self.writes(scene.rules, Pace::AsItsSystem);
        if let Some((known, commands)) = quickly {
            let quick = self.run_writes(scene, commands).await?;
            if quick.is_ok_and(|state| state.is(&known)) {
                self.in_lane = Some(scene.rules.clone());
                return Ok(true);
            }
            self.is_slow.push(scene.rules.clone());
        }
        let state = match self.run_writes(scene, slowly).await? {
            Ok(state) => state,
            Err(command) => {
                let rules = scene.rules.clone();
                self.trace.refused.push(Refused { rules, command });
                return Ok(false);
            }
        };
        if known.is_none() {
            self.trace.written.push(Written {
                rules: scene.rules.clone(),
                left: state.step,
            });
            self.baselines.insert(scene.rules.clone(), state);
        }
        self.in_lane = Some(scene.rules.clone());
        Ok(true)
    }

    /// The commands with which each layer of `rules` is written.
    fn writes(&self, rules: &RuleSet, pace: Pace) -> Vec<LayerWrites> {
        let layers = self.scenario.layers().enumerate();
        let layers = layers.map(|(at, layer)| {
            let build = self.load.writer_of(layer.number);
            let how = match pace {
                Pace::FirstAtOnce if at == 0 => build.tool.commands().at_once(),
                Pace::FirstAtOnce | Pace::AsItsSystem => layer.write,
            };
            if let Some(staying) = self.staying(layer, rules) {
                return vec![Action::staying(build.id.clone(), staying)];
            }
            let commands = self.write_commands(build, (layer, how), rules).into_iter();
            commands
                .map(|(argv, stdin)| Action::command(build.id.clone(), argv, stdin))
                .collect()
        });
        layers.collect()
    }

    /// The commands with which `build` writes those of `rules` that are of a layer, in the way of `how`.
    pub fn write_commands(
        &self,
        build: &Build,
        (layer, how): (Layer<'_>, Write),
        rules: &RuleSet,
    ) -> Vec<tool::Command> {
        let family = self.load.family;
        let given = layer.rules.get(&family);
        let in_whole = |place| self.scenario.in_whole(family, layer.number, place);
        given.map_or_else(Vec::new, |given| {
            given.commands(Program::of(build, family), how, |place| {
                rules.contains(in_whole(place))
            })
        })
    }

    /// The command that writes those of `rules` that are of a layer, and stays; none where the layer's does not.
    fn staying(&self, layer: Layer<'_>, rules: &RuleSet) -> Option<tool::Staying> {
        let family = self.load.family;
        let given = layer.rules.get(&family).filter(|_| layer.stays)?;
        let in_whole = |place| self.scenario.in_whole(family, layer.number, place);
        given.staying(layer.write, |place| rules.contains(in_whole(place)))
    }

    /// Empties the lane and has builds write `layers`. Returns what the kernel then holds, or the command that failed.
    ///
    /// What each layer leaves is looked at: parts of the rules that differ in a later layer have the earlier ones in common, and
    /// so have writers that leave the same.
    async fn run_writes(
        &mut self,
        scene: Scene<'_>,
        layers: Vec<LayerWrites>,
    ) -> Result<Result<Dumped, StepRef>, Fault> {
        let mut first = vec![scene.step(Role::Reset, Action::Reset)];
        let mut written = None;
        self.held = None;
        for (at, commands) in layers.into_iter().enumerate() {
            if at > 0 && commands.is_empty() {
                continue;
            }
            let writes = commands.into_iter();
            let writes = writes.map(|action| scene.step(Role::Write, action));
            let dump = scene.step(Role::Dump, Action::Dump);
            let steps: Vec<Step> = first.drain(..).chain(writes).chain([dump]).collect();
            let mut answers = self.performer.perform(Burst::until_failure(steps)).await?;
            // The dump is there only if every write succeeded.
            let last = answers.pop();
            if let Some((step, _)) = last.as_ref().filter(|(_, last)| last.is_failure()) {
                return Ok(Err(*step));
            }
            written = last;
        }
        let Some((step, last)) = written else {
            return Err(Fault::NotDone {
                step: "a write".to_owned(),
            });
        };
        let state = self.state(step, last.dumped()?);
        self.held = Some(state.clone());
        Ok(Ok(state))
    }
}
