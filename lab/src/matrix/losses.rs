//! The distinct losses of a scenario: which rules lose which parts, between which builds, with which consequence.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Matrix;
use super::build_set::{BuildSet, Pairs, place, rectangles};
use super::example::{self, Cells};
use super::known::KnownLoss;
use crate::catalog::{Build, BuildId, Family};
use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{self, Cell, ChainVerdict, RuleVerdict, core_message};

/// One way in which rules of a scenario come to harm, the same for all its rules and pairings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The worst verdict about it.
    pub verdict: Verdict,
    /// What is lost, altered or added, or what was said: `match mark lost`.
    pub what: String,
    /// What that does to packets.
    pub consequence: Option<Consequence>,
    /// How sure that is.
    pub certainty: Certainty,
    /// The rules and chains, as the scenario counts them: `KUBE-FIREWALL 1`.
    pub subjects: BTreeMap<Family, Vec<Subject>>,
    /// The writers.
    pub writers: BuildSet,
    /// The readers.
    pub readers: BuildSet,
    /// How many pairings of a writer and a reader.
    pub pairings: usize,
    /// One cell that shows it.
    pub example: Example,
    /// Why and where it is known already, where it is.
    pub known: Option<String>,
}

/// The cell of one pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// In which family.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub reader: BuildId,
    /// The place among the cell's rules of the one that shows it; none where it is no rule.
    #[serde(skip)]
    pub rule: Option<usize>,
}

impl Example {
    /// The first of each.
    pub(super) fn first(
        family: Family,
        (of_writers, writers): (&BTreeSet<usize>, &[&Build]),
        (of_readers, readers): (&BTreeSet<usize>, &[&Build]),
    ) -> Self {
        let first = |places: &BTreeSet<usize>, builds: &[&Build]| {
            let first = places.first().and_then(|place| builds.get(*place));
            first
                .expect("a group of pairings is of builds that took part")
                .id
                .clone()
        };
        Example {
            family,
            writer: first(of_writers, writers),
            reader: first(of_readers, readers),
            rule: None,
        }
    }
}

/// How sure it is that a loss does to packets what its rules say.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Packets showed it.
    Shown,
    /// The rules say so; no packets were sent, or another rule explains what they showed.
    Predicted,
    /// The rules say so, and none of the packets that were sent fared so.
    Unmet,
    /// It comes only if what was read is written back.
    IfWrittenBack,
}

/// A rule or a chain that suffers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Subject {
    /// Its place in the scenario.
    #[serde(skip)]
    order: usize,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// The rule's place in the chain, from 1; none where the chain itself suffers.
    pub index: Option<usize>,
}

impl Subject {
    /// A rule, by its place in the scenario from 0.
    pub(super) fn of_rule(order: usize, rule: &RuleVerdict) -> Self {
        Subject {
            order,
            table: rule.table.to_string(),
            chain: rule.chain.to_string(),
            index: Some(rule.index),
        }
    }

    /// The rule's place among the cell's rules; none where the chain itself suffers.
    pub(super) fn rule(&self) -> Option<usize> {
        self.index.map(|_| self.order)
    }

    /// A chain, by its place behind the cell's rules.
    pub(super) fn chain(order: usize, chain: &ChainVerdict) -> Self {
        Subject {
            order,
            table: chain.table.clone(),
            chain: chain.chain.clone(),
            index: None,
        }
    }
}

/// What a loss is, apart from where it happens; the worst first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    mildness: u8,
    name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) what: String,
    pub(super) consequence: Option<Consequence>,
    pub(super) certainty: Certainty,
    /// The place of the entry of known losses that names it.
    pub(super) known: Option<usize>,
}

/// Who suffers, and in which pairings.
type Suffering = BTreeMap<(Family, Subject), Pairs>;

/// Kinds of harm as they are found, cell by cell.
pub(super) struct Found<'a, K> {
    writers: &'a [&'a Build],
    readers: &'a [&'a Build],
    kinds: BTreeMap<K, Suffering>,
    cells: Cells<'a>,
}

/// One kind of harm, between builds that all of it befalls.
pub(super) struct Group<K> {
    pub(super) kind: K,
    pub(super) subjects: BTreeMap<Family, Vec<Subject>>,
    pub(super) writers: BuildSet,
    pub(super) readers: BuildSet,
    pub(super) pairings: usize,
    pub(super) example: Example,
}

