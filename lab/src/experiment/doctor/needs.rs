//! What the shipped scenarios ask of the kernel, and for each a real rule of theirs that asks for it.

use std::collections::BTreeMap;

use crate::catalog::{Family, Tool};
use crate::scenario::Scenario;
use crate::tool::Rule;

/// A match or a target of iptables', or an expression of nft's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// In which family.
    pub family: Family,
    /// As rules name it: `mark`, `MASQUERADE`, `masquerade`.
    pub name: String,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.family)
    }
}

/// A rule that needs something, in the scenario that it is of.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The rule's place in its ruleset, from 0.
    pub rule: usize,
}

impl<'a> Asking<'a> {
    /// The table that the rule stands in, in a family of its scenario's.
    pub fn table(&self, family: Family) -> &'a str {
        self.placed(family).map_or("", |(table, _)| table)
    }

    /// Whether the rule has this word.
    pub fn has(&self, family: Family, word: &str) -> bool {
        let rule = self.placed(family).map(|(_, rule)| rule);
        rule.is_some_and(|rule| rule.tokens().iter().any(|token| token == word))
    }

    fn placed(&self, family: Family) -> Option<(&'a str, &'a Rule)> {
        let mut rules = self.scenario.placed_rules(family);
        let found = rules.find(|(place, ..)| *place == self.rule);
        found.map(|(_, table, rule)| (table, rule))
    }
}

/// All that the rules name in the scenarios that `tool` writes, with a rule that uses it; of several, one that uses little
/// else.
pub fn needs(scenarios: &[Scenario], tool: Tool) -> BTreeMap<Need, Asking<'_>> {
    let mut needs: BTreeMap<Need, (usize, Asking<'_>)> = BTreeMap::new();
    for scenario in scenarios.iter().filter(|of| of.tool() == tool) {
        for family in scenario.families() {
            let tables = &scenario.own_ruleset(family).tables;
            let is_chain = |name: &str| {
                let mut chains = tables.iter().flat_map(|table| &table.chains);
                chains.any(|chain| chain.name == name)
            };
            for (rule, _, given) in scenario.own_rules(family) {
                let words = given.tokens().to_vec();
                let names = tool.dialect().extensions(&words, &is_chain);
                for name in &names {
                    let need = Need {
                        family,
                        name: (*name).to_owned(),
                    };
                    let asking = Asking { scenario, rule };
                    let known = needs.entry(need).or_insert((names.len(), asking));
                    if names.len() < known.0 {
                        *known = (names.len(), asking);
                    }
                }
            }
        }
    }
    let needs = needs.into_iter();
    needs.map(|(need, (_, asking))| (need, asking)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Tool::Iptables, &["mark", "conntrack", "comment", "MASQUERADE", "MARK"])]
    #[case(Tool::Nft, &["ct", "fib", "masquerade", "dnat", "numgen", "reject"])]
    fn everything_that_rules_name_has_a_rule_that_does_and_no_chain_is_of_it(
        #[case] tool: Tool,
        #[case] names: &[&str],
    ) {
        let scenarios = crate::scenario::shipped().expect("they parse");
        let needs = needs(&scenarios, tool);
        for name in names {
            let family = Family::Ipv4;
            let name = (*name).to_owned();
            assert!(needs.contains_key(&Need { family, name }));
        }
        for (need, asking) in &needs {
            let rules = asking.scenario.placed_rules(need.family);
            let (_, table, rule) = rules
                .into_iter()
                .nth(asking.rule)
                .expect("the place is of a rule");
            assert!(
                rule.tokens().iter().any(|word| word == need.name),
                "{need:?}"
            );
            assert_eq!(asking.table(need.family), table);
            assert!(!need.name.starts_with("KUBE-"), "{need:?}");
        }
    }
}
