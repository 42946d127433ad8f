//! The tests of a target on a machine that has nothing: each passes, or is not run, is named and counted.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::unistd::geteuid;

use super::lab::{both, seed};
use super::refuse::{Refusal, refuse};

/// Leaves root, as in a container, the right to open files, and none else.
fn give_up_capabilities() -> std::io::Result<()> {
    const DAC_OVERRIDE: libc::c_ulong = 1;
    for capability in (0..64).filter(|capability| *capability != DAC_OVERRIDE) {
        // SAFETY: it is a system call. The kernel does not know all of them.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    Ok(())
}

/// The name of the test below.
const THIS: &str = "on_a_machine_that_has_nothing";

/// One in four of this target's tests, which a seed chooses.
fn some_tests() -> Vec<String> {
    const ONE_IN: usize = 4;
    let mut command = Command::new(std::env::current_exe().unwrap());
    let listed = command.args(["--list", "--format", "terse"]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let first = usize::try_from(seed() / 2).unwrap() % ONE_IN;
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let names = names.filter(|name| !name.contains(THIS));
    names
        .skip(first)
        .step_by(ONE_IN)
        .map(str::to_owned)
        .collect()
}

/// Where tests need something, all of them: these end at once. The others do there what they do anyway, and are tried in turn.
#[test]
fn on_a_machine_that_has_nothing_every_test_passes_or_is_counted() {
    let (cache, listed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    // What the target is named after is all that its tests need.
    let is_pure = module_path!().starts_with("pure::");
    match is_pure {
        true => command.arg("--exact").args(some_tests()),
        false => command.args(["--skip", THIS]),
    };
    command
        .env("IPTABLES_LAB_NOT_RUN", listed.path())
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .env("XDG_CACHE_HOME", cache.path())
        .env_remove("IPTABLES_LAB_STORE")
        .env_remove("IPTABLES_LAB_BUILDS")
        .env("IPTABLES_LAB_BROWSER", "/nonexistent/chromium");
    if geteuid().is_root() {
        // SAFETY: what is done between fork and exec are system calls.
        unsafe { command.pre_exec(give_up_capabilities) };
    }
    refuse(&mut command, Refusal::Namespaces);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let files = fs::read_dir(listed.path()).unwrap();
    let text: String = files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        text.lines().count(),
        said.lines()
            .filter(|line| line.starts_with("NOT RUN: "))
            .count(),
        "{said}"
    );
    assert_eq!(text.is_empty(), is_pure, "{text}");
}
