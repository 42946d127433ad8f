//! The details of a scenario's cells as one compressed block, in which everything is kept once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use similar::{DiffTag, TextDiff};

use super::super::facts::{self, Fact, Said};
use super::super::transcripts::{Transcript, Transcripts};
use super::super::word_diff::{Piece, word_diff};
use super::super::wording;
use super::PageError;
use crate::catalog::{BuildId, Family, name_in_docker};
use crate::judge::Cell;
use crate::matrix::Matrix;

/// The block of one scenario. References are places in its lists.
#[derive(Debug, Default, Serialize)]
struct Block {
    facts: Vec<serde_json::Value>,
    rules: Vec<serde_json::Value>,
    packets: Vec<serde_json::Value>,
    prints: Vec<serde_json::Value>,
    pieces: Vec<serde_json::Value>,
    commands: Vec<serde_json::Value>,
    cells: Vec<serde_json::Value>,
    /// The place of each cell's details, by family, writer and reader, and its witness's image: the last of what
    /// [`super::super::show::commands::STAND_INS`] stand for.
    of: BTreeMap<Family, BTreeMap<BuildId, BTreeMap<BuildId, Place>>>,
}

/// The place of a cell's details, and its witness's image.
type Place = (usize, Option<String>);

/// What is known of a rule or a chain of which not all is well.
#[derive(Serialize)]
struct RuleDetail {
    place: String,
    pair: Option<PairDetail>,
    /// Its texts, by who prints them.
    texts: Vec<usize>,
    facts: Vec<usize>,
    /// Why and where its loss is known already, where others of the cell are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<String>,
}

#[derive(Serialize)]
struct PairDetail {
    written: Vec<Piece>,
    other: Vec<Piece>,
    label: &'static str,
}

/// A name, what is known, and the verdict where it is one: then the page knows what that means.
#[derive(Serialize)]
struct FactDetail(Cow<'static, str>, String, Option<&'static str>);

#[derive(Serialize)]
struct PacketDetail {
    name: String,
    facts: Vec<FactDetail>,
    worst: &'static str,
}

#[derive(Serialize)]
struct CellDetail {
    verdict: &'static str,
    rules: Vec<usize>,
    unharmed: usize,
    all: usize,
    packets: Vec<usize>,
    warnings: Vec<(String, String)>,
    picked: Option<&'static str>,
    /// Why and where its loss is known already.
    known: Option<String>,
    /// What died, and the least rules on which it did.
    crashes: Vec<(String, String)>,
    prints: Option<usize>,
    commands: Option<usize>,
}

/// A row of both prints side by side.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Row {
    /// So many lines are alike.
    Alike(usize),
    /// A line of both.
    Both(String),
    /// A line each, of which a part differs.
    Changed(Vec<Piece>, Vec<Piece>),
    /// Only the writer prints it.
    Written(String),
    /// Only the reader prints it.
    Read(String),
}

/// Lists that hold everything once.
#[derive(Default)]
struct Lists {
    block: Block,
    /// Where each value stands, by its list and its JSON; as long as one page is made.
    places: HashMap<(u8, String), usize>,
}

impl Lists {
    fn place(&mut self, list: List, value: &(impl Serialize + ?Sized)) -> Result<usize, PageError> {
        let value = serde_json::to_value(value)?;
        let key = (list as u8, value.to_string());
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        let list = match list {
            List::Facts => &mut self.block.facts,
            List::Rules => &mut self.block.rules,
            List::Packets => &mut self.block.packets,
            List::Prints => &mut self.block.prints,
            List::Pieces => &mut self.block.pieces,
            List::Commands => &mut self.block.commands,
            List::Cells => &mut self.block.cells,
        };
        list.push(value);
        self.places.insert(key, list.len() - 1);
        Ok(list.len() - 1)
    }

    fn facts(&mut self, facts: Vec<Fact>) -> Result<Vec<usize>, PageError> {
        let places = facts.into_iter().map(fact);
        places.map(|fact| self.place(List::Facts, &fact)).collect()
    }

    fn commands(&mut self, commands: &[Arc<str>]) -> Result<usize, PageError> {
        let pieces = commands
            .iter()
            .map(|piece| self.place(List::Pieces, &**piece));
        let pieces = pieces.collect::<Result<Vec<usize>, PageError>>()?;
        self.place(List::Commands, &pieces)
    }
}

#[derive(Clone, Copy)]
enum List {
    Facts,
    Rules,
    Packets,
    Prints,
    Pieces,
    Commands,
    Cells,
}

