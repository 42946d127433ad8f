//! The toolchain: a root filesystem of Debian's packages that releases are compiled in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::KeyOf;
use super::event::{Listener, Step};
use super::gathered::{Gathered, PackagesError};
use super::request::ProvideRequest;
use super::rootfs::{self, RootfsError};
use super::roots::{RootId, Roots, RootsError};
use super::sets::SetOf;
use super::store::{PackageSet, Store, StoreError};
use super::task::{blocking, lock, step};
use crate::catalog::{Digest, Link, Toolchain};

/// Why there is no toolchain.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolchainError {
    /// Its packages cannot be had.
    #[error(transparent)]
    Packages(#[from] Arc<PackagesError>),
    /// Its packages cannot be unpacked.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// A link that it is to have finds no place.
    #[error("the toolchain's link {path} cannot be made: {source}")]
    Link {
        /// Where it is to be.
        path: String,
        /// Why it cannot.
        source: io::Error,
    },
    /// The engine does not take it.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What keys are made of: the toolchain's packages and links.
pub(super) fn parts(toolchain: &Toolchain, packages: &PackageSet) -> String {
    let link = |l: &Link| format!("{} -> {}\n", l.path, l.target);
    let links: String = toolchain.links.iter().map(link).collect();
    packages.list() + &links
}

/// The toolchain, made where it is not there.
pub(super) async fn provide(
    request: &ProvideRequest<'_>,
    gathered: &Gathered,
    roots: &dyn Roots,
    events: &Listener,
) -> Result<RootId, ToolchainError> {
    let packages = gathered.set(&SetOf::toolchain(request))?.clone();
    let (store, toolchain) = (request.store.clone(), request.catalog.toolchain.clone());
    let key = key_of(&toolchain, &packages);
    let name = format!("toolchain-{}", key.short());
    let _held = lock(&store, &name, events, Step::Toolchain).await?;
    let known = store.toolchain(&key);
    if let Some((_, digest)) = &known {
        let root = RootId::Toolchain {
            digest: digest.clone(),
        };
        if roots.has(&root).await? {
            return Ok(root);
        }
    }
    let make = async {
        let (tar, digest) = match known {
            Some(known) => known,
            None => blocking(move || assemble(&store, &toolchain, &packages, &key)).await?,
        };
        let root = RootId::Toolchain { digest };
        // Another store's toolchain may be the same.
        if !roots.has(&root).await? {
            roots.make(&root, &tar).await?;
        }
        Ok(root)
    };
    step(events, Step::Toolchain, make).await
}

fn key_of(toolchain: &Toolchain, packages: &PackageSet) -> Digest {
    let parts = parts(toolchain, packages);
    KeyOf::new().part("toolchain", &parts).key()
}

/// Puts the toolchain's root filesystem together. It blocks.
fn assemble(
    store: &Store,
    toolchain: &Toolchain,
    packages: &PackageSet,
    key: &Digest,
) -> Result<(PathBuf, Digest), ToolchainError> {
    let mut tree = rootfs::from_packages(store, packages)?;
    for link in &toolchain.links {
        let added = tree.add_link(Path::new(&link.path), Path::new(&link.target));
        added.map_err(|source| ToolchainError::Link {
            path: link.path.clone(),
            source,
        })?;
    }
    Ok(store.keep_toolchain(key, &tree)?)
}
