//! Packets: sent from this network namespace, and seen where they are delivered in it.
//!
//! Nothing here waits. The kernel keeps what arrives, answers echo requests and accepts connections while the agent
//! does something else, so that several agents can take part in a round one after the other.

mod packet;
mod socket;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    MsgFlags, SockProtocol, SockaddrStorage, bind, connect, send, setsockopt, sockopt,
};

use super::protocol::{Fate, Packet, Sighting};
use crate::catalog::Family;
use crate::scenario::{Probe, ProbeKind};
pub use packet::NUMBERS;
use packet::{Echo, Token};
use socket::Received;

/// One round: what is open for it in this namespace, and what came of it so far. Dropping it closes everything.
pub struct Round {
    number: u64,
    ears: Vec<Ear>,
    /// Takes datagrams and accepts connections.
    _takers: Vec<OwnedFd>,
    sent: Vec<Sent>,
    sightings: Vec<Sighting>,
}

/// A raw socket, which hears every packet of its protocol that is delivered in the namespace.
struct Ear {
    socket: OwnedFd,
    family: Family,
    kind: ProbeKind,
}

/// A packet that was sent.
struct Sent {
    fate: Fate,
    family: Family,
    kind: ProbeKind,
    /// Where its answer, or an error, comes; none when that has come.
    socket: Option<OwnedFd>,
}

impl Round {
    /// Listens for the packets of a round.
    ///
    /// # Errors
    /// A socket cannot be had.
    pub fn listen(
        number: u64,
        families: &BTreeSet<Family>,
        udp: &BTreeSet<u16>,
        tcp: &BTreeSet<u16>,
    ) -> io::Result<Round> {
        let (mut ears, mut takers) = (Vec::new(), Vec::new());
        for &family in families {
            for kind in [ProbeKind::Icmp, ProbeKind::Udp, ProbeKind::Tcp] {
                ears.push(Ear {
                    socket: socket::raw(family, protocol(family, kind))?,
                    family,
                    kind,
                });
            }
            for &port in udp {
                takers.push(socket::take_datagrams(family, port)?);
            }
            for &port in tcp {
                takers.push(socket::accept_connections(family, port)?);
            }
        }
        Ok(Round {
            number,
            ears,
            _takers: takers,
            sent: Vec::new(),
            sightings: Vec::new(),
        })
    }

    /// Sends a packet. That the kernel refuses to is the packet's fate, no error.
    ///
    /// # Errors
    /// A socket cannot be had, or not be prepared.
    pub fn send(&mut self, packet: &Packet) -> io::Result<()> {
        let Packet { number, probe } = packet;
        if *number >= NUMBERS {
            return Err(io::Error::other(format!("there is no number {number}")));
        }
        let token = Token {
            round: self.number,
            number: *number,
        };
        let socket = prepared(probe, *number)?;
        let refused = depart(&socket, probe, token).err();
        self.sent.push(Sent {
            fate: Fate {
                number: *number,
                answered: false,
                refused: refused.map(|errno| errno as i32),
            },
            family: probe.family(),
            kind: probe.kind,
            socket: Some(socket),
        });
        Ok(())
    }

    /// What was heard, and what became of what was sent, so far.
    ///
    /// # Errors
    /// A socket fails.
    pub fn hear(&mut self) -> io::Result<(Vec<Sighting>, Vec<Fate>)> {
        // An answer is delivered after what it answers: who looks for answers first has heard what was answered.
        for sent in &mut self.sent {
            sent.look()?;
        }
        for place in 0..self.ears.len() {
            let (family, kind) = (self.ears[place].family, self.ears[place].kind);
            while let Some(received) = socket::receive(family, &self.ears[place].socket)? {
                if let Some(received) = received {
                    self.note(family, kind, &received);
                }
            }
        }
        let fates = self.sent.iter().map(|sent| sent.fate);
        Ok((self.sightings.clone(), fates.collect()))
    }

