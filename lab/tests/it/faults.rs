//! Faults at every step of a run, on both engines: the host is as it was, and nothing is left of what was started.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::docker::{containers_of, until};
use super::host::{host, with_something_to_lose};
use super::lab::{both, iptables_lab, results, seed, small_run};
use super::lane::On;

/// The processes of the trees that the process `pid` started.
fn trees_of(pid: u32) -> BTreeSet<i32> {
    let is_tree = |line: &[u8]| {
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let of = pid.to_string();
        words
            .windows(2)
            .any(|two| two == [b"--of".as_slice(), of.as_bytes()])
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        is_tree(&line).then_some(id)
    })
    .collect()
}

/// The smallest run that has everything: lanes, packets, commands of two builds.
fn run(on: On, set: impl FnOnce(&mut Command) -> &mut Command) -> Child {
    let small = small_run();
    let mut command = iptables_lab();
    command
        .args([
            "--engine",
            on.as_str(),
            "matrix",
            "--operation",
            "all",
            "--scenario",
            "kube-firewall",
        ])
        .args(["--writer", &small.writer, "--reader", &small.reader])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    set(&mut command).spawn().unwrap()
}

fn fails_with(on: On, kind: &str, step: usize, recording: &Path) -> (u32, Output) {
    let fault = format!("{kind}:{step}");
    let child = run(on, |command| {
        command
            .env("IPTABLES_LAB_FAULT", fault)
            .arg("--record")
            .arg(recording)
    });
    (child.id(), child.wait_with_output().unwrap())
}

/// How many loads were through when the run ended.
fn loads_in(recording: &Path) -> usize {
    let lines = fs::read_to_string(recording).unwrap_or_default();
    lines
        .lines()
        .filter(|line| line.starts_with(r#"{"load":"#))
        .count()
}

/// The step to fail at next. A run takes some three hundred, two of three before its first load is through. In containers,
/// which take seconds to start, few of the first.
fn after(on: On, step: usize) -> usize {
    match on {
        On::Native => step * 3 / 2 + 1,
        On::Docker if step < 100 => step * 3 + 1,
        On::Docker => step * 6 / 5,
    }
}

/// How a run went that was to fail.
struct Went {
    /// Its process.
    pid: u32,
    /// The way that it failed.
    kind: &'static str,
    /// Where its fault came up, in words.
    place: String,
}

/// How a run fails.
const KINDS: [&str; 3] = ["panic", "interrupt", "kill"];

/// Has runs fail, each at a later step than the one before and in another way, until one is through before its fault comes
/// up: images are provided, lanes are opened, greeted, controlled and furnished, rules are written and read, packets sent,
/// loads recorded, the report made. A seed chooses the way that the first one fails.
fn fail_at_every_stage(on: On, left: impl Fn(&Went)) {
    const FIRST: usize = 1;
    let folder = tempfile::tempdir().unwrap();
    let first = usize::try_from(seed() / 2).unwrap();
    let (mut step, mut loads) = (FIRST, BTreeSet::new());
    let mut kinds = KINDS.iter().cycle().skip(first % KINDS.len());
    let all = loop {
        assert!(step < 100_000, "the fault never comes too late");
        let kind = *kinds.next().expect("they go on for ever");
        let recording = folder.path().join(format!("{step}.jsonl"));
        let (pid, output) = fails_with(on, kind, step, &recording);
        if output.status.success() {
            break loads_in(&recording);
        }
        let place = format!("{kind} at {step}");
        assert!(ended(kind, &output), "{place}: {}", both(&output));
        left(&Went { pid, kind, place });
        loads.insert(loads_in(&recording));
        step = after(on, step);
    };
    println!(
        "{on:?}: the run was through before step {step}; loads recorded when it failed: {loads:?} of {all}"
    );
    assert!(loads.contains(&0), "none failed before the first load");
    assert!(
        loads.iter().any(|of| (1..all).contains(of)),
        "none failed between loads: {loads:?} of {all}"
    );
}

/// Whether a run ended as it must when the fault came up.
fn ended(kind: &str, output: &Output) -> bool {
    match kind {
        "panic" => output.status.code() == Some(70),
        "interrupt" => output.status.code() == Some(130),
        _ => output.status.signal() == Some(Signal::SIGKILL as i32),
    }
}

#[test]
fn whatever_fails_natively_the_host_is_as_it_was() {
    needs!(Root, Native, Engine, Iptables);
    small_run();
    with_something_to_lose(|| {
        let before = host();
        fail_at_every_stage(On::Native, |Went { pid, place, .. }| {
            until(&format!("the end of what {place} left"), || {
                trees_of(*pid).is_empty().then_some(())
            });
            assert_eq!(host(), before, "{place}");
        });
    });
}

#[test]
fn whatever_fails_in_containers_the_host_is_as_it_was() {
    needs!(Root, Docker, Iptables);
    small_run();
    with_something_to_lose(|| {
        let before = host();
        fail_at_every_stage(On::Docker, |Went { pid, kind, place }| {
            // What was killed could not remove its containers: the next start does.
            until(&format!("the end of what {place} left"), || {
                if *kind == "kill" {
                    let next = iptables_lab()
                        .args(["--engine", "docker", "builds", "list"])
                        .output();
                    assert!(next.unwrap().status.success());
                }
                containers_of(*pid).is_empty().then_some(())
            });
            assert_eq!(host(), before, "{place}");
        });
    });
}

#[test]
fn a_lane_whose_process_is_killed_ends_the_run_and_leaves_nothing() {
    needs!(Native, Engine);
    let before = host();
    let mut child = run(On::Native, |command| command);
    let pid = child.id();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready after") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended before");
    }
    let victim = trees_of(pid).into_iter().next_back().unwrap();
    kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{rest}");
    assert!(rest.contains("is gone"), "{rest}");
    assert_eq!(trees_of(pid), BTreeSet::new());
    assert_eq!(host(), before);
}

#[test]
fn a_native_run_leaves_nothing_and_two_side_by_side_come_to_the_same() {
    needs!(Native, Engine);
    let before = host();
    let runs = [(); 2].map(|()| run(On::Native, |command| command.arg("--quiet")));
    let pids = runs.each_ref().map(Child::id);
    let outputs = runs.map(|run| run.wait_with_output().unwrap());
    for output in &outputs {
        assert!(output.status.success(), "{}", both(output));
    }
    let results = outputs.each_ref().map(results);
    assert_eq!(results[0], results[1]);
    assert_eq!(pids.map(trees_of), [BTreeSet::new(), BTreeSet::new()]);
    assert_eq!(host(), before);
}
