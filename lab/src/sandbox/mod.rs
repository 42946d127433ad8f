//! Namespaces without a daemon: a process tree of its own, root filesystems that commands are shut up in, and networks.
//!
//! Everything here is done by a process that was started for it alone and has one thread. Whatever it makes lives in
//! its namespaces, and goes with them.

mod cell;
mod command;
mod filter;
mod job;
mod mounts;
mod network;
mod retired;
mod tree;

use nix::errno::Errno;
use nix::sys::prctl;

pub use cell::{Cell, Contents};
pub use command::{CAPABILITIES, Shell};
pub use filter::refuse_ways_out;
pub use job::{Ended, JOB_COMMAND, Job, main as job_main, start};
pub use network::{Network, Sysctls, set};
pub use retired::Retired;
pub use tree::{Rights, alone};

/// What the system refuses, and what mends it. Names and paths of files are in the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A user who is not root may make no namespaces.
    #[error(
        "this user is not root, and may not make user namespaces ({0}): run as root, or allow them (`sysctl -w \
         user.max_user_namespaces=65536`; on Debian's older kernels `sysctl -w kernel.unprivileged_userns_clone=1`; \
         under Docker or Podman `--security-opt seccomp=unconfined`)"
    )]
    Users(Errno),
    /// The user namespace is there, and nothing may be done in it.
    #[error(
        "this user may make user namespaces, and do nothing in them ({0}): run as root, or allow it (`sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0`)"
    )]
    Powerless(Errno),
    /// Root may make no namespaces.
    #[error("root may make no {0} namespaces here ({1}): a container needs `--privileged` for it")]
    Namespaces(&'static str, Errno),
    /// No /proc of its own.
    #[error(
        "no /proc of its own can be mounted ({0}), because this machine's own is partly covered, as in a container: run \
         outside of it, or start it with `--privileged`, or with `--security-opt systempaths=unconfined`"
    )]
    Proc(Errno),
    /// In the words of a process that made something for this one.
    #[error("{0}")]
    Told(String),
    /// Anything else.
    #[error("cannot {0} ({1})")]
    Other(String, Errno),
}

/// Keeps the insides of this process from whoever has its user and its rights: what its descriptors and its root lead to,
/// and what it says.
///
/// # Errors
/// The kernel does not do so.
pub fn shut() -> std::io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}

/// A failure of what is not refused anywhere.
fn other(what: impl Into<String>) -> impl FnOnce(Errno) -> Refused {
    let what = what.into();
    move |errno| Refused::Other(what, errno)
}

/// The same of what the standard library does.
fn other_io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Refused {
    let what = what.into();
    move |error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Refused::Other(what, errno)
    }
}
