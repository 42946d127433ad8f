//! The file of known losses: its form, and what is wrong with one that cannot be read.

use std::path::PathBuf;
use std::sync::Arc;

use miette::{NamedSource, SourceSpan};
use serde::Deserialize;

use super::entry::Entry;
use super::globs::Globs;
use super::old;

/// A file of known losses.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub(super) entries: Vec<(Entry, Globs)>,
}

/// The form of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<toml::Spanned<Entry>>,
}

/// Why a file of known losses could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum KnownError {
    /// It is no such file.
    #[error("{} is no file of known losses: {message}", path.display())]
    #[diagnostic(help(
        "it is made of [[known]] with scenario, writers, readers, url and reason, and verdict, lost, altered, added, said, \
         operation, cause or rules if only that is known"
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
    /// Reads the text of the file at `path`. Its entries name causes among `causes`, or such as nobody named.
    ///
    /// # Errors
    /// It is not of the form, or names a cause that there is not, with the place; or it is of an older form, with the same in this one.
    pub fn read(path: &str, text: &str, causes: &[String]) -> Result<Self, KnownError> {
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
        let named = file
            .known
            .iter()
            .filter_map(|of| of.get_ref().cause.as_ref());
        let is_known = |name: &String| causes.contains(name) || is_unnamed(name);
        let mut unknown = named.filter(|name| !is_known(name.get_ref()));
        if let Some(name) = unknown.next() {
            let message = format!(
                "no cause is called {}; there are: {}",
                name.get_ref(),
                causes.join(", ")
            );
            return Err(error(message, Some(name.span())));
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

    /// Whether an entry names a cause.
    pub fn names_causes(&self) -> bool {
        self.entries.iter().any(|(entry, _)| entry.cause.is_some())
    }
}

/// Whether a cause that nobody has named can be called so: `c` and eight hexadecimal digits.
fn is_unnamed(name: &str) -> bool {
    let digits = name.strip_prefix('c').unwrap_or_default();
    digits.len() == 8 && digits.chars().all(|of| matches!(of, '0'..='9' | 'a'..='f'))
}
