//! The native engine beside Docker's: the same answers, whoever runs it, in whatever order and however many lanes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use iptables_lab::catalog::{Backend, Build, Catalog, Family, Source, Tool};
use iptables_lab::docker::Docker;
use iptables_lab::engine::Chosen;
use iptables_lab::images::{self, Effort, ProvideRequest, Store};
use iptables_lab::matrix::{Matrix, MatrixBuilder};
use iptables_lab::plan::{LaneKind, Operation, Plan, Selection};
use iptables_lab::recording::{LoadRecord, Seen};
use iptables_lab::runner::{self, Event, Pace, Run};
use iptables_lab::scenario::{self, Scenario};
use iptables_lab::tool::nft::without_handle;
use rstest::rstest;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::lab::{FULL, both, full_run, iptables_lab, joined, seed, small_run, wide_runs};
use super::lane::{On, TestLane, claim, store_of_its_own, usual_store};
use super::refuse::{Refusal, refuse};
use super::user::User;

/// Every cell of a matrix in JSON, by what it is about.
fn cells(matrix: &str) -> BTreeMap<String, Value> {
    cells_where(matrix, |_| true)
}

/// Those cells of a matrix in JSON that are about something, by what they are about.
fn cells_where(matrix: &str, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Value> {
    let name = |cell: &Value| {
        let of = ["scenario", "family", "writer", "reader"];
        of.map(|of| cell[of].as_str().unwrap()).join(" ")
    };
    let mut matrix: Value = serde_json::from_str(matrix).unwrap();
    let all = matrix["cells"].as_array_mut().unwrap();
    all.retain(|cell| is_wanted(&name(cell)));
    let cells = joined(&matrix).into_iter();
    cells.map(|cell| (name(&cell), cell)).collect()
}

#[track_caller]
fn are_equal(some: &BTreeMap<String, Value>, all: &BTreeMap<String, Value>) {
    assert!(!some.is_empty());
    for (name, cell) in some {
        let other = all.get(name);
        assert_eq!(Some(cell), other, "{name}");
    }
}

/// Packages of Debian's of two suites: an old and a newer one, which a seed chooses.
fn two_suites() -> [&'static str; 2] {
    let chosen = usize::try_from(seed() / 2).unwrap();
    let older = ["debian-1.8.7-1-*", "debian-1.8.9-2-*"];
    let newer = ["debian-1.8.11-2-*", "debian-1.8.13-1-*"];
    [older[chosen % 2], newer[chosen / 2 % 2]]
}

/// Every operation of builds of two suites, in one of the scenarios of the full run, which a seed chooses.
#[test]
fn both_engines_come_to_the_same_matrix() {
    needs!(Native, Docker);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("docker.json");
    let names = FULL.iter().filter(|word| **word != "--scenario");
    // Every seed is odd.
    let chosen = usize::try_from(seed() / 2).unwrap() % names.clone().count();
    let name = names.clone().nth(chosen).unwrap();
    let mut command = iptables_lab();
    command.args(["--engine", "docker", "matrix", "--scenario", name]);
    command.args(["--operation", "all"]);
    let nft = (*name == "nft-native-filter").then_some("debian-nft-1.1.3-1");
    for suite in two_suites() {
        command.args(["--writer", nft.unwrap_or(suite), "--reader", suite]);
    }
    command.args(["--format", "json", "--output"]).arg(&json);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let docker = fs::read_to_string(&json).unwrap();
    let native = &full_run().json;
    let [one, other]: [Value; 2] =
        [&docker, native].map(|json| serde_json::from_str(json).unwrap());
    for (matrix, engine) in [(&one, "docker "), (&other, "native ")] {
        let said = matrix["host"]["engine"].as_str().unwrap();
        assert!(said.starts_with(engine), "{said}");
    }
    // Some scenarios are not for every build.
    let builds = |of: &Value| of["builds"].as_array().unwrap().clone();
    let (some, all) = (builds(&one), builds(&other));
    assert!(!some.is_empty() && some.iter().all(|build| all.contains(build)));
    let (docker, native) = (cells(&docker), cells(native));
    assert!(docker.len() >= 4, "{:?}", docker.keys());
    are_equal(&docker, &native);
}

/// `-C` is asked of all builds in the one, 1.8.9 among them, and of none in the other.
#[test]
fn what_differs_by_a_builds_own_doing_is_said_where_it_was_asked() {
    needs!(Native);
    let said = [full_run(), &wide_runs()[1]].map(|run| {
        let table = unwrapped(run.table.as_bytes());
        table.contains("ip6tables-legacy -C of 1.8.9 compares rules by a mask that is too short")
    });
    assert_eq!(said, [true, false]);
}

/// In each run of the tests in some scenarios, which a seed chooses; with an old and a new build of each tool: it is the
/// engines that are compared here.
#[test]
fn packets_fare_alike_on_both_engines() {
    needs!(Native, Docker);
    const ONE_IN: usize = 42;
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("docker.json");
    let seed = seed();
    let scenarios = scenario::shipped().unwrap();
    // Every seed is odd.
    let first = usize::try_from(seed / 2).unwrap() % ONE_IN;
    let mut command = iptables_lab();
    command.args([
        "--engine", "docker", "matrix", "--format", "json", "--output",
    ]);
    command
        .arg(&json)
        .args(["--operation", "save", "--operation", "effect"]);
    for builds in [
        "debian-1.8.7-1-*",
        "debian-1.8.11-2-*",
        "debian-nft-1.1.3-1",
    ] {
        command.args(["--writer", builds]);
    }
    for builds in ["debian-1.8.7-1-*", "debian-1.8.11-2-*"] {
        command.args(["--reader", builds]);
    }
    let chosen: Vec<&Scenario> = scenarios.iter().skip(first).step_by(ONE_IN).collect();
    for scenario in &chosen {
        command.args(["--scenario", &scenario.name]);
    }
    let of_nft = |of: &&Scenario| of.tool() == Tool::Nft || of.tools_beside().contains(&Tool::Nft);
    let backend = match chosen.iter().any(of_nft) {
        true => Backend::Nft,
        false => Backend::ALL[first % 2],
    };
    command.args(["--backend", backend.as_str()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let docker = cells(&fs::read_to_string(&json).unwrap());
    let [nft, legacy, _] = wide_runs();
    let native = match backend {
        Backend::Nft => nft,
        Backend::Legacy => legacy,
    };
    let native = cells_where(&native.json, |cell| docker.contains_key(cell));
    are_equal(&docker, &native);
}

/// Two scenarios, which a seed chooses; those of iptables' rules are each beside one of another kind.
fn some_scenarios() -> [&'static str; 2] {
    static CHOSEN: OnceLock<[&str; 2]> = OnceLock::new();
    // Every seed is odd.
    *CHOSEN.get_or_init(|| match (seed() / 2).is_multiple_of(2) {
        true => ["kube-firewall", "docker-swarm-task"],
        false => ["kubelet-mark-drop", "nft-native-filter"],
    })
}

/// What readers do in a plan: half of all, which a seed chooses.
fn some_operations() -> Vec<Operation> {
    static CHOSEN: OnceLock<bool> = OnceLock::new();
    // Every seed is odd.
    let is_first = *CHOSEN.get_or_init(|| (seed() / 4).is_multiple_of(2));
    Operation::with_needs(match is_first {
        true => &[
            Operation::Recognition,
            Operation::Cycle,
            Operation::Sync,
            Operation::SyncNoflush,
            Operation::Effect,
        ],
        false => &[
            Operation::List,
            Operation::Check,
            Operation::Delete,
            Operation::Reassert,
        ],
    })
}

/// A plan that can be run over and over, with either engine.
struct Bench {
    builds: Vec<Build>,
    scenarios: Vec<Scenario>,
    store: Store,
    chosen: Chosen,
    provision: images::Provision,
    runtime: Runtime,
}

impl Bench {
    fn new(on: On) -> Bench {
        let runtime = Runtime::new().unwrap();
        let store = Store::open(&usual_store()).unwrap();
        let catalog = Catalog::load(&[]).unwrap();
        let suites = ["bullseye", "trixie"];
        let images = catalog.images.iter().filter(
            |image| matches!(&image.source, Source::Suite { suite } if suites.contains(&suite.as_str())),
        );
        let claim = claim(&store);
        let program = env!("CARGO_BIN_EXE_iptables-lab").into();
        let chosen = match on {
            On::Docker => {
                let docker = runtime.block_on(Docker::connect()).unwrap();
                Chosen::docker(docker, &store, program, &claim)
            }
            On::Native => Chosen::native(&store, program, None),
        };
        let request = ProvideRequest {
            catalog: &catalog,
            images: images.cloned().collect(),
            store: &store,
            docker: chosen.daemon(),
            tarballs: Vec::new(),
            effort: Effort::Usual,
            labels: claim.labels(),
            jobs: 1,
        };
        let listener: images::Listener = Arc::new(|_| {});
        let provision = runtime
            .block_on(images::provide(&request, chosen.roots(), &listener))
            .unwrap();
        let wanted = some_scenarios();
        let scenarios = scenario::shipped().unwrap().into_iter();
        Bench {
            builds: provision
                .builds
                .iter()
                .map(|ready| ready.build.clone())
                .collect(),
            scenarios: scenarios
                .filter(|of| wanted.contains(&of.name.as_str()))
                .collect(),
            store,
            chosen,
            provision,
            runtime,
        }
    }

    fn plan(&self) -> Plan {
        let selection = Selection {
            available: &self.builds,
            writers: &self.builds,
            readers: &self.builds,
            are_readers_named: false,
        };
        Plan::new(&self.scenarios, selection, some_operations())
    }

    /// Runs `plan` on so many lanes of each kind, of nft's on twice as many, where there are loads for them.
    fn run(&self, plan: Plan, lanes: usize) -> Vec<LoadRecord> {
        let claim = claim(&self.store);
        let engine = self.chosen.engine(&self.provision, &claim);
        let named = self.scenarios.iter();
        let kinds = [
            (LaneKind::Nft, 2 * lanes),
            (LaneKind::Legacy, lanes),
            (LaneKind::Cross, lanes),
        ];
        let expected: usize = kinds
            .map(|(kind, most)| {
                plan.loads
                    .iter()
                    .filter(|of| of.kind == kind)
                    .count()
                    .min(most)
            })
            .iter()
            .sum();
        assert!(
            expected >= 3 * lanes,
            "{expected} lanes for {lanes} of each kind"
        );
        let run = Run {
            kept: None,
            plan,
            scenarios: named
                .map(|of| (of.name.clone(), Arc::new(of.clone())))
                .collect(),
            builds: &self.builds,
            pace: Pace {
                lanes,
                loads_a_lane: 1,
                timeout: Duration::from_secs(60),
                verify: 0,
            },
        };
        let (sender, mut events) = tokio::sync::mpsc::channel(1);
        let (mut loads, mut opened) = (Vec::new(), 0);
        let heard = async {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Load { record, .. } => loads.push(*record),
                    Event::LaneOpening { .. } => opened += 1,
                    _ => {}
                }
            }
        };
        let run = runner::run(run, engine.as_ref(), sender);
        let (ended, ()) = self.runtime.block_on(async { tokio::join!(run, heard) });
        ended.unwrap();
        self.runtime.block_on(engine.settled());
        assert_eq!(opened, expected);
        loads
    }
}

/// Everything that was seen, load by load, but for the time that programs print, and how often packets met a rule: the
/// lane's own neighbour discovery may or may not be among them.
fn seen(loads: &[LoadRecord]) -> BTreeMap<String, Vec<String>> {
    let text = |load: &LoadRecord, text| {
        let text = load.text(text).to_lossy().into_owned();
        let lines = text.lines().filter(|line| {
            !line.starts_with("# Generated by") && !line.starts_with("# Completed on")
        });
        let lines = lines.map(|line| without_handle(line.as_bytes()));
        let lines = lines.map(|line| without_counters(&String::from_utf8_lossy(line)));
        lines.collect::<Vec<_>>().join("\n")
    };
    let one = |load: &LoadRecord| {
        let name = format!(
            "{} {} {} {}",
            load.scenario, load.family, load.writer, load.kind
        );
        let observations = load.observations.iter().map(|of| {
            let what = match &of.seen {
                Seen::Command(command) => format!(
                    "{:?} {:?} {:?} {:?} {} {}",
                    command.build,
                    command.argv,
                    command.stdin.map(|stdin| text(load, stdin)),
                    command.end,
                    text(load, command.stdout),
                    text(load, command.stderr),
                ),
                Seen::Dump(dump) | Seen::Chain(dump) => format!("{:?}", load.dump(*dump)),
                other => format!("{other:?}"),
            };
            format!("{:?} {:?} {:?} {what}", of.stage, of.role, of.reader)
        });
        (name, observations.collect())
    };
    loads.iter().map(one).collect()
}

/// `[12:345]` becomes `[]`.
fn without_counters(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split(' ') {
        let inner = word
            .strip_prefix('[')
            .and_then(|word| word.strip_suffix(']'));
        let counts = inner.is_some_and(|inner| {
            inner.contains(':')
                && inner
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b':')
        });
        words.push(if counts { "[]" } else { word });
    }
    words.join(" ")
}

