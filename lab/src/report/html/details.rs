//! What the page tells of a scenario's cells: gathered cell by cell, each distinct thing once.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use similar::{DiffTag, TextDiff};

use super::super::facts::{self, Fact, Said};
use super::super::transcripts::{Transcript, Transcripts};
use super::super::word_diff::{Piece, PieceKind, word_diff};
use super::super::wording;
use super::PageError;
use super::distinct::Distinct;
use super::packed;
use crate::catalog::name_in_docker;
use crate::cause::Causes;
use crate::judge::Cell;
use crate::matrix::{Matrix, ScenarioHead};

/// All that the page tells of a scenario's cells. What things refer to are places in the lists.
#[derive(Default)]
pub struct Details {
    /// Pieces of the scripts that show what happened.
    pub pieces: Distinct<Arc<str>>,
    /// Those scripts: pieces.
    pub commands: Distinct<Vec<usize>>,
    /// How rules are printed, by whom.
    pub printed: Distinct<FactDetail>,
    /// What is known of rules.
    pub known: Distinct<FactDetail>,
    /// What is printed of a rule, and what is known of it: places in those two.
    pub of_rules: [Distinct<Vec<usize>>; 2],
    pub pairs: Distinct<PairDetail>,
    pub rules: Distinct<RuleDetail>,
    /// The rules of cells.
    pub rules_of_cells: Distinct<Vec<usize>>,
    pub packets: Distinct<PacketDetail>,
    /// The packets of cells.
    pub packets_of_cells: Distinct<Vec<usize>>,
    pub warnings: Distinct<Vec<(String, String)>>,
    pub prints: Distinct<Vec<Row>>,
    pub cells: Distinct<CellDetail>,
    /// What images of witnesses are called.
    pub witnesses: Distinct<String>,
    /// For each family, for each row of its heat map, for each column: the cell and its witness; none where there is none.
    pub maps: Vec<(&'static str, Vec<Vec<Option<Place>>>)>,
}

/// A cell's details, and its witness's image: the last of what [`super::super::show::commands::STAND_INS`] stand for.
pub type Place = (usize, Option<usize>);

/// What is known of a rule or a chain of which not all is well.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RuleDetail {
    pub place: String,
    pub pair: Option<usize>,
    /// Its texts, by who prints them.
    pub texts: usize,
    pub facts: usize,
    /// Why and where its loss is known already, where others of the cell are not.
    pub known: Option<String>,
    /// The names of the causes of its losses.
    pub causes: Vec<String>,
}

/// A text in pieces, by turns those that both texts have and those that only this one has.
pub type Turns = Vec<String>;

/// Two texts of a rule.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PairDetail {
    pub written: Turns,
    pub other: Turns,
    pub label: &'static str,
}

/// A name, what is known, and the verdict where it is one: then the page knows what that means.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FactDetail {
    pub name: Cow<'static, str>,
    pub said: String,
    pub verdict: Option<&'static str>,
}

/// What became of a packet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PacketDetail {
    pub name: String,
    pub facts: Vec<FactDetail>,
    pub worst: &'static str,
}

/// What is told of a cell.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CellDetail {
    pub verdict: &'static str,
    pub rules: usize,
    pub unharmed: usize,
    pub all: usize,
    pub packets: usize,
    pub warnings: usize,
    pub picked: Option<&'static str>,
    /// Why and where its loss is known already.
    pub known: Option<String>,
    /// What died, and the least rules on which it did.
    pub crashes: Vec<(String, String)>,
    pub prints: Option<usize>,
    pub commands: Option<usize>,
}

/// A row of both prints side by side.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Row {
    /// So many lines are alike.
    Alike(usize),
    /// A line of both.
    Both(String),
    /// A line each, of which a part differs.
    Changed(Turns, Turns),
    /// Only the writer prints it.
    Written(String),
    /// Only the reader prints it.
    Read(String),
}

/// The details of all cells of a scenario, packed.
pub fn block(
    matrix: &Matrix,
    scenario: &ScenarioHead,
    transcripts: &Transcripts,
    causes: &CausesOfCells<'_>,
) -> Result<String, PageError> {
    let mut details = Details::default();
    for family in matrix.families(&scenario.name) {
        let known = matrix.by_pairing(&scenario.name, family);
        let readers = matrix.readers_of(scenario, family);
        let mut map = Vec::new();
        for writer in matrix.writers_of(scenario, family) {
            let cells = readers
                .iter()
                .map(|reader| known.get(&(&writer.id, &reader.id)));
            let row = cells.map(|cell| {
                let cell: &Cell = cell?;
                let transcript = transcripts.of(cell);
                let detail = detail(matrix, cell, transcript, causes, &mut details);
                let witness = transcript.and_then(|of| of.witness.as_ref());
                let witness = witness.map(|build| name_in_docker(build.image()).into_owned());
                let witness = witness.map(|name| details.witnesses.place(name));
                Some((details.cells.place(detail), witness))
            });
            map.push(row.collect());
        }
        details.maps.push((family.as_str(), map));
    }
    packed::packed(&details)
}

