//! Mounts, in a mount namespace of one's own.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{chdir, chroot, fchdir, pivot_root};

use super::{Refused, other, other_io};

/// Nothing to run as somebody else, and no devices.
const HARMLESS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Whether something can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Lets nothing that is mounted from now on be seen by anybody else, nor anything that is unmounted be missed.
pub(super) fn keep_to_oneself() -> Result<(), Refused> {
    let own = directory_at(Path::new("/"))?;
    go_to_root_of_namespace()?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .and_then(|()| fchdir(&own))
        .and_then(|()| chroot("."))
        .map_err(other("keep mounts to itself"))
}

/// Has this process's root be that of its mount namespace. In a chroot it is another, and whoever enters the namespace, as
/// commands do, comes past the chroot.
fn go_to_root_of_namespace() -> Result<(), Refused> {
    let namespace = "/proc/self/ns/mnt";
    let file = File::open(namespace).map_err(other_io(format!("open {namespace}")))?;
    setns(&file, CloneFlags::CLONE_NEWNS).map_err(other("go to its mount namespace's root"))
}

fn directory_at(path: &Path) -> Result<OwnedFd, Refused> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(other(format!("open {}", path.display())))
}

/// An empty file system in memory.
pub(super) fn memory(at: &Path, size: &str) -> Result<(), Refused> {
    let options = format!("mode=755,size={size}");
    mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        HARMLESS,
        Some(options.as_str()),
    )
    .map_err(other(format!("mount a tmpfs at {}", at.display())))
}

/// The processes of this process namespace.
pub(super) fn processes(at: &Path, access: Access) -> Result<(), Refused> {
    let flags = HARMLESS | MsFlags::MS_NOEXEC;
    mount(Some("proc"), at, Some("proc"), flags, None::<&str>).map_err(Refused::Proc)?;
    match access {
        // All of the kernel's settings are in it, most of which root may change without any capability.
        Access::ReadOnly => remount(at, flags | MsFlags::MS_RDONLY),
        Access::ReadWrite => Ok(()),
    }
}

/// A directory of the machine.
pub(super) fn directory(from: &Path, at: &Path, access: Access) -> Result<(), Refused> {
    bind(from, at)?;
    let access = match access {
        Access::ReadOnly => MsFlags::MS_RDONLY,
        Access::ReadWrite => MsFlags::empty(),
    };
    remount(at, inherited(at)? | HARMLESS | access)
}

/// A device of the machine.
pub(super) fn bind(from: &Path, at: &Path) -> Result<(), Refused> {
    let what = format!("mount {} at {}", from.display(), at.display());
    mount(Some(from), at, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(other(what))
}

/// Takes away that what is mounted at `at` can be written to.
pub(super) fn read_only(at: &Path) -> Result<(), Refused> {
    remount(at, inherited(at)? | HARMLESS | MsFlags::MS_RDONLY)
}

/// Makes `at` the root, of this process and of its mount namespace, and leaves nothing of the old one within reach.
pub(super) fn become_root_directory(at: &Path) -> Result<(), Refused> {
    let new = directory_at(at)?;
    go_to_root_of_namespace()?;
    // One over the other, so that no directory is needed for the old one: pivot_root(2).
    let pivoted = || match pivot_root(".", ".") {
        Ok(()) => umount2(".", MntFlags::MNT_DETACH),
        // Nothing takes the place of a machine's first file system, which its initramfs is: it is covered, as by switch_root.
        Err(Errno::EINVAL) => mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .and_then(|()| chroot(".")),
        Err(errno) => Err(errno),
    };
    fchdir(&new)
        .and_then(|()| pivoted())
        .and_then(|()| chdir("/"))
        .map_err(other(format!("make {} the root", at.display())))
}

fn remount(at: &Path, flags: MsFlags) -> Result<(), Refused> {
    let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
        .map_err(other(format!("change how {} is mounted", at.display())))
}

/// The flags of what is mounted at `at`: in a user namespace none of them may be taken away.
fn inherited(at: &Path) -> Result<MsFlags, Refused> {
    let found = statvfs(at).map_err(other(format!("look at {}", at.display())))?;
    let known = [
        (FsFlags::ST_RDONLY, MsFlags::MS_RDONLY),
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    let flags = known
        .into_iter()
        .filter(|(flag, _)| found.flags().contains(*flag));
    Ok(flags.fold(MsFlags::empty(), |all, (_, flag)| all | flag))
}
