//! What decides on this machine what a process may do: whose rights it has, and which of the system's settings stand in
//! the way.

use std::fs;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use nix::unistd::getuid;

/// With whose rights a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Root's.
    Root,
    /// An ordinary user's, or those that a container leaves its root: whoever has them is root in a user namespace alone.
    User,
}

impl Rights {
    /// Those of this process.
    pub fn of_process() -> Rights {
        let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN);
        match getuid().is_root() && may.unwrap_or(false) {
            true => Rights::Root,
            false => Rights::User,
        }
    }
}

/// What is around this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// The machine itself, as far as can be seen.
    Machine,
    /// Docker or Podman.
    Container,
}

/// What is found of the process that asks, before it enters any namespace: in one it looks otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Its rights.
    pub rights: Rights,
    /// Where it runs.
    pub inside: Inside,
    /// Settings of the kernel that keep ordinary users from user namespaces, each as `sysctl` is told to lift it.
    pub settings: Vec<&'static str>,
    /// Whether a filter looks at its system calls (seccomp(2)).
    pub filtered: bool,
    /// What is mounted over parts of /proc.
    pub covers: Vec<PathBuf>,
}

/// Settings that keep ordinary users from user namespaces: of Debian's kernels, and of AppArmor as Ubuntu has it. Each
/// with the value that does, and as `sysctl` is told to lift it.
const SETTINGS: [(&str, &str, &str); 2] = [
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

/// What Docker and Podman leave in every container, and so in every machine whose disk was made of one.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// The machine's own process namespace: `PROC_PID_INIT_INO` of the kernel's include/linux/proc_ns.h.
const FIRST: &str = "pid:[4026531836]";

/// Directories of /proc that are there to be mounted on, which is no cover (`proc_create_mount_point` and
/// `register_sysctl_mount_point` of the kernel).
const MOUNT_POINTS: [&str; 2] = ["/proc/fs/nfsd", "/proc/sys/fs/binfmt_misc"];

impl Confinement {
    /// Looks.
    pub fn look() -> Confinement {
        let is_there = |path: &&str| Path::new(path).exists();
        let is_first = fs::read_link("/proc/self/ns/pid").is_ok_and(|of| of == Path::new(FIRST));
        let stands = SETTINGS.iter().filter(|(path, stands, _)| {
            fs::read_to_string(path).is_ok_and(|found| found.trim() == *stands)
        });
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Confinement {
            rights: Rights::of_process(),
            inside: match MARKS.iter().any(is_there) && !is_first {
                true => Inside::Container,
                false => Inside::Machine,
            },
            settings: stands.map(|(_, _, lifted)| *lifted).collect(),
            filtered: is_filtered(&status),
            covers: covers(&mounts),
        }
    }
}

/// Of /proc/PID/status: 2 is SECCOMP_MODE_FILTER.
fn is_filtered(status: &str) -> bool {
    let mut modes = status
        .lines()
        .filter_map(|line| line.strip_prefix("Seccomp:"));
    modes.any(|mode| mode.trim() == "2")
}

/// Of /proc/PID/mountinfo, in which the fifth word of a line says where something is mounted.
fn covers(mounts: &str) -> Vec<PathBuf> {
    let points = mounts
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4));
    let covers = points.filter(|at| at.starts_with("/proc/") && !MOUNT_POINTS.contains(at));
    covers.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_proc_is_named_and_what_it_is_there_for_is_not() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                      38 22 0:33 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n\
                      90 22 0:40 / /proc/scsi ro,relatime - tmpfs tmpfs ro\n\
                      91 22 0:5 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw\n\
                      23 27 0:22 / /sys rw - sysfs sysfs rw\n";
        assert_eq!(
            covers(mounts),
            [Path::new("/proc/scsi"), Path::new("/proc/kcore")]
        );
    }

    #[test]
    fn a_filter_is_known_by_its_mode() {
        for (mode, filtered) in [("0", false), ("1", false), ("2", true)] {
            let status = format!("NoNewPrivs:\t0\nSeccomp:\t{mode}\nSeccomp_filters:\t1\n");
            assert_eq!(is_filtered(&status), filtered, "{mode}");
        }
    }
}
