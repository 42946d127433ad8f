//! Network namespaces, made anew as often as one without rules is needed.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sched::{CloneFlags, setns, unshare};

use super::{Kind, Refused, Rights, other, other_io};

/// Settings of a network namespace, as files below /proc/sys/net.
pub type Sysctls = &'static [(&'static str, &'static str)];

/// A network namespace that is held open.
#[derive(Debug)]
pub struct Network {
    file: File,
}

impl Network {
    /// Leaves the network namespace that this process is in for a new one.
    ///
    /// # Errors
    /// The kernel makes none.
    pub fn fresh() -> Result<Network, Refused> {
        unshare(Kind::Network.flag())
            .map_err(|errno| Refused::namespace(Kind::Network, errno, Rights::Root))?;
        let path = "/proc/thread-self/ns/net";
        let file = File::open(path).map_err(other_io(format!("open {path}")))?;
        Ok(Network { file })
    }

    /// Enters it.
    ///
    /// # Errors
    /// The kernel does not let this process in.
    pub fn enter(&self) -> Result<(), Refused> {
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(other("enter a network namespace"))
    }

    /// The descriptor that the kernel knows it by.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Sets what a network namespace is to have, in the one that this process is in. What this kernel has not got is passed
/// over: it was built without IPv6.
///
/// # Errors
/// The kernel refuses a value.
pub fn set(
    sysctls: impl IntoIterator<Item = &'static (&'static str, &'static str)>,
) -> Result<(), Refused> {
    for (name, value) in sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        match fs::write(&path, value) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            written => written.map_err(other_io(format!("write {value} to {path}")))?,
        }
    }
    Ok(())
}
