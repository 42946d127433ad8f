//! Losses that are known already: listed in a file with where they are tracked and why, marked in every report.

mod old;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use miette::{NamedSource, SourceSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::losses::{Worst, worst};
use super::subject::Subject;
use super::{Harm, Matrix};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, KnownSubject};
use crate::plan::Operation;

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
    /// Only cells whose verdict is this one, or, beside any field below, only losses of it; any where absent.
    verdict: Option<Verdict>,
    /// Only losses that this operation shows; any where absent.
    operation: Option<Operation>,
    /// Only losses of just these parts, and of those in `altered` and `added`: names (`match mark`) or globs. None where no part is
    /// lost. Any where all three are absent.
    lost: Option<Vec<String>>,
    /// The parts that have another value.
    altered: Option<Vec<String>>,
    /// The parts that were not there.
    added: Option<Vec<String>>,
    /// Only losses of which a program said this, or a glob; any where absent.
    said: Option<String>,
    /// Only these rules and chains: `KUBE-FIREWALL 2`, `INPUT 1-3+7`, `chain INPUT`, or all of `KUBE-*`, its table before
    /// it where that matters; any where there is none.
    #[serde(default)]
    rules: Vec<String>,
    /// What releases up to 0.1 had in place of parts. It is refused.
    loss: Option<String>,
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
    parts: Option<[Vec<GlobMatcher>; 3]>,
    said: Option<GlobMatcher>,
    rules: Vec<Rules>,
}

/// Which rules of which chains, or which chains themselves.
#[derive(Debug, Clone)]
struct Rules {
    /// `CHAIN` or `TABLE CHAIN`.
    chain: GlobMatcher,
    which: Which,
}

#[derive(Debug, Clone)]
enum Which {
    /// Only the chain itself.
    Chain,
    /// The rules at these places.
    At(Vec<RangeInclusive<usize>>),
    /// The chain and all its rules.
    All,
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
    /// Only cells whose verdict is this one, or, beside any field but these, only losses of it; any where unknown.
    pub verdict: Option<Verdict>,
    /// What a report of an older release has in place of parts: `match mark lost`.
    #[serde(default)]
    pub loss: Option<String>,
    /// Only losses that this operation shows; any where unknown.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Only losses of just these parts, and of those in `altered` and `added`; any where all three are unknown.
    #[serde(default)]
    pub lost: Option<Vec<String>>,
    /// The parts that have another value.
    #[serde(default)]
    pub altered: Option<Vec<String>>,
    /// The parts that were not there.
    #[serde(default)]
    pub added: Option<Vec<String>>,
    /// Only losses of which a program said this; any where unknown.
    #[serde(default)]
    pub said: Option<String>,
    /// Only these rules and chains; any where there is none.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Where it is tracked.
    pub url: String,
    /// Why it is as it is.
    pub reason: String,
    /// How many of the pairings that it names were run.
    pub run: usize,
    /// In how many of these it happened.
    pub happened: usize,
}
/// Why a file of known losses could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum KnownError {
    /// It is no such file.
    #[error("{} is no file of known losses: {message}", path.display())]
    #[diagnostic(help(
        "it is made of [[known]] with scenario, writers, readers, url and reason, and verdict, lost, altered, added, said, \
         operation or rules if only that is known"
    ))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// Its text.
        #[source_code]
        text: Arc<NamedSource<String>>,
        /// Where.
        #[label("here")]
        place: Option<SourceSpan>,
    },
    /// Its entries name losses by what reports of older releases said of them.
    #[error("{}: `loss` is not read any more: parts and verdicts have fields of their own", path.display())]
    #[diagnostic(help("replace the entries that have `loss` by the ones printed above"))]
    OldForm {
        /// The file.
        path: PathBuf,
        /// The entries that have it, in today's form.
        entries: String,
        /// Its text.
        #[source_code]
        text: Arc<NamedSource<String>>,
        /// The first of them.
        #[label("here")]
        place: SourceSpan,
    },
}

