//! What is wrong with a text, and where: shown with file, line, column, the line itself and a mark under the place.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

/// What is wrong with a ruleset, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The bytes of the text that are at fault.
    pub span: Range<usize>,
    /// The line they begin in, from 1.
    pub line: usize,
    /// The character of that line they begin at, from 1.
    pub column: usize,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Fault {
    /// A fault at these bytes of the text.
    pub fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = &text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Fault {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span,
            message: message.into(),
            help: None,
        }
    }

    /// The same with what to write instead.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same for people: in the file it was found in, with that file's whole text.
    pub fn in_file(self, name: &str, text: &str) -> InFile {
        InFile {
            message: self.message,
            help: self.help,
            line: self.line,
            column: self.column,
            span: self.span.into(),
            text: Arc::new(NamedSource::new(name, text.to_owned())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for Fault {}

/// A fault together with the file it stands in.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{}:{line}:{column}: {message}", text.name())]
pub struct InFile {
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to write instead.
    #[help]
    pub help: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    #[label("here")]
    span: SourceSpan,
    #[source_code]
    text: Arc<NamedSource<String>>,
}
