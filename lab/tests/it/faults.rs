//! Faults at every step of a run, on both engines: the host is as it was, and nothing is left of what was started.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;

use super::docker::{containers_of, until};
use super::lab::{both, iptables_lab, small_run};
use super::lane::On;
use super::lifecycle::host;

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
            "--scenario",
            "kube-firewall",
        ])
        .args(["--writer", &small.writer, "--reader", &small.reader])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    set(&mut command).spawn().unwrap()
}

fn fails_with(on: On, kind: &str, step: usize) -> (u32, Output) {
    let fault = format!("{kind}:{step}");
    let child = run(on, |command| command.env("IPTABLES_LAB_FAULT", fault));
    (child.id(), child.wait_with_output().unwrap())
}

/// Whether a run ended as it must when the fault came up.
fn ended(kind: &str, output: &Output) -> bool {
    match kind {
        "panic" => output.status.code() == Some(70),
        "interrupt" => output.status.code() == Some(130),
        _ => output.status.signal() == Some(Signal::SIGKILL as i32),
    }
}

/// At what steps a run fails: images are provided, a lane is opened, greets, is asked and answers, over and over.
const STEPS: [usize; 9] = [1, 2, 3, 4, 5, 8, 13, 24, 40];

#[rstest]
fn whatever_fails_natively_the_host_is_as_it_was(
    #[values("panic", "interrupt", "kill")] kind: &str,
) {
    let before = host();
    for step in STEPS {
        let (pid, output) = fails_with(On::Native, kind, step);
        assert!(ended(kind, &output), "{kind} at {step}: {}", both(&output));
        until(&format!("the end of what {kind} at {step} left"), || {
            trees_of(pid).is_empty().then_some(())
        });
    }
    assert_eq!(host(), before);
}

#[rstest]
#[case("panic", 5)]
#[case("interrupt", 8)]
#[case("kill", 13)]
fn whatever_fails_in_containers_the_host_is_as_it_was(#[case] kind: &str, #[case] step: usize) {
    let before = host();
    let (pid, output) = fails_with(On::Docker, kind, step);
    assert!(ended(kind, &output), "{kind} at {step}: {}", both(&output));
    // What was killed could not remove its containers: the next start does.
    until(&format!("the end of what {kind} at {step} left"), || {
        if kind == "kill" {
            let output = iptables_lab()
                .args(["--engine", "docker", "builds", "list"])
                .output();
            assert!(output.unwrap().status.success());
        }
        containers_of(pid).is_empty().then_some(())
    });
    assert_eq!(host(), before);
}

#[test]
fn a_lane_whose_process_is_killed_ends_the_run_and_leaves_nothing() {
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
    let before = host();
    let runs = [(); 2].map(|()| run(On::Native, |command| command.arg("--quiet")));
    let pids = runs.each_ref().map(Child::id);
    let outputs = runs.map(|run| run.wait_with_output().unwrap());
    for output in &outputs {
        assert!(output.status.success(), "{}", both(output));
    }
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    assert_eq!(pids.map(trees_of), [BTreeSet::new(), BTreeSet::new()]);
    assert_eq!(host(), before);
}
