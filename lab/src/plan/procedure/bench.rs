//! The lane as the procedure knows it: what was laid into it, what the kernel holds, and who printed what of that.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::catalog::BuildId;
use crate::observed::{End, Ran, State, Text};
use crate::plan::script::Lab;
use crate::plan::step::{Action, Answer, Burst, Role, RuleSet, Stage, Step};
use crate::plan::{Load, Operation, Reader, command, surroundings};
use crate::scenario::{Namespace, Probe, Scenario, Setup, Write};

/// The lane as the procedure knows it.
pub struct Bench {
    pub lab: Lab,
    pub load: Arc<Load>,
    pub scenario: Arc<Scenario>,
    operations: Arc<[Operation]>,
    /// All the rules that the writer takes, once that is known.
    pub whole: Option<RuleSet>,
    /// The rules that are in the lane exactly as the writer left them.
    laid: Option<RuleSet>,
    /// What the kernel held when the writer had written a set of rules.
    baselines: BTreeMap<RuleSet, Arc<State>>,
    /// Sets of rules that come to something else when they are restored at once.
    is_slow: Vec<RuleSet>,
    /// Every state of the kernel that was seen, once: states that are equal are then one in memory, and told apart by
    /// looking at nothing else.
    states: HashSet<Arc<State>>,
    /// What the kernel holds, as it was last dumped.
    pub held: Arc<State>,
    /// Who printed what of which kernel state.
    prints: Vec<(BuildId, Arc<State>, Ran)>,
    /// The kernel states that packets were sent into.
    probed: Vec<Arc<State>>,
    /// The packets of the load's family.
    probes: Arc<[(Namespace, Probe)]>,
}

impl Bench {
    pub fn new(
        lab: Lab,
        load: Arc<Load>,
        scenario: Arc<Scenario>,
        operations: Arc<[Operation]>,
    ) -> Self {
        let probes = scenario.probes_of(load.family).collect();
        Bench {
            lab,
            load,
            scenario,
            operations,
            whole: None,
            laid: None,
            baselines: BTreeMap::new(),
            is_slow: Vec::new(),
            states: HashSet::new(),
            held: Arc::default(),
            prints: Vec::new(),
            probed: Vec::new(),
            probes,
        }
    }

    pub fn wants(&self, operation: Operation) -> bool {
        self.operations.contains(&operation) && operation.suits(self.load.writer.tool)
    }

    /// Makes what the scenario needs, and removes what an earlier load's needed. Says whether the kernel could.
    pub async fn furnish(&mut self) -> bool {
        let rules = RuleSet::first(self.scenario.rule_count(self.load.family));
        let scene = Scene {
            rules: &rules,
            reader: None,
            stage: Stage::Baseline,
        };
        let whole = surroundings(&self.scenario, &self.operations).into_owned();
        for setup in ever_less(&self.scenario, whole) {
            let step = scene.step(Role::Furnish, Action::Furnish(Arc::new(setup)));
            let answer = self.lab.perform_one(step).await;
            if matches!(answer, Some(Answer::Furnished(Ok(())))) {
                return true;
            }
        }
        false
    }

    /// Empties the lane and has the writer write `rules`, unless they lie there untouched. Says whether it took them.
    ///
    /// Rules that were written one by one before are restored at once, if the dump proves that to come to the same.
    pub async fn lay(&mut self, scene: Scene<'_>) -> bool {
        if self.laid.as_ref() == Some(scene.rules) {
            return true;
        }
        self.laid = None;
        let load = &self.load;
        let written =
            |how| command::write(&load.writer, load.family, &self.scenario, how, scene.rules);
        let known = self.baseline(scene.rules).cloned();
        let quickly = match (&known, self.scenario.write) {
            (Some(known), Write::Append | Write::Insert) if !self.is_slow.contains(scene.rules) => {
                Some((known.clone(), written(Write::Restore)))
            }
            _ => None,
        };
        let slowly = written(self.scenario.write);
        if let Some((known, commands)) = quickly {
            if self.written(scene, commands).await.as_ref() == Some(&known) {
                self.laid = Some(scene.rules.clone());
                return true;
            }
            self.is_slow.push(scene.rules.clone());
        }
        let Some(dump) = self.written(scene, slowly).await else {
            return false;
        };
        self.baselines.entry(scene.rules.clone()).or_insert(dump);
        self.laid = Some(scene.rules.clone());
        true
    }

