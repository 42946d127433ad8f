//! Digests of files and of what a build is made from.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::catalog::Digest;

/// Passes what is written through, and hashes it.
pub(super) struct Hashing<W, H> {
    to: W,
    hash: H,
}

impl<W, H: sha2::Digest> Hashing<W, H> {
    pub(super) fn new(to: W) -> Self {
        Hashing { to, hash: H::new() }
    }

    pub(super) fn into_parts(self) -> (W, H) {
        (self.to, self.hash)
    }
}

impl<W: Write, H: sha2::Digest> Write for Hashing<W, H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The digest that a hash came to.
pub(super) fn finish(hash: Sha256) -> Digest {
    hex::encode(hash.finalize())
        .parse()
        .expect("sha256 as hexadecimal is a digest")
}

/// The digest of bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> Digest {
    finish(Sha256::new_with_prefix(bytes))
}

/// The digest of a file.
pub(crate) fn of_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(finish(hash)),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Collects what a build is made from, and gives its key: the same parts in the same order, the same key.
pub(super) struct KeyOf {
    hash: Sha256,
}

impl KeyOf {
    /// Begins with what every key has: the layout of root filesystems and the architecture.
    pub(super) fn new() -> Self {
        let hash = Sha256::new();
        KeyOf { hash }
            .part("layout", "1")
            .part("arch", std::env::consts::ARCH)
    }

    /// Adds a part.
    pub(super) fn part(mut self, name: &str, text: &str) -> Self {
        // With the length in front no two lists of parts read the same.
        self.hash.update(format!("{name} {}\n{text}\n", text.len()));
        self
    }

    /// The key.
    pub(super) fn key(self) -> Digest {
        finish(self.hash)
    }
}