impl<'a, K: Ord + Clone> Found<'a, K> {
    /// Nothing yet, between these builds.
    pub(super) fn new(writers: &'a [&'a Build], readers: &'a [&'a Build]) -> Self {
        Found {
            writers,
            readers,
            kinds: BTreeMap::new(),
            cells: Cells::new(),
        }
    }

    /// A subject suffers in a cell.
    pub(super) fn add(&mut self, kind: K, cell: &'a Cell, subject: Subject) {
        let pairing = (cell.family, &cell.writer, &cell.reader);
        self.cells.insert(pairing, cell);
        let suffering = self.kinds.entry(kind).or_default();
        let pairs = suffering.entry((cell.family, subject)).or_default();
        let readers_of = pairs.entry(place(self.writers, &cell.writer)).or_default();
        readers_of.insert(place(self.readers, &cell.reader));
    }

    /// All of it, by kind, and within a kind by who suffers where. An example shows the verdict of its kind.
    pub(super) fn groups(self, verdict: impl Fn(&K) -> Verdict) -> Vec<Group<K>> {
        let (writers, readers) = (self.writers, self.readers);
        let mut all = Vec::new();
        for (kind, suffering) in self.kinds {
            for (pairs, subjects) in alike(suffering) {
                for (of_writers, of_readers) in rectangles(&pairs) {
                    let first = subjects.keys().next().copied().unwrap_or(Family::Ipv4);
                    let ids =
                        |places: &BTreeSet<usize>, builds: &[&'a Build]| -> Vec<&'a BuildId> {
                            let builds = places.iter().filter_map(|place| builds.get(*place));
                            builds.map(|build| &build.id).collect()
                        };
                    let pairs = (&*ids(&of_writers, writers), &*ids(&of_readers, readers));
                    let best = example::best(&self.cells, verdict(&kind), &subjects, pairs);
                    all.push(Group {
                        kind: kind.clone(),
                        pairings: of_writers.len() * of_readers.len(),
                        example: best.unwrap_or_else(|| {
                            Example::first(first, (&of_writers, writers), (&of_readers, readers))
                        }),
                        subjects: subjects.clone(),
                        writers: BuildSet::at(&of_writers, writers),
                        readers: BuildSet::at(&of_readers, readers),
                    });
                }
            }
        }
        all
    }
}

/// The distinct losses of `scenario`, the worst first.
pub fn losses(matrix: &Matrix, scenario: &str) -> Vec<Loss> {
    let (writers, readers) = (matrix.writers(), matrix.readers());
    let mut found = Found::new(&writers, &readers);
    for cell in matrix.cells.iter().filter(|cell| cell.scenario == scenario) {
        for (subject, kind) in of_cell(cell) {
            found.add(kind, cell, subject);
        }
    }
    let groups = found.groups(|kind| kind.verdict).into_iter();
    let known = |place: usize| matrix.known.get(place).map(KnownLoss::in_words);
    groups
        .map(|group| Loss {
            verdict: group.kind.verdict,
            what: group.kind.what,
            consequence: group.kind.consequence,
            certainty: group.kind.certainty,
            known: group.kind.known.and_then(known),
            subjects: group.subjects,
            writers: group.writers,
            readers: group.readers,
            pairings: group.pairings,
            example: group.example,
        })
        .collect()
}

/// The subjects that suffer in the same pairings, in the order of the first of them.
fn alike(suffering: Suffering) -> Vec<(Pairs, BTreeMap<Family, Vec<Subject>>)> {
    let mut groups: Vec<(Pairs, BTreeMap<Family, Vec<Subject>>)> = Vec::new();
    for ((family, subject), pairs) in suffering {
        let at = groups.iter().position(|(known, _)| *known == pairs);
        let at = at.unwrap_or_else(|| {
            groups.push((pairs, BTreeMap::new()));
            groups.len() - 1
        });
        groups[at].1.entry(family).or_default().push(subject);
    }
    groups
}

/// What comes to harm in one cell, and the worst of all operations about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worst {
    /// The rule or the chain.
    pub subject: Subject,
    /// The rule's place among the cell's rules; none where the chain itself suffers.
    pub rule: Option<usize>,
    /// The worst verdict about it.
    pub verdict: Verdict,
    /// What is lost, altered or added, or what was said.
    pub what: String,
    /// What that does to packets.
    pub consequence: Option<Consequence>,
    /// How sure that is.
    pub certainty: Certainty,
    /// The place among the matrix's known losses of the first that names it.
    pub known: Option<usize>,
}

/// All that comes to harm in a cell, with the worst of all operations.
pub fn worst(cell: &Cell) -> Vec<Worst> {
    let of_cell = of_cell(cell).into_iter();
    let harm = |(subject, kind): (Subject, Kind)| Worst {
        rule: subject.index.map(|_| subject.order),
        subject,
        verdict: kind.verdict,
        what: kind.what,
        consequence: kind.consequence,
        certainty: kind.certainty,
        known: kind.known,
    };
    of_cell.map(harm).collect()
}

/// The losses in one cell: who suffers, and what kind of loss it is.
pub(super) fn of_cell(cell: &Cell) -> Vec<(Subject, Kind)> {
    let shown = judge::shown(&cell.probes);
    let rules = cell.rules.iter().enumerate().filter_map(|(order, rule)| {
        let known = cell.known_of(&rule.table, &rule.chain, Some(rule.index));
        let kind = Kind {
            known,
            ..of_rule(rule, &shown)?
        };
        Some((Subject::of_rule(order, rule), kind))
    });
    let chains = cell.chains.iter().enumerate().filter_map(|(at, chain)| {
        let known = cell.known_of(&chain.table, &chain.chain, None);
        let kind = Kind {
            known,
            ..of_chain(chain)?
        };
        let order = cell.rules.len() + at;
        Some((Subject::chain(order, chain), kind))
    });
    rules.chain(chains).collect()
}

