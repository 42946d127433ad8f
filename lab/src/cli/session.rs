//! What a command that runs builds needs: the store, the daemon, the images, and that nothing is left behind.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use miette::miette;

use super::{Common, EngineChoice};
use super::exit::{Exit, Failure, Or};
use super::interrupt::Interrupt;
use super::progress::{Progress, say};
use crate::catalog::{Build, Catalog, Image};
use crate::docker::Docker;
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::engine::native::NativeEngine;
use crate::images::{self, Effort, ProvideRequest, Provision, Store};
use crate::leftovers::{self, Claim};

/// One run of the program that starts things: what it starts carries its id, and goes when it ends.
pub struct Session {
    /// The builds that can be had.
    pub catalog: Catalog,
    /// Where they are kept.
    pub store: Store,
    /// The daemon.
    pub docker: Docker,
    /// What is shown meanwhile.
    pub progress: Arc<Progress>,
    interrupt: Interrupt,
    claim: Claim,
    tarballs: Vec<PathBuf>,
}

impl Session {
    /// Opens the store, finds the daemon, and removes what runs that were killed left behind.
    ///
    /// # Errors
    /// The machine lacks something, or a catalog file is malformed.
    pub async fn open(common: &Common) -> Result<Self, Failure> {
        let catalog = Catalog::load(&common.builds).or_exit(Exit::Usage)?;
        require_static()?;
        let path = match &common.store {
            Some(path) => path.clone(),
            None => Store::default_path().or_exit(Exit::Lacks)?,
        };
        let interrupt = Interrupt::listen()
            .map_err(|error| miette!("cannot listen for signals: {error}"))
            .or_exit(Exit::Lacks)?;
        let ready = async {
            let store = Store::open(&path).or_exit(Exit::Lacks)?;
            let docker = Docker::connect().await.or_exit(Exit::Lacks)?;
            let claim = Claim::new(store.path()).or_exit(Exit::Lacks)?;
            leftovers::remove_of_dead_runs(&docker)
                .await
                .or_exit(Exit::Lacks)?;
            Ok((store, docker, claim))
        };
        let (store, docker, claim) = tokio::select! {
            ready = ready => ready,
            () = interrupt.asked() => Err(interrupted()),
        }?;
        let progress = Arc::new(Progress::new(common.quiet));
        Ok(Session {
            catalog,
            store,
            docker,
            progress,
            interrupt,
            claim,
            tarballs: common.tarballs.clone(),
        })
    }

    /// Completes when the program is asked to stop, or was already.
    pub async fn interrupted(&self) {
        self.interrupt.asked().await
    }

    /// Does `work`, unless the program is asked to stop meanwhile.
    ///
    /// # Errors
    /// The work's own, or that it was interrupted.
    pub async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            () = self.interrupted() => Err(interrupted()),
        }
    }

    /// Makes the container images of `images`, or says why each cannot be had.
    ///
    /// # Errors
    /// The machine lacks what every build needs, or someone interrupted.
    pub async fn provide(&self, images: Vec<Image>, effort: Effort) -> Result<Provision, Failure> {
        let progress = self.progress.clone();
        let request = self.request(images, effort);
        let listener: images::Listener = Arc::new(move |event| progress.image(event));
        let provide = async {
            let provided = images::provide(&request, &self.docker, &listener).await;
            provided.or_exit(Exit::Lacks)
        };
        let provided = self.unless_interrupted(provide).await;
        self.progress.done();
        if provided.is_err() {
            self.sweep().await;
            // The daemon may have been making a container, which was asked for when the work was dropped.
            tokio::time::sleep(LATE).await;
            self.sweep().await;
        }
        provided
    }

    /// What images are made with.
    pub fn request(&self, images: Vec<Image>, effort: Effort) -> ProvideRequest<'_> {
        ProvideRequest {
            catalog: &self.catalog,
            images,
            store: &self.store,
            agent: Path::new(AGENT),
            tarballs: self.tarballs.clone(),
            effort,
            labels: self.claim.labels(),
            jobs: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }

    /// Removes whatever this run still has in Docker.
    pub async fn sweep(&self) {
        if let Err(error) = leftovers::remove_of_run(&self.docker, self.claim.run()).await {
            say(format_args!(
                "containers of this run may be left, and the next start removes them: {error}"
            ));
        }
    }

    /// An engine for the builds of `provision`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn engine(
        &self,
        choice: EngineChoice,
        provision: &Provision,
    ) -> Result<Box<dyn Engine>, Failure> {
        Ok(match choice {
            EngineChoice::Auto | EngineChoice::Docker => Box::new(self.docker_engine(provision)),
            EngineChoice::Native => Box::new(self.native_engine(provision)?),
        })
    }

    fn native_engine(&self, provision: &Provision) -> Result<NativeEngine, Failure> {
        let mut roots = BTreeMap::new();
        for ready in &provision.builds {
            let root = self.store.root(&ready.build.digest, &ready.rootfs);
            roots.insert(ready.build.id.clone(), root.or_exit(Exit::Lacks)?);
        }
        Ok(NativeEngine::new(AGENT.into(), self.store.path().join("tmp"), roots))
    }

    fn docker_engine(&self, provision: &Provision) -> DockerEngine {
        let images: BTreeMap<_, _> = provision
            .builds
            .iter()
            .map(|ready| (ready.build.id.clone(), ready.container_image.clone()))
            .collect();
        let labels: HashMap<String, String> = self.claim.labels();
        let run = self.claim.run().to_owned();
        DockerEngine::new(
            self.docker.clone(),
            provision.holder_image.clone(),
            images,
            labels,
            run,
        )
    }
}

/// The builds of a provision.
pub fn builds(provision: &Provision) -> Vec<Build> {
    provision
        .builds
        .iter()
        .map(|ready| ready.build.clone())
        .collect()
}

/// How long after it was asked for a container may come up.
const LATE: Duration = Duration::from_secs(1);

/// The agent is this very program.
const AGENT: &str = "/proc/self/exe";

/// A program that needs a dynamic loader cannot be the agent in images that hold none.
fn require_static() -> Result<(), Failure> {
    if cfg!(target_feature = "crt-static") {
        return Ok(());
    }
    let error = miette!(
        help = "RUSTFLAGS in the environment replaces what .cargo/config.toml sets: unset it and build again",
        "this program is not linked statically, so it cannot be the agent in its own containers"
    );
    Err(Failure::new(Exit::Lacks, error))
}

/// Runs a command to its end.
pub fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| miette!("cannot start threads: {error}"))
        .or_exit(Exit::Lacks)?;
    let ended = runtime.block_on(command);
    // Nobody waits for what still blocks a thread, such as reading a large file.
    runtime.shutdown_timeout(Duration::from_secs(5));
    ended
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, miette!("interrupted"))
}
