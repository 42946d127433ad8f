//! Cells: root filesystems that commands are shut up in, each in mount, IPC, host name and control group namespaces of
//! its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe, sethostname};
use serde::{Deserialize, Serialize};

use super::mounts::{self, Access};
use super::{Kind, Refused, Rights, other, other_io};

/// The devices of a cell: those that read and write nothing but themselves.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What leads to the streams of whoever looks, as everywhere: `nft -f -` opens /dev/stdin.
const STREAMS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// What a command may write to in memory.
const RUN_SIZE: &str = "64m";

/// The namespaces that commands enter, in this order: a host's file system is left last.
const KINDS: [(&str, CloneFlags); 4] = [
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

/// What is in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The directory that is its root, and cannot be written to.
    pub root: PathBuf,
    /// Directories of the machine that can be written to, and where.
    pub shared: Vec<(PathBuf, PathBuf)>,
}

/// A root filesystem, ready to be entered.
#[derive(Debug)]
pub struct Cell {
    namespaces: Vec<(CloneFlags, File)>,
}

impl Cell {
    /// The namespaces of it, in the order to enter them.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = (CloneFlags, BorrowedFd<'_>)> {
        self.namespaces
            .iter()
            .map(|(kind, file)| (*kind, file.as_fd()))
    }

    /// Makes a cell of each of `contents`, and leaves this process with nothing but its own /proc, which it can write to.
    ///
    /// `stage` is a directory that all this is put together over; nobody else sees it there.
    ///
    /// # Errors
    /// The system refuses a mount, or a directory is not there.
    pub fn all(stage: &Path, contents: &[Contents]) -> Result<Vec<Cell>, Refused> {
        mounts::keep_to_oneself()?;
        mounts::memory(stage, "1m")?;
        let (processes, root) = (stage.join("proc"), stage.join("root"));
        for folder in [&processes, &root] {
            fs::create_dir(folder).map_err(other_io(format!("make {}", folder.display())))?;
        }
        mounts::processes(&processes, Access::ReadWrite)?;
        let cells = contents
            .iter()
            .map(|contents| make(&root, &processes, contents));
        let cells = cells.collect::<Result<_, _>>()?;
        mounts::become_root_directory(stage)?;
        mounts::read_only(Path::new("/"))?;
        // Not before: in a user namespace nobody could then open those of the processes that made the cells.
        super::shut().map_err(other_io("shut itself"))?;
        Ok(cells)
    }
}

/// Has a process make the namespaces of a cell, and opens them before it ends.
fn make(at: &Path, processes: &Path, contents: &Contents) -> Result<Cell, Refused> {
    let (told, tell) = pipe().map_err(other("make a pipe"))?;
    let (hold, held) = pipe().map_err(other("make a pipe"))?;
    // SAFETY: this process has one thread.
    match unsafe { fork() }.map_err(other("start a process"))? {
        ForkResult::Child => {
            drop((told, held));
            let word = furnish(at, contents)
                .err()
                .map(|refused| refused.to_string());
            let _ = File::from(tell).write_all(word.unwrap_or_default().as_bytes());
            // Until its namespaces were opened.
            let _ = File::from(hold).read(&mut [0]);
            std::process::exit(0)
        }
        ForkResult::Parent { child } => {
            drop((tell, hold));
            let made = open(child, processes, File::from(told));
            drop(held);
            waitpid(child, None).map_err(other("wait for a process"))?;
            made
        }
    }
}

fn open(process: Pid, processes: &Path, mut told: File) -> Result<Cell, Refused> {
    let mut word = String::new();
    told.read_to_string(&mut word)
        .map_err(other_io("read from a pipe"))?;
    if !word.is_empty() {
        return Err(Refused::Told(word));
    }
    let folder = processes.join(process.to_string()).join("ns");
    let namespaces = KINDS.iter().map(|(name, kind)| {
        let path = folder.join(name);
        let file = File::open(&path).map_err(other_io(format!("open {}", path.display())))?;
        Ok((*kind, file))
    });
    Ok(Cell {
        namespaces: namespaces.collect::<Result<_, _>>()?,
    })
}

/// Enters new namespaces, and makes the root what commands are to find.
fn furnish(at: &Path, contents: &Contents) -> Result<(), Refused> {
    let kinds = KINDS
        .iter()
        .fold(CloneFlags::empty(), |all, (_, kind)| all | *kind);
    unshare(kinds).map_err(|errno| Refused::namespace(Kind::Mount, errno, Rights::Root))?;
    sethostname("iptables-lab").map_err(other("set the host name"))?;
    mounts::directory(&contents.root, at, Access::ReadOnly)?;
    for (from, to) in &contents.shared {
        mounts::directory(from, &inside(at, to), Access::ReadWrite)?;
    }
    mounts::memory(&at.join("run"), RUN_SIZE)?;
    mounts::processes(&at.join("proc"), Access::ReadOnly)?;
    devices(&at.join("dev")).map_err(other_io("make /dev"))??;
    mounts::become_root_directory(at)
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The machine's own devices, over files: in a user namespace none can be made.
fn devices(at: &Path) -> io::Result<Result<(), Refused>> {
    let made = mounts::memory(at, "64k");
    if made.is_err() {
        return Ok(made);
    }
    for name in DEVICES {
        let (from, to) = (Path::new("/dev").join(name), at.join(name));
        File::create(&to)?;
        if let Err(refused) = mounts::bind(&from, &to) {
            return Ok(Err(refused));
        }
    }
    for (name, stream) in STREAMS {
        symlink(stream, at.join(name))?;
    }
    Ok(mounts::read_only(at))
}