    /// Empties the lane and has the writer run `commands`. Returns what the kernel then holds; none where one failed.
    async fn written(
        &mut self,
        scene: Scene<'_>,
        commands: Vec<command::Command>,
    ) -> Option<Arc<State>> {
        let writes = commands.into_iter().map(|(argv, stdin)| {
            let build = self.load.writer.id.clone();
            scene.step(Role::Write, Action::Command { build, argv, stdin })
        });
        let reset = scene.step(Role::Reset, Action::Reset);
        let dump = scene.step(Role::Dump, Action::Dump);
        let steps: Vec<Step> = [reset].into_iter().chain(writes).chain([dump]).collect();
        let answers = self.lab.perform(Burst::until_failure(steps)).await;
        // The dump is there only if every write succeeded.
        let Some(Answer::Dumped(dump)) = answers.into_iter().next_back() else {
            return None;
        };
        let dump = self.state(dump);
        self.held = dump.clone();
        Some(dump)
    }

    /// The state that is equal to this one, if it was seen before.
    fn state(&mut self, dump: Arc<State>) -> Arc<State> {
        if let Some(known) = self.states.get(&dump) {
            return known.clone();
        }
        self.states.insert(dump.clone());
        dump
    }

    /// What the kernel held when the writer had written `rules`.
    pub fn baseline(&self, rules: &RuleSet) -> Option<&Arc<State>> {
        self.baselines.get(rules)
    }

    /// Has the writer and `witness` print the rules that lie in the lane, each once for each set of rules.
    pub async fn print_baseline(&mut self, rules: &RuleSet, witness: Option<&BuildId>) {
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
            if self.lay(scene).await && self.known_print(build).is_none() {
                self.print_and_dump(scene, role, build).await;
            }
        }
    }

    /// What `build` printed of what the kernel holds now, if it did.
    pub fn known_print(&self, build: &BuildId) -> Option<&Ran> {
        let mut prints = self.prints.iter();
        let known = prints.find(|(by, of, _)| by == build && *of == self.held);
        known.map(|(.., ran)| ran)
    }

    /// What `build` prints of what the kernel holds now; it is asked only if that is not known.
    pub async fn print(&mut self, scene: Scene<'_>, role: Role, build: &BuildId) -> Ran {
        if let Some(known) = self.known_print(build) {
            return known.clone();
        }
        self.print_and_dump(scene, role, build).await
    }

    /// Has `build` print what the kernel holds, and notes whether that touched anything.
    pub async fn print_and_dump(&mut self, scene: Scene<'_>, role: Role, build: &BuildId) -> Ran {
        let argv = self.load.print_command(build);
        let action = Action::Command {
            build: build.clone(),
            argv,
            stdin: None,
        };
        let held = self.held.clone();
        let ran = self.run_and_dump(scene, role, action).await;
        self.prints.push((build.clone(), held, ran.clone()));
        ran
    }

    /// Has `build` restore `text` with `options`; dump and witness say what that left.
    pub async fn restore(
        &mut self,
        scene: Scene<'_>,
        build: &BuildId,
        text: Text,
        options: &[&str],
    ) -> Ran {
        let mut argv = command::restore(self.load.backend_of(build), self.load.family);
        argv.extend(options.iter().map(|&option| option.to_owned()));
        let restore = Action::Command {
            build: build.clone(),
            argv,
            stdin: Some(text),
        };
        let ran = self.run_and_dump(scene, Role::Restore, restore).await;
        if let Some(witness) = scene.reader.and_then(|reader| reader.witness.as_ref()) {
            self.print(scene, Role::WitnessPrint, witness).await;
        }
        self.effect(scene).await;
        ran
    }

    /// Runs a command, and notes by a dump whether what the writer laid is still as it was.
    pub async fn run_and_dump(&mut self, scene: Scene<'_>, role: Role, action: Action) -> Ran {
        let mut ran = self.run_all(scene, vec![scene.step(role, action)]).await;
        ran.pop().unwrap_or(Ran {
            end: End::NotFound(0),
            stdout: Text::default(),
            stderr: Text::default(),
        })
    }

    /// Runs commands of one build, and notes by a dump whether what the writer laid is still as it was.
    pub async fn run_all(&mut self, scene: Scene<'_>, mut steps: Vec<Step>) -> Vec<Ran> {
        steps.push(scene.step(Role::Dump, Action::Dump));
        let mut answers = self.lab.perform(Burst::all(steps)).await;
        if let Some(Answer::Dumped(dump)) = answers.pop() {
            self.now_holds(scene.rules, dump);
        }
        let ran = answers.into_iter().filter_map(|answer| match answer {
            Answer::Ran(ran) => Some(ran),
            _ => None,
        });
        ran.collect()
    }

    /// Notes what the kernel holds, and whether those are `rules` as the writer left them.
    pub fn now_holds(&mut self, rules: &RuleSet, dump: Arc<State>) {
        let dump = self.state(dump);
        let same = self.baseline(rules) == Some(&dump);
        self.laid = same.then(|| rules.clone());
        self.held = dump;
    }

    /// Nothing is known of the lane any more.
    pub fn touched(&mut self) {
        self.laid = None;
    }

    /// Sends every packet of the scenario before anything is written.
    pub async fn probe_empty(&mut self, scene: Scene<'_>) {
        if !self.has_probes() {
            return;
        }
        let reset = scene.step(Role::Reset, Action::Reset);
        let dump = scene.step(Role::Dump, Action::Dump);
        let answers = self.lab.perform(Burst::all(vec![reset, dump])).await;
        if let Some(Answer::Dumped(dump)) = answers.into_iter().next_back() {
            self.laid = None;
            self.held = self.state(dump);
            self.send(scene).await;
        }
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
    pub async fn effect(&mut self, scene: Scene<'_>) -> bool {
        let is_new = self.is_probed(scene) && !self.probed.contains(&self.held);
        if is_new {
            self.send(scene).await;
        }
        is_new
    }

    async fn send(&mut self, scene: Scene<'_>) {
        let step = scene.step(Role::Probe, Action::Probe(self.probes.clone()));
        self.lab.perform_one(step).await;
        self.probed.push(self.held.clone());
    }
}

