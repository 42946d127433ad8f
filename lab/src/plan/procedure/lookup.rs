//! A reader looks rules up: it lists them, checks for each, and deletes each.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::bench::{Bench, Scene};
use super::succeeded;
use crate::observed::{ChainName, State};
use crate::plan::step::{Action, Answer, Burst, Role, RuleSet, Stage, Step};
use crate::plan::{Operation, Reader, command};
use crate::ruleset::{Rule, near_misses};

/// A rule of the scenario: its place in the ruleset from 0, its table, itself.
type Placed<'a> = (usize, &'a str, &'a Rule);

/// A rule among those that were laid into its chain.
#[derive(Debug, Clone, Copy)]
struct InChain {
    /// Its place in the scenario's ruleset, from 0.
    index: usize,
    /// Its place in the chain, from 0.
    place: usize,
}

impl Bench {
    /// Has `reader` list `rules`, check for each and delete each. A reader of the other backend looks into other
    /// tables: it only lists.
    pub async fn look_up(&mut self, reader: &Reader, rules: &RuleSet) {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::List,
        };
        if self.wants(Operation::List) && self.lay(scene).await {
            self.list(scene, reader).await;
        }
        if self.load.is_crossed(reader) {
            return;
        }
        if self.wants(Operation::Check) && self.lay(scene).await {
            self.check(scene, reader).await;
        }
        if self.wants(Operation::Delete) {
            self.delete(scene, reader).await;
        }
    }

    async fn list(&mut self, scene: Scene<'_>, reader: &Reader) {
        let mut steps = Vec::new();
        for table in command::known_tables(&self.scenario.ruleset(self.load.family).tables) {
            let list = |words: &[&str]| Action::Command {
                build: reader.build.id.clone(),
                argv: command::iptables(
                    reader.build.backend,
                    self.load.family,
                    &table.name,
                    words,
                    &[],
                ),
                stdin: None,
            };
            steps.push(scene.step(Role::ListRules, list(&["-S"])));
            steps.push(scene.step(Role::ListTable, list(&["-L", "-n", "-v"])));
        }
        self.run_all(scene, steps).await;
    }

    /// The reader's `-C` of each rule and of a near miss of it.
    async fn check(&mut self, scene: Scene<'_>, reader: &Reader) {
        let scene = Scene {
            stage: Stage::Check,
            ..scene
        };
        let scenario = self.scenario.clone();
        let placed: Vec<Placed<'_>> = scenario.placed_rules(self.load.family).collect();
        let there = placed.iter();
        let there: HashSet<(&str, &str, Vec<&str>)> = there
            .map(|(_, table, rule)| (*table, rule.chain.as_str(), rule.tokens().to_vec()))
            .collect();
        let mut changed: BTreeMap<String, usize> = BTreeMap::new();
        let mut steps = Vec::new();
        for &(index, table, rule) in &placed {
            if !scene.rules.contains(index) || !self.is_asked(index) {
                continue;
            }
            let asked = |role, tokens: &[String]| {
                let argv = self.with_rule(reader, table, ["-C", &rule.chain], tokens);
                scene.step_about(index, role, argv)
            };
            let words = rule.tokens().to_strings();
            steps.push(asked(Role::Check, &words));
            let is_there = |tokens: &[String]| {
                let tokens = tokens.iter().map(String::as_str).collect();
                there.contains(&(table, rule.chain.as_str(), tokens))
            };
            let near = near_misses(&words).into_iter();
            let absent = near.filter(|near| !is_there(&near.tokens));
            // Of every rule one, and of every kind of value as many as of the others.
            let rarest = absent.min_by_key(|near| changed.get(&near.option).copied());
            if let Some(near) = rarest {
                steps.push(asked(Role::CheckNearMiss, &near.tokens));
                *changed.entry(near.option).or_insert(0) += 1;
            }
        }
        self.run_all(scene, steps).await;
    }

    /// The reader's `-D` of each rule, the last one first: `-D` takes the first rule that fits, so each finds in front of
    /// it what the writer wrote. Where a deletion took what it should not, the rules are laid anew for the next one.
    /// What else was asked of that chain then says nothing: of the deletions of a rule the last one counts.
    async fn delete(&mut self, scene: Scene<'_>, reader: &Reader) {
        let scene = Scene {
            stage: Stage::Delete,
            ..scene
        };
        let mut pending = self.by_chain(scene.rules);
        while !pending.is_empty() && self.lay(scene).await {
            for chain in &mut pending {
                let steps = self.deletions(scene, reader, chain);
                let answers = self.lab.perform(Burst::all(steps)).await;
                self.touched();
                let done = taken_well(chain, &answers);
                chain.truncate(chain.len() - done);
            }
            pending.retain(|chain| !chain.is_empty());
        }
    }

    /// Whether readers are asked for the rule at `index` (from 0) by itself.
    fn is_asked(&self, index: usize) -> bool {
        let asked = self.load.asked.as_ref();
        asked.is_none_or(|asked| asked.contains(index))
    }

    /// The rules of each chain that are to be deleted, in order.
    fn by_chain(&self, rules: &RuleSet) -> Vec<Vec<InChain>> {
        let placed = self.scenario.placed_rules(self.load.family);
        let laid = placed.filter(|(index, ..)| rules.contains(*index));
        let mut chains: BTreeMap<(&str, &str), Vec<InChain>> = BTreeMap::new();
        for (index, table, rule) in laid {
            let chain = chains.entry((table, &rule.chain)).or_default();
            let place = chain.len();
            chain.push(InChain { index, place });
        }
        let mut chains: Vec<Vec<InChain>> = chains.into_values().collect();
        for chain in &mut chains {
            chain.retain(|rule| self.is_asked(rule.index));
        }
        chains.retain(|chain| !chain.is_empty());
        chains
    }

    /// The deletion of each rule of `chain`, the last one first, with a dump of the chain before and after each.
    fn deletions(&self, scene: Scene<'_>, reader: &Reader, chain: &[InChain]) -> Vec<Step> {
        let placed: Vec<Placed<'_>> = self.scenario.placed_rules(self.load.family).collect();
        let mut steps = Vec::new();
        for &InChain { index, .. } in chain.iter().rev() {
            let (_, table, rule) = placed[index];
            let name = ChainName {
                backend: self.load.writer.backend,
                family: self.load.family,
                table: table.to_owned(),
                chain: rule.chain.clone(),
            };
            let dump = || scene.step_about(index, Role::Dump, Action::DumpChain(name.clone()));
            if steps.is_empty() {
                steps.push(dump());
            }
            let delete = self.with_rule(
                reader,
                table,
                ["-D", &rule.chain],
                &rule.tokens().to_strings(),
            );
            steps.push(scene.step_about(index, Role::Delete, delete));
            steps.push(dump());
        }
        steps
    }

    fn with_rule(&self, reader: &Reader, table: &str, words: [&str; 2], rule: &[String]) -> Action {
        Action::Command {
            build: reader.build.id.clone(),
            argv: command::iptables(reader.build.backend, self.load.family, table, &words, rule),
            stdin: None,
        }
    }
}

