//! What runs inside a lane: executes commands, reads the kernel's rules and resets them, makes what they need around
//! them and sends packets, over one pair of byte streams.

pub mod exec;
pub mod kept;
pub mod kernel;
pub mod probe;
pub mod protocol;
pub mod recent;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::observed::{End, Ran, State};
use crate::scenario::Namespace;
use crate::tool::Through;
use kept::Kept;
use kernel::surroundings::{self, Surroundings};
use kernel::{Capture, KernelError, LegacyTables, NetworkOf};
use probe::Round;
use protocol::{Reply, Request};
use recent::Recent;

/// Answers requests, one JSON object a line, until `input` ends.
///
/// As PID 1 of a container it does init's work too: SIGTERM ends it, and processes that lost their parent are reaped.
pub fn serve(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let init = std::process::id() == 1;
    if init {
        end_at_sigterm()?;
    }
    let (mut agent, mut here) = (Agent::default(), Here::default());
    let mut recent = Recent::default();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let mut reply = match serde_json::from_slice(&line) {
            Ok(Request::Connect { socket }) => match UnixStream::connect(&socket) {
                Ok(stream) => {
                    send(&mut output, &Reply::Done)?;
                    return serve(BufReader::new(&stream), &stream);
                }
                Err(error) => failed(&format!("connecting to {socket}"), &error),
            },
            Ok(request) => {
                let mut pulse = Pulse::new(&mut output);
                agent.answer(&mut here, request, &mut |done| pulse.beat(done))
            }
            Err(error) => failed("this line is no request", &error),
        };
        line.clear();
        recent.shorten(&mut reply);
        send(&mut output, &reply)?;
        if init {
            reap();
        }
    }
    Ok(())
}