fn of_rule(rule: &RuleVerdict, shown: &BTreeSet<Consequence>) -> Option<Kind> {
    let worst = rule.of_reader().max_by_key(|verdict| verdict.severity())?;
    let is_doubled = rule.reassert == Some(Verdict::Doubled);
    let verdict = match worst.severity() > Verdict::Invisible.severity() {
        true => worst,
        false if is_doubled => Verdict::Doubled,
        false => return None,
    };
    let kind = Kind {
        mildness: u8::MAX - verdict.severity(),
        name: verdict.as_str(),
        verdict,
        what: what_of_rule(rule, verdict),
        consequence: rule.consequence.or(rule.potential),
        certainty: certainty(rule, shown),
        known: None,
    };
    Some(kind)
}

fn certainty(rule: &RuleVerdict, shown: &BTreeSet<Consequence>) -> Certainty {
    let is_changed = [
        rule.rewrite_verdict,
        rule.sync,
        rule.sync_noflush,
        rule.cycle,
    ]
    .iter()
    .any(|of| matches!(of, Some(Verdict::Changed | Verdict::Drifts)));
    match rule.consequence {
        Some(of) if shown.contains(&of) => Certainty::Shown,
        Some(_) => Certainty::Predicted,
        None if is_changed => Certainty::Unmet,
        None => Certainty::IfWrittenBack,
    }
}

fn what_of_rule(rule: &RuleVerdict, verdict: Verdict) -> String {
    match verdict {
        Verdict::NotFound => return "-C does not find it".to_owned(),
        Verdict::NotDeleted => return "-D does not delete it".to_owned(),
        Verdict::FoundWrong => {
            let part = rule
                .near_miss
                .as_deref()
                .and_then(|near| near.split_once(':'));
            let part = part.map_or("value", |(part, _)| part);
            return format!("-C finds it with another {part}, too");
        }
        Verdict::WrongRule => return "-D deletes another rule".to_owned(),
        Verdict::Incompatible => {
            let mut at_fault = rule.as_run.values().flat_map(|of| &of.because_of);
            let first = at_fault.next().map(ToString::to_string);
            let because = first.unwrap_or_else(|| "another rule".to_owned());
            return format!("the whole table, because of {because}");
        }
        Verdict::Doubled => return "written again under the other backend".to_owned(),
        _ => {}
    }
    let named = [
        ("lost", &rule.lost),
        ("altered", &rule.altered),
        ("added", &rule.added),
    ];
    let mut words = Vec::new();
    for (how, changes) in named {
        if !changes.is_empty() {
            let parts: Vec<&str> = changes.iter().map(|change| change.part.as_str()).collect();
            words.push(format!("{} {how}", parts.join(", ")));
        }
    }
    if words.is_empty() {
        let by = by_whom(
            verdict,
            [rule.rewrite_verdict, rule.sync, rule.sync_noflush],
        );
        let reason = rule.reason.as_deref();
        let reason = reason.map(|reason| format!(" ({})", core_message(reason)));
        return format!("the whole rule{by}{}", reason.unwrap_or_default());
    }
    words.join("; ")
}

/// Which of rewrite, sync and sync without a flush came to `verdict`, where it was not the first.
fn by_whom(verdict: Verdict, [rewrite, sync, noflush]: [Option<Verdict>; 3]) -> &'static str {
    match Some(verdict) {
        of if of == rewrite => "",
        of if of == sync => ", by a component that adds its own chain",
        of if of == noflush => ", by a component that restores its own chains with --noflush",
        _ => "",
    }
}

fn of_chain(chain: &ChainVerdict) -> Option<Kind> {
    let verdict = chain.of_reader().max_by_key(|verdict| verdict.severity())?;
    if verdict.severity() <= Verdict::Invisible.severity() {
        return None;
    }
    let by = by_whom(
        verdict,
        [chain.rewrite_verdict, chain.sync, chain.sync_noflush],
    );
    let kind = Kind {
        mildness: u8::MAX - verdict.severity(),
        name: verdict.as_str(),
        verdict,
        what: format!("{}{by}", chain.reason.as_deref().unwrap_or("the chain")),
        consequence: chain.consequence,
        certainty: Certainty::Predicted,
        known: None,
    };
    Some(kind)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_loads_makes_no_difference() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let mut recording = crate::recording::read(&file).unwrap().recording;
        let matrix = Matrix::of(&recording);
        recording.loads.reverse();
        assert!(recording.loads.len() > 1);
        assert!(Matrix::of(&recording) == matrix);
    }
}
