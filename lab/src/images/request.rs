//! What is to be provided, what came of it, and why nothing may have come of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::roots::{RootId, RootsError};
use super::store::{Store, StoreError};
use crate::catalog::{Backend, Build, BuildId, Catalog, Image, Missing, Origin, Tool, Version};
use crate::docker::{Docker, DockerError};

/// What is to be provided, and with what.
pub struct ProvideRequest<'a> {
    /// How images are made.
    pub catalog: &'a Catalog,
    /// Which of the catalog's images.
    pub images: Vec<Image>,
    /// Where things are kept.
    pub store: &'a Store,
    /// A daemon, where one is known to answer: apt may run in it, and the user's container images come from it.
    pub docker: Option<&'a Docker>,
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
    }

    /// The root filesystem that each build is in.
    pub fn roots(&self) -> BTreeMap<BuildId, RootId> {
        let root = |ready: &ReadyBuild| (ready.build.id.clone(), ready.root.clone());
        self.builds.iter().map(root).collect()
    }
}

/// A build that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyBuild {
    /// What reports say of it.
    pub build: Build,
    /// The root filesystem that it is in.
    pub root: RootId,
    /// The normalised tar of its root filesystem, without the agent.
    pub rootfs: PathBuf,
}

/// By version within a tool and backend, whoever made it: so that a matrix shows where a fault begins and ends.
pub(super) fn order(build: &Build) -> (Tool, Backend, &Version, Origin, &BuildId) {
    let Build {
        tool,
        backend,
        version,
        origin,
        id,
        ..
    } = build;
    (*tool, *backend, version, *origin, id)
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
    /// The engine does not make what every lane needs.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Roots(#[from] RootsError),
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