/// How many of the deletions of a chain's rules, the last one first, took just their rule or nothing; the first that took
/// something else is counted too.
fn taken_well(chain: &[InChain], answers: &[Answer]) -> usize {
    // The dump after one deletion is that before the next.
    for (done, answers) in answers.windows(3).step_by(2).enumerate() {
        let [
            Answer::Dumped(before),
            Answer::Ran(ran),
            Answer::Dumped(after),
        ] = answers
        else {
            break;
        };
        let place = chain[chain.len() - 1 - done].place;
        let expected = match succeeded(ran) {
            true => without_rule(before, place).map(Arc::new),
            false => Some(before.clone()),
        };
        if expected.as_ref() != Some(after) {
            return done + 1;
        }
    }
    chain.len()
}

/// A dump of one chain without the rule at `place`; none where there is no such rule.
fn without_rule(dump: &State, place: usize) -> Option<State> {
    let mut dump = dump.clone();
    let nft = dump.nft.iter_mut().flat_map(|table| &mut table.chains);
    for chain in nft {
        if place < chain.rules.len() {
            chain.rules.remove(place);
            return Some(dump);
        }
    }
    let legacy = dump.legacy.iter_mut().flat_map(|table| &mut table.chains);
    for chain in legacy {
        if place < chain.rules.len() {
            chain.rules.remove(place);
            return Some(dump);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::observed::expression::Expression;
    use crate::observed::{End, NftChain, NftRule, NftTable, Ran};

    fn dump(rules: &str) -> Answer {
        let rule = |name: char| NftRule {
            expressions: vec![Expression::read(&name.to_string()).into()],
            other: Vec::new(),
            compat: None,
            userdata: None,
        };
        let chain = NftChain {
            name: "INPUT".to_owned(),
            base: None,
            rules: rules.chars().map(rule).map(Arc::new).collect(),
            other: Vec::new(),
        };
        let table = NftTable {
            family: "ip".to_owned(),
            name: "filter".to_owned(),
            flags: 0,
            chains: vec![chain],
            sets: Vec::new(),
            objects: Vec::new(),
            other: Vec::new(),
        };
        let dump = State {
            nft: vec![table],
            legacy: Vec::new(),
        };
        Answer::Dumped(Arc::new(dump))
    }

    fn deletion(status: i32) -> Answer {
        Answer::Ran(Ran {
            end: End::Exit(status),
            stdout: Default::default(),
            stderr: Default::default(),
        })
    }

    /// Four rules, deleted from the last one on; what the chain holds after each, and how each `-D` ended.
    #[rstest]
    #[case::all_well(&[("abc", 0), ("ab", 0), ("a", 0), ("", 0)], 4)]
    #[case::the_first_takes_another(&[("bcd", 0), ("bc", 0), ("b", 0), ("", 0)], 1)]
    #[case::the_second_takes_another(&[("abc", 0), ("bc", 0), ("b", 0), ("", 0)], 2)]
    #[case::the_last_takes_none(&[("abc", 0), ("ab", 0), ("a", 0), ("a", 1)], 4)]
    #[case::one_fails_and_takes_one_all_the_same(&[("abc", 0), ("ab", 1), ("a", 0), ("", 0)], 2)]
    #[case::one_fails_and_takes_none(&[("abc", 0), ("abc", 1), ("ac", 0), ("c", 0)], 4)]
    fn a_deletion_that_took_another_rule_ends_what_went_well(
        #[case] after: &[(&str, i32)],
        #[case] done: usize,
    ) {
        let mut answers = vec![dump("abcd")];
        for (rules, status) in after {
            answers.extend([deletion(*status), dump(rules)]);
        }
        let chain = [0, 1, 2, 3].map(|place| InChain {
            index: place + 7,
            place,
        });
        assert_eq!(taken_well(&chain, &answers), done);
    }

    #[test]
    fn a_deletion_of_one_rule_in_the_middle_took_just_that() {
        let chain = [InChain { index: 2, place: 2 }];
        let well = vec![dump("abcd"), deletion(0), dump("abd")];
        assert_eq!(taken_well(&chain, &well), 1);
        let chain = [1, 2].map(|place| InChain {
            index: place,
            place,
        });
        let another = vec![
            dump("abcd"),
            deletion(0),
            dump("bcd"),
            deletion(0),
            dump("bd"),
        ];
        assert_eq!(
            taken_well(&chain, &another),
            1,
            "the first is to be done no more"
        );
    }
}
