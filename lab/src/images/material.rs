//! What a root filesystem is made from, and the key that follows from it.

use std::io;
use std::path::{Path, PathBuf};

use super::archive;
use super::compile;
use super::container::{self, ContainerError, Pull};
use super::digest::KeyOf;
use super::host::{self, HostError};
use super::request::ProvideRequest;
use super::rootfs;
use super::roots::LARGEST;
use super::sets::SetOf;
use super::store::PackageSet;
use super::tarball::{self, TarballError};
use super::task::blocking;
use super::tree::{Kind, Tree};
use crate::catalog::{Digest, Image, Libnftnl, Release, Source, Tool};

/// What a root filesystem is made from.
pub(super) enum Material {
    /// Sources that are compiled.
    Compiled(Box<Sources>),
    /// Packages of a suite.
    Suite(SetOf),
    /// The user's own packages, upon those of a suite.
    Debs {
        set: SetOf,
        files: Vec<(PathBuf, Digest)>,
    },
    /// A root filesystem of the user's own.
    Rootfs { tree: Tree, digest: Digest },
    /// A container image.
    Container { reference: String, id: String },
    /// Files of the host.
    Host { tree: Tree, digest: Digest },
}

/// What is compiled.
pub(super) struct Sources {
    /// The tool.
    pub(super) tool: Tool,
    /// Its own sources.
    pub(super) own: SourceCode,
    /// Those of the libnftnl that it is linked with, where that is not the toolchain's.
    pub(super) libnftnl: Option<SourceCode>,
}

/// The sources of one project.
pub(super) enum SourceCode {
    /// A release's tarball.
    Release(Release),
    /// A tarball of the user's own.
    Tarball { path: PathBuf, digest: Digest },
    /// A source tree.
    Tree { tree: Tree, digest: Digest },
}

impl SourceCode {
    /// The kind of thing that it is, and its digest.
    fn part(&self) -> (&'static str, &Digest) {
        match self {
            SourceCode::Release(Release { sha256: digest, .. })
            | SourceCode::Tarball { digest, .. } => ("tarball", digest),
            SourceCode::Tree { digest, .. } => ("tree", digest),
        }
    }
}

/// What an image is compiled from, where that is release tarballs and nothing else.
pub(super) fn of_releases(image: &Image) -> Option<Sources> {
    let Source::Release(release) = &image.source else {
        return None;
    };
    let libnftnl = match &image.libnftnl {
        None => None,
        Some(Libnftnl::Release(release)) => Some(SourceCode::Release(release.clone())),
        Some(Libnftnl::Tree { .. }) => return None,
    };
    Some(Sources {
        tool: image.tool,
        own: SourceCode::Release(release.clone()),
        libnftnl,
    })
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
    /// The user's root filesystem cannot be read.
    #[error("the root filesystem {} cannot be read: {source}", path.display())]
    Rootfs {
        /// Its directory, or the tar of it.
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
        Source::Suite { suite } => Ok(Material::Suite(SetOf::tool(&suite, image))),
        Source::Release(release) => compiled(image, SourceCode::Release(release), tmp).await,
        Source::Tarball { path, sha256 } => {
            let tarball = path.clone();
            let digest = blocking(move || tarball::own(&tarball, sha256.as_ref())).await?;
            compiled(image, SourceCode::Tarball { path, digest }, tmp).await
        }
        Source::Tree { path } => {
            let folder = tmp.clone();
            let tree = blocking(move || own_tree(path, &folder)).await?;
            compiled(image, tree, tmp).await
        }
        Source::Debs { files, suite } => {
            let digests = move || -> Result<_, TarballError> {
                let digests = files.into_iter().map(|path| {
                    let digest = tarball::own(&path, None)?;
                    Ok((path, digest))
                });
                digests.collect()
            };
            let files = blocking(digests).await?;
            let set = SetOf::tool(&suite, image);
            Ok(Material::Debs { set, files })
        }
        Source::Rootfs { path } => blocking(move || own_rootfs(path, &tmp)).await,
        Source::Host => blocking(move || own_host(&tmp)).await,
        Source::Container { reference } => {
            let id = container::id_of(request.docker, &reference, pull).await?;
            Ok(Material::Container { reference, id })
        }
    }
}

