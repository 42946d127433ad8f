//! Root filesystems as directories of the store, which commands enter in namespaces of their own.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

use crate::images::{
    Done, Files, Job, Listener, MOUNT_POINTS, OUT, RootId, Roots, RootsError, Step, Store, WORK,
    blocking,
};
use crate::sandbox;

/// The unpacked root filesystems of a store.
pub struct Directories {
    store: Store,
    /// The lab's own program, which makes the namespaces.
    program: PathBuf,
}

impl Directories {
    /// Those of `store`; `program` is the lab itself.
    pub fn new(store: &Store, program: PathBuf) -> Directories {
        Directories {
            store: store.clone(),
            program,
        }
    }

    /// The lab's own program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// An empty directory that roots are put together over, in mount namespaces of their own.
    pub(super) fn stage(&self) -> PathBuf {
        self.store.stage()
    }

    /// The directory of a root filesystem.
    pub(super) fn path(&self, root: &RootId) -> PathBuf {
        self.store.root_path(root.digest())
    }

    async fn unpack(&self, root: &RootId, tar: &Path) -> Result<(), RootsError> {
        let points = MOUNT_POINTS.into_iter();
        let points: Vec<&str> = match root {
            RootId::Build { .. } => points.collect(),
            RootId::Toolchain { .. } => points.chain([WORK]).collect(),
        };
        let (store, tar, digest) = (self.store.clone(), tar.to_owned(), root.digest().clone());
        blocking(move || store.root(&digest, &tar, &points)).await?;
        Ok(())
    }

    async fn run_in_namespaces(
        &self,
        root: &RootId,
        job: Job,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Done, RootsError> {
        let scratch = self.store.scratch()?;
        let [work, tmp] = [WORK, "tmp"].map(|name| scratch.path().join(name));
        let mut shared = Vec::new();
        if let Some(files) = &job.files {
            files.lay(scratch.path())?;
            std::fs::create_dir(&tmp).map_err(RootsError::Files)?;
            shared = vec![
                (work.clone(), Path::new("/").join(WORK)),
                (tmp, "/tmp".into()),
            ];
        }
        let entered = sandbox::Job {
            stage: self.stage(),
            contents: sandbox::Contents {
                root: self.path(root),
                shared,
            },
            command: job.command,
            environment: job.environment,
        };
        let ended = entered.run(&self.program, on_output).await?;
        let left = match job.files.is_some() && ended.status == 0 {
            true => Some(Files::read(&work.join(OUT), scratch.path())?),
            false => None,
        };
        Ok(Done {
            status: ended.status.into(),
            output: ended.output,
            left,
        })
    }
}

impl Roots for Directories {
    fn prepare<'a>(&'a self, _: &'a Listener) -> BoxFuture<'a, Result<(), RootsError>> {
        future::ready(Ok(())).boxed()
    }

    fn has<'a>(&'a self, root: &'a RootId) -> BoxFuture<'a, Result<bool, RootsError>> {
        let there = self.store.known_root(root.digest()).is_some();
        future::ready(Ok(there)).boxed()
    }

    fn step(&self, image: String) -> Step {
        Step::Assemble { image }
    }

    fn make<'a>(
        &'a self,
        root: &'a RootId,
        tar: &'a Path,
    ) -> BoxFuture<'a, Result<(), RootsError>> {
        self.unpack(root, tar).boxed()
    }

    fn remove<'a>(&'a self, root: &'a RootId) -> BoxFuture<'a, Result<(), RootsError>> {
        let path = self.path(root);
        let removed = std::fs::remove_dir_all(&path);
        let removed = removed.map_err(|source| RootsError::Remove { path, source });
        future::ready(removed).boxed()
    }

    fn run<'a>(
        &'a self,
        root: &'a RootId,
        job: Job,
        on_output: &'a mut (dyn FnMut(&[u8]) + Send),
    ) -> BoxFuture<'a, Result<Done, RootsError>> {
        self.run_in_namespaces(root, job, on_output).boxed()
    }
}