/// The surroundings, and where the kernel may lack something for them, less of them: a user's own rules that name no set can be
/// tried without any. A shipped scenario is its rules and their surroundings.
fn ever_less(scenario: &Scenario, whole: Setup) -> Vec<Setup> {
    let without_accounts = Setup {
        accounts: Vec::new(),
        ..whole.clone()
    };
    let without_sets = Setup {
        sets: Vec::new(),
        ..without_accounts.clone()
    };
    let less = [without_accounts, without_sets];
    let mut all = vec![whole];
    for setup in less.into_iter().filter(|_| scenario.source.is_none()) {
        if all.last() != Some(&setup) {
            all.push(setup);
        }
    }
    all
}

/// Which rules are in the lane, for whom, and why.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub rules: &'a RuleSet,
    pub reader: Option<&'a Reader>,
    pub stage: Stage,
}

impl Scene<'_> {
    /// A step about all of the rules.
    pub fn step(&self, role: Role, action: Action) -> Step {
        let reader = self.reader.map(|reader| reader.build.id.clone());
        Step {
            stage: self.stage,
            role,
            reader,
            rules: self.rules.clone(),
            rule: None,
            action,
        }
    }

    /// A step about the rule at `index` (from 0) of the scenario's ruleset.
    pub fn step_about(&self, index: usize, role: Role, action: Action) -> Step {
        Step {
            rule: Some(index + 1),
            ..self.step(role, action)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Family;

    const RULES: &str = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m nfacct --nfacct-name in\n\
                         -A INPUT -m set --match-set web src -j DROP\nCOMMIT\n";

    /// How many sets and objects each has.
    fn sizes(scenario: &Scenario) -> Vec<(usize, usize)> {
        let all = ever_less(scenario, scenario.setup.clone());
        all.iter()
            .map(|setup| (setup.sets.len(), setup.accounts.len()))
            .collect()
    }

    #[test]
    fn a_users_rules_are_tried_without_what_the_kernel_lacks_and_a_shipped_scenario_is_not() {
        let own = Scenario::from_rules("own.save", Family::Ipv4, RULES).expect("rules");
        assert_eq!(sizes(&own), [(1, 1), (1, 0), (0, 0)]);
        let shipped = crate::scenario::shipped().expect("they are read");
        let with_sets = shipped.iter().find(|of| !of.setup.sets.is_empty());
        assert_eq!(sizes(with_sets.expect("some have sets")).len(), 1);
    }
}
