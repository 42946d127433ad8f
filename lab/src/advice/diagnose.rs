//! What a node's rules look like that some reader has damaged, told from nothing but their print.

use std::collections::{BTreeMap, BTreeSet};

use super::published::{Damage, Published};
use super::shape::Shape;
use crate::catalog::{Backend, BuildId, Family, Tool};
use crate::judge::verdict::Verdict;
use crate::matrix::{Certainty, range_in_words};
use crate::ruleset::{Printed, Rule, Words, tokens};
use crate::scenario::Scenario;

/// Something in the print that is not as a system would have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A line that a reader makes of a rule that a known system writes.
    Damaged {
        /// The table.
        table: String,
        /// The rule as it was printed.
        rule: Rule,
        /// Its place in its chain, from 1.
        index: usize,
        /// What it looks like, worst first: the same line may be left of several rules.
        damage: Damage,
        /// Whether it is that line word for word, or the same rule with other addresses, ports and names.
        likeness: Likeness,
    },
    /// A rule that is there several times.
    Repeated {
        /// The table.
        table: String,
        /// The rule.
        rule: Rule,
        /// Its places in its chain, from 1.
        indices: Vec<usize>,
    },
    /// A policy that its system sets to `DROP`.
    Policy {
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// What the print says it is.
        policy: String,
        /// The scenario whose chains are there.
        scenario: String,
    },
    /// A table that the build that printed it cannot read.
    Incompatible {
        /// The table.
        table: String,
    },
    /// Tables under both backends.
    TwoBackends,
}

/// How much a line is like one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Word for word.
    Same,
    /// With other addresses, ports and names.
    Alike,
}

/// Who may have done it: readers, and the writers whose rules they damage so, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likely {
    /// `nft from 1.8.8 on`.
    pub writers: String,
    /// `nft up to 1.8.7`.
    pub readers: String,
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
    /// Which iptables printed it, where it says so: `1.8.9 (nf_tables)`.
    pub printed_by: Option<String>,
}

/// Looks through `print`, the output of an `iptables-save`.
pub fn diagnose(print: &str, known: &KnownRules<'_>) -> Diagnosis {
    let printed = Printed::read(print);
    let mut findings = Vec::new();
    for table in &printed.tables {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen: BTreeMap<(&str, &Words), Vec<usize>> = BTreeMap::new();
        for rule in &table.rules {
            let index = places.entry(&rule.chain).or_insert(0);
            *index += 1;
            seen.entry((&rule.chain, rule.tokens()))
                .or_default()
                .push(*index);
            if let Some((damage, likeness)) = known.damage_of(&table.name, rule) {
                findings.push(Finding::Damaged {
                    table: table.name.clone(),
                    rule: Rule::clone(rule),
                    index: *index,
                    damage: damage.clone(),
                    likeness,
                });
            }
        }
        for rule in &table.rules {
            let places = seen.remove(&(rule.chain.as_str(), rule.tokens()));
            if let Some(indices) = places.filter(|indices| indices.len() >= REPEATED) {
                findings.push(Finding::Repeated {
                    table: table.name.clone(),
                    rule: Rule::clone(rule),
                    indices,
                });
            }
        }
    }
    findings.extend(policies(&printed, known.family, known.scenarios));
    let incompatible = printed.incompatible_tables().into_iter();
    findings.extend(incompatible.map(|table| Finding::Incompatible {
        table: table.to_owned(),
    }));
    if is_of_two_backends(print, &printed) {
        findings.push(Finding::TwoBackends);
    }
    Diagnosis {
        likely: likely(&findings, known.published),
        findings,
        printed_by: printed_by(print),
    }
}

/// From how many on copies of a rule are no longer taken for what somebody wrote so: lists that people paste have some twice.
const REPEATED: usize = 3;