/// The details of all cells of `scenario`, packed: JSON, zlib, base64.
pub fn block(
    matrix: &Matrix,
    scenario: &str,
    transcripts: &Transcripts,
) -> Result<String, PageError> {
    let mut lists = Lists::default();
    for cell in matrix.cells.iter().filter(|cell| cell.scenario == scenario) {
        let detail = detail(matrix, cell, transcripts.of(cell), &mut lists)?;
        let place = lists.place(List::Cells, &detail)?;
        let of_family = lists.block.of.entry(cell.family).or_default();
        let witness = transcripts.of(cell).and_then(|of| of.witness.as_ref());
        let witness = witness.map(|build| name_in_docker(build.image()).into_owned());
        let of_writer = of_family.entry(cell.writer.clone()).or_default();
        of_writer.insert(cell.reader.clone(), (place, witness));
    }
    let json = serde_json::to_vec(&lists.block)?;
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&json)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(packer.finish()?))
}

fn detail(
    matrix: &Matrix,
    cell: &Cell,
    transcript: Option<&Transcript>,
    lists: &mut Lists,
) -> Result<CellDetail, PageError> {
    let in_words = |place: Option<usize>| Some(wording::known_loss(matrix.known.get(place?)?));
    let partly = |known: Option<usize>| in_words(known.filter(|_| cell.known.is_none()));
    let witness = transcript.and_then(|of| of.witness.as_ref());
    let mut rules = Vec::new();
    let mut unharmed = 0;
    for rule in &cell.outcome.rules {
        // How rules are listed is told by `show`: on the page it would be told of every rule.
        if facts::is_unharmed(rule) || facts::is_only_listed_otherwise(rule) {
            unharmed += 1;
            continue;
        }
        let detail = RuleDetail {
            place: format!("{} {} {}", rule.table, rule.chain, rule.index),
            pair: facts::pair(rule).map(|pair| pair_detail(&pair)),
            texts: lists.facts(facts::texts(rule, witness))?,
            facts: lists.facts(facts::of_rule(rule))?,
            known: partly(cell.known_of(&rule.table, &rule.chain, Some(rule.index))),
        };
        rules.push(lists.place(List::Rules, &detail)?);
    }
    for chain in &cell.outcome.chains {
        if chain.of_reader().any(|verdict| verdict.severity() > 0) {
            let detail = RuleDetail {
                place: format!("{} chain {}", chain.table, chain.chain),
                pair: None,
                texts: Vec::new(),
                facts: lists.facts(facts::of_chain(chain))?,
                known: partly(cell.known_of(&chain.table, &chain.chain, None)),
            };
            rules.push(lists.place(List::Rules, &detail)?);
        }
    }
    let mut packets = Vec::new();
    for probe in &cell.outcome.probes {
        let detail = PacketDetail {
            name: probe.name.clone(),
            facts: facts::of_probe(probe).into_iter().map(fact).collect(),
            worst: probe.worst().as_str(),
        };
        packets.push(lists.place(List::Packets, &detail)?);
    }
    let prints = match transcript.and_then(|of| of.prints.as_ref()) {
        Some((written, read)) => Some(lists.place(List::Prints, &rows(written, read))?),
        None => None,
    };
    let commands = match transcript {
        Some(of) => Some(lists.commands(&of.commands)?),
        None => None,
    };
    let warnings = cell.outcome.warnings.iter();
    Ok(CellDetail {
        verdict: cell.verdict.as_str(),
        rules,
        unharmed,
        all: cell.outcome.rules.len(),
        packets,
        warnings: warnings
            .map(|warning| (warning.by.to_string(), warning.text.clone()))
            .collect(),
        known: in_words(cell.known),
        crashes: cell
            .outcome
            .crashes
            .iter()
            .map(|of| (facts::crash(of), of.rules.clone()))
            .collect(),
        picked: cell.outcome.picked.map(|backend| backend.as_str()),
        prints,
        commands,
    })
}

fn pair_detail(pair: &facts::Pair<'_>) -> PairDetail {
    let (written, other) = word_diff(pair.written, pair.other);
    PairDetail {
        written,
        other,
        label: pair.label,
    }
}

fn fact(fact: Fact) -> FactDetail {
    match fact.said {
        Said::Verdict(verdict) => FactDetail(fact.name, String::new(), Some(verdict.as_str())),
        Said::Text(text) => FactDetail(fact.name, text, None),
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
                    Row::Changed(left, right)
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
