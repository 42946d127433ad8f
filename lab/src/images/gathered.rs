//! What builds are made from, as far as it could be had, and why the rest could not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::apt::AptError;
use super::sets::SetOf;
use super::store::{PackageSet, Remembered, Store, StoreError};
use super::tarball::{Nowhere, TarballError};
use crate::catalog::{Digest, Release};

/// Why a package set cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("packages of {suite}: {why}")]
pub(super) struct PackagesError {
    suite: String,
    #[source]
    why: NoPackages,
}

impl PackagesError {
    /// Why `set` cannot be had.
    pub(super) fn new(set: &SetOf, why: NoPackages) -> PackagesError {
        PackagesError {
            suite: set.suite.clone(),
            why,
        }
    }

    /// Why `set` cannot be had, if that was found out not long ago.
    pub(super) fn remembered(set: &SetOf, store: &Store) -> Option<PackagesError> {
        let miss = store.miss(&set.miss_key())?;
        Some(PackagesError::new(set, miss.into()))
    }
}

/// Why there are no packages, of whatever suite.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPackages {
    /// Apt fetches nothing of the suite.
    #[error(transparent)]
    Apt(#[from] Arc<AptError>),
    /// Nobody asked apt for them.
    #[error("they were not fetched")]
    NotFetched,
    /// A file that apt fetched is no package.
    #[error("{}: {source}", path.display())]
    Package {
        path: PathBuf,
        source: std::io::Error,
    },
    /// So it was found out not long ago.
    #[error(transparent)]
    Remembered(#[from] Remembered),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a release's tarball cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTarball {
    /// A file of its name is another.
    #[error(transparent)]
    File(#[from] TarballError),
    /// It is neither here nor elsewhere.
    #[error(transparent)]
    Nowhere(#[from] Box<Nowhere>),
    /// So it was found out not long ago.
    #[error(transparent)]
    Remembered(#[from] Remembered),
    /// Nobody looked for it.
    #[error("{archive} was not looked for")]
    NotSought {
        /// Its file name.
        archive: String,
    },
}

/// What was gathered; what could not be had has its reason.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    sets: BTreeMap<SetOf, Result<PackageSet, Arc<PackagesError>>>,
    tarballs: BTreeMap<Digest, Result<PathBuf, Arc<NoTarball>>>,
}

impl Gathered {
    /// A package set.
    ///
    /// # Errors
    /// It could not be had.
    pub(super) fn set(&self, set: &SetOf) -> Result<&PackageSet, Arc<PackagesError>> {
        match self.sets.get(set) {
            Some(Ok(packages)) => Ok(packages),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Arc::new(PackagesError::new(set, NoPackages::NotFetched))),
        }
    }

    /// A release's tarball.
    ///
    /// # Errors
    /// It could not be had.
    pub(super) fn tarball(&self, release: &Release) -> Result<PathBuf, Arc<NoTarball>> {
        let found = self.tarballs.get(&release.sha256).cloned();
        found.unwrap_or_else(|| {
            Err(Arc::new(NoTarball::NotSought {
                archive: release.archive.clone(),
            }))
        })
    }

    /// Takes in what came of a package set.
    pub(super) fn keep_set(&mut self, set: SetOf, had: Result<PackageSet, NoPackages>) {
        let had = had.map_err(|why| Arc::new(PackagesError::new(&set, why)));
        self.sets.insert(set, had);
    }

    /// Takes in what came of a tarball.
    pub(super) fn keep_tarball(&mut self, release: &Release, had: Result<PathBuf, NoTarball>) {
        let had = had.map_err(Arc::new);
        self.tarballs.insert(release.sha256.clone(), had);
    }
}
