//! The protocol between the lab and the agent in a lane: one JSON object a line, a request and then its reply.
//!
//! It knows nothing of Docker: any pair of byte streams carries it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kernel::Capture;
use crate::catalog::{Backend, Family};
use crate::observed::{ChainName, Ran, RulePlace, State, Text};
use crate::scenario::{Namespace, Probe, Setup};
use crate::tool::Through;

/// What the lab asks of an agent. Each request is answered by exactly one [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Who are you? The first request on a stream.
    Hello,
    /// Connect to this socket: from then on it carries requests and replies, in the place of the stream that this came over.
    Connect {
        /// Its path.
        socket: String,
    },
    /// Run a command to its end with `LC_ALL=C`, `TZ=UTC`, a fixed `PATH` and nothing else in its environment.
    Run {
        /// The program, looked up in the fixed `PATH`, and its arguments.
        argv: Vec<String>,
        /// What it reads from standard input; nothing where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdin: Option<Text>,
        /// The rule whose handle is put in the place of the last argument; 0, which is no rule's, where there is no such rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handle_of: Option<RulePlace>,
        /// After so many milliseconds it is killed, with everything it started.
        timeout_ms: u64,
    },
    /// Start a command in the same way that stays when it is through what it reads. It is killed before the rules are deleted or others
    /// put in their place, and with the agent.
    Keep {
        /// The program, looked up in the fixed `PATH`, and its arguments.
        argv: Vec<String>,
        /// What it reads first. Its standard input is not closed then.
        stdin: Text,
        /// How it says that it is through that.
        through: Through,
        /// After so many milliseconds it is killed, if it is not through.
        timeout_ms: u64,
    },
    /// Kill the commands that stay.
    EndKept,
    /// Whose tables does the kernel have? Of legacy ones, those that were made ready are looked for.
    Backends,
    /// What does the kernel hold in this network namespace?
    Dump,
    /// What does the kernel hold of one chain, in this network namespace?
    DumpChain(ChainName),
    /// What does the kernel hold in this network namespace, in its own form?
    Capture,
    /// Have this network namespace, in which there are no rules, hold what was captured.
    PutBack(Arc<Capture>),
    /// Make ready: `lo` up; where `legacy`, every legacy table registered, so that none appears later by being read.
    Prepare {
        /// Whether legacy builds run in this lane.
        legacy: bool,
    },
    /// Delete every nf_tables table, empty every registered legacy table and set its policies to ACCEPT.
    Reset,
    /// Delete the rules, and everything else that is not there in a fresh namespace: interfaces, addresses, routes,
    /// sets, tracked connections, and what probes left open.
    Clear,
    /// Make what a setup says of this namespace.
    Furnish {
        /// Which of the setup's namespaces this one is.
        at: Namespace,
        /// The whole setup.
        setup: Setup,
        /// A process in each namespace that a veth pair leads to, by its id here.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        far: BTreeMap<Namespace, u32>,
    },
    /// Wait until packets can pass what was made.
    Settle,
    /// Forget tracked connections and neighbours, and open ears for packets. What an earlier request opened is closed.
    Listen {
        /// What is in every packet of the round.
        round: u64,
        /// The families of its packets.
        families: BTreeSet<Family>,
        /// Where datagrams are taken, so that their sender is not told that nobody takes them.
        udp: BTreeSet<u16>,
        /// Where connections are accepted.
        tcp: BTreeSet<u16>,
    },
    /// Send packets, without waiting for what becomes of them.
    Send {
        /// All of one round, which was listened for.
        packets: Vec<Packet>,
    },
    /// What was heard, and what became of what was sent, so far? Nothing is waited for.
    Hear,
    /// The same for the last time, and close everything that was opened for the round.
    StopListening,
    /// Do all of these, one after the other: a stream that passes through several processes costs more than most
    /// commands do.
    Burst {
        /// What to do, in order. No burst within a burst.
        requests: Vec<Request>,
        /// Whether to stop after the first command that does not exit with status 0.
        until_failure: bool,
    },
}

