//! What works on this machine, what is missing, and the command that mends it. Everything is tried.

mod modules;
mod needs;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::Diagnostic;
use serde::Serialize;

use super::failure::{Failure, OrFailure};
use super::progress::Progress;
use super::session::{self, SessionOptions};
use crate::catalog::names::APT_IMAGE;
use crate::catalog::{Backend, Build, Catalog, Tool};
use crate::docker::Docker;
use crate::engine::{Chosen, Engine, EngineError, LaneSpec};
use crate::images::{self, Effort, ProvideRequest, Provision, Store, Surveyed};
use crate::leftovers::{self, Claim};
use crate::plan::LaneKind;
use crate::runner::kept::shelves;
use crate::scenario;
use rules::Tried;

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The engine that it was tried on; none where it concerns both.
    pub engine: Option<&'static str>,
    /// What was tried: `store`, `lane`, `nft rules`.
    pub what: String,
    /// Whether it works.
    pub works: bool,
    /// What was found.
    pub says: String,
    /// The command that mends it, or what to do.
    pub mend: Option<String>,
}

/// What a first run needs in the store: the toolchain, packages and every build.
const ROOM: u64 = 1 << 30;

/// Tries everything.
///
/// # Errors
/// A catalog file is malformed, there is no place for a store, or someone interrupted.
pub async fn examine(options: SessionOptions) -> Result<Vec<Check>, Failure> {
    let catalog = Catalog::load(&options.builds).or_bad_input()?;
    let interrupt = (options.listen)()?;
    let path = options.store_path()?;
    let progress = Arc::new(Progress::new(options.quiet));
    progress.begins();
    let doctor = Doctor {
        catalog,
        tarballs: options.tarballs,
        progress: progress.clone(),
        checks: Vec::new(),
    };
    let checks = tokio::select! {
        checks = doctor.all(&path) => checks,
        () = interrupt.asked() => return Err(Failure::interrupted()),
    };
    progress.done();
    Ok(checks)
}

impl Check {
    /// Whether it says that a whole engine works.
    pub fn is_working_engine(&self) -> bool {
        self.engine.is_some() && self.what == LANE && self.works
    }
}

/// Where nothing better is known.
const LOG: &str = "look what the kernel's log says of it: `dmesg`";

/// What says whether an engine works at all.
const LANE: &str = "lane";

struct Doctor {
    catalog: Catalog,
    tarballs: Vec<PathBuf>,
    progress: Arc<Progress>,
    checks: Vec<Check>,
}

impl Doctor {
    async fn all(mut self, path: &Path) -> Vec<Check> {
        self.apt().await;
        let store = Store::open(path).map_err(|error| error.to_string());
        let store = store.and_then(|store| {
            let claim = Claim::new(store.path()).map_err(|error| error.to_string())?;
            Ok((store, claim))
        });
        let (store, claim) = match store {
            Ok(both) => both,
            Err(error) => {
                let mend = "make it writable, or name another directory with --store";
                self.says(None, "store", Err((error, mend.to_owned())));
                return self.checks;
            }
        };
        self.store(&store);
        self.docker(&store, &claim).await;
        self.native(&store, &claim).await;
        self.checks
    }

    fn says(
        &mut self,
        engine: Option<&'static str>,
        what: &str,
        found: Result<String, (String, String)>,
    ) {
        let works = found.is_ok();
        let (says, mend) = match found {
            Ok(says) => (says, None),
            Err((says, mend)) => (says, Some(mend)),
        };
        self.checks.push(Check {
            engine,
            what: what.to_owned(),
            works,
            says,
            mend,
        });
    }

    /// Whether the machine's apt knows an archive.
    async fn apt(&mut self) {
        let asked = tokio::process::Command::new("apt-get")
            .args(["indextargets", "--format", "$(REPO_URI)"])
            .output()
            .await;
        let mend = "none is needed where a `debian:trixie-slim` image is: `docker pull debian:trixie-slim`";
        let found = match asked {
            Ok(output) if !output.stdout.is_empty() => {
                Ok("the machine's apt knows an archive".to_owned())
            }
            Ok(_) => Err((
                "the machine's apt knows no archive".to_owned(),
                mend.to_owned(),
            )),
            Err(error) => Err((format!("there is no apt: {error}"), mend.to_owned())),
        };
        self.says(None, "apt", found);
    }

