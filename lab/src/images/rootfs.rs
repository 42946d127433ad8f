//! Root filesystems: what every one holds, and which iptables commands are in it.

use std::io;
use std::path::{Path, PathBuf};

use super::archive;
use super::digest::KeyOf;
use super::roots::MOUNT_POINTS;
use super::store::{PackageSet, Store};
use super::tree::{Kind, Tree};
use crate::catalog::names::AGENT_DIRECTORY;
use crate::catalog::{Backend, Base, Family, Tool, Version};
use crate::tool::iptables::stem;

/// Users and groups that rules may name (`-m owner --uid-owner nobody`), the same everywhere.
const PASSWD: &str = "root:x:0:0:root:/:/bin/false\n\
                      daemon:x:1:1:daemon:/:/bin/false\n\
                      nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n";

/// Where commands are looked for, in this order.
const PATH: [&str; 6] = [
    "usr/local/sbin",
    "usr/local/bin",
    "usr/sbin",
    "usr/bin",
    "sbin",
    "bin",
];

/// Why a root filesystem is not put together.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootfsError {
    /// There is no room for its files.
    #[error("cannot make a tree: {0}")]
    Tree(#[source] io::Error),
    /// A package is not what it is said to be.
    #[error("the package {name} {version} cannot be unpacked: {source}")]
    Package {
        /// Its name.
        name: String,
        /// Its version.
        version: Version,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The files that every root filesystem has are not there, or find no place.
    #[error("the base files cannot be laid down: {0}")]
    Base(#[source] io::Error),
}

/// Adds to a build's key what its base is made of.
pub(super) fn add_base_to_key(key: KeyOf, packages: &PackageSet, base: &Base) -> KeyOf {
    key.part("base", &packages.list())
        .part("base files", &base.files.join("\n"))
        .part("users", PASSWD)
        .part("groups", GROUP)
}

/// Unpacks a package set as `dpkg-deb -x` would, onto a merged `/usr`. It blocks.
///
/// # Errors
/// A package cannot be read.
pub(super) fn from_packages(store: &Store, packages: &PackageSet) -> Result<Tree, RootfsError> {
    let mut tree = merged_usr(&store.tmp()).map_err(RootfsError::Tree)?;
    for package in &packages.packages {
        let path = store.package(package);
        archive::read_deb(&mut tree, &path).map_err(|source| RootfsError::Package {
            name: package.name.clone(),
            version: package.version.clone(),
            source,
        })?;
    }
    Ok(tree)
}

fn merged_usr(tmp: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new(Kind::Root, tmp)?;
    for folder in ["bin", "sbin", "lib", "lib32", "lib64"] {
        let target = Path::new("usr").join(folder);
        tree.add_directory(&target)?;
        tree.add_link(Path::new(folder), &target)?;
    }
    tree.add_directory(Path::new("tmp"))?;
    Ok(tree)
}

/// Puts into a root filesystem what every one has. It blocks.
///
/// # Errors
/// The base's packages cannot be read or lack a file.
pub(super) fn add_base(
    tree: &mut Tree,
    store: &Store,
    packages: &PackageSet,
    base: &Base,
) -> Result<(), RootfsError> {
    let from = from_packages(store, packages)?;
    tree.retain(|path| !path.starts_with(AGENT_DIRECTORY));
    let mut add = || {
        for file in &base.files {
            tree.copy_from(&from, Path::new(file))?;
        }
        tree.add_file(Path::new("etc/passwd"), false, &mut PASSWD.as_bytes())?;
        tree.add_file(Path::new("etc/group"), false, &mut GROUP.as_bytes())?;
        let mut folders = MOUNT_POINTS.iter();
        folders.try_for_each(|folder| tree.add_mount_point(Path::new(folder)))
    };
    add().map_err(RootfsError::Base)
}

/// Which backends of a tool a root filesystem holds, and where.
///
/// # Errors
/// A link cannot be read or made.
pub(super) fn find_backends(tree: &mut Tree, tool: Tool) -> io::Result<Vec<(Backend, PathBuf)>> {
    match tool {
        Tool::Iptables => find_iptables(tree),
        Tool::Nft => Ok(find(tree, "nft")?
            .map(|nft| (Backend::Nft, nft))
            .into_iter()
            .collect()),
    }
}

/// Which backends of iptables a root filesystem holds, and where. Each command that the lab calls (`iptables-nft-save`) is then there:
/// a link is made where a distribution has none.
fn find_iptables(tree: &mut Tree) -> io::Result<Vec<(Backend, PathBuf)>> {
    let mut found = Vec::new();
    for backend in Backend::ALL {
        let Some(binary) = find(tree, &format!("xtables-{backend}-multi"))? else {
            continue;
        };
        for family in [Family::Ipv4, Family::Ipv6] {
            for command in ["", "-save", "-restore"] {
                let name = format!("{}-{backend}{command}", stem(family));
                if find(tree, &name)?.is_none() {
                    tree.add_link(
                        &Path::new("usr/sbin").join(name),
                        &Path::new("/").join(&binary),
                    )?;
                }
            }
        }
        let main = find(tree, &format!("iptables-{backend}"))?;
        found.extend(main.map(|main| (backend, main)));
    }
    Ok(found)
}

/// The path of a command, if the file it leads to is there.
fn find(tree: &Tree, command: &str) -> io::Result<Option<PathBuf>> {
    for folder in PATH {
        let path = Path::new(folder).join(command);
        if tree.resolve(&path)?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
