//! Layers: the rules of several systems, which are written one after the other and lie in the kernel together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Scenario, Source};
use crate::catalog::{Family, Tool};
use crate::tool::{Chain, Given, Rule, Ruleset, Table, Write};

/// When rules of another system are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before those of the scenario's own system.
    Before,
    /// After them.
    #[default]
    After,
}

/// Rules of another system. A bystander writes them: the newest build of their tool that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// When they are written.
    pub when: When,
    /// How that system writes them.
    pub write: Write,
    /// Whether its program stays when it has written them.
    pub stays: bool,
    /// Where they were taken from.
    pub source: Source,
    /// The rules, in the language of the tool that writes them.
    pub rules: BTreeMap<Family, Given>,
}

/// Who writes a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The pairing's writer.
    Writer,
    /// A bystander.
    Bystander,
}

/// One layer of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'s> {
    /// Its number in the order in which layers are written, from 1.
    pub number: usize,
    /// Who writes it.
    pub by: By,
    /// How it is written.
    pub write: Write,
    /// Whether the program that writes it stays then: what is its own in the kernel lasts as long as it does.
    pub stays: bool,
    /// Where its rules were taken from; none of a user's own.
    pub source: Option<&'s Source>,
    /// Its rules.
    pub rules: &'s BTreeMap<Family, Given>,
}

impl Layer<'_> {
    /// The tool that writes it.
    pub fn tool(&self) -> Tool {
        self.write.tool()
    }
}

/// A rule's place in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InLayer {
    /// The layer's number, from 1.
    pub layer: usize,
    /// The rule's place among the layer's rules, from 0.
    pub place: usize,
}

/// The rules of all layers in one family, as they lie in their chains once all are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// All of them as one ruleset.
    pub(super) ruleset: Ruleset,
    /// Of each rule of that, in order, its place in its layer.
    from: Vec<InLayer>,
    /// The same the other way round: of each layer, in order, the places of its rules in that.
    places: Vec<Vec<usize>>,
}

impl Stack {
    /// Of these layers, in the order in which they are written.
    pub(super) fn of<'s>(layers: impl Iterator<Item = Layer<'s>>, family: Family) -> Self {
        let mut tables: Vec<(Table, Vec<(Rule, InLayer)>)> = Vec::new();
        let mut places: Vec<Vec<usize>> = Vec::new();
        for layer in layers {
            let mut count = 0;
            let given = layer.rules.get(&family).into_iter();
            for table in given.flat_map(|given| &given.ruleset().tables) {
                let of_table = table_of(&mut tables, &table.name);
                for chain in &table.chains {
                    declare(&mut of_table.0.chains, chain);
                }
                let rules = (count..).zip(&table.rules).map(|(place, rule)| {
                    let layer = layer.number;
                    (rule.clone(), InLayer { layer, place })
                });
                count += table.rules.len();
                let at = match layer.write.is_in_front() {
                    true => 0,
                    false => of_table.1.len(),
                };
                of_table.1.splice(at..at, rules);
            }
            places.push(vec![0; count]);
        }
        let mut stack = Stack {
            ruleset: Ruleset::default(),
            from: Vec::new(),
            places,
        };
        for (mut table, rules) in tables {
            for (rule, from) in rules {
                table.rules.push(rule);
                stack.places[from.layer - 1][from.place] = stack.from.len();
                stack.from.push(from);
            }
            stack.ruleset.tables.push(table);
        }
        stack
    }
}

/// The table of that name, which is made where there is none.
fn table_of<'t>(
    tables: &'t mut Vec<(Table, Vec<(Rule, InLayer)>)>,
    name: &str,
) -> &'t mut (Table, Vec<(Rule, InLayer)>) {
    let known = tables.iter().position(|(table, _)| table.name == name);
    let at = known.unwrap_or(tables.len());
    if known.is_none() {
        let table = Table {
            name: name.to_owned(),
            chains: Vec::new(),
            rules: Vec::new(),
        };
        tables.push((table, Vec::new()));
    }
    &mut tables[at]
}

/// Adds a chain; of one that is there, the policy that is set last counts.
fn declare(chains: &mut Vec<Chain>, chain: &Chain) {
    match chains.iter_mut().find(|of| of.name == chain.name) {
        Some(known) if chain.policy.is_some() => known.policy.clone_from(&chain.policy),
        Some(_) => {}
        None => chains.push(chain.clone()),
    }
}