    fn note(&mut self, family: Family, kind: ProbeKind, received: &Received) {
        let message = &received.message;
        let (number, port) = match kind {
            ProbeKind::Icmp => match packet::echo(family, message) {
                Some(Echo::Request(token)) if token.round == self.number => (token.number, None),
                Some(Echo::Reply(token)) if token.round == self.number => {
                    return self.answered(token.number);
                }
                _ => return,
            },
            ProbeKind::Udp => match packet::datagram(message) {
                Some((port, token)) if token.round == self.number => (token.number, Some(port)),
                _ => return,
            },
            ProbeKind::Tcp => match packet::opening(message) {
                Some((port, number)) => (number, Some(port)),
                None => return,
            },
        };
        let sighting = Sighting {
            number,
            from: received.from,
            to: received.to,
            port,
        };
        // A connection is asked for again until it is answered.
        if !self.sightings.contains(&sighting) {
            self.sightings.push(sighting);
        }
    }

    fn answered(&mut self, number: u16) {
        let mut sent = self.sent.iter_mut();
        if let Some(sent) = sent.find(|sent| sent.fate.number == number) {
            sent.fate.answered = true;
        }
    }
}

impl Sent {
    /// Looks whether an answer or an error has come.
    fn look(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let (family, number) = (self.family, self.fate.number);
        let is_own = |quoted: &[u8]| match self.kind {
            // Raw sockets to the same address share their errors.
            ProbeKind::Icmp => packet::is_echo_request(family, quoted, number),
            ProbeKind::Udp | ProbeKind::Tcp => true,
        };
        let mut refused = socket::network_error(socket, is_own)?;
        if refused.is_none() && !self.fate.answered {
            match self.kind {
                ProbeKind::Icmp => {}
                ProbeKind::Udp => {
                    let errno = socket::pending_error(socket)?;
                    refused = (errno != 0).then_some(errno);
                }
                ProbeKind::Tcp => match socket::connected(socket)? {
                    Ok(is_connected) => self.fate.answered = is_connected,
                    Err(errno) => refused = Some(errno),
                },
            }
        }
        if let Some(errno) = refused {
            // What the network says is more than that a hook dropped the packet on its way out.
            self.fate.refused = Some(errno);
            self.socket = None;
        }
        Ok(())
    }
}

/// A socket for a packet, with its mark.
fn prepared(probe: &Probe, number: u16) -> io::Result<OwnedFd> {
    let family = probe.family();
    let socket = match probe.kind {
        ProbeKind::Icmp => socket::echo(family)?,
        ProbeKind::Udp => socket::datagram(family)?,
        ProbeKind::Tcp => {
            let socket = socket::connection(family)?;
            let size = u32::from(packet::segment_size(number));
            setsockopt(&socket, sockopt::TcpMaxSeg, &size)?;
            socket
        }
    };
    if let Some(mark) = probe.mark {
        setsockopt(&socket, sockopt::Mark, &mark)?;
    }
    Ok(socket)
}

/// Sends the packet. An echo request and a datagram go from a connected socket too, which alone is told of errors.
fn depart(socket: &OwnedFd, probe: &Probe, token: Token) -> Result<(), Errno> {
    let fd = socket.as_raw_fd();
    if probe.from.is_some() || probe.from_port.is_some() {
        let anywhere = match probe.family() {
            Family::Ipv4 => [0; 4].into(),
            Family::Ipv6 => [0; 16].into(),
        };
        let port = probe.from_port.unwrap_or(0);
        bind(
            fd,
            &SockaddrStorage::from(SocketAddr::new(probe.from.unwrap_or(anywhere), port)),
        )?;
    }
    let to = SocketAddr::new(probe.to, probe.port.unwrap_or(0));
    match connect(fd, &SockaddrStorage::from(to)) {
        Err(Errno::EINPROGRESS) if probe.kind == ProbeKind::Tcp => return Ok(()),
        other => other?,
    }
    let bytes = match probe.kind {
        ProbeKind::Icmp => packet::echo_request(probe.family(), token),
        ProbeKind::Udp => token.to_bytes(),
        ProbeKind::Tcp => return Ok(()),
    };
    send(fd, &bytes, MsgFlags::empty()).map(drop)
}

fn protocol(family: Family, kind: ProbeKind) -> SockProtocol {
    match (kind, family) {
        (ProbeKind::Icmp, Family::Ipv4) => SockProtocol::Icmp,
        (ProbeKind::Icmp, Family::Ipv6) => SockProtocol::IcmpV6,
        (ProbeKind::Udp, _) => SockProtocol::Udp,
        (ProbeKind::Tcp, _) => SockProtocol::Tcp,
    }
}
