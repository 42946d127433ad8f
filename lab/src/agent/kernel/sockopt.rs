//! Socket options as bytes in and out: the one place that hands memory to the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc::{self, c_int, socklen_t};

/// getsockopt(2), for options that read what they are asked from the same bytes that take the answer.
///
/// Returns how many bytes the kernel says it wrote.
pub(super) fn get(
    socket: &OwnedFd,
    level: c_int,
    option: c_int,
    value: &mut [u8],
) -> io::Result<usize> {
    let mut length = socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` is writable memory of `length` bytes, and the kernel writes no more than that (do_ipt_get_ctl
    // checks the length against what it will copy).
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status == 0 {
        Ok(length as usize)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `IPT_SO_SET_REPLACE`: setsockopt(2) with a `struct ipt_replace` whose pointer to the old rules' counters is filled
/// in here, since no pointer can be among bytes that are made elsewhere.
///
/// `pointer` is where in `value` the pointer belongs, `counters` is how many the old table has.
pub(super) fn replace(
    socket: &OwnedFd,
    level: c_int,
    option: c_int,
    value: &mut [u8],
    pointer: usize,
    counters: usize,
) -> io::Result<()> {
    // `struct xt_counters` is two 64-bit numbers.
    let mut old: Vec<[u64; 2]> = vec![[0; 2]; counters];
    let address = (old.as_mut_ptr() as usize).to_ne_bytes();
    let place = value.get_mut(pointer..pointer + address.len());
    place
        .ok_or(io::ErrorKind::InvalidInput)?
        .copy_from_slice(&address);
    let length = socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` is readable memory of `length` bytes. The kernel also writes `num_counters` counters to the
    // address in it (__do_replace); that number stands in `value`, and the caller made it `counters`, which is the size
    // of `old`, which lives until the call is over. The kernel refuses any other number than the table's own.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            length,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
