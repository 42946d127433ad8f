//! Root filesystems from what the user has: a container image, or the host's own binaries.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive;
use super::store::Store;
use super::tree::{Kind, Tree};
use crate::catalog::Backend;
use crate::docker::Docker;

/// Where the host's commands are looked for.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// The whole root filesystem of a container image.
///
/// # Errors
/// Docker cannot export it, or an entry climbs out; one sentence.
pub(super) async fn from_container(
    docker: &Docker,
    store: &Store,
    labels: &HashMap<String, String>,
    reference: &str,
) -> Result<Tree, String> {
    let folder = store.scratch().map_err(|e| e.to_string())?;
    let exported = folder.path().join("export.tar");
    let done = docker.export(reference, labels, &exported).await;
    done.map_err(|e| e.to_string())?;
    let tmp = store.tmp();
    let unpack = move || -> std::io::Result<Tree> {
        let mut tree = Tree::new(Kind::Root, &tmp)?;
        archive::read_tar(&mut tree, File::open(&exported)?)?;
        // What Docker puts into every container, and is not the image's.
        let made = ["dev", "proc", "sys", ".dockerenv"];
        tree.retain(|path| !made.iter().any(|top| path.starts_with(top)));
        drop(folder);
        Ok(tree)
    };
    let unpacked = tokio::task::spawn_blocking(unpack).await;
    let unpacked = unpacked.map_err(|e| e.to_string())?;
    unpacked.map_err(|e| format!("the image {reference} cannot be unpacked: {e}"))
}

/// The host's iptables with the libraries and extensions it loads. It blocks.
///
/// # Errors
/// The host has none, or `ldd` cannot tell its libraries; one sentence.
pub(super) fn from_host(tmp: &Path) -> Result<Tree, String> {
    let binaries: Vec<PathBuf> = Backend::ALL
        .iter()
        .filter_map(|backend| on_path(&format!("xtables-{backend}-multi")))
        .collect();
    if binaries.is_empty() {
        let message = "the host has neither xtables-nft-multi nor xtables-legacy-multi: install its package iptables";
        return Err(message.to_owned());
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
        let plugins =
            modules(&folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
        files.extend(self::libraries(&plugins)?);
        files.extend(plugins);
    }
    lay(&files, tmp).map_err(|e| format!("the host's iptables cannot be copied: {e}"))
}

fn on_path(command: &str) -> Option<PathBuf> {
    let mut paths = PATH.iter().map(|folder| Path::new(folder).join(command));
    paths.find(|path| path.is_file())
}

fn modules(folder: &Path) -> std::io::Result<BTreeSet<PathBuf>> {
    let files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let files = files.collect::<std::io::Result<BTreeSet<_>>>()?;
    let is_module = |path: &PathBuf| path.extension().is_some_and(|end| end == "so");
    Ok(files.into_iter().filter(is_module).collect())
}

/// The libraries, and the loader, that `ldd` names.
fn libraries(files: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, String> {
    if files.is_empty() {
        return Ok(BTreeSet::new());
    }
    // Its exit status is not zero where one of the files is static, which is no fault.
    let output = Command::new("ldd")
        .args(files)
        .env("LC_ALL", "C")
        .output()
        .map_err(|e| format!("cannot run ldd on the host's iptables: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        return Err(format!(
            "the host's iptables lacks a library: {}",
            line.trim()
        ));
    }
    let path = |line: &str| {
        let line = line.strip_prefix('\t')?;
        let line = line.split_once("=> ").map_or(line, |(_, path)| path);
        let path = line.split(" (").next()?.trim();
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    Ok(text.lines().filter_map(path).collect())
}

fn lay(files: &BTreeSet<PathBuf>, tmp: &Path) -> std::io::Result<Tree> {
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
