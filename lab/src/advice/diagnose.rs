//! What a node's rules look like that some reader has damaged, told from nothing but their print.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::{Identities, has_strange_address};
use super::print::Section;
use super::published::{Damage, Published};
use super::repair::{Repair, repair};
use crate::catalog::{Backend, BuildId, Family, Origin, Tool};
use crate::judge::verdict::Verdict;
use crate::matrix::{BuildSet, Certainty, Member};
use crate::scenario::{Scenario, System};
use crate::tool::iptables::{Addresses, shape, tokens};
use crate::tool::{Printed, PrintedTable, Rule, Shape, Target, Words};

/// Where something is: whose table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose rules; none where the print does not say it.
    pub family: Option<Family>,
    /// The backend that holds them; none where the print does not say it.
    pub backend: Option<Backend>,
    /// The table.
    pub table: String,
}

/// Something in the print that is not as a system would have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A line that a reader makes of a rule that a known system writes.
    Damaged(Box<Damaged>),
    /// A rule of a known system that is there several times.
    Repeated {
        /// Where.
        place: Place,
        /// The rule.
        rule: Rule,
        /// Its places in its chain, from 1.
        indices: Vec<usize>,
    },
    /// A policy that its system sets to `DROP`.
    Policy {
        /// Where.
        place: Place,
        /// The chain.
        chain: String,
        /// What the print says it is.
        policy: String,
        /// Who sets it, and what makes it do so again.
        system: System,
    },
    /// A table that the build that printed it cannot read.
    Incompatible {
        /// Where.
        place: Place,
    },
    /// Tables under both backends.
    TwoBackends,
}

/// A damaged rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Where.
    pub place: Place,
    /// The rule as it was printed.
    pub rule: Rule,
    /// Its place in its chain, from 1.
    pub index: usize,
    /// The worst damage that looks like it: the same line may be left of several rules.
    pub damage: Damage,
    /// Whether it is that line word for word, or the same rule with other addresses, ports and names.
    pub likeness: Likeness,
    /// The rules that it may be left of, as their systems write them; none where nft wrote them.
    pub meant: Vec<String>,
    /// Whether one of the rules that it may be left of is nft's.
    pub is_perhaps_of_nft: bool,
    /// Whether some rule that it may be left of stands in the same chain, whole.
    pub stands_beside: bool,
    /// Who wrote the rule.
    pub system: System,
    /// The releases that print the rule so while the kernel still holds it as it was.
    pub printed_so_by: BTreeSet<String>,
}

/// How much a line is like one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Word for word.
    Same,
    /// With other addresses, ports and names.
    Alike,
}

/// Who may have done it: readers, and the writers whose rules they damage so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likely {
    /// The writers.
    pub writers: BuildSet,
    /// The readers.
    pub readers: BuildSet,
    /// How many of the damaged lines that explains.
    pub explained: usize,
}

/// What is to be said of a print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// All that was found, in the print's order.
    pub findings: Vec<Finding>,
    /// Who may have damaged rules; none where none are.
    pub likely: Option<Likely>,
    /// Which releases printed it, where it says so: `1.8.9`.
    pub printed_by: BTreeSet<String>,
    /// What mends it.
    pub repair: Repair,
}

/// The tool whose print is looked through.
const PRINTED_BY: Tool = Tool::Iptables;

/// Looks through what `iptables-save` printed.
pub fn diagnose(sections: &[Section], known: &KnownRules<'_>) -> Diagnosis {
    let mut findings: Vec<Finding> = sections
        .iter()
        .flat_map(|section| known.findings(section))
        .collect();
    if are_of_two_backends(sections) {
        findings.push(Finding::TwoBackends);
    }
    let printed_by: BTreeSet<String> = sections
        .iter()
        .filter_map(|of| of.release.clone())
        .collect();
    Diagnosis {
        likely: likely(&findings, &known.damages, known.published),
        repair: repair(&findings, &printed_by),
        findings,
        printed_by,
    }
}

/// From how many on copies of a rule are no longer taken for what somebody wrote so: lists that people paste have some twice.
const REPEATED: usize = 3;

/// A known line by its table, its chain and its words.
type Line<'a> = (&'a str, String, Words);

