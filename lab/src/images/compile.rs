//! Compiles source trees in the toolchain, without network and with nothing of the host but a folder for it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use super::archive;
use super::digest::{self, KeyOf};
use super::means::{Home, Means};
use super::rootfs;
use super::store::{PackageSet, Store};
use super::tree::{Kind, Tree};
use crate::catalog::{Catalog, CompileNeed, Digest, Linkage, Recipe, Toolchain, Version};
use crate::docker::{Docker, Download, ImageTag, Network, Run};
use crate::sandbox::{Contents, Job};

const SCRIPT: &str = include_str!("../../../images/compile.sh");

/// Where everything that is compiled lies, below the root.
pub(super) const FOLDER: &str = "build";

/// Where the script leaves what is needed at run time, below that.
const OUT: &str = "out";

/// More than any iptables takes with its libraries, in bytes.
pub(super) const LARGEST: u64 = 256 << 20;

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
    pub(super) means: &'a Means,
    pub(super) store: &'a Store,
    pub(super) labels: &'a HashMap<String, String>,
    /// The image's name, for messages and the log.
    pub(super) name: &'a str,
    /// Where the toolchain lives.
    pub(super) toolchain: &'a Home,
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
        let mut lines = 0;
        let mut count = |bytes: &[u8]| {
            lines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            on_lines(lines);
        };
        let environment = vec![
            "PATH=/usr/sbin:/usr/bin".into(),
            format!("EXTRA_CFLAGS={}", self.recipe.cflags),
            format!("LINKAGE={}", self.recipe.linkage),
            format!("JOBS={}", self.jobs),
        ];
        let compiled = match (self.means, self.toolchain) {
            (Means::Docker(docker), Home::Container(image)) => {
                self.in_container(
                    docker,
                    image,
                    environment,
                    source,
                    folder.path(),
                    &mut count,
                )
                .await
            }
            (Means::Native { program, .. }, Home::Directory(root)) => {
                self.in_namespaces(
                    program,
                    root,
                    environment,
                    source,
                    folder.path(),
                    &mut count,
                )
                .await
            }
            _ => Err("the toolchain does not live where it is looked for".to_owned()),
        };
        let (status, output, tree) = compiled.map_err(NotCompiled::Machine)?;
        let log = self.store.keep_log(self.name, &output);
        let log = log.map_err(NotCompiled::machine)?;
        match tree {
            Some(tree) => tree.map_err(NotCompiled::machine),
            None => Err(NotCompiled::Source(failure(status, &output, &log))),
        }
    }

    async fn in_container(
        &self,
        docker: &Docker,
        image: &str,
        env: Vec<String>,
        source: Tree,
        folder: &Path,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Compiled, String> {
        let (upload, download) = (folder.join("in.tar"), folder.join("out.tar"));
        pack(source, &upload).map_err(|e| e.to_string())?;
        let run = Run {
            image,
            command: COMMAND.map(str::to_owned).to_vec(),
            env,
            network: Network::None,
            upload: Some(&upload),
            download: Some(Download {
                from: "/build/out",
                to: &download,
                most: LARGEST,
            }),
            labels: self.labels,
        };
        let ended = docker.run(&run, on_output).await;
        let ended = ended.map_err(|e| e.to_string())?;
        let tree = (ended.status == 0).then(|| unpack(&download, folder));
        Ok((ended.status, ended.output, tree))
    }

    async fn in_namespaces(
        &self,
        program: &Path,
        root: &Path,
        environment: Vec<String>,
        source: Tree,
        folder: &Path,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Compiled, String> {
        let [build, tmp] = [FOLDER, "tmp"].map(|name| folder.join(name));
        lay(source, folder)
            .and_then(|()| std::fs::create_dir(&tmp))
            .map_err(|e| format!("the sources cannot be laid down: {e}"))?;
        let job = Job {
            stage: self.store.stage(),
            contents: Contents {
                root: root.to_owned(),
                shared: vec![(build.clone(), "/build".into()), (tmp, "/tmp".into())],
            },
            command: COMMAND.map(str::to_owned).to_vec(),
            environment,
        };
        let ended = job.run(program, on_output).await?;
        let tree = (ended.status == 0).then(|| read(&build.join(OUT), folder));
        Ok((ended.status.into(), ended.output, tree))
    }
}

/// The exit status, what was printed, and what came of it if it succeeded.
type Compiled = (i64, Vec<u8>, Option<std::io::Result<Tree>>);

const COMMAND: [&str; 2] = ["/bin/sh", "/build/compile.sh"];

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

/// What is compiled, below `/build`.
fn laid(mut source: Tree) -> std::io::Result<Tree> {
    source.below(Path::new("build/source"));
    source.add_file(Path::new("build/compile.sh"), true, &mut SCRIPT.as_bytes())?;
    Ok(source)
}

fn pack(source: Tree, to: &Path) -> std::io::Result<()> {
    laid(source)?.write_tar(std::io::BufWriter::new(File::create(to)?))?;
    Ok(())
}

fn lay(source: Tree, folder: &Path) -> std::io::Result<()> {
    laid(source)?.write_root(folder)
}

fn unpack(download: &Path, folder: &Path) -> std::io::Result<Tree> {
    let mut tree = Tree::new(Kind::Root, folder)?.holding(LARGEST);
    archive::read_tar(&mut tree, File::open(download)?)
        .and_then(|()| tree.enter(Path::new(OUT)))
        .map_err(refused)?;
    Ok(tree)
}

fn read(out: &Path, folder: &Path) -> std::io::Result<Tree> {
    let mut tree = Tree::new(Kind::Root, folder)?.holding(LARGEST);
    tree.add_left(out).map_err(refused)?;
    Ok(tree)
}

/// What a source tree's own scripts have made may be anything.
fn refused(error: std::io::Error) -> std::io::Error {
    let message = format!("what it left in /build/out is refused: {error}");
    std::io::Error::new(error.kind(), message)
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
