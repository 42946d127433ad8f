//! Probes: packets that are sent, and what becomes of them while the rules are in place.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use nix::errno::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, Namespace, Setup};
use crate::catalog::Family;

/// A packet that is sent, and what becomes of it while the rules are in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its name, once in a scenario.
    pub name: String,
    /// What is sent.
    pub kind: ProbeKind,
    /// Which way it goes.
    pub path: ProbePath,
    /// The source address; the kernel's choice where absent.
    pub from: Option<IpAddr>,
    /// The source port, for udp and tcp; the kernel's choice where absent.
    pub from_port: Option<u16>,
    /// The destination address.
    pub to: IpAddr,
    /// The destination port, for udp and tcp.
    pub port: Option<u16>,
    /// The packet mark (SO_MARK).
    pub mark: Option<u32>,
    /// What becomes of it.
    pub expect: Expect,
    /// The source address that whoever gets it sees; not looked at where absent.
    pub seen_from: Option<IpAddr>,
}

impl Probe {
    /// The family of its packet.
    pub fn family(&self) -> Family {
        Family::of(self.to)
    }

    /// The namespace that it is sent from.
    pub fn sender(&self, setup: &Setup) -> Namespace {
        match self.path {
            ProbePath::Loopback | ProbePath::Out => Namespace::Lane,
            ProbePath::In | ProbePath::Forward => {
                let from = |address: &&Address| Some(address.address.address) == self.from;
                let known = setup.addresses.iter().find(from);
                known.map_or(Namespace::Peer, |address| address.at)
            }
        }
    }
}

impl Probe {
    /// Whether what became of it is what the scenario expects.
    pub fn is_met_by(&self, outcome: &Outcome) -> bool {
        let Some(arrival) = outcome.arrival else {
            return self.expect == Expect::Dropped;
        };
        let is_there = match self.expect {
            Expect::Dropped => false,
            Expect::Delivered => {
                outcome.answered && arrival.to == self.to && arrival.port == self.port
            }
            Expect::To(address, port) => {
                arrival.to == address && (port.is_none() || arrival.port == port)
            }
        };
        is_there && self.seen_from.is_none_or(|from| arrival.from == from)
    }
}

/// What a probe sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// An echo request.
    Icmp,
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

/// Which way a probe goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbePath {
    /// Over `lo`.
    Loopback,
    /// From the peer, or from the inner namespace if `from` is its address, to the lane.
    In,
    /// From the lane.
    Out,
    /// From the peer, or from the inner namespace if `from` is its address, through the lane.
    Forward,
}

/// What becomes of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Expect {
    /// It arrives where it was sent.
    Delivered,
    /// It arrives nowhere.
    Dropped,
    /// It arrives at this address instead, and at this port if one is named.
    To(IpAddr, Option<u16>),
}

/// What became of a probe that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Where it arrived; none where it arrived nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
    /// Whether its sender had the answer: the echo reply, the connection. Nobody answers a datagram: it is answered by
    /// its arrival.
    pub answered: bool,
    /// What its sender was told where it was refused: an errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<i32>,
}

impl Outcome {
    /// Whether it arrived somewhere and was answered.
    pub fn is_delivered(&self) -> bool {
        self.arrival.is_some() && self.answered
    }
}

/// `delivered to 10.0.0.1:80 (inner) from 192.0.2.1`, `dropped`, `dropped (EPERM)`.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.arrival, self.refused) {
            (Some(arrival), _) => {
                let (at, from) = (arrival.at, arrival.from);
                match arrival.port {
                    Some(port) => {
                        let to = SocketAddr::new(arrival.to, port);
                        write!(f, "delivered to {to} ({at}) from {from}")?;
                    }
                    None => write!(f, "delivered to {} ({at}) from {from}", arrival.to)?,
                }
                match self.answered {
                    true => Ok(()),
                    false => f.write_str(", unanswered"),
                }
            }
            (None, Some(errno)) => match Errno::from_raw(errno) {
                Errno::UnknownErrno => write!(f, "dropped (errno {errno})"),
                known => write!(f, "dropped ({known:?})"),
            },
            (None, None) => f.write_str("dropped"),
        }
    }
}

/// Where a probe arrived, after every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The namespace whose sockets had it.
    pub at: Namespace,
    /// The source address that they saw.
    pub from: IpAddr,
    /// The destination address that they saw.
    pub to: IpAddr,
    /// The destination port that they saw, of udp and tcp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl TryFrom<String> for Expect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "delivered" => return Ok(Expect::Delivered),
            "dropped" => return Ok(Expect::Dropped),
            _ => {}
        }
        let address = text.strip_prefix("to ").unwrap_or_default();
        let with_port =
            SocketAddr::from_str(address).map(|to| Expect::To(to.ip(), Some(to.port())));
        with_port
            .or_else(|_| IpAddr::from_str(address).map(|ip| Expect::To(ip, None)))
            .map_err(|_| {
                format!(
                    "`{text}` is no outcome: write \"delivered\", \"dropped\" or \"to ADDRESS\""
                )
            })
    }
}

impl From<Expect> for String {
    fn from(expect: Expect) -> String {
        match expect {
            Expect::Delivered => "delivered".to_owned(),
            Expect::Dropped => "dropped".to_owned(),
            Expect::To(ip, None) => format!("to {ip}"),
            Expect::To(ip, Some(port)) => format!("to {}", SocketAddr::new(ip, port)),
        }
    }
}
