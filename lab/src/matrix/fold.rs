//! The matrix of all scenarios folded into one: builds that behave alike are one row and one column, and a cell says by letters
//! what is lost.
//!
//! A row is who encoded the rules: the writer, and after a rewrite the reader. A column is who decodes them. Scenarios with rules of
//! several programs are not in it.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::build_set::{BuildSet, place};
use super::letter::{Letters, letters, of_whole_table};
use super::side::Side;
use crate::catalog::{Backend, Build, Family};
use crate::judge::Cell;
use crate::plan::Operation;

/// All scenarios between the builds of two backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The backend of those who encoded the rules.
    pub encoders: Backend,
    /// The backend of those who decode them.
    pub decoders: Backend,
    /// Who encoded, a class of builds that behave alike each.
    pub rows: Vec<BuildSet>,
    /// Who decodes.
    pub columns: Vec<BuildSet>,
    /// What is lost, by row and column; the families first that all share, then what one family has otherwise.
    pub layers: Vec<Layer>,
}

/// What is lost in some families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The families.
    pub families: Vec<Family>,
    /// The rows by their places, and for each column what is lost; none where nothing ran.
    pub rows: BTreeMap<usize, Vec<Option<Letters>>>,
}

impl Folded {
    /// All that is lost anywhere.
    pub fn letters(&self) -> Letters {
        let rows = self.layers.iter().flat_map(|layer| layer.rows.values());
        let all = rows.flatten().flatten();
        all.fold(Letters::default(), |all, of| all.and(*of))
    }

    /// Whether anything is lost.
    pub fn is_harmed(&self) -> bool {
        !self.letters().is_empty()
    }
}

/// A scenario in a family, by places.
type Case = (usize, Family);

/// What each rule of a case lost, where it was tested.
type Outcome = Vec<Option<Letters>>;

/// What was seen: by who encoded and who decoded, case by case.
type Seen = BTreeMap<(usize, usize), BTreeMap<(Case, Side), Outcome>>;

/// The folded matrices, one for each two backends.
pub fn folded(matrix: &Matrix) -> Vec<Folded> {
    let builds: Vec<&Build> = matrix.builds.iter().collect();
    let seen = seen(matrix, &builds);
    let classes = classes(&builds, &seen);
    let backends = [Backend::Nft, Backend::Legacy];
    let pairs = backends
        .iter()
        .flat_map(|of| backends.iter().map(move |by| (*of, *by)));
    let all = pairs.map(|(encoders, decoders)| {
        let ran = |by: &usize, of: &usize| {
            (builds[*by].backend, builds[*of].backend) == (encoders, decoders)
        };
        let of_row = |class: &&BTreeSet<usize>| {
            let mut pairs = seen.keys();
            pairs.any(|(by, of)| class.contains(by) && ran(by, of))
        };
        let of_column = |class: &&BTreeSet<usize>| {
            let mut pairs = seen.keys();
            pairs.any(|(by, of)| class.contains(of) && ran(by, of))
        };
        let rows: Vec<&BTreeSet<usize>> = classes.iter().filter(of_row).collect();
        let columns: Vec<&BTreeSet<usize>> = classes.iter().filter(of_column).collect();
        let encoded: BTreeSet<usize> = seen.keys().map(|(by, _)| *by).collect();
        let decoded: BTreeSet<usize> = seen.keys().map(|(_, by)| *by).collect();
        let sets = |of: &[&BTreeSet<usize>], ran: &BTreeSet<usize>| {
            let ran: Vec<&Build> = ran.iter().map(|place| builds[*place]).collect();
            let set = |class: &&BTreeSet<usize>| {
                let ids: Vec<_> = class.iter().map(|place| &builds[*place].id).collect();
                BuildSet::of(ran.iter().map(|of| (*of).into()), |id| ids.contains(&id))
            };
            of.iter().map(set).collect::<Vec<BuildSet>>()
        };
        Folded {
            encoders,
            decoders,
            rows: sets(&rows, &encoded),
            columns: sets(&columns, &decoded),
            layers: layers(&seen, &rows, &columns),
        }
    });
    all.filter(|of| !of.rows.is_empty() && !of.columns.is_empty())
        .collect()
}

