//! What rules look like when they are damaged, and when they are sound: so a line of a print is known.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Damaged, Finding, Likeness, Place};
use super::identity::{Identities, has_strange_address};
use super::print::Section;
use super::published::{Damage, Pairs, Published};
use crate::catalog::{BuildId, Tool};
use crate::judge::verdict::Verdict;
use crate::scenario::{Scenario, System};
use crate::tool::iptables::{Addresses, shape, tokens};
use crate::tool::{Printed, PrintedTable, Rule, Shape, Target, Words};

/// The tool whose print is looked through.
const PRINTED_BY: Tool = Tool::Iptables;

/// From how many on copies of a rule are no longer taken for what somebody wrote so: lists that people paste have some twice.
const REPEATED: usize = 3;

/// A known line by its table, its chain and its words.
type Line<'a> = (&'a str, String, Words);

/// What rules look like when they are damaged, and when they are sound.
pub struct KnownRules<'a> {
    pub(super) published: &'a Published,
    scenarios: &'a [Scenario],
    identities: Identities,
    /// Every damage with the writers and readers between which it is done.
    pub(super) damages: Vec<Done<'a>>,
    /// The places of the damages that leave a line, by its words and by its shape.
    words: BTreeMap<Line<'a>, Vec<usize>>,
    shapes: BTreeMap<(&'a str, Shape), Vec<usize>>,
    sound: BTreeSet<(String, Shape)>,
}

/// A damage, and between whom it is done.
pub(super) struct Done<'a> {
    pub damage: &'a Damage,
    pub pairs: &'a Pairs,
}

impl<'a> KnownRules<'a> {
    /// From a report, and from the systems whose rules are sound.
    pub fn new(published: &'a Published, scenarios: &'a [Scenario]) -> Self {
        let mut known = KnownRules {
            published,
            scenarios,
            identities: Identities::of(scenarios),
            damages: published
                .damages()
                .map(|(damage, pairs)| Done { damage, pairs })
                .collect(),
            words: BTreeMap::new(),
            shapes: BTreeMap::new(),
            sound: BTreeSet::new(),
        };
        for scenario in scenarios {
            for family in scenario.families() {
                for (_, table, rule) in scenario.own_rules(family) {
                    let shape = Shape::of(&rule.chain, &rule.tokens().to_vec(), Addresses::Any);
                    known.sound.insert((table.to_owned(), shape));
                }
            }
        }
        let mut written = BTreeSet::new();
        for (place, damage) in known.damages.iter().map(|done| done.damage).enumerate() {
            let line = damage.written.as_deref();
            // Most are damaged in several ways.
            let line = line.filter(|line| written.insert((&damage.table, *line)));
            if let Some((chain, words)) = line.and_then(split) {
                let shape = Shape::of(&chain, &words.to_vec(), Addresses::Any);
                known.sound.insert((damage.table.clone(), shape));
            }
            let left = damage.left.iter().filter(|_| damage.takes_parts());
            for (chain, words) in left.filter_map(|left| split(left)) {
                let shape = Shape::of(&chain, &words.to_vec(), Addresses::HostOrNetwork);
                known
                    .shapes
                    .entry((&damage.table, shape))
                    .or_default()
                    .push(place);
                let line = (damage.table.as_str(), chain, words);
                known.words.entry(line).or_default().push(place);
            }
        }
        known
    }

    /// What is found in a section of a print.
    pub(super) fn findings(&self, section: &Section) -> Vec<Finding> {
        let tables = section.printed.tables.iter();
        let mut findings: Vec<Finding> = tables
            .flat_map(|table| self.of_table(section, table))
            .collect();
        findings.extend(self.policies(section));
        let incompatible = section.printed.given_up.iter();
        findings.extend(incompatible.map(|of| Finding::Incompatible {
            place: place(section, &of.table),
        }));
        findings
    }

