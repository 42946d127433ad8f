//! The content-addressed store: tarballs, packages, the toolchain and the built root filesystems.

mod builds;
mod error;
mod lock;
mod misses;
mod record;
mod sources;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use nix::fcntl::FlockArg;
use nix::sys::statvfs::statvfs;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::scratch::{self, Scratch};
use crate::catalog::names::{self, Folder};
use error::at;
use lock::wait_for;

pub(super) use error::Remembered;
pub use error::StoreError;
pub use lock::{Held, InUse};
pub use record::{PackageSet, Record};

/// The store. What lies in it under its final name is whole: it was written elsewhere, synced and renamed.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What a store's tidying takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remove {
    /// Builds, the toolchain and what is remembered of package sets.
    Builds,
    /// Those, and the tarballs and packages they were made from.
    BuildsAndSources,
}

impl Store {
    /// Opens the store at `path`, and makes it where there is none.
    ///
    /// # Errors
    /// The directory cannot be made or written to.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        for folder in Folder::ALL {
            let folder = path.join(folder.name());
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        let root = fs::canonicalize(path).map_err(at(path))?;
        let store = Store { root };
        store.sweep();
        Ok(store)
    }

    /// Where the store is when nobody says otherwise: `iptables-lab` in the user's cache directory.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn default_path() -> Result<PathBuf, StoreError> {
        let base = etcetera::base_strategy::Xdg::new().map_err(|_| StoreError::NoHome)?;
        Ok(base.cache_dir().join(names::STORE))
    }

    /// Its top directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Where it is kept what runs learnt of transitions.
    pub fn memory(&self) -> PathBuf {
        self.folder(Folder::Memory)
    }

    /// One of its directories.
    fn folder(&self, folder: Folder) -> PathBuf {
        self.root.join(folder.name())
    }

    /// Waits for the lock `name`; calls `waiting` once if another run holds it.
    ///
    /// # Errors
    /// The lock's file cannot be opened or locked.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<Held, StoreError> {
        let path = self.folder(Folder::Locks).join(name);
        let kinds = [FlockArg::LockExclusiveNonblock, FlockArg::LockExclusive];
        let held = wait_for(&path, kinds, waiting)?;
        Ok(Held { _file: held })
    }

    /// Says that this run uses the store; calls `waiting` once if another run removes what is in it.
    ///
    /// # Errors
    /// The lock's file cannot be opened or locked.
    pub fn use_it(&self, waiting: impl FnOnce()) -> Result<InUse, StoreError> {
        let path = self.folder(Folder::Locks).join("use");
        let kinds = [FlockArg::LockSharedNonblock, FlockArg::LockShared];
        let file = wait_for(&path, kinds, waiting)?;
        Ok(InUse {
            store: self.root.clone(),
            path,
            file,
        })
    }

    /// How many bytes can be written there.
    ///
    /// # Errors
    /// The file system does not say.
    pub fn room(&self) -> nix::Result<u64> {
        let of = statvfs(&self.root)?;
        Ok(of.blocks_available() * of.fragment_size())
    }

    /// Keeps what a build printed, to look at where it failed.
    pub(super) fn keep_log(&self, name: &str, text: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.folder(Folder::Logs).join(format!("{name}.log"));
        self.write(&path, text)?;
        Ok(path)
    }

    /// Takes builds away, and what they were made from where asked. Which digest a key came to stays known.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(&self, what: Remove) -> Result<(), StoreError> {
        let mut folders = vec![
            Folder::Builds,
            Folder::Roots,
            Folder::Toolchains,
            Folder::Sets,
            Folder::Misses,
            Folder::Logs,
        ];
        if what == Remove::BuildsAndSources {
            folders.extend([Folder::Tarballs, Folder::Packages, Folder::Memory]);
        }
        for folder in folders {
            let folder = self.folder(folder);
            fs::remove_dir_all(&folder)
                .and_then(|()| fs::create_dir(&folder))
                .map_err(at(&folder))?;
        }
        Ok(())
    }

    /// An empty folder, which processes put file systems together over that only they see.
    pub fn stage(&self) -> PathBuf {
        self.folder(Folder::Stage)
    }

    /// A folder for what is being made, on the same file system.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.folder(Folder::Tmp)
    }

    /// A temporary folder that goes away when it is dropped.
    pub(crate) fn scratch(&self) -> Result<Scratch, StoreError> {
        Scratch::new_in(&self.tmp()).map_err(at(&self.tmp()))
    }

    /// Removes what killed runs left half-made, a day later.
    fn sweep(&self) {
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        let old = |entry: &fs::DirEntry| {
            let modified = entry.metadata().and_then(|data| data.modified()).ok();
            modified.and_then(|at| at.elapsed().ok()) > Some(day)
        };
        for entry in fs::read_dir(self.tmp()).into_iter().flatten().flatten() {
            if old(&entry) {
                // What cannot be removed now is tried again at the next start.
                let _ = fs::remove_file(entry.path()).or_else(|_| scratch::remove(&entry.path()));
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        // A record of another version of the lab is as good as none: it is made anew.
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(value).map_err(|e| at(path)(e.into()))?;
        self.write(path, &text)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(path, |file| file.write_all(bytes))
    }

    fn copy(&self, from: &Path, path: &Path) -> Result<(), StoreError> {
        let mut source = File::open(from).map_err(at(from))?;
        self.put(path, |file| io::copy(&mut source, file).map(drop))
    }

    fn put(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let written = tempfile::NamedTempFile::new_in(self.tmp()).and_then(|mut file| {
            fill(file.as_file_mut())?;
            file.as_file().sync_all()?;
            file.persist(path).map(drop).map_err(|e| e.error)
        });
        written.map_err(at(path))
    }
}
