//! A user's own ruleset as a scenario, in iptables-save's language or in nft's, with the sets and the accounting objects that its rules name.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{LONGEST_ACCOUNT, LONGEST_SET};
use super::{Pairings, Scenario, Set, SetKind, Setup, System, name_of_file};
use crate::catalog::{Family, Tool};
use crate::tool::iptables::{OF_ACCOUNT, OF_SETS, with_numbers};
use crate::tool::{Given, InFile, Rule, Ruleset};

impl Scenario {
    /// A scenario of a user's own `iptables-save` text or commands for nft; `name` is the file it stands in. The sets that its rules name are made
    /// empty.
    ///
    /// # Errors
    /// It is no ruleset.
    pub fn from_rules(name: &str, family: Family, text: &str) -> Result<Scenario, InFile> {
        Self::from_rules_among(name, family, text, &[])
    }

    /// The same where `sets` are known: those of them that its rules name, and what is in these, are made as they are, the
    /// others that they name empty.
    ///
    /// # Errors
    /// It is no ruleset.
    pub fn from_rules_among(
        name: &str,
        family: Family,
        text: &str,
        sets: &[Set],
    ) -> Result<Scenario, InFile> {
        let tool = Given::tool_of(text);
        let parse = |text| Given::parse(tool, family, text);
        let given = match tool {
            // A fault is shown where it stands in what was given.
            Tool::Iptables => parse(&with_numbers(text).0).or_else(|_| parse(text)),
            Tool::Nft => parse(text),
        };
        let given = given.map_err(|fault| fault.in_file(name, text))?;
        Ok(Scenario {
            name: name_of_file(name),
            title: name.to_owned(),
            group: "own".to_owned(),
            source: None,
            write: tool.commands().at_once(),
            own_chains: Vec::new(),
            system: System::default(),
            pairings: Pairings::default(),
            setup: surroundings(given.ruleset(), family, sets),
            probes: Vec::new(),
            rules: BTreeMap::from([(family, given)]),
            beside: Vec::new(),
            stacks: BTreeMap::new(),
            text: text.to_owned(),
        })
    }
}

/// What the rules name.
fn surroundings(ruleset: &Ruleset, family: Family, known: &[Set]) -> Setup {
    let rules = || ruleset.tables.iter().flat_map(|table| &table.rules);
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, directions) in rules().flat_map(sets_of) {
        let most = named.entry(name).or_default();
        *most = (*most).max(directions);
    }
    let mut wanted: BTreeSet<&str> = named.keys().copied().collect();
    for set in known.iter().filter(|set| named.contains_key(&*set.name)) {
        if set.kind == SetKind::ListSet {
            wanted.extend(set.entries.iter().map(String::as_str));
        }
    }
    let known: Vec<&Set> = known
        .iter()
        .filter(|set| wanted.contains(&*set.name))
        .collect();
    let empty = named.iter().filter(|(name, _)| {
        let is_known = known.iter().any(|set| set.name == **name);
        !is_known && !name.is_empty() && name.len() <= LONGEST_SET
    });
    let empty = empty.map(|(name, directions)| Set {
        name: (*name).to_owned(),
        kind: kind_of(*directions),
        family,
        entries: Vec::new(),
    });
    let sets = known.iter().map(|set| (*set).clone()).chain(empty);
    let accounts: BTreeSet<&str> = rules()
        .flat_map(|rule| values(rule, OF_ACCOUNT))
        .filter(|name| !name.is_empty() && name.len() <= LONGEST_ACCOUNT)
        .collect();
    Setup {
        sets: sets.collect(),
        accounts: accounts.into_iter().map(str::to_owned).collect(),
        ..Setup::default()
    }
}

/// The sets that a rule names, each with how many of a packet's parts are looked up in it: `src,dst` are two.
fn sets_of(rule: &Rule) -> Vec<(&str, usize)> {
    let words: Vec<&str> = rule.tokens().iter().collect();
    let named = words.windows(3).filter(|of| OF_SETS.contains(&of[0]));
    named.map(|of| (of[1], of[2].split(',').count())).collect()
}

/// The values of an option in a rule.
fn values<'r>(rule: &'r Rule, option: &str) -> Vec<&'r str> {
    let words: Vec<&str> = rule.tokens().iter().collect();
    let pairs = words.windows(2).filter(|of| of[0] == option);
    pairs.map(|of| of[1]).collect()
}

/// A type of set whose entries have so many parts. The kernel takes a rule about a set of any type.
fn kind_of(directions: usize) -> SetKind {
    match directions {
        0 | 1 => SetKind::HashNet,
        2 => SetKind::HashIpPort,
        _ => SetKind::HashIpPortIp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "*filter\n:INPUT ACCEPT [0:0]\n\
        -A INPUT -m set --match-set web src -j DROP\n\
        -A INPUT -m set ! --match-set peers src,dst -j DROP\n\
        -A INPUT -p tcp -j SET --add-set all src --exist\n\
        -A INPUT -m nfacct --nfacct-name in -j ACCEPT\nCOMMIT\n";

    fn set(name: &str, kind: SetKind, entries: &[&str]) -> Set {
        Set {
            name: name.to_owned(),
            kind,
            family: Family::Ipv4,
            entries: entries.iter().map(|entry| (*entry).to_owned()).collect(),
        }
    }

    #[test]
    fn the_sets_and_objects_that_rules_name_are_made_empty() {
        let scenario = Scenario::from_rules("node.save", Family::Ipv4, RULES).expect("rules");
        let sets = [
            set("all", SetKind::HashNet, &[]),
            set("peers", SetKind::HashIpPort, &[]),
            set("web", SetKind::HashNet, &[]),
        ];
        assert_eq!(scenario.setup.sets, sets);
        assert_eq!(scenario.setup.accounts, ["in"]);
    }

    #[test]
    fn sets_that_are_known_are_made_as_they_are_and_are_kept_with_the_scenario() {
        let known = [
            set("web", SetKind::HashIp, &["10.0.0.1"]),
            set("unnamed", SetKind::HashIp, &["10.0.0.2"]),
            set("member", SetKind::HashIp, &["10.0.0.3"]),
            set("all", SetKind::ListSet, &["member"]),
        ];
        let of = Scenario::from_rules_among("node.save", Family::Ipv4, RULES, &known);
        let scenario = of.expect("rules");
        let names: Vec<&str> = scenario.setup.sets.iter().map(|set| &*set.name).collect();
        assert_eq!(names, ["web", "member", "all", "peers"]);
        let kept = serde_json::to_string(&scenario).expect("it is kept");
        assert_eq!(
            serde_json::from_str::<Scenario>(&kept).expect("it is read"),
            scenario
        );
        let rule =
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m set --match-set web src -j DROP\nCOMMIT\n";
        let reduced = scenario
            .with_rules("least", Family::Ipv4, rule)
            .expect("rules");
        assert_eq!(reduced.setup.sets, [known[0].clone()]);
    }

    #[test]
    fn a_protocol_that_no_build_knows_by_its_name_is_given_by_its_number() {
        let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p ipv4 -j ACCEPT\nCOMMIT\n";
        let scenario = Scenario::from_rules("node.save", Family::Ipv4, rules).expect("rules");
        let (.., rule) = scenario.placed_rules(Family::Ipv4).next().expect("a rule");
        assert_eq!(&*rule.text, "-A INPUT -p 4 -j ACCEPT");
        assert_eq!(scenario.text, rules, "what was given is kept");
    }
}
