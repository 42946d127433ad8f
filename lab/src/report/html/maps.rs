//! The heat maps: writers down, readers across, and what each operation came to in each cell.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::terminal::sign;
use super::super::tone::Tone;
use super::super::wording;
use crate::catalog::{Build, Family};
use crate::judge::verdict::{Effect, Verdict};
use crate::judge::{Cell, ChainVerdict};
use crate::matrix::{Absence, Matrix, ScenarioHead};

/// What each operation comes to at worst in a cell; the whole cell under `all`.
pub type Profile = BTreeMap<&'static str, &'static str>;

/// For each family of a map, for each row, for each column the place of its profile.
pub type Places = BTreeMap<&'static str, Vec<Vec<Option<usize>>>>;

/// What stands for a packet that fares otherwise, beside the verdicts.
const OTHERWISE: (&str, char, Tone, &str) = (
    "packets fare otherwise",
    '*',
    Tone::Silent,
    "some packet of the scenario fares otherwise afterwards",
);

/// What stands for packets that fare as before.
const AS_BEFORE: (&str, char, Tone, &str) = (
    "packets as before",
    '.',
    Tone::Fine,
    "every packet of the scenario fares as before",
);

/// A heat map, of one family or of several that look alike.
#[derive(Serialize)]
pub struct MapView {
    families: String,
    columns: Vec<Header>,
    rows: Vec<Row>,
}

#[derive(Clone, Serialize, PartialEq)]
struct Header {
    id: String,
    /// Whether another backend begins here.
    begins: bool,
}

#[derive(Serialize)]
struct Row {
    header: Header,
    cells: Vec<Square>,
}

/// A cell, or where there is none, only a class. Whose cell it is say the headers of its row and column.
#[derive(Serialize)]
#[serde(untagged)]
enum Square {
    Cell { tone: &'static str, sign: char },
    None { class: &'static str },
}

/// The class of a square that has no cell; the style sheet has its sign.
pub fn class(absence: Absence) -> &'static str {
    match absence {
        Absence::NotRun => "due",
        Absence::NotOfScenario => "no",
    }
}

/// What a heat map looks like.
#[derive(PartialEq)]
struct Grid {
    writers: Vec<Build>,
    readers: Vec<Build>,
    verdicts: Vec<Vec<Result<Verdict, Absence>>>,
}

/// All maps of a page, and the profiles of their cells.
#[derive(Default)]
pub struct Maps {
    profiles: Vec<Profile>,
    places: Vec<Places>,
}

impl Maps {
    /// The heat maps of a scenario: one for each family, one for those that look alike.
    pub fn of_scenario(&mut self, matrix: &Matrix, scenario: &ScenarioHead) -> Vec<MapView> {
        let mut groups: Vec<(Grid, Vec<Family>, Places)> = Vec::new();
        for family in matrix.families(&scenario.name) {
            let (grid, places) = self.grid(matrix, scenario, family);
            match groups.iter_mut().find(|(known, ..)| *known == grid) {
                Some((_, families, known)) => {
                    families.push(family);
                    known.insert(family.as_str(), places);
                }
                None => {
                    let places = BTreeMap::from([(family.as_str(), places)]);
                    groups.push((grid, vec![family], places));
                }
            }
        }
        let mut views = Vec::new();
        for (grid, families, places) in groups {
            views.push(grid.view(&families));
            self.places.push(places);
        }
        views
    }

    /// The profiles, and for each map in order the places of its cells' profiles.
    pub fn finish(self) -> (Vec<Profile>, Vec<Places>) {
        (self.profiles, self.places)
    }

