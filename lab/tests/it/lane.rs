//! A lane of its own for a test: a real build, and the namespaces that its interfaces lead to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iptables_lab::agent::protocol::{Reply, Request};
use iptables_lab::tool::iptables::stem;

use iptables_lab::catalog::{BuildId, Catalog, Family, Image, Source};
use iptables_lab::docker::Docker;
use iptables_lab::engine::{Chosen, Engine, EngineError, Lane, LaneSpec, Place, surroundings};
use iptables_lab::images::{self, Effort, ProvideRequest, Store};
use iptables_lab::leftovers::{self, Claim};
use iptables_lab::observed::{End, Ran};
use iptables_lab::plan::LaneKind;
use iptables_lab::scenario::{Namespace, Outcome, Probe, Setup};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::need::Need;

/// Which engine a lane is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Docker,
    Native,
}

impl On {
    /// The engine's name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            On::Docker => "docker",
            On::Native => "native",
        }
    }

    /// What it takes.
    pub fn need(self) -> Need {
        match self {
            On::Docker => Need::Docker,
            On::Native => Need::Native,
        }
    }
}

/// A lane with one build and both far namespaces.
pub struct TestLane {
    lane: Option<Box<dyn Lane>>,
    engine: Box<dyn Engine>,
    build: BuildId,
    /// For its containers, and those of others; none where no daemon answers.
    docker: Option<Docker>,
    claim: Claim,
    // The last: what is above needs it to be dropped.
    runtime: Runtime,
}

/// Probes as a scenario file has them.
#[derive(Deserialize)]
struct Probes {
    probe: Vec<Probe>,
}

impl TestLane {
    /// Opens one with a build of Debian's.
    pub fn open(on: On) -> Self {
        let catalog = Catalog::load(&[]).unwrap();
        let of_debian =
            |image: &Image| matches!(&image.source, Source::Suite { suite } if suite == "bookworm");
        Self::of(on, &usual_store(), &catalog, of_debian)
    }

    /// Opens one with the first build of the images of `catalog` that are `wanted`.
    pub fn of(on: On, store: &Path, catalog: &Catalog, wanted: impl Fn(&Image) -> bool) -> Self {
        let runtime = Runtime::new().unwrap();
        let store = Store::open(store).unwrap();
        let claim = claim(&store);
        let images = catalog.images.iter().filter(|image| wanted(image));
        let opened = runtime.block_on(async {
            let docker = Docker::connect().await.ok();
            let program = env!("CARGO_BIN_EXE_iptables-lab").into();
            let chosen = match on {
                On::Docker => {
                    let docker = docker.clone().expect("a Docker daemon answers");
                    Chosen::docker(docker, &store, program, &claim)
                }
                On::Native => Chosen::native(&store, program, docker.clone()),
            };
            let request = ProvideRequest {
                catalog,
                images: images.cloned().collect(),
                store: &store,
                docker: chosen.daemon(),
                tarballs: Vec::new(),
                effort: Effort::Usual,
                labels: claim.labels(),
                jobs: 1,
            };
            let listener: images::Listener = Arc::new(|_| {});
            let provided = images::provide(&request, chosen.roots(), &listener);
            let provision = provided.await.unwrap();
            let engine = chosen.engine(&provision, &claim);
            let ready = provision.builds.first().expect("the build is there");
            let build = ready.build.id.clone();
            let spec = LaneSpec {
                number: 1,
                kind: LaneKind::Nft,
                builds: BTreeSet::from([build.clone()]),
                far: [Namespace::Peer, Namespace::Inner].into(),
            };
            let lane = engine.open(&spec).await.unwrap();
            (engine, lane, build, docker)
        });
        let (engine, lane, build, docker) = opened;
        TestLane {
            lane: Some(lane),
            engine,
            build,
            docker,
            claim,
            runtime,
        }
    }

    fn lane(&mut self) -> (&Runtime, &mut dyn Lane) {
        (&self.runtime, self.lane.as_mut().unwrap().as_mut())
    }

    /// Furnishes it with a `[setup]`.
    pub fn furnish(&mut self, setup: &str) {
        let setup: Setup = toml::from_str(setup).unwrap();
        self.furnish_with(&setup);
    }

    /// The same with a setup that was read.
    pub fn furnish_with(&mut self, setup: &Setup) {
        let (runtime, lane) = self.lane();
        let furnished = runtime.block_on(surroundings::furnish(lane, setup));
        assert_eq!(furnished.unwrap(), Ok(()));
    }

