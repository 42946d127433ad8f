//! Accounting objects (nfacct) over netlink: made and deleted.
//!
//! Commands and attributes are those of the kernel's include/uapi/linux/netfilter/nfnetlink_acct.h.

use nix::libc;

use super::attributes::put_name;
use super::error::KernelError;
use super::netlink::Connection;

/// `NFNL_SUBSYS_ACCT`, the upper byte of every message type here.
const ACCT: u16 = 7 << 8;

/// `NFNL_MSG_ACCT_NEW`.
const NEW: u16 = ACCT;

/// `NFNL_MSG_ACCT_DEL`.
const DELETE: u16 = ACCT | 3;

/// `NFACCT_NAME`.
const NAME: u16 = 1;

/// Makes an object that counts nothing yet. One of this name that is there already will do: `nfnl_acct_new` of
/// net/netfilter/nfnetlink_acct.c says then that it is busy.
pub(super) fn make(name: &str) -> Result<(), KernelError> {
    let mut body = vec![0; 4];
    put_name(&mut body, NAME, name);
    let what = format!("making the nfacct object {name}");
    let mut connection = Connection::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
    match connection.request(&what, NEW, libc::NLM_F_CREATE, &body) {
        Err(error) if error.errno() == Some(libc::EBUSY) => Ok(()),
        made => made.map_err(lacking),
    }
}

/// Deletes every object of the namespace that no rule holds. A kernel without them has none.
pub(super) fn reset() -> Result<(), KernelError> {
    let mut connection = Connection::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
    let deleted = connection.request("deleting the nfacct objects", DELETE, 0, &[0; 4]);
    match deleted.map_err(lacking) {
        Err(KernelError::Lacks { .. }) => Ok(()),
        ended => ended,
    }
}

/// A subsystem that nobody registered is EINVAL (`nfnetlink_rcv_msg` of net/netfilter/nfnetlink.c).
fn lacking(error: KernelError) -> KernelError {
    error.lacking_if(&[libc::EINVAL, libc::EOPNOTSUPP])
}