/// What is lost in every family, and what is lost otherwise in one.
fn layers(seen: &Seen, rows: &[&BTreeSet<usize>], columns: &[&BTreeSet<usize>]) -> Vec<Layer> {
    let of_pairs = |row: &BTreeSet<usize>, column: &BTreeSet<usize>| {
        let pairs = row
            .iter()
            .flat_map(|by| column.iter().map(move |of| (*by, *of)));
        let known = pairs.filter_map(|pair| seen.get(&pair)).flatten();
        let mut by_case: BTreeMap<Case, Letters> = BTreeMap::new();
        for ((case, _), outcome) in known {
            let of_case = by_case.entry(*case).or_default();
            *of_case = outcome
                .iter()
                .flatten()
                .fold(*of_case, |all, of| all.and(*of));
        }
        by_case
    };
    let all = |cases: &BTreeMap<Case, Letters>, family: Option<Family>| {
        let cases = cases
            .iter()
            .filter(|((_, of), _)| family.is_none_or(|family| *of == family));
        cases.fold(None, |all: Option<Letters>, (_, of)| {
            Some(all.unwrap_or_default().and(*of))
        })
    };
    let mut base = BTreeMap::new();
    let mut other = BTreeMap::new();
    let mut families = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        let cells: Vec<BTreeMap<Case, Letters>> =
            columns.iter().map(|column| of_pairs(row, column)).collect();
        families.extend(cells.iter().flat_map(|of| of.keys().map(|(_, of)| *of)));
        if cells.iter().any(differs_by_family) {
            let of = |family| cells.iter().map(|of| all(of, Some(family))).collect();
            base.insert(at, of(Family::Ipv4));
            other.insert(at, of(Family::Ipv6));
        } else {
            base.insert(at, cells.iter().map(|of| all(of, None)).collect());
        }
    }
    let first = Layer {
        families: match other.is_empty() {
            true => families.into_iter().collect(),
            false => vec![Family::Ipv4],
        },
        rows: base,
    };
    let second = Layer {
        families: vec![Family::Ipv6],
        rows: other,
    };
    match second.rows.is_empty() {
        true => vec![first],
        false => vec![first, second],
    }
}

/// Whether the scenarios that have rules of both families lose something else in one than in the other.
fn differs_by_family(cases: &BTreeMap<Case, Letters>) -> bool {
    let mut lost = BTreeMap::from([
        (Family::Ipv4, Letters::default()),
        (Family::Ipv6, Letters::default()),
    ]);
    for ((scenario, family), letters) in cases {
        let other = match family {
            Family::Ipv4 => Family::Ipv6,
            Family::Ipv6 => Family::Ipv4,
        };
        if cases.contains_key(&(*scenario, other)) {
            let of = lost.entry(*family).or_default();
            *of = of.and(letters.predicted());
        }
    }
    lost.get(&Family::Ipv4) != lost.get(&Family::Ipv6)
}

fn seen(matrix: &Matrix, builds: &[&Build]) -> Seen {
    let scenarios = matrix.scenarios.iter().enumerate();
    let scenarios: BTreeMap<&str, usize> =
        scenarios.map(|(at, of)| (of.name.as_str(), at)).collect();
    let mut seen = Seen::new();
    // What befalls rules of several programs in one table says nothing of two of them.
    let of_two = |cell: &&Cell| cell.bystanders.is_empty();
    for cell in matrix.cells.iter().filter(of_two) {
        let Some(scenario) = scenarios.get(cell.scenario.as_str()) else {
            continue;
        };
        let case = (*scenario, cell.family);
        let (writer, reader) = (place(builds, &cell.writer), place(builds, &cell.reader));
        let [forth, back] = outcomes(matrix, cell);
        let pair = seen.entry((writer, reader)).or_default();
        pair.insert((case, Side::Writer), forth);
        if back.iter().any(Option::is_some) {
            let pair = seen.entry((reader, writer)).or_default();
            pair.insert((case, Side::Reader), back);
        }
    }
    seen
}

/// What each rule of a cell lost as the reader decoded it, and as the writer decoded what the reader encoded.
fn outcomes(matrix: &Matrix, cell: &Cell) -> [Outcome; 2] {
    let rules = cell.outcome.rules.iter();
    let tested = |of: bool| of.then(Letters::default);
    let mut forth: Outcome = rules
        .clone()
        .map(|rule| tested(rule.not_tested().is_none()))
        .collect();
    let mut back: Outcome = rules
        .map(|rule| tested(rule.of(Operation::Recognition).is_some()))
        .collect();
    // A chain is one more place behind the rules.
    forth.push(tested(true));
    for of in of_whole_table(cell, &matrix.operations) {
        let at = of.rule.unwrap_or(cell.outcome.rules.len());
        for harm in &of.harms {
            let rule = of.rule.and_then(|at| cell.outcome.rules.get(at));
            let outcome = match harm.encoder_in(cell, rule) {
                Side::Writer => &mut forth,
                Side::Reader => &mut back,
            };
            if let Some(known) = outcome.get_mut(at) {
                *known = Some(known.unwrap_or_default().and(letters(harm)));
            }
        }
    }
    [forth, back]
}

/// Builds of one tool and backend that behave alike in everything that ran, the oldest first.
fn classes(builds: &[&Build], seen: &Seen) -> Vec<BTreeSet<usize>> {
    let took_part: BTreeSet<usize> = seen.keys().flat_map(|(by, of)| [*by, *of]).collect();
    let kind = |place: usize| (builds[place].tool, builds[place].backend);
    let mut order: Vec<usize> = took_part.iter().copied().collect();
    order.sort_by_key(|place| {
        let build = builds[*place];
        (build.tool, build.backend, &build.version)
    });
    let mut classes: Vec<BTreeSet<usize>> = Vec::new();
    for place in order {
        let is_like = |class: &BTreeSet<usize>| {
            let mut members = class.iter();
            members.all(|of| kind(*of) == kind(place) && are_alike(*of, place, seen, &took_part))
        };
        match classes.iter_mut().find(|class| is_like(class)) {
            Some(class) => {
                class.insert(place);
            }
            None => classes.push(BTreeSet::from([place])),
        }
    }
    classes
}