/// What rules look like when they are damaged, and when they are sound.
pub struct KnownRules<'a> {
    published: &'a Published,
    scenarios: &'a [Scenario],
    family: Option<Family>,
    /// The damaged ones by table and words, and by table and shape: the worst damage of each.
    words: BTreeMap<(&'a str, String, Words), &'a Damage>,
    shapes: BTreeMap<(&'a str, Shape), &'a Damage>,
    sound: BTreeSet<(String, Shape)>,
}

impl<'a> KnownRules<'a> {
    /// From a report, and from the systems whose rules are sound. `family` says which rules a print can hold; both where
    /// it is not known.
    pub fn new(
        published: &'a Published,
        scenarios: &'a [Scenario],
        family: Option<Family>,
    ) -> Self {
        let mut known = KnownRules {
            published,
            scenarios,
            family,
            words: BTreeMap::new(),
            shapes: BTreeMap::new(),
            sound: BTreeSet::new(),
        };
        let is_of_family = |of: Family| family.is_none_or(|family| family == of);
        for scenario in scenarios {
            for family in scenario.families() {
                for (_, table, rule) in scenario.placed_rules(family) {
                    let shape = Shape::of(&rule.chain, &rule.tokens().to_vec());
                    known.sound.insert((table.to_owned(), shape));
                }
            }
        }
        let damages = published.damages().map(|(damage, _)| damage);
        let damages: Vec<&Damage> = damages.filter(|of| is_of_family(of.family)).collect();
        for damage in &damages {
            if let Some((chain, words)) = damage.written.as_deref().and_then(split) {
                let shape = Shape::of(&chain, &words.to_vec());
                known.sound.insert((damage.table.clone(), shape));
            }
        }
        for damage in damages {
            for (chain, words) in damage.left.iter().filter_map(|left| split(left)) {
                let shape = Shape::of(&chain, &words.to_vec());
                let worst = |known: &mut &'a Damage| {
                    if severity(damage) > severity(known) {
                        *known = damage;
                    }
                };
                let by_shape = (damage.table.as_str(), shape);
                known
                    .shapes
                    .entry(by_shape)
                    .and_modify(worst)
                    .or_insert(damage);
                let by_words = (damage.table.as_str(), chain, words);
                known
                    .words
                    .entry(by_words)
                    .and_modify(worst)
                    .or_insert(damage);
            }
        }
        known
    }

    fn damage_of(&self, table: &str, rule: &Rule) -> Option<(&'a Damage, Likeness)> {
        let words = (table, rule.chain.clone(), rule.tokens().clone());
        if let Some(damage) = self.words.get(&words) {
            return Some((damage, Likeness::Same));
        }
        let shape = Shape::of(&rule.chain, &rule.tokens().to_vec());
        if self.sound.contains(&(table.to_owned(), shape.clone())) {
            return None;
        }
        let damage = self.shapes.get(&(table, shape))?;
        Some((damage, Likeness::Alike))
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

/// Policies that are `ACCEPT` where every system whose chains are all there sets `DROP`.
fn policies(printed: &Printed, family: Option<Family>, scenarios: &[Scenario]) -> Vec<Finding> {
    let mut wanted: BTreeMap<(String, String), Vec<(bool, &str)>> = BTreeMap::new();
    for scenario in scenarios {
        let families = scenario.families();
        for of in families.filter(|of| family.is_none_or(|family| family == *of)) {
            for table in &scenario.ruleset(of).tables {
                let Some(there) = printed.table(&table.name) else {
                    continue;
                };
                let is_there = |name: &str| there.chains.iter().any(|chain| chain.name == name);
                let mut own = table
                    .chains
                    .iter()
                    .filter(|chain| chain.policy.is_none())
                    .peekable();
                if own.peek().is_none() || !own.all(|chain| is_there(&chain.name)) {
                    continue;
                }
                for chain in &table.chains {
                    if let Some(policy) = &chain.policy {
                        let key = (table.name.clone(), chain.name.clone());
                        let closed = (policy == "DROP", scenario.name.as_str());
                        wanted.entry(key).or_default().push(closed);
                    }
                }
            }
        }
    }
    let mut findings = Vec::new();
    for ((table, chain), wanted) in wanted {
        let is = printed
            .table(&table)
            .and_then(|of| of.chains.iter().find(|of| of.name == chain));
        let Some(policy) = is.and_then(|of| of.policy.clone()) else {
            continue;
        };
        if policy == "ACCEPT" && wanted.iter().all(|(closed, _)| *closed) {
            let scenario = wanted.first().map_or("", |(_, name)| *name);
            findings.push(Finding::Policy {
                table,
                chain,
                policy,
                scenario: scenario.to_owned(),
            });
        }
    }
    findings
}

/// Whether legacy builds and nft builds both have tables: a print says so in a warning, or it is two prints.
fn is_of_two_backends(print: &str, printed: &Printed) -> bool {
    let says_so = printed.comments.iter().any(|comment| {
        comment.contains("-legacy tables present") || comment.contains("legacy tables present, use")
    });
    let by = |backend: &str| {
        print
            .lines()
            .any(|line| line.starts_with("# Generated by ") && line.contains(backend))
    };
    says_so || (by("(legacy)") && by("(nf_tables)"))
}

/// `1.8.9 (nf_tables)` of `# Generated by iptables-save v1.8.9 (nf_tables) on …`.
fn printed_by(print: &str) -> Option<String> {
    let stamp = print
        .lines()
        .find_map(|line| line.strip_prefix("# Generated by "))?;
    let version = stamp.split_once(" v")?.1;
    let end = version.find(" on ").unwrap_or(version.len());
    Some(version[..end].to_owned())
}

/// The pairings that explain most of the damaged lines.
fn likely(findings: &[Finding], published: &Published) -> Option<Likely> {
    let damaged = findings.iter().filter_map(|finding| match finding {
        Finding::Damaged { damage, .. } => Some(damage),
        _ => None,
    });
    // Where the writer only reads the rule so, it is not in the kernel before the writer itself writes that.
    let is_done = |damage: &Damage| damage.certainty() != Certainty::IfWrittenBack;
    let mut explained: BTreeMap<(&BuildId, &BuildId), usize> = BTreeMap::new();
    for found in damaged {
        // Whatever leaves the same line of the same rule may have done it.
        let alike = published.damages().filter(|(damage, _)| {
            let same_place = damage.table == found.table && damage.chain == found.chain;
            same_place
                && is_done(damage)
                && damage.left.iter().any(|left| found.left.contains(left))
        });
        let pairs: BTreeSet<(&BuildId, &BuildId)> = alike.flat_map(|(_, pairs)| pairs).collect();
        for pair in pairs {
            *explained.entry(pair).or_insert(0) += 1;
        }
    }
    let most = *explained.values().max()?;
    let best = explained.iter().filter(|(_, count)| **count == most);
    let best: Vec<&(&BuildId, &BuildId)> = best.map(|(pair, _)| pair).collect();
    let writers = best.iter().map(|(writer, _)| *writer).collect();
    let readers = best.iter().map(|(_, reader)| *reader).collect();
    Some(Likely {
        writers: in_words(&writers, published),
        readers: in_words(&readers, published),
        explained: most,
    })
}

fn in_words(chosen: &BTreeSet<&BuildId>, published: &Published) -> String {
    let words = Backend::ALL.into_iter().filter_map(|backend| {
        let mut builds: Vec<_> = published
            .builds
            .iter()
            .filter(|build| build.backend == backend && build.tool == Tool::Iptables)
            .collect();
        builds.sort_by(|one, other| one.version.cmp(&other.version));
        let in_it: Vec<bool> = builds
            .iter()
            .map(|build| chosen.contains(&build.id))
            .collect();
        let names: Vec<&str> = builds
            .iter()
            .map(|build| {
                build
                    .id
                    .as_str()
                    .trim_end_matches(backend.as_str())
                    .trim_end_matches('-')
            })
            .collect();
        let any = in_it.contains(&true);
        any.then(|| format!("{backend} {}", range_in_words(&names, &in_it)))
    });
    words.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
#[allow(dead_code, reason = "the tests of the snapshots use the rest of it")]
#[path = "../../tests/it/prints.rs"]
mod prints;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::prints::{self, Prints};
    use super::*;
    use crate::scenario;

    /// What a build really printed.
    fn print(file: &str, writer: &str, reader: Option<&str>) -> String {
        let text = Prints::stored(file).of(writer, reader).map(str::to_owned);
        text.unwrap_or_else(|| panic!("{file} has no {writer} > {reader:?}")) + "\n"
    }

    fn diagnosis(print: &str, family: Option<Family>) -> Diagnosis {
        let (published, scenarios) = (Published::embedded().unwrap(), scenario::shipped().unwrap());
        diagnose(print, &KnownRules::new(&published, &scenarios, family))
    }

    /// The lines that are left of rules, and what they have lost.
    fn damaged(diagnosis: &Diagnosis) -> Vec<(String, String)> {
        let damaged = diagnosis
            .findings
            .iter()
            .filter_map(|finding| match finding {
                Finding::Damaged { rule, damage, .. } => {
                    Some((rule.text.to_string(), damage.what.clone()))
                }
                _ => None,
            });
        damaged.collect()
    }

    #[rstest]
    #[case(
        "1.8.10-nft",
        "1.8.7-nft",
        "match mark lost",
        "nft from 1.8.8 on",
        "nft up to debian-1.8.7-1"
    )]
    #[case(
        "debian-1.8.9-2-nft",
        "debian-1.8.7-1-nft",
        "match mark lost",
        "nft from 1.8.8 on",
        "nft up to debian-1.8.7-1"
    )]
    #[case(
        "1.8.7-nft",
        "1.8.5-nft",
        "source, destination altered",
        "nft from 1.8.7 on",
        "nft up to 1.8.6"
    )]
    fn what_readers_really_print_of_a_rule_is_known_with_who_does_so(
        #[case] writer: &str,
        #[case] reader: &str,
        #[case] what: &str,
        #[case] writers: &str,
        #[case] readers: &str,
    ) {
        let print = print("kube-firewall-ipv4", writer, Some(reader));
        let found = diagnosis(&print, Some(Family::Ipv4));
        let damaged = damaged(&found);
        assert_eq!(damaged.len(), 1, "{found:?}");
        assert_eq!(damaged[0].1, what);
        let likely = found.likely.unwrap();
        assert!(likely.readers.starts_with(readers), "{likely:?}");
        assert!(likely.writers.starts_with(writers), "{likely:?}");
    }

    /// The line of the issue of 2022, as it was pasted there.
    #[test]
    fn the_line_that_took_clusters_down_is_known() {
        let print = "*filter\n:KUBE-FIREWALL - [0:0]\n-A KUBE-FIREWALL -m comment --comment \"kubernetes firewall for \
            dropping marked packets\" -j DROP\nCOMMIT\n";
        let found = diagnosis(print, None);
        let [
            Finding::Damaged {
                index: 1,
                damage,
                likeness: Likeness::Same,
                ..
            },
        ] = found.findings.as_slice()
        else {
            panic!("{found:?}");
        };
        assert_eq!(
            damage.consequence(),
            Some(crate::judge::verdict::Consequence::Blackhole)
        );
    }

    /// Another node has other addresses and other services.
    #[test]
    fn a_rule_of_another_node_is_known_by_its_shape() {
        let print = "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-AAAABBBBCCCCDDDD - [0:0]\n-A KUBE-SERVICES -d 10.96.3.7/32 -p tcp \
            -m comment --comment \"shop/basket:http cluster IP\" -j KUBE-SVC-AAAABBBBCCCCDDDD\nCOMMIT\n";
        let found = diagnosis(print, None);
        assert_eq!(damaged(&found)[0].1, "match tcp lost");
        let whole = print.replace("IP\"", "IP\" -m tcp --dport 80");
        assert_eq!(diagnosis(&whole, None).findings, []);
    }

    /// What every writer prints of its own rules, in every scenario: nothing is wrong with any of it.
    #[test]
    fn what_writers_print_of_their_own_is_never_called_damaged() {
        let (published, scenarios) = (Published::embedded().unwrap(), scenario::shipped().unwrap());
        let (mut looked_at, mut wrong) = (0, Vec::new());
        for family in [Family::Ipv4, Family::Ipv6] {
            let known = KnownRules::new(&published, &scenarios, Some(family));
            let suffix = format!("-{family}");
            for file in prints::names()
                .iter()
                .filter(|file| file.ends_with(&suffix))
            {
                let stored = Prints::stored(file);
                let own = stored.pairings().filter(|(_, reader)| reader.is_none());
                for (writer, _) in own.filter(|(writer, _)| !writer.starts_with("debian-nft-")) {
                    looked_at += 1;
                    let found = diagnose(&print(file, writer, None), &known);
                    if !found.findings.is_empty() {
                        wrong.push((file.clone(), writer.clone(), found.findings));
                    }
                }
            }
        }
        assert!(looked_at > 1000, "{looked_at}");
        assert!(
            wrong.is_empty(),
            "{} of {looked_at}: {:#?}",
            wrong.len(),
            wrong.first()
        );
    }

    #[rstest]
    #[case::incompatible("# Table `filter' is incompatible, use 'nft' tool.\n", Finding::Incompatible { table: "filter".to_owned() })]
    #[case::warned(
        "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n",
        Finding::TwoBackends
    )]
    #[case::both(
        "# Generated by iptables-save v1.8.9 (nf_tables) on Mon\n*filter\nCOMMIT\n# Generated by iptables-save v1.8.9 (legacy) on Mon\n*filter\nCOMMIT\n",
        Finding::TwoBackends
    )]
    fn what_builds_say_themselves_is_heard(#[case] print: &str, #[case] finding: Finding) {
        assert_eq!(diagnosis(print, None).findings, [finding]);
    }

    #[test]
    fn rules_that_multiply_and_policies_that_were_reset_are_found() {
        let sound = print("ufw-ipv4", "1.8.9-nft", None);
        assert_eq!(diagnosis(&sound, Some(Family::Ipv4)).findings, []);
        let is_rule = |line: &&str| line.starts_with("-A INPUT -j ufw-");
        let line = sound.lines().find(is_rule).unwrap();
        let reset = sound
            .replace(line, &format!("{line}\n{line}\n{line}"))
            .replace(":INPUT DROP", ":INPUT ACCEPT");
        assert_ne!(sound, reset);
        let findings = diagnosis(&reset, Some(Family::Ipv4)).findings;
        let repeated = |finding: &Finding| matches!(finding, Finding::Repeated { indices, .. } if indices == &[1, 2, 3]);
        assert!(findings.iter().any(repeated), "{findings:?}");
        let policy = findings.iter().any(|finding| {
            matches!(finding, Finding::Policy { table, chain, .. } if table == "filter" && chain == "INPUT")
        });
        assert!(policy, "{findings:?}");
    }

    #[test]
    fn the_print_says_who_printed_it() {
        let print =
            "# Generated by iptables-save v1.8.9 (nf_tables) on Mon Nov 23 2026\n*filter\nCOMMIT\n";
        assert_eq!(
            diagnosis(print, None).printed_by.as_deref(),
            Some("1.8.9 (nf_tables)")
        );
        let old = "# Generated by iptables-save v1.8.7 on Mon Nov 23 2026\n";
        assert_eq!(diagnosis(old, None).printed_by.as_deref(), Some("1.8.7"));
    }
}
