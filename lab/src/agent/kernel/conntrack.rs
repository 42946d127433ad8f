//! Connections that the kernel tracks, forgotten over netlink.

use nix::libc;

use super::error::KernelError;
use super::netlink::Connection;

/// `NFNL_SUBSYS_CTNETLINK` and `IPCTNL_MSG_CT_DELETE`.
const DELETE: u16 = 1 << 8 | 2;

/// Forgets every connection of the namespace: without a tuple in the request, all are deleted
/// (`ctnetlink_del_conntrack` in net/netfilter/nf_conntrack_netlink.c).
pub(super) fn flush() -> Result<(), KernelError> {
    let mut connection = Connection::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
    connection
        .request("forgetting connections", DELETE, 0, &[0; 4])
        // A subsystem that nobody registered is EINVAL (`nfnetlink_rcv_msg`).
        .map_err(|error| error.lacking_if(&[libc::EINVAL, libc::EOPNOTSUPP]))
}
