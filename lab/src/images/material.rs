//! What a root filesystem is made from, and the key that follows from it.

use std::io;
use std::path::{Path, PathBuf};

use super::compile;
use super::container::{self, ContainerError, Pull};
use super::digest::KeyOf;
use super::host::{self, HostError};
use super::request::ProvideRequest;
use super::rootfs;
use super::sets::SetOf;
use super::store::PackageSet;
use super::tarball::{self, TarballError};
use super::task::blocking;
use super::tree::{Kind, Tree};
use crate::catalog::{Digest, Image, Release, Source};

/// What a root filesystem is made from.
pub(super) enum Material {
    /// A release's tarball.
    Release(Release),
    /// A tarball of the user's own.
    Tarball { path: PathBuf, digest: Digest },
    /// A source tree.
    Source { tree: Tree, digest: Digest },
    /// Packages of a suite.
    Suite(SetOf),
    /// A container image.
    Container { reference: String, id: String },
    /// Files of the host.
    Host { tree: Tree, digest: Digest },
}

/// Why what a root filesystem is made from is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum MaterialError {
    /// The user's tarball is another, or cannot be read.
    #[error(transparent)]
    Tarball(#[from] TarballError),
    /// The user's source tree cannot be read.
    #[error("the source tree {} cannot be read: {source}", path.display())]
    Source {
        /// Its directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The host has no iptables that can be copied.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The user's container image cannot be had.
    #[error(transparent)]
    Container(#[from] ContainerError),
}

/// Finds out what an image is made from.
///
/// # Errors
/// What the user names is not there, or not what it is said to be.
pub(super) async fn material_of(
    request: &ProvideRequest<'_>,
    image: &Image,
    pull: Pull,
) -> Result<Material, MaterialError> {
    let tmp = request.store.tmp();
    match image.source.clone() {
        Source::Release(release) => Ok(Material::Release(release)),
        Source::Suite { suite } => Ok(Material::Suite(SetOf::tool(&suite, image))),
        Source::Tarball { path, sha256 } => {
            let tarball = path.clone();
            let digest = blocking(move || tarball::own(&tarball, sha256.as_ref())).await?;
            Ok(Material::Tarball { path, digest })
        }
        Source::Tree { path } => blocking(move || own_tree(path, &tmp)).await,
        Source::Host => blocking(move || own_host(&tmp)).await,
        Source::Container { reference } => {
            let id = container::id_of(request.docker, &reference, pull).await?;
            Ok(Material::Container { reference, id })
        }
    }
}

fn own_tree(path: PathBuf, tmp: &Path) -> Result<Material, MaterialError> {
    let read = Tree::read_dir(Kind::Source, &path, tmp).and_then(|tree| {
        let digest = tree.digest()?;
        Ok(Material::Source { tree, digest })
    });
    read.map_err(|source| MaterialError::Source { path, source })
}

fn own_host(tmp: &Path) -> Result<Material, MaterialError> {
    let tree = host::root_filesystem(tmp)?;
    let digest = tree.digest();
    let digest = digest.map_err(|source| HostError::Copy { source })?;
    Ok(Material::Host { tree, digest })
}

/// The key, if the package sets that go into it are known.
pub(super) fn key_in_store(request: &ProvideRequest<'_>, material: &Material) -> Option<Digest> {
    let known = |set: &SetOf| set.in_store(request.store).ok_or(());
    key_of(request, material, known).ok()
}

/// The key of what is made from `material`, with package sets as `set` knows them.
///
/// # Errors
/// It does not know one.
pub(super) fn key_of<E>(
    request: &ProvideRequest<'_>,
    material: &Material,
    set: impl Fn(&SetOf) -> Result<PackageSet, E>,
) -> Result<Digest, E> {
    let catalog = request.catalog;
    let key = rootfs::add_base_to_key(KeyOf::new(), &set(&SetOf::base(request))?, &catalog.base);
    let compiled = |key| -> Result<KeyOf, E> {
        let toolchain = set(&SetOf::toolchain(request))?;
        Ok(compile::add_to_key(key, catalog, &toolchain))
    };
    Ok(match material {
        Material::Release(Release { sha256: digest, .. }) | Material::Tarball { digest, .. } => {
            compiled(key)?.part("tarball", digest.as_str()).key()
        }
        Material::Source { digest, .. } => compiled(key)?.part("tree", digest.as_str()).key(),
        Material::Suite(wanted) => key.part("packages", &set(wanted)?.list()).key(),
        Material::Container { id, .. } => key.part("image", id).key(),
        Material::Host { digest, .. } => key.part("host", digest.as_str()).key(),
    })
}
