//! One command in a cell of its own, run to its end: a compilation, or a build that is asked for its version.

use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Cell, Confinement, Contents, Network, Refused, Shell, alone};
use crate::agent::exec;

/// The hidden command that does it.
pub const JOB_COMMAND: &str = "job";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// A directory that the cell's root is put together over.
    pub stage: PathBuf,
    /// What is in the cell.
    pub contents: Contents,
    /// Program, by its path, and arguments.
    pub command: Vec<String>,
    /// `NAME=value` each.
    pub environment: Vec<String>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; of a signal 128 and its number, as a shell says it.
    pub status: i32,
    /// What it wrote to standard output and standard error, as it came.
    pub output: Vec<u8>,
}

/// Why a job was not done. That its command fails is none of these, but its exit status.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The machine fails at the process that does it, or at its pipes.
    #[error("cannot run {}: {source}", command.join(" "))]
    Run {
        /// Program and arguments.
        command: Vec<String>,
        /// The system's answer.
        source: io::Error,
    },
    /// The command wrote more than is read.
    #[error("cannot run {}: it wrote more than {} MB", command.join(" "), most >> 20)]
    TooMuchOutput {
        /// Program and arguments.
        command: Vec<String>,
        /// How many bytes are read.
        most: usize,
    },
    /// The process that does it ended without saying how.
    #[error("cannot run {}: {said}", command.join(" "))]
    Silent {
        /// Program and arguments.
        command: Vec<String>,
        /// What it wrote to standard error.
        said: String,
    },
    /// The system refuses what a job takes, as the process that does it says.
    #[error("{what}{}", mend.iter().map(|mend| format!(": {mend}")).collect::<String>())]
    Refused {
        /// What it refuses, with its own answer.
        what: String,
        /// The command that mends it, or what to do, where that is known.
        mend: Option<String>,
    },
}

/// The job's last words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Ended(i32),
    Failed { what: String, mend: Option<String> },
}

/// Why the process that does a job cannot.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error(transparent)]
    Order(#[from] serde_json::Error),
    #[error(transparent)]
    System(#[from] io::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("there is no cell")]
    NoCell,
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
}

impl NotDone {
    fn word(&self, confinement: &Confinement) -> Word {
        Word::Failed {
            what: self.to_string(),
            mend: match self {
                NotDone::Refused(refused) => refused.mend(confinement),
                _ => None,
            },
        }
    }
}

/// Starts `program`, which is the lab itself, with one of its hidden commands that make a process tree. The tree ends
/// when the child's standard input is dropped.
///
/// # Errors
/// No process can be started.
pub fn start(program: &Path, command: &str) -> io::Result<Child> {
    Command::new(program)
        .arg(command)
        // Whoever looks at the machine's processes sees whose they are.
        .args(["--of", &std::process::id().to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Who stops the lab at its terminal stops the lab, which then ends its trees.
        .process_group(0)
        .spawn()
}

impl Job {
    /// Runs it; `program` is the lab itself. Dropped before its end, it is ended.
    ///
    /// # Errors
    /// The system refuses something. That the command fails is no error but its status.
    pub async fn run(
        &self,
        program: &Path,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, JobError> {
        let command = || self.command.clone();
        let failed = |source: io::Error| JobError::Run {
            command: command(),
            source,
        };
        let mut child = start(program, JOB_COMMAND).map_err(failed)?;
        let missing = || io::Error::other("a pipe that was asked for is not there");
        let mut input = child.stdin.take().ok_or_else(missing).map_err(failed)?;
        let mut stdout = child.stdout.take().ok_or_else(missing).map_err(failed)?;
        let mut stderr = child.stderr.take().ok_or_else(missing).map_err(failed)?;
        let mut order = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        order.push(b'\n');
        // It may end before it has read: then its last words say why.
        let _ = input.write_all(&order).await;
        let mut output = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = stdout.read(&mut buffer).await.map_err(failed)?;
            if read == 0 {
                break;
            }
            on_output(&buffer[..read]);
            output.extend_from_slice(&buffer[..read]);
            if output.len() > exec::OUTPUT_LIMIT {
                // Its folders are looked at, and removed, when it is gone.
                drop(input);
                child.wait().await.map_err(failed)?;
                return Err(JobError::TooMuchOutput {
                    command: command(),
                    most: exec::OUTPUT_LIMIT,
                });
            }
        }
        let mut words = Vec::new();
        stderr.read_to_end(&mut words).await.map_err(failed)?;
        child.wait().await.map_err(failed)?;
        drop(input);
        match serde_json::from_slice(&words) {
            Ok(Word::Ended(status)) => Ok(Ended { status, output }),
            Ok(Word::Failed { what, mend }) => Err(JobError::Refused { what, mend }),
            Err(_) => Err(JobError::Silent {
                command: command(),
                said: String::from_utf8_lossy(&words).trim().to_owned(),
            }),
        }
    }
}

/// Does the job that standard input names. Gives the exit status.
pub fn main() -> u8 {
    let confinement = Confinement::look();
    let inside = || tell(&inside().unwrap_or_else(|error| error.word(&confinement)));
    match alone(confinement.rights, inside) {
        Ok(status) => status,
        Err(refused) => tell(&NotDone::from(refused).word(&confinement)),
    }
}

fn tell(word: &Word) -> u8 {
    let text = serde_json::to_vec(word).unwrap_or_default();
    let told = io::stderr().write_all(&text);
    u8::from(told.is_err())
}

fn inside() -> Result<Word, NotDone> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line)?;
    let job: Job = serde_json::from_slice(&line)?;
    let mut shell = Shell::new(&[])?;
    let cells = Cell::all(&job.stage, std::slice::from_ref(&job.contents))?;
    Network::fresh()?;
    let cell = cells.first().ok_or(NotDone::NoCell)?;
    let streams = || io::stdout().as_fd().try_clone_to_owned();
    let started = streams()
        .and_then(|output| Ok((output, streams()?)))
        .and_then(|(output, errors)| {
            shell.start_on(cell, &job.command, &job.environment, [output, errors])
        });
    let process = started.map_err(|source| NotDone::Start {
        program: job.command[0].clone(),
        source,
    })?;
    Ok(reap(process).map_err(io::Error::from)?)
}

/// Waits for the command, and for whoever loses their parent meanwhile.
fn reap(command: Pid) -> nix::Result<Word> {
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(process, status) if process == command => {
                return Ok(Word::Ended(status));
            }
            WaitStatus::Signaled(process, signal, _) if process == command => {
                return Ok(Word::Ended(128 + signal as i32));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Some("run it as root"), "no /proc can be mounted: run it as root")]
    #[case(None, "no /proc can be mounted")]
    fn what_is_refused_is_told_with_what_mends_it(#[case] mend: Option<&str>, #[case] said: &str) {
        let error = JobError::Refused {
            what: "no /proc can be mounted".to_owned(),
            mend: mend.map(str::to_owned),
        };
        assert_eq!(error.to_string(), said);
    }
}
