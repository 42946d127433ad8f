//! Compiles source trees in the toolchain: in containers without network, nothing of the host mounted.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use super::archive;
use super::digest::{self, KeyOf};
use super::rootfs;
use super::store::{PackageSet, Store};
use super::tree::{Kind, Tree};
use crate::catalog::{Catalog, CompileNeed, Digest, Linkage, Recipe, Toolchain, Version};
use crate::docker::{Docker, ImageTag, Network, Run};

const SCRIPT: &str = include_str!("../../../images/compile.sh");

/// The repository of the toolchain's image.
pub(super) const TOOLCHAIN: &str = "iptables-lab-toolchain";

/// Adds to a build's key what decides how it is compiled.
pub(super) fn add_to_key(key: KeyOf, catalog: &Catalog, toolchain: &PackageSet) -> KeyOf {
    let need = |n: &CompileNeed| {
        let linkage = n.linkage.map_or("", Linkage::as_str);
        format!("{} {} {linkage} {}\n", n.first, n.last, n.cflags)
    };
    let needs: String = catalog.compile.iter().map(need).collect();
    key.part("recipe", digest::of_bytes(SCRIPT.as_bytes()).as_str())
        .part("needs", &needs)
        .part("toolchain", &toolchain_parts(&catalog.toolchain, toolchain))
}

fn toolchain_parts(toolchain: &Toolchain, packages: &PackageSet) -> String {
    let link = |l: &crate::catalog::Link| format!("{} -> {}\n", l.path, l.target);
    let links: String = toolchain.links.iter().map(link).collect();
    packages.list() + &links
}

/// The key of the toolchain's own root filesystem.
pub(super) fn toolchain_key(toolchain: &Toolchain, packages: &PackageSet) -> Digest {
    let parts = toolchain_parts(toolchain, packages);
    KeyOf::new().part("toolchain", &parts).key()
}

/// The container image of a toolchain with this digest.
pub(super) fn toolchain_image(digest: &Digest) -> ImageTag {
    ImageTag {
        repository: TOOLCHAIN.to_owned(),
        tag: digest.short().to_owned(),
    }
}

/// Puts the toolchain's root filesystem together. It blocks.
///
/// # Errors
/// A package cannot be read; one sentence.
pub(super) fn assemble_toolchain(
    store: &Store,
    toolchain: &Toolchain,
    packages: &PackageSet,
) -> Result<(std::path::PathBuf, Digest), String> {
    let mut tree = rootfs::from_packages(store, packages)?;
    for link in &toolchain.links {
        let added = tree.add_link(Path::new(&link.path), Path::new(&link.target));
        added.map_err(|e| format!("the toolchain's link {} cannot be made: {e}", link.path))?;
    }
    let key = toolchain_key(toolchain, packages);
    store.keep_toolchain(&key, &tree).map_err(|e| e.to_string())
}

/// The version that a source tree says it has: `AC_INIT([iptables], [1.8.8])`.
pub(super) fn version_of(tree: &Tree) -> Option<Version> {
    let text = tree.read(Path::new("configure.ac")).ok()??;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, arguments) = text.split_once("AC_INIT(")?;
    let (arguments, _) = arguments.split_once(')')?;
    let version = arguments.split(',').nth(1)?;
    let version = version.trim().trim_matches(['[', ']']);
    Some(Version::new(version)).filter(|version| !version.as_str().is_empty())
}

/// One compilation.
pub(super) struct Compilation<'a> {
    pub(super) docker: &'a Docker,
    pub(super) store: &'a Store,
    pub(super) labels: &'a HashMap<String, String>,
    /// The image's name, for messages and the log.
    pub(super) name: &'a str,
    /// The toolchain's container image.
    pub(super) toolchain: &'a str,
    pub(super) recipe: Recipe,
    /// How many commands make runs at a time.
    pub(super) jobs: usize,
}

impl Compilation<'_> {
    /// Compiles `source` and gives what is needed of it at run time.
    ///
    /// # Errors
    /// It does not compile, which is remembered by the caller, or Docker fails; one sentence.
    pub(super) async fn run(
        &self,
        source: Tree,
        on_lines: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Tree, NotCompiled> {
        let folder = self.store.scratch().map_err(NotCompiled::machine)?;
        let (upload, download) = (folder.path().join("in.tar"), folder.path().join("out.tar"));
        pack(source, &upload).map_err(NotCompiled::machine)?;
        let run = Run {
            image: self.toolchain,
            command: vec!["/bin/sh".into(), "/build/compile.sh".into()],
            env: vec![
                "PATH=/usr/sbin:/usr/bin".into(),
                format!("EXTRA_CFLAGS={}", self.recipe.cflags),
                format!("LINKAGE={}", self.recipe.linkage),
                format!("JOBS={}", self.jobs),
            ],
            network: Network::None,
            upload: Some(&upload),
            download: Some(("/build/out", &download)),
            labels: self.labels,
        };
        let mut lines = 0;
        let mut count = |bytes: &[u8]| {
            lines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            on_lines(lines);
        };
        let ended = self.docker.run(&run, &mut count).await;
        let ended = ended.map_err(NotCompiled::machine)?;
        let log = self.store.keep_log(self.name, &ended.output);
        let log = log.map_err(NotCompiled::machine)?;
        if ended.status != 0 {
            let reason = failure(ended.status, &ended.output, &log);
            return Err(NotCompiled::Source(reason));
        }
        unpack(&download, folder.path()).map_err(NotCompiled::machine)
    }
}

/// Why a source tree was not compiled.
#[derive(Debug)]
pub(super) enum NotCompiled {
    /// It does not compile: so it will be the next time.
    Source(String),
    /// Docker or the store failed: another time it may work.
    Machine(String),
}

impl NotCompiled {
    fn machine(error: impl std::fmt::Display) -> Self {
        NotCompiled::Machine(error.to_string())
    }
}

fn pack(mut source: Tree, to: &Path) -> std::io::Result<()> {
    source.below(Path::new("build/source"));
    source.add_file(Path::new("build/compile.sh"), true, &mut SCRIPT.as_bytes())?;
    source.write_tar(std::io::BufWriter::new(File::create(to)?))?;
    Ok(())
}

fn unpack(download: &Path, folder: &Path) -> std::io::Result<Tree> {
    let mut tree = Tree::new(Kind::Root, folder)?;
    archive::read_tar(&mut tree, File::open(download)?)?;
    tree.strip_top();
    Ok(tree)
}

fn failure(status: i64, output: &[u8], log: &Path) -> String {
    let text = String::from_utf8_lossy(output);
    let telling = |line: &&str| line.contains("error:") || line.contains("rror ");
    let line = text.lines().find(telling).or(text.lines().last());
    format!(
        "it does not compile (exit status {status}): {}; the whole log is {}",
        line.unwrap_or("it printed nothing").trim(),
        log.display()
    )
}