    fn grid(
        &mut self,
        matrix: &Matrix,
        scenario: &ScenarioHead,
        family: Family,
    ) -> (Grid, Vec<Vec<Option<usize>>>) {
        let known = matrix.by_pairing(&scenario.name, family);
        let owned = |builds: Vec<&Build>| builds.into_iter().cloned().collect::<Vec<Build>>();
        let writers = owned(matrix.writers_of(scenario, family));
        let readers = owned(matrix.readers_of(scenario, family));
        let mut verdicts = Vec::new();
        let mut places = Vec::new();
        for writer in &writers {
            let mut row = Vec::new();
            let mut of_row = Vec::new();
            for reader in &readers {
                let cell = known.get(&(&writer.id, &reader.id));
                of_row.push(cell.map(|cell| self.profile(cell)));
                row.push(match cell {
                    Some(cell) => Ok(cell.verdict),
                    None => Err(matrix.absence(scenario, writer, reader)),
                });
            }
            verdicts.push(row);
            places.push(of_row);
        }
        let grid = Grid {
            writers,
            readers,
            verdicts,
        };
        (grid, places)
    }

    fn profile(&mut self, cell: &Cell) -> usize {
        let profile = profile(cell);
        let known = self.profiles.iter().position(|known| *known == profile);
        known.unwrap_or_else(|| {
            self.profiles.push(profile);
            self.profiles.len() - 1
        })
    }
}

impl Grid {
    fn view(&self, families: &[Family]) -> MapView {
        let rows = headers(&self.writers).into_iter().zip(&self.verdicts);
        let rows = rows.map(|(header, verdicts)| {
            let square = |verdict: &Result<Verdict, Absence>| match *verdict {
                Ok(verdict) => Square::Cell {
                    tone: Tone::of(verdict).as_str(),
                    sign: sign(verdict),
                },
                Err(absence) => Square::None {
                    class: class(absence),
                },
            };
            Row {
                header,
                cells: verdicts.iter().map(square).collect(),
            }
        });
        let names: Vec<&str> = families.iter().map(|family| family.as_str()).collect();
        MapView {
            families: names.join(" and "),
            columns: headers(&self.readers),
            rows: rows.collect(),
        }
    }
}

fn headers(builds: &[Build]) -> Vec<Header> {
    let before = std::iter::once(None).chain(builds.iter().map(Some));
    let headers = builds.iter().zip(before).map(|(build, before)| Header {
        id: build.id.to_string(),
        begins: before
            .is_some_and(|before| (before.tool, before.backend) != (build.tool, build.backend)),
    });
    headers.collect()
}

fn profile(cell: &Cell) -> Profile {
    let mut worst: BTreeMap<&'static str, Verdict> = BTreeMap::new();
    let of_rules = cell
        .outcome
        .rules
        .iter()
        .flat_map(|rule| rule.operations.verdicts());
    let of_chains = cell
        .outcome
        .chains
        .iter()
        .flat_map(ChainVerdict::by_operation);
    for (operation, verdict) in of_rules.chain(of_chains) {
        let worst = worst.entry(operation.as_str()).or_insert(verdict);
        if verdict.severity() > worst.severity() {
            *worst = verdict;
        }
    }
    let mut profile: Profile = worst
        .iter()
        .map(|(of, verdict)| (*of, verdict.as_str()))
        .collect();
    let mut effects = cell
        .outcome
        .probes
        .iter()
        .flat_map(|probe| probe.after.values())
        .peekable();
    if effects.peek().is_some() {
        let otherwise = effects.any(|effect| *effect != Effect::AsBefore);
        profile.insert("effect", if otherwise { OTHERWISE.0 } else { AS_BEFORE.0 });
    }
    profile.insert("all", cell.verdict.as_str());
    profile
}

/// Sign, tone and meaning of everything that an operation can come to.
pub fn meanings() -> BTreeMap<&'static str, (char, &'static str, &'static str)> {
    let verdicts = Verdict::ALL.into_iter().map(|verdict| {
        let tone = Tone::of(verdict).as_str();
        (
            verdict.as_str(),
            (sign(verdict), tone, wording::verdict_meaning(verdict)),
        )
    });
    let packets = [OTHERWISE, AS_BEFORE].into_iter();
    let packets = packets.map(|(name, sign, tone, meaning)| (name, (sign, tone.as_str(), meaning)));
    verdicts.chain(packets).collect()
}
