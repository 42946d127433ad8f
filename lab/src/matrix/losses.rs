//! The distinct losses of a scenario: which rules lose which parts, between which builds, with which consequence.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::build_set::{BuildSet, Pairs, place, rectangles};
use super::example::{self, Cells, Example};
use super::form::Form;
use super::harm::{Certainty, Harm, certainty_of};
use super::subject::{Subject, SubjectKind};
use crate::catalog::{Build, BuildId, Family};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, ChainVerdict, Reason, RuleVerdict, core_message};
use crate::plan::Operation;
use crate::tool::Change;

/// One way in which rules of a scenario come to harm, the same for all its rules and pairings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is done, to rules or to chains.
    pub form: Form,
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
    /// The place among the matrix's known losses of the first that names it.
    pub known: Option<usize>,
}

/// What a loss is, and whether it is known; the worst first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    mildness: u8,
    name: &'static str,
    pub(super) form: Form,
    /// The place of the entry of known losses that names it.
    pub(super) known: Option<usize>,
}

impl Kind {
    fn new(form: Form, known: Option<usize>) -> Self {
        let verdict = form.harm.verdict;
        Kind {
            mildness: u8::MAX - verdict.severity(),
            name: verdict.as_str(),
            form,
            known,
        }
    }

    /// The worst verdict.
    pub(super) fn verdict(&self) -> Verdict {
        self.form.harm.verdict
    }
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
    let groups = found.groups(Kind::verdict).into_iter();
    groups
        .map(|group| Loss {
            form: group.kind.form,
            known: group.kind.known,
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

/// What comes to harm in one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worst {
    /// The rule or the chain.
    pub subject: Subject,
    /// The rule's place among the cell's rules; none where the chain itself suffers.
    pub rule: Option<usize>,
    /// The worst of all operations about it.
    pub form: Form,
    /// The place among the matrix's known losses of the first that names it.
    pub known: Option<usize>,
}

/// All that comes to harm in a cell, with the worst of all operations.
pub fn worst(cell: &Cell) -> Vec<Worst> {
    let of_cell = of_cell(cell).into_iter();
    let worst = |(subject, kind): (Subject, Kind)| Worst {
        rule: subject.rule(),
        subject,
        form: kind.form,
        known: kind.known,
    };
    of_cell.map(worst).collect()
}

/// The losses in one cell: who suffers, and what kind of loss it is.
pub(super) fn of_cell(cell: &Cell) -> Vec<(Subject, Kind)> {
    let rules = cell
        .outcome
        .rules
        .iter()
        .enumerate()
        .filter_map(|(order, rule)| {
            let form = Form {
                of: SubjectKind::Rule,
                harm: of_rule(rule)?,
            };
            let known = cell.known_of(&rule.table, &rule.chain, Some(rule.index));
            Some((Subject::of_rule(order, rule), Kind::new(form, known)))
        });
    let chains = cell
        .outcome
        .chains
        .iter()
        .enumerate()
        .filter_map(|(at, chain)| {
            let form = Form {
                of: SubjectKind::Chain,
                harm: of_chain(chain)?,
            };
            let known = cell.known_of(&chain.table, &chain.chain, None);
            let order = cell.outcome.rules.len() + at;
            Some((Subject::chain(order, chain), Kind::new(form, known)))
        });
    rules.chain(chains).collect()
}

/// The worst of all operations about a rule, with what is known of the rule from any of them.
fn of_rule(rule: &RuleVerdict) -> Option<Harm> {
    let worst = rule.of_reader().max_by_key(|verdict| verdict.severity())?;
    let is_doubled = rule.of(Operation::Reassert) == Some(Verdict::Doubled);
    let verdict = match worst.severity() > Verdict::Invisible.severity() {
        true => worst,
        false if is_doubled => Verdict::Doubled,
        false => return None,
    };
    // What -C and -D come to is told without the parts that some print lacks.
    let is_of_parts = !matches!(
        verdict,
        Verdict::NotFound
            | Verdict::NotDeleted
            | Verdict::FoundWrong
            | Verdict::WrongRule
            | Verdict::Doubled
    );
    let names = |changes: &[Change]| match is_of_parts {
        true => changes.iter().map(|change| change.part.clone()).collect(),
        false => Vec::new(),
    };
    let harm = Harm {
        operation: first_of(verdict, rule.by_operation()),
        verdict,
        lost: names(&rule.lost),
        altered: names(&rule.altered),
        added: names(&rule.added),
        reason: None,
        consequence: rule.does(),
        certainty: certainty(rule),
    };
    let near_miss = || Some(rule.near_miss.as_deref()?.split_once(':')?.0);
    let reason = match verdict {
        Verdict::FoundWrong => near_miss().map(str::to_owned),
        _ if !is_of_parts || harm.takes_parts() => None,
        _ => rule
            .reason()
            .map(|of| core_message(&of.to_string()).to_owned()),
    };
    Some(Harm { reason, ..harm })
}

/// The first operation that came to `verdict`: a restore of the reader's own print before others.
fn first_of(verdict: Verdict, all: impl Iterator<Item = (Operation, Verdict)>) -> Operation {
    let came = all.filter(|(_, of)| *of == verdict);
    let first = came.map(|(operation, _)| operation);
    let rank = |operation: &Operation| match operation {
        Operation::Rewrite => 0,
        Operation::Sync => 1,
        Operation::SyncNoflush => 2,
        _ => 3,
    };
    first.min_by_key(rank).unwrap_or(Operation::Rewrite)
}

fn certainty(rule: &RuleVerdict) -> Certainty {
    match rule.consequence {
        Some(_) => certainty_of(rule.consequence),
        None if rule.is_changed() => Certainty::Unmet,
        None => Certainty::IfWrittenBack,
    }
}

fn of_chain(chain: &ChainVerdict) -> Option<Harm> {
    let verdict = chain.of_reader().max_by_key(|verdict| verdict.severity())?;
    if verdict.severity() <= Verdict::Invisible.severity() {
        return None;
    }
    Some(Harm {
        operation: first_of(verdict, chain.by_operation()),
        verdict,
        lost: Vec::new(),
        altered: Vec::new(),
        added: Vec::new(),
        reason: chain.reason().map(Reason::to_string),
        consequence: chain.does(),
        certainty: certainty_of(chain.consequence),
    })
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
