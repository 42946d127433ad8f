//! Commands in a lane: run to their end or to their time, with all they read and wrote.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::observed::{End, Ran, Text};

/// The `PATH` of every command, and where its program is looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that writes more than this is not read any further, so that it stands still until its time is up.
pub const OUTPUT_LIMIT: usize = 64 << 20;

/// No command is waited for longer, whatever is asked: a time further off may not exist.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The environment of every command, and nothing else is in it.
pub const ENVIRONMENT: [(&str, &str); 3] = [("LC_ALL", "C"), ("TZ", "UTC"), ("PATH", PATH)];

/// A command that runs: the leader of a process group of its own, and the lab's ends of its streams.
#[derive(Debug)]
pub struct Started {
    /// Its process, which has not been waited for.
    pub process: Pid,
    /// Where its standard input is written, if it has one.
    pub stdin: Option<File>,
    /// Where its standard output is read.
    pub stdout: File,
    /// Where its standard error is read.
    pub stderr: File,
}

/// Runs commands in this process's own root, with [`ENVIRONMENT`].
///
/// Where each program is is looked for once: the root of a container cannot be written to, and some file systems ask a
/// process of their own about every name that is not there.
#[derive(Debug, Default)]
pub struct Runner {
    programs: HashMap<String, PathBuf>,
}

impl Runner {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// As [`complete`]'s.
    pub fn run(
        &mut self,
        argv: &[String],
        stdin: Option<&[u8]>,
        timeout: Duration,
    ) -> io::Result<Ran> {
        complete(|| self.start(argv, stdin.is_some()), stdin, timeout)
    }

    /// Starts a command, with standard input if it is to have one.
    ///
    /// # Errors
    /// There is no such program, or it cannot be executed; or a fault of the machine.
    pub fn start(&mut self, argv: &[String], stdin: bool) -> io::Result<Started> {
        let (name, arguments) = argv.split_first().ok_or(Errno::ENOENT)?;
        let program = match self.programs.get(name) {
            Some(known) => known.clone(),
            None => self.look_up(name)?,
        };
        spawn(&program, name, arguments, stdin)
    }

    fn look_up(&mut self, name: &str) -> io::Result<PathBuf> {
        let program = look_up(name)?;
        self.programs.insert(name.to_owned(), program.clone());
        Ok(program)
    }
}

/// Starts a command and sees it through.
///
/// It ends when the command has ended and nobody holds its standard output and error any more, or when the time is up.
/// Then everything in its process group is killed. That it cannot be started is an answer too.
///
/// # Errors
/// A fault of the machine: no memory, no processes left.
pub fn complete(
    start: impl FnOnce() -> io::Result<Started>,
    stdin: Option<&[u8]>,
    timeout: Duration,
) -> io::Result<Ran> {
    let deadline = deadline(timeout);
    let started = match start() {
        Ok(started) => started,
        Err(error) => return not_found(error),
    };
    let process = started.process;
    let mut output = Output::default();
    let stdin = stdin.unwrap_or_default();
    let exchanged = exchange(started, stdin, deadline, &mut output, |_| false);
    finish(process, exchanged, deadline, output)
}

/// Waits until a command has ended with which all was `exchanged`, or until the time is up. Then its process group is killed.
pub(super) fn finish(
    process: Pid,
    exchanged: io::Result<()>,
    deadline: Instant,
    output: Output,
) -> io::Result<Ran> {
    let ended = exchanged.and_then(|()| wait_until(process, deadline));
    // Before the command is waited for, so that its id, and with it the group's, cannot be another's. Nobody left to kill
    // is what is wanted.
    let _ = killpg(process, Signal::SIGKILL);
    let status = waitpid(process, None)?;
    let end = if ended? { end(status) } else { End::TimedOut };
    Ok(Ran {
        end,
        stdout: output.stdout.into(),
        stderr: output.stderr.into(),
    })
}

/// When the time of a command that begins now is up.
pub(super) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(LONGEST)
}

