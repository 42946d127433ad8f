//! The lab as a machine's first process: as much of an init as it needs.
//!
//! A virtual machine whose kernel is started with `init=/iptables-lab -- --engine native matrix …` needs nothing in its root
//! but the store, and the kernel's modules where netfilter is in modules. The lab runs as a child of the first process, as it does anywhere else.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, getpid, sync};

/// The file systems of the kernel's own that the lab and the builds look into, and where.
const KERNELS_OWN: [(&str, &str); 3] = [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")];

/// Whether this is the first process of a machine that nobody has set up. A container's first process finds /proc mounted.
pub fn is_due() -> bool {
    getpid() == Pid::from_raw(1) && !Path::new("/proc/self").exists()
}

/// Mounts what is not there, runs the lab with this process's arguments, and switches the machine off when it has ended: a
/// kernel whose first process ends panics. What the lab's exit status was is said on standard error.
pub fn run() -> ExitCode {
    let ended = mount_kernels_own().and_then(|()| lab());
    let said = match ended {
        Ok(status) => format!("the lab ended with {status}; the machine is switched off"),
        Err(error) => format!("the lab cannot be started as a machine's first process: {error}"),
    };
    let _ = writeln!(io::stderr(), "{said}");
    sync();
    // It does not come back where it succeeds. In a PID namespace of its own it ends just that.
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    let _ = writeln!(io::stderr(), "the machine cannot be switched off: {error}");
    ExitCode::FAILURE
}

fn mount_kernels_own() -> io::Result<()> {
    for (kind, place) in KERNELS_OWN {
        let failed = |error: io::Error| {
            let what = format!("{kind} cannot be mounted at {place}: {error}");
            io::Error::new(error.kind(), what)
        };
        std::fs::create_dir_all(place).map_err(failed)?;
        match mount(
            Some(kind),
            place,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        ) {
            // The kernel mounts devtmpfs itself, where it is built to.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    Ok(())
}

/// Runs the lab, and reaps whatever else is left to the first process meanwhile. Returns how the lab ended, in words.
fn lab() -> io::Result<String> {
    let mut words = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words);
    let child = Pid::from_raw(command.spawn()?.id().cast_signed());
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                return Ok(format!("exit status {status}"));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(signal.to_string());
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
