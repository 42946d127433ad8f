//! Namespaces without a daemon: a process tree of its own, root filesystems that commands are shut up in, and networks.
//!
//! Everything here is done by a process that was started for it alone and has one thread. Whatever it makes lives in
//! its namespaces, and goes with them.

mod cell;
mod command;
mod here;
mod job;
mod mounts;
mod network;
mod refused;
mod retired;
mod tree;

pub use cell::{Cell, Contents};
pub use command::{CAPABILITIES, Shell};
pub use here::{Here, Rights};
pub use job::{Ended, JOB_COMMAND, Job, main as job_main, start};
pub use network::{Network, Sysctls, set};
pub use refused::{Kind, Refused};
use refused::{other, other_io};
pub use retired::Retired;
pub use tree::alone;
