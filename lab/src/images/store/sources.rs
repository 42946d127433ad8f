//! What builds are made from: tarballs, packages, and what package sets came to.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{PackageSet, Store, StoreError};
use crate::catalog::Digest;
use crate::catalog::names::Folder;
use crate::images::archive::Package;

impl Store {
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
        self.folder(Folder::Tarballs).join(sha256.as_str())
    }

    /// Where the file of a package lies.
    pub fn package(&self, package: &Package) -> PathBuf {
        let name = format!("{}.deb", package.sha256);
        self.folder(Folder::Packages).join(name)
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
        self.folder(Folder::Sets)
            .join(format!("{suite}-{set}.json"))
    }
}
