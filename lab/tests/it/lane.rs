//! A lane of its own for a test: a real build, and the namespaces that its interfaces lead to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iptables_lab::agent::protocol::{End, Reply, Request};
use iptables_lab::catalog::{BuildId, Catalog, Family, Source};
use iptables_lab::docker::Docker;
use iptables_lab::engine::docker::DockerEngine;
use iptables_lab::engine::{Engine, EngineError, Lane, LaneSpec, Place, surroundings};
use iptables_lab::images::{self, Effort, ProvideRequest, Store};
use iptables_lab::leftovers::{self, Claim};
use iptables_lab::plan::LaneKind;
use iptables_lab::scenario::{Namespace, Outcome, Probe, Setup};
use serde::Deserialize;
use tokio::runtime::Runtime;

/// A lane with one of Debian's builds and both far namespaces.
pub struct TestLane {
    lane: Option<Box<dyn Lane>>,
    build: BuildId,
    docker: Docker,
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
    /// Opens it.
    pub fn open() -> Self {
        let runtime = Runtime::new().unwrap();
        let path = match std::env::var_os("IPTABLES_LAB_STORE") {
            Some(path) => PathBuf::from(path),
            None => Store::default_path().unwrap(),
        };
        let store = Store::open(&path).unwrap();
        let claim = claim(&store);
        let opened = runtime.block_on(async {
            let docker = Docker::connect().await.unwrap();
            let catalog = Catalog::load(&[]).unwrap();
            let of_debian = catalog.images.iter().filter(
                |image| matches!(&image.source, Source::Suite { suite } if suite == "bookworm"),
            );
            let request = ProvideRequest {
                catalog: &catalog,
                images: of_debian.cloned().collect(),
                store: &store,
                agent: Path::new(env!("CARGO_BIN_EXE_iptables-lab")),
                tarballs: Vec::new(),
                effort: Effort::Usual,
                labels: claim.labels(),
                jobs: 1,
            };
            let listener: images::Listener = Arc::new(|_| {});
            let provision = images::provide(&request, &docker, &listener).await.unwrap();
            let ready = provision.builds.first().expect("Debian's package is there");
            let build = ready.build.id.clone();
            let images = [(build.clone(), ready.container_image.clone())].into();
            let run = claim.run().to_owned();
            let engine = DockerEngine::new(
                docker.clone(),
                provision.holder_image.clone(),
                images,
                claim.labels(),
                run,
            );
            let spec = LaneSpec {
                number: 1,
                kind: LaneKind::Nft,
                builds: BTreeSet::from([build.clone()]),
                far: [Namespace::Peer, Namespace::Inner].into(),
            };
            let lane = engine.open(&spec).await.unwrap();
            (lane, build, docker)
        });
        let (lane, build, docker) = opened;
        TestLane {
            lane: Some(lane),
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
        let (runtime, lane) = self.lane();
        let furnished = runtime.block_on(surroundings::furnish(lane, &setup));
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
        let argv = vec![format!("{}-nft-restore", family.command())];
        let request = Request::Run {
            argv,
            stdin: Some(rules.into()),
            timeout_ms: 60_000,
        };
        let place = Place::Build(self.build.clone());
        match self.ask(&place, &request).unwrap() {
            Reply::Ran(ran) if ran.end == End::Exit(0) => {}
            other => panic!("{other:#?}"),
        }
    }

    /// Has an agent do something.
    pub fn ask(&mut self, place: &Place, request: &Request) -> Result<Reply, EngineError> {
        let (runtime, lane) = self.lane();
        runtime.block_on(lane.ask(place, request))
    }

    /// The ids of its containers.
    pub fn containers(&self) -> BTreeSet<String> {
        let all = self.runtime.block_on(self.docker.own_containers()).unwrap();
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

    /// Takes it down.
    pub fn close(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.runtime.block_on(lane.close());
        }
    }
}

/// A claim of its own: a run is known by its process and the millisecond that it began in.
fn claim(store: &Store) -> Claim {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::sleep(Duration::from_millis(2));
    Claim::new(store.path()).unwrap()
}

impl Drop for TestLane {
    fn drop(&mut self) {
        self.close();
        // Where a test failed, what it started goes too.
        let removed = leftovers::remove_of_run(&self.docker, self.claim.run());
        let _ = self.runtime.block_on(removed);
    }
}