/// `own` with the libnftnl that the image is linked with.
async fn compiled(image: &Image, own: SourceCode, tmp: PathBuf) -> Result<Material, MaterialError> {
    let libnftnl = match image.libnftnl.clone() {
        None => None,
        Some(Libnftnl::Release(release)) => Some(SourceCode::Release(release)),
        Some(Libnftnl::Tree { path }) => Some(blocking(move || own_tree(path, &tmp)).await?),
    };
    Ok(Material::Compiled(Box::new(Sources {
        tool: image.tool,
        own,
        libnftnl,
    })))
}

fn own_tree(path: PathBuf, tmp: &Path) -> Result<SourceCode, MaterialError> {
    let read = Tree::read_dir(Kind::Source, &path, tmp).and_then(|tree| {
        let digest = tree.digest()?;
        Ok(SourceCode::Tree { tree, digest })
    });
    read.map_err(|source| MaterialError::Source { path, source })
}

fn own_rootfs(path: PathBuf, tmp: &Path) -> Result<Material, MaterialError> {
    let read = || {
        let tree = match path.is_dir() {
            true => Tree::read_dir(Kind::Root, &path, tmp)?,
            false => {
                let mut tree = Tree::new(Kind::Root, tmp)?.holding(LARGEST);
                archive::read_tar(&mut tree, std::fs::File::open(&path)?)?;
                tree
            }
        };
        let digest = tree.digest()?;
        Ok(Material::Rootfs { tree, digest })
    };
    read().map_err(|source| MaterialError::Rootfs { path, source })
}

fn own_host(tmp: &Path) -> Result<Material, MaterialError> {
    let tree = host::root_filesystem(tmp)?;
    let digest = tree.digest();
    let digest = digest.map_err(|source| HostError::Copy { source })?;
    Ok(Material::Host { tree, digest })
}

/// The key, if the package sets that go into it are known.
pub(super) fn key_in_store(
    request: &ProvideRequest<'_>,
    image: &Image,
    material: &Material,
) -> Option<Digest> {
    let known = |set: &SetOf| set.in_store(request.store).ok_or(());
    key_of(request, (image, material), known).ok()
}

/// The key of an image that is made from `material`, with package sets as `set` knows them.
///
/// # Errors
/// It does not know one.
pub(super) fn key_of<E>(
    request: &ProvideRequest<'_>,
    (image, material): (&Image, &Material),
    set: impl Fn(&SetOf) -> Result<PackageSet, E>,
) -> Result<Digest, E> {
    let catalog = request.catalog;
    let mut key =
        rootfs::add_base_to_key(KeyOf::new(), &set(&SetOf::base(request))?, &catalog.base);
    if !image.without.is_empty() {
        let without: Vec<String> = image.without.iter().map(ToString::to_string).collect();
        key = key.part("without", &without.join("\n"));
    }
    Ok(match material {
        Material::Compiled(sources) => {
            let toolchain = set(&SetOf::toolchain(request))?;
            let mut key = compile::add_to_key(key, catalog, &toolchain, sources.tool);
            if sources.tool == Tool::Nft {
                key = key.part("under nft", &set(&SetOf::under_nft(request))?.list());
            }
            if let Some(libnftnl) = &sources.libnftnl {
                key = key.part("libnftnl", libnftnl.part().1.as_str());
            }
            let (kind, digest) = sources.own.part();
            key.part(kind, digest.as_str()).key()
        }
        Material::Suite(wanted) => key.part("packages", &set(wanted)?.list()).key(),
        Material::Debs { set: wanted, files } => {
            let own = files.iter().map(|(_, digest)| digest.as_str());
            let key = key.part("packages", &set(wanted)?.list());
            key.part("own packages", &own.collect::<Vec<_>>().join("\n"))
                .key()
        }
        Material::Rootfs { digest, .. } => key.part("root filesystem", digest.as_str()).key(),
        Material::Container { id, .. } => key.part("image", id).key(),
        Material::Host { digest, .. } => key.part("host", digest.as_str()).key(),
    })
}
