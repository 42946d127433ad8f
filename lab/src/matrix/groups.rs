//! The losses of all scenarios, grouped by what is lost, who encoded and who decoded; and which scenarios they are worst in.

mod gravest;
mod sighting;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

pub use gravest::Gravest;
use gravest::Gravity;
use sighting::{Ranks, Sighting, Spot};

use super::build_set::{BuildName, BuildSet, Pairs, place, rectangles};
use super::example::{PrintedBy, example_texts};
use super::harm::Side;
use super::letter::{How, Letter, Letters, LostPart, letters, of_whole_table, parts};
use super::{Matrix, NameKind};
use crate::catalog::{Build, BuildId, Family};
use crate::judge::{Cell, RuleVerdict, core_message};
use crate::plan::Operation;

/// Everything that is lost in a run, in few lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The losses, the worst first.
    pub groups: Vec<Group>,
    /// The scenarios in which anything is lost, the worst first.
    pub scenarios: Vec<WorstScenario>,
}

/// Parts of rules that are lost between the same builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub letter: Letter,
    /// The parts.
    pub parts: BTreeSet<LostPart>,
    /// Who encoded the rules: the writers, and readers that rewrote them.
    pub encoders: BuildSet,
    /// Who decodes them otherwise.
    pub decoders: BuildSet,
    /// Where among all that ran the encoders begin, and where the decoders end.
    pub edge: Edge,
    /// The worst that comes of it.
    pub worst: Gravest,
    /// In which scenarios.
    pub scenarios: BTreeSet<String>,
    /// How many rules, those of each family apart.
    pub rules: usize,
    /// A cell that shows it.
    pub cell: GroupCell,
    /// A rule of that cell, where any text shows it.
    pub example: Option<ExampleRule>,
    /// What a program said of the worst, where it is no part.
    pub reason: Option<String>,
}

/// Since which build on a loss is there, and since which it is not any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    /// The first that encodes so, where an older build ran that does not.
    pub first_encoder: Option<BuildName>,
    /// The first that decodes it right, where all newer ones do.
    pub mended_in: Option<BuildName>,
}

/// A rule before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleRule {
    /// The rule as it was.
    pub before: String,
    /// The rule as it is then.
    pub after: String,
    /// Whose texts they are.
    pub by: PrintedBy,
}

/// The cell of one pairing in one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCell {
    /// The scenario.
    pub scenario: String,
    /// The family.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub reader: BuildId,
}

/// What is lost in one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorstScenario {
    /// Its name.
    pub name: String,
    /// What is lost.
    pub letters: Letters,
    /// The worst that comes of it.
    pub worst: Gravest,
    /// How many pairings have silent damage.
    pub silent: usize,
    /// How many pairings ran.
    pub pairings: usize,
}

/// The losses of a run, grouped.
pub fn groups(matrix: &Matrix) -> Groups {
    let builds: Vec<&Build> = matrix.builds.iter().collect();
    let mut found = Found {
        builds: &builds,
        encoders: BTreeSet::new(),
        decoders: BTreeSet::new(),
        sightings: BTreeMap::new(),
        ranks: Ranks::new(),
        scenarios: BTreeMap::new(),
    };
    let scenarios = matrix.scenarios.iter().enumerate();
    let scenarios: BTreeMap<&str, usize> =
        scenarios.map(|(at, of)| (of.name.as_str(), at)).collect();
    for cell in &matrix.cells {
        if let Some(scenario) = scenarios.get(cell.scenario.as_str()) {
            found.cell(matrix, *scenario, cell);
        }
    }
    found.finish(matrix)
}

struct Found<'a> {
    builds: &'a [&'a Build],
    encoders: BTreeSet<usize>,
    decoders: BTreeSet<usize>,
    sightings: BTreeMap<LostPart, BTreeMap<(usize, usize), Sighting<'a>>>,
    /// How well the rules show the verdicts that were asked for already: rules of many cells are the same.
    ranks: Ranks,
    scenarios: BTreeMap<usize, WorstScenario>,
}

