//! Which rules are at fault when a whole load fails: the load is split until each stands alone.

use super::fault::Fault;
use super::step::RuleSet;

/// Tries rules in the lane and says whether all went well.
pub trait Trial {
    /// Lays just these rules and does with them what failed before.
    ///
    /// # Errors
    /// A step that was not done as it was asked for.
    fn passes(&mut self, rules: &RuleSet) -> impl Future<Output = Result<bool, Fault>> + Send;
}

/// What a split found.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Isolated {
    /// The rules that pass together.
    pub innocent: RuleSet,
    /// The groups that fail, each as small as it gets: a single rule, or rules that fail only together.
    pub faulty: Vec<RuleSet>,
}

/// Rules that are likelier at fault than others. They are tried first, and change nothing in what is found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suspects {
    /// Those that were at fault elsewhere. Each that fails alone here too is found at once.
    pub alone: RuleSet,
    /// Those among which the fault is likely to be, whichever it is.
    pub among: RuleSet,
}

/// Splits `failing`, a set that is known to fail, until every rule at fault stands alone.
///
/// When not even the chains without any rule pass, the whole set is at fault and nothing is split.
///
/// # Errors
/// A step that was not done as it was asked for.
pub async fn isolate(
    failing: &RuleSet,
    suspects: &Suspects,
    trial: &mut (impl Trial + Send),
) -> Result<Isolated, Fault> {
    if failing.len() > 1 && !trial.passes(&RuleSet::default()).await? {
        return Ok(Isolated {
            innocent: RuleSet::default(),
            faulty: vec![failing.clone()],
        });
    }
    let mut innocent = failing.clone();
    let mut faulty = Vec::new();
    if failing.len() > 1 {
        let suspected = suspects.alone.iter();
        for rule in suspected.filter(|rule| failing.contains(*rule)) {
            let alone = RuleSet::from_iter([rule]);
            if !trial.passes(&alone).await? {
                innocent = innocent.without(&alone);
                faulty.push(alone);
            }
        }
        if !faulty.is_empty() && (innocent.is_empty() || trial.passes(&innocent).await?) {
            return Ok(Isolated { innocent, faulty });
        }
    }
    let likely = suspects.among.iter();
    let mut among: RuleSet = likely.filter(|rule| innocent.contains(*rule)).collect();
    if among == innocent || among.is_empty() || trial.passes(&among).await? {
        among.clone_from(&innocent);
    }
    loop {
        let found = least_failing(&among, trial).await?;
        for group in &found {
            innocent = innocent.without(group);
        }
        faulty.extend(found);
        if innocent.is_empty() || trial.passes(&innocent).await? {
            return Ok(Isolated { innocent, faulty });
        }
        among.clone_from(&innocent);
    }
}

/// The rules that fail alone among groups at fault.
pub fn alone(faulty: &[RuleSet]) -> impl Iterator<Item = usize> {
    let single = faulty.iter().filter(|group| group.len() == 1);
    single.flat_map(RuleSet::iter)
}

/// The least groups within `failing` (which fails) that fail by themselves, in order.
async fn least_failing(
    failing: &RuleSet,
    trial: &mut (impl Trial + Send),
) -> Result<Vec<RuleSet>, Fault> {
    let mut found = Vec::new();
    let mut pending = vec![failing.clone()];
    while let Some(group) = pending.pop() {
        if group.len() == 1 {
            found.push(group);
            continue;
        }
        let (first, second) = group.halves();
        let failing_halves: Vec<RuleSet> = {
            let mut halves = Vec::new();
            for half in [second, first] {
                if !trial.passes(&half).await? {
                    halves.push(half);
                }
            }
            halves
        };
        if failing_halves.is_empty() {
            found.push(shrunk(group, trial).await?);
            continue;
        }
        pending.extend(failing_halves);
    }
    Ok(found)
}

