//! Commands that stay: what such a program owns in the kernel is there for as long as it is.

use std::fs::File;
use std::io;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::exec::{self, Output, Started};
use crate::observed::{End, Ran};
use crate::tool::Through;

/// A command that stays, and is killed when this is dropped. What it reads and writes is held open, so that it waits for more: it
/// ends by itself when whoever holds that is gone.
#[derive(Debug)]
pub struct Kept {
    process: Pid,
    /// Standard input, standard output, standard error.
    _streams: [File; 3],
}

/// Starts a command and waits until it says that it is through `stdin`, or until the time is up. Returns what it wrote so far, with the
/// status that it would have ended with; and itself, if it took what it read and is still there.
///
/// # Errors
/// A fault of the machine: that there is no such command is an answer.
pub fn start(
    start: impl FnOnce() -> io::Result<Started>,
    stdin: &[u8],
    through: &Through,
    timeout: Duration,
) -> io::Result<(Ran, Option<Kept>)> {
    let deadline = exec::deadline(timeout);
    let started = match start() {
        Ok(started) => started,
        Err(error) => return exec::not_found(error).map(|ran| (ran, None)),
    };
    let process = started.process;
    let mut output = Output::default();
    let is_through = |output: &Output| said(&output.stderr, through).is_some();
    let streams = streams(&started);
    let exchanged = exec::exchange(started, stdin, deadline, &mut output, is_through);
    let said = said(&output.stderr, through);
    let (Some(said), Ok(()), Ok(streams)) = (said, &exchanged, streams) else {
        return exec::finish(process, exchanged, deadline, output).map(|ran| (ran, None));
    };
    let kept = Kept {
        process,
        _streams: streams,
    };
    output.stderr.truncate(said.length);
    let ran = |end| Ran {
        end,
        stdout: output.stdout.into(),
        stderr: output.stderr.into(),
    };
    match said.refuses {
        true => Ok((ran(End::Exit(libc::EXIT_FAILURE)), None)),
        false => Ok((ran(End::Exit(libc::EXIT_SUCCESS)), Some(kept))),
    }
}

/// The lab's ends of a command's streams, once more.
fn streams(started: &Started) -> io::Result<[File; 3]> {
    let missing = || io::Error::other("a command that stays has no standard input");
    let stdin = started.stdin.as_ref().ok_or_else(missing)?;
    Ok([
        stdin.try_clone()?,
        started.stdout.try_clone()?,
        started.stderr.try_clone()?,
    ])
}

/// What a command that is through has said of what it read.
struct Said {
    /// How many bytes, up to the complaint that says that it is through.
    length: usize,
    /// Whether it complained of anything before.
    refuses: bool,
}

/// What a command has said on standard error; none where it is not through.
fn said(stderr: &[u8], through: &Through) -> Option<Said> {
    let mut complaints = 0;
    let (mut at, mut last) = (0, 0);
    for line in stderr.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(through.complaint.as_bytes()) {
            (complaints, last) = (complaints + 1, at);
        }
        if line.strip_suffix(b"\n") == Some(through.line.as_bytes()) {
            return Some(Said {
                length: last,
                refuses: complaints > 1,
            });
        }
        at += line.len();
    }
    None
}

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended by itself, and have been waited for with whatever else had: then its id may be another's.
        if exec::is_child(self.process) {
            let _ = killpg(self.process, Signal::SIGKILL);
            let _ = waitpid(self.process, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use rstest::rstest;

    use super::*;
    use crate::agent::exec::Runner;

    /// A shell that stays, as an interactive nft does: it complains of what it does not know.
    fn stay(commands: &str, timeout: Duration) -> (Ran, Option<Kept>) {
        let through = Through {
            line: "is-through".to_owned(),
            complaint: "Error: ".to_owned(),
        };
        let argv = ["sh"].map(str::to_owned);
        let stdin = format!("{commands}\necho 'Error: no such command\nis-through' >&2\n");
        let mut runner = Runner::default();
        let start = || runner.start(&argv, true);
        super::start(start, stdin.as_bytes(), &through, timeout).expect("a shell starts")
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn it_stays_until_it_is_dropped() {
        let (ran, kept) = stay("echo told >&2", LONG);
        assert_eq!(ran.end, End::Exit(0));
        assert_eq!(ran.stderr.to_lossy(), "told\n");
        let kept = kept.expect("it is there");
        let folder = format!("/proc/{}", kept.process);
        assert!(fs::metadata(&folder).is_ok());
        drop(kept);
        assert!(fs::metadata(&folder).is_err());
    }

    #[rstest]
    #[case::refuses("echo 'Error: wrong' >&2", End::Exit(1))]
    #[case::ends_by_itself("exit 3", End::Exit(3))]
    #[case::dies("kill -SEGV $$", End::Signal(libc::SIGSEGV))]
    fn what_took_nothing_does_not_stay(#[case] commands: &str, #[case] end: End) {
        let (ran, kept) = stay(commands, LONG);
        assert_eq!(ran.end, end);
        assert!(kept.is_none());
    }

    #[test]
    fn its_time_is_up_when_it_is_not_through() {
        let begun = Instant::now();
        let (ran, kept) = stay("sleep 100", Duration::from_millis(300));
        assert_eq!(ran.end, End::TimedOut);
        assert!(kept.is_none() && begun.elapsed() < LONG);
    }

    #[test]
    fn what_ended_and_was_waited_for_is_not_killed() {
        let (_, kept) = stay("echo told >&2", LONG);
        let kept = kept.expect("it is there");
        killpg(kept.process, Signal::SIGKILL).expect("it is there");
        waitpid(kept.process, None).expect("it is a child");
        assert!(!exec::is_child(kept.process));
    }
}