/// The causes of a run, and what each cell lost by which.
pub struct CausesOfCells<'c> {
    causes: &'c Causes,
    /// The place of each cell, by its address in memory.
    places: HashMap<*const Cell, usize>,
}

impl<'c> CausesOfCells<'c> {
    /// Those of a matrix.
    pub fn new(matrix: &Matrix, causes: &'c Causes) -> Self {
        let cells = matrix.cells.iter().enumerate();
        CausesOfCells {
            causes,
            places: cells
                .map(|(at, cell)| (std::ptr::from_ref(cell), at))
                .collect(),
        }
    }

    /// The names of the causes of what a rule lost; of what chains lost where it is none.
    fn of(&self, cell: &Cell, rule: Option<usize>) -> Vec<String> {
        let place = self.places.get(&std::ptr::from_ref(cell));
        let list = place.and_then(|at| self.causes.of_cells.get(*at));
        let losses = list.iter().flat_map(|list| list.iter());
        let of_rule = losses.filter(|loss| loss.rule == rule);
        let causes: BTreeSet<usize> = of_rule.map(|loss| loss.cause).collect();
        let causes = causes.into_iter();
        causes
            .filter_map(|at| Some(self.causes.causes.get(at)?.name.clone()))
            .collect()
    }
}

fn detail(
    matrix: &Matrix,
    cell: &Cell,
    transcript: Option<&Transcript>,
    causes: &CausesOfCells<'_>,
    details: &mut Details,
) -> CellDetail {
    let in_words = |place: Option<usize>| Some(wording::known_loss(matrix.known.get(place?)?));
    let partly = |known: Option<usize>| in_words(known.filter(|_| cell.known.is_none()));
    let witness = transcript.and_then(|of| of.witness.as_ref());
    let mut rules = Vec::new();
    let mut unharmed = 0;
    for (at, rule) in cell.outcome.rules.iter().enumerate() {
        // How rules are listed is told by `show`: on the page it would be told of every rule.
        if facts::is_unharmed(rule) || facts::is_only_listed_otherwise(rule) {
            unharmed += 1;
            continue;
        }
        let pair = facts::pair(rule).map(|pair| pair_detail(&pair));
        let detail = RuleDetail {
            place: format!("{} {} {}", rule.table, rule.chain, rule.index),
            pair: pair.map(|pair| details.pairs.place(pair)),
            texts: details.texts_of_rule(facts::texts(rule, witness)),
            facts: details.facts_of_rule(facts::of_rule(rule)),
            known: partly(cell.known_of(&rule.table, &rule.chain, Some(rule.index))),
            causes: causes.of(cell, Some(at)),
        };
        rules.push(details.rules.place(detail));
    }
    for chain in &cell.outcome.chains {
        if chain.of_reader().any(|verdict| verdict.severity() > 0) {
            let detail = RuleDetail {
                place: format!("{} chain {}", chain.table, chain.chain),
                pair: None,
                texts: details.texts_of_rule(Vec::new()),
                facts: details.facts_of_rule(facts::of_chain(chain)),
                known: partly(cell.known_of(&chain.table, &chain.chain, None)),
                causes: causes.of(cell, None),
            };
            rules.push(details.rules.place(detail));
        }
    }
    let packets = cell.outcome.probes.iter().map(|probe| {
        details.packets.place(PacketDetail {
            name: probe.name.clone(),
            facts: facts::of_probe(probe).into_iter().map(fact).collect(),
            worst: probe.worst().as_str(),
        })
    });
    let packets = packets.collect();
    let prints = transcript.and_then(|of| of.prints.as_ref());
    let prints = prints.map(|(written, read)| details.prints.place(rows(written, read)));
    let commands = transcript.map(|of| details.script(of));
    let warnings = cell.outcome.warnings.iter();
    let warnings = warnings.map(|warning| (warning.by.to_string(), warning.text.clone()));
    let crashes = cell.outcome.crashes.iter();
    CellDetail {
        verdict: cell.verdict.as_str(),
        rules: details.rules_of_cells.place(rules),
        unharmed,
        all: cell.outcome.rules.len(),
        packets: details.packets_of_cells.place(packets),
        warnings: details.warnings.place(warnings.collect()),
        known: in_words(cell.known),
        crashes: crashes
            .map(|of| (facts::crash(of), of.rules.clone()))
            .collect(),
        picked: cell.outcome.picked.map(|backend| backend.as_str()),
        prints,
        commands,
    }
}

