//! The details of a scenario's cells as a compressed block.
//!
//! Lists are told column by column, for what stands below each other is alike. Texts stand in one list, scripts as their lines: what is
//! alike and far apart, the compression does not find. A reference is a place in another list, told so that what is new costs nothing
//! ([`Places`]).

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use base64::Engine;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use super::PageError;
use super::details::{Details, FactDetail, Place, Row};

/// Places in a list, one after the other: 0 is the place behind the farthest that was told yet, which most often is a new one; another
/// is told as itself and one, and none as -1.
#[derive(Default)]
struct Places {
    next: usize,
}

/// A place, or lists of such.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    One(i64),
    List(Vec<Told>),
}

impl Places {
    fn one(&mut self, place: usize) -> Told {
        let is_next = place == self.next;
        self.next = self.next.max(place + 1);
        Told::One(match is_next {
            true => 0,
            false => i64::try_from(place).map_or(-1, |place| place + 1),
        })
    }

    fn maybe(&mut self, place: Option<usize>) -> Told {
        place.map_or(Told::One(-1), |place| self.one(place))
    }

    fn list(&mut self, places: impl IntoIterator<Item = usize>) -> Told {
        Told::List(places.into_iter().map(|place| self.one(place)).collect())
    }
}

/// One column of places.
fn column(places: impl IntoIterator<Item = usize>) -> Vec<Told> {
    maybe_column(places.into_iter().map(Some))
}

fn maybe_column(places: impl IntoIterator<Item = Option<usize>>) -> Vec<Told> {
    let mut told = Places::default();
    places.into_iter().map(|place| told.maybe(place)).collect()
}

fn lists<'l>(lists: impl IntoIterator<Item = &'l Vec<usize>>) -> Vec<Told> {
    let mut told = Places::default();
    lists
        .into_iter()
        .map(|list| told.list(list.iter().copied()))
        .collect()
}

/// All texts of a block.
#[derive(Default)]
struct Texts<'d> {
    all: Vec<&'d str>,
    places: HashMap<&'d str, usize>,
}

impl<'d> Texts<'d> {
    fn place(&mut self, text: &'d str) -> usize {
        let next = self.all.len();
        let place = *self.places.entry(text).or_insert(next);
        if place == next {
            self.all.push(text);
        }
        place
    }

    fn column(&mut self, texts: impl IntoIterator<Item = &'d str>) -> Vec<Told> {
        column(texts.into_iter().map(|text| self.place(text)))
    }

    fn maybe_column(&mut self, texts: impl IntoIterator<Item = Option<&'d str>>) -> Vec<Told> {
        maybe_column(
            texts
                .into_iter()
                .map(|text| text.map(|text| self.place(text))),
        )
    }

    /// A column of lists of texts.
    fn lists<L>(&mut self, lists: impl IntoIterator<Item = L>) -> Vec<Told>
    where
        L: IntoIterator<Item = &'d str>,
    {
        let mut told = Places::default();
        let list = |list: L| told.list(list.into_iter().map(|text| self.place(text)));
        lists.into_iter().map(list).collect()
    }

    fn facts<F>(&mut self, facts: F) -> Facts
    where
        F: Iterator<Item = &'d FactDetail> + Clone,
    {
        Facts {
            name: self.column(facts.clone().map(|of| &*of.name)),
            said: self.column(facts.clone().map(|of| of.said.as_str())),
            verdict: self.maybe_column(facts.map(|of| of.verdict)),
        }
    }

    fn prints(&mut self, details: &'d Details) -> Vec<Print> {
        let mut told = Places::default();
        let mut all = Vec::new();
        for rows in details.prints.iter() {
            let mut print = Print::default();
            for row in rows {
                print.kinds.push(kind(row));
                match row {
                    Row::Alike(lines) => print.alike.push(*lines),
                    Row::Both(line) | Row::Written(line) | Row::Read(line) => {
                        print.lines.push(told.one(self.place(line)));
                    }
                    Row::Changed(left, right) => {
                        let both = [left, right]
                            .map(|turns| told.list(turns.iter().map(|text| self.place(text))));
                        print.lines.push(Told::List(both.into()));
                    }
                }
            }
            all.push(print);
        }
        all
    }
}

