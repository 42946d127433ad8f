//! Losses that are known already: listed in a file with where they are tracked and why, marked in every report.

mod entry;
mod file;
mod globs;
mod old;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use entry::Entry;
pub use file::{Known, KnownError};

use super::Matrix;
use super::losses::worst;
use crate::judge::KnownSubject;
use crate::judge::verdict::Verdict;
use crate::plan::Operation;

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
    /// Only losses of this cause; any where unknown.
    #[serde(default)]
    pub cause: Option<String>,
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

/// A loss of a cell, and the name of its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLoss {
    /// The rule's place among the cell's rules; none where a chain suffers.
    pub rule: Option<usize>,
    /// What was said of it.
    pub verdict: Verdict,
    /// The part that is lost; empty where it is the whole.
    pub part: String,
    /// What its cause is called.
    pub cause: String,
}

impl Matrix {
    /// Marks the losses that are known, each by the first entry that names it, and the cells all of whose losses are, and
    /// says of every entry what came of it. `losses` are those of each cell by their causes, which may be missing where no entry names one.
    pub fn mark(&mut self, known: &Known, losses: &[Vec<NamedLoss>]) {
        let entries = known.entries.iter();
        self.known = entries
            .map(|(entry, _)| KnownLoss::of(entry.clone()))
            .collect();
        for (at, cell) in self.cells.iter_mut().enumerate() {
            let losses = losses.get(at).map(Vec::as_slice).unwrap_or_default();
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
                    if entry.names(globs, cell, harm, losses) {
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
            cause: entry.cause.map(toml::Spanned::into_inner),
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
        matrix.mark(
            &Known::read("known.toml", &text.concat(), &[]).unwrap(),
            &[],
        );
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
        matrix.mark(&Known::read("known.toml", &entry, &[]).unwrap(), &[]);
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
        matrix.mark(&Known::read("known.toml", &text, &[]).unwrap(), &[]);
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
        "` is no glob: invalid range pattern, at character 1"
    )]
    #[case(
        "[[known]]\nscenario = ''\nwriters = []\nreaders = []\nurl = ''\nreason = ''\nrules = ['[ 1']\n",
        "` is no glob: invalid range pattern, at character 1"
    )]
    fn what_is_no_such_file_is_refused(#[case] text: &str, #[case] words: &str) {
        let error = Known::read("known.toml", text, &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