/// What rules look like when they are damaged, and when they are sound.
pub struct KnownRules<'a> {
    published: &'a Published,
    scenarios: &'a [Scenario],
    identities: Identities,
    /// Every damage with the writers and readers between which it is done.
    damages: Vec<Done<'a>>,
    /// The places of the damages that leave a line, by its words and by its shape.
    words: BTreeMap<Line<'a>, Vec<usize>>,
    shapes: BTreeMap<(&'a str, Shape), Vec<usize>>,
    sound: BTreeSet<(String, Shape)>,
}

/// A damage, and who does it.
struct Done<'a> {
    damage: &'a Damage,
    pairs: Vec<(&'a BuildId, &'a BuildId)>,
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
                for (_, table, rule) in scenario.placed_rules(family) {
                    let shape = Shape::of(&rule.chain, &rule.tokens().to_vec(), Addresses::Any);
                    known.sound.insert((table.to_owned(), shape));
                }
            }
        }
        for (place, damage) in known.damages.iter().map(|done| done.damage).enumerate() {
            if let Some((chain, words)) = damage.written.as_deref().and_then(split) {
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

    fn findings(&self, section: &Section) -> Vec<Finding> {
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
        Some((scenario.tool() != PRINTED_BY, rule.text.to_string()))
    }

    /// The releases that print a rule so while the kernel still holds it as it was written.
    fn printers(&self, damages: &[&Done<'_>]) -> BTreeSet<String> {
        let builds = damages.iter().flat_map(|done| {
            let is_writers = matches!(done.damage.verdict(), Some(Verdict::Misread));
            let pairs = done.pairs.iter();
            pairs.map(move |(writer, reader)| if is_writers { *writer } else { *reader })
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
                for table in &scenario.ruleset(of).tables {
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

/// Whether legacy builds and nft builds both have tables: a print says so in a warning, or there are two prints.
fn are_of_two_backends(sections: &[Section]) -> bool {
    let mut comments = sections
        .iter()
        .flat_map(|section| &section.printed.comments);
    let says_so = comments.any(|comment| {
        comment.contains("-legacy tables present") || comment.contains("legacy tables present, use")
    });
    let with_tables = sections
        .iter()
        .filter(|section| !section.printed.tables.is_empty());
    let backends: BTreeSet<Backend> = with_tables.filter_map(|section| section.backend).collect();
    says_so || backends.len() > 1
}

/// The pairings that explain most of the damaged lines.
fn likely(findings: &[Finding], known: &[Done<'_>], published: &Published) -> Option<Likely> {
    let damaged = findings.iter().filter_map(|finding| match finding {
        Finding::Damaged(damaged) => Some(&damaged.damage),
        _ => None,
    });
    // Where the writer only reads the rule so, it is not in the kernel before the writer itself writes that.
    let is_done = |damage: &Damage| damage.certainty() != Certainty::IfWrittenBack;
    let mut explained: BTreeMap<(&BuildId, &BuildId), usize> = BTreeMap::new();
    for found in damaged {
        // Whatever leaves the same line of the same rule may have done it.
        let alike = known.iter().filter(|done| {
            let damage = done.damage;
            let same_place = damage.table == found.table && damage.chain == found.chain;
            same_place
                && is_done(damage)
                && damage.left.iter().any(|left| found.left.contains(left))
        });
        let pairs: BTreeSet<_> = alike.flat_map(|done| done.pairs.iter().copied()).collect();
        for pair in pairs {
            *explained.entry(pair).or_insert(0) += 1;
        }
    }
    let most = *explained.values().max()?;
    let best = explained.iter().filter(|(_, count)| **count == most);
    let (writers, readers): (BTreeSet<&BuildId>, BTreeSet<&BuildId>) =
        best.map(|(pair, _)| *pair).unzip();
    Some(Likely {
        writers: set(&writers, published),
        readers: set(&readers, published),
        explained: most,
    })
}

/// Those of the report's builds.
fn set(chosen: &BTreeSet<&BuildId>, published: &Published) -> BuildSet {
    let members = published.builds.iter().map(|build| Member {
        id: &build.id,
        version: &build.version,
        tool: build.tool,
        backend: build.backend,
        // A report that is published is of releases and packages.
        origin: Origin::Upstream,
    });
    BuildSet::of(members, |id| chosen.contains(id))
}