/// Writes a reply, in one piece: whoever carries the stream pays for every write.
pub fn send(mut output: impl Write, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

/// How long an agent may be silent within a burst.
const BEAT: Duration = Duration::from_secs(5);

/// Tells who waits for a burst that it goes on, however many commands it has.
pub struct Pulse<W> {
    output: W,
    last: Instant,
}

impl<W: Write> Pulse<W> {
    /// Of a burst that begins now.
    pub fn new(output: W) -> Self {
        Pulse {
            output,
            last: Instant::now(),
        }
    }

    /// One more request is done: it is said if nothing was for a while. That nobody listens any more is found by who sends the
    /// reply.
    pub fn beat(&mut self, done: usize) {
        if self.last.elapsed() >= BEAT {
            let _ = send(&mut self.output, &Reply::Going { done });
            self.last = Instant::now();
        }
    }
}

/// What differs between agents: where commands run, and how a namespace is had without rules.
pub trait Ground {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// A fault of the machine: that there is no such command is an answer.
    fn run(&mut self, argv: &[String], stdin: Option<&[u8]>, timeout: Duration) -> io::Result<Ran>;

    /// Starts a command that stays when it is through `stdin`.
    ///
    /// # Errors
    /// As [`Ground::run`]'s.
    fn keep(
        &mut self,
        argv: &[String],
        stdin: &[u8],
        through: &Through,
        timeout: Duration,
    ) -> io::Result<Ran>;

    /// Kills the commands that stay.
    ///
    /// # Errors
    /// A fault of the machine.
    fn end_kept(&mut self) -> io::Result<()>;

    /// Leaves no rules.
    ///
    /// # Errors
    /// The kernel refuses.
    fn reset(&mut self) -> Result<(), KernelError>;

    /// Has the namespace, in which there are no rules, hold what was captured.
    ///
    /// # Errors
    /// The kernel does not take what it sent.
    fn put_back(&mut self, capture: &Capture) -> Result<(), KernelError>;

    /// Leaves no rules, and nothing of what scenarios need either.
    ///
    /// # Errors
    /// The kernel refuses.
    fn clear(&mut self, surroundings: &mut Surroundings) -> Result<(), KernelError>;

    /// The namespaces whose processes are named.
    fn networks(&mut self, of: BTreeMap<Namespace, u32>) -> BTreeMap<Namespace, NetworkOf>;
}

/// The agent's own root, and its own network namespace, which it cannot leave.
#[derive(Default)]
struct Here {
    runner: exec::Runner,
    kept: Vec<Kept>,
}

impl Ground for Here {
    fn run(&mut self, argv: &[String], stdin: Option<&[u8]>, timeout: Duration) -> io::Result<Ran> {
        self.runner.run(argv, stdin, timeout)
    }

    fn keep(
        &mut self,
        argv: &[String],
        stdin: &[u8],
        through: &Through,
        timeout: Duration,
    ) -> io::Result<Ran> {
        let start = || self.runner.start(argv, true);
        let (ran, kept) = kept::start(start, stdin, through, timeout)?;
        self.kept.extend(kept);
        Ok(ran)
    }

    fn end_kept(&mut self) -> io::Result<()> {
        self.kept.clear();
        Ok(())
    }

    fn reset(&mut self) -> Result<(), KernelError> {
        kernel::reset()
    }

    fn put_back(&mut self, capture: &Capture) -> Result<(), KernelError> {
        capture.put_back()
    }

    fn clear(&mut self, surroundings: &mut Surroundings) -> Result<(), KernelError> {
        kernel::reset()?;
        surroundings.clear()
    }

    fn networks(&mut self, of: BTreeMap<Namespace, u32>) -> BTreeMap<Namespace, NetworkOf> {
        let known = |(namespace, process)| (namespace, NetworkOf::Process(process));
        of.into_iter().map(known).collect()
    }
}

/// What an agent has made in its namespace, and must remove.
#[derive(Default)]
pub struct Agent {
    reader: kernel::Reader,
    surroundings: Surroundings,
    round: Option<Round>,
}

impl Agent {
    /// Does what is asked. `beat` is told after each request of a burst how many are done.
    pub fn answer(
        &mut self,
        ground: &mut dyn Ground,
        request: Request,
        beat: &mut dyn FnMut(usize),
    ) -> Reply {
        if request.ends_kept()
            && !matches!(request, Request::Burst { .. })
            && let Err(error) = ground.end_kept()
        {
            return failed("ending the commands that stay", &error);
        }
        match request {
            Request::Connect { .. } => Reply::Failed {
                message: "there is no other stream here".to_owned(),
            },
            Request::Hello => hello().unwrap_or_else(|error| failed("who this agent is", &error)),
            Request::Run {
                mut argv,
                stdin,
                handle_of,
                timeout_ms,
            } => {
                if let Some(rule) = handle_of {
                    match kernel::handle(&rule) {
                        Ok(handle) => {
                            drop(argv.splice(argv.len().saturating_sub(1).., [handle.to_string()]))
                        }
                        Err(error) => return failed("looking for the handle of a rule", &error),
                    }
                }
                let input = stdin.as_ref().map(|text| text.bytes());
                match ground.run(&argv, input, Duration::from_millis(timeout_ms)) {
                    Ok(ran) => Reply::Ran(ran),
                    Err(error) => failed(&format!("running {argv:?}"), &error),
                }
            }
            Request::Keep {
                argv,
                stdin,
                through,
                timeout_ms,
            } => {
                let timeout = Duration::from_millis(timeout_ms);
                match ground.keep(&argv, stdin.bytes(), &through, timeout) {
                    Ok(ran) => Reply::Ran(ran),
                    Err(error) => failed(&format!("starting {argv:?}"), &error),
                }
            }
            Request::EndKept => Reply::Done,
            Request::Backends => match kernel::backends() {
                Ok(there) => Reply::Backends { there },
                Err(error) => failed("asking for the kernel's tables", &error),
            },
            Request::Dump => dumped(self.reader.dump()),
            Request::DumpChain(name) => dumped(self.reader.dump().map(|dump| dump.only(&name))),
            Request::Capture => match Capture::take() {
                Ok(capture) => Reply::Captured(capture.into()),
                Err(error) => failed("reading the kernel's rules", &error),
            },
            Request::PutBack(capture) => match ground.put_back(&capture) {
                Ok(()) => Reply::Done,
                Err(error) => Reply::NotTaken {
                    message: error.to_string(),
                },
            },
            Request::Prepare { legacy } => {
                let tables = if legacy {
                    LegacyTables::Register
                } else {
                    LegacyTables::Leave
                };
                done("preparing the network namespace", kernel::prepare(tables))
            }
            Request::Reset => done("deleting the kernel's rules", ground.reset()),
            Request::Clear => {
                self.round = None;
                let cleared = ground.clear(&mut self.surroundings);
                done("clearing the network namespace", cleared)
            }
            Request::Furnish { at, setup, far } => {
                let far = ground.networks(far);
                let furnished = self.surroundings.furnish(at, &setup, &far);
                done(&format!("furnishing the {at}"), furnished)
            }
            Request::Settle => done("waiting until packets can pass", surroundings::settle()),
            Request::Burst {
                requests,
                until_failure,
            } => Reply::Burst {
                replies: self.burst(ground, requests, until_failure, beat),
            },
            Request::Listen { .. }
            | Request::Send { .. }
            | Request::Hear
            | Request::StopListening => self.probe(request),
        }
    }

    /// What is asked of a round.
    fn probe(&mut self, request: Request) -> Reply {
        if let Request::Listen {
            round,
            families,
            udp,
            tcp,
        } = &request
        {
            self.round = None;
            if let Err(error) = surroundings::forget() {
                return done("forgetting what packets left", Err(error));
            }
            return match Round::listen(*round, families, udp, tcp) {
                Ok(round) => {
                    self.round = Some(round);
                    Reply::Done
                }
                Err(error) => failed("listening for packets", &error),
            };
        }
        let Some(round) = &mut self.round else {
            return Reply::Failed {
                message: "no packet is listened for".to_owned(),
            };
        };
        if let Request::Send { packets } = &request {
            for packet in packets {
                if let Err(error) = round.send(packet) {
                    return failed(&format!("sending `{}`", packet.probe.name), &error);
                }
            }
            return Reply::Done;
        }
        let heard = round.hear();
        if request == Request::StopListening {
            self.round = None;
        }
        match heard {
            Ok((sightings, fates)) => Reply::Heard { sightings, fates },
            Err(error) => failed("looking for packets", &error),
        }
    }

    /// Does one after the other, up to what fails.
    fn burst(
        &mut self,
        ground: &mut dyn Ground,
        requests: Vec<Request>,
        until_failure: bool,
        beat: &mut dyn FnMut(usize),
    ) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            let reply = match request {
                Request::Burst { .. } => Reply::Failed {
                    message: "a burst within a burst".to_owned(),
                },
                request => self.answer(ground, request, &mut |_| {}),
            };
            let ends = match &reply {
                Reply::Failed { .. } | Reply::Lacks { .. } | Reply::Refused { .. } => true,
                Reply::Ran(ran) => until_failure && ran.end != End::Exit(0),
                _ => false,
            };
            replies.push(reply);
            beat(replies.len());
            if ends {
                break;
            }
        }
        replies
    }
}

