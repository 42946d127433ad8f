//! What namespaces do not confine: system calls that lead out of all of them are refused.

use std::io;

use nix::errno::Errno;
use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::prctl;

/// The families of sockets that are of a network namespace, or of paths: all that iptables and nft use. AF_VSOCK is of
/// none, and leads from a virtual machine to its host.
const FAMILIES: [i32; 5] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
    libc::AF_PACKET,
];

/// The system calls of one of the machine's interfaces, by their numbers.
struct Calls {
    socket: u32,
    /// Keys are their user's, in whatever namespace that is; an io_uring makes sockets that no filter sees.
    refused: &'static [u32],
}

const NATIVE: Calls = Calls {
    socket: libc::SYS_socket as u32,
    refused: &[
        libc::SYS_add_key as u32,
        libc::SYS_request_key as u32,
        libc::SYS_keyctl as u32,
        libc::SYS_io_uring_setup as u32,
    ],
};

/// The interface for programs of 32 bits, by its audit number: socketcall(2) too, whose arguments no filter sees.
#[cfg(target_arch = "x86_64")]
const FOREIGN: &[(u32, Calls)] = &[(
    0x4000_0003,
    Calls {
        socket: 359,
        refused: &[102, 286, 287, 288, 425],
    },
)];
#[cfg(target_arch = "aarch64")]
const FOREIGN: &[(u32, Calls)] = &[(
    0x4000_0028,
    Calls {
        socket: 281,
        refused: &[309, 310, 311, 425],
    },
)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FOREIGN: &[(u32, Calls)] = &[];

/// The first number of x32, which has the same calls once more.
const X32: u32 = 0x4000_0000;

/// Where these lie in what a filter sees (`struct seccomp_data`).
const NUMBER: u32 = 0;
const INTERFACE: u32 = 4;
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };

/// Refuses them to this process, and to all that it starts. A kernel that knows no filters goes without.
///
/// # Errors
/// The kernel does not take the filter.
pub fn refuse_ways_out() -> io::Result<()> {
    let filter = filter();
    let program = sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // Without it only who may do everything may be filtered.
    prctl::set_no_new_privs()?;
    // Before 5.16 who is filtered is slowed down too, against what its own code might guess of others', unless that is
    // waived; before 4.17 it cannot be.
    for flags in [libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0] {
        // SAFETY: the program points to a filter that outlives the call, which copies it.
        let done = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        match Errno::result(done) {
            Ok(_) => return Ok(()),
            Err(Errno::EINVAL | Errno::ENOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn filter() -> Vec<sock_filter> {
    let mut all = vec![load(INTERFACE)];
    for (interface, calls) in FOREIGN {
        let of_it = of_interface(calls);
        all.push(unless(libc::BPF_JEQ, *interface, of_it.len()));
        all.extend(of_it);
    }
    all.extend(of_interface(&NATIVE));
    all
}

fn of_interface(calls: &Calls) -> Vec<sock_filter> {
    let refuse = |errno: Errno| end(libc::SECCOMP_RET_ERRNO | (errno as i32).unsigned_abs());
    let mut all = vec![
        load(NUMBER),
        unless(libc::BPF_JGE, X32, 1),
        refuse(Errno::ENOSYS),
    ];
    for number in calls.refused {
        all.extend([unless(libc::BPF_JEQ, *number, 1), refuse(Errno::ENOSYS)]);
    }
    let mut socket = vec![load(FIRST_ARGUMENT)];
    for family in FAMILIES {
        let family = family.unsigned_abs();
        socket.extend([
            unless(libc::BPF_JEQ, family, 1),
            end(libc::SECCOMP_RET_ALLOW),
        ]);
    }
    socket.push(refuse(Errno::EAFNOSUPPORT));
    all.push(unless(libc::BPF_JEQ, calls.socket, socket.len()));
    all.extend(socket);
    all.push(end(libc::SECCOMP_RET_ALLOW));
    all
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset)
}

/// Goes on where the comparison holds, and else skips so many.
fn unless(comparison: u32, value: u32, skip: usize) -> sock_filter {
    // No part of the filter is nearly as long.
    let skip = u8::try_from(skip).unwrap_or(u8::MAX);
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, skip, value)
}

fn end(with: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, with)
}

fn instruction(code: u32, skip: u8, k: u32) -> sock_filter {
    sock_filter {
        // The codes are small.
        code: code as u16,
        jt: 0,
        jf: skip,
        k,
    }
}
