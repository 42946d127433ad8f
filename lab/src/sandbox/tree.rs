//! A process tree of its own, which ends when its standard input does.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::unshare;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getgid, getuid, setgroups};

use super::{Kind, Refused, Rights, other, other_io};
use crate::agent::exec;

/// The namespaces of a tree.
const KINDS: [Kind; 5] = [
    Kind::Mount,
    Kind::Process,
    Kind::HostName,
    Kind::Ipc,
    Kind::ControlGroup,
];

/// Runs `inside` as the first process of a tree of its own, in new mount, process, host name, IPC and control group
/// namespaces, and gives the exit status that it gives; `rights` are those of this process. The tree ends when `inside` does, when this process does, or
/// when nobody holds the other end of standard input any more: SIGKILL of the lab included.
///
/// # Errors
/// The system refuses the namespaces.
pub fn alone(rights: Rights, inside: impl FnOnce() -> u8) -> Result<u8, Refused> {
    if rights == Rights::User {
        become_root()?;
    }
    for kind in KINDS {
        unshare(kind.flag()).map_err(|errno| Refused::namespace(kind, errno, rights))?;
    }
    if rights == Rights::Root {
        setgroups(&[]).map_err(other("give up groups"))?;
    }
    umask(Mode::from_bits_truncate(0o022));
    // SAFETY: this process has one thread.
    match unsafe { fork() }.map_err(other("start a process"))? {
        ForkResult::Child => {
            // Who keeps it may be killed before it can do anything.
            let status = match prctl::set_pdeathsig(Signal::SIGKILL) {
                Ok(()) => inside(),
                Err(_) => 1,
            };
            std::process::exit(status.into())
        }
        ForkResult::Parent { child } => keep(child).map_err(other_io("keep a process")),
    }
}

/// Becomes root in a user namespace, and in nothing else.
fn become_root() -> Result<(), Refused> {
    let (user, group) = (getuid(), getgid());
    unshare(Kind::User.flag())
        .map_err(|errno| Refused::namespace(Kind::User, errno, Rights::User))?;
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ];
    for (file, map) in maps {
        let path = format!("/proc/self/{file}");
        fs::write(&path, map).map_err(|error| {
            Refused::Powerless(error.raw_os_error().map_or(Errno::EPERM, Errno::from_raw))
        })?;
    }
    Ok(())
}

/// Waits for the end of the tree's first process, and ends it, with all others, when standard input is closed.
fn keep(first: Pid) -> io::Result<u8> {
    let process = exec::descriptor(first)?;
    let input = io::stdin();
    let mut waiting = [
        PollFd::new(process.as_fd(), PollFlags::POLLIN),
        // That nobody can write any more is told unasked; what is written is for the first process.
        PollFd::new(input.as_fd(), PollFlags::empty()),
    ];
    loop {
        match poll(&mut waiting, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    let ended = waiting[0].revents().is_some_and(|is| !is.is_empty());
    if !ended {
        kill(first, Signal::SIGKILL)?;
    }
    Ok(match waitpid(first, None)? {
        WaitStatus::Exited(_, status) => u8::try_from(status).unwrap_or(1),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).unwrap_or(1),
        _ => libc::EXIT_FAILURE.unsigned_abs().try_into().unwrap_or(1),
    })
}
