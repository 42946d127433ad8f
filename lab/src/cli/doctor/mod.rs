//! `doctor`: what works on this machine, what is missing, and the command that mends it. Everything is tried.

mod needs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use miette::{Diagnostic, miette};
use serde::Serialize;

use super::exit::{Exit, Failure, Or};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::{Common, output, session};
use crate::agent::protocol::{End, Ran, Reply, Request};
use crate::catalog::{Backend, Build, Catalog, Tool};
use crate::docker::Docker;
use crate::engine::{self, Engine, Lane, LaneSpec, Place, surroundings};
use crate::images::{self, Effort, Means, ProvideRequest, Store, Surveyed};
use crate::leftovers::{self, Claim};
use crate::plan::{LaneKind, command};
use crate::scenario;
use needs::{Asking, Need, needs};

#[derive(Args)]
pub struct DoctorArgs {
    /// The form of what is found.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// The form of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for the terminal.
    Table,
    /// One JSON document.
    Json,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// The engine that it was tried on; none where it concerns both.
    engine: Option<&'static str>,
    /// What was tried: `store`, `lane`, `nft rules`.
    what: String,
    /// Whether it works.
    works: bool,
    /// What was found.
    says: String,
    /// The command that mends it, or what to do.
    mend: Option<String>,
}

/// What a first run needs in the store: the toolchain, packages and every build.
const ROOM: u64 = 1 << 30;

/// How long a rule may take.
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(args: &DoctorArgs, common: &Common) -> Result<Exit, Failure> {
    let catalog = Catalog::load(&common.builds).or_exit(Exit::Usage)?;
    let interrupt = Interrupt::listen()
        .map_err(|error| miette!("cannot listen for signals: {error}"))
        .or_exit(Exit::Lacks)?;
    let path = match &common.store {
        Some(path) => path.clone(),
        None => Store::default_path().or_exit(Exit::Lacks)?,
    };
    let progress = Arc::new(Progress::new(common.quiet));
    progress.begins(catalog.images.len());
    let doctor = Doctor {
        catalog,
        common,
        progress: progress.clone(),
        checks: Vec::new(),
    };
    let checks = tokio::select! {
        checks = doctor.all(&path) => checks,
        () = interrupt.asked() => {
            let error = miette!("interrupted");
            return Err(Failure::new(Exit::Interrupted, error));
        }
    };
    progress.done();
    output::print(&match args.format {
        Format::Table => table(&checks),
        Format::Json => {
            let text = serde_json::to_string_pretty(&checks);
            text.map_err(|error| miette!("{error}"))
                .or_exit(Exit::Fault)?
                + "\n"
        }
    })?;
    let works = checks
        .iter()
        .any(|check| check.engine.is_some() && check.what == LANE && check.works);
    Ok(if works { Exit::Ran } else { Exit::Lacks })
}

/// What says whether an engine works at all.
const LANE: &str = "lane";

struct Doctor<'a> {
    catalog: Catalog,
    common: &'a Common,
    progress: Arc<Progress>,
    checks: Vec<Check>,
}

