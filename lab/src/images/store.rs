//! The content-addressed store: tarballs, packages, the toolchain and the built root filesystems.

mod lock;
mod record;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use jiff::{SignedDuration, Timestamp};
use lock::wait_for;
use nix::errno::Errno;
use nix::fcntl::FlockArg;
use nix::sys::statvfs::statvfs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::archive::{self, Package};
use super::digest;
use super::scratch::{self, Scratch};
use super::tree::{Kind, Tree};
use crate::catalog::Digest;

pub use lock::{Held, InUse};
pub use record::{PackageSet, Record};

/// What the packages that a release is compiled with take, at least, in bytes.
const LITTLE_ROOM: u64 = 100_000_000;

/// How long a look-up that failed is remembered.
const MISS_LASTS: SignedDuration = SignedDuration::from_hours(1);

/// The store. What lies in it under its final name is whole: it was written elsewhere, synced and renamed.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

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

#[derive(Serialize, Deserialize)]
struct Miss {
    reason: String,
    at: Timestamp,
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
        for folder in [
            "tarballs",
            "packages",
            "sets",
            "toolchains",
            "builds",
            "roots",
            "digests",
            "misses",
            "locks",
            "logs",
            "stage",
            "tmp",
        ] {
            let folder = path.join(folder);
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
        Ok(base.cache_dir().join("iptables-lab"))
    }

