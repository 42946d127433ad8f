//! A recording in its file: JSON lines, written and read one by one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FORMAT, Head, LoadRecord, Recording, RunEnd};

/// How much is written at a time, in bytes.
const PIECE: usize = 256 << 10;

/// One line of the file after the head.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line<L> {
    Load(L),
    End(RunEnd),
}

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RecordingError {
    /// The file cannot be opened, read or written.
    #[error("the recording {} cannot be {doing}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Not a recording, or damaged.
    #[error("{}:{line}: this is no line of a recording: {source}", path.display())]
    #[diagnostic(help("a recording is what `iptables-lab matrix --record FILE` writes"))]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A load refers to what the recording does not hold.
    #[error("{}:{line}: this load refers to {what} that the recording does not hold", path.display())]
    Incomplete {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is not there.
        what: &'static str,
    },
    /// Another version of the format.
    #[error("{}:1: this is a recording of format {found}, and this program reads format {FORMAT}", path.display())]
    #[diagnostic(help("judge it with the release of iptables-lab that made it"))]
    OtherFormat {
        /// Which file.
        path: PathBuf,
        /// The format it says it has.
        found: u64,
    },
}

/// Writes a recording, line by line. A line that cannot be written whole, as on a full disk, is taken back.
pub struct RecordingWriter {
    path: PathBuf,
    file: File,
    /// The bytes of the lines that were written whole.
    whole: u64,
}

impl RecordingWriter {
    /// Opens the file, so that a path that cannot be written is found before the run and not after it. What it holds
    /// stays until the head is written.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be opened.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let file = File::options().append(true).create(true).open(path);
        let file = file.map_err(|source| io_error(path, "written", source))?;
        Ok(RecordingWriter {
            path: path.to_owned(),
            file,
            whole: 0,
        })
    }

    /// Opens the file of a run that was cut short, to add to its first `keep` bytes.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be opened.
    pub fn resume(path: &Path, keep: u64) -> Result<Self, RecordingError> {
        let file = File::options().append(true).open(path);
        let file = file.and_then(|file| file.set_len(keep).map(|()| file));
        let file = file.map_err(|source| io_error(path, "written", source))?;
        Ok(RecordingWriter {
            path: path.to_owned(),
            file,
            whole: keep,
        })
    }

    /// Writes the first line, in the place of all that the file held.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be written.
    pub fn head(&mut self, head: &Head) -> Result<(), RecordingError> {
        self.cut()
            .map_err(|source| io_error(&self.path, "written", source))?;
        self.line(head)
    }

    /// Writes a load.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be written.
    pub fn load(&mut self, load: &LoadRecord) -> Result<(), RecordingError> {
        self.line(&Line::Load(load))
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be written.
    pub fn end(&mut self, end: &RunEnd) -> Result<(), RecordingError> {
        self.line(&Line::<LoadRecord>::End(end.clone()))
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), RecordingError> {
        match write_line(&self.file, line) {
            Ok(length) => {
                self.whole += length;
                Ok(())
            }
            Err(source) => {
                // The error that counts is the first one; a part of a line that stays is left out by who reads it.
                let _ = self.cut();
                Err(io_error(&self.path, "written", source))
            }
        }
    }

    /// Cuts the file off behind its last whole line. A pipe or a device has no length.
    fn cut(&self) -> io::Result<()> {
        match self.file.metadata()?.is_file() {
            true => self.file.set_len(self.whole),
            false => Ok(()),
        }
    }
}

/// Writes a line as it is made, for that of a load of many rules is long. Gives its length in bytes.
fn write_line(file: &File, line: &impl Serialize) -> io::Result<u64> {
    /// Counts what goes through.
    struct Counted<W>(W, u64);

    impl<W: Write> Write for Counted<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.0.write(bytes)?;
            self.1 += written as u64;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    let mut text = BufWriter::with_capacity(PIECE, Counted(file, 0));
    serde_json::to_writer(&mut text, line)?;
    text.write_all(b"\n")?;
    text.flush()?;
    Ok(text.get_ref().1)
}

