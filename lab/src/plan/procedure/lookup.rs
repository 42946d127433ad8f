//! A reader looks rules up: it lists them, checks for each, and deletes each.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::lane::{Command, TrackedLane};
use super::scene::Scene;
use crate::catalog::Build;
use crate::observed::{ChainName, End, RulePlace, State};
use crate::plan::coroutine::Answered;
use crate::plan::fault::Fault;
use crate::plan::step::{Action, Burst, Role, RuleSet, Stage, Step};
use crate::plan::trace::{Asked, Check, Deletion, Listing, ReaderTrace};
use crate::plan::{Operation, Reader};
use crate::tool::{Argv, ListedAs, NamedRule, Program, Rule};

/// A rule of the scenario: its place in the ruleset from 0, its table, itself.
type Placed<'a> = (usize, &'a str, &'a Rule);

/// A rule among those that were written into its chain.
#[derive(Debug, Clone, Copy)]
struct InChain {
    /// Its place in the scenario's ruleset, from 0.
    index: usize,
    /// Its place in the chain, from 0.
    place: usize,
}

impl TrackedLane {
    /// Has `reader` list `rules`, check for each and delete each. A reader of the other backend looks into other
    /// tables: it only lists.
    pub async fn look_up(
        &mut self,
        reader: &Reader,
        rules: &RuleSet,
        trace: &mut ReaderTrace,
    ) -> Result<(), Fault> {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::List,
        };
        if self.wants_of(reader, Operation::List) {
            self.list_by_writer(reader, rules).await?;
            if self.write(scene).await? {
                trace.lists = self.list(scene, &reader.build).await?;
            }
        }
        if self.load.is_crossed(reader) {
            return Ok(());
        }
        if self.wants_of(reader, Operation::Check) && self.write(scene).await? {
            self.check(scene, reader, trace).await?;
        }
        if self.wants_of(reader, Operation::Delete) {
            self.delete(scene, reader, trace).await?;
        }
        Ok(())
    }

    /// Has each of those who wrote, and are of the reader's tool, list that, once: listings of readers are compared with that.
    async fn list_by_writer(&mut self, reader: &Reader, rules: &RuleSet) -> Result<(), Fault> {
        let scene = Scene {
            rules,
            reader: None,
            stage: Stage::List,
        };
        let load = self.load.clone();
        for writer in load.writers().filter(|of| of.tool == reader.build.tool) {
            if self.listed_by.insert(writer.id.clone()) && self.write(scene).await? {
                let listed = self.list(scene, writer).await?;
                self.trace.listed.extend(listed);
            }
        }
        Ok(())
    }

    /// Has `build` list every table that it knows.
    async fn list(&mut self, scene: Scene<'_>, build: &Build) -> Result<Vec<Listing>, Fault> {
        let (program, tool) = (Program::of(build, self.load.family), build.tool);
        let (mut steps, mut listed) = (Vec::new(), Vec::new());
        let tables = &self.scenario.ruleset(program.family).tables;
        for table in tables
            .iter()
            .filter(|of| tool.dialect().has_table(&of.name))
        {
            for (listed_as, argv) in tool.commands().lists(program, &table.name) {
                let list = Action::command(build.id.clone(), argv, None);
                let role = match listed_as {
                    ListedAs::Rules => Role::ListRules,
                    ListedAs::Table => Role::ListTable,
                };
                steps.push(scene.step(role, list));
                listed.push((listed_as, table.name.clone()));
            }
        }
        let ran = self.run_all(scene, steps).await?;
        let listing = |((listed_as, table), command): ((ListedAs, String), Command)| Listing {
            listed_as,
            table,
            command: command.step,
        };
        Ok(listed.into_iter().zip(ran).map(listing).collect())
    }

    /// The reader's `-C` of each rule, of a near miss of it, and of its matches in another order.
    async fn check(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        trace: &mut ReaderTrace,
    ) -> Result<(), Fault> {
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
        let (tool, program) = (
            reader.build.tool,
            Program::of(&reader.build, self.load.family),
        );
        let (commands, dialect) = (tool.commands(), tool.dialect());
        let mut changed: BTreeMap<String, usize> = BTreeMap::new();
        let (mut steps, mut asked_for) = (Vec::new(), Vec::new());
        for &(index, table, rule) in &placed {
            let in_its_words = Operation::Check.suits(rule.tool, tool);
            if !scene.rules.contains(index) || !self.is_asked(index) || !in_its_words {
                continue;
            }
            let mut ask = |role, asked, tokens: &[String]| {
                let argv = commands.check(program, named(table, rule, tokens));
                if let Some(argv) = argv {
                    steps.push(scene.step_about(index, role, of_build(reader, argv)));
                    asked_for.push((index, asked));
                }
            };
            let words = rule.tokens().to_strings();
            ask(Role::Check, Asked::Given, &words);
            let is_there = |tokens: &[String]| {
                let tokens = tokens.iter().map(String::as_str).collect();
                there.contains(&(table, rule.chain.as_str(), tokens))
            };
            let near = dialect.near_misses(&words).into_iter();
            let absent = near.filter(|near| !is_there(&near.tokens));
            // Of every rule one, and of every kind of value as many as of the others.
            let rarest = absent.min_by_key(|near| changed.get(&near.option).copied());
            if let Some(near) = rarest {
                let otherwise = otherwise(rule, &near.tokens);
                ask(
                    Role::CheckNearMiss,
                    Asked::NearMiss { otherwise },
                    &near.tokens,
                );
                *changed.entry(near.option).or_insert(0) += 1;
            }
            if let Some(other_order) = dialect.reordered(&words).filter(|words| !is_there(words)) {
                ask(Role::CheckReordered, Asked::Reordered, &other_order);
            }
        }
        let ran = self.run_all(scene, steps).await?;
        let checks = asked_for.into_iter().zip(ran);
        let checks = checks.map(|((rule, asked), command)| Check {
            rule,
            asked,
            command: command.step,
        });
        trace.checks.extend(checks);
        Ok(())
    }

    /// The reader's `-D` of each rule, the last one first: `-D` takes the first rule that fits, so each finds in front of
    /// it what the writer wrote. Where a deletion took what it should not, the rules are written anew for the next one.
    /// What else was asked of that chain then says nothing, and is not named in the trace.
    async fn delete(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        trace: &mut ReaderTrace,
    ) -> Result<(), Fault> {
        let scene = Scene {
            stage: Stage::Delete,
            ..scene
        };
        let mut pending = self.by_chain(scene.rules, reader);
        while !pending.is_empty() && self.write(scene).await? {
            for chain in &mut pending {
                let steps = self.deletions(scene, reader, chain);
                if steps.is_empty() {
                    return Ok(());
                }
                let answers = self.performer.perform(Burst::all(steps)).await?;
                self.touched();
                let taken = taken(chain, answers)?;
                let done = taken.done;
                trace
                    .deletions
                    .extend(taken.deletions.into_iter().take(done));
                chain.truncate(chain.len() - done);
            }
            pending.retain(|chain| !chain.is_empty());
        }
        Ok(())
    }

    /// Whether readers are asked for the rule at `index` (from 0) by itself.
    fn is_asked(&self, index: usize) -> bool {
        let asked = self.load.asked.as_ref();
        asked.is_none_or(|asked| asked.contains(index))
    }

    /// The rules of each chain that the reader is to delete, in order: those that its tool has a command for.
    fn by_chain(&self, rules: &RuleSet, reader: &Reader) -> Vec<Vec<InChain>> {
        let is_asked = |index: usize, of: &Rule| {
            self.is_asked(index) && Operation::Delete.suits(of.tool, reader.build.tool)
        };
        let placed = self.scenario.placed_rules(self.load.family);
        let in_lane = placed.filter(|(index, ..)| rules.contains(*index));
        let mut chains: BTreeMap<(&str, &str), (usize, Vec<InChain>)> = BTreeMap::new();
        for (index, table, rule) in in_lane {
            let (place, chain) = chains.entry((table, &rule.chain)).or_default();
            if is_asked(index, rule) {
                let place = *place;
                chain.push(InChain { index, place });
            }
            *place += 1;
        }
        let chains = chains.into_values().map(|(_, chain)| chain);
        let mut chains: Vec<Vec<InChain>> = chains.collect();
        chains.retain(|chain| !chain.is_empty());
        chains
    }

    /// The deletion of each rule of `chain`, the last one first, with a dump of the chain before and after each: by its words, or by
    /// its handle where the reader's tool goes by that.
    fn deletions(&self, scene: Scene<'_>, reader: &Reader, chain: &[InChain]) -> Vec<Step> {
        let placed: Vec<Placed<'_>> = self.scenario.placed_rules(self.load.family).collect();
        let commands = reader.build.tool.commands();
        let program = Program::of(&reader.build, self.load.family);
        let mut steps = Vec::new();
        for &InChain { index, place } in chain.iter().rev() {
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
            let at = RulePlace {
                chain: name.clone(),
                place,
            };
            let delete = match commands.delete_by_handle(&at) {
                Some(argv) => Action::Command {
                    build: reader.build.id.clone(),
                    argv,
                    stdin: None,
                    handle_of: Some(at),
                    stays: None,
                },
                None => {
                    let words = rule.tokens().to_strings();
                    let Some(argv) = commands.delete(program, named(table, rule, &words)) else {
                        return Vec::new();
                    };
                    of_build(reader, argv)
                }
            };
            steps.push(scene.step_about(index, Role::Delete, delete));
            steps.push(dump());
        }
        steps
    }
}