impl Known {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// It is not of the form, with the place; or of an older one, with the same in this one.
    pub fn read(path: &str, text: &str) -> Result<Self, KnownError> {
        let source = || Arc::new(NamedSource::new(path, text.to_owned()).with_language("TOML"));
        let error =
            |message: String, place: Option<std::ops::Range<usize>>| KnownError::Malformed {
                path: path.into(),
                message,
                text: source(),
                place: place.map(SourceSpan::from),
            };
        let file: File = toml::from_str(text)
            .map_err(|of: toml::de::Error| error(of.message().to_owned(), of.span()))?;
        let is_old = |entry: &&toml::Spanned<Entry>| entry.get_ref().loss.is_some();
        if let Some(first) = file.known.iter().find(is_old) {
            let entries = file.known.iter().filter(is_old);
            return Err(KnownError::OldForm {
                path: path.into(),
                entries: entries.map(|entry| old::renewed(entry.get_ref())).collect(),
                text: source(),
                place: first.span().into(),
            });
        }
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
        let globs = |texts: &[String]| -> Result<Vec<GlobMatcher>, globset::Error> {
            texts.iter().map(|text| glob(text)).collect()
        };
        let rules = entry.rules.iter().map(|text| Rules::read(text));
        let parts = [&entry.lost, &entry.altered, &entry.added];
        let parts = match parts.iter().any(|names| names.is_some()) {
            true => {
                let [lost, altered, added] =
                    parts.map(|names| globs(names.as_deref().unwrap_or_default()));
                Some([lost?, altered?, added?])
            }
            false => None,
        };
        Ok(Globs {
            scenario: glob(&entry.scenario)?,
            writers: globs(&entry.writers)?,
            readers: globs(&entry.readers)?,
            parts,
            said: entry.said.as_deref().map(glob).transpose()?,
            rules: rules.collect::<Result<_, globset::Error>>()?,
        })
    }

    fn name_parts(&self, harm: &Harm) -> bool {
        let named = self.parts.as_ref();
        named.is_none_or(|[lost, altered, added]| {
            are_just(lost, &harm.lost)
                && are_just(altered, &harm.altered)
                && are_just(added, &harm.added)
        })
    }

    fn name_said(&self, harm: &Harm) -> bool {
        let said = harm.reason.as_deref().unwrap_or_default();
        // What a build said may have brackets in it: the words themselves always name it.
        let is_it = |glob: &GlobMatcher| glob.is_match(said) || glob.glob().glob() == said;
        self.said.as_ref().is_none_or(is_it)
    }

    fn name(&self, cell: &Cell) -> bool {
        let is_one = |globs: &[GlobMatcher], id: &str| globs.iter().any(|glob| glob.is_match(id));
        self.scenario.is_match(&cell.scenario)
            && is_one(&self.writers, cell.writer.as_str())
            && is_one(&self.readers, cell.reader.as_str())
    }
}

/// Whether `globs` name all of `names`, and nothing that is not there.
fn are_just(globs: &[GlobMatcher], names: &[String]) -> bool {
    let is_named = |name: &String| globs.iter().any(|glob| glob.is_match(name));
    let is_there = |glob: &GlobMatcher| names.iter().any(|name| glob.is_match(name));
    names.iter().all(is_named) && globs.iter().all(is_there)
}

fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(Glob::new(text)?.compile_matcher())
}

impl Rules {
    /// Reads what reports print of rules and chains.
    fn read(text: &str) -> Result<Self, globset::Error> {
        if let Some(chain) = text.strip_prefix("chain ") {
            let (chain, which) = (glob(chain)?, Which::Chain);
            return Ok(Rules { chain, which });
        }
        let places = text.rsplit_once(' ');
        let places = places.and_then(|(chain, places)| Some((chain, ranges(places)?)));
        let (chain, which) = match places {
            Some((chain, places)) => (glob(chain)?, Which::At(places)),
            None => (glob(text)?, Which::All),
        };
        Ok(Rules { chain, which })
    }

    fn name(&self, subject: &Subject) -> bool {
        let is_which = match (&self.which, subject.index) {
            (Which::All, _) | (Which::Chain, None) => true,
            (Which::At(places), Some(index)) => places.iter().any(|of| of.contains(&index)),
            (Which::Chain, Some(_)) | (Which::At(_), None) => false,
        };
        let with_table = format!("{} {}", subject.table, subject.chain);
        is_which && (self.chain.is_match(&subject.chain) || self.chain.is_match(with_table))
    }
}

