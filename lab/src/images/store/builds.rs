//! Root filesystems: of builds and of the toolchain, as tars and unpacked.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::at;
use super::{Record, Store, StoreError};
use crate::catalog::Digest;
use crate::catalog::names::Folder;
use crate::images::archive;
use crate::images::tree::{Kind, Tree};

/// A root filesystem's tar that is not a build yet.
pub(in crate::images) struct Draft {
    folder: tempfile::TempDir,
    pub(in crate::images) rootfs: PathBuf,
    pub(in crate::images) digest: Digest,
}

fn write_tree(tree: &Tree, path: &Path) -> io::Result<Digest> {
    let file = File::create(path)?;
    let digest = tree.write_tar(io::BufWriter::with_capacity(256 * 1024, &file))?;
    file.sync_all()?;
    Ok(digest)
}

impl Store {
    /// The build of this key, if it was made: its record, and the tar of its root filesystem.
    pub fn build(&self, key: &Digest) -> Option<(Record, PathBuf)> {
        let folder = self.build_path(key);
        let record: Record = self.read(&folder.join("build.json"))?;
        Some((record, folder.join("rootfs.tar")))
    }

    fn build_path(&self, key: &Digest) -> PathBuf {
        self.folder(Folder::Builds).join(key.as_str())
    }

    /// Writes a root filesystem's tar to a place of its own, to become a build with [`Store::keep_build`].
    pub(in crate::images) fn draft(&self, tree: &Tree) -> Result<Draft, StoreError> {
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
    pub(in crate::images) fn keep_build(
        &self,
        draft: Draft,
        record: &Record,
    ) -> Result<PathBuf, StoreError> {
        let ledger = self.folder(Folder::Digests).join(record.key.as_str());
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
            .and_then(|()| sync(&self.folder(Folder::Builds)))
            .map_err(at(&path))?;
        Ok(path.join("rootfs.tar"))
    }

    /// The toolchain's root filesystem of this key, with its digest, if it was made.
    pub(in crate::images) fn toolchain(&self, key: &Digest) -> Option<(PathBuf, Digest)> {
        let digest = self.read(&self.toolchain_path(key, "json"))?;
        Some((self.toolchain_path(key, "tar"), digest)).filter(|(tar, _)| tar.is_file())
    }

    /// Takes the toolchain's root filesystem in.
    pub(in crate::images) fn keep_toolchain(
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
        self.folder(Folder::Toolchains)
            .join(format!("{key}.{kind}"))
    }

    /// The root filesystem of this digest, if it is unpacked already.
    pub(crate) fn known_root(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.root_path(digest)).filter(|path| path.is_dir())
    }

    /// Where the root filesystem of this digest lies when it is unpacked.
    pub(crate) fn root_path(&self, digest: &Digest) -> PathBuf {
        self.folder(Folder::Roots).join(digest.as_str())
    }

    /// The root filesystem of this digest, unpacked: from `tar`, if it was not yet, with a directory at each of `points`
    /// for what is mounted there. It blocks.
    ///
    /// # Errors
    /// The tar cannot be read, or the store not be written.
    pub(crate) fn root(
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
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
