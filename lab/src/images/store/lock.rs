//! Locks on keys, and the word that a run uses the store.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{StoreError, at};

/// A lock on a key, held until it is dropped.
#[derive(Debug)]
pub struct Held {
    pub(super) _file: Flock<File>,
}

/// That a run makes or runs what is in the store, as any number of runs may at a time. Dropping it says that it is done.
#[derive(Debug)]
pub struct InUse {
    pub(super) store: PathBuf,
    pub(super) path: PathBuf,
    pub(super) file: Flock<File>,
}

impl InUse {
    /// Makes sure that no other run uses the store, nor begins to, as long as this is held.
    ///
    /// # Errors
    /// Another run does.
    pub fn alone(&self) -> Result<(), StoreError> {
        match self.file.relock(FlockArg::LockExclusiveNonblock) {
            Ok(()) => Ok(()),
            Err(Errno::EWOULDBLOCK) => Err(StoreError::InUse {
                path: self.store.clone(),
            }),
            Err(error) => Err(at(&self.path)(error.into())),
        }
    }
}

/// Takes a lock: the first of two kinds at once, or else the other when it can be had.
pub(super) fn wait_for(
    path: &Path,
    [at_once, later]: [FlockArg; 2],
    waiting: impl FnOnce(),
) -> Result<Flock<File>, StoreError> {
    let file = File::create(path).map_err(at(path))?;
    let file = match Flock::lock(file, at_once) {
        Ok(held) => return Ok(held),
        Err((file, Errno::EWOULDBLOCK)) => file,
        Err((_, error)) => return Err(at(path)(error.into())),
    };
    waiting();
    Flock::lock(file, later).map_err(|(_, error)| at(path)(error.into()))
}
