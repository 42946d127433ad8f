//! A real recording made larger: the same rules as often as is wanted, read by as many builds as are wanted.
//!
//! Copies differ from each other the way rules of one system do: by the chain they stand in, or by their comment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use iptables_lab::catalog::BuildId;
use iptables_lab::observed::expression::Expression;
use iptables_lab::observed::{LegacyRule, NftRule, SharedRules, State, Text};
use iptables_lab::recording::{LoadRecord, Recording, Seen};
use iptables_lab::scenario::Scenario;

/// How the copies of a rule differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Each stands in a chain of its own: as many chains as copies.
    Chains,
    /// The same, and the system writes copy after copy, where builds print chain by chain.
    Scattered,
    /// All stand in the chain of the original; each has a comment of its own.
    Rules,
}

impl Copies {
    fn have_chains(self) -> bool {
        self == Copies::Chains || self == Copies::Scattered
    }
}

/// The first load of `recording`, and no other, with its rules `times` as often.
pub fn rules(recording: &Recording, times: usize, copies: Copies) -> Recording {
    let mut load = recording.loads[0].clone();
    let scenario = recording
        .head
        .scenarios
        .iter()
        .find(|scenario| scenario.name == load.scenario)
        .expect("a recording holds the scenarios of its loads");
    let given = given(scenario, &load);
    let chains: HashSet<String> = given.lines().filter_map(own_chain).collect();
    let copier = Copier {
        times,
        copies,
        chains,
    };
    let ruleset = copier.save(&given, copies != Copies::Scattered);
    let large = Scenario::from_rules("large", load.family, &ruleset)
        .expect("copies of what was parsed can be parsed");
    let count = large.rule_count(load.family);
    load.scenario = large.name.clone();
    for text in &mut load.texts {
        if text.to_lossy().contains("\n*") {
            *text = Text::from(copier.save(&text.to_lossy(), true));
        }
    }
    let mut seen = SharedRules::default();
    for dump in &mut load.dumps {
        let dump = Arc::make_mut(dump);
        copier.dump(dump);
        // As in every recording, one that is made and one that is read.
        seen.share_with(dump);
    }
    let all = format!("1-{count}")
        .parse()
        .expect("a range is a set of rules");
    for seen in &mut load.observations {
        seen.rules = std::clone::Clone::clone(&all);
    }
    let mut head = recording.head.clone();
    head.scenarios = vec![large];
    head.pairings = load.readers.len();
    Recording {
        head,
        loads: vec![load],
        end: recording.end.clone(),
    }
}

/// The first load of `recording` with the same seen of `count` readers, written by `count` writers.
pub fn builds(recording: &Recording, count: usize) -> Recording {
    let mut head = recording.head.clone();
    let load = &recording.loads[0];
    let (reader, writer) = (&load.readers[0], &load.writer);
    let named = |id: &BuildId, at: usize| -> BuildId {
        let name = format!("copy-{at}-{id}");
        serde_json::from_value(name.into()).expect("a build's id is a word")
    };
    for id in [&reader.id, writer] {
        let build = head.builds.iter().find(|build| &build.id == id).cloned();
        let build = build.expect("a recording holds the builds of its loads");
        for at in 0..count {
            let mut copy = build.clone();
            copy.id = named(id, at);
            head.builds.push(copy);
        }
    }
    let mut loads = Vec::new();
    for at in 0..count {
        let mut large = load.clone();
        large.writer = named(writer, at);
        large.readers.clear();
        large.observations.clear();
        let of_reader = |wanted: bool| {
            load.observations
                .iter()
                .filter(move |seen| (seen.reader.as_ref() == Some(&reader.id)) == wanted)
        };
        let before = of_reader(false).filter(|seen| seen.reader.is_none());
        large.observations.extend(before.cloned());
        for reader_at in 0..count {
            let mut copy = reader.clone();
            copy.id = named(&reader.id, reader_at);
            for seen in of_reader(true) {
                let mut seen = seen.clone();
                seen.reader = Some(copy.id.clone());
                if let Seen::Command(command) = &mut seen.seen
                    && command.build == reader.id
                {
                    command.build = copy.id.clone();
                }
                large.observations.push(seen);
            }
            large.readers.push(copy);
        }
        for seen in &mut large.observations {
            if let Seen::Command(command) = &mut seen.seen
                && command.build == *writer
            {
                command.build = large.writer.clone();
            }
        }
        loads.push(large);
    }
    head.pairings = count * count;
    Recording {
        head,
        loads,
        end: recording.end.clone(),
    }
}

/// The rules of the load's scenario as text.
fn given(scenario: &Scenario, load: &LoadRecord) -> String {
    let mut text = String::new();
    for table in &scenario.ruleset(load.family).tables {
        text.push_str(&format!("*{}\n", table.name));
        for chain in &table.chains {
            let policy = chain.policy.as_deref().unwrap_or("-");
            text.push_str(&format!(":{} {policy} [0:0]\n", chain.name));
        }
        for rule in &table.rules {
            text.push_str(&format!("{}\n", rule.text));
        }
        text.push_str("COMMIT\n");
    }
    text
}

/// The name of a chain that is not built in.
fn own_chain(line: &str) -> Option<String> {
    let (name, policy) = line.strip_prefix(':')?.split_once(' ')?;
    policy.starts_with('-').then(|| name.to_owned())
}

