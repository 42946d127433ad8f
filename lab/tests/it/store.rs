//! A store that cannot take what is written to it, or that another run writes to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;

use super::lab::{both, iptables_lab, joined, small_run};
use super::lane::{store_of_its_own, usual_store};

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
    needs!(Root, Engine, Packages);
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
    needs!(Root);
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
    needs!(Root, Engine);
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

/// The build that is made in these tests, of packages that are there.
const BUILD: [&str; 3] = ["builds", "build", "debian-1.8.9-2"];

/// The lab on a machine without apt and without a daemon: what is made is made of what is there, and nothing is fetched.
fn lab_alone(store: &Path) -> Command {
    let mut command = iptables_lab();
    command.env("PATH", "/nonexistent");
    command.env("DOCKER_HOST", "unix:///nonexistent.sock");
    command.args(["--engine", "native", "--store"]).arg(store);
    command
}

/// The digests in a list of builds, by id.
fn digests(printed: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(printed);
    let built = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [id, .., digest, "built"] => Some(((*id).to_owned(), (*digest).to_owned())),
            _ => None,
        }
    });
    built.collect()
}

/// The digests that the build has in the store that everybody uses.
fn usual_digests() -> &'static BTreeMap<String, String> {
    static DIGESTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    DIGESTS.get_or_init(|| {
        // It has everybody's builds made.
        small_run();
        let output = lab_alone(&usual_store()).args(BUILD).output().unwrap();
        let found = digests(&output.stdout);
        assert!(output.status.success(), "{}", both(&output));
        assert_eq!(found.len(), 2, "nft and legacy: {found:?}");
        found
    })
}

