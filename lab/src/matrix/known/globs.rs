//! Which losses an entry of a file of known losses names.

use std::ops::RangeInclusive;

use glob::{Pattern, PatternError};

use super::entry::Entry;
use crate::judge::Cell;
use crate::matrix::losses::Worst;
use crate::matrix::subject::Subject;
use crate::matrix::{Harm, NamedLoss};

/// A text that is no glob.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no glob: {}, at character {}", .error.msg, .error.pos + 1)]
pub struct NoGlob {
    text: String,
    error: PatternError,
}

/// What an entry names, as globs.
#[derive(Debug, Clone)]
pub struct Globs {
    scenario: Pattern,
    writers: Vec<Pattern>,
    readers: Vec<Pattern>,
    parts: Option<[Vec<Pattern>; 3]>,
    said: Option<Pattern>,
    rules: Vec<Rules>,
}

/// Which rules of which chains, or which chains themselves.
#[derive(Debug, Clone)]
struct Rules {
    /// `CHAIN` or `TABLE CHAIN`.
    chain: Pattern,
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

impl Globs {
    /// Those of an entry.
    pub fn of(entry: &Entry) -> Result<Self, NoGlob> {
        let globs = |texts: &[String]| -> Result<Vec<Pattern>, NoGlob> {
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
            rules: rules.collect::<Result<_, NoGlob>>()?,
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
        let is_it = |glob: &Pattern| glob.matches(said) || glob.as_str() == said;
        self.said.as_ref().is_none_or(is_it)
    }

    /// Whether they name a cell.
    pub fn name(&self, cell: &Cell) -> bool {
        let is_one = |globs: &[Pattern], id: &str| globs.iter().any(|glob| glob.matches(id));
        self.scenario.matches(&cell.scenario)
            && is_one(&self.writers, cell.writer.as_str())
            && is_one(&self.readers, cell.reader.as_str())
    }
}

/// Whether `globs` name all of `names`, and nothing that is not there.
fn are_just(globs: &[Pattern], names: &[String]) -> bool {
    let is_named = |name: &String| globs.iter().any(|glob| glob.matches(name));
    let is_there = |glob: &Pattern| names.iter().any(|name| glob.matches(name));
    names.iter().all(is_named) && globs.iter().all(is_there)
}

fn glob(text: &str) -> Result<Pattern, NoGlob> {
    Pattern::new(text).map_err(|error| NoGlob {
        text: text.to_owned(),
        error,
    })
}

impl Rules {
    /// Reads what reports print of rules and chains.
    fn read(text: &str) -> Result<Self, NoGlob> {
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
        is_which && (self.chain.matches(&subject.chain) || self.chain.matches(&with_table))
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
    pub fn names(&self, globs: &Globs, cell: &Cell, worst: &Worst, losses: &[NamedLoss]) -> bool {
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
            && self.names_cause(worst, losses)
            && (globs.rules.is_empty() || globs.rules.iter().any(is_rule))
    }

    /// Whether all that is lost is lost by its cause.
    fn names_cause(&self, worst: &Worst, losses: &[NamedLoss]) -> bool {
        let Some(cause) = &self.cause else {
            return true;
        };
        let harm = &worst.form.harm;
        let is_of = |loss: &&NamedLoss| {
            let is_part = harm.parts().any(|(part, _)| part == loss.part);
            let is_whole = !harm.takes_parts() && loss.verdict == harm.verdict;
            loss.rule == worst.rule && (is_part || is_whole)
        };
        let mut of_harm = losses.iter().filter(is_of).peekable();
        of_harm.peek().is_some() && of_harm.all(|loss| loss.cause == *cause.get_ref())
    }

    /// Whether it names all losses of its cells.
    fn names_all(&self, globs: &Globs) -> bool {
        let is_any = globs.parts.is_none() && globs.said.is_none() && globs.rules.is_empty();
        is_any && self.operation.is_none() && self.cause.is_none()
    }
}