/// The rules of a table chain by chain, as every build prints them.
fn by_chain(mut rules: Vec<String>) -> Vec<String> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    rules.sort_by_cached_key(|rule| {
        let chain = rule.split(' ').nth(1).unwrap_or_default();
        let next = numbers.len();
        *numbers.entry(chain.to_owned()).or_insert(next)
    });
    rules
}

struct Copier {
    times: usize,
    copies: Copies,
    /// The chains that are not built in.
    chains: HashSet<String>,
}

impl Copier {
    /// A print of `iptables-save` with every rule copied, chain by chain or copy after copy.
    fn save(&self, text: &str, chain_by_chain: bool) -> String {
        let mut large = String::new();
        let mut rules: Vec<&str> = Vec::new();
        for line in text.lines() {
            if line.starts_with("-A ") {
                rules.push(line);
                continue;
            }
            if line == "COMMIT" {
                let copies = self.order(&rules).into_iter();
                let copies = copies.map(|(rule, at)| self.line(rule, at)).collect();
                for rule in match chain_by_chain {
                    true => by_chain(copies),
                    false => copies,
                } {
                    large.push_str(&rule);
                    large.push('\n');
                }
                rules.clear();
            }
            let is_copied = self.copies.have_chains()
                && own_chain(line).is_some_and(|chain| self.chains.contains(&chain));
            for at in 0..if is_copied { self.times } else { 1 } {
                match is_copied {
                    true => large.push_str(&self.words(line, at)),
                    false => large.push_str(line),
                }
                large.push('\n');
            }
        }
        large
    }

    /// Copy after copy of a list, each with the number of its copy.
    fn order<'t, T: ?Sized>(&self, all: &[&'t T]) -> Vec<(&'t T, usize)> {
        let of_copy = |at| all.iter().map(move |one| (*one, at));
        (0..self.times).flat_map(of_copy).collect()
    }

    fn line(&self, rule: &str, at: usize) -> String {
        match self.copies {
            Copies::Chains | Copies::Scattered => self.words(rule, at),
            Copies::Rules => format!("{rule} -m comment --comment copy-{at}"),
        }
    }

    /// The words with every chain's name made that of its copy.
    fn words(&self, text: &str, at: usize) -> String {
        let renamed = text.split(' ').map(|word| {
            let (mark, name) = match word.strip_prefix(':') {
                Some(name) => (":", name),
                None => ("", word),
            };
            match self.chains.contains(name) {
                true => format!("{mark}{name}-{at}"),
                false => word.to_owned(),
            }
        });
        renamed.collect::<Vec<_>>().join(" ")
    }

    fn dump(&self, dump: &mut State) {
        for table in &mut dump.nft {
            let chains = std::mem::take(&mut table.chains);
            for chain in chains {
                for (copy, rules) in self.chain(&chain.name, &chain.rules, Self::nft) {
                    let mut large = chain.clone();
                    (large.name, large.rules) = (copy, rules);
                    table.chains.push(large);
                }
            }
        }
        for table in &mut dump.legacy {
            let chains = std::mem::take(&mut table.chains);
            for chain in chains {
                for (copy, rules) in self.chain(&chain.name, &chain.rules, Self::legacy) {
                    let mut large = chain.clone();
                    (large.name, large.rules) = (copy, rules);
                    table.chains.push(large);
                }
            }
        }
    }

    /// What a chain becomes: one with every copy of its rules, or a copy of it for each.
    fn chain<R>(
        &self,
        name: &str,
        rules: &[R],
        copy: impl Fn(&Self, &R, usize) -> R,
    ) -> Vec<(String, Vec<R>)> {
        let of_copy = |at| rules.iter().map(|rule| copy(self, rule, at)).collect();
        match self.copies.have_chains() && self.chains.contains(name) {
            true => (0..self.times)
                .map(|at| (format!("{name}-{at}"), of_copy(at)))
                .collect(),
            false => {
                let all: Vec<Vec<R>> = (0..self.times).map(of_copy).collect();
                vec![(name.to_owned(), all.into_iter().flatten().collect())]
            }
        }
    }

    fn nft(&self, rule: &Arc<NftRule>, at: usize) -> Arc<NftRule> {
        let mut rule = NftRule::clone(rule);
        match self.copies {
            Copies::Chains | Copies::Scattered => {
                for expression in &mut rule.expressions {
                    let copy = self.words(&expression.to_string(), at);
                    *expression = Expression::read(&copy).into();
                }
            }
            Copies::Rules => rule.expressions.push(
                Expression::read(&format!("match name comment rev 0 info 0x{at:08x}")).into(),
            ),
        }
        rule.into()
    }

    fn legacy(&self, rule: &Arc<LegacyRule>, at: usize) -> Arc<LegacyRule> {
        let copy = match self.copies {
            Copies::Chains | Copies::Scattered => self.words(&rule.to_string(), at),
            Copies::Rules => with_comment(&rule.to_string(), at),
        };
        LegacyRule::read(&copy).into()
    }
}

/// A legacy rule with one more match, in front of what it does.
fn with_comment(rule: &str, at: usize) -> String {
    let comment = format!("match comment rev 0 0x{at:08x}");
    match rule.rsplit_once(" | ") {
        Some((before, last)) => format!("{before} | {comment} | {last}"),
        None => format!("{comment} | {rule}"),
    }
}