/// Facts, in columns.
#[derive(Serialize)]
struct Facts {
    name: Vec<Told>,
    said: Vec<Told>,
    verdict: Vec<Told>,
}

/// Both prints side by side: of each row its kind, the numbers of lines that are alike, and all other rows' lines.
#[derive(Default, Serialize)]
struct Print {
    kinds: String,
    alike: Vec<usize>,
    lines: Vec<Told>,
}

/// The letter of a kind of row.
fn kind(row: &Row) -> char {
    match row {
        Row::Alike(_) => 'a',
        Row::Both(_) => 'b',
        Row::Changed(..) => 'c',
        Row::Written(_) => 'w',
        Row::Read(_) => 'r',
    }
}

/// The form of a block; the page's script reads it.
#[derive(Serialize)]
struct Block<'d> {
    pieces: Vec<Told>,
    commands: Vec<Told>,
    printed: Facts,
    known: Facts,
    texts_of_rules: Vec<Told>,
    facts_of_rules: Vec<Told>,
    pairs: Pairs,
    rules: Rules,
    rules_of_cells: Vec<Told>,
    packets: Packets,
    packets_of_cells: Vec<Told>,
    warnings: Vec<Told>,
    prints: Vec<Print>,
    cells: Cells,
    witnesses: Vec<&'d str>,
    of: BTreeMap<&'static str, Map>,
    texts: Vec<&'d str>,
}

#[derive(Serialize)]
struct Pairs {
    written: Vec<Told>,
    other: Vec<Told>,
    label: Vec<Told>,
}

#[derive(Serialize)]
struct Rules {
    place: Vec<Told>,
    pair: Vec<Told>,
    texts: Vec<Told>,
    facts: Vec<Told>,
    known: Vec<Told>,
    causes: Vec<Told>,
}

#[derive(Serialize)]
struct Packets {
    name: Vec<Told>,
    facts: Vec<Facts>,
    worst: Vec<Told>,
}

#[derive(Serialize)]
struct Cells {
    verdict: Vec<Told>,
    rules: Vec<Told>,
    unharmed: Vec<usize>,
    all: Vec<usize>,
    packets: Vec<Told>,
    warnings: Vec<Told>,
    picked: Vec<Told>,
    known: Vec<Told>,
    crashes: Vec<Told>,
    prints: Vec<Told>,
    commands: Vec<Told>,
}

/// Of each row of a heat map, of each column, the cell and its witness.
#[derive(Serialize)]
struct Map {
    cell: Vec<Told>,
    witness: Vec<Told>,
}

/// Details packed: JSON, zlib, base64.
pub fn packed(details: &Details) -> Result<String, PageError> {
    let json = serde_json::to_vec(&Block::of(details))?;
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&json)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(packer.finish()?))
}

/// Pairs of texts as the texts that they are.
fn flat(pairs: &[(String, String)]) -> impl Iterator<Item = &str> {
    pairs
        .iter()
        .flat_map(|(one, other)| [one.as_str(), other.as_str()])
}

impl<'d> Block<'d> {
    fn of(details: &'d Details) -> Self {
        let mut texts = Texts::default();
        let [texts_of_rules, facts_of_rules] = &details.of_rules;
        Block {
            pieces: texts.lists(details.pieces.iter().map(|piece| piece.split('\n'))),
            commands: lists(details.commands.iter()),
            printed: texts.facts(details.printed.iter().collect::<Vec<_>>().into_iter()),
            known: texts.facts(details.known.iter().collect::<Vec<_>>().into_iter()),
            texts_of_rules: lists(texts_of_rules.iter()),
            facts_of_rules: lists(facts_of_rules.iter()),
            pairs: Pairs::of(details, &mut texts),
            rules: Rules::of(details, &mut texts),
            rules_of_cells: lists(details.rules_of_cells.iter()),
            packets: Packets::of(details, &mut texts),
            packets_of_cells: lists(details.packets_of_cells.iter()),
            warnings: texts.lists(details.warnings.iter().map(|all| flat(all))),
            prints: texts.prints(details),
            cells: Cells::of(details, &mut texts),
            witnesses: details.witnesses.iter().map(String::as_str).collect(),
            of: details
                .maps
                .iter()
                .map(|(family, map)| (*family, Map::of(map)))
                .collect(),
            texts: texts.all,
        }
    }
}

