//! Sockets of probes: none of them blocks, and all of them are closed when they are dropped.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
    SockaddrStorage, bind, listen, recvmsg, setsockopt, socket, sockopt,
};

use super::packet;
use crate::catalog::Family;

/// What one read takes: more than any probe is long.
const LONGEST: usize = 2048;

/// A packet that a raw socket had.
#[derive(Debug)]
pub struct Received {
    /// Its source address.
    pub from: IpAddr,
    /// Its destination address.
    pub to: IpAddr,
    /// What follows its IP header.
    pub message: Vec<u8>,
}

fn open(family: Family, kind: SockType, protocol: SockProtocol) -> io::Result<OwnedFd> {
    let family = match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(family, kind, flags, protocol)?)
}

/// A raw socket, which has a copy of every packet of its protocol that is delivered in the namespace.
pub fn raw(family: Family, protocol: SockProtocol) -> io::Result<OwnedFd> {
    let socket = open(family, SockType::Raw, protocol)?;
    if family == Family::Ipv6 {
        // The header, and with it the destination, is not given with an IPv6 packet.
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    Ok(socket)
}

/// A raw socket for sending an echo request.
pub fn echo(family: Family) -> io::Result<OwnedFd> {
    let protocol = match family {
        Family::Ipv4 => SockProtocol::Icmp,
        Family::Ipv6 => SockProtocol::IcmpV6,
    };
    with_errors(family, open(family, SockType::Raw, protocol)?)
}

/// A socket for datagrams. Several may have the same port: what is delivered is seen by raw sockets.
pub fn datagram(family: Family) -> io::Result<OwnedFd> {
    let socket = open(family, SockType::Datagram, SockProtocol::Udp)?;
    setsockopt(&socket, sockopt::Broadcast, &true)?;
    with_errors(family, shared(socket)?)
}

/// A socket for a connection. It goes without a trace when it is closed, for its port may be needed again at once.
pub fn connection(family: Family) -> io::Result<OwnedFd> {
    let socket = open(family, SockType::Stream, SockProtocol::Tcp)?;
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&socket, sockopt::Linger, &at_once)?;
    with_errors(family, shared(socket)?)
}

/// Takes datagrams at a port of every address.
pub fn take_datagrams(family: Family, port: u16) -> io::Result<OwnedFd> {
    let socket = only(family, datagram(family)?)?;
    bind(socket.as_raw_fd(), &wildcard(family, port))?;
    Ok(socket)
}

/// Accepts connections at a port of every address: the kernel does, and nobody speaks.
pub fn accept_connections(family: Family, port: u16) -> io::Result<OwnedFd> {
    let socket = only(family, connection(family)?)?;
    bind(socket.as_raw_fd(), &wildcard(family, port))?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket)
}

/// Its port can be had by others of the lab's too: a probe may be sent from a port that is listened on.
fn shared(socket: OwnedFd) -> io::Result<OwnedFd> {
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    Ok(socket)
}

/// Errors of the network are kept for whoever asks, those included that a protocol may get over.
fn with_errors(family: Family, socket: OwnedFd) -> io::Result<OwnedFd> {
    match family {
        Family::Ipv4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
        Family::Ipv6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(socket)
}

/// No IPv4 through an IPv6 socket, which would take the port of an IPv4 one.
fn only(family: Family, socket: OwnedFd) -> io::Result<OwnedFd> {
    if family == Family::Ipv6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(socket)
}

fn wildcard(family: Family, port: u16) -> SockaddrStorage {
    let address = match family {
        Family::Ipv4 => IpAddr::from([0; 4]),
        Family::Ipv6 => IpAddr::from([0; 16]),
    };
    SocketAddr::new(address, port).into()
}

/// The next packet that a raw socket had; nothing where there is none, or none that could be a probe's.
pub fn receive(family: Family, socket: &OwnedFd) -> io::Result<Option<Option<Received>>> {
    let mut bytes = vec![0; LONGEST];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let (length, from, to) = {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let fd = socket.as_raw_fd();
        let received =
            recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::empty());
        let received = match received {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let from = received
            .address
            .as_ref()
            .and_then(SockaddrStorage::as_sockaddr_in6);
        let to = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr))
            }
            _ => None,
        });
        (received.bytes, from.map(|from| from.ip()), to)
    };
    bytes.truncate(length);
    Ok(Some(match family {
        Family::Ipv4 => packet::split_ipv4(&bytes).map(|(from, to, message)| Received {
            from,
            to,
            message: message.to_vec(),
        }),
        Family::Ipv6 => from.zip(to).map(|(from, to)| Received {
            from: from.into(),
            to: to.into(),
            message: bytes,
        }),
    }))
}

/// The first error that the network sent for this socket and `is_own` knows, by the packet that the error quotes.
pub fn network_error(socket: &OwnedFd, is_own: impl Fn(&[u8]) -> bool) -> io::Result<Option<i32>> {
    loop {
        let mut quoted = vec![0; LONGEST];
        let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let mut slices = [IoSliceMut::new(&mut quoted)];
        let fd = socket.as_raw_fd();
        let received = recvmsg::<()>(fd, &mut slices, Some(&mut control), MsgFlags::MSG_ERRQUEUE);
        let received = match received {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let length = received.bytes;
        let error = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) => Some(error.ee_errno),
            _ => None,
        });
        if let Some(errno) = error.filter(|_| is_own(&quoted[..length])) {
            return Ok(i32::try_from(errno).ok());
        }
    }
}

/// Whether a connection is there, or what ended it, if anything.
pub fn connected(socket: &OwnedFd) -> io::Result<Result<bool, i32>> {
    let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut waiting, PollTimeout::ZERO)?;
    let is_writable = waiting[0]
        .revents()
        .is_some_and(|events| events.contains(PollFlags::POLLOUT));
    Ok(match pending_error(socket)? {
        0 => Ok(is_writable),
        errno => Err(errno),
    })
}

/// `SO_ERROR`, which reading clears; 0 is none.
pub fn pending_error(socket: &OwnedFd) -> io::Result<i32> {
    Ok(nix::sys::socket::getsockopt(socket, sockopt::SocketError)?)
}