fn done(what: &str, result: Result<(), KernelError>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(error @ KernelError::Lacks { .. }) => Reply::Lacks {
            message: error.to_string(),
        },
        Err(error) => failed(what, &error),
    }
}

fn dumped(result: Result<State, KernelError>) -> Reply {
    match result {
        Ok(dump) => Reply::Dumped { dump: dump.into() },
        Err(error) => failed("reading the kernel's rules", &error),
    }
}

/// What could not be done, and why.
pub fn failed(what: &str, error: &dyn std::error::Error) -> Reply {
    Reply::Failed {
        message: format!("{what}: {error}"),
    }
}

fn hello() -> io::Result<Reply> {
    let system = nix::sys::utsname::uname()?;
    Ok(Reply::Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: system.release().to_string_lossy().into_owned(),
        arch: system.machine().to_string_lossy().into_owned(),
        netns: fs::metadata("/proc/thread-self/ns/net")?.ino(),
        pid: std::process::id(),
    })
}

/// PID 1 is not ended by a signal that it does not handle.
fn end_at_sigterm() -> io::Result<()> {
    extern "C" fn end(_: libc::c_int) {
        // SAFETY: _exit is async-signal-safe; the kernel then kills all other processes of this PID namespace.
        unsafe { libc::_exit(128 + libc::SIGTERM) }
    }
    let action = SigAction::new(
        SigHandler::Handler(end),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler calls nothing but _exit.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    Ok(())
}

/// Takes the status of every orphan that has ended. No command runs now whose status could be taken instead.
fn reap() {
    while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(input: &[u8]) -> String {
        let mut output = Vec::new();
        serve(input, &mut output).expect("a vector takes every write");
        String::from_utf8(output).expect("JSON is UTF-8")
    }

    #[test]
    fn a_line_that_is_no_request_is_answered_and_the_next_one_too() {
        let output = replies(
            b"\"dance\"\n\xff\xfe\n\n{\"run\":{\"argv\":[\"echo\",\"here\"],\"timeout_ms\":9000}}",
        );
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[..3].iter().all(|line| {
            line.starts_with(r#"{"failed":{"message":"this line is no request: "#)
        }));
        assert_eq!(lines[3], r#"{"ran":{"end":{"exit":0},"stdout":"here\n"}}"#);
    }

    #[test]
    fn after_each_command_of_a_burst_it_is_said_that_it_goes_on() {
        let run = |argv: &[&str]| Request::Run {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            stdin: None,
            handle_of: None,
            timeout_ms: 60_000,
        };
        let burst = Request::Burst {
            requests: vec![
                run(&["true"]),
                run(&["true"]),
                run(&["false"]),
                run(&["true"]),
            ],
            until_failure: true,
        };
        let mut beats = Vec::new();
        let (mut agent, mut here) = (Agent::default(), Here::default());
        let reply = agent.answer(&mut here, burst, &mut |done| beats.push(done));
        assert!(matches!(reply, Reply::Burst { replies } if replies.len() == 3));
        assert_eq!(beats, [1, 2, 3]);
    }

    #[test]
    fn hello_names_this_kernel() {
        let reply: Reply = serde_json::from_str(&replies(b"\"hello\"\n")).expect("a reply");
        let Reply::Hello { version, netns, .. } = reply else {
            panic!("not a hello: {reply:?}");
        };
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        assert!(netns > 0);
    }
}
