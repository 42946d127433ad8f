//! A kernel that refuses something, for one command and all that it starts: by a filter of system calls, as containers
//! have one.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::prctl;

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// New namespaces.
    Namespaces,
    /// New mount namespaces alone: as where AppArmor lets a user make a user namespace, and do nothing in it.
    MountNamespaces,
    /// Legacy tables: a kernel without them knows no such socket option.
    LegacyTables,
    /// Nfnetlink, and with it nf_tables: a kernel without them knows no such protocol.
    Nfnetlink,
}

/// Where the number of a system call and its arguments lie in what a filter sees (`struct seccomp_data`).
const NUMBER: u32 = 0;
const fn argument(place: u32) -> u32 {
    16 + 8 * place
}

/// `IPT_SO_SET_REPLACE`, `IPT_SO_GET_INFO`.
const REPLACE_OR_INFO: u32 = 64;

fn load(offset: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

/// Goes on where it is equal, and else skips so many.
fn unless_equal(value: u32, skip: u8) -> sock_filter {
    sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k: value,
    }
}

/// Skips so many where it is equal.
fn if_equal(value: u32, skip: u8) -> sock_filter {
    sock_filter {
        jt: skip,
        jf: 0,
        ..unless_equal(value, 0)
    }
}

fn end(with: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: with,
    }
}

fn filter(refusal: Refusal) -> Vec<sock_filter> {
    let number = |call: libc::c_long| u32::try_from(call).unwrap();
    let errno = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
    match refusal {
        Refusal::Namespaces => vec![
            load(NUMBER),
            unless_equal(number(libc::SYS_unshare), 1),
            end(errno(libc::EPERM)),
            end(libc::SECCOMP_RET_ALLOW),
        ],
        Refusal::MountNamespaces => vec![
            load(NUMBER),
            unless_equal(number(libc::SYS_unshare), 3),
            load(argument(0)),
            unless_equal(libc::CLONE_NEWNS.unsigned_abs(), 1),
            end(errno(libc::EPERM)),
            end(libc::SECCOMP_RET_ALLOW),
        ],
        Refusal::LegacyTables => vec![
            load(NUMBER),
            if_equal(number(libc::SYS_getsockopt), 1),
            unless_equal(number(libc::SYS_setsockopt), 5),
            load(argument(1)),
            if_equal(libc::SOL_SOCKET.unsigned_abs(), 3),
            load(argument(2)),
            unless_equal(REPLACE_OR_INFO, 1),
            end(errno(libc::ENOPROTOOPT)),
            end(libc::SECCOMP_RET_ALLOW),
        ],
        Refusal::Nfnetlink => vec![
            load(NUMBER),
            unless_equal(number(libc::SYS_socket), 5),
            load(argument(0)),
            unless_equal(libc::AF_NETLINK.unsigned_abs(), 3),
            load(argument(2)),
            unless_equal(libc::NETLINK_NETFILTER.unsigned_abs(), 1),
            end(errno(libc::EPROTONOSUPPORT)),
            end(libc::SECCOMP_RET_ALLOW),
        ],
    }
}

/// Has `command` run where this is refused.
pub fn refuse(command: &mut Command, refusal: Refusal) {
    let filter = filter(refusal);
    let install = move || {
        let program = sock_fprog {
            len: u16::try_from(filter.len()).unwrap_or_default(),
            filter: filter.as_ptr().cast_mut(),
        };
        prctl::set_no_new_privs()?;
        // SAFETY: the program points to a filter that outlives the call, which copies it.
        let done = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it makes system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}
