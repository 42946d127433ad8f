//! What a root filesystem is made from, and the key that follows from it.

use std::path::Path;

use super::compile;
use super::digest::{self, KeyOf};
use super::gather::SetOf;
use super::request::ProvideRequest;
use super::store::PackageSet;
use super::tree::{Kind, Tree};
use super::work::blocking;
use super::{own, rootfs, tarball};
use crate::catalog::{Digest, Image, Source};
use crate::docker::Docker;

/// What a root filesystem is made from, as its key has it.
pub(super) enum Material {
    /// A tarball, by digest.
    Tarball(Digest),
    /// A source tree, by digest.
    Tree(Digest),
    /// Packages of a suite.
    Suite(SetOf),
    /// A container image, by id.
    Container(String),
    /// Files of the host, by digest.
    Host(Digest),
}

/// Whether a container image that is not here is looked for in its registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pull {
    Never,
    WhenAbsent,
}

/// Finds out what an image is made from; a tree that was read for it is kept.
pub(super) async fn material_of(
    request: &ProvideRequest<'_>,
    docker: Option<&Docker>,
    image: &Image,
    pull: Pull,
) -> Result<(Material, Option<Tree>), String> {
    let tmp = request.store.tmp();
    match &image.source {
        Source::Release(release) => Ok((Material::Tarball(release.sha256.clone()), None)),
        Source::Suite { suite } => Ok((Material::Suite(SetOf::tool(suite, image.tool)), None)),
        Source::Tarball { path, sha256 } => {
            let (path, expected) = (path.clone(), sha256.clone());
            let found = blocking(move || own_tarball(&path, expected.as_ref())).await?;
            Ok((Material::Tarball(found), None))
        }
        Source::Tree { path } => {
            let path = path.clone();
            let (tree, digest) = blocking(move || own_tree(&path, &tmp)).await?;
            Ok((Material::Tree(digest), Some(tree)))
        }
        Source::Host => {
            let host = move || {
                let tree = own::from_host(&tmp)?;
                let digest = tree.digest().map_err(|e| e.to_string())?;
                Ok((Material::Host(digest), Some(tree)))
            };
            blocking(host).await
        }
        Source::Container { reference } => {
            let docker = docker.ok_or_else(no_daemon)?;
            let found = docker
                .image_id(reference)
                .await
                .map_err(|e| e.to_string())?;
            if found.is_none() && pull == Pull::WhenAbsent {
                docker.pull(reference).await.map_err(|e| e.to_string())?;
            }
            let found = docker
                .image_id(reference)
                .await
                .map_err(|e| e.to_string())?;
            let id = found.ok_or_else(|| format!("there is no image {reference} here"))?;
            Ok((Material::Container(id), None))
        }
    }
}

/// What a container image takes, whatever builds are run with.
pub(super) fn no_daemon() -> String {
    "a container image can be read only where a Docker daemon answers".to_owned()
}

fn own_tarball(path: &Path, expected: Option<&Digest>) -> Result<Digest, String> {
    let found =
        digest::of_file(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    match expected {
        Some(expected) if *expected != found => Err(tarball::wrong_digest(
            &path.display().to_string(),
            expected,
            &found,
        )),
        _ => Ok(found),
    }
}

fn own_tree(path: &Path, tmp: &Path) -> Result<(Tree, Digest), String> {
    let tree = Tree::read_dir(Kind::Source, path, tmp);
    tree.and_then(|tree| {
        let digest = tree.digest()?;
        Ok((tree, digest))
    })
    .map_err(|e| format!("the source tree {} cannot be read: {e}", path.display()))
}

/// The key, if the package sets that go into it are known.
pub(super) fn key_in_store(request: &ProvideRequest<'_>, material: &Material) -> Option<Digest> {
    let known = |set: &SetOf| {
        let found = set.in_store(request.store);
        found.ok_or_else(String::new)
    };
    key_of(request, material, &known).ok()
}

/// The key of what is made from `material`, with package sets as `set` knows them.
pub(super) fn key_of(
    request: &ProvideRequest<'_>,
    material: &Material,
    set: &dyn Fn(&SetOf) -> Result<PackageSet, String>,
) -> Result<Digest, String> {
    let catalog = request.catalog;
    let key = rootfs::add_base_to_key(KeyOf::new(), &set(&SetOf::base(request))?, &catalog.base);
    let compiled = |key| -> Result<KeyOf, String> {
        let toolchain = set(&SetOf::toolchain(request))?;
        Ok(compile::add_to_key(key, catalog, &toolchain))
    };
    Ok(match material {
        Material::Tarball(digest) => compiled(key)?.part("tarball", digest.as_str()).key(),
        Material::Tree(digest) => compiled(key)?.part("tree", digest.as_str()).key(),
        Material::Suite(wanted) => key.part("packages", &set(wanted)?.list()).key(),
        Material::Container(id) => key.part("image", id).key(),
        Material::Host(digest) => key.part("host", digest.as_str()).key(),
    })
}
