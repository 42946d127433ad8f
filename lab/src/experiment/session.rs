//! What a command that runs builds needs: the store, the daemon, the images, and that nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use miette::{Diagnostic, miette};

use super::failure::{Failure, OrFailure};
use super::interrupt::Interrupt;
use super::progress::{Progress, say};
use crate::catalog::{Backend, Build, Catalog, Image, Source};
use crate::docker::{Docker, DockerError};
use crate::engine::native::{Directories, NativeEngine};
use crate::engine::{self, Chosen, Engine, EngineError, LaneSpec};
use crate::fault;
use crate::images::{self, Effort, InUse, ProvideRequest, Provision, Store};
use crate::leftovers::{self, Claim};
use crate::plan::LaneKind;

/// Where steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// Docker where a daemon answers, else native.
    Auto,
    /// Containers of a Docker daemon.
    Docker,
    /// Namespaces without a daemon.
    Native,
}

/// What is said about a session before it is opened.
#[derive(Debug)]
pub struct SessionOptions {
    /// Where builds and tarballs are kept; where nothing is said, in the user's cache directory.
    pub store: Option<PathBuf>,
    /// Files with builds of the user's own.
    pub builds: Vec<PathBuf>,
    /// Directories with release tarballs.
    pub tarballs: Vec<PathBuf>,
    /// Where builds are made and run.
    pub engine: EngineChoice,
    /// Print no progress.
    pub quiet: bool,
    /// Begins to listen for who asks the program to stop.
    pub listen: fn() -> Result<Interrupt, Failure>,
}

impl SessionOptions {
    /// Where builds and tarballs are kept.
    ///
    /// # Errors
    /// Nothing was said, and the user has no cache directory.
    pub fn store_path(&self) -> Result<PathBuf, Failure> {
        match &self.store {
            Some(path) => Ok(path.clone()),
            None => Store::default_path().or_lacks(),
        }
    }
}

