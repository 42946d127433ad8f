//! Rules of several tools in one namespace: what is written by whom, and what each layer's rules come to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use iptables_lab::catalog::Tool;
use iptables_lab::judge::verdict::Verdict;
use iptables_lab::judge::{Cell, RuleVerdict};
use iptables_lab::matrix::Matrix;
use iptables_lab::plan::Operation;
use iptables_lab::plan::step::{Role, Stage};
use iptables_lab::recording::{self, Recording, Seen};
use rstest::rstest;
use tempfile::TempDir;

use super::lab::{both, iptables_lab};

/// One pairing with a scenario of layers, as it was run and recorded.
struct Ran {
    _folder: TempDir,
    file: PathBuf,
    recording: Recording,
    cell: Cell,
}

fn matrix(folder: &Path, scenario: &str, more: &[&str]) -> Output {
    let mut command = iptables_lab();
    command
        .args(["--engine", "native", "matrix", "--scenario", scenario])
        .args(more)
        .arg("--record")
        .arg(folder.join("run.jsonl"));
    command.output().unwrap()
}

impl Ran {
    /// Of a shipped scenario, all operations.
    fn of(scenario: &str, writer: &str, reader: &str) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        let pairing = ["--writer", writer, "--reader", reader, "--operation", "all"];
        let output = matrix(folder.path(), scenario, &pairing);
        assert!(output.status.success(), "{}", both(&output));
        let file = folder.path().join("run.jsonl");
        let recording = recording::read(&file).unwrap().recording;
        let [cell] = <[Cell; 1]>::try_from(Matrix::of(&recording).cells).unwrap();
        Ran {
            _folder: folder,
            file,
            recording,
            cell,
        }
    }

    /// The rules of a tool.
    fn rules(&self, tool: Tool) -> Vec<&RuleVerdict> {
        let rules = self.cell.outcome.rules.iter();
        rules.filter(|rule| rule.tool == tool).collect()
    }

    /// Who wrote with how many commands.
    fn writes(&self) -> BTreeMap<String, usize> {
        let mut writes = BTreeMap::new();
        for of in &self.recording.loads[0].observations {
            if let (Role::Write, Seen::Command(command)) = (of.role, &of.seen) {
                *writes.entry(command.build.to_string()).or_default() += 1;
            }
        }
        writes
    }

    /// What the reader's first command of a role wrote, to standard output and standard error.
    fn reader_said(&self, stage: Stage, role: Role) -> String {
        let load = &self.recording.loads[0];
        let mut observations = load.observations.iter();
        let command = observations.find_map(|of| match &of.seen {
            Seen::Command(command) if (of.stage, of.role) == (stage, role) => Some(command),
            _ => None,
        });
        let command = command.unwrap();
        let [stdout, stderr] = [command.stdout, command.stderr].map(|of| load.text(of).to_lossy());
        format!("{stdout}{stderr}")
    }

    /// Every packet fares as the scenario says, once all layers are written.
    fn packets_fare_as_expected(&self) {
        for probe in &self.cell.outcome.probes {
            assert_eq!(probe.as_expected, Some(true), "{probe:?}");
        }
    }
}

/// `refused`, or `incompatible/same` where the verdict is other rules' doing: with and without those.
fn words(rule: &RuleVerdict, operation: Operation) -> String {
    let without = rule.of(operation).map(|verdict| verdict.as_str());
    match rule.operations.as_run(operation) {
        Some(as_run) => format!("{}/{}", as_run.verdict, without.unwrap_or("-")),
        None => without.unwrap_or("-").to_owned(),
    }
}

fn culprits(rule: &RuleVerdict, operation: Operation) -> Vec<String> {
    let as_run = rule.operations.as_run(operation).unwrap();
    as_run.because_of.iter().map(ToString::to_string).collect()
}

const NETBIRD: &str = "netbird-beside-docker";

const OWNER: &str = "firewalld-beside-netavark";

const KILLED: &str = "firewalld-killed-beside-netavark";

