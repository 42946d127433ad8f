//! A report in its least form: which pairings were run, and what comes to harm in them. Part of the binary.
//!
//! It is JSON, compressed. Damage that is the same in several pairings is there once, with its writers and readers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build, BuildId, Family, Tool, Version};
use crate::judge::Cell;
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Matrix, harms};
use crate::recording::Host;

/// The version of this form.
const FORMAT: u32 = 1;

/// Writers and readers, by their places among the builds: each group of writers with the readers they share.
type Pairs = Vec<(Vec<usize>, Vec<usize>)>;

/// A report in its least form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    format: u32,
    /// The lab's version.
    pub lab: String,
    /// Where the run was made.
    pub host: Host,
    /// When.
    pub started: jiff::Timestamp,
    /// The builds that took part.
    pub builds: Vec<PublishedBuild>,
    ran: Vec<Ran>,
    damages: Vec<Stored>,
}

/// A build that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedBuild {
    /// Its id.
    pub id: BuildId,
    /// Its version.
    pub version: Version,
    /// Its backend.
    pub backend: Backend,
    /// Which program it is.
    pub tool: Tool,
}

/// A scenario and family, and the pairings in which it was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ran {
    scenario: String,
    family: Family,
    pairs: Pairs,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    damage: Damage,
    pairs: Pairs,
}

/// What comes to harm, and how; the same in all of its pairings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Damage {
    /// The scenario.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's place in its chain, from 1; none where the chain itself suffers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The rule as its writer prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// What is left of it for whoever prints it later: as the reader prints it, or, where the kernel's rule was changed,
    /// as the witness does. What some writer prints of a rule of its own is not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    verdict: VerdictName,
    /// What is lost, altered or added, or what was said.
    pub what: String,
    consequence: Option<Consequence>,
    certainty: Certainty,
}

/// A verdict by its word: a report of a newer lab may have words that this one does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
struct VerdictName(String);

impl Damage {
    /// The worst verdict; none where it is of a newer lab.
    pub fn verdict(&self) -> Option<Verdict> {
        let mut all = Verdict::ALL.into_iter();
        all.find(|verdict| verdict.as_str() == self.verdict.0)
    }

    /// What it does to packets.
    pub fn consequence(&self) -> Option<Consequence> {
        self.consequence
    }

    /// Whether it is proved, concluded, or still to come.
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// Whether parts of the rule are lost, altered or added, so that what is left of it is another rule.
    pub fn takes_parts(&self) -> bool {
        !self.what.starts_with("the whole rule")
    }

    /// Whether somebody is harmed: what is only printed otherwise, or not seen at all, is no harm.
    pub fn is_harm(&self) -> bool {
        let worse = |verdict: Verdict| verdict.severity() > Verdict::Unsupported.severity();
        self.verdict().is_some_and(worse)
    }
}

/// What is known of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<'a> {
    /// In how many scenarios it was run, and what came to harm.
    Ran(usize, Vec<&'a Damage>),
    /// It was not run.
    Not,
}

/// Why a published report cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PublishedError {
    /// It is damaged, or no such report.
    #[error("this is no published report: {0}")]
    Malformed(String),
    /// It is of another format.
    #[error("this is a published report of format {0}, and this program reads format {FORMAT}")]
    OtherFormat(u32),
}

impl Published {
    /// The report that is part of the binary.
    ///
    /// # Errors
    /// Never in practice: a test reads it.
    pub fn embedded() -> Result<Self, PublishedError> {
        Self::decode(include_bytes!("../../../reports/losses.json.xz"))
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is damaged, no such report, or of another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, PublishedError> {
        let malformed =
            |error: &dyn std::fmt::Display| PublishedError::Malformed(error.to_string());
        let mut text = String::new();
        liblzma::read::XzDecoder::new(bytes)
            .read_to_string(&mut text)
            .map_err(|error| malformed(&error))?;
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_str(&text).map_err(|error| malformed(&error))?;
        if format != FORMAT {
            return Err(PublishedError::OtherFormat(format));
        }
        let read: Published = serde_json::from_str(&text).map_err(|error| malformed(&error))?;
        let known = |(writers, readers): &(Vec<usize>, Vec<usize>)| {
            writers
                .iter()
                .chain(readers)
                .all(|place| *place < read.builds.len())
        };
        let of_damages = read.damages.iter().flat_map(|stored| &stored.pairs);
        let mut pairs = read.ran.iter().flat_map(|ran| &ran.pairs).chain(of_damages);
        match pairs.all(known) {
            true => Ok(read),
            false => Err(malformed(&"it refers to a build that it does not name")),
        }
    }

    /// The same as bytes.
    ///
    /// # Errors
    /// Never in practice: all of it has a JSON form, and memory can be written to.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 9);
        encoder.write_all(&serde_json::to_vec(self)?)?;
        encoder.finish()
    }

