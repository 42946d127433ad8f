//! Namespaces without a daemon: a process tree of its own, root filesystems that commands are shut up in, and networks.
//!
//! Everything here is done by a process that was started for it alone and has one thread. Whatever it makes lives in
//! its namespaces, and goes with them.

mod cell;
mod command;
mod confinement;
mod filter;
mod job;
mod mounts;
mod network;
mod refused;
mod retired;
mod tree;

use nix::sys::prctl;

pub use cell::{Cell, Contents};
pub use command::{CAPABILITIES, Shell};
pub use confinement::{Confinement, Rights};
pub use filter::refuse_ways_out;
pub use job::{Ended, JOB_COMMAND, Job, JobError, main as job_main, start};
pub use network::{Network, Sysctls, set};
pub use refused::{Kind, Refused};
use refused::{other, other_io};
pub use retired::Retired;
pub use tree::alone;

/// Keeps the insides of this process from whoever has its user and its rights: what its descriptors and its root lead to,
/// and what it says.
///
/// # Errors
/// The kernel does not do so.
pub fn shut() -> std::io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}
