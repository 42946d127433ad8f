//! What `doctor` finds of a machine that lacks something, and the command that it names for it.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use super::lab::{both, iptables_lab};
use super::refuse::{Refusal, refuse};
use super::store::with_disk;
use super::user::User;

/// What a machine was found to be.
struct Found {
    output: Output,
    checks: Value,
}

fn doctor(mut lab: Command, set: impl FnOnce(&mut Command)) -> Found {
    lab.args(["doctor", "--format", "json"]);
    set(&mut lab);
    let output = lab.output().unwrap();
    let checks = serde_json::from_slice(&output.stdout);
    Found {
        checks: checks.unwrap_or_else(|error| panic!("{error}: {}", both(&output))),
        output,
    }
}

impl Found {
    #[track_caller]
    fn check(&self, engine: impl Into<Value>, what: &str) -> &Value {
        let engine = engine.into();
        let mut all = self.checks.as_array().unwrap().iter();
        let found = all.find(|check| check["engine"] == engine && check["what"] == what);
        found.unwrap_or_else(|| panic!("{engine} has no {what}: {:#}", self.checks))
    }

    #[track_caller]
    fn works(&self, engine: impl Into<Value>, what: &str) -> &str {
        let check = self.check(engine, what);
        assert_eq!(check["works"], true, "{:#}", self.checks);
        check["says"].as_str().unwrap()
    }

    /// What is said of something that does not work, and the command that mends it.
    #[track_caller]
    fn lacks(&self, engine: impl Into<Value>, what: &str) -> [&str; 2] {
        let check = self.check(engine, what);
        assert_eq!(check["works"], false, "{:#}", self.checks);
        ["says", "mend"].map(|key| check[key].as_str().unwrap())
    }

    #[track_caller]
    fn ends_with(&self, status: i32) {
        let output = &self.output;
        assert_eq!(output.status.code(), Some(status), "{}", both(output));
    }
}

/// There is no daemon here.
fn without_docker(command: &mut Command) {
    command.env("DOCKER_HOST", "unix:///nonexistent.sock");
}

/// Of what mount(2) need not be told.
const NONE: Option<&str> = None;

#[test]
fn what_the_other_tests_run_on_works() {
    needs!(Native);
    let found = doctor(iptables_lab(), |_| {});
    found.ends_with(0);
    for what in ["lane", "nft rules", "legacy rules"] {
        found.works("native", what);
    }
}

#[test]
fn where_no_engine_works_each_has_a_way_out_that_helps_root() {
    needs!(Root);
    let found = doctor(iptables_lab(), |command| {
        without_docker(command);
        refuse(command, Refusal::Namespaces);
    });
    found.ends_with(3);
    let [_, mend] = found.lacks("docker", "lane");
    assert!(mend.contains("systemctl start docker"), "{mend}");
    let [says, mend] = found.lacks("native", "lane");
    assert!(
        says.contains("no mount namespaces can be made here (EPERM"),
        "{says}"
    );
    // Root need not become root, and no setting of the kernel keeps it from anything.
    for (word, is_said) in [
        ("--privileged", true),
        ("as root", false),
        ("sysctl", false),
    ] {
        assert_eq!(mend.contains(word), is_said, "{mend}");
    }
}

#[test]
fn a_kernel_without_legacy_tables_is_told_by_what_it_refuses_and_mended_by_names_it_asks_for() {
    needs!(Native);
    let found = doctor(iptables_lab(), |command| {
        without_docker(command);
        refuse(command, Refusal::LegacyTables);
    });
    found.ends_with(0);
    found.works("native", "nft rules");
    let [_, mend] = found.lacks("native", "legacy rules");
    let words: Vec<&str> = mend.split(' ').collect();
    assert_eq!(
        words[..4],
        ["modprobe", "-a", "ip6_tables", "ip_tables"],
        "{mend}"
    );
    for word in [
        "ipt_tcp",
        "ip6t_tcp",
        "ipt_MARK",
        "ipt_DNAT",
        "iptable_nat",
        "ip6t_icmp6",
    ] {
        assert!(words.contains(&word), "{word}: {mend}");
    }
    assert!(!mend.contains("xt_"), "{mend}");
}