/// `failing` without every rule that it fails without, too.
async fn shrunk(failing: RuleSet, trial: &mut (impl Trial + Send)) -> Result<RuleSet, Fault> {
    let mut least = failing.clone();
    for rule in failing.iter() {
        let rest = least.without(&RuleSet::from_iter([rule]));
        if !rest.is_empty() && !trial.passes(&rest).await? {
            least = rest;
        }
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plan::coroutine::{Coroutine, Next};

    /// Fails when any of the listed groups is wholly in the set.
    struct Model {
        faults: Vec<RuleSet>,
        tried: usize,
    }

    impl Trial for Model {
        async fn passes(&mut self, rules: &RuleSet) -> Result<bool, Fault> {
            self.tried += 1;
            let mut faults = self.faults.iter();
            Ok(!faults.any(|fault| fault.iter().all(|rule| rules.contains(rule))))
        }
    }

    fn set(text: &str) -> RuleSet {
        text.parse().unwrap()
    }

    fn run(count: usize, faults: &[&str]) -> (Isolated, usize) {
        run_suspecting(count, faults, Suspects::default())
    }

    fn run_suspecting(count: usize, faults: &[&str], suspects: Suspects) -> (Isolated, usize) {
        let mut model = Model {
            faults: faults.iter().map(|fault| set(fault)).collect(),
            tried: 0,
        };
        let mut coroutine = Coroutine::new(|_| async move {
            let isolated = isolate(&RuleSet::first(count), &suspects, &mut model).await?;
            Ok((isolated, model.tried))
        });
        match coroutine.next(None).unwrap() {
            Next::Through(found) => found,
            Next::Steps(burst) => panic!("{burst:?}"),
        }
    }

    #[rstest]
    #[case(1, &["1"], "", &["1"])]
    #[case(8, &["3"], "1-2,4-8", &["3"])]
    #[case(8, &["1", "8"], "2-7", &["1", "8"])]
    #[case(5, &["1", "2", "3", "4", "5"], "", &["1", "2", "3", "4", "5"])]
    #[case(4, &["1,4"], "2-3", &["1,4"])]
    #[case(8, &["2,5", "5,7"], "1-4,6,8", &["5,7"])]
    #[case(8, &["1-2"], "3-8", &["1-2"])]
    fn the_rules_at_fault_stand_alone_and_the_others_pass(
        #[case] count: usize,
        #[case] faults: &[&str],
        #[case] innocent: &str,
        #[case] faulty: &[&str],
    ) {
        let (isolated, _) = run(count, faults);
        assert_eq!(isolated.innocent, set(innocent));
        assert_eq!(
            isolated.faulty,
            faulty.iter().map(|group| set(group)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn one_fault_among_many_costs_a_logarithm_of_trials() {
        let (_, tried) = run(1024, &["700"]);
        assert!(tried <= 2 * 10 + 2, "{tried} trials");
    }

    #[rstest]
    #[case::all_of_them("3,700", "", 4)]
    #[case::more_than_these("3,9,700", "", 5)]
    #[case::some_of_them("700", "", 24)]
    #[case::none_of_them("9", "", 46)]
    #[case::all_are_among("", "1-16,700", 20)]
    #[case::one_is_among("", "1-16", 32)]
    #[case::none_is_among("", "17-32", 46)]
    fn suspects_are_tried_first_and_change_nothing(
        #[case] alone: &str,
        #[case] among: &str,
        #[case] most: usize,
    ) {
        let suspects = Suspects {
            alone: set(alone),
            among: set(among),
        };
        let (isolated, tried) = run_suspecting(1024, &["3", "700"], suspects);
        let (known, _) = run(1024, &["3", "700"]);
        assert_eq!(isolated.innocent, known.innocent);
        let sorted = |isolated: Isolated| {
            let groups = isolated.faulty.into_iter();
            groups.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(sorted(isolated), sorted(known));
        assert!(tried <= most, "{tried} trials");
    }

    #[test]
    fn chains_that_fail_without_any_rule_are_not_split() {
        let (isolated, tried) = run(64, &[""]);
        assert_eq!(isolated.faulty, [RuleSet::first(64)]);
        assert_eq!(tried, 1);
    }
}
