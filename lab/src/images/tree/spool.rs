//! The contents of a tree's files, one after the other in one unnamed temporary file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::refused::Refused;

/// Where a file's bytes lie in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    offset: u64,
    pub(super) length: u64,
}

/// All contents, and how many bytes may still be taken in.
pub(super) struct Spool {
    file: File,
    written: u64,
    room: u64,
}

impl Spool {
    /// An empty one in `folder`.
    pub(super) fn new(folder: &Path) -> io::Result<Spool> {
        Ok(Spool {
            file: tempfile::tempfile_in(folder)?,
            written: 0,
            room: u64::MAX,
        })
    }

    /// Takes in no more than so many bytes from now on.
    pub(super) fn limit(&mut self, bytes: u64) {
        self.room = bytes;
    }

    /// Counts `bytes` as taken in.
    ///
    /// # Errors
    /// They are more than may be.
    pub(super) fn take(&mut self, bytes: u64) -> io::Result<()> {
        self.room = self.room.checked_sub(bytes).ok_or(Refused::TooLarge)?;
        Ok(())
    }

    /// Takes in all that `from` gives.
    ///
    /// # Errors
    /// It cannot be read or written down, or is more than may be.
    pub(super) fn add(&mut self, from: &mut dyn Read) -> io::Result<Content> {
        let offset = self.written;
        let mut buffer = [0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.take(read as u64)?;
            self.file.write_all_at(&buffer[..read], self.written)?;
            self.written += read as u64;
        }
        let length = self.written - offset;
        Ok(Content { offset, length })
    }

    /// The bytes of a file.
    pub(super) fn read(&self, content: Content) -> impl Read {
        Reader {
            file: &self.file,
            at: content.offset,
            end: content.offset + content.length,
        }
    }
}

struct Reader<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
