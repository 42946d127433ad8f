//! The loopback interface of a namespace.

use nix::libc;

use super::error::KernelError;
use super::netlink::Connection;

/// `LOOPBACK_IFINDEX` of the kernel: `lo` is the first interface of every namespace.
const LOOPBACK: i32 = 1;

/// Brings `lo` up.
pub(super) fn loopback_up() -> Result<(), KernelError> {
    let up = libc::IFF_UP.cast_unsigned();
    let mut body = vec![0; 4];
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend(up.to_ne_bytes());
    body.extend(up.to_ne_bytes());
    let mut connection = Connection::open(netlink_sys::protocols::NETLINK_ROUTE)?;
    let mut request = Vec::new();
    let sequence = connection.put(&mut request, libc::RTM_NEWLINK, libc::NLM_F_ACK, &body);
    connection.send("bringing lo up", &request)?;
    connection.acknowledged("bringing lo up", vec![sequence])
}