    /// Sends probes, which are `[[probe]]`s for the setup `of`, and says what became of each.
    pub fn send(&mut self, of: &str, probes: &str) -> Vec<(Probe, Outcome)> {
        let setup: Setup = toml::from_str(of).unwrap();
        let probes: Probes = toml::from_str(probes).unwrap();
        let sent: Vec<_> = probes
            .probe
            .into_iter()
            .map(|probe| (probe.sender(&setup), probe))
            .collect();
        let (runtime, lane) = self.lane();
        let outcomes = runtime.block_on(surroundings::probe(lane, &sent)).unwrap();
        assert_eq!(outcomes.len(), sent.len());
        sent.into_iter()
            .map(|(_, probe)| probe)
            .zip(outcomes)
            .collect()
    }

    /// Sends probes, each of which is to become what it expects.
    #[track_caller]
    pub fn all_met(&mut self, of: &str, probes: &str) -> Vec<Outcome> {
        let sent = self.send(of, probes);
        for (probe, outcome) in &sent {
            assert!(probe.is_met_by(outcome), "{probe:#?}\n{outcome:#?}");
        }
        sent.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Has the build write rules with its restore command.
    #[track_caller]
    pub fn write(&mut self, family: Family, rules: &str) {
        let ran = self.run(&format!("{}-nft-restore", stem(family)), Some(rules));
        assert_eq!(ran.end, End::Exit(0), "{ran:#?}");
    }

    /// Runs a command of the build.
    pub fn run(&mut self, command: &str, stdin: Option<&str>) -> Ran {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        self.run_words(&words, stdin)
    }

    /// The same with its words, which may hold blanks.
    pub fn run_words(&mut self, words: &[String], stdin: Option<&str>) -> Ran {
        let request = Request::Run {
            argv: words.to_vec(),
            stdin: stdin.map(Into::into),
            handle_of: None,
            timeout_ms: 60_000,
        };
        let place = Place::Build(self.build.clone());
        match self.ask(&place, &request).unwrap() {
            Reply::Ran(ran) => ran,
            other => panic!("{other:#?}"),
        }
    }

    /// Has an agent do something.
    pub fn ask(&mut self, place: &Place, request: &Request) -> Result<Reply, EngineError> {
        let (runtime, lane) = self.lane();
        runtime.block_on(lane.ask(place, request))
    }

    /// Its build.
    pub fn build(&self) -> &BuildId {
        &self.build
    }

    /// The ids of its containers.
    pub fn containers(&self) -> BTreeSet<String> {
        let docker = self.docker.as_ref().expect("a Docker daemon answers");
        let all = self.runtime.block_on(docker.own_containers()).unwrap();
        let label = "iptables-lab.run";
        all.into_iter()
            .filter(|one| {
                one.labels
                    .get(label)
                    .is_some_and(|run| run == self.claim.run())
            })
            .map(|one| one.id)
            .collect()
    }

    /// What everything that it started is of.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Takes it down.
    pub fn close(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.runtime.block_on(async {
                lane.close().await;
                self.engine.settled().await;
            });
        }
    }
}

/// The store that everybody uses.
pub fn usual_store() -> PathBuf {
    match std::env::var_os("IPTABLES_LAB_STORE") {
        Some(path) => PathBuf::from(path),
        None => Store::default_path().unwrap(),
    }
}

/// A store with all that the usual one holds, to which what is made here does not get.
pub fn store_of_its_own(folder: &Path) -> PathBuf {
    let usual = usual_store().canonicalize().unwrap();
    let store = folder.join("store");
    for kind in [
        "tarballs",
        "packages",
        "sets",
        "toolchains",
        "builds",
        "digests",
        "misses",
    ] {
        std::fs::create_dir_all(store.join(kind)).unwrap();
        for entry in std::fs::read_dir(usual.join(kind)).unwrap() {
            let entry = entry.unwrap();
            std::os::unix::fs::symlink(entry.path(), store.join(kind).join(entry.file_name()))
                .unwrap();
        }
    }
    store
}

/// A claim of its own: a run is known by its process and the millisecond that it began in.
pub fn claim(store: &Store) -> Claim {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::sleep(Duration::from_millis(2));
    Claim::new(store.path()).unwrap()
}

impl Drop for TestLane {
    fn drop(&mut self) {
        self.close();
        // Where a test failed, what it started goes too.
        if let Some(docker) = &self.docker {
            let removed = leftovers::remove_of_run(docker, self.claim.run());
            let _ = self.runtime.block_on(removed);
        }
    }
}
