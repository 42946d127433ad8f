//! A scenario with other rules: the same system, the same surroundings, no packets.

use super::Scenario;
use crate::catalog::Family;
use crate::tool::{Fault, InFile};

impl Scenario {
    /// This scenario as `name`, with just `rules` of its own system in just `family`, in the language that it is written in. It is
    /// written the same way and needs the same, beside the same rules of others, and sends no packets.
    ///
    /// # Errors
    /// The rules are none that a scenario may have.
    pub fn with_rules(&self, name: &str, family: Family, rules: &str) -> Result<Scenario, InFile> {
        if self.source.is_none() {
            return Scenario::from_rules_among(name, family, rules, &self.setup.sets);
        }
        let refused = |error: String| Fault::at(&self.text, 0..0, error).in_file(name, &self.text);
        let file: toml::Table =
            toml::from_str(&self.text).map_err(|error| refused(error.to_string()))?;
        let mut file = file;
        file.remove("probe");
        file.insert("families".to_owned(), vec![family.as_str()].into());
        let rules = toml::Table::from_iter([(family.as_str().to_owned(), rules.into())]);
        file.insert("rules".to_owned(), rules.into());
        if let Some(toml::Value::Array(layers)) = file.get_mut("layer") {
            layers.retain_mut(|layer| keeps_only(layer, family));
        }
        let file = toml::to_string(&file).map_err(|error| refused(error.to_string()))?;
        Scenario::from_toml(name, &file)
    }
}

/// Leaves a layer its rules of a family alone. Says whether it has any.
fn keeps_only(layer: &mut toml::Value, family: Family) -> bool {
    let rules = layer.get_mut("rules").and_then(toml::Value::as_table_mut);
    rules.is_some_and(|rules| {
        rules.retain(|of, _| of == family.as_str());
        !rules.is_empty()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn every_shipped_scenario_keeps_all_but_its_rules_and_packets() {
        for whole in scenario::shipped().unwrap() {
            for family in whole.families() {
                let first = whole.rules[&family].only(|place| place == 0);
                let reduced = whole.with_rules("reduced", family, &first).unwrap();
                assert_eq!(reduced.own_rules(family).count(), 1, "{}", whole.name);
                assert_eq!(reduced.rules[&family].only(|_| true), first);
                let of_others =
                    |of: &Scenario| of.rule_count(family) - of.own_rules(family).count();
                assert_eq!(of_others(&reduced), of_others(&whole));
                assert_eq!(reduced.families().collect::<Vec<_>>(), [family]);
                assert_eq!(reduced.write, whole.write);
                assert_eq!(reduced.setup, whole.setup);
                assert_eq!(reduced.pairings, whole.pairings);
                assert!(reduced.probes.is_empty());
            }
        }
    }
}
