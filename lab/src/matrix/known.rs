//! Losses that are known already: listed in a file with where they are tracked and why, marked in every report.

use std::path::PathBuf;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use miette::{NamedSource, SourceSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Matrix;
use super::losses::of_cell;
use crate::judge::Cell;
use crate::judge::verdict::Verdict;

/// A file of known losses.
#[derive(Debug, Clone, Default)]
pub struct Known {
    entries: Vec<(Entry, Globs)>,
}

/// The form of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<toml::Spanned<Entry>>,
}

/// One known loss, as the file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Which scenarios: a name or a glob.
    scenario: String,
    /// Who writes: ids or globs.
    writers: Vec<String>,
    /// Who reads: ids or globs.
    readers: Vec<String>,
    /// Only cells whose verdict is this one; any where absent.
    verdict: Option<Verdict>,
    /// Where it is tracked.
    url: String,
    /// Why it is as it is.
    reason: String,
}

#[derive(Debug, Clone)]
struct Globs {
    scenario: GlobMatcher,
    writers: Vec<GlobMatcher>,
    readers: Vec<GlobMatcher>,
}

/// One known loss, and what came of it in this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownLoss {
    /// Which scenarios: a name or a glob.
    pub scenario: String,
    /// Who writes: ids or globs.
    pub writers: Vec<String>,
    /// Who reads: ids or globs.
    pub readers: Vec<String>,
    /// Only cells whose verdict is this one; any where unknown.
    pub verdict: Option<Verdict>,
    /// Where it is tracked.
    pub url: String,
    /// Why it is as it is.
    pub reason: String,
    /// How many of the pairings that it names were run.
    pub run: usize,
    /// In how many of these it happened.
    pub happened: usize,
}

impl KnownLoss {
    /// Why and where it is known.
    pub fn in_words(&self) -> String {
        format!("{} ({})", self.reason, self.url)
    }
}

/// Why a file of known losses could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{} is no file of known losses: {message}", path.display())]
#[diagnostic(help(
    "it is made of [[known]] with scenario, writers, readers, url and reason, and a verdict if only that is known"
))]
pub struct KnownError {
    path: PathBuf,
    message: String,
    #[source_code]
    text: Arc<NamedSource<String>>,
    #[label("here")]
    place: Option<SourceSpan>,
}

impl Known {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// It is not of the form, with the place.
    pub fn read(path: &str, text: &str) -> Result<Self, KnownError> {
        let error = |message: String, place: Option<std::ops::Range<usize>>| KnownError {
            path: path.into(),
            message,
            text: Arc::new(NamedSource::new(path, text.to_owned()).with_language("TOML")),
            place: place.map(SourceSpan::from),
        };
        let file: File = toml::from_str(text)
            .map_err(|of: toml::de::Error| error(of.message().to_owned(), of.span()))?;
        let entries = file.known.into_iter().map(|entry| {
            let place = entry.span();
            let entry = entry.into_inner();
            let globs = Globs::of(&entry).map_err(|of| error(of.to_string(), Some(place)))?;
            Ok((entry, globs))
        });
        let entries = entries.collect::<Result<Vec<_>, KnownError>>()?;
        Ok(Known { entries })
    }
}

impl Globs {
    fn of(entry: &Entry) -> Result<Self, globset::Error> {
        let glob = |text: &String| Ok(Glob::new(text)?.compile_matcher());
        Ok(Globs {
            scenario: glob(&entry.scenario)?,
            writers: entry
                .writers
                .iter()
                .map(glob)
                .collect::<Result<_, globset::Error>>()?,
            readers: entry
                .readers
                .iter()
                .map(glob)
                .collect::<Result<_, globset::Error>>()?,
        })
    }

    fn name(&self, cell: &Cell) -> bool {
        let is_one = |globs: &[GlobMatcher], id: &str| globs.iter().any(|glob| glob.is_match(id));
        self.scenario.is_match(&cell.scenario)
            && is_one(&self.writers, cell.writer.as_str())
            && is_one(&self.readers, cell.reader.as_str())
    }
}

impl Matrix {
    /// Marks the cells whose loss is known, each by the first entry that names it, and says of every entry what came of
    /// it.
    pub fn mark(&mut self, known: &Known) {
        let entries = known.entries.iter();
        self.known = entries
            .map(|(entry, _)| KnownLoss::of(entry.clone()))
            .collect();
        for cell in &mut self.cells {
            cell.known = None;
            let is_lost = !of_cell(cell).is_empty();
            for (place, (entry, globs)) in known.entries.iter().enumerate() {
                if !globs.name(cell) {
                    continue;
                }
                let loss = &mut self.known[place];
                loss.run += 1;
                let is_meant = entry.verdict.is_none_or(|verdict| verdict == cell.verdict);
                if is_lost && is_meant {
                    loss.happened += 1;
                    cell.known = cell.known.or(Some(place));
                }
            }
        }
    }
}

impl KnownLoss {
    fn of(entry: Entry) -> Self {
        KnownLoss {
            scenario: entry.scenario,
            writers: entry.writers,
            readers: entry.readers,
            verdict: entry.verdict,
            url: entry.url,
            reason: entry.reason,
            run: 0,
            happened: 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn matrix() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    fn entry(readers: &str, more: &str) -> String {
        format!(
            "[[known]]\nscenario = 'kube-*'\nwriters = ['*']\nreaders = ['{readers}']\n\
             url = 'https://example.org/1'\nreason = 'old'\n{more}"
        )
    }

    #[test]
    fn a_known_loss_is_marked_and_one_that_does_not_happen_is_counted() {
        let mut matrix = matrix();
        let lossy = matrix
            .cells
            .iter()
            .find(|cell| cell.verdict.is_silent_damage())
            .unwrap();
        let reader = lossy.reader.to_string();
        let text = [
            entry(&reader, ""),
            entry("*", "verdict = 'crashed'\n"),
            entry("none", ""),
        ];
        matrix.mark(&Known::read("known.toml", &text.concat()).unwrap());
        let counts: Vec<(usize, usize)> = matrix
            .known
            .iter()
            .map(|of| (of.run, of.happened))
            .collect();
        assert!(counts[0].1 > 0, "{counts:?}");
        assert!(counts[1].0 > 0 && counts[1].1 == 0, "{counts:?}");
        assert_eq!(counts[2], (0, 0));
        let marked = matrix.cells.iter().filter(|cell| cell.known.is_some());
        assert!(marked.clone().all(|cell| cell.reader.as_str() == reader));
        assert_eq!(marked.count(), counts[0].1);
        let losses = super::super::losses(&matrix, "kube-firewall");
        assert!(
            losses
                .iter()
                .any(|loss| loss.known.as_deref() == Some("old (https://example.org/1)"))
        );
    }

    #[rstest]
    #[case("[[known]]\nscenario = 'a'\n", "missing field `writers`")]
    #[case("[[knwon]]\n", "unknown field `knwon`")]
    #[case(
        "[[known]]\nscenario = '['\nwriters = []\nreaders = []\nurl = ''\nreason = ''\n",
        "unclosed character class"
    )]
    fn what_is_no_such_file_is_refused(#[case] text: &str, #[case] words: &str) {
        let error = Known::read("known.toml", text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