    /// The build of this id.
    pub fn build(&self, id: &str) -> Option<&PublishedBuild> {
        self.builds.iter().find(|build| build.id.as_str() == id)
    }

    /// The scenarios that it knows, each once.
    pub fn scenarios(&self) -> BTreeSet<&str> {
        self.ran.iter().map(|ran| ran.scenario.as_str()).collect()
    }

    /// What is known of `writer` and `reader`, in the scenarios that `is_asked` names.
    pub fn pair(
        &self,
        writer: &BuildId,
        reader: &BuildId,
        is_asked: impl Fn(&str) -> bool,
    ) -> Known<'_> {
        let place = |id: &BuildId| self.builds.iter().position(|build| &build.id == id);
        let Some((writer, reader)) = place(writer).zip(place(reader)) else {
            return Known::Not;
        };
        let ran = self.ran.iter().filter(|ran| is_asked(&ran.scenario));
        let ran: BTreeSet<&str> = ran
            .filter(|ran| has(&ran.pairs, writer, reader))
            .map(|ran| ran.scenario.as_str())
            .collect();
        if ran.is_empty() {
            return Known::Not;
        }
        let damages = self.damages.iter().filter(|stored| {
            is_asked(&stored.damage.scenario) && has(&stored.pairs, writer, reader)
        });
        Known::Ran(ran.len(), damages.map(|stored| &stored.damage).collect())
    }

    /// Every damage, with the writers and readers between which it is done.
    pub fn damages(&self) -> impl Iterator<Item = (&Damage, Vec<(&BuildId, &BuildId)>)> {
        let id = |place: usize| &self.builds[place].id;
        self.damages.iter().map(move |stored| {
            let pairs = stored.pairs.iter().flat_map(|(writers, readers)| {
                writers
                    .iter()
                    .flat_map(move |writer| readers.iter().map(move |reader| (*writer, *reader)))
            });
            let pairs = pairs.map(|(writer, reader)| (id(writer), id(reader)));
            (&stored.damage, pairs.collect())
        })
    }
}

fn has(pairs: &Pairs, writer: usize, reader: usize) -> bool {
    let mut groups = pairs.iter();
    groups.any(|(writers, readers)| writers.contains(&writer) && readers.contains(&reader))
}

/// Makes a published report cell by cell, so that no whole matrix needs to be in memory.
pub struct PublishedBuilder {
    places: BTreeMap<BuildId, usize>,
    ran: BTreeMap<(String, Family), BTreeMap<usize, BTreeSet<usize>>>,
    damages: BTreeMap<Damage, BTreeMap<usize, BTreeSet<usize>>>,
    /// Every rule, with its table, that some writer prints of its own: what looks like one of them is no damage.
    sound: BTreeSet<(String, String)>,
    head: Published,
}

impl PublishedBuilder {
    /// Of a run of `builds`.
    pub fn new(lab: &str, host: &Host, started: jiff::Timestamp, builds: &[Build]) -> Self {
        let named = builds.iter().enumerate();
        PublishedBuilder {
            places: named
                .map(|(place, build)| (build.id.clone(), place))
                .collect(),
            ran: BTreeMap::new(),
            damages: BTreeMap::new(),
            sound: BTreeSet::new(),
            head: Published {
                format: FORMAT,
                lab: lab.to_owned(),
                host: host.clone(),
                started,
                builds: builds.iter().map(PublishedBuild::of).collect(),
                ran: Vec::new(),
                damages: Vec::new(),
            },
        }
    }

    /// Adds a cell. One between builds that the run does not name is left out.
    pub fn add(&mut self, cell: &Cell) {
        let place = |id| self.places.get(id).copied();
        let Some((writer, reader)) = place(&cell.writer).zip(place(&cell.reader)) else {
            return;
        };
        let of_scenario = self
            .ran
            .entry((cell.scenario.clone(), cell.family))
            .or_default();
        of_scenario.entry(writer).or_default().insert(reader);
        for rule in &cell.rules {
            let written = rule.written.as_ref();
            let written = written.map(|text| (rule.table.to_string(), text.to_string()));
            self.sound.extend(written);
        }
        for damage in damages(cell) {
            let pairs = self.damages.entry(damage).or_default();
            pairs.entry(writer).or_default().insert(reader);
        }
    }

    /// The report.
    pub fn finish(self) -> Published {
        let ran = self.ran.into_iter().map(|((scenario, family), pairs)| Ran {
            scenario,
            family,
            pairs: grouped(pairs),
        });
        let sound = self.sound;
        let damages = self.damages.into_iter().map(|(mut damage, pairs)| {
            let table = damage.table.clone();
            damage
                .left
                .retain(|left| !sound.contains(&(table.clone(), left.clone())));
            Stored {
                damage,
                pairs: grouped(pairs),
            }
        });
        Published {
            ran: ran.collect(),
            damages: damages.collect(),
            ..self.head
        }
    }
}