/// What a command wrote so far.
#[derive(Default)]
pub(super) struct Output {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// That a command cannot be started is an answer, but for a fault of the machine.
pub(super) fn not_found(error: io::Error) -> io::Result<Ran> {
    match error.raw_os_error() {
        None | Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => Err(error),
        Some(errno) => Ok(Ran {
            end: End::NotFound(errno),
            stdout: Text::default(),
            stderr: Text::default(),
        }),
    }
}

fn end(status: WaitStatus) -> End {
    match status {
        WaitStatus::Exited(_, code) => End::Exit(code),
        WaitStatus::Signaled(_, signal, _) => End::Signal(signal as i32),
        // Only what is traced or asked for comes otherwise.
        other => unreachable!("a command that was waited for has {other:?}"),
    }
}

/// Starts a command in a process group of its own.
///
/// The program is looked up here, and the directory changed only where it must be, for in both cases the library could
/// not use posix_spawn(3) and would copy the agent's page tables for every command.
fn spawn(program: &Path, name: &str, arguments: &[String], stdin: bool) -> io::Result<Started> {
    let mut command = Command::new(program);
    if std::env::current_dir()? != Path::new("/") {
        command.current_dir("/");
    }
    let mut child = command
        .arg0(name)
        .args(arguments)
        .env_clear()
        .envs(ENVIRONMENT)
        .process_group(0)
        .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let file = |pipe: OwnedFd| File::from(pipe);
    let missing = || io::Error::other("a pipe that was asked for is not there");
    Ok(Started {
        process: Pid::from_raw(child.id().cast_signed()),
        stdin: child.stdin.take().map(|pipe| file(pipe.into())),
        stdout: file(child.stdout.take().ok_or_else(missing)?.into()),
        stderr: file(child.stderr.take().ok_or_else(missing)?.into()),
    })
}

/// The first program of this name in the fixed `PATH`; a name with a slash is a path already.
fn look_up(name: &str) -> io::Result<PathBuf> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let mut refused = Errno::ENOENT;
    for directory in PATH.split(':').filter(|_| !name.is_empty()) {
        let path = Path::new(directory).join(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
                return Ok(path);
            }
            Ok(_) => refused = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(refused.into())
}

/// Feeds standard input and drains the two outputs until they are closed, what came is all that is awaited, or the time is up.
pub(super) fn exchange(
    started: Started,
    input: &[u8],
    deadline: Instant,
    output: &mut Output,
    is_all: impl Fn(&Output) -> bool,
) -> io::Result<()> {
    let mut stdin = started.stdin.map(|pipe| Feed { pipe, rest: input });
    let mut stdout = Some(started.stdout);
    let mut stderr = Some(started.stderr);
    if let Some(feed) = &stdin {
        nonblocking(feed.pipe.as_fd())?;
    }
    stdout
        .iter()
        .try_for_each(|pipe| nonblocking(pipe.as_fd()))?;
    stderr
        .iter()
        .try_for_each(|pipe| nonblocking(pipe.as_fd()))?;
    loop {
        stdin = stdin.map_or(Ok(None), Feed::write)?;
        drain(&mut stdout, &mut output.stdout)?;
        drain(&mut stderr, &mut output.stderr)?;
        if stdout.is_none() && stderr.is_none() || is_all(output) {
            return Ok(());
        }
        let mut waiting = Vec::with_capacity(3);
        waiting.extend(
            stdin
                .as_ref()
                .map(|feed| PollFd::new(feed.pipe.as_fd(), PollFlags::POLLOUT)),
        );
        let open = |buffer: &[u8]| buffer.len() < OUTPUT_LIMIT;
        waiting.extend(
            stdout
                .as_ref()
                .filter(|_| open(&output.stdout))
                .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
        );
        waiting.extend(
            stderr
                .as_ref()
                .filter(|_| open(&output.stderr))
                .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
        );
        if !ready(&mut waiting, deadline)? {
            return Ok(());
        }
    }
}

fn nonblocking(pipe: BorrowedFd) -> io::Result<()> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Standard input that is still to be written.
struct Feed<'a> {
    pipe: File,
    rest: &'a [u8],
}

