//! Every iptables under the roots of the running processes: read from files, and asked for its version in a sandbox. It
//! never reads rules.

mod sandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Backend;

/// Where distributions, and Kubernetes' distributions that bring their own, put iptables.
const FOLDERS: [&str; 8] = [
    "usr/sbin",
    "sbin",
    "usr/local/sbin",
    "usr/bin",
    "bin",
    "usr/local/bin",
    "var/lib/k0s/bin",
    "var/lib/rancher/k3s/data/current/bin/aux",
];

/// The names that are looked for there, and the backend that each has.
const PROGRAMS: [(&str, Option<Backend>); 3] = [
    ("xtables-nft-multi", Some(Backend::Nft)),
    ("xtables-legacy-multi", Some(Backend::Legacy)),
    ("iptables", None),
];

/// The version of the inventory's JSON form. The first one had `banner` as `{"Ok": …}` or `{"Err": …}`.
pub const SCHEMA: u32 = 2;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The roots that hold an iptables, the host's first.
    pub roots: Vec<Root>,
    /// How many processes were looked at.
    pub processes: usize,
    /// Processes that could not be looked at, each with the system's answer.
    pub unreadable: Vec<String>,
}

/// One root of one or several processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Root {
    /// The first of its processes.
    pub pid: u32,
    /// What that process is called.
    pub command: String,
    /// Its mount namespace: `mnt:[4026531841]`.
    pub mount_namespace: String,
    /// Whether it is the host's: that of process 1.
    pub is_host: bool,
    /// The lock that its legacy builds take; none where there is no such file yet.
    pub lock: Option<Lock>,
    /// The version of Debian's package, where the root is one of Debian's.
    pub debian_package: Option<String>,
    /// What it holds.
    pub iptables: Vec<Found>,
}

/// `/run/xtables.lock` of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// The device that it lies on.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Whether it is the host's; unknown where the host's root cannot be read or holds none.
    pub is_shared_with_host: Option<bool>,
}

/// An iptables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Its paths in its root: links lead to the same file.
    pub paths: Vec<String>,
    /// What `--version` printed; none where nothing is known.
    pub banner: Option<String>,
    /// Why nothing is known.
    pub error: Option<String>,
    /// `1.8.9`, where the banner says so.
    pub version: Option<String>,
    /// The backend, where name or banner say so.
    pub backend: Option<Backend>,
    /// Whether it is what `iptables` means there.
    pub is_default: bool,
}

/// The JSON Schema of the inventory's JSON form.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Inventory)
}

/// Looks through the processes of `proc` (`/proc`), or through just those in `only`.
///
/// # Errors
/// `proc` cannot be read.
pub fn take(proc: &Path, only: &[u32]) -> io::Result<Inventory> {
    let mut pids: Vec<u32> = std::fs::read_dir(proc)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    // The kernel's own threads live where the host does.
    let host = match command(proc, 2).as_str() {
        "kthreadd" => Place::of(proc, 1).or_else(|_| Place::of(proc, 2)).ok(),
        _ => Place::of(proc, 1).ok(),
    };
    let host_lock = host.as_ref().and_then(|host| lock(&host.root));
    let mut inventory = Inventory {
        schema: SCHEMA,
        roots: Vec::new(),
        processes: 0,
        unreadable: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for pid in pids
        .into_iter()
        .filter(|pid| only.is_empty() || only.contains(pid))
    {
        inventory.processes += 1;
        let place = match Place::of(proc, pid) {
            Ok(place) => place,
            // It has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                inventory.unreadable.push(format!("process {pid}: {error}"));
                continue;
            }
        };
        if !seen.insert(place.identity.clone()) {
            continue;
        }
        let iptables = programs(&place.root);
        if iptables.is_empty() {
            continue;
        }
        let is_host = host
            .as_ref()
            .is_some_and(|host| host.identity == place.identity);
        inventory.roots.push(Root {
            pid,
            command: command(proc, pid),
            mount_namespace: place.identity.0.clone(),
            is_host,
            lock: lock(&place.root).map(|(device, inode)| Lock {
                device,
                inode,
                is_shared_with_host: host_lock.map(|host| host == (device, inode)),
            }),
            debian_package: debian_package(&place.root),
            iptables,
        });
    }
    inventory.roots.sort_by_key(|root| !root.is_host);
    Ok(inventory)
}

/// The root of a process.
struct Place {
    root: OwnedFd,
    /// The mount namespace, and the root's device and inode.
    identity: (String, u64, u64),
}

