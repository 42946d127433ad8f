//! The file of a published report: JSON, compressed. What is the same in many places of it is there once, and named by its
//! place.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::published::{Between, Caused, Damage, Pairs, Published, PublishedBuild, Ran, Untested};
use crate::catalog::Family;
use crate::plan::Operation;
use crate::recording::Host;

/// The version of this form.
const FORMAT: u32 = 4;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    lab: String,
    host: Host,
    started: jiff::Timestamp,
    builds: Vec<PublishedBuild>,
    /// What is done to rules and chains: each list that differs.
    harms: Vec<Vec<Caused>>,
    /// Between whom something is so: each that differs.
    pairings: Vec<Pairs>,
    ran: Vec<StoredRan>,
    damages: Vec<StoredDamage>,
    gaps: Vec<StoredGap>,
}

#[derive(Serialize, Deserialize)]
struct StoredRan {
    scenario: String,
    family: Family,
    rules: usize,
    operations: Vec<Operation>,
    pairs: usize,
}

#[derive(Serialize, Deserialize)]
struct StoredDamage {
    scenario: String,
    family: Family,
    table: String,
    chain: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    harms: usize,
    pairs: usize,
}

#[derive(Serialize, Deserialize)]
struct StoredGap {
    #[serde(flatten)]
    what: Untested,
    pairs: usize,
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

fn malformed(error: impl Display) -> PublishedError {
    PublishedError::Malformed(error.to_string())
}

/// The places of things, each once.
struct Places<T>(BTreeMap<T, usize>);

impl<T: Ord + Clone> Places<T> {
    /// Where it is, from 0.
    fn of(&mut self, what: &T) -> usize {
        let next = self.0.len();
        *self.0.entry(what.clone()).or_insert(next)
    }

    /// All of them, in the order of their places.
    fn all(self) -> Vec<T> {
        let mut all: Vec<(T, usize)> = self.0.into_iter().collect();
        all.sort_by_key(|(_, place)| *place);
        all.into_iter().map(|(what, _)| what).collect()
    }
}

/// What is at a place.
fn at<T: Clone>(all: &[T], place: usize) -> Result<T, PublishedError> {
    let of = all.get(place).cloned();
    of.ok_or_else(|| malformed("it refers to something that is not in it"))
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
        let mut text = String::new();
        liblzma::read::XzDecoder::new(bytes)
            .read_to_string(&mut text)
            .map_err(malformed)?;
        Self::of_text(&text)
    }

