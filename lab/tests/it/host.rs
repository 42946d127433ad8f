//! The host as a run could change it, and one that has something to lose.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use iptables_lab::agent::kernel;
use iptables_lab::docker::Docker;
use iptables_lab::observed::State;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use super::docker::wait;

/// What of the host a run could have changed.
#[derive(Debug, PartialEq)]
pub struct Host {
    interfaces: BTreeSet<String>,
    namespaces: BTreeSet<PathBuf>,
    networks: BTreeSet<String>,
    tables: Vec<String>,
    /// But for those of containers, which come and go with other tests.
    mounts: Vec<String>,
    /// None where this user may not look at them.
    rules: Option<State>,
}

/// The host as it is, as this thread sees it.
pub fn host() -> Host {
    // Without a daemon there are none.
    let networks = wait(async {
        let docker = Docker::connect().await.ok()?;
        Some(docker.client().list_networks(None).await.unwrap())
    });
    let here = |file: &str| fs::read_to_string(format!("/proc/thread-self/{file}"));
    let interfaces = here("net/dev").unwrap();
    let interfaces = interfaces.lines().filter_map(|line| line.split_once(':'));
    let tables = ["net/ip_tables_names", "net/ip6_tables_names"];
    let mounts = here("mountinfo").unwrap();
    let mounts = mounts.lines().filter(|line| !line.contains("docker"));
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    Host {
        mounts: mounts.map(str::to_owned).collect(),
        interfaces: interfaces.map(|(name, _)| name.trim().to_owned()).collect(),
        namespaces: named.map(|entry| entry.path()).collect(),
        networks: networks
            .into_iter()
            .flatten()
            .filter_map(|of| of.id)
            .collect(),
        tables: tables.map(|file| here(file).unwrap_or_default()).into(),
        rules: kernel::Reader::default().dump().ok(),
    }
}

/// Has `work` done on a host that holds rules of both backends in both families and whose mounts are shared, as systemd
/// has them: in namespaces of a thread's own. Whoever is not root has no other host than the machine's.
pub fn with_something_to_lose(work: impl FnOnce() + Send) {
    // The client's own threads are to stay outside.
    let _ = wait(Docker::connect());
    let on_it = || {
        if geteuid().is_root() {
            become_host();
        } else {
            println!("not run as root: the host is the machine's own, whatever it holds");
        }
        work();
    };
    let ended = std::thread::scope(|scope| scope.spawn(on_it).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn become_host() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    // Its own peers, and none of the machine's.
    for kind in [MsFlags::MS_PRIVATE, MsFlags::MS_SHARED] {
        let flags = MsFlags::MS_REC | kind;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
    }
    for (family, source) in [("ip", "192.0.2.1"), ("ip6", "2001:db8::1")] {
        for backend in ["nft", "legacy"] {
            let rules = format!("*filter\n:OWN - [0:0]\n-A OWN -s {source} -j DROP\nCOMMIT\n");
            restore(&format!("{family}tables-{backend}-restore"), &rules);
        }
    }
    let rules = host().rules.expect("root may look at them");
    assert_eq!((rules.nft.len(), rules.legacy.len()), (2, 2), "{rules:#?}");
}

/// Writes rules with the machine's own iptables, which Docker needs too.
fn restore(program: &str, rules: &str) {
    let mut restore = Command::new(program)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is not on this machine: {error}"));
    let mut stdin = restore.stdin.take().unwrap();
    stdin.write_all(rules.as_bytes()).unwrap();
    drop(stdin);
    assert!(restore.wait().unwrap().success(), "{program}");
}
