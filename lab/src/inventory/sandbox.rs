//! Another's program, asked for its version: in network and mount namespaces of its own, in its own root, as nobody, without
//! capabilities or new privileges, for a few seconds at most.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc;

/// After so long it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// As much as is read of what it prints.
const LONGEST: u64 = 4096;

/// Neither root nor anybody.
const NOBODY: libc::uid_t = 65534;

/// What the program at `path` in `root` prints as its version; a multi-call binary is asked as `iptables`.
pub(super) fn version(root: &OwnedFd, path: &str, is_multi: bool) -> Result<String, String> {
    let descriptor = root.as_raw_fd();
    let mut command = Command::new(path);
    if is_multi {
        command.arg("iptables");
    }
    command.arg("--version").env_clear().env("LC_ALL", "C");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // SAFETY: between fork and exec only system calls are made; nothing is allocated, and no lock is taken.
    unsafe { command.pre_exec(move || enter(descriptor)) };
    let mut child = command
        .spawn()
        .map_err(|error| format!("it cannot be run: {error}"))?;
    let ended = wait(&mut child);
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take().filter(|_| ended) {
        let read = stdout.take(LONGEST).read_to_end(&mut said);
        read.map_err(|error| format!("it cannot be read: {error}"))?;
    }
    let said = String::from_utf8_lossy(&said);
    match said
        .lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        Some(line) => Ok(line.to_owned()),
        None if ended => Err("it prints no version".to_owned()),
        None => Err("it was still running when its time was up".to_owned()),
    }
}

/// Whether the child ended by itself. Afterwards it has ended in any case.
fn wait(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Leaves everything behind. Runs between fork and exec.
fn enter(root: RawFd) -> io::Result<()> {
    let done = |status: libc::c_int| match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: system calls with numbers, and with pointers to what outlives them.
    unsafe {
        done(libc::unshare(
            libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWIPC,
        ))?;
        done(libc::fchdir(root))?;
        done(libc::chroot(c".".as_ptr()))?;
        done(libc::chdir(c"/".as_ptr()))?;
        let most = libc::rlimit {
            rlim_cur: 16,
            rlim_max: 16,
        };
        done(libc::setrlimit(
            libc::RLIMIT_CORE,
            &libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            },
        ))?;
        done(libc::setrlimit(libc::RLIMIT_NOFILE, &most))?;
        for capability in 0..64 {
            // The kernel knows fewer; the last ones are refused.
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        done(libc::setgroups(0, std::ptr::null()))?;
        done(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
        done(libc::setresuid(NOBODY, NOBODY, NOBODY))?;
        done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What a shell script of the host's says, which is asked for its version.
    fn says(script: &str) -> Result<String, String> {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let path = folder.path().join("iptables");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        for path in [folder.path(), &path] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let root = std::fs::File::open("/").unwrap().into();
        version(&root, path.to_str().unwrap(), false)
    }

    #[test]
    fn it_is_nobody_without_capabilities_in_a_network_of_its_own() {
        needs!(Root);
        let status =
            "grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status | tr -s '\\n\\t' ' '";
        let said = says(&format!(
            "echo \"$(id -u) $(id -G) $({status}) $(readlink /proc/self/ns/net) $*\""
        ))
        .unwrap();
        let words: Vec<&str> = said.split_whitespace().collect();
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let none = "0000000000000000";
        let [
            uid,
            groups,
            "CapBnd:" | "CapEff:",
            one,
            "CapBnd:" | "CapEff:",
            other,
            "NoNewPrivs:",
            "1",
            net,
            "--version",
        ] = words.as_slice()
        else {
            panic!("{said}");
        };
        assert_eq!(
            [*uid, *groups, *one, *other],
            ["65534", "65534", none, none]
        );
        assert_ne!(*net, own.to_string_lossy());
    }

    #[test]
    fn it_is_killed_when_its_time_is_up() {
        needs!(Root);
        let said = says("exec sleep 60");
        assert_eq!(
            said,
            Err("it was still running when its time was up".to_owned())
        );
    }

    #[test]
    fn what_prints_nothing_or_cannot_be_run_says_so() {
        needs!(Root);
        assert_eq!(says("exit 0"), Err("it prints no version".to_owned()));
        let root = std::fs::File::open("/").unwrap().into();
        let error = version(&root, "/nonexistent/iptables", false).unwrap_err();
        assert!(error.starts_with("it cannot be run: "), "{error}");
    }
}