impl<'a> Found<'a> {
    fn cell(&mut self, matrix: &Matrix, scenario: usize, cell: &'a Cell) {
        let (writer, reader) = (
            place(self.builds, &cell.writer),
            place(self.builds, &cell.reader),
        );
        self.encoders.insert(writer);
        self.decoders.insert(reader);
        if cell
            .outcome
            .rules
            .iter()
            .any(|rule| rule.of(Operation::Recognition).is_some())
        {
            self.encoders.insert(reader);
            self.decoders.insert(writer);
        }
        for of in of_whole_table(cell, &matrix.operations) {
            let rule = of.rule.and_then(|at| cell.outcome.rules.get(at));
            for harm in &of.harms {
                let pair = match harm.encoder() {
                    Side::Writer => (writer, reader),
                    Side::Reader => (reader, writer),
                };
                let parts = parts(harm);
                let spot = Spot {
                    cell,
                    rule,
                    harm: Gravest::of(harm),
                    is_alone: parts.len() == 1,
                };
                self.scenario(scenario, spot, letters(harm));
                let at = of.rule.unwrap_or(cell.outcome.rules.len());
                for part in parts {
                    let seen = (scenario, cell.family, at);
                    self.add(part, pair, seen, spot);
                }
            }
        }
        if let Some(known) = self.scenarios.get_mut(&scenario) {
            known.silent += usize::from(cell.verdict.is_silent_damage());
        }
    }

    fn scenario(&mut self, scenario: usize, spot: Spot<'a>, letters: Letters) {
        let known = self
            .scenarios
            .entry(scenario)
            .or_insert_with(|| WorstScenario {
                name: spot.cell.scenario.clone(),
                letters: Letters::default(),
                worst: spot.harm,
                silent: 0,
                pairings: 0,
            });
        known.letters = known.letters.and(letters);
        if spot.harm.gravity() > known.worst.gravity() {
            known.worst = spot.harm;
        }
    }

    fn add(
        &mut self,
        part: LostPart,
        pair: (usize, usize),
        seen: (usize, Family, usize),
        spot: Spot<'a>,
    ) {
        let sightings = self.sightings.entry(part).or_default();
        let sighting = sightings.entry(pair);
        let sighting = sighting.or_insert_with(|| Sighting::of(spot));
        sighting.note(seen, spot, &mut self.ranks);
    }

    fn finish(mut self, matrix: &Matrix) -> Groups {
        for cell in &matrix.cells {
            let mut known = self.scenarios.values_mut();
            if let Some(known) = known.find(|of| of.name == cell.scenario) {
                known.pairings += 1;
            }
        }
        let mut scenarios: Vec<WorstScenario> = self.scenarios.values().cloned().collect();
        scenarios.sort_by_key(|of| Reverse((of.worst.gravity(), of.silent)));
        Groups {
            groups: self.groups(matrix),
            scenarios,
        }
    }

