//! Root filesystems of container images that the user has.

use std::collections::HashMap;
use std::fs::File;

use super::archive;
use super::store::{Store, StoreError};
use super::task::blocking;
use super::tree::{Kind, Tree};
use crate::docker::{Docker, DockerError};

/// What Docker puts into every container, and is not the image's.
const MADE_BY_DOCKER: [&str; 4] = ["dev", "proc", "sys", ".dockerenv"];

/// Whether a container image that is not here is looked for in its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pull {
    Never,
    WhenAbsent,
}

/// Why a user's container image cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContainerError {
    /// Whatever builds are run with, this takes Docker.
    #[error("a container image can be read only where a Docker daemon answers")]
    NoDaemon,
    /// Docker fails.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// There is no such image.
    #[error("there is no image {reference} here")]
    Absent {
        /// What it was asked for by.
        reference: String,
    },
    /// It holds what a root filesystem is not made of, or the machine fails.
    #[error("the image {reference} cannot be unpacked: {source}")]
    Unpack {
        /// What it was asked for by.
        reference: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The id of a container image.
///
/// # Errors
/// There is no daemon, or no such image.
pub(super) async fn id_of(
    docker: Option<&Docker>,
    reference: &str,
    pull: Pull,
) -> Result<String, ContainerError> {
    let docker = docker.ok_or(ContainerError::NoDaemon)?;
    let mut found = docker.image_id(reference).await?;
    if found.is_none() && pull == Pull::WhenAbsent {
        docker.pull(reference).await?;
        found = docker.image_id(reference).await?;
    }
    found.ok_or_else(|| ContainerError::Absent {
        reference: reference.to_owned(),
    })
}

/// The whole root filesystem of a container image.
///
/// # Errors
/// Docker cannot export it, or an entry climbs out.
pub(super) async fn root_filesystem(
    docker: Option<&Docker>,
    store: &Store,
    labels: &HashMap<String, String>,
    reference: &str,
) -> Result<Tree, ContainerError> {
    let docker = docker.ok_or(ContainerError::NoDaemon)?;
    let folder = store.scratch()?;
    let exported = folder.path().join("export.tar");
    docker.export(reference, labels, &exported).await?;
    let tmp = store.tmp();
    let unpack = move || -> std::io::Result<Tree> {
        let mut tree = Tree::new(Kind::Root, &tmp)?;
        archive::read_tar(&mut tree, File::open(&exported)?)?;
        tree.retain(|path| !MADE_BY_DOCKER.iter().any(|top| path.starts_with(top)));
        drop(folder);
        Ok(tree)
    };
    let unpacked = blocking(unpack).await;
    unpacked.map_err(|source| ContainerError::Unpack {
        reference: reference.to_owned(),
        source,
    })
}