    fn of_table(&self, section: &Section, table: &PrintedTable) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen: BTreeMap<(&str, &Words), Vec<usize>> = BTreeMap::new();
        for rule in &table.rules {
            let index = counts.entry(&rule.chain).or_insert(0);
            *index += 1;
            match self.damaged(section, table, rule, *index) {
                Some(damaged) => findings.push(Finding::Damaged(Box::new(damaged))),
                None => seen
                    .entry((&rule.chain, rule.tokens()))
                    .or_default()
                    .push(*index),
            }
        }
        for rule in &table.rules {
            let places = seen.remove(&(rule.chain.as_str(), rule.tokens()));
            let has_target = !matches!(rule.target(), Target::None);
            let Some(indices) = places.filter(|indices| indices.len() >= REPEATED && has_target)
            else {
                continue;
            };
            if self.identities.names(&table.name, rule) {
                findings.push(Finding::Repeated {
                    place: place(section, &table.name),
                    rule: Rule::clone(rule),
                    indices,
                });
            }
        }
        findings
    }

    /// What a line is left of, where nobody but a known system's reader leaves such a line.
    fn damaged(
        &self,
        section: &Section,
        table: &PrintedTable,
        rule: &Rule,
        index: usize,
    ) -> Option<Damaged> {
        let names_system = self.identities.names(&table.name, rule);
        let line = (
            table.name.as_str(),
            rule.chain.clone(),
            rule.tokens().clone(),
        );
        let same = self.of_family(section, self.words.get(&line));
        let (damages, likeness) = match same.is_empty() {
            false if names_system || has_strange_address(rule) => (same, Likeness::Same),
            true if names_system => (self.alike(section, &table.name, rule), Likeness::Alike),
            _ => return None,
        };
        // The first of the worst, of a system with a name where there is one.
        let graveness = |done: &&Done<'_>| {
            (
                severity(done.damage),
                self.system(done.damage).name.is_some(),
            )
        };
        let worst = damages.iter().copied().rev().max_by_key(graveness)?;
        let whole = std::iter::once(&worst).chain(&damages);
        let whole = whole.filter_map(|done| self.meant(done.damage));
        let (of_nft, meant): (Vec<_>, Vec<_>) = whole.partition(|(is_nft, _)| *is_nft);
        let meant = distinct(meant.into_iter().map(|(_, line)| line));
        let written = damages
            .iter()
            .filter_map(|done| done.damage.written.as_deref());
        let mut whole = meant.iter().map(String::as_str).chain(written);
        Some(Damaged {
            stands_beside: likeness == Likeness::Same && whole.any(|line| holds(table, line)),
            place: place(section, &table.name),
            rule: rule.clone(),
            index,
            damage: worst.damage.clone(),
            likeness,
            is_perhaps_of_nft: !of_nft.is_empty(),
            meant,
            system: self.system(worst.damage),
            printed_so_by: self.printers(&damages),
        })
    }

    fn alike(&self, section: &Section, table: &str, rule: &Rule) -> Vec<&Done<'a>> {
        let shape = |addresses| Shape::of(&rule.chain, &rule.tokens().to_vec(), addresses);
        let is_sound = self
            .sound
            .contains(&(table.to_owned(), shape(Addresses::Any)));
        match is_sound {
            true => Vec::new(),
            false => {
                let alike = self.shapes.get(&(table, shape(Addresses::HostOrNetwork)));
                self.of_family(section, alike)
            }
        }
    }

    fn of_family(&self, section: &Section, places: Option<&Vec<usize>>) -> Vec<&Done<'a>> {
        let done = places
            .into_iter()
            .flatten()
            .filter_map(|place| self.damages.get(*place));
        done.filter(|of| {
            section
                .family
                .is_none_or(|family| family == of.damage.family)
        })
        .collect()
    }

    fn scenario(&self, name: &str) -> Option<&'a Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// The system whose rule is damaged.
    fn system(&self, damage: &Damage) -> System {
        let scenario = self.scenario(&damage.scenario);
        scenario.map(|of| of.system.clone()).unwrap_or_default()
    }

    /// The rule as its system writes it, and whether that is nft's.
    fn meant(&self, damage: &Damage) -> Option<(bool, String)> {
        let scenario = self.scenario(&damage.scenario)?;
        let ruleset = scenario.ruleset(damage.family);
        let table = ruleset
            .tables
            .iter()
            .find(|table| table.name == damage.table)?;
        let mut rules = table.rules.iter().filter(|rule| rule.chain == damage.chain);
        let rule = rules.nth(damage.index?.checked_sub(1)?)?;
        Some((rule.tool != PRINTED_BY, rule.text.to_string()))
    }

    /// The releases that print a rule so while the kernel still holds it as it was written.
    fn printers(&self, damages: &[&Done<'_>]) -> BTreeSet<String> {
        let builds = damages.iter().flat_map(|done| {
            let worst = done.damage.worst_of_parts();
            let pairs = self.published.pairings(done.pairs);
            pairs.filter_map(move |pair| Some(worst?.parties(pair).1))
        });
        let builds: BTreeSet<&BuildId> = builds.collect();
        let builds = builds
            .into_iter()
            .filter_map(|id| self.published.build(id.as_str()));
        builds
            .map(|build| build.version.release().to_owned())
            .collect()
    }

    /// Policies that are `ACCEPT` where a system whose chains are all there sets `DROP` itself.
    fn policies(&self, section: &Section) -> Vec<Finding> {
        let mut findings: BTreeMap<(String, String), Finding> = BTreeMap::new();
        for scenario in self
            .scenarios
            .iter()
            .filter(|of| !of.system.policies.is_empty())
        {
            let families = scenario.families();
            for of in families.filter(|of| section.family.is_none_or(|family| family == *of)) {
                for table in &scenario.own_ruleset(of).tables {
                    let Some(there) = has_all_chains(&section.printed, table) else {
                        continue;
                    };
                    let reset = table.chains.iter().filter(|chain| {
                        let is = there.chains.iter().find(|of| of.name == chain.name);
                        chain.policy.as_deref() == Some("DROP")
                            && scenario.system.sets_policy(&table.name, &chain.name)
                            && is.and_then(|of| of.policy.as_deref()) == Some("ACCEPT")
                    });
                    findings.extend(reset.map(|chain| {
                        let finding = Finding::Policy {
                            place: place(section, &table.name),
                            chain: chain.name.clone(),
                            policy: "ACCEPT".to_owned(),
                            system: scenario.system.clone(),
                        };
                        ((table.name.clone(), chain.name.clone()), finding)
                    }));
                }
            }
        }
        findings.into_values().collect()
    }
}