    fn groups(&self, matrix: &Matrix) -> Vec<Group> {
        type Key = (Letter, BTreeSet<usize>, BTreeSet<usize>);
        let mut merged: BTreeMap<Key, (BTreeSet<LostPart>, Sighting<'a>)> = BTreeMap::new();
        for (part, sightings) in &self.sightings {
            for (encoders, decoders) in fewest(sightings.keys()) {
                let of_both = sightings
                    .iter()
                    .filter(|((by, of), _)| encoders.contains(by) && decoders.contains(of));
                let mut all: Option<Sighting<'a>> = None;
                for (_, sighting) in of_both {
                    match &mut all {
                        Some(all) => all.add(sighting),
                        None => all = Some(sighting.clone()),
                    }
                }
                let Some(all) = all else { continue };
                let key = (part.letter, encoders.clone(), decoders.clone());
                match merged.get_mut(&key) {
                    Some((parts, known)) => {
                        parts.insert(part.clone());
                        known.add(&all);
                    }
                    None => {
                        merged.insert(key, (BTreeSet::from([part.clone()]), all));
                    }
                }
            }
        }
        let groups = merged
            .into_iter()
            .map(|((letter, encoders, decoders), (parts, seen))| {
                let edge = self.edge(&parts, &encoders, &decoders);
                let shown = seen.best.map_or(seen.worst, |(_, spot)| spot);
                let group = Group {
                    letter,
                    edge,
                    encoders: self.set(&encoders, &self.encoders),
                    decoders: self.set(&decoders, &self.decoders),
                    worst: seen.worst.harm,
                    scenarios: seen
                        .scenarios
                        .iter()
                        .filter_map(|at| Some(matrix.scenarios.get(*at)?.name.clone()))
                        .collect(),
                    rules: seen.rules.len(),
                    cell: GroupCell {
                        scenario: shown.cell.scenario.clone(),
                        family: shown.cell.family,
                        writer: shown.cell.writer.clone(),
                        reader: shown.cell.reader.clone(),
                    },
                    example: seen.best.and_then(|(_, spot)| example(spot)),
                    reason: reason(seen.worst, &parts),
                    parts,
                };
                (seen.worst.harm.gravity(), group)
            });
        let mut groups: Vec<(Gravity, Group)> = groups.collect();
        groups.sort_by_key(|(gravity, group)| {
            Reverse((*gravity, group.scenarios.len(), group.rules))
        });
        groups.into_iter().map(|(_, group)| group).collect()
    }

    fn set(&self, chosen: &BTreeSet<usize>, ran: &BTreeSet<usize>) -> BuildSet {
        let ids: BTreeSet<&BuildId> = chosen.iter().map(|at| &self.builds[*at].id).collect();
        let ran = ran.iter().map(|at| self.builds[*at].into());
        BuildSet::of(ran, |id| ids.contains(id))
    }

    /// Where encoders begin and decoders end, where these are of one tool and backend each.
    fn edge(
        &self,
        parts: &BTreeSet<LostPart>,
        encoders: &BTreeSet<usize>,
        decoders: &BTreeSet<usize>,
    ) -> Edge {
        let first_encoder = self.one_kind(encoders, &self.encoders).and_then(|ran| {
            let first = ran.iter().position(|at| encoders.contains(at))?;
            (first > 0).then(|| self.name(ran[first], &self.encoders))?
        });
        // A newer one that decodes some of these parts wrongly is in another group.
        let sightings = parts.iter().filter_map(|part| self.sightings.get(part));
        let failing: BTreeSet<usize> = sightings
            .flat_map(BTreeMap::keys)
            .filter(|(by, _)| encoders.contains(by))
            .map(|(_, of)| *of)
            .collect();
        let mended_in = self.one_kind(decoders, &self.decoders).and_then(|ran| {
            let last = ran.iter().rposition(|at| failing.contains(at))?;
            let is_ours = ran.get(last).is_some_and(|at| decoders.contains(at));
            let next = *ran.get(last + 1).filter(|_| is_ours)?;
            self.name(next, &self.decoders)
        });
        Edge {
            first_encoder,
            mended_in,
        }
    }

    /// Those of `ran` that are of the tool and backend that all of `chosen` have, the oldest first.
    fn one_kind(&self, chosen: &BTreeSet<usize>, ran: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let kind = |at: &usize| (self.builds[*at].tool, self.builds[*at].backend);
        let first = kind(chosen.first()?);
        let mut of_kind: Vec<usize> = ran.iter().copied().filter(|at| kind(at) == first).collect();
        of_kind.sort_by_key(|at| &self.builds[*at].version);
        chosen.iter().all(|at| kind(at) == first).then_some(of_kind)
    }

    /// What a build is called; none where that says nothing of its release.
    fn name(&self, at: usize, ran: &BTreeSet<usize>) -> Option<BuildName> {
        let alone = self.set(&BTreeSet::from([at]), ran);
        let name = alone.spans().first()?.names.first()?.clone();
        (name.kind == NameKind::Released).then_some(name)
    }
}

/// What was said of a rule that goes wrong as a whole.
fn reason(worst: Spot<'_>, parts: &BTreeSet<LostPart>) -> Option<String> {
    let is_whole = parts.iter().any(|part| matches!(part.how, How::Whole(_)));
    let said = worst.rule.and_then(RuleVerdict::reason);
    is_whole.then_some(())?;
    Some(core_message(&said?.to_string()).to_owned())
}

fn example(spot: Spot<'_>) -> Option<ExampleRule> {
    let texts = example_texts(spot.rule?, spot.harm.verdict)?;
    Some(ExampleRule {
        before: texts.before.to_owned(),
        after: texts.after.to_owned(),
        by: texts.by,
    })
}

/// The pairs as sets of encoders and of decoders: by encoders that share their decoders or the other way round, whichever are fewer.
fn fewest<'p>(
    pairs: impl Iterator<Item = &'p (usize, usize)>,
) -> Vec<(BTreeSet<usize>, BTreeSet<usize>)> {
    let (mut forth, mut back) = (Pairs::new(), Pairs::new());
    for (encoder, decoder) in pairs {
        forth.entry(*encoder).or_default().insert(*decoder);
        back.entry(*decoder).or_default().insert(*encoder);
    }
    let (forth, back) = (rectangles(&forth), rectangles(&back));
    match forth.len() < back.len() {
        true => forth,
        false => back.into_iter().map(|(of, by)| (by, of)).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::judge::verdict::Consequence;

    fn matrix(name: &str) -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join(name);
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    fn marks(matrix: &Matrix) -> Vec<Group> {
        let all = groups(matrix).groups.into_iter();
        all.filter(|of| of.letter == Letter::Mark).collect()
    }

    fn ids(set: &BuildSet) -> Vec<String> {
        set.ids().map(ToString::to_string).collect()
    }

    /// What 1.8.9 writes and 1.8.7 loses, 1.8.7 misreads after a rewrite by 1.8.9: it is the same loss, seen from the other side.
    #[test]
    fn a_misread_by_the_writer_is_the_readers_loss_seen_from_the_other_side() {
        let (newer, older) = ("debian-1.8.9-2-nft", "debian-1.8.7-1-nft");
        let forth = matrix("kube-firewall-by-1.8.9.jsonl");
        let mut back = matrix("kube-firewall-by-debian-1.8.7.jsonl");
        back.cells.retain(|cell| cell.writer.as_str() == older);
        assert!(
            back.cells
                .iter()
                .all(|cell| !cell.verdict.is_silent_damage())
        );
        let [of_forth, of_back] = [&forth, &back].map(marks);
        assert_eq!((of_forth.len(), of_back.len()), (1, 1));
        assert!(ids(&of_forth[0].decoders).contains(&older.to_owned()));
        assert_eq!(ids(&of_back[0].decoders), [older]);
        assert!(ids(&of_back[0].encoders).contains(&newer.to_owned()));
        // Both together are one.
        let mut both = forth.clone();
        let has = |id: &BuildId, of: &Matrix| of.builds.iter().any(|build| &build.id == id);
        let new: Vec<Build> = back
            .builds
            .iter()
            .filter(|of| !has(&of.id, &forth))
            .cloned()
            .collect();
        both.builds.extend(new);
        both.cells.extend(back.cells.clone());
        let of_both = marks(&both);
        assert_eq!(of_both.len(), 1, "{of_both:#?}");
        assert_eq!(of_both[0].worst, of_forth[0].worst);
    }

    #[test]
    fn the_example_shows_the_loss_alone() {
        let group = marks(&matrix("kube-firewall-by-1.8.9.jsonl")).remove(0);
        let example = group.example.unwrap();
        assert!(example.before.contains("-m mark"), "{example:?}");
        assert_eq!(
            example.before.replace("-m mark --mark 0x8000/0x8000 ", ""),
            example.after
        );
        assert_eq!(group.worst.consequence, Some(Consequence::Blackhole));
    }

    #[test]
    fn pairs_make_as_few_groups_as_they_can() {
        // Decoder 0 loses what 1, 2 and 3 encode, decoder 2 what 2 and 3 do.
        let pairs = [(1, 0), (2, 0), (3, 0), (2, 2), (3, 2)];
        let groups = fewest(pairs.iter());
        let set = |of: &[usize]| of.iter().copied().collect::<BTreeSet<usize>>();
        assert_eq!(
            groups,
            [(set(&[1, 2, 3]), set(&[0])), (set(&[2, 3]), set(&[2]))]
        );
    }
}
