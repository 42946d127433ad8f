//! What is to be provided, what came of it, and why nothing may have come of it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::means::Home;
use super::store::{Store, StoreError};
use super::workshop::order;
use crate::catalog::{Build, BuildId, Catalog, Image, Missing};
use crate::docker::DockerError;

/// What is to be provided, and with what.
pub struct ProvideRequest<'a> {
    /// How images are made.
    pub catalog: &'a Catalog,
    /// Which of the catalog's images.
    pub images: Vec<Image>,
    /// Where things are kept.
    pub store: &'a Store,
    /// The lab's own static binary, the agent in every image.
    pub agent: &'a Path,
    /// Directories that may hold release tarballs.
    pub tarballs: Vec<PathBuf>,
    /// How much is done again.
    pub effort: Effort,
    /// Labels for the containers that work is done in, such as the run's id.
    pub labels: HashMap<String, String>,
    /// How many builds are made side by side.
    pub jobs: usize,
}

/// How much is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// What is there is used, and what failed within the last hour is not tried again.
    Usual,
    /// What failed is tried again, and Debian's suites are asked for newer packages.
    Retry,
    /// That, and everything is built anew: the same key must come to the same digest.
    Rebuild,
}

/// What came of it.
#[derive(Debug)]
pub struct Provision {
    /// The builds that can run: iptables before nft the tool, the nft backend before legacy, by version; of one
    /// version upstream's, Debian's, then own.
    pub builds: Vec<ReadyBuild>,
    /// The builds that cannot be had, each with its reason, in the same order.
    pub missing: Vec<Missing>,
    /// The container image that holds nothing but the agent, where builds live in container images.
    pub holder_image: Option<String>,
}

impl Provision {
    /// This, if a build can be had.
    ///
    /// # Errors
    /// None can.
    pub fn some(self) -> Result<Provision, ImagesError> {
        match (self.builds.is_empty(), self.missing.first()) {
            (true, Some(first)) => Err(ImagesError::Nothing {
                id: first.id.clone(),
                reason: first.reason.clone(),
            }),
            _ => Ok(self),
        }
    }

    /// Takes in what came of another request.
    pub fn join(&mut self, other: Provision) {
        for ready in other.builds {
            if !self.builds.iter().any(|of| of.build.id == ready.build.id) {
                self.builds.push(ready);
            }
        }
        self.builds
            .sort_by(|a, b| order(&a.build).cmp(&order(&b.build)));
        for missing in other.missing {
            if !self.missing.iter().any(|of| of.id == missing.id) {
                self.missing.push(missing);
            }
        }
        self.holder_image = self.holder_image.take().or(other.holder_image);
    }

    /// The directory that each build lives in; those that live in container images are not there.
    pub fn directories(&self) -> BTreeMap<BuildId, PathBuf> {
        let directory = |ready: &ReadyBuild| match &ready.home {
            Home::Directory(path) => Some((ready.build.id.clone(), path.clone())),
            Home::Container(_) => None,
        };
        self.builds.iter().filter_map(directory).collect()
    }

    /// The container image that each build lives in; those that live in directories are not there.
    pub fn container_images(&self) -> BTreeMap<BuildId, String> {
        let image = |ready: &ReadyBuild| match &ready.home {
            Home::Container(image) => Some((ready.build.id.clone(), image.clone())),
            Home::Directory(_) => None,
        };
        self.builds.iter().filter_map(image).collect()
    }
}

/// A build that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyBuild {
    /// What reports say of it.
    pub build: Build,
    /// Where it can be run.
    pub home: Home,
    /// The normalised tar of its root filesystem, without the agent.
    pub rootfs: PathBuf,
}

/// Why nothing can be provided at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ImagesError {
    /// The store fails.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// Docker fails.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Docker(#[from] DockerError),
    /// The lab's own binary cannot be read.
    #[error("the agent {} cannot be read: {source}", path.display())]
    Agent {
        /// Where it should be.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// None of the builds that were asked for can be had.
    #[error("none of the builds can be had; of {id}: {reason}")]
    #[diagnostic(help(
        "builds come from Debian's archive (through apt, or a `debian:trixie-slim` image), from release tarballs in a \
         directory, or from a file for `--builds`"
    ))]
    Nothing {
        /// The first of them.
        id: BuildId,
        /// Why not.
        reason: String,
    },
}
