//! Which rules of a large ruleset readers are asked for one by one: one of each shape. A `-C` or `-D` of one rule of thousands
//! takes a build tens of milliseconds, and rules of one shape fare alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::step::RuleSet;
use crate::catalog::Family;
use crate::scenario::Scenario;
use crate::tool::Shape;

/// Which rules of a large ruleset readers are asked for one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskedRules {
    /// One of each shape.
    #[default]
    Sample,
    /// Every one.
    All,
}

/// Of so many rules each is asked for.
pub const ALL_UP_TO: usize = 300;

/// Of more, so many are asked for at most.
pub const MOST: usize = 100;

/// The rules of a scenario that readers are asked for; none where they are asked for all, or where nobody knows which rules are
/// of one shape. Of each shape it is the last rule: a
/// `-D` takes the first that fits, and finds all that look like it in front of it.
pub fn sample(scenario: &Scenario, family: Family) -> Option<RuleSet> {
    if scenario.rule_count(family) <= ALL_UP_TO {
        return None;
    }
    let mut last: BTreeMap<(&str, Shape), usize> = BTreeMap::new();
    for (place, table, rule) in scenario.placed_rules(family) {
        last.insert((table, rule.tool.dialect().shape(rule)?), place);
    }
    let places: RuleSet = last.into_values().collect();
    let every = places.len().div_ceil(MOST).max(1);
    Some(places.iter().step_by(every).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scenario(rules: impl Iterator<Item = String>) -> Scenario {
        let rules: String = rules.map(|rule| format!("-A INPUT {rule}\n")).collect();
        let text = format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n");
        Scenario::from_rules("large.save", Family::Ipv4, &text).expect("it is a ruleset")
    }

    fn of_two_shapes(count: usize) -> Scenario {
        scenario((1..=count).map(|n| match n % 2 {
            0 => format!("-s 10.0.{}.{}/32 -j DROP", n / 256, n % 256),
            _ => format!("-p tcp -m tcp --dport {n} -j ACCEPT"),
        }))
    }

    #[rstest]
    #[case(300, None)]
    #[case(301, Some("300-301"))]
    #[case(3000, Some("2999-3000"))]
    fn of_a_large_ruleset_the_last_rule_of_each_shape_is_asked_for(
        #[case] count: usize,
        #[case] asked: Option<&str>,
    ) {
        let sample = sample(&of_two_shapes(count), Family::Ipv4);
        assert_eq!(sample.map(|of| of.to_string()).as_deref(), asked);
    }

    #[test]
    fn where_each_rule_has_its_own_shape_they_are_spread_over_all() {
        let letters = |n: usize| -> String {
            let digits = n.to_string();
            digits
                .bytes()
                .map(|b| char::from(b - b'0' + b'a'))
                .collect()
        };
        let own = scenario((0..1000).map(|n| format!("-i {}x -j DROP", letters(n))));
        let asked = sample(&own, Family::Ipv4).expect("it is large");
        assert_eq!(asked.len(), MOST);
        assert!(asked.contains(0) && asked.last() > Some(980), "{asked}");
    }
}