    fn store(&mut self, store: &Store) {
        let shown = store.path().display();
        let found = match store.room() {
            Ok(free) => {
                let known = shelves(&store.memory()).unwrap_or_default();
                let known: u64 = known.iter().map(|shelf| shelf.bytes).sum();
                let says = format!(
                    "{shown}, {} MB free; {} MB of what runs have learnt",
                    free / 1_000_000,
                    known / 1_000_000
                );
                let mend = format!(
                    "free space there, or name another directory with --store: a first run needs {} MB",
                    ROOM / 1_000_000
                );
                match free >= ROOM {
                    true => Ok(says),
                    false => Err((says, mend)),
                }
            }
            Err(error) => Err((
                format!("{shown}: {error}"),
                "name another directory with --store".to_owned(),
            )),
        };
        self.says(None, "store", found);
    }

    async fn docker(&mut self, store: &Store, claim: &Claim) {
        const ENGINE: Option<&str> = Some("docker");
        let docker = match Docker::connect().await {
            Ok(docker) => docker,
            Err(error) => {
                let mend = error.help().map(|help| help.to_string());
                let found = Err((error.to_string(), mend.unwrap_or_default()));
                self.says(ENGINE, LANE, found);
                return;
            }
        };
        self.says(ENGINE, "daemon", Ok(format!("docker {}", docker.version())));
        let base = docker.image_id(APT_IMAGE).await;
        let base = match base {
            Ok(Some(_)) => format!("{APT_IMAGE} is there"),
            _ => format!("{APT_IMAGE} is not there, and not needed where the machine has apt"),
        };
        self.says(ENGINE, "base image", Ok(base));
        let program = PathBuf::from(session::AGENT);
        let chosen = Chosen::docker(docker.clone(), store, program, claim);
        self.engine("docker", chosen, (store, claim)).await;
        // What could not be removed carries a dead run's label: the next start does.
        let _ = leftovers::remove_of_run(&docker, claim.run()).await;
    }

    async fn native(&mut self, store: &Store, claim: &Claim) {
        let chosen = Chosen::native(store, PathBuf::from(session::AGENT), None);
        self.engine("native", chosen, (store, claim)).await;
    }

    /// Opens lanes of an engine with builds that were made, and has them write a rule for each thing that scenarios need.
    async fn engine(&mut self, name: &'static str, chosen: Chosen, made: (&Store, &Claim)) {
        let mend = format!("iptables-lab --engine {name} builds build");
        let (builds, engine) = match self.newest(&chosen, made).await {
            Ok((count, provision)) => {
                let words = format!("{count} images are made");
                self.says(Some(name), "builds", Ok(words));
                let engine = chosen.engine(&provision, made.1);
                (session::builds(&provision), Some(engine))
            }
            Err(reason) => {
                self.says(Some(name), "builds", Err((reason, mend.clone())));
                (Vec::new(), chosen.without_builds())
            }
        };
        let Some(engine) = engine else {
            let reason = "not tried: it takes a build".to_owned();
            self.says(Some(name), LANE, Err((reason, mend)));
            return;
        };
        self.backends(name, engine.as_ref(), &builds).await;
        engine.settled().await;
    }

