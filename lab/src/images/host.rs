//! The host's own iptables as a root filesystem.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree::{Kind, Tree};
use crate::catalog::Backend;

/// Where the host's commands are looked for.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// Why the host's iptables cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostError {
    /// There is none.
    #[error(
        "the host has neither xtables-nft-multi nor xtables-legacy-multi: install its package iptables"
    )]
    NoIptables,
    /// Nothing says which libraries it loads.
    #[error("cannot run ldd on the host's iptables: {source}")]
    Ldd {
        /// Program and arguments.
        command: Vec<String>,
        /// The system's answer.
        source: io::Error,
    },
    /// A library that it loads is not there.
    #[error("the host's iptables lacks a library: {line}")]
    LacksLibrary {
        /// What `ldd` says of it.
        line: String,
    },
    /// The directory of its extensions cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Extensions {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Its files cannot be read or kept.
    #[error("the host's iptables cannot be copied: {source}")]
    Copy {
        /// The system's answer.
        source: io::Error,
    },
}

/// The host's iptables with the libraries and extensions it loads. It blocks.
///
/// # Errors
/// The host has none, or `ldd` cannot tell its libraries.
pub(super) fn root_filesystem(tmp: &Path) -> Result<Tree, HostError> {
    let binaries: Vec<PathBuf> = Backend::ALL
        .iter()
        .filter_map(|backend| on_path(&format!("xtables-{backend}-multi")))
        .collect();
    if binaries.is_empty() {
        return Err(HostError::NoIptables);
    }
    let mut files: BTreeSet<PathBuf> = binaries.iter().cloned().collect();
    let libraries = libraries(&files)?;
    let extensions: Vec<PathBuf> = libraries
        .iter()
        .filter_map(|library| library.parent())
        .map(|folder| folder.join("xtables"))
        .chain([PathBuf::from("/usr/lib/xtables")])
        .filter(|folder| folder.is_dir())
        .collect();
    files.extend(libraries);
    for folder in extensions {
        let plugins = modules(&folder).map_err(|source| HostError::Extensions {
            path: folder,
            source,
        })?;
        files.extend(self::libraries(&plugins)?);
        files.extend(plugins);
    }
    lay(&files, tmp).map_err(|source| HostError::Copy { source })
}

fn on_path(command: &str) -> Option<PathBuf> {
    let mut paths = PATH.iter().map(|folder| Path::new(folder).join(command));
    paths.find(|path| path.is_file())
}

fn modules(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let files = files.collect::<io::Result<BTreeSet<_>>>()?;
    let is_module = |path: &PathBuf| path.extension().is_some_and(|end| end == "so");
    Ok(files.into_iter().filter(is_module).collect())
}

/// The libraries, and the loader, that `ldd` names.
fn libraries(files: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, HostError> {
    if files.is_empty() {
        return Ok(BTreeSet::new());
    }
    // Its exit status is not zero where one of the files is static, which is no fault.
    let output = Command::new("ldd").args(files).env("LC_ALL", "C").output();
    let output = output.map_err(|source| {
        let files = files.iter().map(|file| file.display().to_string());
        HostError::Ldd {
            command: std::iter::once("ldd".to_owned()).chain(files).collect(),
            source,
        }
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        let line = line.trim().to_owned();
        return Err(HostError::LacksLibrary { line });
    }
    let path = |line: &str| {
        let line = line.strip_prefix('\t')?;
        let line = line.split_once("=> ").map_or(line, |(_, path)| path);
        let path = line.split(" (").next()?.trim();
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    Ok(text.lines().filter_map(path).collect())
}

fn lay(files: &BTreeSet<PathBuf>, tmp: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new(Kind::Root, tmp)?;
    for top in ["bin", "sbin", "lib", "lib32", "lib64"] {
        if let Ok(target) = std::fs::read_link(Path::new("/").join(top)) {
            tree.add_link(Path::new(top), &target)?;
        }
    }
    for file in files {
        let inner = file.strip_prefix("/").unwrap_or(file);
        // A link such as libmnl.so.0 is followed: what counts is that its name leads to the bytes.
        tree.add_file_of_machine(inner, file)?;
    }
    Ok(tree)
}