/// NetBird's rule with `ct state`, in the first place of iptables' own chain, closes the table for every iptables: it is named for
/// Docker's rules and for NetBird's other one, and what these come to without it is said (netbird 2725).
#[test]
fn a_bystanders_rule_that_closes_a_table_is_named_for_the_rules_of_all_layers() {
    needs!(Native);
    let ran = Ran::of(NETBIRD, "debian-1.8.9-2-nft", "debian-1.8.11-2-nft");
    ran.packets_fare_as_expected();
    let (nft, docker) = (ran.rules(Tool::Nft), ran.rules(Tool::Iptables));
    assert!(nft.iter().all(|rule| rule.layer == 2) && nft.len() == 2);
    assert!(docker.iter().all(|rule| rule.layer == 1) && docker.len() == 19);
    let [state, interface] = nft.as_slice() else {
        panic!("{nft:?}");
    };
    assert_eq!((&*state.chain, state.index), ("FORWARD", 1));
    assert_eq!(words(state, Operation::Save), "refused");
    assert_eq!(
        state.written.as_deref(),
        Some("oifname \"wt0\" ct state established,related counter accept")
    );
    assert_eq!((&*interface.chain, interface.index), ("FORWARD", 2));
    assert_eq!(words(interface, Operation::Save), "incompatible/reworded");
    assert_eq!(words(interface, Operation::Rewrite), "incompatible/kept");
    let in_filter = docker.iter().filter(|rule| &*rule.table == "filter");
    for rule in in_filter.chain([interface]) {
        assert_eq!(culprits(rule, Operation::Save), ["FORWARD 1"], "{rule:?}");
        assert!(
            words(rule, Operation::Rewrite).ends_with("/kept"),
            "{rule:?}"
        );
    }
    let first = docker
        .iter()
        .find(|rule| &*rule.chain == "FORWARD")
        .unwrap();
    assert_eq!(first.index, 3);
    assert_eq!(words(first, Operation::Save), "incompatible/same");
    assert_eq!(
        words(first, Operation::Recognition),
        "incompatible/recognised"
    );
    for rule in docker.iter().filter(|rule| &*rule.table == "nat") {
        assert_eq!(words(rule, Operation::Save), "same");
        assert_eq!(words(rule, Operation::Rewrite), "kept");
        assert_eq!(words(rule, Operation::Recognition), "recognised");
    }
    // No reader is asked for a rule in another tool's words.
    assert!(nft.iter().all(|rule| rule.of(Operation::Check).is_none()));
    assert!(
        docker
            .iter()
            .all(|rule| rule.of(Operation::Check).is_some())
    );
}

