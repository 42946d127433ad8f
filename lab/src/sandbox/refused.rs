//! What the system refuses, and the command that mends it, for whoever is refused.

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::confinement::{Confinement, Inside, Rights};

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Users and their rights.
    User,
    /// What is mounted where.
    Mount,
    /// Processes.
    Process,
    /// The host's name.
    HostName,
    /// System V's and POSIX's ways between processes.
    Ipc,
    /// The root of control groups.
    ControlGroup,
    /// Interfaces, addresses and rules.
    Network,
}

impl Kind {
    /// As the kernel is asked for it.
    pub(super) fn flag(self) -> CloneFlags {
        match self {
            Kind::User => CloneFlags::CLONE_NEWUSER,
            Kind::Mount => CloneFlags::CLONE_NEWNS,
            Kind::Process => CloneFlags::CLONE_NEWPID,
            Kind::HostName => CloneFlags::CLONE_NEWUTS,
            Kind::Ipc => CloneFlags::CLONE_NEWIPC,
            Kind::ControlGroup => CloneFlags::CLONE_NEWCGROUP,
            Kind::Network => CloneFlags::CLONE_NEWNET,
        }
    }

    /// The setting that says how many of them a user may have: namespaces(7).
    fn limit(self) -> &'static str {
        match self {
            Kind::User => "user.max_user_namespaces",
            Kind::Mount => "user.max_mnt_namespaces",
            Kind::Process => "user.max_pid_namespaces",
            Kind::HostName => "user.max_uts_namespaces",
            Kind::Ipc => "user.max_ipc_namespaces",
            Kind::ControlGroup => "user.max_cgroup_namespaces",
            Kind::Network => "user.max_net_namespaces",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::User => "user",
            Kind::Mount => "mount",
            Kind::Process => "process",
            Kind::HostName => "host name",
            Kind::Ipc => "IPC",
            Kind::ControlGroup => "control group",
            Kind::Network => "network",
        })
    }
}

/// What the system refuses. Names and paths of files are in the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Who has no rights of root's may make no user namespace.
    #[error("this user may not make user namespaces ({0})")]
    Users(Errno),
    /// The user namespace is there, and nothing may be done in it.
    #[error("this user may make user namespaces, and do nothing in them ({0})")]
    Powerless(Errno),
    /// There are as many namespaces as the machine allows, which may be none.
    #[error("this machine allows no more {0} namespaces")]
    Limit(Kind),
    /// Any other namespace.
    #[error("no {0} namespaces can be made here ({1})")]
    Namespaces(Kind, Errno),
    /// No /proc of its own.
    #[error("no /proc of its own can be mounted ({0})")]
    Proc(Errno),
    /// In the words of a process that made something for this one.
    #[error("{0}")]
    Told(String),
    /// Anything else.
    #[error("cannot {0} ({1})")]
    Other(String, Errno),
}

/// How a container is started in which an ordinary user may do all that a lane takes.
const CONTAINER: &str = "start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                         --security-opt systempaths=unconfined`, or with `--privileged`";

/// A filter of system calls binds root as well.
const FILTER: &str = "run it without the filter of system calls that it is under: a container needs `--privileged` or \
                      `--security-opt seccomp=unconfined`, a systemd unit `RestrictNamespaces=no`";

/// Where nothing that is known stands in the way.
const UNKNOWN: &str = "look what the kernel's log says of it: `dmesg`";

impl Refused {
    /// What `unshare` of `kind` was refused with.
    pub(super) fn namespace(kind: Kind, errno: Errno, rights: Rights) -> Refused {
        match (errno, rights, kind) {
            // The second until Linux 4.9: user_namespaces(7).
            (Errno::ENOSPC | Errno::EUSERS, _, _) => Refused::Limit(kind),
            (_, Rights::User, Kind::User) => Refused::Users(errno),
            (_, Rights::User, _) => Refused::Powerless(errno),
            (_, Rights::Root, _) => Refused::Namespaces(kind, errno),
        }
    }

    /// The command that mends it for who runs it under `confinement`, or what to do; none where that depends on what is in the words.
    pub fn mend(&self, confinement: &Confinement) -> Option<String> {
        let container = confinement.inside == Inside::Container;
        Some(match self {
            Refused::Limit(kind) => {
                let raise = format!("`sysctl -w {}=65536`", kind.limit());
                // Root's lanes are in no user namespace; of all others it has no more than anybody.
                match kind {
                    Kind::User if !container => or_root(confinement.rights, &raise),
                    _ => raise,
                }
            }
            Refused::Told(_) => return None,
            Refused::Other(_, errno) if !matches!(errno, Errno::EPERM | Errno::EACCES) => {
                return None;
            }
            _ if container => CONTAINER.to_owned(),
            Refused::Users(_) | Refused::Powerless(_) | Refused::Namespaces(..) => {
                allow(confinement)
            }
            Refused::Proc(_) => uncover(confinement),
            Refused::Other(..) => UNKNOWN.to_owned(),
        })
    }
}

/// What else helps, beside to be root.
fn or_root(rights: Rights, otherwise: &str) -> String {
    match rights {
        Rights::Root => otherwise.to_owned(),
        Rights::User => format!("run it as root, or {otherwise}"),
    }
}

fn allow(confinement: &Confinement) -> String {
    let lifted = confinement.settings.join(" ");
    match confinement.rights {
        Rights::User if !lifted.is_empty() => {
            or_root(confinement.rights, &format!("`sysctl -w {lifted}`"))
        }
        _ if confinement.filtered => FILTER.to_owned(),
        rights => or_root(rights, UNKNOWN),
    }
}