impl Scenario {
    /// All of its layers, in the order in which they are written.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'_>> {
        let of_others = |when| {
            let beside = self.beside.iter().filter(move |of| of.when == when);
            beside.map(|of| {
                let how = (of.write, of.stays);
                (By::Bystander, how, Some(&of.source), &of.rules)
            })
        };
        let own = (
            By::Writer,
            (self.write, false),
            self.source.as_ref(),
            &self.rules,
        );
        let before = of_others(When::Before);
        let all = before.chain([own]).chain(of_others(When::After));
        all.zip(1..)
            .map(|((by, (write, stays), source, rules), number)| Layer {
                number,
                by,
                write,
                stays,
                source,
                rules,
            })
    }

    /// The tools that write the other systems' layers.
    pub fn tools_beside(&self) -> Vec<Tool> {
        let tools = self.beside.iter().map(|of| of.write.tool());
        tools.collect()
    }

    /// The number of the layer that the pairing's writer writes.
    pub fn own_layer(&self) -> usize {
        let before = self.beside.iter().filter(|of| of.when == When::Before);
        before.count() + 1
    }

    /// The layer of the rule at a place in the whole ruleset of a family, and its place in that.
    pub fn in_layer(&self, family: Family, rule: usize) -> InLayer {
        let stack = self.stacks.get(&family);
        let known = stack.and_then(|stack| stack.from.get(rule));
        known.copied().unwrap_or(InLayer {
            layer: self.own_layer(),
            place: rule,
        })
    }

    /// The place in the whole ruleset of a family of the rule at a place in a layer.
    pub fn in_whole(&self, family: Family, layer: usize, place: usize) -> usize {
        let stack = self.stacks.get(&family);
        let of_layer = stack.and_then(|stack| stack.places.get(layer - 1));
        of_layer
            .and_then(|places| places.get(place))
            .copied()
            .unwrap_or(place)
    }

    /// The rules of its own system: each with its place in the whole ruleset of a family, and its table.
    pub fn own_rules(&self, family: Family) -> impl Iterator<Item = (usize, &str, &Rule)> {
        let own = self.own_layer();
        let rules = self.placed_rules(family);
        rules.filter(move |(rule, ..)| self.in_layer(family, *rule).layer == own)
    }

    /// The ruleset of its own system of a family; an empty one where it has none.
    pub fn own_ruleset(&self, family: Family) -> &Ruleset {
        self.rules
            .get(&family)
            .map_or(&super::NO_RULES, Given::ruleset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEAD: &str = r#"title = "t"
group = "g"
families = ["ipv4"]
source = { project = "p", url = "u", version = "1" }
write = "append"

[rules]
ipv4 = '''
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
-A FORWARD -j DOCKER
-A DOCKER -p tcp -j ACCEPT
COMMIT
'''
"#;

    fn with(layers: &str) -> Scenario {
        Scenario::from_toml("layers", &format!("{HEAD}{layers}")).unwrap()
    }

    fn layer(head: &str, rules: &str) -> String {
        let source = "source = { project = \"q\", url = \"u\", version = \"1\" }";
        format!("[[layer]]\n{head}\n{source}\n[layer.rules]\nipv4 = '''\n{rules}'''\n")
    }

    /// Each rule's place from 0, its layer, its place in that, and its text.
    fn rules(scenario: &Scenario) -> Vec<(usize, usize, usize, String)> {
        let rules = scenario.placed_rules(Family::Ipv4);
        let rules = rules.map(|(rule, table, of)| {
            let InLayer { layer, place } = scenario.in_layer(Family::Ipv4, rule);
            (rule, layer, place, format!("{table}: {}", of.text))
        });
        rules.collect()
    }

    const NFT: &str = "add table ip filter\nadd chain ip filter FORWARD\n\
        add rule ip filter FORWARD iifname \"wt0\" accept\nadd rule ip filter FORWARD oifname \"wt0\" accept\n";

    #[test]
    fn rules_of_all_layers_lie_in_their_chains_as_they_are_written() {
        let scenario = with(&layer("write = \"nft-insert\"", NFT));
        let expected = [
            (
                0,
                2,
                0,
                "filter: add rule ip filter FORWARD iifname \"wt0\" accept",
            ),
            (
                1,
                2,
                1,
                "filter: add rule ip filter FORWARD oifname \"wt0\" accept",
            ),
            (2, 1, 0, "filter: -A FORWARD -j DOCKER"),
            (3, 1, 1, "filter: -A DOCKER -p tcp -j ACCEPT"),
        ];
        let expected =
            expected.map(|(rule, layer, place, text)| (rule, layer, place, text.to_owned()));
        assert_eq!(rules(&scenario), expected);
        assert_eq!(scenario.own_layer(), 1);
        let table = &scenario.ruleset(Family::Ipv4).tables[0];
        assert_eq!(table.chains[0].policy.as_deref(), Some("DROP"));
        let own: Vec<usize> = scenario.own_rules(Family::Ipv4).map(|of| of.0).collect();
        assert_eq!(own, [2, 3]);
    }

    #[test]
    fn a_layer_that_is_written_before_comes_first() {
        let host = "add table inet host\nadd chain inet host in\nadd rule inet host in accept\n";
        let scenario = with(&layer("write = \"nft\"\nwhen = \"before\"", host));
        let layers: Vec<(usize, By, Tool)> = scenario
            .layers()
            .map(|of| (of.number, of.by, of.tool()))
            .collect();
        let expected = [
            (1, By::Bystander, Tool::Nft),
            (2, By::Writer, Tool::Iptables),
        ];
        assert_eq!(layers, expected);
        assert_eq!(scenario.own_layer(), 2);
        let places: Vec<(usize, usize)> = rules(&scenario)
            .into_iter()
            .map(|of| (of.1, of.2))
            .collect();
        assert_eq!(places, [(1, 0), (2, 0), (2, 1)]);
    }

    #[test]
    fn the_program_of_a_layer_of_nfts_can_stay() {
        let host = "add table inet host { flags owner; }\nadd chain inet host in\nadd rule inet host in accept\n";
        let stays = |head: &str| {
            let scenario = with(&layer(head, host));
            let layers: Vec<bool> = scenario.layers().map(|of| of.stays).collect();
            layers
        };
        assert_eq!(stays("write = \"nft\""), [false, false]);
        assert_eq!(stays("write = \"nft\"\nstays = false"), [false, false]);
        assert_eq!(
            stays("write = \"nft-insert\"\nwhen = \"before\"\nstays = true"),
            [true, false]
        );
    }

    #[test]
    fn a_scenario_without_others_rules_has_one_layer() {
        let scenario = with("");
        assert_eq!(scenario.layers().count(), 1);
        assert_eq!(
            scenario.in_layer(Family::Ipv4, 1),
            InLayer { layer: 1, place: 1 }
        );
        assert_eq!(scenario.own_rules(Family::Ipv4).count(), 2);
    }
}