/// The bystander is the newest build of its tool, and writes after the writer each time; what was recorded judges the same.
#[test]
fn the_newest_build_of_its_tool_writes_a_layer_and_a_replay_says_the_same() {
    needs!(Native);
    let ran = Ran::of(NETBIRD, "debian-1.8.7-1-nft", "debian-1.8.9-2-nft");
    let newest = ran.recording.head.builds.iter();
    let newest = newest.filter(|build| build.tool == Tool::Nft);
    let newest = newest.max_by(|one, other| one.version.cmp(&other.version));
    let newest = newest.unwrap();
    let by = &ran.recording.loads[0].bystanders;
    assert_eq!((by.len(), by[0].layer, &by[0].id), (1, 2, &newest.id));
    let writes = ran.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(writes.contains_key(newest.id.as_str()), "{writes:?}");
    let replayed = iptables_lab()
        .args(["replay", "--format", "json"])
        .arg(&ran.file)
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", both(&replayed));
    let replayed: serde_json::Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let rules = replayed["outcomes"][0]["rules"].as_array().unwrap();
    let layers: Vec<(&str, u64)> = rules
        .iter()
        .map(|rule| {
            (
                rule["tool"].as_str().unwrap(),
                rule["layer"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(layers[..3], [("nft", 2), ("nft", 2), ("iptables", 1)]);
    let closed = &rules[2]["operations"]["save"]["because_of"];
    assert_eq!(closed[0]["chain"], "FORWARD");
    assert_eq!(closed[0]["index"], 1);
}

/// mailcow's set is lost by every iptables without a word: the rule then drops every port. Its SNAT closes the nat table.
#[test]
fn a_bystanders_set_is_lost_beside_rules_that_are_kept() {
    needs!(Native);
    let ran = Ran::of(
        "mailcow-beside-docker",
        "debian-1.8.9-2-nft",
        "debian-1.8.11-2-nft",
    );
    ran.packets_fare_as_expected();
    let mailcow = ran.rules(Tool::Nft);
    let isolation = mailcow.iter().find(|rule| rule.given.contains("12345"));
    assert_eq!(words(isolation.unwrap(), Operation::Save), "lossy");
    let snat = mailcow.iter().find(|rule| rule.given.contains("snat"));
    assert_eq!(words(snat.unwrap(), Operation::Save), "refused");
    for rule in ran.rules(Tool::Iptables) {
        match &*rule.table {
            "filter" => assert_eq!(words(rule, Operation::Save), "same", "{rule:?}"),
            _ => assert_eq!(culprits(rule, Operation::Save), ["POSTROUTING 1"]),
        }
    }
}

/// Tailscale sets its mark by an expression that iptables does not write, and masquerades by one that it cannot read: a rule in each
/// of Docker's tables closes it.
#[test]
fn tailscales_nftables_mode_closes_two_of_dockers_tables() {
    needs!(Native);
    let ran = Ran::of(
        "tailscale-beside-docker",
        "debian-1.8.9-2-nft",
        "debian-1.8.11-2-nft",
    );
    ran.packets_fare_as_expected();
    for rule in &ran.cell.outcome.rules {
        let at_fault = match &*rule.table {
            "filter" => "ts-forward 1",
            _ => "ts-postrouting 1",
        };
        if format!("{} {}", rule.chain, rule.index) == at_fault {
            assert_eq!(words(rule, Operation::Save), "refused", "{rule:?}");
            continue;
        }
        assert_eq!(culprits(rule, Operation::Save), [at_fault], "{rule:?}");
        let without = rule.of(Operation::Rewrite);
        assert_eq!(without, Some(Verdict::Kept), "{rule:?}");
    }
}

/// A host's own table is none of iptables': kube-proxy's rules are read as if it were not there, and nft loses it with them or not.
#[test]
fn a_table_of_ones_own_is_in_nobodys_way() {
    needs!(Native);
    let ran = Ran::of(
        "kube-proxy-beside-nftables-conf",
        "debian-1.8.9-2-nft",
        "debian-1.8.11-2-nft",
    );
    ran.packets_fare_as_expected();
    for rule in ran.rules(Tool::Iptables) {
        assert_eq!(rule.layer, 2);
        assert_eq!(rule.of(Operation::Rewrite), Some(Verdict::Kept), "{rule:?}");
    }
    for rule in ran.rules(Tool::Nft) {
        assert_eq!(rule.layer, 1);
        assert_eq!(rule.of(Operation::Save), Some(Verdict::Invisible));
        assert_eq!(rule.of(Operation::Rewrite), Some(Verdict::Kept), "{rule:?}");
    }
}

/// All layers lie in the tables of one backend: no legacy writes beside an nft.
#[test]
fn what_no_writer_can_write_beside_its_bystander_is_not_run() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let legacy = [
        "--writer",
        "debian-1.8.9-2-legacy",
        "--reader",
        "debian-1.8.9-2-legacy",
    ];
    let output = matrix(folder.path(), NETBIRD, &legacy);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(both(&output).contains(NETBIRD), "{}", both(&output));
}

/// A table that its program owns can be read by all and changed by nobody else. So no nft can load a listing of the whole ruleset,
/// and nothing is lost by it: that is refused whole. A rule of another table can be deleted. 0.9.8 has no word for the flag.
#[rstest]
#[case::knows_both_flags("debian-nft-1.1.3-1", "same", "\tflags owner,persist\n")]
#[case::knows_owner("debian-nft-1.0.6-2+deb12u2", "same", "\tflags owner\n")]
#[case::knows_none("debian-nft-0.9.8-3.1+deb11u2", "differs", "\tflags ,\n")]
fn a_table_that_a_program_owns_is_in_the_way_of_a_reload(
    #[case] reader: &str,
    #[case] reject: &str,
    #[case] flags: &str,
) {
    needs!(Native);
    let ran = Ran::of(OWNER, "debian-nft-1.1.3-1", reader);
    ran.packets_fare_as_expected();
    assert_eq!(ran.cell.outcome.rules.len(), 51);
    for rule in &ran.cell.outcome.rules {
        let of = |operation| words(rule, operation);
        let is_reject = rule.given.contains("reject with icmpx");
        let (save, delete) = match rule.layer {
            1 if is_reject => (reject, "not-deleted"),
            1 => ("same", "not-deleted"),
            _ => ("same", "deleted"),
        };
        assert_eq!(of(Operation::Save), save, "{rule:?}");
        assert_eq!(of(Operation::Delete), delete, "{rule:?}");
        for operation in [Operation::Rewrite, Operation::Sync, Operation::SyncNoflush] {
            assert_eq!(of(operation), "unrestorable", "{rule:?}");
        }
        assert_eq!(of(Operation::Recognition), "recognised", "{rule:?}");
    }
    assert!(
        ran.reader_said(Stage::Save, Role::ReaderPrint)
            .contains(flags)
    );
}

/// Once its program is gone a table with `persist` is anybody's: it is deleted and loaded again as others are, by who has a word for
/// the flag. To `add` the table without the flag, as one does who makes sure that it is there, the kernel refuses.
#[rstest]
#[case::knows_the_flag("debian-nft-1.1.3-1", "kept", "\tflags persist\n", "")]
#[case::does_not(
    "debian-nft-1.0.6-2+deb12u2",
    "unrestorable",
    "\tflags \n",
    "syntax error, unexpected newline"
)]
fn what_a_killed_owner_leaves_is_anybodys(
    #[case] reader: &str,
    #[case] rewrite: &str,
    #[case] flags: &str,
    #[case] said: &str,
) {
    needs!(Native);
    let ran = Ran::of(KILLED, "debian-nft-1.1.3-1", reader);
    ran.packets_fare_as_expected();
    for rule in &ran.cell.outcome.rules {
        let of = |operation| words(rule, operation);
        assert_eq!(of(Operation::Save), "same", "{rule:?}");
        assert_eq!(of(Operation::Delete), "deleted", "{rule:?}");
        assert_eq!(of(Operation::Rewrite), rewrite, "{rule:?}");
        assert_eq!(of(Operation::Sync), "unrestorable", "{rule:?}");
    }
    assert!(
        ran.reader_said(Stage::Save, Role::ReaderPrint)
            .contains(flags)
    );
    let refused = ran.reader_said(Stage::Rewrite, Role::Restore);
    assert!(refused.contains(said), "{refused}");
    if said.is_empty() {
        let refused = ran.reader_said(Stage::Sync, Role::Restore);
        assert!(refused.contains("Operation not supported"), "{refused}");
    }
}

/// iptables neither sees the table nor touches it.
#[test]
fn a_table_that_a_program_owns_is_nothing_to_iptables() {
    needs!(Native);
    let ran = Ran::of(OWNER, "debian-nft-1.1.3-1", "debian-1.8.11-2-nft");
    ran.packets_fare_as_expected();
    for rule in &ran.cell.outcome.rules {
        assert_eq!(words(rule, Operation::Save), "invisible", "{rule:?}");
        assert_eq!(words(rule, Operation::Rewrite), "kept", "{rule:?}");
        assert_eq!(words(rule, Operation::Recognition), "recognised");
    }
}

/// The processes of an interactive nft below `lab`: their ids, each with the time at which it was started.
fn staying(lab: u32) -> BTreeSet<(u32, String)> {
    let stat = |process: u32| fs::read_to_string(format!("/proc/{process}/stat")).ok();
    // After the name in brackets: the state, the parent, and much else.
    let fields = |stat: &str| -> Vec<String> {
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().map(str::to_owned).collect()
    };
    let is_below = |process: u32| {
        let mut at = process;
        while at > 1 && at != lab {
            let parent = stat(at).and_then(|stat| fields(&stat).get(1)?.parse().ok());
            at = parent.unwrap_or(0);
        }
        at == lab
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_nft = |process: &u32| {
        let line = fs::read(format!("/proc/{process}/cmdline"));
        line.is_ok_and(|line| line == b"nft\0-i\0")
    };
    let nft = processes
        .filter(is_nft)
        .filter(|process| is_below(*process));
    nft.filter_map(|process| Some((process, fields(&stat(process)?).get(19)?.clone())))
        .collect()
}

/// A layer's program stays while its rules are read, and is gone with the lab, however that ends.
#[rstest]
#[case::by_itself(false)]
#[case::killed(true)]
fn a_program_that_stays_is_gone_with_the_lab(#[case] killed: bool) {
    needs!(Native);
    let mut lab = iptables_lab();
    lab.args(["--engine", "native", "matrix", "--fresh", "--scenario"])
        .args([OWNER, "--writer", "debian-nft-1.1.3-1"])
        .args(["--reader", "debian-nft-1.1.3-1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut lab = lab.spawn().unwrap();
    let mut seen = BTreeSet::new();
    let ended = loop {
        seen.extend(staying(lab.id()));
        if killed && !seen.is_empty() {
            lab.kill().unwrap();
        }
        if let Some(ended) = lab.try_wait().unwrap() {
            break ended;
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(ended.success(), !killed, "{ended}");
    assert!(!seen.is_empty());
    let is_there = |(process, started): &(u32, String)| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"));
        stat.is_ok_and(|stat| stat.contains(&format!(" {started} ")))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while seen.iter().any(is_there) {
        assert!(Instant::now() < deadline, "{seen:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