/// A rule as commands name it, with these words.
fn named<'r>(table: &'r str, rule: &'r Rule, words: &'r [String]) -> NamedRule<'r> {
    NamedRule {
        table,
        chain: &rule.chain,
        words,
    }
}

/// A command of the reader's that reads nothing from standard input.
fn of_build(reader: &Reader, argv: Argv) -> Action {
    Action::command(reader.build.id.clone(), argv, None)
}

/// What the near miss `tokens` has otherwise than `rule`: `out-interface: -o eth0x`.
fn otherwise(rule: &Rule, tokens: &[String]) -> String {
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let dialect = rule.tool.dialect();
    let difference = dialect.compare(&rule.tokens().to_vec(), &tokens);
    let change = difference.altered.into_iter().next();
    let word = change.and_then(|change| Some(format!("{}: {}", change.part, change.to?)));
    word.unwrap_or_else(|| tokens.join(" "))
}

/// The deletions of a chain's rules.
struct TakenOf {
    /// Each, the last rule first.
    deletions: Vec<Deletion>,
    /// How many of them took just their rule or nothing; the first that took something else is counted too. What came after
    /// that one says nothing.
    done: usize,
}

/// What the deletions of the rules of `chain` took, the last one first; `answers` begin with a dump of the chain, and after
/// each deletion there is another.
fn taken(chain: &[InChain], answers: Vec<Answered>) -> Result<TakenOf, Fault> {
    let mut answers = answers.into_iter();
    let not_done = || Fault::NotDone {
        step: "a deletion".to_owned(),
    };
    let (mut before, first) = answers.next().ok_or_else(not_done)?;
    let mut held = first.dumped()?;
    let mut taken = TakenOf {
        deletions: Vec::new(),
        done: 0,
    };
    let mut is_well = true;
    for rule in chain.iter().rev() {
        let (command, ran) = answers.next().ok_or_else(not_done)?;
        let (after, dump) = answers.next().ok_or_else(not_done)?;
        let (ran, dump) = (ran.ran()?, dump.dumped()?);
        taken.done += usize::from(is_well);
        let expected = match ran.end == End::Exit(0) {
            true => without_rule(&held, rule.place).map(Arc::new),
            false => Some(held),
        };
        is_well &= expected.as_ref() == Some(&dump);
        taken.deletions.push(Deletion {
            rule: rule.index,
            command,
            before,
            after,
        });
        (before, held) = (after, dump);
    }
    Ok(taken)
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
    use crate::observed::Ran;
    use crate::observed::expression::Expression;
    use crate::observed::{NftChain, NftRule, NftTable};
    use crate::plan::step::Answer;
    use crate::plan::trace::StepRef;

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
            flags: Default::default(),
            userdata: None,
            other: Vec::new(),
        };
        let table = NftTable {
            family: "ip".to_owned(),
            name: "filter".to_owned(),
            flags: Default::default(),
            chains: vec![chain],
            sets: Vec::new(),
            objects: Vec::new(),
            flowtables: Vec::new(),
            stamp: None,
            userdata: None,
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

    fn well(chain: &[InChain], answers: Vec<Answer>) -> usize {
        let answers = (0..).map(StepRef::at).zip(answers).collect();
        taken(chain, answers).unwrap().done
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
        assert_eq!(well(&chain, answers), done);
    }

    #[test]
    fn a_deletion_of_one_rule_in_the_middle_took_just_that() {
        let chain = [InChain { index: 2, place: 2 }];
        let answers = vec![dump("abcd"), deletion(0), dump("abd")];
        assert_eq!(well(&chain, answers), 1);
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
        assert_eq!(well(&chain, another), 1, "the first is to be done no more");
    }
}
