//! Netlink messages to and from the kernel: requests, dumps in many parts, batches.

use std::io;

use bytes::BufMut;
use netlink_sys::{Socket, SocketAddr};
use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBufForce;

use super::attributes::align;
use super::error::KernelError;

/// The size of `struct nlmsghdr`.
const HEADER: usize = 16;

/// A dump comes in datagrams of 32 KiB at most (`netlink_dump` in net/netlink/af_netlink.c).
const DATAGRAM: usize = 64 * 1024;

/// A socket takes requests of this size anywhere.
const USUAL: usize = 64 * 1024;

/// How often a reading that was disturbed is taken again.
pub(super) const ATTEMPTS: usize = 16;

/// One netlink message without its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    /// `nlmsg_type`.
    pub(super) kind: u16,
    /// `nlmsg_flags`.
    pub(super) flags: u16,
    /// `nlmsg_seq`.
    sequence: u32,
    /// All bytes, header included.
    pub(super) whole: &'a [u8],
    /// What follows the header.
    pub(super) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message in `bytes`, and the bytes after it.
    fn split_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let message = Message {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            whole: bytes.get(..length)?,
            body: bytes.get(HEADER..length)?,
        };
        Some((message, bytes.get(align(length)..).unwrap_or_default()))
    }

    /// The errno of an error, 0 of an acknowledgement, nothing of another message.
    fn errno(&self) -> Option<i32> {
        let status = matches!(i32::from(self.kind), libc::NLMSG_ERROR | libc::NLMSG_DONE);
        status.then(|| {
            i32::from_ne_bytes(
                self.body
                    .get(..4)
                    .and_then(|errno| errno.try_into().ok())
                    .unwrap_or_default(),
            )
        })
    }
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(
        bytes.get(place..place + 2)?.try_into().ok()?,
    ))
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        bytes.get(place..place + 4)?.try_into().ok()?,
    ))
}

/// The messages in `bytes`, in order; an error ends them.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, KernelError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let split = Message::split_first(bytes);
        bytes = split.map_or(&[], |(_, rest)| rest);
        Some(
            split
                .map(|(message, _)| message)
                .ok_or(KernelError::Malformed("netlink message")),
        )
    })
}

/// Whether a dump came whole, or the rules changed while it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dumped {
    /// All parts are of one state.
    Whole,
    /// `NLM_F_DUMP_INTR`: read it again.
    Interrupted,
}