/// Whether two builds do the same with every other, as who encoded and as who decodes, wherever both were tested. Of two that were
/// tested nowhere together nothing is known.
fn are_alike(one: usize, other: usize, seen: &Seen, all: &BTreeSet<usize>) -> bool {
    let mut is_compared = false;
    let mut same = |one: (usize, usize), other: (usize, usize)| {
        let (Some(one), Some(other)) = (seen.get(&one), seen.get(&other)) else {
            return true;
        };
        one.iter().all(|(case, of_one)| match other.get(case) {
            Some(of_other) => {
                is_compared = true;
                agree(of_one, of_other)
            }
            None => true,
        })
    };
    let mut partners = all.iter();
    let agree = partners.all(|of| same((one, *of), (other, *of)) && same((*of, one), (*of, other)));
    agree && is_compared
}

fn agree(one: &Outcome, other: &Outcome) -> bool {
    let mut rules = one.iter().zip(other);
    rules.all(|(one, other)| match (one, other) {
        (Some(one), Some(other)) => one.predicted() == other.predicted(),
        _ => true,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::harm::Certainty;
    use super::super::letter::Letter;
    use super::*;
    use crate::catalog::{BuildId, Digest, Origin, Tool, Version};

    fn build(version: &str) -> Build {
        let digest: Digest = "0".repeat(64).parse().unwrap();
        Build {
            id: BuildId::new(version, Backend::Nft),
            version: Version::new(version),
            tool: Tool::Iptables,
            backend: Backend::Nft,
            origin: Origin::Upstream,
            variant: None,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        }
    }

    fn mark() -> Letters {
        Letters::of(Letter::Mark, Certainty::Shown)
    }

    /// One rule in one scenario, which the second half of the builds encode so that the first half lose it.
    fn seen(count: usize) -> Seen {
        let mut seen = Seen::new();
        for encoder in 0..count {
            for decoder in 0..count {
                let is_lost = encoder >= count / 2 && decoder < count / 2;
                let outcome = if is_lost { mark() } else { Letters::default() };
                let case = ((0, Family::Ipv4), Side::Writer);
                let cases = BTreeMap::from([(case, vec![Some(outcome)])]);
                seen.insert((encoder, decoder), cases);
            }
        }
        seen
    }

    #[test]
    fn builds_that_behave_alike_are_one_class() {
        let builds = ["1.8.6", "1.8.7", "1.8.8", "1.8.9"].map(build);
        let builds: Vec<&Build> = builds.iter().collect();
        let mut seen = seen(4);
        let expected = [BTreeSet::from([0, 1]), BTreeSet::from([2, 3])];
        assert_eq!(classes(&builds, &seen), expected);
        // A rule that could not be tested makes no difference; one that is kept does.
        let case = ((0, Family::Ipv4), Side::Writer);
        seen.get_mut(&(3, 0)).unwrap().insert(case, vec![None]);
        assert_eq!(classes(&builds, &seen), expected);
        let kept = vec![Some(Letters::default())];
        seen.get_mut(&(3, 0)).unwrap().insert(case, kept);
        assert_eq!(classes(&builds, &seen).len(), 4);
    }

    #[test]
    fn families_are_apart_only_where_they_differ() {
        let classes = [BTreeSet::from([0]), BTreeSet::from([1])];
        let classes: Vec<&BTreeSet<usize>> = classes.iter().collect();
        let mut seen = seen(2);
        let of_ipv6 = |lost: Letters| (((0, Family::Ipv6), Side::Writer), vec![Some(lost)]);
        // Another scenario without rules of IPv6 is no difference.
        seen.get_mut(&(0, 1))
            .unwrap()
            .insert(((1, Family::Ipv4), Side::Writer), vec![Some(mark())]);
        // What packets of one family did not confirm is none either.
        let (case, outcome) = of_ipv6(mark().predicted());
        seen.get_mut(&(1, 0)).unwrap().insert(case, outcome);
        let alike = layers(&seen, &classes, &classes);
        assert_eq!(alike.len(), 1);
        assert_eq!(alike[0].families, [Family::Ipv4, Family::Ipv6]);
        let (case, outcome) = of_ipv6(Letters::default());
        seen.get_mut(&(1, 0)).unwrap().insert(case, outcome);
        let apart = layers(&seen, &classes, &classes);
        assert_eq!(apart.len(), 2);
        assert_eq!(apart[1].families, [Family::Ipv6]);
        assert_eq!(apart[1].rows.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(apart[0].rows[&1][0], Some(mark()));
        assert_eq!(apart[1].rows[&1][0], Some(Letters::default()));
    }
}