impl Feed<'_> {
    /// Writes what the pipe takes; nothing is left when all is written, or when nobody reads it.
    fn write(mut self) -> io::Result<Option<Self>> {
        while !self.rest.is_empty() {
            match self.pipe.write(self.rest) {
                Ok(written) => self.rest = &self.rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(self)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Reads what is in the pipe, and closes it at its end.
fn drain(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> io::Result<()> {
    let left = OUTPUT_LIMIT.saturating_sub(into.len());
    let Some(open) = pipe.as_mut().filter(|_| left > 0) else {
        return Ok(());
    };
    // What was read before an error is kept.
    match open.take(left as u64).read_to_end(into) {
        Ok(_) if into.len() < OUTPUT_LIMIT => *pipe = None,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Waits until one of these is ready; false when the time is up.
fn ready(waiting: &mut [PollFd], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Rounded up, so that the last millisecond is not spent in a loop.
        let timeout =
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(waiting, timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the command has ended, without taking its status; false when the time is up.
fn wait_until(process: Pid, deadline: Instant) -> io::Result<bool> {
    let process = descriptor(process)?;
    let mut waiting = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    // It may have ended while a child of its own held its output until the time was up.
    let ended = poll(&mut waiting, PollTimeout::ZERO)? != 0;
    Ok(ended || ready(&mut waiting, deadline)?)
}

/// Whether a process is a child that was not waited for. Nobody's status is taken.
pub(super) fn is_child(process: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(process), flags).is_ok()
}

/// A descriptor that is readable when the command has ended: pidfd_open(2), Linux 5.3.
///
/// # Errors
/// There is no such process, or no descriptor is left.
pub fn descriptor(process: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn sh(script: &str, stdin: Option<&[u8]>, timeout: Duration) -> Ran {
        let argv = ["sh", "-c", script].map(str::to_owned);
        Runner::default()
            .run(&argv, stdin, timeout)
            .expect("the machine can start a shell")
    }

    #[rstest]
    #[case::status("exit 3", End::Exit(3))]
    #[case::signal("kill -SEGV $$", End::Signal(libc::SIGSEGV))]
    #[case::closed_output("exec >&- 2>&-; exit 4", End::Exit(4))]
    #[case::stdin_unread("exec <&-; exit 5", End::Exit(5))]
    fn how_it_ended(#[case] script: &str, #[case] end: End) {
        assert_eq!(sh(script, Some(&[b'x'; 1 << 20]), LONG).end, end);
    }

    #[rstest]
    #[case::hangs("sleep 100", End::TimedOut)]
    #[case::hangs_without_output("exec >&- 2>&-; sleep 100", End::TimedOut)]
    #[case::ignores_term("trap '' TERM INT; sleep 100", End::TimedOut)]
    #[case::grandchild_holds_the_output("sleep 100 & exit 0", End::Exit(0))]
    #[case::writes_without_end("while :; do echo more; done", End::TimedOut)]
    fn nothing_outlasts_its_time(#[case] script: &str, #[case] end: End) {
        let ran = sh(
            &format!("echo begun; {script}"),
            None,
            Duration::from_secs(2),
        );
        assert_eq!(ran.end, end);
        assert!(ran.stdout.bytes().starts_with(b"begun\n"));
    }

    #[test]
    fn no_timeout_is_too_long() {
        assert_eq!(sh("exit 6", None, Duration::MAX).end, End::Exit(6));
    }

    #[test]
    fn what_it_started_is_killed_with_it() {
        let script = "sleep 100 & echo $!; exit 0";
        let ran = sh(script, None, Duration::from_millis(200));
        let pid: i32 = ran
            .stdout
            .to_lossy()
            .trim()
            .parse()
            .expect("the shell prints a process id");
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let gone = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            state().is_empty() || state().contains(") Z ")
        });
        assert!(gone, "still there: {}", state());
    }

    #[test]
    fn much_in_and_out_at_once_is_no_deadlock() {
        let input: Vec<u8> = (0..5_000_000u32).map(|number| number as u8).collect();
        let ran = sh("tee /dev/stderr", Some(&input), LONG);
        assert_eq!(ran.end, End::Exit(0));
        assert!(ran.stdout.bytes() == input && ran.stderr.bytes() == input);
    }

    #[test]
    fn the_environment_is_the_lab_s_own() {
        let argv = ["/usr/bin/env".to_owned()];
        let ran = Runner::default()
            .run(&argv, None, LONG)
            .expect("env starts");
        let mut lines: Vec<_> = ran.stdout.to_lossy().lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "LC_ALL=C".to_owned(),
                format!("PATH={PATH}"),
                "TZ=UTC".to_owned()
            ]
        );
        assert_eq!(sh("pwd; echo $0", None, LONG).stdout, Text::from("/\nsh\n"));
    }

    #[rstest]
    #[case::no_such_name("no-such-program", libc::ENOENT)]
    #[case::no_such_path("/no/such/program", libc::ENOENT)]
    #[case::not_executable("/etc/passwd", libc::EACCES)]
    #[case::empty("", libc::ENOENT)]
    fn what_cannot_be_run_is_not_found(#[case] program: &str, #[case] errno: i32) {
        let ran = Runner::default()
            .run(&[program.to_owned()], None, LONG)
            .expect("an answer");
        assert_eq!(ran.end, End::NotFound(errno));
    }
}