/// Commands that make `$0` a store with the packages of the usual one, and nothing made of them.
fn links() -> String {
    let usual = usual_store().canonicalize().unwrap();
    let usual = usual.display();
    format!(
        "for kind in packages sets; do
             mkdir -p $0/$kind; ln -s {usual}/$kind/* $0/$kind/
         done; "
    )
}

/// A store with the packages of the usual one, and nothing made of them.
fn store_of_packages(folder: &Path) -> PathBuf {
    let store = folder.join("store");
    let mut command = Command::new("sh");
    let made = command.args(["-c", &links()]).arg(&store).status().unwrap();
    assert!(made.success());
    store
}

/// `script` with `$0`, a disk of its own of that size that holds the packages, and `$lab`, the lab on a store there.
fn on_a_disk(size: &'static str, script: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let lab = iptables_lab();
    let lab = lab.get_program().to_str().unwrap();
    let begin =
        "build() { PATH=/nonexistent $lab builds build debian-1.8.9-2; echo \"status $?\"; }";
    let script = format!(
        "lab=\"{lab} --engine native --store $0\"
         {begin}
         {}
         {script}",
        links()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(folder.path());
    command.env("DOCKER_HOST", "unix:///nonexistent.sock");
    with_disk(&mut command, folder.path(), MsFlags::empty(), size);
    command.output().unwrap()
}

/// The sizes end it while packages are unpacked, while their tar is written, while that is read, and while the root
/// filesystem is written; with 48 MB it is made.
#[rstest]
#[case::packages("size=12m")]
#[case::tar("size=22m")]
#[case::tar_read("size=34m")]
#[case::root("size=44m")]
fn a_build_that_a_full_disk_ended_comes_to_the_usual_digest_when_there_is_room(
    #[case] size: &'static str,
) {
    needs!(Root, Engine);
    let output = on_a_disk(
        size,
        "build
         find $0/builds $0/roots $0/tmp -mindepth 1
         echo then; mount -o remount,size=512m none $0; build",
    );
    let said = on_one_line(&output);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("status 3 then "), "nothing is left: {said}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, after) = printed.split_once("then").unwrap();
    assert!(after.contains("status 0"), "{said}");
    assert_eq!(&digests(after.as_bytes()), usual_digests(), "{said}");
}

#[test]
fn a_store_that_holds_all_and_can_only_be_read_is_named_with_a_way_out() {
    needs!(Root, Engine);
    let output = on_a_disk(
        "size=512m",
        "build
         mount -o remount,ro none $0
         $lab matrix --scenario kube-firewall --writer 'debian-*' --reader 'debian-*'; echo \"status $?\"",
    );
    let said = on_one_line(&output);
    let statuses: Vec<&str> = said
        .split("status ")
        .skip(1)
        .map(|word| &word[..1])
        .collect();
    assert_eq!(statuses, ["0", "3"], "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("give a store that can be written"), "{said}");
}

#[test]
fn two_runs_that_make_the_same_build_both_get_it() {
    needs!(Native, Engine);
    let folder = tempfile::tempdir().unwrap();
    let store = store_of_packages(folder.path());
    let start = || {
        let mut command = lab_alone(&store);
        command.args(BUILD).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let both_of_them = [start(), start()];
    for child in both_of_them {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        assert_eq!(&digests(&output.stdout), usual_digests());
    }
}

/// It is killed as soon as this lies half-made in the store.
#[rstest]
#[case::tar("rootfs.tar")]
#[case::root("root")]
fn after_a_run_was_killed_the_next_one_comes_to_the_usual_digest(#[case] half_made: &str) {
    needs!(Native, Engine);
    let folder = tempfile::tempdir().unwrap();
    let store = store_of_packages(folder.path());
    let mut child = lab_alone(&store)
        .args(BUILD)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lies_there = || {
        let folders = fs::read_dir(store.join("tmp")).into_iter().flatten();
        let mut folders = folders.flatten();
        folders.any(|folder| folder.path().join(half_made).exists())
    };
    while !lies_there() {
        assert_eq!(child.try_wait().unwrap(), None, "it was never seen");
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let output = lab_alone(&store).args(BUILD).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(&digests(&output.stdout), usual_digests());
}

/// At each step that a build's making has: its root filesystem is put together, and kept.
#[test]
fn a_panic_while_a_build_is_made_is_a_fault_of_the_lab_and_leaves_nothing_half_made() {
    needs!(Native, Engine);
    let folder = tempfile::tempdir().unwrap();
    let mut failed = 0;
    for step in 1.. {
        let store = store_of_packages(&folder.path().join(step.to_string()));
        let mut command = lab_alone(&store);
        command.env("IPTABLES_LAB_FAULT", format!("panic:{step}"));
        let output = command.args(BUILD).output().unwrap();
        if output.status.success() {
            break;
        }
        failed += 1;
        assert_eq!(output.status.code(), Some(70), "{}", both(&output));
        let left = fs::read_dir(store.join("tmp")).unwrap();
        assert_eq!(left.count(), 0, "at step {step}");
        let output = lab_alone(&store).args(BUILD).output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        assert_eq!(&digests(&output.stdout), usual_digests());
    }
    assert!(failed >= 2, "it failed {failed} times");
}

/// A run that is stopped after its first load, and then goes on to its end.
#[test]
fn builds_that_a_run_uses_are_not_removed() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let store = store_of_its_own(folder.path());
    let builds = "debian-1.8.1*-nft";
    let mut run = lab_alone(&store)
        .args(["matrix", "--scenario", "kube-*", "--operation", "save"])
        .args(["--writer", builds, "--reader", builds, "--format", "json"])
        .arg("--output")
        .arg(folder.path().join("matrix.json"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    let id = Pid::from_raw(run.id().cast_signed());
    let first = lines.find(|line| line.as_ref().unwrap().contains(" wrote, "));
    kill(id, Signal::SIGSTOP).unwrap();
    assert!(first.is_some(), "it wrote nothing");
    let remove = || {
        let mut command = lab_alone(&store);
        command.args(["builds", "remove"]).output().unwrap()
    };
    let refused = remove();
    kill(id, Signal::SIGCONT).unwrap();
    let said = on_one_line(&refused);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("another run uses these builds"), "{said}");
    assert!(said.contains("wait until it has ended"), "{said}");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(run.wait().unwrap().success(), "{rest:#?}");
    let matrix = fs::read(folder.path().join("matrix.json")).unwrap();
    let matrix: serde_json::Value = serde_json::from_slice(&matrix).unwrap();
    let cells = matrix["cells"].as_array().unwrap();
    assert!(cells.iter().all(|cell| cell["verdict"] != "unsupported"));
    assert!(!cells.is_empty());
    // Nobody uses them any more.
    let removed = remove();
    assert!(removed.status.success(), "{}", both(&removed));
    assert_eq!(fs::read_dir(store.join("roots")).unwrap().count(), 0);
}

#[test]
fn a_run_waits_with_a_word_about_it_while_another_removes_builds() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("locks");
    fs::create_dir_all(&locks).unwrap();
    let held = File::create(locks.join("use")).unwrap();
    let held = Flock::lock(held, FlockArg::LockExclusiveNonblock).unwrap();
    let mut child = lab_alone(folder.path())
        .args(["builds", "list"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let waiting = lines.find(|line| {
        line.as_ref()
            .unwrap()
            .contains("another run removes builds")
    });
    assert!(waiting.is_some());
    assert_eq!(child.try_wait().unwrap(), None);
    drop(held);
    assert!(child.wait().unwrap().success());
}

/// A machine that has Debian's packages, and has made nothing of them.
#[test]
fn only_the_images_that_a_pairing_needs_are_made_and_its_cell_is_that_of_the_full_run() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let store = store_of_packages(folder.path());
    let cell = |more: &[&str]| {
        let output = lab_alone(&store)
            .args([
                "matrix",
                "--scenario",
                "kube-firewall",
                "--operation",
                "all",
            ])
            .args(["--format", "json"])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let matrix: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut cells = joined(&matrix).into_iter().filter(|cell| {
            cell["family"] == "ipv4"
                && cell["writer"] == "debian-1.8.9-2-nft"
                && cell["reader"] == "debian-1.8.7-1-nft"
        });
        let builds = matrix["builds"].as_array().unwrap().iter();
        let builds: Vec<String> = builds
            .map(|build| build["id"].as_str().unwrap().to_owned())
            .collect();
        (cells.next().unwrap(), builds)
    };
    let made = || fs::read_dir(store.join("builds")).unwrap().count();
    let pairing = [
        "--writer",
        "debian-1.8.9-2-nft",
        "--reader",
        "debian-1.8.7-1-nft",
    ];
    let (alone, builds) = cell(&pairing);
    // Its writer, its reader, and the witness: the newest that can be had.
    assert_eq!((builds.len(), made()), (3, 3), "{builds:?}");
    let (among_all, all) = cell(&[]);
    assert!(made() > 3 && all.len() > 3, "{all:?}");
    assert_eq!(alone, among_all);
}