/// One run of the program that starts things: what it starts carries its id, and goes when it ends.
pub struct Session {
    /// The builds that can be had.
    pub catalog: Catalog,
    /// Where they are kept.
    pub store: Store,
    /// That they are used, as long as this run lasts.
    pub in_use: InUse,
    /// How builds are made and run.
    pub chosen: Chosen,
    /// Why so.
    pub why: &'static str,
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
    pub async fn open(options: SessionOptions) -> Result<Self, Failure> {
        let catalog = Catalog::load(&options.builds).or_bad_input()?;
        require_static()?;
        let progress = Arc::new(Progress::new(options.quiet));
        progress.begins();
        let path = options.store_path()?;
        let interrupt = (options.listen)()?;
        let ready = async {
            let store = Store::open(&path).or_lacks()?;
            let claim = Claim::new(store.path()).or_lacks()?;
            let in_use = use_it(&store).await?;
            let (chosen, why) = choose(options.engine, &catalog, &store, &claim).await?;
            if let Chosen::Docker(images) = &chosen {
                let swept = leftovers::remove_of_dead_runs(images.docker()).await;
                swept.or_lacks()?;
            }
            Ok((store, claim, in_use, chosen, why))
        };
        let (store, claim, in_use, chosen, why) = tokio::select! {
            ready = ready => ready,
            () = interrupt.asked() => Err(Failure::interrupted()),
        }?;
        progress.done();
        Ok(Session {
            catalog,
            store,
            in_use,
            chosen,
            why,
            progress,
            interrupt,
            claim,
            tarballs: options.tarballs,
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
            () = self.interrupted() => Err(Failure::interrupted()),
        }
    }

    /// Makes the container images of `images`, or says why each cannot be had.
    ///
    /// # Errors
    /// The machine lacks what every build needs, or someone interrupted.
    pub async fn provide(&self, images: Vec<Image>, effort: Effort) -> Result<Provision, Failure> {
        let provision = self.try_provide(images, effort).await?;
        provision.some().or_lacks()
    }

    /// The same, also where not one of them can be had.
    ///
    /// # Errors
    /// The store or the daemon fails, or someone interrupted.
    pub async fn try_provide(
        &self,
        images: Vec<Image>,
        effort: Effort,
    ) -> Result<Provision, Failure> {
        fault::step();
        let progress = self.progress.clone();
        let request = self.request(images, effort);
        let listener: images::Listener = Arc::new(move |event| progress.image(event));
        let provide = async {
            let provided = images::try_provide(&request, self.chosen.roots(), &listener).await;
            provided.or_lacks()
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
            docker: self.chosen.daemon(),
            tarballs: self.tarballs.clone(),
            effort,
            labels: self.claim.labels(),
            jobs: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }

    /// Removes whatever this run still has in Docker.
    pub async fn sweep(&self) {
        let Chosen::Docker(images) = &self.chosen else {
            return;
        };
        if let Err(error) = leftovers::remove_of_run(images.docker(), self.claim.run()).await {
            say(format_args!(
                "containers of this run may be left, and the next start removes them: {error}"
            ));
        }
    }

    /// Why no build of a backend can run here, of those that cannot.
    ///
    /// # Errors
    /// The engine fails, or someone interrupted.
    pub async fn lacking(
        &self,
        engine: &dyn Engine,
    ) -> Result<BTreeMap<Backend, &'static str>, Failure> {
        let asked = async {
            let lacking = engine::lacking(engine).await;
            lacking
                .map_err(|error| miette!("the kernel cannot be asked for its tables: {error}"))
                .or_lacks()
        };
        let lacks = self.unless_interrupted(asked).await;
        engine.settled().await;
        if lacks.is_err() {
            self.sweep().await;
        }
        lacks
    }

    /// An engine for the builds of `provision`.
    pub fn engine(&self, provision: &Provision) -> Box<dyn Engine> {
        self.chosen.engine(provision, &self.claim)
    }
}

/// Says that this run uses the store, once no other removes what is in it.
async fn use_it(store: &Store) -> Result<InUse, Failure> {
    let store = store.clone();
    let waiting = || say(format_args!("another run removes builds, waiting"));
    let taken = tokio::task::spawn_blocking(move || store.use_it(waiting)).await;
    let taken = taken.map_err(|error| miette!("{error}")).or_fault()?;
    taken.or_lacks()
}

/// How builds are made and run, and why so.
async fn choose(
    engine: EngineChoice,
    catalog: &Catalog,
    store: &Store,
    claim: &Claim,
) -> Result<(Chosen, &'static str), Failure> {
    let containers = |docker| Chosen::docker(docker, store, PathBuf::from(AGENT), claim);
    match engine {
        EngineChoice::Docker => {
            let docker = Docker::connect().await.or_lacks()?;
            Ok((containers(docker), "as asked for"))
        }
        EngineChoice::Native => {
            let native = native(catalog, store).await;
            let native = native.map_err(|error| miette!("{error}"));
            Ok((native.or_lacks()?, "as asked for"))
        }
        EngineChoice::Auto => match Docker::connect().await {
            Ok(docker) => Ok((containers(docker), "a Docker daemon answers")),
            Err(silent) => match native(catalog, store).await {
                Ok(native) => Ok((native, "no Docker daemon answers")),
                Err(refused) => Err(neither(&silent, &refused)),
            },
        },
    }
}

/// The native engine, if the machine lets it be: tried, not guessed.
async fn native(catalog: &Catalog, store: &Store) -> Result<Chosen, EngineError> {
    let directories = Arc::new(Directories::new(store, PathBuf::from(AGENT)));
    let engine = NativeEngine::new(directories.clone(), BTreeMap::new());
    let nothing = LaneSpec {
        number: 0,
        kind: LaneKind::Nft,
        builds: BTreeSet::new(),
        far: BTreeSet::new(),
    };
    engine.open(&nothing).await?.close().await;
    engine.settled().await;
    let is_container = |image: &Image| matches!(image.source, Source::Container { .. });
    let docker = match catalog.images.iter().any(is_container) {
        true => Docker::connect().await.ok(),
        false => None,
    };
    Ok(Chosen::Native {
        directories,
        docker,
    })
}

/// No engine can be had: one sentence a way out.
fn neither(silent: &DockerError, refused: &EngineError) -> Failure {
    let help = silent.help().map(|help| format!("for Docker: {help}"));
    let error = miette!(
        help = help.unwrap_or_default(),
        "no engine works here. docker: {silent}. native: {refused}"
    );
    Failure::lacks(error)
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
pub const AGENT: &str = "/proc/self/exe";

/// A program that needs a dynamic loader cannot be the agent in images that hold none.
fn require_static() -> Result<(), Failure> {
    if cfg!(target_feature = "crt-static") {
        return Ok(());
    }
    let error = miette!(
        help = "RUSTFLAGS in the environment replaces what .cargo/config.toml sets: unset it and build again",
        "this program is not linked statically, so it cannot be the agent in its own containers"
    );
    Err(Failure::lacks(error))
}