impl Details {
    fn texts_of_rule(&mut self, facts: Vec<Fact>) -> usize {
        let places = facts.into_iter().map(|of| self.printed.place(fact(of)));
        let places = places.collect();
        self.of_rules[0].place(places)
    }

    fn facts_of_rule(&mut self, facts: Vec<Fact>) -> usize {
        let places = facts.into_iter().map(|of| self.known.place(fact(of)));
        let places = places.collect();
        self.of_rules[1].place(places)
    }

    fn script(&mut self, of: &Transcript) -> usize {
        let pieces = of.commands.iter();
        let pieces = pieces.map(|piece| self.pieces.place(piece.clone()));
        let pieces = pieces.collect();
        self.commands.place(pieces)
    }
}

fn pair_detail(pair: &facts::Pair<'_>) -> PairDetail {
    let (written, other) = word_diff(pair.written, pair.other);
    PairDetail {
        written: by_turns(written),
        other: by_turns(other),
        label: pair.label,
    }
}

/// A text by turns: the first piece is one of both texts, and may be empty.
fn by_turns(pieces: Vec<Piece>) -> Turns {
    let mut turns = vec![String::new()];
    for piece in pieces {
        let is_own = turns.len() % 2 == 0;
        match turns.last_mut() {
            Some(last) if is_own == (piece.kind == PieceKind::Own) => last.push_str(&piece.text),
            _ => turns.push(piece.text),
        }
    }
    turns
}

fn fact(fact: Fact) -> FactDetail {
    let (said, verdict) = match fact.said {
        Said::Verdict(verdict) => (String::new(), Some(verdict.as_str())),
        Said::Text(text) => (text, None),
    };
    FactDetail {
        name: fact.name,
        said,
        verdict,
    }
}

/// Both prints side by side: what differs, and two lines around it.
fn rows(written: &str, read: &str) -> Vec<Row> {
    let diff = TextDiff::from_lines(written, read);
    let old: Vec<&str> = written.lines().collect();
    let new: Vec<&str> = read.lines().collect();
    let line = |lines: &[&str], at: usize| lines.get(at).copied().unwrap_or_default().to_owned();
    let mut rows = Vec::new();
    let mut told = 0;
    for op in diff.grouped_ops(2).iter().flatten() {
        if op.old_range().start > told {
            rows.push(Row::Alike(op.old_range().start - told));
        }
        told = op.old_range().end;
        let both = op.old_range().len().min(op.new_range().len());
        let pairs = op.old_range().zip(op.new_range());
        match op.tag() {
            DiffTag::Equal => rows.extend(pairs.map(|(at, _)| Row::Both(line(&old, at)))),
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                rows.extend(pairs.map(|(at, to)| {
                    let (left, right) = word_diff(&line(&old, at), &line(&new, to));
                    Row::Changed(by_turns(left), by_turns(right))
                }));
                let left = op.old_range().skip(both);
                rows.extend(left.map(|at| Row::Written(line(&old, at))));
                let right = op.new_range().skip(both);
                rows.extend(right.map(|at| Row::Read(line(&new, at))));
            }
        }
    }
    if old.len() > told {
        rows.push(Row::Alike(old.len() - told));
    }
    rows
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::alike("-j DROP", "-j DROP", &["-j DROP"], &["-j DROP"])]
    #[case::lost("-m mark -j DROP", "-j DROP", &["", "-m mark ", "-j DROP"], &["-j DROP"])]
    #[case::another("-s a -j b", "-s c -j b", &["-s ", "a ", "-j b"], &["-s ", "c ", "-j b"])]
    #[case::empty("", "", &[""], &[""])]
    fn texts_are_told_by_turns(
        #[case] one: &str,
        #[case] other: &str,
        #[case] of_one: &[&str],
        #[case] of_other: &[&str],
    ) {
        let (left, right) = word_diff(one, other);
        assert_eq!(
            (by_turns(left), by_turns(right)),
            (
                of_one.iter().map(ToString::to_string).collect(),
                of_other.iter().map(ToString::to_string).collect()
            )
        );
    }
}