/// A recording as it lies in a file, and how much of the file is whole.
pub struct Stored {
    /// What the file holds.
    pub recording: Recording,
    /// The bytes up to the end of its last whole load: where a resumed run goes on.
    pub whole: u64,
}

/// Reads a recording. A last line that was cut off, as a killed run leaves it, is left out.
///
/// # Errors
/// The file cannot be read, is no recording, or is one of another format.
pub fn read(path: &Path) -> Result<Stored, RecordingError> {
    let mut reader = RecordingReader::open(path)?;
    let mut loads = Vec::new();
    while let Some(load) = reader.load()? {
        loads.push(load);
    }
    let RecordingReader {
        head, end, whole, ..
    } = reader;
    let recording = Recording { head, loads, end };
    Ok(Stored { recording, whole })
}

/// Reads a recording load by load, so that it need not be in memory.
pub struct RecordingReader {
    /// What the run was.
    pub head: Head,
    /// How it ended, once all loads were read; none if it was killed.
    pub end: Option<RunEnd>,
    path: PathBuf,
    lines: BufReader<File>,
    /// The number of the line in hand.
    number: usize,
    /// The bytes up to the end of the last whole load.
    whole: u64,
}

impl RecordingReader {
    /// Opens the file and reads its head.
    ///
    /// # Errors
    /// The file cannot be read, is no recording, or is one of another format.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|source| io_error(path, "read", source))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        let whole = next_line(&mut lines, &mut line, path)?;
        Ok(RecordingReader {
            head: head(&line, path)?,
            end: None,
            path: path.to_owned(),
            lines,
            number: 1,
            whole,
        })
    }

    /// The next load; none where there is no more. A last line that was cut off, as a killed run leaves it, is left out.
    ///
    /// # Errors
    /// The file cannot be read, or what comes is no line of a recording.
    pub fn load(&mut self) -> Result<Option<LoadRecord>, RecordingError> {
        let mut line = Vec::new();
        loop {
            let length = next_line(&mut self.lines, &mut line, &self.path)?;
            if !line.ends_with(b"\n") {
                return Ok(None);
            }
            self.number += 1;
            let (path, line_number) = (self.path.clone(), self.number);
            let read = serde_json::from_slice(&line);
            let load: LoadRecord = match read.map_err(|source| RecordingError::Malformed {
                path: path.clone(),
                line: line_number,
                source,
            })? {
                Line::Load(load) => load,
                Line::End(end) => {
                    self.end = Some(end);
                    continue;
                }
            };
            if let Some(what) = load.dangling(&self.head) {
                return Err(RecordingError::Incomplete {
                    path,
                    line: line_number,
                    what,
                });
            }
            self.whole += length;
            return Ok(Some(load));
        }
    }
}

fn head(line: &[u8], path: &Path) -> Result<Head, RecordingError> {
    #[derive(Deserialize)]
    struct Format {
        recording: u64,
    }
    let malformed = |source| RecordingError::Malformed {
        path: path.to_owned(),
        line: 1,
        source,
    };
    let format: Format = serde_json::from_slice(line).map_err(malformed)?;
    if format.recording != u64::from(FORMAT) {
        return Err(RecordingError::OtherFormat {
            path: path.to_owned(),
            found: format.recording,
        });
    }
    serde_json::from_slice(line).map_err(malformed)
}

fn next_line(
    reader: &mut impl BufRead,
    line: &mut Vec<u8>,
    path: &Path,
) -> Result<u64, RecordingError> {
    line.clear();
    let length = reader
        .read_until(b'\n', line)
        .map_err(|source| io_error(path, "read", source))?;
    Ok(length as u64)
}

fn io_error(path: &Path, doing: &'static str, source: io::Error) -> RecordingError {
    RecordingError::Io {
        path: path.to_owned(),
        doing,
        source,
    }
}
