//! Where results go: standard output, or files that are open before the work is done.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use miette::miette;

use crate::experiment::{Failure, OrFailure};
use crate::report;

/// Where each form goes: a file that is open before the work is done, so that a path that cannot be written is found
/// then, or standard output. What the files hold stays until there is something to write.
pub struct Targets<F>(Vec<(F, Option<Target>)>);

/// A file that is open.
struct Target {
    path: PathBuf,
    file: std::fs::File,
}

impl<F: Copy + PartialEq> Targets<F> {
    /// Opens the files, each for the format at the same place.
    ///
    /// # Errors
    /// More files than formats, one that is named twice, or one that cannot be created.
    pub fn open(formats: &[F], default: F, files: &[PathBuf]) -> Result<Self, Failure> {
        let formats = match formats {
            [] => vec![default],
            some => some.to_vec(),
        };
        if files.len() > formats.len() {
            let (files, formats) = (files.len(), formats.len());
            let error = miette!("there are {files} files for {formats} formats");
            return Err(Failure::bad_input(error));
        }
        let mut targets = Vec::new();
        for (at, format) in formats.into_iter().enumerate() {
            let target = match files.get(at).filter(|path| path.as_os_str() != "-") {
                Some(path) if files[..at].contains(path) => {
                    let error = miette!("{} is named twice as --output", path.display());
                    return Err(Failure::bad_input(error));
                }
                Some(path) => Some(Target::open(path)?),
                None => None,
            };
            targets.push((format, target));
        }
        Ok(Targets(targets))
    }

    /// Whether this form goes anywhere.
    pub fn has(&self, format: F) -> bool {
        self.0.iter().any(|(of, _)| *of == format)
    }

    /// Writes each form, in the width of where it goes.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write(
        self,
        mut write: impl FnMut(F, Width, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        for (format, target) in self.0 {
            match target {
                Some(target) => target.replace(|to| write(format, Width::OfPage, to))?,
                None => printed(|to| write(format, Width::Of(width()), to))?,
            }
        }
        Ok(())
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| cannot_write(path, &error))
            .or_bad_input()?;
        let path = path.to_owned();
        Ok(Target { path, file })
    }

    fn replace(
        self,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let replaced = || {
            // A pipe or a device has no length.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            let mut file = BufWriter::new(&self.file);
            write(&mut file)?;
            file.flush()
        };
        replaced()
            .map_err(|error| cannot_write(&self.path, &error))
            .or_lacks()
    }
}

/// Prints to standard output; a pipe that is closed at the other end is nobody's fault.
///
/// # Errors
/// It cannot be written, as on a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    printed(|to| to.write_all(text.as_bytes()))
}

fn printed(write: impl FnOnce(&mut Printing) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(anstream::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(miette!("standard output cannot be written: {error}")).or_lacks()
        }
        _ => Ok(()),
    }
}

/// Writes to a file.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| cannot_write(path, &error))
        .or_lacks()
}

/// The columns of the terminal; of pipes and files a width that fits a page.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let terminal = || {
        let is_terminal = std::io::stdout().is_terminal();
        is_terminal
            .then(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
            .flatten()
    };
    columns
        .or_else(terminal)
        .unwrap_or(report::terminal::DEFAULT_WIDTH)
        .max(40)
}

/// Standard output, buffered: a report is written in small pieces.
type Printing = BufWriter<anstream::AutoStream<std::io::StdoutLock<'static>>>;

/// How wide text is.
#[derive(Clone, Copy)]
pub enum Width {
    /// As wide as a page, without colours.
    OfPage,
    /// So many columns of a terminal.
    Of(usize),
}

impl Width {
    /// Text in this width. Colours are for terminals: what goes to standard output loses them there where that is none.
    pub fn text(self, render: impl FnOnce(usize) -> String) -> String {
        match self {
            Width::OfPage => {
                let text = render(report::terminal::DEFAULT_WIDTH);
                anstream::adapter::strip_str(&text).to_string()
            }
            Width::Of(columns) => render(columns),
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> miette::Report {
    miette!("{} cannot be written: {error}", path.display())
}
