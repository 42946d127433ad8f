//! A store that cannot take what is written to it, or that another run writes to.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;

use super::lab::{both, iptables_lab};

/// Has `command` see a file system of its own at `folder`, which nobody else does.
pub fn with_disk(command: &mut Command, folder: &Path, flags: MsFlags, options: &'static str) {
    let folder = folder.to_owned();
    let make = move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(none, &folder, Some("tmpfs"), flags, Some(options))?;
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls, on a path that was allocated before.
    unsafe { command.pre_exec(make) };
}

/// What was printed; messages are wrapped.
fn on_one_line(output: &Output) -> String {
    let text = both(output);
    let words = text.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

/// A build is asked for on a disk that has no room for it; then what the store holds is listed, once there is room.
#[test]
fn on_a_full_disk_a_build_fails_with_that_reason_and_nothing_half_made_is_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let lab = iptables_lab();
    let lab = lab.get_program().to_str().unwrap();
    let script = format!(
        "lab=\"{lab} --engine native --store $0\"
         $lab builds build debian-sid; echo \"status $?\"
         mount -o remount,size=64m none $0
         find $0/builds $0/roots $0/toolchains -mindepth 1
         echo listed; $lab builds list 2>/dev/null | grep debian-sid-nft"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(folder.path());
    with_disk(&mut command, folder.path(), MsFlags::empty(), "size=256k");
    let output = command.output().unwrap();
    let said = on_one_line(&output);
    assert!(said.contains("status 3 listed "), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    // That there was no room is not remembered: the next run has some.
    let listed = said.split("listed ").nth(1).unwrap_or_default();
    assert!(listed.contains("not built yet"), "{said}");
}

#[rstest]
#[case::builds(&["builds", "list"])]
#[case::matrix(&["matrix", "--scenario", "kube-firewall"])]
fn a_store_that_can_only_be_read_is_named_with_a_way_out(#[case] words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = iptables_lab();
    command.args(["--engine", "native", "--store"]);
    command.arg(folder.path()).args(words);
    with_disk(&mut command, folder.path(), MsFlags::MS_RDONLY, "size=1m");
    let output = command.output().unwrap();
    let said = on_one_line(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("name another directory"), "{said}");
}

/// Another run holds the lock of a suite's packages: this one says that it waits for it, and goes on when it is free.
#[test]
fn what_another_run_is_making_is_waited_for_with_a_word_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("locks");
    fs::create_dir_all(&locks).unwrap();
    let held = File::create(locks.join("suite-sid")).unwrap();
    let held = Flock::lock(held, FlockArg::LockExclusiveNonblock).unwrap();
    let mut child = iptables_lab()
        .args(["--engine", "native", "--store"])
        .arg(folder.path())
        .args(["builds", "build", "debian-sid"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |words: &str| {
        let found = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("it never said {words:?}"))
    };
    let waiting = until("another run is at it, waiting");
    let what = waiting.split(':').next().unwrap().to_owned();
    drop(held);
    assert!(until(&what).starts_with(&what));
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(id, Signal::SIGINT).unwrap();
    child.wait().unwrap();
}