impl Doctor<'_> {
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
                let says = format!("{shown}, {} MB free", free / 1_000_000);
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
        const BASE: &str = "debian:trixie-slim";
        let base = docker.image_id(BASE).await;
        let base = match base {
            Ok(Some(_)) => format!("{BASE} is there"),
            _ => format!("{BASE} is not there, and not needed where the machine has apt"),
        };
        self.says(ENGINE, "base image", Ok(base));
        let means = Means::Docker(docker.clone());
        self.engine("docker", means, (store, claim)).await;
        // What could not be removed carries a dead run's label: the next start does.
        let _ = leftovers::remove_of_run(&docker, claim.run()).await;
    }

    async fn native(&mut self, store: &Store, claim: &Claim) {
        let means = Means::Native {
            program: PathBuf::from(session::AGENT),
            docker: None,
        };
        self.engine("native", means, (store, claim)).await;
    }

    /// Opens lanes of an engine with builds that were made, and has them write a rule for each thing that scenarios need.
    async fn engine(&mut self, name: &'static str, means: Means, (store, claim): (&Store, &Claim)) {
        let mut request = ProvideRequest {
            catalog: &self.catalog,
            images: self.catalog.images.clone(),
            store,
            agent: Path::new(session::AGENT),
            tarballs: self.common.tarballs.clone(),
            effort: Effort::Usual,
            labels: claim.labels(),
            jobs: 1,
        };
        let known = images::survey(&request, &means).await.into_iter();
        let made = known.filter_map(|(image, found)| match found {
            Surveyed::Built(record) if image.tool == Tool::Iptables => Some((image, record)),
            Surveyed::Built(_) | Surveyed::NotBuilt | Surveyed::Missing(_) => None,
        });
        let made: Vec<_> = made.collect();
        let count = made.len();
        let newest = made.into_iter().max_by_key(|(_, of)| of.version.clone());
        request.images = newest.map(|(image, _)| image).into_iter().collect();
        let progress = self.progress.clone();
        let listener: images::Listener = Arc::new(move |event| progress.image(event));
        let provision = match request.images.is_empty() {
            true => Err("no build was made yet".to_owned()),
            false => {
                let provided = images::provide(&request, &means, &listener).await;
                provided.map_err(|error| error.to_string())
            }
        };
        let (builds, engine) = match provision {
            Ok(provision) => {
                let engine = engine::of(&means, store, claim, &provision);
                (session::builds(&provision), Some(engine))
            }
            Err(reason) => {
                let mend = format!("iptables-lab --engine {name} builds build");
                self.says(Some(name), "builds", Err((reason, mend)));
                let native = session::native_engine(&means, store);
                (Vec::new(), native)
            }
        };
        let Some(engine) = engine else {
            self.says(
                Some(name),
                LANE,
                Err((
                    "not tried: it takes a build".to_owned(),
                    format!("iptables-lab --engine {name} builds build"),
                )),
            );
            return;
        };
        if !builds.is_empty() {
            let words = format!("{count} images are made");
            self.says(Some(name), "builds", Ok(words));
        }
        self.backends(name, engine.as_ref(), &builds).await;
        engine.settled().await;
    }

    async fn backends(&mut self, name: &'static str, engine: &dyn Engine, builds: &[Build]) {
        let scenarios = scenario::shipped().unwrap_or_default();
        let far: BTreeSet<_> = scenarios.iter().flat_map(|of| of.setup.ends()).collect();
        let of_backend = |backend| {
            let of_backend = builds.iter();
            of_backend
                .filter(|build| build.tool == Tool::Iptables && build.backend == backend)
                .max_by_key(|build| &build.version)
        };
        for (kind, backend) in [
            (LaneKind::Nft, Backend::Nft),
            (LaneKind::Legacy, Backend::Legacy),
        ] {
            let build = of_backend(backend);
            let spec = LaneSpec {
                number: 0,
                kind,
                builds: build.into_iter().map(|build| build.id.clone()).collect(),
                far: far.clone(),
            };
            let mut lane = match engine.open(&spec).await {
                Ok(lane) => lane,
                Err(error) => {
                    let mend = match name {
                        "native" => {
                            "run as root, or let users make namespaces: `sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0`"
                        }
                        _ => "look what the daemon says: `docker info`",
                    };
                    self.says(Some(name), LANE, Err((error.to_string(), mend.to_owned())));
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
            if let Some(build) = build {
                let what = format!("{backend} rules");
                let found = rules(lane.as_mut(), build).await;
                self.says(Some(name), &what, found);
            }
            lane.close().await;
        }
    }
}

/// Has `build` write a rule for each thing that scenarios need.
async fn rules(lane: &mut dyn Lane, build: &Build) -> Result<String, (String, String)> {
    let scenarios = scenario::shipped().map_err(|error| (error.to_string(), String::new()))?;
    let needs = needs(&scenarios);
    let mut lacking: BTreeMap<String, String> = BTreeMap::new();
    // What a scenario's rules need around them is made once for all of its rules.
    let mut by_scenario: Vec<(&Need, &Asking<'_>)> = needs.iter().collect();
    by_scenario.sort_by_key(|(_, asking)| &asking.scenario.name);
    let mut furnished: Option<&str> = None;
    for (need, asking) in by_scenario {
        let name = asking.scenario.name.as_str();
        let around = match furnished.replace(name) == Some(name) {
            true => Around::Made,
            false => Around::ToBeMade,
        };
        match tried(lane, build, need, (*asking, around)).await {
            Ok(None) => {}
            Ok(Some(said)) => {
                let name = format!("{} ({})", need.name, need.family);
                lacking.insert(name, said);
            }
            Err(error) => {
                return Err((error, "see what the kernel's log says: `dmesg`".to_owned()));
            }
        }
    }
    if lacking.is_empty() {
        return Ok(format!(
            "{} writes {} matches and targets",
            build.id,
            needs.len()
        ));
    }
    let names: Vec<&str> = lacking.keys().map(String::as_str).collect();
    let said = lacking.values().next().map_or("", String::as_str);
    let says = format!(
        "{} of {} matches and targets are refused: {}; {} says: {said}",
        lacking.len(),
        needs.len(),
        names.join(", "),
        build.id
    );
    Err((says, modules(build.backend, &lacking)))
}

/// What loads the kernel's modules for what is refused.
fn modules(backend: Backend, lacking: &BTreeMap<String, String>) -> String {
    let mut modules = BTreeSet::from(match backend {
        Backend::Nft => ["nf_tables".to_owned(), "nft_compat".to_owned()],
        Backend::Legacy => ["ip_tables".to_owned(), "ip6_tables".to_owned()],
    });
    for name in lacking.keys() {
        let name = name.split(' ').next().unwrap_or_default();
        modules.insert(format!("xt_{name}"));
    }
    let modules: Vec<String> = modules.into_iter().collect();
    format!("modprobe -a {}", modules.join(" "))
}

/// Whether interfaces, addresses and sets of a rule's scenario are in the lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Made,
    ToBeMade,
}

/// What `build` says where it, or the kernel, refuses the rule; none where it is written.
async fn tried(
    lane: &mut dyn Lane,
    build: &Build,
    need: &Need,
    (asking, around): (Asking<'_>, Around),
) -> Result<Option<String>, String> {
    if around == Around::ToBeMade {
        let furnished = surroundings::furnish(lane, &asking.scenario.setup).await;
        if let Err(lacks) = furnished.map_err(|error| error.to_string())? {
            return Ok(Some(lacks));
        }
    }
    let ruleset = asking.scenario.ruleset(need.family);
    let request = Request::Burst {
        requests: vec![
            Request::Reset,
            Request::Run {
                argv: command::restore(build.backend, need.family),
                stdin: Some(ruleset.only(|rule| rule == asking.rule).to_string().into()),
                timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
            },
        ],
        until_failure: true,
    };
    let asked = lane.ask(&Place::Build(build.id.clone()), &request).await;
    let replies = match asked.map_err(|error| error.to_string())? {
        Reply::Burst { replies } => replies,
        other => return Err(format!("an agent answered with {other:?}")),
    };
    match replies.into_iter().next_back() {
        Some(Reply::Ran(Ran {
            end: End::Exit(0), ..
        })) => Ok(None),
        Some(Reply::Ran(ran)) => {
            let said = ran.stderr.to_lossy().into_owned();
            Ok(Some(said.lines().next().unwrap_or("nothing").to_owned()))
        }
        other => Err(format!("an agent answered with {other:?}")),
    }
}

fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let engine = check.engine.unwrap_or("");
        let works = if check.works { "works" } else { "lacks" };
        // Writing to a string never fails.
        let _ = writeln!(text, "{engine:8}{:14}{works}  {}", check.what, check.says);
        if let Some(mend) = check.mend.as_deref().filter(|mend| !mend.is_empty()) {
            let _ = writeln!(text, "{:29}mend: {mend}", "");
        }
    }
    text
}