/// `1-4+7`, as reports print it.
fn ranges(text: &str) -> Option<Vec<RangeInclusive<usize>>> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.split('+').map(range).collect()
}

impl Entry {
    /// Whether it names what comes to harm in a cell that it names.
    fn names(&self, globs: &Globs, cell: &Cell, worst: &Worst) -> bool {
        let harm = &worst.form.harm;
        let verdict = match self.names_all(globs) {
            true => cell.verdict,
            false => harm.verdict,
        };
        let is_rule = |rules: &Rules| rules.name(&worst.subject);
        self.verdict.is_none_or(|of| of == verdict)
            && self.operation.is_none_or(|of| of == harm.operation)
            && globs.name_parts(harm)
            && globs.name_said(harm)
            && (globs.rules.is_empty() || globs.rules.iter().any(is_rule))
    }

    /// Whether it names all losses of its cells.
    fn names_all(&self, globs: &Globs) -> bool {
        let is_any = globs.parts.is_none() && globs.said.is_none() && globs.rules.is_empty();
        is_any && self.operation.is_none()
    }
}

impl Matrix {
    /// Marks the losses that are known, each by the first entry that names it, and the cells all of whose losses are, and
    /// says of every entry what came of it.
    pub fn mark(&mut self, known: &Known) {
        let entries = known.entries.iter();
        self.known = entries
            .map(|(entry, _)| KnownLoss::of(entry.clone()))
            .collect();
        for cell in &mut self.cells {
            (cell.known, cell.known_losses) = (None, Vec::new());
            let harms = worst(cell);
            let mut named: Vec<Option<usize>> = vec![None; harms.len()];
            for (place, (entry, globs)) in known.entries.iter().enumerate() {
                if !globs.name(cell) {
                    continue;
                }
                let loss = &mut self.known[place];
                loss.run += 1;
                let mut happened = false;
                for (harm, named) in harms.iter().zip(&mut named) {
                    if entry.names(globs, cell, harm) {
                        happened = true;
                        *named = named.or(Some(place));
                    }
                }
                loss.happened += usize::from(happened);
            }
            let is_whole = named.iter().all(Option::is_some);
            cell.known = named.iter().flatten().min().copied().filter(|_| is_whole);
            let marked = harms.into_iter().zip(named);
            cell.known_losses = marked
                .filter_map(|(harm, named)| {
                    Some(KnownSubject {
                        known: named?,
                        table: harm.subject.table,
                        chain: harm.subject.chain,
                        index: harm.subject.index,
                    })
                })
                .collect();
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
            loss: None,
            operation: entry.operation,
            lost: entry.lost,
            altered: entry.altered,
            added: entry.added,
            said: entry.said,
            rules: entry.rules,
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
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;

    fn matrix_of(file: &str) -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join(file);
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    fn matrix() -> Matrix {
        matrix_of("kube-firewall-by-1.8.9.jsonl")
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
        assert!(losses.iter().any(|loss| loss.known == Some(0)));
    }

    /// In `docker`, the destination of DOCKER 1 is altered, and the source of POSTROUTING 1 and 2.
    #[rstest]
    #[case::all("", &["DOCKER 1", "POSTROUTING 1", "POSTROUTING 2"])]
    #[case::of_the_cells_verdict("verdict = 'lossy'", &["DOCKER 1", "POSTROUTING 1", "POSTROUTING 2"])]
    #[case::of_another_verdict("verdict = 'misread'", &[])]
    #[case::by_part("altered = ['destination']", &["DOCKER 1"])]
    #[case::by_glob("altered = ['*']", &["DOCKER 1", "POSTROUTING 1", "POSTROUTING 2"])]
    #[case::that_is_not_there("lost = ['match mark']", &[])]
    #[case::that_is_not_lost("lost = ['destination']", &[])]
    #[case::and_no_others("altered = ['destination', 'source']", &[])]
    #[case::names_are_whole("altered = ['dest']", &[])]
    #[case::of_the_whole_rule("lost = []", &[])]
    #[case::that_was_said("said = 'Bad*'", &[])]
    #[case::by_operation("operation = 'sync'", &[])]
    #[case::by_the_operation("operation = 'save'", &["DOCKER 1", "POSTROUTING 1", "POSTROUTING 2"])]
    #[case::by_rule("rules = ['POSTROUTING 2']", &["POSTROUTING 2"])]
    #[case::by_rules("rules = ['POSTROUTING 1-2']", &["POSTROUTING 1", "POSTROUTING 2"])]
    #[case::by_some_rules("rules = ['POSTROUTING 3-7+1']", &["POSTROUTING 1"])]
    #[case::by_chain("rules = ['D*']", &["DOCKER 1"])]
    #[case::by_table("rules = ['nat POSTROUTING 1', 'nat DOCKER']", &["POSTROUTING 1"])]
    #[case::the_chain_itself("rules = ['chain DOCKER']", &[])]
    #[case::both("altered = ['source']\nrules = ['* 1']", &["POSTROUTING 1"])]
    #[case::a_verdict_beside("verdict = 'lossy'\nrules = ['DOCKER']", &["DOCKER 1"])]
    #[case::another_verdict_beside("verdict = 'misread'\nrules = ['DOCKER']", &[])]
    fn an_entry_names_only_what_it_says(#[case] more: &str, #[case] names: &[&str]) {
        let mut matrix = matrix_of("docker-by-1.8.10.jsonl");
        let entry = entry("*", more).replace("kube-*", "docker");
        matrix.mark(&Known::read("known.toml", &entry).unwrap());
        let mut happened = 0;
        for cell in matrix.cells.iter().filter(|cell| !worst(cell).is_empty()) {
            let known = cell.known_losses.iter();
            let known = known.map(|of| format!("{} {}", of.chain, of.index.unwrap()));
            assert_eq!(known.collect::<Vec<_>>(), names);
            assert_eq!(cell.known, (names.len() == 3).then_some(0));
            happened += 1;
        }
        assert!(happened > 0);
        let counted = if names.is_empty() { 0 } else { happened };
        assert_eq!(matrix.known[0].happened, counted);
        assert_eq!(matrix.known[0].run, matrix.cells.len());
        // What is not known counts against another run, and what is known does not.
        let mut without = matrix.clone();
        for cell in &mut without.cells {
            Arc::make_mut(&mut cell.outcome).rules = Vec::new().into();
        }
        let difference = crate::matrix::difference(&without, &matrix);
        let came = difference
            .changes
            .iter()
            .flat_map(|of| of.subjects.values());
        assert_eq!(came.flatten().count(), 3 - names.len());
    }

    #[test]
    fn entries_share_the_losses_of_a_cell() {
        let mut matrix = matrix_of("docker-by-1.8.10.jsonl");
        let of =
            |part: &str| entry("*", &format!("altered = ['{part}']\n")).replace("kube-*", "docker");
        let text = of("source") + &of("*");
        matrix.mark(&Known::read("known.toml", &text).unwrap());
        let cell = matrix.cells.iter().find(|cell| cell.known.is_some());
        let cell = cell.unwrap();
        assert_eq!(cell.known, Some(0));
        let places: Vec<usize> = cell.known_losses.iter().map(|of| of.known).collect();
        assert_eq!(places, [1, 0, 0]);
    }

    #[rstest]
    #[case("[[known]]\nscenario = 'a'\n", "missing field `writers`")]
    #[case("[[knwon]]\n", "unknown field `knwon`")]
    #[case(
        "[[known]]\nscenario = '['\nwriters = []\nreaders = []\nurl = ''\nreason = ''\n",
        "unclosed character class"
    )]
    #[case(
        "[[known]]\nscenario = ''\nwriters = []\nreaders = []\nurl = ''\nreason = ''\nrules = ['[ 1']\n",
        "unclosed character class"
    )]
    fn what_is_no_such_file_is_refused(#[case] text: &str, #[case] words: &str) {
        let error = Known::read("known.toml", text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