/// A generator of numbers that look random (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let other = usize::try_from(self.0 % (last as u64 + 1)).unwrap();
            items.swap(last, other);
        }
    }
}

/// The plan run natively, on one lane of each kind, as it is laid out. Made once.
fn in_order() -> &'static [LoadRecord] {
    static RUN: OnceLock<Vec<LoadRecord>> = OnceLock::new();
    RUN.get_or_init(|| {
        let bench = Bench::new(On::Native);
        bench.run(bench.plan(), 1)
    })
}

#[test]
fn a_reading_does_not_depend_on_what_ran_before_or_beside_it() {
    needs!(Native, Docker);
    let (native, docker) = (Bench::new(On::Native), Bench::new(On::Docker));
    let seed = seed();
    let mut numbers = Numbers(seed);
    let in_order = seen(in_order());
    assert!(in_order.len() > 10, "{:?}", in_order.keys());
    let many = [2, 4][usize::try_from(seed / 2).unwrap() % 2];
    for (on, lanes) in [(On::Native, many), (On::Docker, 2)] {
        let bench = match on {
            On::Native => &native,
            On::Docker => &docker,
        };
        let mut plan = bench.plan();
        numbers.shuffle(&mut plan.loads);
        let shuffled = seen(&bench.run(plan, lanes));
        assert_eq!(shuffled.len(), in_order.len());
        for (load, seen) in &in_order {
            let on = format!("seed {seed}, {on:?}, {lanes} lanes, {load}");
            for (place, (one, other)) in seen.iter().zip(&shuffled[load]).enumerate() {
                assert_eq!(one, other, "{on}, step {place}");
            }
            assert_eq!(seen.len(), shuffled[load].len(), "{on}");
        }
    }
}