#[test]
fn an_ordinary_user_can_do_all_but_what_is_roots() {
    needs!(Root, Native);
    let user = User::new();
    let found = doctor(user.lab(), without_docker);
    found.ends_with(0);
    let lane = found.works("native", "lane");
    assert!(lane.contains("native (user namespaces)"), "{lane}");
    for backend in ["nft", "legacy"] {
        found.works("native", &format!("{backend} rules"));
        let [_, mend] = found.lacks("native", &format!("{backend} owner"));
        assert_eq!(mend, "run it as root");
    }
    let found = doctor(user.lab_of_root(), without_docker);
    found.works("native", "nft rules");
    let names = found.checks.as_array().unwrap().iter();
    let mut names = names.map(|check| check["what"].as_str().unwrap());
    assert!(
        !names.any(|name| name.ends_with("owner")),
        "{:#}",
        found.checks
    );
}

#[test]
fn a_user_who_may_do_nothing_in_user_namespaces_is_told_so() {
    needs!(Root, Native);
    let user = User::new();
    let found = doctor(user.lab(), |command| {
        without_docker(command);
        refuse(command, Refusal::MountNamespaces);
    });
    found.ends_with(3);
    let [says, mend] = found.lacks("native", "lane");
    let words = "this user may make user namespaces, and do nothing in them (EPERM";
    assert!(says.contains(words), "{says}");
    // What refuses it here is a filter, which would refuse it to root as well.
    assert!(
        mend.contains("without the filter of system calls"),
        "{mend}"
    );
    assert!(!mend.contains("as root"), "{mend}");
}

/// A folder of /proc that is on every machine.
const OF_PROC: &str = "/proc/driver";

/// In a mount namespace of its own.
fn cover() -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    Ok(mount(
        NONE,
        OF_PROC,
        Some("tmpfs"),
        MsFlags::MS_RDONLY,
        NONE,
    )?)
}

#[test]
fn where_proc_is_covered_a_user_is_told_what_covers_it_and_root_works() {
    needs!(Root, Native);
    let user = User::new();
    let found = doctor(user.lab_after(cover), without_docker);
    found.ends_with(3);
    let [says, mend] = found.lacks("native", "lane");
    assert!(
        says.contains("no /proc of its own can be mounted (EPERM"),
        "{says}"
    );
    assert_eq!(mend, "run it as root, or `umount /proc/driver`");
}

/// As in an initramfs whose init has mounted nothing yet.
fn unmount_proc() -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    Ok(umount2("/proc", MntFlags::MNT_DETACH)?)
}

#[test]
fn where_nothing_is_mounted_at_proc_it_is_said() {
    needs!(Root);
    let found = doctor(iptables_lab(), |command| {
        without_docker(command);
        // SAFETY: what is done between fork and exec are system calls.
        unsafe { command.pre_exec(unmount_proc) };
    });
    found.ends_with(3);
    let [says, mend] = found.lacks("native", "lane");
    assert!(says.contains("nothing is mounted at /proc"), "{says}");
    assert_eq!(mend, "mount -t proc proc /proc");
}

#[test]
fn a_store_without_room_is_named_and_lanes_are_tried_all_the_same() {
    needs!(Root, Native);
    let folder = tempfile::tempdir().unwrap();
    let found = doctor(iptables_lab(), |command| {
        without_docker(command);
        command.arg("--store").arg(folder.path());
        with_disk(command, folder.path(), MsFlags::empty(), "size=1m");
    });
    found.ends_with(0);
    let [says, mend] = found.lacks(Value::Null, "store");
    assert!(
        says.contains("0 MB free") || says.contains("1 MB free"),
        "{says}"
    );
    assert!(mend.contains("--store"), "{mend}");
    found.works("native", "lane");
    let [_, mend] = found.lacks("native", "builds");
    assert_eq!(mend, "iptables-lab --engine native builds build");
}

#[test]
fn without_apt_it_is_said_what_does_in_its_place() {
    needs!(Native);
    let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let found = doctor(iptables_lab(), |command| {
        without_docker(command);
        command.arg("--store").arg(folder.path());
        command.env("PATH", empty.path());
    });
    found.ends_with(0);
    let [says, mend] = found.lacks(Value::Null, "apt");
    assert!(says.starts_with("there is no apt: "), "{says}");
    assert!(mend.contains("docker pull debian:trixie-slim"), "{mend}");
}
