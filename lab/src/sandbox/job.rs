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

use super::{Cell, Contents, Here, Network, Shell, alone};
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

/// The job's last words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Ended(i32),
    Failed(String),
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
    /// The system refuses something; one sentence. That the command fails is no error but its status.
    pub async fn run(
        &self,
        program: &Path,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, String> {
        let what = |error: io::Error| format!("cannot run {}: {error}", self.command.join(" "));
        let mut child = start(program, JOB_COMMAND).map_err(what)?;
        let missing = || io::Error::other("a pipe that was asked for is not there");
        let mut input = child.stdin.take().ok_or_else(missing).map_err(what)?;
        let mut stdout = child.stdout.take().ok_or_else(missing).map_err(what)?;
        let mut stderr = child.stderr.take().ok_or_else(missing).map_err(what)?;
        let mut order = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        order.push(b'\n');
        // It may end before it has read: then its last words say why.
        let _ = input.write_all(&order).await;
        let mut output = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = stdout.read(&mut buffer).await.map_err(what)?;
            if read == 0 {
                break;
            }
            on_output(&buffer[..read]);
            output.extend_from_slice(&buffer[..read]);
            if output.len() > exec::OUTPUT_LIMIT {
                // Its folders are looked at, and removed, when it is gone.
                drop(input);
                child.wait().await.map_err(what)?;
                let message = format!("it wrote more than {} MB", exec::OUTPUT_LIMIT >> 20);
                return Err(what(io::Error::other(message)));
            }
        }
        let mut words = Vec::new();
        stderr.read_to_end(&mut words).await.map_err(what)?;
        child.wait().await.map_err(what)?;
        drop(input);
        match serde_json::from_slice(&words) {
            Ok(Word::Ended(status)) => Ok(Ended { status, output }),
            Ok(Word::Failed(reason)) => Err(reason),
            Err(_) => {
                let words = String::from_utf8_lossy(&words);
                Err(what(io::Error::other(words.trim().to_owned())))
            }
        }
    }
}

/// Does the job that standard input names. Gives the exit status.
pub fn main() -> u8 {
    let here = Here::look();
    let inside = || {
        let done = inside(&here).unwrap_or_else(Word::Failed);
        tell(&done)
    };
    match alone(here.rights, inside) {
        Ok(status) => status,
        Err(refused) => tell(&Word::Failed(refused.with_mend(&here))),
    }
}

fn tell(word: &Word) -> u8 {
    let text = serde_json::to_vec(word).unwrap_or_default();
    let told = io::stderr().write_all(&text);
    u8::from(told.is_err())
}

fn inside(here: &Here) -> Result<Word, String> {
    let mut line = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut line);
    read.map_err(|error| error.to_string())?;
    let job: Job = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
    let mut shell = Shell::new(&[]).map_err(|error| error.to_string())?;
    let cells = Cell::all(&job.stage, std::slice::from_ref(&job.contents));
    let cells = cells.map_err(|refused| refused.with_mend(here))?;
    Network::fresh().map_err(|refused| refused.with_mend(here))?;
    let cell = cells.first().ok_or("there is no cell")?;
    let streams = || io::stdout().as_fd().try_clone_to_owned();
    let started = streams()
        .and_then(|output| Ok((output, streams()?)))
        .and_then(|(output, errors)| {
            shell.start_on(cell, &job.command, &job.environment, [output, errors])
        });
    let process = started.map_err(|error| format!("cannot start {}: {error}", job.command[0]))?;
    reap(process).map_err(|error| error.to_string())
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