/// A connection to one netlink family of the kernel.
pub(super) struct Connection {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens a socket in the network namespace of this thread.
    pub(super) fn open(protocol: isize) -> Result<Self, KernelError> {
        let connected = || {
            let socket = Socket::new(protocol)?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = connected().map_err(KernelError::refused("opening a netlink socket"))?;
        Ok(Connection {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Appends a message to `request` and returns its sequence number.
    pub(super) fn put(&mut self, request: &mut Vec<u8>, kind: u16, flags: i32, body: &[u8]) -> u32 {
        self.sequence += 1;
        let length =
            u32::try_from(HEADER + body.len()).expect("a request is far shorter than 4 GiB");
        let flags = u16::try_from(libc::NLM_F_REQUEST | flags).expect("netlink flags have 16 bits");
        request.put_u32_ne(length);
        request.put_u16_ne(kind);
        request.put_u16_ne(flags);
        request.put_u32_ne(self.sequence);
        request.put_u32_ne(0);
        request.extend(body);
        request.resize(align(request.len()), 0);
        self.sequence
    }

    /// Sends a request, or a batch of them, which the kernel takes whole or not at all.
    pub(super) fn send(&self, what: &str, request: &[u8]) -> Result<(), KernelError> {
        if request.len() > USUAL {
            // Without the right to it the kernel's own limit holds, and what is longer is refused.
            let _ = setsockopt(&self.socket, SndBufForce, &(2 * request.len()));
        }
        let sent = self
            .socket
            .send(request, 0)
            .map_err(KernelError::refused(what))?;
        if sent < request.len() {
            return Err(KernelError::refused(what)(io::ErrorKind::WriteZero.into()));
        }
        Ok(())
    }

    /// Asks for a dump and appends its messages, as they came, to `answer`.
    pub(super) fn dump(
        &mut self,
        what: &str,
        kind: u16,
        body: &[u8],
        answer: &mut Vec<u8>,
    ) -> Result<Dumped, KernelError> {
        let mut request = Vec::with_capacity(64);
        let sequence = self.put(&mut request, kind, libc::NLM_F_DUMP, body);
        self.send(what, &request)?;
        let mut dumped = Dumped::Whole;
        loop {
            self.receive(what)?;
            for message in messages(&self.buffer) {
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                if i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0 {
                    dumped = Dumped::Interrupted;
                }
                match message.errno() {
                    Some(0) => return Ok(dumped),
                    Some(errno) if -errno == libc::EINTR => return Ok(Dumped::Interrupted),
                    Some(errno) => {
                        return Err(KernelError::refused(what)(io::Error::from_raw_os_error(
                            -errno,
                        )));
                    }
                    None => answer.extend(message.whole),
                }
            }
            answer.resize(align(answer.len()), 0);
        }
    }

    /// Waits until every one of these requests is acknowledged; the first refusal is the error.
    pub(super) fn acknowledged(
        &mut self,
        what: &str,
        mut awaited: Vec<u32>,
    ) -> Result<(), KernelError> {
        while !awaited.is_empty() {
            self.receive(what)?;
            for message in messages(&self.buffer) {
                let message = message?;
                match message.errno() {
                    Some(0) => awaited.retain(|&sequence| sequence != message.sequence),
                    Some(errno) => {
                        return Err(KernelError::refused(what)(io::Error::from_raw_os_error(
                            -errno,
                        )));
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Sends one request and waits until it is acknowledged.
    pub(super) fn request(
        &mut self,
        what: &str,
        kind: u16,
        flags: i32,
        body: &[u8],
    ) -> Result<(), KernelError> {
        self.ask(what, kind, flags, body).map(drop)
    }

    /// Sends one request and gives what comes before its acknowledgement: messages, as they came.
    pub(super) fn ask(
        &mut self,
        what: &str,
        kind: u16,
        flags: i32,
        body: &[u8],
    ) -> Result<Vec<u8>, KernelError> {
        let mut request = Vec::with_capacity(128);
        let sequence = self.put(&mut request, kind, libc::NLM_F_ACK | flags, body);
        self.send(what, &request)?;
        let mut answer = Vec::new();
        loop {
            self.receive(what)?;
            for message in messages(&self.buffer) {
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                match message.errno() {
                    Some(0) => return Ok(answer),
                    Some(errno) => {
                        return Err(KernelError::refused(what)(io::Error::from_raw_os_error(
                            -errno,
                        )));
                    }
                    None => {
                        answer.extend(message.whole);
                        answer.resize(align(answer.len()), 0);
                    }
                }
            }
        }
    }

    /// Asks for a dump, again where it was disturbed.
    pub(super) fn whole_dump(
        &mut self,
        what: &str,
        kind: u16,
        body: &[u8],
    ) -> Result<Vec<u8>, KernelError> {
        for _ in 0..ATTEMPTS {
            let mut answer = Vec::new();
            if self.dump(what, kind, body, &mut answer)? == Dumped::Whole {
                return Ok(answer);
            }
        }
        Err(KernelError::Unsteady(ATTEMPTS))
    }

    /// Receives one datagram into the buffer.
    fn receive(&mut self, what: &str) -> Result<(), KernelError> {
        self.buffer.clear();
        loop {
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(KernelError::refused(what)(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cut_short_is_an_error_and_the_last() {
        let mut bytes = vec![0; HEADER];
        bytes[0] = 20;
        let found: Vec<_> = messages(&bytes).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_err());
    }
}