impl Place {
    fn of(proc: &Path, pid: u32) -> io::Result<Place> {
        let of_process = proc.join(pid.to_string());
        let namespace = std::fs::read_link(of_process.join("ns/mnt"))?;
        let root = File::open(of_process.join("root"))?;
        let metadata = root.metadata()?;
        let namespace = namespace.to_string_lossy().into_owned();
        Ok(Place {
            root: root.into(),
            identity: (namespace, metadata.dev(), metadata.ino()),
        })
    }
}

/// What lies at `path` in `root`: no link leads out of it.
fn open(root: impl AsFd, path: &str, flags: OFlag) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(root, path, how)?.into())
}

/// A small text file of a root.
fn text(root: impl AsFd, path: &str) -> Option<String> {
    const LARGEST: u64 = 64 << 20;
    let file = open(
        root,
        path,
        OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
    )
    .ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn command(proc: &Path, pid: u32) -> String {
    let name = std::fs::read_to_string(proc.join(pid.to_string()).join("comm"));
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim_end().to_owned())
}

fn lock(root: &OwnedFd) -> Option<(u64, u64)> {
    let file = open(root, "run/xtables.lock", OFlag::O_PATH).ok()?;
    let metadata = file.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The version of Debian's package of iptables, in a root of Debian's.
fn debian_package(root: &OwnedFd) -> Option<String> {
    let release = text(root, "etc/os-release")?;
    release.lines().find(|line| *line == "ID=debian")?;
    let status = text(root, "var/lib/dpkg/status")?;
    let of_iptables = |entry: &&str| entry.lines().any(|line| line == "Package: iptables");
    let entry = status.split("\n\n").find(of_iptables)?;
    let version = entry
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))?;
    Some(version.to_owned())
}

/// Every iptables of a root. One file is one, however many names it has.
fn programs(root: &OwnedFd) -> Vec<Found> {
    let mut files: BTreeMap<(u64, u64), Found> = BTreeMap::new();
    let mut default = None;
    for folder in FOLDERS {
        for (name, backend) in PROGRAMS {
            let path = format!("{folder}/{name}");
            let Ok(file) = open(root, &path, OFlag::O_PATH) else {
                continue;
            };
            let Some(metadata) = file.metadata().ok().filter(std::fs::Metadata::is_file) else {
                continue;
            };
            let identity = (metadata.dev(), metadata.ino());
            // What comes first in PATH is meant; a wrapper that picks one is none of the two.
            if backend.is_none() {
                default.get_or_insert(identity);
            }
            let path = format!("/{path}");
            match files.get_mut(&identity) {
                Some(found) => found.paths.push(path),
                None => {
                    let banner = sandbox::version(root, &path, backend.is_some());
                    files.insert(identity, found(path, banner, backend));
                }
            }
        }
    }
    let mut found: Vec<Found> = files
        .into_iter()
        .map(|(identity, found)| Found {
            is_default: Some(identity) == default,
            ..found
        })
        .collect();
    found.sort_by(|one, other| one.paths.cmp(&other.paths));
    found
}

fn found(path: String, banner: Result<String, String>, backend: Option<Backend>) -> Found {
    let (banner, error) = match banner {
        Ok(banner) => (Some(banner), None),
        Err(error) => (None, Some(error)),
    };
    let said = banner.as_deref().unwrap_or_default();
    let says = |word: &str| said.contains(word);
    let version = said.split_once(" v").map(|(_, rest)| {
        rest.split([' ', '\n'])
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    let by_banner = match (says("(nf_tables)"), says("(legacy)")) {
        (true, _) => Some(Backend::Nft),
        (_, true) => Some(Backend::Legacy),
        _ => None,
    };
    Found {
        version: version.filter(|version| !version.is_empty()),
        backend: backend.or(by_banner),
        paths: vec![path],
        banner,
        error,
        is_default: false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("iptables v1.8.9 (nf_tables)", Some("1.8.9"), Some(Backend::Nft))]
    #[case("iptables v1.8.7 (legacy)", Some("1.8.7"), Some(Backend::Legacy))]
    #[case("iptables v1.6.1", Some("1.6.1"), None)]
    #[case("BusyBox", None, None)]
    fn a_banner_says_version_and_backend(
        #[case] banner: &str,
        #[case] version: Option<&str>,
        #[case] backend: Option<Backend>,
    ) {
        let found = found("/usr/sbin/iptables".to_owned(), Ok(banner.to_owned()), None);
        assert_eq!(
            (found.version.as_deref(), found.backend),
            (version, backend)
        );
    }
}