/// The table as it was printed, if all of the chains are there that a system makes in it.
fn has_all_chains<'p>(
    printed: &'p Printed,
    table: &crate::tool::Table,
) -> Option<&'p PrintedTable> {
    let there = printed.table(&table.name)?;
    let is_there = |name: &str| there.chains.iter().any(|chain| chain.name == name);
    let mut own = table
        .chains
        .iter()
        .filter(|chain| chain.policy.is_none())
        .peekable();
    (own.peek().is_some() && own.all(|chain| is_there(&chain.name))).then_some(there)
}

/// Rules that say something else than those before them: each system orders a rule's options as it likes.
fn distinct(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let said = |line: &str| {
        let (chain, words) = split(line)?;
        Some((chain, shape::values_in_any_order(&words.to_vec())))
    };
    lines.filter(|line| seen.insert(said(line))).collect()
}

/// Whether a table has a rule of these words in its chain.
fn holds(table: &PrintedTable, line: &str) -> bool {
    let Some((chain, words)) = split(line) else {
        return false;
    };
    table
        .rules
        .iter()
        .any(|rule| rule.chain == chain && *rule.tokens() == words)
}

fn place(section: &Section, table: &str) -> Place {
    Place {
        family: section.family,
        backend: section.backend,
        table: table.to_owned(),
    }
}

fn severity(damage: &Damage) -> (u8, bool) {
    let verdict = damage.verdict().map_or(0, Verdict::severity);
    (verdict, damage.consequence().is_some())
}

/// The chain and the words of an `-A` line.
fn split(line: &str) -> Option<(String, Words)> {
    let words = tokens::split(line).ok()?.into_iter();
    let mut words = words.map(|token| token.text);
    (words.next()? == "-A").then_some(())?;
    let chain = words.next()?.into_owned();
    Some((chain, words.collect()))
}
