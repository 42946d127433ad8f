//! Where an engine keeps root filesystems, and how a command is run in one. Each engine implements it.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;

use super::archive;
use super::event::{Listener, Step};
use super::store::StoreError;
use super::tree::{Kind, Tree};
use crate::catalog::Digest;
use crate::docker::DockerError;
use crate::sandbox::JobError;

/// Where the files of a job lie, below the root.
pub const WORK: &str = "build";

/// Where a job leaves what is to be had of it, below that.
pub const OUT: &str = "out";

/// More than any iptables takes with its libraries, in bytes.
pub const LARGEST: u64 = 256 << 20;

/// Where an engine mounts something.
pub const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// A root filesystem, by what it is for and the digest of its normalised tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootId {
    /// What the builds of an image run in.
    Build {
        /// The image's name.
        name: String,
        /// The digest.
        digest: Digest,
    },
    /// What releases are compiled in.
    Toolchain {
        /// The digest.
        digest: Digest,
    },
}

/// Where an engine keeps root filesystems, and how a command is run in one.
pub trait Roots: Send + Sync {
    /// Makes what every lane needs beside its builds, if the engine has such a thing.
    fn prepare<'a>(&'a self, events: &'a Listener) -> BoxFuture<'a, Result<(), RootsError>>;

    /// Whether the root filesystem is there.
    fn has<'a>(&'a self, root: &'a RootId) -> BoxFuture<'a, Result<bool, RootsError>>;

    /// What making the root filesystem of `image` is shown as.
    fn step(&self, image: String) -> Step;

    /// Makes the root filesystem, which `tar` holds.
    fn make<'a>(&'a self, root: &'a RootId, tar: &'a Path)
    -> BoxFuture<'a, Result<(), RootsError>>;

    /// Takes a root filesystem away.
    fn remove<'a>(&'a self, root: &'a RootId) -> BoxFuture<'a, Result<(), RootsError>>;

    /// Runs a command to its end in a root filesystem, without network and without rights. Dropped before its end, it is
    /// ended. That it fails is no error but its exit status.
    fn run<'a>(
        &'a self,
        root: &'a RootId,
        job: Job,
        on_output: &'a mut (dyn FnMut(&[u8]) + Send),
    ) -> BoxFuture<'a, Result<Done, RootsError>>;
}

/// A command to be run to its end in a root filesystem.
pub struct Job {
    /// Program, by its path, and arguments.
    pub command: Vec<String>,
    /// `NAME=value` each.
    pub environment: Vec<String>,
    /// What it finds below [`WORK`], where it may write; what it leaves in [`OUT`] there is had of it if it succeeds.
    pub files: Option<Files>,
}

/// How a command ended.
pub struct Done {
    /// Its exit status.
    pub status: i64,
    /// What it wrote to standard output and standard error, as it came.
    pub output: Vec<u8>,
    /// What it left, if it was given files and succeeded.
    pub left: Option<Files>,
}

/// Files that a job is given, or has left.
pub struct Files(Tree);

impl Files {
    /// Files for a job, in the directory [`WORK`].
    pub(super) fn for_job(mut files: Tree) -> Files {
        files.below(Path::new(WORK));
        Files(files)
    }

    /// Writes them as a tar to be unpacked at the root.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn pack(&self, to: &Path) -> Result<(), RootsError> {
        let packed = File::create(to).and_then(|file| self.0.write_tar(BufWriter::new(file)));
        packed.map(drop).map_err(RootsError::Files)
    }

    /// Writes them below an empty directory, which stands for the root.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn lay(&self, root: &Path) -> Result<(), RootsError> {
        self.0.write_root(root).map_err(RootsError::Files)
    }

    /// Reads what a job has left from a tar of [`OUT`]; contents are kept in `folder`.
    ///
    /// # Errors
    /// It is no directory, or is nothing that a root filesystem is made of.
    pub fn unpack(tar: &Path, folder: &Path) -> Result<Files, RootsError> {
        let read = || {
            let mut tree = Tree::new(Kind::Root, folder)?.holding(LARGEST);
            archive::read_tar(&mut tree, File::open(tar)?)?;
            tree.enter(Path::new(OUT))?;
            Ok(Files(tree))
        };
        read().map_err(RootsError::Left)
    }

    /// Reads what a job has left from the directory that was [`OUT`] to it; contents are kept in `folder`.
    ///
    /// # Errors
    /// It is no directory, or is nothing that a root filesystem is made of.
    pub fn read(left: &Path, folder: &Path) -> Result<Files, RootsError> {
        let read = || {
            let mut tree = Tree::new(Kind::Root, folder)?.holding(LARGEST);
            tree.add_left(left)?;
            Ok(Files(tree))
        };
        read().map_err(RootsError::Left)
    }

    /// The files as a tree.
    pub(super) fn into_tree(self) -> Tree {
        self.0
    }
}

impl RootId {
    /// The digest of its normalised tar.
    pub fn digest(&self) -> &Digest {
        match self {
            RootId::Build { digest, .. } | RootId::Toolchain { digest } => digest,
        }
    }
}

/// Why an engine does not do with a root filesystem what it is asked for.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RootsError {
    /// The store fails.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// Docker fails.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Docker(#[from] DockerError),
    /// A command cannot be run in namespaces.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The lab's own binary cannot be read.
    #[error("the agent {} cannot be read: {source}", path.display())]
    Agent {
        /// Where it should be.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What a job is given cannot be written down.
    #[error("the sources cannot be laid down: {0}")]
    Files(#[source] io::Error),
    /// What a job has left is not taken: somebody else's program has made it, and it may be anything.
    #[error("what it left in /{WORK}/{OUT} is refused: {0}")]
    Left(#[source] io::Error),
    /// An unpacked root filesystem cannot be removed.
    #[error("{} cannot be removed: {source}", path.display())]
    Remove {
        /// Its directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}