impl Request {
    /// Whether a command is started that stays.
    pub fn keeps(&self) -> bool {
        self.has(|request| matches!(request, Request::Keep { .. }))
    }

    /// Whether the commands that stay are killed: a namespace without rules is wanted.
    pub fn ends_kept(&self) -> bool {
        self.has(|request| {
            matches!(
                request,
                Request::EndKept | Request::PutBack(_) | Request::Reset | Request::Clear
            )
        })
    }

    fn has(&self, is_it: fn(&Request) -> bool) -> bool {
        match self {
            Request::Burst { requests, .. } => requests.iter().any(is_it),
            request => is_it(request),
        }
    }
}

/// A probe on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// By which it is known again, whatever rules make of its addresses and ports. Below
    /// [`NUMBERS`](super::probe::NUMBERS), and once in a round.
    pub number: u16,
    /// What is sent.
    pub probe: Probe,
}

/// A packet that was delivered in a namespace, after every hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The packet's number.
    pub number: u16,
    /// The source address that it had.
    pub from: IpAddr,
    /// The destination address that it had.
    pub to: IpAddr,
    /// The destination port that it had, of udp and tcp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// What the sender of a packet knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// The packet's number.
    pub number: u16,
    /// Whether the echo reply came, or the connection was established.
    pub answered: bool,
    /// The errno that it was refused with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<i32>,
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello {
        /// The lab's version that the agent belongs to.
        version: String,
        /// `uname -r`.
        kernel: String,
        /// `uname -m`.
        arch: String,
        /// The inode of the network namespace it is in.
        netns: u64,
        /// Its process id, in the process namespace that it is in.
        pid: u32,
    },
    /// To [`Request::Backends`].
    Backends {
        /// Whose tables it has.
        there: BTreeSet<Backend>,
    },
    /// To [`Request::Run`], and to [`Request::Keep`]: of a command that stays, what it wrote so far, and as its end the status that it
    /// would have ended with, 0 or 1.
    Ran(Ran),
    /// To [`Request::Dump`] and [`Request::DumpChain`].
    Dumped {
        /// What the kernel holds.
        dump: Arc<State>,
    },
    /// To the same, where the kernel holds what it held not long ago.
    DumpedBefore {
        /// Which of the dumps that went over this stream, the newest first, from 0; counted by [`Recent`](super::recent::Recent).
        place: usize,
    },
    /// To [`Request::Capture`].
    Captured(Arc<Capture>),
    /// To [`Request::PutBack`], where the kernel does not take what it sent.
    NotTaken {
        /// Its answer.
        message: String,
    },
    /// To every request that asks for nothing but to be done.
    Done,
    /// To [`Request::Hear`] and [`Request::StopListening`].
    Heard {
        /// What was delivered here, in its order.
        sightings: Vec<Sighting>,
        /// What became of what was sent from here, in its order.
        fates: Vec<Fate>,
    },
    /// The kernel has not what was asked for. It says so of the machine, and is no fault of the lab.
    Lacks {
        /// What it lacks, with its own answer.
        message: String,
    },
    /// To nothing, from a lane that cannot be made: the system refuses what it takes.
    Refused {
        /// What it refuses, with its own answer.
        what: String,
        /// The command that mends it, or what to do.
        mend: String,
    },
    /// Before the reply to [`Request::Burst`], now and then: the agent is at it. It answers nothing.
    Going {
        /// How many of the requests are done.
        done: usize,
    },
    /// To [`Request::Burst`]: a reply to each request that was done. One that is [`Reply::Failed`] is the last.
    Burst {
        /// In the order of the requests.
        replies: Vec<Reply>,
    },
    /// The agent could not do what was asked: a fault of the lab or of the machine, never a result.
    Failed {
        /// What failed, with the kernel's own answer.
        message: String,
    },
}
