//! Commands in cells: shut up in its namespaces, with the two capabilities that iptables needs and no way to more.

use std::ffi::{CStr, CString, NulError};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sched::{CloneFlags, clone, setns};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, execve, pipe2, setpgid};

use super::{Cell, refuse_ways_out};
use crate::agent::exec::{ENVIRONMENT, PATH, Started};

/// What an iptables needs: the rules are its business, and raw sockets are how it asks for legacy tables.
pub const CAPABILITIES: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];

/// What a child that has not yet become its command may use of the stack.
const STACK: usize = 256 << 10;

/// Starts commands in cells.
pub struct Shell {
    stack: Vec<u8>,
    /// Opened while there was one.
    nothing: File,
    /// What commands have.
    kept: CapsHashSet,
}

/// A command with all that it takes, put together before there is a child.
struct Call {
    /// Where its program may be, in the order of the fixed `PATH`.
    programs: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// Why a child did not become its command.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// It could not enter the cell, or not lose its rights.
    Entering(Errno),
    /// There is no such program, or it cannot be executed.
    Executing(Errno),
}

impl Shell {
    /// A shell whose commands have `kept` and no other capability. From then on no child of this process can come to
    /// another one, nor get past its namespaces: that is settled here, and not for each command anew. This process itself
    /// keeps what it has.
    ///
    /// # Errors
    /// There is no /dev/null, or the kernel does not let go of a capability, or takes no filter.
    pub fn new(kept: &[Capability]) -> io::Result<Shell> {
        let kept: CapsHashSet = kept.iter().copied().collect();
        for capability in caps::runtime::thread_all_supported().difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(io::Error::other)?;
        }
        refuse_ways_out()?;
        Ok(Shell {
            stack: vec![0; STACK],
            nothing: File::open("/dev/null")?,
            kept,
        })
    }

    /// Starts a command in `cell`, with the lab's environment and the streams that a [`Started`] has.
    ///
    /// # Errors
    /// With an errno: the cell has no such program, or it cannot be executed. Without: a fault of the machine.
    pub fn start(&mut self, cell: &Cell, argv: &[String], stdin: bool) -> io::Result<Started> {
        let call = Call::new(
            argv,
            &ENVIRONMENT.map(|(name, value)| format!("{name}={value}")),
        )?;
        let (input, feed) = match stdin {
            true => {
                let (input, feed) = pipe2(OFlag::O_CLOEXEC)?;
                (input, Some(feed))
            }
            false => (self.nothing.as_fd().try_clone_to_owned()?, None),
        };
        let (stdout, output) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, errors) = pipe2(OFlag::O_CLOEXEC)?;
        let streams = [input, output, errors];
        let process = self.become_command(cell, &call, &streams)?;
        Ok(Started {
            process,
            stdin: feed.map(File::from),
            stdout: File::from(stdout),
            stderr: File::from(stderr),
        })
    }

    /// Starts a command in `cell` with an environment and outputs of the caller's, and nothing to read.
    ///
    /// # Errors
    /// As [`Shell::start`]'s.
    pub fn start_on(
        &mut self,
        cell: &Cell,
        argv: &[String],
        environment: &[String],
        [output, errors]: [OwnedFd; 2],
    ) -> io::Result<Pid> {
        let call = Call::new(argv, environment)?;
        let nothing = self.nothing.as_fd().try_clone_to_owned()?;
        self.become_command(cell, &call, &[nothing, output, errors])
    }

    fn become_command(
        &mut self,
        cell: &Cell,
        call: &Call,
        streams: &[OwnedFd; 3],
    ) -> io::Result<Pid> {
        let Shell { stack, kept, .. } = self;
        let mut failure = None;
        let child = || {
            failure = Some(become_command(cell, call, streams, kept));
            127
        };
        // As vfork(2) does: nothing is copied, and this process stands still until the child has become its command or has
        // ended.
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: this process has one thread, which waits for the child; the child has a stack of its own, and what it
        // writes to is of this frame, which is there until it is done.
        let process = unsafe { clone(Box::new(child), stack, flags, Some(libc::SIGCHLD)) }?;
        let Some(failure) = failure else {
            return Ok(process);
        };
        nix::sys::wait::waitpid(process, None)?;
        Err(match failure {
            Failure::Executing(errno) => errno.into(),
            Failure::Entering(errno) => io::Error::other(format!(
                "the command could not be confined to its namespaces: {errno}"
            )),
        })
    }
}

impl Call {
    fn new(argv: &[String], environment: &[String]) -> io::Result<Call> {
        let text = |text: &str| CString::new(text).map_err(|_: NulError| Errno::EINVAL.into());
        let name = argv.first().ok_or(Errno::ENOENT)?;
        let programs: Vec<String> = match name.contains('/') || name.is_empty() {
            true => vec![name.clone()],
            false => PATH.split(':').map(|at| format!("{at}/{name}")).collect(),
        };
        let all = |texts: &[String]| texts.iter().map(|one| text(one)).collect::<io::Result<_>>();
        Ok(Call {
            programs: all(&programs)?,
            arguments: all(argv)?,
            environment: all(environment)?,
        })
    }
}

/// What a child does: it enters the cell, loses its rights, and becomes the command. It comes back only if it cannot.
fn become_command(cell: &Cell, call: &Call, streams: &[OwnedFd; 3], kept: &CapsHashSet) -> Failure {
    if let Err(errno) = shut_up(cell, streams, kept) {
        return Failure::Entering(errno);
    }
    let mut refused = Errno::ENOENT;
    for program in &call.programs {
        match execute(program, call) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => refused = Errno::EACCES,
            other => return Failure::Executing(other),
        }
    }
    Failure::Executing(refused)
}

fn execute(program: &CStr, call: &Call) -> Errno {
    match execve(program, &call.arguments, &call.environment) {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

fn shut_up(
    cell: &Cell,
    [input, output, errors]: &[OwnedFd; 3],
    kept: &CapsHashSet,
) -> nix::Result<()> {
    dup2_stdin(input)?;
    dup2_stdout(output)?;
    dup2_stderr(errors)?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    // What the lab ignores its commands do not.
    // SAFETY: no handler is installed.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    for (kind, namespace) in cell.namespaces() {
        setns(namespace, kind)?;
    }
    let refused = |_| Errno::last();
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, kept).map_err(refused)?;
    }
    prctl::set_no_new_privs()
}