    /// How many images are made, and the newest of each tool.
    async fn newest(
        &self,
        chosen: &Chosen,
        (store, claim): (&Store, &Claim),
    ) -> Result<(usize, Provision), String> {
        let mut request = ProvideRequest {
            catalog: &self.catalog,
            images: self.catalog.images.clone(),
            store,
            docker: chosen.daemon(),
            tarballs: self.tarballs.clone(),
            effort: Effort::Usual,
            labels: claim.labels(),
            jobs: 1,
        };
        let known = images::survey(&request).await.into_iter();
        let made = known.filter_map(|(image, found)| match found {
            Surveyed::Built(record) => Some((image, record)),
            Surveyed::NotBuilt | Surveyed::Missing(_) => None,
        });
        let made: Vec<_> = made.collect();
        let newest = Tool::ALL.map(|tool| {
            let of_tool = made.iter().filter(|(image, _)| image.tool == tool);
            of_tool.max_by_key(|(_, record)| &record.version)
        });
        let newest = newest.into_iter().flatten();
        request.images = newest.map(|(image, _)| image.clone()).collect();
        if request.images.is_empty() {
            return Err("no build was made yet".to_owned());
        }
        let progress = self.progress.clone();
        let listener: images::Listener = Arc::new(move |event| progress.image(event));
        let provided = images::provide(&request, chosen.roots(), &listener).await;
        let provision = provided.map_err(|error| error.to_string())?;
        Ok((made.len(), provision))
    }

    /// Says which rules `build` could not write: of those that root alone may write here, that it takes root.
    fn rules(
        &mut self,
        name: &'static str,
        engine: &dyn Engine,
        build: &Build,
        tried: Result<Tried<'_>, String>,
    ) {
        let written_by = written_by(build);
        let what = format!("{written_by} rules");
        let mut tried = match tried {
            Ok(tried) => tried,
            Err(error) => {
                self.says(Some(name), &what, Err((error, LOG.to_owned())));
                return;
            }
        };
        let of_root = tried.without(engine.of_root());
        self.says(Some(name), &what, tried.found(build));
        for match_of_root in of_root {
            let what = format!("{written_by} {match_of_root}");
            let found = Err((engine.notes().join("; "), "run it as root".to_owned()));
            self.says(Some(name), &what, found);
        }
    }

    async fn backends(&mut self, name: &'static str, engine: &dyn Engine, builds: &[Build]) {
        let scenarios = scenario::shipped().unwrap_or_default();
        let far: BTreeSet<_> = scenarios.iter().flat_map(|of| of.setup.ends()).collect();
        for (kind, backend) in [
            (LaneKind::Nft, Backend::Nft),
            (LaneKind::Legacy, Backend::Legacy),
        ] {
            let builds = newest(builds, backend);
            let spec = LaneSpec {
                number: 0,
                kind,
                builds: builds.iter().map(|build| build.id.clone()).collect(),
                far: far.clone(),
            };
            let mut lane = match engine.open(&spec).await {
                Ok(lane) => lane,
                Err(error) => {
                    self.says(Some(name), LANE, Err(with_mend(name, error)));
                    return;
                }
            };
            if kind == LaneKind::Nft {
                self.says(
                    Some(name),
                    LANE,
                    Ok(format!("a lane opens: {}", engine.name())),
                );
            }
            for build in builds {
                let tried = rules::try_all(lane.as_mut(), build, &scenarios).await;
                self.rules(name, engine, build, tried);
            }
            lane.close().await;
        }
    }
}

/// Of each tool the newest build of a backend.
fn newest(builds: &[Build], backend: Backend) -> Vec<&Build> {
    let of_tool = |tool| {
        let of_tool = builds.iter();
        of_tool
            .filter(move |build| build.tool == tool && build.backend == backend)
            .max_by_key(|build| &build.version)
    };
    Tool::ALL.into_iter().filter_map(of_tool).collect()
}

/// What a build's rules are called: after its backend, or as its tool writes them where that is not the one that is meant where
/// none is named.
fn written_by(build: &Build) -> String {
    if build.tool == Tool::default() {
        build.backend.to_string()
    } else {
        build.tool.commands().at_once().to_string()
    }
}

/// Why there is no lane, and what mends it.
fn with_mend(engine: &str, error: EngineError) -> (String, String) {
    match error {
        EngineError::Refused { what, mend } => (what, mend),
        EngineError::Lost(what) | EngineError::Fault(what) => {
            let mend = match engine {
                "docker" => "look what the daemon says: `docker info`",
                _ => LOG,
            };
            (what, mend.to_owned())
        }
    }
}
