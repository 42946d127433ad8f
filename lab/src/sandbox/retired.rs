//! Network namespaces that are not needed any more: the kernel takes them down in the background, and is not outrun.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Network, Refused, other_io};

/// So many of a lane's namespaces may be on their way out. The kernel takes them down many at a time.
const MOST: usize = 32;

/// After so long the kernel is not waited for any more: whatever holds it up, more namespaces are the lesser evil.
const PATIENCE: Duration = Duration::from_secs(10);

/// `RTNLGRP_NSID`: who has a number for a namespace is told when that is gone.
const GROUP: u32 = 28;

/// `RTM_NEWNSID`, `RTM_DELNSID`.
const NEW: u16 = 88;
const GONE: u16 = 89;

/// `NETNSA_NSID`, `NETNSA_FD`, and the number that lets the kernel choose one.
const NUMBER: u16 = 1;
const DESCRIPTOR: u16 = 3;
const ANY: i32 = -1;

/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// Counts the namespaces that are still there.
pub struct Retired {
    /// In a namespace of its own, which stays, and gives every other one a number.
    socket: Socket,
    there: usize,
}

impl Retired {
    /// Begins to count, and leaves this process in a namespace that is used for nothing else.
    ///
    /// # Errors
    /// The kernel makes no namespace, or no socket.
    pub fn new() -> Result<Retired, Refused> {
        Network::fresh()?;
        let open = || {
            let mut socket = Socket::new(netlink_sys::protocols::NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.add_membership(GROUP)?;
            Ok(socket)
        };
        Ok(Retired {
            socket: open().map_err(other_io("listen for the end of network namespaces"))?,
            there: 0,
        })
    }

    /// Has `network` counted until it is gone, and waits while too many are on their way.
    ///
    /// # Errors
    /// The kernel gives it no number.
    pub fn count(&mut self, network: &Network) -> Result<(), Refused> {
        let failed = || other_io("count a network namespace");
        let kernel = SocketAddr::new(0, 0);
        let sent = self
            .socket
            .send_to(&request(network.descriptor()), &kernel, 0);
        sent.map_err(failed())?;
        self.there += 1;
        let begun = Instant::now();
        self.hear().map_err(failed())?;
        while self.there > MOST && begun.elapsed() < PATIENCE {
            // SAFETY: the socket is open as long as `self` is.
            let socket = unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) };
            let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            let left = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
            poll(&mut waiting, left).map_err(|errno| failed()(errno.into()))?;
            self.hear().map_err(failed())?;
        }
        Ok(())
    }

    /// Takes note of what the kernel has said so far.
    fn hear(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.socket.recv(&mut &mut buffer[..], libc::MSG_DONTWAIT) {
                Ok(length) => {
                    let gone = kinds(&buffer[..length])
                        .filter(|kind| *kind == GONE)
                        .count();
                    self.there = self.there.saturating_sub(gone);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                // Something was not heard: all is forgotten, for that which is there is few.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.there = 0,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Asks for a number for the namespace that this descriptor is of.
fn request(descriptor: i32) -> Vec<u8> {
    let mut message = Vec::with_capacity(36);
    let attributes = [(NUMBER, ANY), (DESCRIPTOR, descriptor)];
    let length = u32::try_from(HEADER + 4 + 8 * attributes.len()).unwrap_or_default();
    message.extend(length.to_ne_bytes());
    message.extend(NEW.to_ne_bytes());
    message.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    // No sequence number, no sender, and the family that `struct rtgenmsg` begins with, padded.
    message.extend([0; 12]);
    for (kind, value) in attributes {
        message.extend(8u16.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(value.to_ne_bytes());
    }
    message
}

/// The types of the messages in what was received.
fn kinds(mut received: &[u8]) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let length = received.get(..4)?.try_into().map(u32::from_ne_bytes).ok()? as usize;
        let kind = received
            .get(4..6)?
            .try_into()
            .map(u16::from_ne_bytes)
            .ok()?;
        let next = length.max(HEADER).next_multiple_of(4).min(received.len());
        received = &received[next..];
        Some(kind)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_counted_until_the_kernel_has_taken_it_down() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        // Namespaces are a thread's.
        let counted = std::thread::spawn(|| {
            let mut retired = Retired::new().unwrap();
            let mut most = 0;
            for _ in 0..4 * MOST {
                let network = Network::fresh().unwrap();
                retired.count(&network).unwrap();
                most = most.max(retired.there);
            }
            let begun = Instant::now();
            // The last one is this thread's own.
            while retired.there > 1 && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
                retired.hear().unwrap();
            }
            (most, retired.there)
        });
        let (most, left) = counted.join().unwrap();
        assert!(most > 1 && most <= MOST + 1, "{most}");
        assert_eq!(left, 1);
    }
}