impl From<&Matrix> for Published {
    fn from(matrix: &Matrix) -> Self {
        let Matrix {
            lab,
            host,
            started,
            builds,
            ..
        } = matrix;
        let mut builder = PublishedBuilder::new(&lab.version, host, *started, builds);
        matrix.cells.iter().for_each(|cell| builder.add(cell));
        builder.finish()
    }
}

impl PublishedBuild {
    fn of(build: &Build) -> Self {
        PublishedBuild {
            id: build.id.clone(),
            version: build.version.clone(),
            backend: build.backend,
            tool: build.tool,
        }
    }
}

fn damages(cell: &Cell) -> impl Iterator<Item = Damage> {
    harms(cell).into_iter().map(|harm| {
        let rule = harm.rule.and_then(|place| cell.rules.get(place));
        let written = rule.and_then(|rule| rule.written.as_deref());
        let left = rule
            .into_iter()
            .flat_map(|rule| [&rule.read, &rule.witness_after, &rule.reread]);
        let left: BTreeSet<String> = left
            .flatten()
            .filter(|text| Some(&***text) != written)
            .map(|text| text.to_string())
            .collect();
        Damage {
            scenario: cell.scenario.clone(),
            family: cell.family,
            table: harm.subject.table,
            chain: harm.subject.chain,
            index: harm.subject.index,
            written: written.map(str::to_owned),
            left: left.into_iter().collect(),
            verdict: VerdictName(harm.verdict.as_str().to_owned()),
            what: harm.what,
            consequence: harm.consequence,
            certainty: harm.certainty,
        }
    })
}

/// Writers with the same readers together.
fn grouped(pairs: BTreeMap<usize, BTreeSet<usize>>) -> Pairs {
    let mut groups: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    for (writer, readers) in pairs {
        groups.entry(readers).or_default().push(writer);
    }
    let group = |(readers, writers): (BTreeSet<usize>, Vec<usize>)| {
        (writers, readers.into_iter().collect())
    };
    groups.into_iter().map(group).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn recorded() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    #[test]
    fn it_says_of_every_cell_what_the_matrix_says() {
        let matrix = recorded();
        let bytes = Published::from(&matrix).encode().unwrap();
        let published = Published::decode(&bytes).unwrap();
        assert!(!matrix.cells.is_empty());
        for cell in &matrix.cells {
            let Known::Ran(_, damages) = published.pair(&cell.writer, &cell.reader, |_| true)
            else {
                panic!("{} {} was run", cell.writer, cell.reader);
            };
            let mut said: Vec<_> = damages
                .iter()
                .filter(|of| of.family == cell.family && of.scenario == cell.scenario)
                .map(|of| {
                    (
                        of.table.as_str(),
                        of.chain.as_str(),
                        of.index,
                        of.what.as_str(),
                        of.verdict().unwrap(),
                    )
                })
                .collect();
            let harmed = harms(cell);
            let mut expected: Vec<_> = harmed
                .iter()
                .map(|of| {
                    let subject = &of.subject;
                    (
                        subject.table.as_str(),
                        subject.chain.as_str(),
                        subject.index,
                        of.what.as_str(),
                        of.verdict,
                    )
                })
                .collect();
            let by = |of: &(&str, &str, Option<usize>, &str, Verdict)| {
                (of.0.to_owned(), of.1.to_owned(), of.2)
            };
            said.sort_by_key(by);
            expected.sort_by_key(by);
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn the_report_in_the_binary_is_whole_and_knows_the_loss_that_started_it() {
        let published = Published::embedded().unwrap();
        let lost = published.damages().any(|(damage, pairs)| {
            damage.scenario == "kube-firewall"
                && damage.what == "match mark lost"
                && damage.consequence() == Some(Consequence::Blackhole)
                && !pairs.is_empty()
        });
        assert!(lost);
        assert!(
            published
                .damages()
                .all(|(damage, _)| damage.verdict().is_some())
        );
    }

    #[rstest]
    #[case::empty(b"", "this is no published report")]
    #[case::other(b"{\"format\": 1}", "this is no published report")]
    fn what_is_no_report_is_named_as_such(#[case] bytes: &[u8], #[case] said: &str) {
        let error = Published::decode(bytes).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn a_report_of_another_format_or_with_dangling_builds_is_refused() {
        let matrix = recorded();
        let mut published = Published::from(&matrix);
        published.format = 99;
        let error = Published::decode(&published.encode().unwrap()).unwrap_err();
        assert!(matches!(error, PublishedError::OtherFormat(99)), "{error}");
        published.format = FORMAT;
        published.builds.pop();
        let error = Published::decode(&published.encode().unwrap()).unwrap_err();
        assert!(error.to_string().contains("does not name"), "{error}");
    }
}