impl Pairs {
    fn of<'d>(details: &'d Details, texts: &mut Texts<'d>) -> Self {
        let written = details
            .pairs
            .iter()
            .map(|of| of.written.iter().map(String::as_str));
        let other = details
            .pairs
            .iter()
            .map(|of| of.other.iter().map(String::as_str));
        Pairs {
            written: texts.lists(written),
            other: texts.lists(other),
            label: texts.column(details.pairs.iter().map(|of| of.label)),
        }
    }
}

impl Rules {
    fn of<'d>(details: &'d Details, texts: &mut Texts<'d>) -> Self {
        let rules = || details.rules.iter();
        Rules {
            place: texts.column(rules().map(|of| of.place.as_str())),
            pair: maybe_column(rules().map(|of| of.pair)),
            texts: column(rules().map(|of| of.texts)),
            facts: column(rules().map(|of| of.facts)),
            known: texts.maybe_column(rules().map(|of| of.known.as_deref())),
            causes: texts.lists(rules().map(|of| of.causes.iter().map(String::as_str))),
        }
    }
}

impl Packets {
    fn of<'d>(details: &'d Details, texts: &mut Texts<'d>) -> Self {
        let packets = || details.packets.iter();
        Packets {
            name: texts.column(packets().map(|of| of.name.as_str())),
            facts: packets().map(|of| texts.facts(of.facts.iter())).collect(),
            worst: texts.column(packets().map(|of| of.worst)),
        }
    }
}

impl Cells {
    fn of<'d>(details: &'d Details, texts: &mut Texts<'d>) -> Self {
        let cells = || details.cells.iter();
        Cells {
            verdict: texts.column(cells().map(|of| of.verdict)),
            rules: column(cells().map(|of| of.rules)),
            unharmed: cells().map(|of| of.unharmed).collect(),
            all: cells().map(|of| of.all).collect(),
            packets: column(cells().map(|of| of.packets)),
            warnings: column(cells().map(|of| of.warnings)),
            picked: texts.maybe_column(cells().map(|of| of.picked)),
            known: texts.maybe_column(cells().map(|of| of.known.as_deref())),
            crashes: texts.lists(cells().map(|of| flat(&of.crashes))),
            prints: maybe_column(cells().map(|of| of.prints)),
            commands: maybe_column(cells().map(|of| of.commands)),
        }
    }
}

impl Map {
    fn of(map: &[Vec<Option<Place>>]) -> Self {
        let (mut cells, mut witnesses) = (Places::default(), Places::default());
        let cell = |row: &Vec<Option<Place>>| {
            let places = row.iter().map(|of| cells.maybe(of.map(|(cell, _)| cell)));
            Told::List(places.collect())
        };
        let witness = |row: &Vec<Option<Place>>| {
            let places = row
                .iter()
                .map(|of| witnesses.maybe(of.and_then(|(_, of)| of)));
            Told::List(places.collect())
        };
        Map {
            cell: map.iter().map(cell).collect(),
            witness: map.iter().map(witness).collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::new_ones(&[Some(0), Some(1), Some(2)], "[0,0,0]")]
    #[case::known_ones(&[Some(0), Some(0), Some(1), Some(0)], "[0,1,0,1]")]
    #[case::none(&[None, Some(0), None], "[-1,0,-1]")]
    #[case::far_ones(&[Some(7), Some(8), Some(3), Some(9)], "[8,0,4,0]")]
    fn what_is_new_costs_nothing(#[case] places: &[Option<usize>], #[case] told: &str) {
        let column = maybe_column(places.iter().copied());
        assert_eq!(serde_json::to_string(&column).unwrap(), told);
    }

    #[test]
    fn texts_are_kept_once_and_lists_go_on_where_they_were() {
        let mut texts = Texts::default();
        let one = texts.lists([vec!["a", "b"], vec!["a", "c"]]);
        let other = texts.column(["c", "d"]);
        assert_eq!(serde_json::to_string(&one).unwrap(), "[[0,0],[1,0]]");
        assert_eq!(serde_json::to_string(&other).unwrap(), "[3,0]");
        assert_eq!(texts.all, ["a", "b", "c", "d"]);
    }
}
