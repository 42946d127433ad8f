//! Compiles source trees in the toolchain, without network and with nothing of the host but a folder for it.

use std::path::{Path, PathBuf};

use super::digest::{self, KeyOf};
use super::roots::{Done, Files, Job, RootId, Roots, RootsError, WORK};
use super::store::{PackageSet, Store, StoreError};
use super::toolchain;
use super::tree::Tree;
use crate::catalog::{Catalog, CompileNeed, Linkage, Recipe, Tool, Version};

/// What compiles a tool.
fn script(tool: Tool) -> &'static str {
    match tool {
        Tool::Iptables => include_str!("../../../images/compile.sh"),
        Tool::Nft => include_str!("../../../images/compile-nft.sh"),
    }
}

/// The script among a job's files.
const SCRIPT_NAME: &str = "compile.sh";

/// Adds to a build's key what decides how it is compiled.
pub(super) fn add_to_key(
    key: KeyOf,
    catalog: &Catalog,
    packages: &PackageSet,
    tool: Tool,
) -> KeyOf {
    let need = |n: &CompileNeed| {
        let linkage = n.linkage.map_or("", Linkage::as_str);
        format!("{} {} {linkage} {}\n", n.first, n.last, n.cflags)
    };
    let needs = catalog.compile.iter().filter(|need| need.tool == tool);
    let needs: String = needs.map(need).collect();
    key.part("recipe", digest::of_bytes(script(tool).as_bytes()).as_str())
        .part("needs", &needs)
        .part("toolchain", &toolchain::parts(&catalog.toolchain, packages))
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
    pub(super) roots: &'a dyn Roots,
    pub(super) store: &'a Store,
    /// The image's name, for the log.
    pub(super) name: &'a str,
    pub(super) toolchain: &'a RootId,
    pub(super) tool: Tool,
    pub(super) recipe: Recipe,
    /// How many commands make runs at a time.
    pub(super) jobs: usize,
}

/// Why a source tree was not compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    /// It does not compile: so it will be the next time.
    #[error(
        "it does not compile (exit status {status}): {said}; the whole log is {}",
        log.display()
    )]
    Source {
        /// Program and arguments, in the toolchain.
        command: Vec<String>,
        /// How it ended.
        status: i64,
        /// The line of its output that tells most.
        said: String,
        /// All of it.
        log: PathBuf,
    },
    /// The files for it cannot be laid down, the engine fails, or what it left is not taken.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Compilation<'_> {
    /// Compiles `own` sources, with those of the libnftnl that they are linked with, and gives what is needed at run time.
    ///
    /// # Errors
    /// It does not compile, which is remembered by the caller, or the machine fails.
    pub(super) async fn run(
        &self,
        own: Tree,
        libnftnl: Option<Tree>,
        on_lines: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Tree, CompileError> {
        let mut lines = 0;
        let mut count = |bytes: &[u8]| {
            lines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            on_lines(lines);
        };
        let command = vec!["/bin/sh".to_owned(), format!("/{WORK}/{SCRIPT_NAME}")];
        let job = Job {
            command: command.clone(),
            environment: vec![
                "PATH=/usr/sbin:/usr/bin".into(),
                format!("EXTRA_CFLAGS={}", self.recipe.cflags),
                format!("LINKAGE={}", self.recipe.linkage),
                format!("JOBS={}", self.jobs),
            ],
            files: Some(files(self.tool, own, libnftnl).map_err(RootsError::Files)?),
        };
        let done = self.roots.run(self.toolchain, job, &mut count).await?;
        let log = self.store.keep_log(self.name, &done.output)?;
        match done.left {
            Some(left) => Ok(left.into_tree()),
            None => Err(failure(command, &done, log)),
        }
    }
}

/// What is compiled, with the script that does it.
fn files(tool: Tool, mut own: Tree, libnftnl: Option<Tree>) -> std::io::Result<Files> {
    own.below(Path::new("source"));
    if let Some(mut libnftnl) = libnftnl {
        libnftnl.below(Path::new("libnftnl"));
        own.add_tree(&libnftnl)?;
    }
    own.add_file(Path::new(SCRIPT_NAME), true, &mut script(tool).as_bytes())?;
    Ok(Files::for_job(own))
}

fn failure(command: Vec<String>, done: &Done, log: PathBuf) -> CompileError {
    let text = String::from_utf8_lossy(&done.output);
    let telling = |line: &&str| line.contains("error:") || line.contains("rror ");
    let line = text.lines().find(telling).or(text.lines().last());
    CompileError::Source {
        command,
        status: done.status,
        said: line.unwrap_or("it printed nothing").trim().to_owned(),
        log,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_compilers_error(
        "cc -c a.c\na.c:1: error: no x\nmake: *** [a.o] Error 1\n",
        "a.c:1: error: no x"
    )]
    #[case::the_last_line("checking for x\nno x\n", "no x")]
    #[case::nothing("", "it printed nothing")]
    fn what_does_not_compile_is_told_with_its_most_telling_line(
        #[case] output: &str,
        #[case] said: &str,
    ) {
        let done = Done {
            status: 2,
            output: output.into(),
            left: None,
        };
        let error = failure(
            vec!["/bin/sh".to_owned()],
            &done,
            "/store/logs/own.log".into(),
        );
        assert_eq!(
            error.to_string(),
            format!(
                "it does not compile (exit status 2): {said}; the whole log is /store/logs/own.log"
            )
        );
    }
}
