//! The scenarios as a list, and one in full.

use std::fmt::Write;

use super::terminal::{ASIDE, HEADING, inert, paint};
use crate::scenario::Scenario;

/// Name, families, number of rules and title of each, by group.
pub fn list(scenarios: &[Scenario]) -> String {
    let mut groups: Vec<(&str, Vec<&Scenario>)> = Vec::new();
    for scenario in scenarios {
        match groups
            .iter_mut()
            .find(|(group, _)| *group == scenario.group)
        {
            Some((_, members)) => members.push(scenario),
            None => groups.push((&scenario.group, vec![scenario])),
        }
    }
    let width = scenarios
        .iter()
        .map(|scenario| scenario.name.len())
        .max()
        .unwrap_or(0);
    let mut page = String::new();
    for (group, members) in groups {
        let _ = writeln!(page, "{}", paint(HEADING, group));
        for scenario in members {
            let families: Vec<String> = scenario
                .families()
                .map(|family| format!("{} {family}", scenario.rule_count(family)))
                .collect();
            let (name, title) = (&scenario.name, inert(&scenario.title));
            let _ = writeln!(page, "  {name:<width$}  {title}");
            let _ = writeln!(
                page,
                "  {:<width$}  {}",
                "",
                paint(ASIDE, format!("{} rules", families.join(", ")))
            );
        }
    }
    page
}

/// One scenario: where it comes from, how it is written, and its rules.
pub fn show(scenario: &Scenario) -> String {
    let mut page = format!(
        "{}  {}\n",
        paint(HEADING, &scenario.name),
        inert(&scenario.title)
    );
    if let Some(source) = &scenario.source {
        let _ = writeln!(
            page,
            "{} {}, {}",
            inert(&source.project),
            inert(&source.version),
            inert(&source.url)
        );
    }
    let _ = writeln!(page, "written with {}", scenario.write);
    for family in scenario.families() {
        let _ = writeln!(page, "\n{}", paint(HEADING, family));
        let rules = match scenario.nft.get(&family) {
            Some(native) => native.only(|_| true),
            None => scenario.ruleset(family).to_string(),
        };
        page.push_str(&inert(&rules));
    }
    page
}
