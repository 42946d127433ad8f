//! What a scenario needs around its rules is made in the lane: sets, objects, interfaces.

use std::sync::Arc;

use super::lane::TrackedLane;
use super::scene::Scene;
use crate::plan::fault::Fault;
use crate::plan::step::{Action, Answer, Role, RuleSet, Stage};
use crate::plan::surroundings;
use crate::scenario::{Scenario, Setup};

impl TrackedLane {
    /// Makes what the scenario needs, and removes what an earlier load's needed. Says whether the kernel could.
    pub async fn furnish(&mut self) -> Result<bool, Fault> {
        let rules = RuleSet::first(self.scenario.rule_count(self.load.family));
        let scene = Scene {
            rules: &rules,
            reader: None,
            stage: Stage::Baseline,
        };
        let whole = surroundings(&self.scenario, &self.operations).into_owned();
        for setup in ever_less(&self.scenario, whole) {
            let step = scene.step(Role::Furnish, Action::Furnish(Arc::new(setup)));
            let (_, answer) = self.performer.perform_one(step).await?;
            if matches!(answer, Answer::Furnished(Ok(()))) {
                return Ok(true);
            }
        }
        Ok(false)
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
