//! What the shipped scenarios ask of the kernel, and for each a real rule of theirs that asks for it.

use std::collections::BTreeMap;

use crate::catalog::Family;
use crate::scenario::{Scenario, Write};

/// A match or a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// In which family.
    pub family: Family,
    /// As rules name it: `mark`, `MASQUERADE`.
    pub name: String,
}

/// A rule that needs something, in the scenario that it is of.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The rule's place in its ruleset, from 0.
    pub rule: usize,
}

/// Each match and target of the scenarios' rules, with a rule that uses it; of several, one that uses little else.
pub fn needs(scenarios: &[Scenario]) -> BTreeMap<Need, Asking<'_>> {
    let mut needs: BTreeMap<Need, (usize, Asking<'_>)> = BTreeMap::new();
    for scenario in scenarios.iter().filter(|of| of.write != Write::Nft) {
        for family in scenario.families() {
            for (rule, _, given) in scenario.placed_rules(family) {
                let names = named(&given.tokens().to_vec(), scenario, family);
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

/// The matches and targets that a rule names. A jump to a chain needs nothing.
fn named<'r>(words: &[&'r str], scenario: &Scenario, family: Family) -> Vec<&'r str> {
    const VERDICTS: [&str; 3] = ["ACCEPT", "DROP", "RETURN"];
    let tables = &scenario.ruleset(family).tables;
    let is_chain = |name: &str| {
        let mut chains = tables.iter().flat_map(|table| &table.chains);
        chains.any(|chain| chain.name == name)
    };
    let options = words.windows(2).filter_map(|pair| {
        let (option, name) = (pair[0], pair[1]);
        match option {
            "-m" | "--match" => Some(name),
            "-j" | "--jump" if !is_chain(name) && !VERDICTS.contains(&name) => Some(name),
            _ => None,
        }
    });
    options.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_has_a_rule_that_names_it_and_no_chain_is_one() {
        let scenarios = crate::scenario::shipped().expect("they parse");
        let needs = needs(&scenarios);
        for name in ["mark", "conntrack", "comment", "MASQUERADE", "MARK"] {
            let family = Family::Ipv4;
            let name = name.to_owned();
            assert!(needs.contains_key(&Need { family, name }));
        }
        for (need, asking) in &needs {
            let rules = asking.scenario.placed_rules(need.family);
            let (_, _, rule) = rules
                .into_iter()
                .nth(asking.rule)
                .expect("the place is of a rule");
            assert!(
                rule.tokens().iter().any(|word| word == need.name),
                "{need:?}"
            );
            assert!(!need.name.starts_with("KUBE-"), "{need:?}");
        }
    }
}