/// In a user namespace the kernel mounts no /proc that shows more than the one that is there: `mount_too_revealing` of
/// fs/namespace.c. The last cover comes off first.
fn uncover(confinement: &Confinement) -> String {
    let covers: Vec<String> = confinement
        .covers
        .iter()
        .rev()
        .map(|cover| cover.display().to_string())
        .collect();
    match confinement.rights {
        Rights::User if !covers.is_empty() => or_root(
            confinement.rights,
            &format!("`umount {}`", covers.join(" ")),
        ),
        rights => or_root(rights, UNKNOWN),
    }
}

/// A failure of what is not refused anywhere.
pub(super) fn other(what: impl Into<String>) -> impl FnOnce(Errno) -> Refused {
    let what = what.into();
    move |errno| Refused::Other(what, errno)
}

/// The same of what the standard library does.
pub(super) fn other_io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Refused {
    let what = what.into();
    move |error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Refused::Other(what, errno)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MACHINE: Confinement = Confinement {
        rights: Rights::User,
        inside: Inside::Machine,
        settings: Vec::new(),
        filtered: false,
        covers: Vec::new(),
    };

    fn root() -> Confinement {
        Confinement {
            rights: Rights::Root,
            ..MACHINE
        }
    }

    fn filtered(confinement: Confinement) -> Confinement {
        Confinement {
            filtered: true,
            ..confinement
        }
    }

    fn restricted(setting: &'static str) -> Confinement {
        Confinement {
            settings: vec![setting],
            ..MACHINE
        }
    }

    fn covered(confinement: Confinement) -> Confinement {
        Confinement {
            covers: vec!["/proc/scsi".into(), "/proc/scsi/device".into()],
            ..confinement
        }
    }

    const EPERM: Errno = Errno::EPERM;
    const DEBIAN: &str = "kernel.unprivileged_userns_clone=1";
    const UBUNTU: &str = "kernel.apparmor_restrict_unprivileged_userns=0";

    #[rstest]
    #[case::debian(
        Refused::Users(EPERM),
        restricted(DEBIAN),
        "run it as root, or `sysctl -w kernel.unprivileged_userns_clone=1`"
    )]
    #[case::ubuntu(
        Refused::Powerless(EPERM),
        restricted(UBUNTU),
        "run it as root, or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
    )]
    #[case::nothing_known(
        Refused::Powerless(EPERM),
        MACHINE,
        "run it as root, or look what the kernel's log says of it: `dmesg`"
    )]
    #[case::none_allowed(
        Refused::Limit(Kind::User),
        MACHINE,
        "run it as root, or `sysctl -w user.max_user_namespaces=65536`"
    )]
    #[case::none_allowed_to_anybody(
        Refused::Limit(Kind::Mount),
        MACHINE,
        "`sysctl -w user.max_mnt_namespaces=65536`"
    )]
    #[case::none_allowed_to_root(
        Refused::Limit(Kind::Network),
        root(),
        "`sysctl -w user.max_net_namespaces=65536`"
    )]
    #[case::root_under_a_filter(Refused::Namespaces(Kind::Mount, EPERM), filtered(root()), FILTER)]
    #[case::a_user_under_a_filter(Refused::Users(EPERM), filtered(MACHINE), FILTER)]
    #[case::covered(
        Refused::Proc(EPERM),
        covered(MACHINE),
        "run it as root, or `umount /proc/scsi/device /proc/scsi`"
    )]
    #[case::root_is_not_kept_from_proc_by_covers(Refused::Proc(EPERM), covered(root()), UNKNOWN)]
    fn what_mends_it_depends_on_who_is_refused_what(
        #[case] refused: Refused,
        #[case] confinement: Confinement,
        #[case] mend: &str,
    ) {
        assert_eq!(refused.mend(&confinement).as_deref(), Some(mend));
    }

    #[rstest]
    fn a_container_is_started_otherwise(
        #[values(Rights::Root, Rights::User)] rights: Rights,
        #[values(
            Refused::Users(EPERM),
            Refused::Powerless(EPERM),
            Refused::Namespaces(Kind::Mount, EPERM),
            Refused::Proc(EPERM),
            Refused::Other("keep mounts to itself".to_owned(), Errno::EACCES),
        )]
        refused: Refused,
    ) {
        let confinement = Confinement {
            rights,
            inside: Inside::Container,
            ..filtered(covered(MACHINE))
        };
        assert_eq!(refused.mend(&confinement).as_deref(), Some(CONTAINER));
    }

    #[rstest]
    #[case(Kind::User, EPERM, Rights::User, Refused::Users(EPERM))]
    #[case(Kind::Mount, EPERM, Rights::User, Refused::Powerless(EPERM))]
    #[case(
        Kind::Mount,
        EPERM,
        Rights::Root,
        Refused::Namespaces(Kind::Mount, EPERM)
    )]
    #[case(Kind::User, Errno::ENOSPC, Rights::User, Refused::Limit(Kind::User))]
    #[case(Kind::Ipc, Errno::ENOSPC, Rights::Root, Refused::Limit(Kind::Ipc))]
    fn an_errno_says_why_there_is_no_namespace(
        #[case] kind: Kind,
        #[case] errno: Errno,
        #[case] rights: Rights,
        #[case] refused: Refused,
    ) {
        assert_eq!(Refused::namespace(kind, errno, rights), refused);
    }
}
