//! Why the store cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::Digest;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum StoreError {
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where it could be.
    #[error("there is no home directory to keep the store in")]
    #[diagnostic(help("name a directory with `--store` or IPTABLES_LAB_STORE"))]
    NoHome,
    /// A file of it cannot be read or written.
    #[error("the store's {} cannot be used: {source}", path.display())]
    #[diagnostic(help(
        "free space, mend its permissions, or name another directory with `--store`"
    ))]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Builds are to be removed that another run has in use.
    #[error("another run uses these builds, in {}", path.display())]
    #[diagnostic(help("wait until it has ended, or end it, and try again"))]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The same key came to another digest: the build is not reproducible, or the store was tampered with.
    #[error("the key {key} was built before with digest {before}, and now came to {now}")]
    #[diagnostic(help("what it is made from says nothing about the difference; please report it"))]
    Unreproducible {
        /// The key.
        key: Digest,
        /// The digest that was recorded.
        before: Digest,
        /// The digest of what was just made.
        now: Digest,
    },
}

/// What was said within the last hour, when something could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::images) struct Remembered(pub(super) String);

/// What an answer of the system says about the file at `path`.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::File {
        path: path.clone(),
        source,
    }
}