    /// Its top directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Waits for the lock `name`; calls `waiting` once if another run holds it.
    ///
    /// # Errors
    /// The lock's file cannot be opened or locked.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<Held, StoreError> {
        let path = self.root.join("locks").join(name);
        let kinds = [FlockArg::LockExclusiveNonblock, FlockArg::LockExclusive];
        let held = wait_for(&path, kinds, waiting)?;
        Ok(Held { _file: held })
    }

    /// Says that this run uses the store; calls `waiting` once if another run removes what is in it.
    ///
    /// # Errors
    /// The lock's file cannot be opened or locked.
    pub fn use_it(&self, waiting: impl FnOnce()) -> Result<InUse, StoreError> {
        let path = self.root.join("locks").join("use");
        let kinds = [FlockArg::LockSharedNonblock, FlockArg::LockShared];
        let file = wait_for(&path, kinds, waiting)?;
        Ok(InUse {
            store: self.root.clone(),
            path,
            file,
        })
    }

    /// The tarball of this digest, if it is there.
    pub fn tarball(&self, sha256: &Digest) -> Option<PathBuf> {
        Some(self.tarball_path(sha256)).filter(|path| path.is_file())
    }

    /// Takes a tarball in.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn keep_tarball(&self, from: &Path, sha256: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.tarball_path(sha256);
        self.copy(from, &path)?;
        Ok(path)
    }

    fn tarball_path(&self, sha256: &Digest) -> PathBuf {
        self.root.join("tarballs").join(sha256.as_str())
    }

    /// Where the file of a package lies.
    pub fn package(&self, package: &Package) -> PathBuf {
        let name = format!("{}.deb", package.sha256);
        self.root.join("packages").join(name)
    }

    /// The package set `set` of a suite, if it was fetched, is whole, and is what is asked for now.
    pub fn package_set(&self, suite: &str, set: &str, asked: &[String]) -> Option<PackageSet> {
        let found: PackageSet = self.read(&self.set_path(suite, set))?;
        let whole = found.packages.iter().all(|p| self.package(p).is_file());
        (whole && found.asked == asked).then_some(found)
    }

    /// Takes a package set in.
    ///
    /// # Errors
    /// A package cannot be read or written.
    pub fn keep_package_set(
        &self,
        suite: &str,
        set: &str,
        asked: &[String],
        files: Vec<(PathBuf, Package)>,
    ) -> Result<PackageSet, StoreError> {
        let mut packages = Vec::new();
        for (file, package) in files {
            let path = self.package(&package);
            if !path.is_file() {
                self.copy(&file, &path)?;
            }
            packages.push(package);
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let set_of = PackageSet {
            asked: asked.to_vec(),
            packages,
            fetched: Timestamp::now(),
        };
        self.write_json(&self.set_path(suite, set), &set_of)?;
        Ok(set_of)
    }

    fn set_path(&self, suite: &str, set: &str) -> PathBuf {
        self.root.join("sets").join(format!("{suite}-{set}.json"))
    }

    /// The build of this key, if it was made: its record, and the tar of its root filesystem.
    pub fn build(&self, key: &Digest) -> Option<(Record, PathBuf)> {
        let folder = self.build_path(key);
        let record: Record = self.read(&folder.join("build.json"))?;
        Some((record, folder.join("rootfs.tar")))
    }

    fn build_path(&self, key: &Digest) -> PathBuf {
        self.root.join("builds").join(key.as_str())
    }

    /// Writes a root filesystem's tar to a place of its own, to become a build with [`Store::keep_build`].
    pub(super) fn draft(&self, tree: &Tree) -> Result<Draft, StoreError> {
        let folder = tempfile::tempdir_in(self.tmp()).map_err(at(&self.tmp()))?;
        let rootfs = folder.path().join("rootfs.tar");
        let digest = write_tree(tree, &rootfs).map_err(at(&rootfs))?;
        Ok(Draft {
            folder,
            rootfs,
            digest,
        })
    }

    /// Makes a draft the build of `record.key`.
    ///
    /// # Errors
    /// The key was built before and came to another digest; or the store cannot be written.
    pub(super) fn keep_build(&self, draft: Draft, record: &Record) -> Result<PathBuf, StoreError> {
        let ledger = self.root.join("digests").join(record.key.as_str());
        if let Some(before) = self.read::<Digest>(&ledger)
            && before != record.digest
        {
            return Err(StoreError::Unreproducible {
                key: record.key.clone(),
                before,
                now: record.digest.clone(),
            });
        }
        self.write_json(&draft.folder.path().join("build.json"), record)?;
        self.write_json(&ledger, &record.digest)?;
        let path = self.build_path(&record.key);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        let from = draft.folder.keep();
        sync(&from)
            .and_then(|()| fs::rename(&from, &path))
            .and_then(|()| sync(&self.root.join("builds")))
            .map_err(at(&path))?;
        Ok(path.join("rootfs.tar"))
    }

    /// The toolchain's root filesystem of this key, with its digest, if it was made.
    pub(super) fn toolchain(&self, key: &Digest) -> Option<(PathBuf, Digest)> {
        let digest = self.read(&self.toolchain_path(key, "json"))?;
        Some((self.toolchain_path(key, "tar"), digest)).filter(|(tar, _)| tar.is_file())
    }

    /// Takes the toolchain's root filesystem in.
    pub(super) fn keep_toolchain(
        &self,
        key: &Digest,
        tree: &Tree,
    ) -> Result<(PathBuf, Digest), StoreError> {
        let path = self.toolchain_path(key, "tar");
        let draft = self.draft(tree)?;
        fs::rename(&draft.rootfs, &path).map_err(at(&path))?;
        self.write_json(&self.toolchain_path(key, "json"), &draft.digest)?;
        Ok((path, draft.digest))
    }

    fn toolchain_path(&self, key: &Digest, kind: &str) -> PathBuf {
        self.root.join("toolchains").join(format!("{key}.{kind}"))
    }

    /// The root filesystem of this digest, if it is unpacked already.
    pub(super) fn known_root(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.root_path(digest)).filter(|path| path.is_dir())
    }

    fn root_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("roots").join(digest.as_str())
    }

    /// The root filesystem of this digest, unpacked: from `tar`, if it was not yet, with a directory at each of `points`
    /// for what is mounted there. It blocks.
    ///
    /// # Errors
    /// The tar cannot be read, or the store not be written.
    pub(super) fn root(
        &self,
        digest: &Digest,
        tar: &Path,
        points: &[&str],
    ) -> Result<PathBuf, StoreError> {
        if let Some(path) = self.known_root(digest) {
            return Ok(path);
        }
        let path = self.root_path(digest);
        let folder = tempfile::tempdir_in(self.tmp()).map_err(at(&self.tmp()))?;
        let unpack = || {
            let mut tree = Tree::new(Kind::Root, &self.tmp())?;
            archive::read_tar(&mut tree, File::open(tar)?)?;
            points
                .iter()
                .try_for_each(|point| tree.add_mount_point(Path::new(point)))?;
            let root = folder.path().join("root");
            fs::create_dir(&root)?;
            tree.write_root(&root)?;
            // It gets its name when its files are on the disk: a machine that loses power leaves no half of it.
            nix::unistd::syncfs(File::open(&root)?)?;
            Ok(root)
        };
        let root = unpack().map_err(at(tar))?;
        match fs::rename(&root, &path) {
            // Another run was quicker.
            Err(_) if path.is_dir() => Ok(path),
            renamed => renamed.map_err(at(&path)).map(|()| path),
        }
    }

    /// Why `what` could not be had, if that was found out less than an hour ago.
    pub(super) fn miss(&self, what: &str) -> Option<String> {
        let miss: Miss = self.read(&self.miss_path(what))?;
        let ago = Timestamp::now().duration_since(miss.at);
        (!ago.is_negative() && ago < MISS_LASTS).then_some(miss.reason)
    }

    /// Remembers that `what` could not be had. Where the disk is full it can be had as soon as there is room; what apt or
    /// a compiler says then is often something else.
    pub(super) fn keep_miss(&self, what: &str, reason: &str) -> Result<(), StoreError> {
        if reason.contains(Errno::ENOSPC.desc()) || self.is_nearly_full() {
            return Ok(());
        }
        let miss = Miss {
            reason: reason.to_owned(),
            at: Timestamp::now(),
        };
        self.write_json(&self.miss_path(what), &miss)
    }

    /// Whether there is less room than a suite's packages take.
    fn is_nearly_full(&self) -> bool {
        self.room().is_ok_and(|bytes| bytes < LITTLE_ROOM)
    }

    /// How many bytes can be written there.
    ///
    /// # Errors
    /// The file system does not say.
    pub fn room(&self) -> nix::Result<u64> {
        let of = statvfs(&self.root)?;
        Ok(of.blocks_available() * of.fragment_size())
    }

    fn miss_path(&self, what: &str) -> PathBuf {
        let name = digest::of_bytes(what.as_bytes());
        self.root.join("misses").join(name.as_str())
    }

    /// Keeps what a build printed, to look at where it failed.
    pub(super) fn keep_log(&self, name: &str, text: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.root.join("logs").join(format!("{name}.log"));
        self.write(&path, text)?;
        Ok(path)
    }

    /// Takes builds away, and what they were made from where asked. Which digest a key came to stays known.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(&self, what: Remove) -> Result<(), StoreError> {
        let mut folders = vec!["builds", "roots", "toolchains", "sets", "misses", "logs"];
        if what == Remove::BuildsAndSources {
            folders.extend(["tarballs", "packages"]);
        }
        for folder in folders {
            let folder = self.root.join(folder);
            fs::remove_dir_all(&folder)
                .and_then(|()| fs::create_dir(&folder))
                .map_err(at(&folder))?;
        }
        Ok(())
    }

    /// An empty folder, which processes put file systems together over that only they see.
    pub fn stage(&self) -> PathBuf {
        self.root.join("stage")
    }

    /// A folder for what is being made, on the same file system.
    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A temporary folder that goes away when it is dropped.
    pub(super) fn scratch(&self) -> Result<Scratch, StoreError> {
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

/// A root filesystem's tar that is not a build yet.
pub(super) struct Draft {
    folder: tempfile::TempDir,
    pub(super) rootfs: PathBuf,
    pub(super) digest: Digest,
}

fn write_tree(tree: &Tree, path: &Path) -> io::Result<Digest> {
    let file = File::create(path)?;
    let digest = tree.write_tar(io::BufWriter::with_capacity(256 * 1024, &file))?;
    file.sync_all()?;
    Ok(digest)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn at(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::File {
        path: path.clone(),
        source,
    }
}