#[test]
fn pairings_of_a_load_come_to_the_same_verdicts_in_any_order() {
    needs!(Native);
    let bench = Bench::new(On::Native);
    let seed = seed();
    let mut numbers = Numbers(seed);
    let mut head = full_run().recording().head.clone();
    head.builds.clone_from(&bench.builds);
    head.scenarios.clone_from(&bench.scenarios);
    let judged = |loads: &[LoadRecord]| -> BTreeMap<String, Value> {
        let mut builder = MatrixBuilder::new(&head);
        for load in loads {
            builder.add(load);
        }
        let matrix: Matrix = builder.finish(None);
        let mut json = Vec::new();
        iptables_lab::report::json::write(&matrix, &mut json).unwrap();
        cells(std::str::from_utf8(&json).unwrap())
    };
    let as_laid_out = judged(in_order());
    let mut plan = bench.plan();
    plan.loads
        .iter_mut()
        .for_each(|load| numbers.shuffle(&mut load.readers));
    let shuffled = judged(&bench.run(plan, 2));
    assert_eq!(as_laid_out.len(), shuffled.len(), "seed {seed}");
    for (name, cell) in &as_laid_out {
        assert_eq!(Some(cell), shuffled.get(name), "seed {seed}, {name}");
    }
}

/// What was printed, however it was broken into lines.
fn unwrapped(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let words = text.split(|c: char| c.is_whitespace() || c == '│');
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Few pairings, in which both backends and both families take part, and marks are lost.
const SMALL: [&str; 10] = [
    "--scenario",
    "kube-firewall",
    "--writer",
    "debian-1.8.11-2-*",
    "--reader",
    "debian-1.8.7-1-*",
    "--operation",
    "rewrite",
    "--operation",
    "effect",
];

/// A build of Debian's writes and another rewrites, in both backends: all scenarios with rules of owners, and one in six
/// of the others, which a seed chooses.
fn wide_words() -> Vec<String> {
    const ONE_IN: usize = 6;
    let builds = [
        "--writer",
        "debian-1.8.11-2-*",
        "--reader",
        "debian-1.8.7-1-*",
    ];
    let mut words = [builds.as_slice(), &["--operation", "rewrite"]].concat();
    let first = usize::try_from(seed() / 2).unwrap() % ONE_IN;
    let scenarios = scenario::shipped().unwrap();
    let of_owners = |of: &&Scenario| {
        let rules = [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .flat_map(|family| of.placed_rules(family));
        rules
            .into_iter()
            .any(|(_, _, rule)| is_of_owners(&rule.text))
    };
    let (owners, others): (Vec<_>, Vec<_>) = scenarios.iter().partition(of_owners);
    for scenario in owners
        .iter()
        .chain(others.iter().skip(first).step_by(ONE_IN))
    {
        words.extend(["--scenario", &scenario.name]);
    }
    words.into_iter().map(str::to_owned).collect()
}

/// What a matrix prints for people, and its cells.
fn wide(mut lab: Command, words: &[String], json: &Path) -> (String, BTreeMap<String, Value>) {
    let output = lab
        .args(["--engine", "native", "matrix", "--format", "json"])
        .arg("--output")
        .arg(json)
        .args(["--full", "--format", "table", "--output", "-"])
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let table = unwrapped(&output.stdout);
    (table, cells(&fs::read_to_string(json).unwrap()))
}

/// Whether a rule matches the packets of a user or a group. Those of any socket whatever (`--socket-exists`) are matched
/// everywhere.
fn is_of_owners(given: &str) -> bool {
    given.contains("--uid-owner") || given.contains("--gid-owner")
}

/// A cell without the rules that are of owners, and these.
fn without_owners(cell: &Value) -> (Value, Vec<Value>) {
    let mut cell = cell.clone();
    let rules = cell["outcome"]["rules"].as_array().unwrap().clone();
    let is_other: Vec<bool> = rules
        .iter()
        .map(|rule| !is_of_owners(rule["given"].as_str().unwrap()))
        .collect();
    let (owners, others): (Vec<_>, Vec<_>) = rules
        .into_iter()
        .partition(|rule| is_of_owners(rule["given"].as_str().unwrap()));
    cell["outcome"]["rules"] = others.into();
    if !owners.is_empty() {
        // It is the worst of all its rules'.
        cell["verdict"] = Value::Null;
        // These are by the rules' places.
        let written = cell["encoded"]["written"].as_array().unwrap().iter();
        let others = written.zip(is_other).filter(|(_, is_other)| *is_other);
        cell["encoded"] = others.map(|(of, _)| of.clone()).collect();
        cell["losses"] = Value::Null;
    }
    (cell, owners)
}

#[test]
fn an_ordinary_user_gets_the_same_answers() {
    needs!(Root, Native);
    let user = User::new();
    let folder = tempfile::tempdir().unwrap();
    let words = wide_words();
    let (table, own) = wide(user.lab(), &words, &user.path("user.json"));
    let (_, all) = wide(iptables_lab(), &words, &folder.path().join("root.json"));
    // What does not work there is named.
    for words in [
        "engine: native (user namespaces), as asked for",
        "the kernel refuses rules that match packets of users or groups other than root",
    ] {
        assert!(table.contains(words), "`{words}` is not in {table}");
    }
    assert_eq!(own.len(), all.len());
    let mut refused = 0;
    for (name, cell) in &own {
        let (others, owners) = without_owners(cell);
        let (others_by_root, owners_by_root) = without_owners(&all[name]);
        assert_eq!(others, others_by_root, "{name}");
        for (rule, by_root) in owners.iter().zip(&owners_by_root) {
            let write = |rule: &Value| rule["operations"]["write"]["verdict"].clone();
            assert_eq!(write(rule), "refused", "{name}: {rule:#}");
            assert_ne!(write(by_root), "refused", "{name}: {by_root:#}");
        }
        assert_eq!(owners.len(), owners_by_root.len(), "{name}");
        refused += owners.len();
    }
    assert!(refused > 0);
}

#[test]
fn where_a_daemon_answers_auto_is_docker_and_the_report_says_why() {
    needs!(Docker);
    let host = &small_run().recording.head.host;
    assert!(host.engine.starts_with("docker "), "{host:?}");
    let why = host.engine_reason.as_deref();
    assert_eq!(why, Some("a Docker daemon answers"));
}

#[test]
fn doctor_finds_that_lanes_work_in_containers() {
    needs!(Docker);
    let output = iptables_lab().args(["doctor", "--format", "json"]).output();
    let output = output.unwrap();
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let works = |what: &str| {
        let mut checks = checks.as_array().unwrap().iter();
        let check = checks.find(|check| check["engine"] == "docker" && check["what"] == what);
        check.is_some_and(|check| check["works"] == true)
    };
    for what in ["lane", "nft rules", "legacy rules"] {
        assert!(works(what), "{what}: {checks:#}");
    }
}

#[test]
fn without_a_daemon_auto_is_native_and_the_report_says_why() {
    needs!(Root, Native);
    let output = iptables_lab()
        .arg("matrix")
        .args(SMALL)
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let table = unwrapped(&output.stdout);
    assert!(
        table.contains("native (root), no Docker daemon answers"),
        "{table}"
    );
}

#[rstest]
#[case::a_user(true, ["start it (`systemctl", "`--security-opt seccomp=unconfined`"])]
#[case::root(false, ["start it (`systemctl", "a container needs `--privileged`"])]
fn where_no_engine_works_every_way_out_is_said(#[case] user: bool, #[case] ways: [&str; 2]) {
    needs!(Root, Native);
    let (owner, folder) = (user.then(User::new), tempfile::tempdir().unwrap());
    let mut command = match &owner {
        Some(owner) => owner.lab(),
        None => {
            let mut command = iptables_lab();
            command.arg("--store").arg(store_of_its_own(folder.path()));
            command
        }
    };
    command
        .args(["matrix"])
        .args(SMALL)
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    // As a container's usual filter of system calls does.
    refuse(&mut command, Refusal::Namespaces);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    let said = unwrapped(&output.stderr);
    for way in ways.iter().chain(&["no Docker daemon answers"]) {
        assert!(said.contains(way), "`{way}` is not in {said}");
    }
}

#[rstest]
#[case::legacy(Refusal::LegacyTables, "-legacy", "no legacy tables")]
#[case::nft(Refusal::Nfnetlink, "-nft", "no nf_tables")]
fn builds_of_a_backend_that_the_kernel_lacks_are_missing_and_the_others_run(
    #[case] refusal: Refusal,
    #[case] backend: &str,
    #[case] words: &str,
) {
    needs!(Native);
    let mut command = iptables_lab();
    command
        .args(["--engine", "native", "matrix", "--format", "json"])
        // Without packets: what they leave is forgotten over nfnetlink.
        .args(&SMALL[..8]);
    refuse(&mut command, refusal);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let matrix: Value = serde_json::from_slice(&output.stdout).unwrap();
    let missing = matrix["missing"].as_array().unwrap();
    let lacking = missing.iter().filter(|of| {
        let [id, reason] = ["id", "reason"].map(|key| of[key].as_str().unwrap());
        id.ends_with(backend) && reason.contains(words)
    });
    assert!(lacking.count() >= 2, "{missing:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let native = cells(&text);
    assert!(
        native.keys().all(|cell| !cell.contains(backend)),
        "{:?}",
        native.keys()
    );
    assert!(!native.is_empty());
}

#[test]
fn where_agents_cannot_come_to_a_socket_their_streams_carry_everything() {
    needs!(Docker);
    let matrix_of = |folder: &Path| {
        let output = iptables_lab()
            .args(["--engine", "docker", "--store"])
            .arg(store_of_its_own(folder))
            .args(["matrix", "--format", "json"])
            .args(SMALL)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        cells(&String::from_utf8_lossy(&output.stdout))
    };
    let folder = tempfile::tempdir().unwrap();
    // No socket has a path as long as this.
    let far = folder.path().join("far".repeat(40));
    let (far, near) = (matrix_of(&far), matrix_of(&folder.path().join("near")));
    are_equal(&far, &near);
    assert_eq!(far.len(), near.len());
}

#[test]
fn nothing_that_leads_to_the_host_is_left_in_a_lane() {
    needs!(Docker);
    let lane = TestLane::open(On::Docker);
    let sockets = fs::read_dir(lane.claim().directory()).unwrap();
    assert_eq!(sockets.count(), 0);
}

/// What `builds` prints of a build: its digest.
fn digest_of(id: &str, listed: &str) -> Option<String> {
    let line = listed
        .lines()
        .find(|line| line.split_whitespace().next() == Some(id))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    (words.last() == Some(&"built")).then(|| words[words.len() - 2].to_owned())
}

/// Its tarball comes from Debian's sources, so it is there wherever Debian's packages are.
const RELEASE: &str = "1.8.11-nft";

/// What the engine that `auto` takes has made of it lies in the store. Here it is made natively, without a daemon, and with a toolchain
/// that is put together anew.
#[test]
fn a_release_comes_to_the_same_digest_however_it_is_compiled() {
    needs!(Native, Docker, Release);
    let folder = tempfile::tempdir().unwrap();
    let store = store_of_its_own(folder.path());
    let build = |store: &Path| {
        let mut lab = iptables_lab();
        lab.args(["--engine", "native", "builds", "build", RELEASE]);
        lab.arg("--store").arg(store);
        lab.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        let output = lab.output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let digest = digest_of(RELEASE, &String::from_utf8_lossy(&output.stdout));
        (digest.unwrap(), unwrapped(&output.stderr))
    };
    let (stored, said) = build(&store);
    assert!(!said.contains("compil"), "it was compiled: {said}");
    for made in ["builds", "digests", "toolchains"] {
        fs::remove_dir_all(store.join(made)).unwrap();
    }
    let (digest, said) = build(&store);
    assert!(said.contains("compil"), "nothing was compiled: {said}");
    assert_eq!(digest, stored);
}