    /// Reads what is not compressed.
    pub(super) fn of_text(text: &str) -> Result<Self, PublishedError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        // All of it is looked through only where it is of another format, or of none.
        let stored = match serde_json::from_str::<Stored>(text) {
            Ok(stored) if stored.format == FORMAT => stored,
            read => {
                let Format { format } = serde_json::from_str(text).map_err(malformed)?;
                return Err(match read {
                    Err(error) if format == FORMAT => malformed(error),
                    _ => PublishedError::OtherFormat(format),
                });
            }
        };
        Self::of_stored(stored)
    }

    fn of_stored(stored: Stored) -> Result<Self, PublishedError> {
        let mut places = stored.pairings.iter().flatten();
        let is_known = |place: &usize| *place < stored.builds.len();
        if !places.all(|(writers, readers)| writers.iter().chain(readers).all(is_known)) {
            return Err(malformed("it refers to a build that it does not name"));
        }
        let pairings: Vec<Arc<Pairs>> = stored.pairings.into_iter().map(Arc::new).collect();
        let harms: Vec<Arc<[Caused]>> = stored.harms.into_iter().map(Arc::from).collect();
        let ran = stored.ran.into_iter().map(|of| {
            Ok(Ran {
                scenario: of.scenario,
                family: of.family,
                rules: of.rules,
                operations: of.operations,
                pairs: at(&pairings, of.pairs)?,
            })
        });
        let damages = stored.damages.into_iter().map(|of| {
            let what = Damage {
                scenario: of.scenario,
                family: of.family,
                table: of.table,
                chain: of.chain,
                index: of.index,
                written: of.written,
                left: of.left,
                harms: at(&harms, of.harms)?,
            };
            let pairs = at(&pairings, of.pairs)?;
            Ok(Between { what, pairs })
        });
        let gaps = stored.gaps.into_iter().map(|of| {
            let pairs = at(&pairings, of.pairs)?;
            Ok(Between {
                what: of.what,
                pairs,
            })
        });
        Ok(Published {
            lab: stored.lab,
            host: stored.host,
            started: stored.started,
            builds: stored.builds,
            ran: ran.collect::<Result<_, _>>()?,
            damages: damages.collect::<Result<_, _>>()?,
            gaps: gaps.collect::<Result<_, _>>()?,
        })
    }

    fn stored(&self) -> Stored {
        let (mut harms, mut pairings) = (Places(BTreeMap::new()), Places(BTreeMap::new()));
        let ran = self.ran.iter().map(|of| StoredRan {
            scenario: of.scenario.clone(),
            family: of.family,
            rules: of.rules,
            operations: of.operations.clone(),
            pairs: pairings.of(&of.pairs),
        });
        let ran = ran.collect();
        let damages = self
            .damages
            .iter()
            .map(|Between { what, pairs }| StoredDamage {
                scenario: what.scenario.clone(),
                family: what.family,
                table: what.table.clone(),
                chain: what.chain.clone(),
                index: what.index,
                written: what.written.clone(),
                left: what.left.clone(),
                harms: harms.of(&what.harms),
                pairs: pairings.of(pairs),
            });
        let damages = damages.collect();
        let gaps = self.gaps.iter().map(|Between { what, pairs }| StoredGap {
            what: what.clone(),
            pairs: pairings.of(pairs),
        });
        let gaps = gaps.collect();
        Stored {
            format: FORMAT,
            lab: self.lab.clone(),
            host: self.host.clone(),
            started: self.started,
            builds: self.builds.clone(),
            harms: harms.all().iter().map(|of| of.to_vec()).collect(),
            pairings: pairings.all().iter().map(|of| Pairs::clone(of)).collect(),
            ran,
            damages,
            gaps,
        }
    }

    /// The same as bytes.
    ///
    /// # Errors
    /// Never in practice: all of it has a JSON form, and memory can be written to.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        packed(&self.stored())
    }
}

fn packed(stored: &Stored) -> std::io::Result<Vec<u8>> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 9);
    encoder.write_all(&serde_json::to_vec(stored)?)?;
    encoder.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::advice::published::tests::recorded;

    #[test]
    fn what_is_stored_is_read_as_it_was() {
        let published = Published::from(&recorded());
        let read = Published::decode(&published.encode().unwrap()).unwrap();
        assert_eq!(read, published);
    }

    #[rstest]
    #[case::empty(b"", "this is no published report")]
    #[case::other(b"{\"format\": 1}", "this is no published report")]
    fn what_is_no_report_is_named_as_such(#[case] bytes: &[u8], #[case] said: &str) {
        let error = Published::decode(bytes).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn a_report_of_another_format_or_with_dangling_places_is_refused() {
        let refused = |change: &dyn Fn(&mut Stored)| {
            let mut stored = Published::from(&recorded()).stored();
            change(&mut stored);
            Published::decode(&packed(&stored).unwrap()).unwrap_err()
        };
        let error = refused(&|of| of.format = 99);
        assert!(matches!(error, PublishedError::OtherFormat(99)), "{error}");
        let error = refused(&|of| drop(of.builds.pop()));
        assert!(error.to_string().contains("does not name"), "{error}");
        for error in [
            refused(&|of| drop(of.harms.pop())),
            refused(&|of| drop(of.pairings.pop())),
        ] {
            assert!(error.to_string().contains("is not in it"), "{error}");
        }
        // What is older says so, whatever else it has.
        let error = Published::of_text("{\"format\": 3}").unwrap_err();
        assert!(matches!(error, PublishedError::OtherFormat(3)), "{error}");
    }
}
