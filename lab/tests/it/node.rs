//! A node as people run it: a host, a kubelet and a CNI plugin in containers of their own, each with an iptables of its own,
//! in one network namespace. It is where the chain of 2022 is seen from one end to the other (Kubernetes issue 112477): one
//! loses the mark of another's rule, the node drops every packet, and the lab says who, what and what to do.

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use iptables_lab::leftovers::Claim;
use nix::sched::{CloneFlags, setns};
use rstest::rstest;
use serde_json::Value;
use testcontainers::core::{AccessMode, ExecCommand, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use super::docker::{docker, until, wait};
use super::lab::{both, iptables_lab};
use super::lane::usual_store;

/// Whose `/run/xtables.lock` a container has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LockOf {
    Host,
    Itself,
}

/// What runs in a container: its process's name, and the package of iptables that it brings along.
#[derive(Clone, Copy)]
struct Who {
    process: &'static str,
    package: &'static str,
}

const HOST: Who = Who {
    process: "systemd",
    package: "1.8.11-2",
};
const KUBELET: Who = Who {
    process: "kubelet",
    package: "1.8.9-2",
};
/// kube-router 1.5.1 had iptables 1.8.7.
const CNI: Who = Who {
    process: "kube-router",
    package: "1.8.7-1",
};

/// The rule that kubelet 1.25 wrote.
const KUBELETS_RULE: [&str; 12] = [
    "-A",
    "KUBE-FIREWALL",
    "-m",
    "comment",
    "--comment",
    "kubernetes firewall for dropping marked packets",
    "-m",
    "mark",
    "--mark",
    "0x8000/0x8000",
    "-j",
    "DROP",
];

/// The containers, the host's first: the others are in its network and process namespaces. They go when this is dropped, and
/// if that is never done, when the lab is next started.
struct Node {
    containers: Vec<ContainerAsync<GenericImage>>,
    folder: tempfile::TempDir,
    claim: Claim,
}

impl Node {
    fn with(cnis_lock: LockOf) -> Node {
        make_images();
        let store = usual_store();
        let mut node = Node {
            containers: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            claim: Claim::new(&store).unwrap(),
        };
        node.start(HOST, LockOf::Host);
        node.start(KUBELET, LockOf::Host);
        node.start(CNI, cnis_lock);
        node
    }

    fn start(&mut self, who: Who, lock: LockOf) {
        let (repository, tag) = image_of(who);
        let mut request = GenericImage::new(repository, tag)
            .with_entrypoint(&format!("/opt/{}", who.process))
            .with_cmd(["agent"])
            .with_labels(self.claim.labels())
            .with_open_stdin(true)
            .with_cap_drop("ALL")
            .with_cap_add("NET_ADMIN")
            .with_cap_add("NET_RAW");
        for (from, to) in self.files(who, lock) {
            let mount = Mount::bind_mount(from, to);
            request = request.with_mount(mount.with_access_mode(AccessMode::ReadOnly));
        }
        request = request.with_mount(Mount::bind_mount(self.path("shared"), "/shared"));
        let host = self.containers.first().map(|of| of.id().to_owned());
        let request = request.with_host_config_modifier(move |config| {
            config.publish_all_ports = None;
            config.port_bindings = None;
            // testcontainers' own `with_network` would make a Docker network of that name.
            let joined = host.as_ref().map(|id| format!("container:{id}"));
            config.pid_mode = joined.clone();
            config.network_mode = joined.or(Some("none".to_owned()));
        });
        self.containers.push(wait(request.start()).unwrap());
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// What an image that is made for the lab lacks beside one that people run, and whose lock is in it.
    fn files(&self, who: Who, lock: LockOf) -> [(String, String); 5] {
        let file = |name: &str, text: &str| {
            let path = self.path(&format!("{name}.{}", who.process));
            std::fs::write(&path, text).unwrap();
            path
        };
        let alternatives = self.path(&format!("alternatives.{}", who.process));
        for name in ["iptables", "iptables-save", "iptables-restore"] {
            let target = name.replace("iptables", "/usr/sbin/iptables-nft");
            std::fs::create_dir_all(&alternatives).unwrap();
            symlink(target, Path::new(&alternatives).join(name)).unwrap();
        }
        std::fs::create_dir_all(self.path("shared")).unwrap();
        let owner = match lock {
            LockOf::Host => HOST,
            LockOf::Itself => who,
        };
        let lock = self.path(&format!("lock.{}", owner.process));
        let mut open = std::fs::File::options();
        open.append(true).create(true).open(&lock).unwrap();
        let status = format!("Package: iptables\nVersion: {}\n", who.package);
        [
            (
                env!("CARGO_BIN_EXE_iptables-lab").to_owned(),
                format!("/opt/{}", who.process),
            ),
            (alternatives, "/usr/local/sbin".to_owned()),
            (
                file("os-release", "ID=debian\n"),
                "/etc/os-release".to_owned(),
            ),
            (file("status", &status), "/var/lib/dpkg/status".to_owned()),
            (lock, "/run/xtables.lock".to_owned()),
        ]
    }

    /// What a command in a container printed. It must succeed.
    fn exec<'a>(&self, who: Who, words: impl IntoIterator<Item = &'a str>) -> String {
        let place = [HOST, KUBELET, CNI];
        let place = place
            .iter()
            .position(|of| of.process == who.process)
            .unwrap();
        let words: Vec<&str> = words.into_iter().collect();
        let command = ExecCommand::new(words.clone());
        let mut ran = wait(self.containers[place].exec(command)).unwrap();
        let said = wait(ran.stdout_to_vec()).unwrap();
        let status = until("a command's end", || wait(ran.exit_code()).unwrap());
        let complaints = wait(ran.stderr_to_vec()).unwrap();
        let complaints = String::from_utf8_lossy(&complaints);
        assert_eq!(status, 0, "{words:?}: {complaints}");
        String::from_utf8(said).unwrap()
    }

    /// Kubelet's chain, as it makes it: a command a rule.
    fn kubelet_writes(&self) {
        self.exec(KUBELET, ["iptables", "-N", "KUBE-FIREWALL"]);
        self.exec(KUBELET, [&["iptables"], &KUBELETS_RULE[..]].concat());
        for hook in ["INPUT", "OUTPUT"] {
            self.exec(KUBELET, ["iptables", "-I", hook, "-j", "KUBE-FIREWALL"]);
        }
    }

    /// `iptables-save`, and that restored.
    fn cni_rewrites(&self) {
        let print = self.exec(CNI, ["iptables-save"]);
        std::fs::write(self.folder.path().join("shared/rules"), print).unwrap();
        self.exec(CNI, ["iptables-restore", "/shared/rules"]);
    }

    /// The host's process, as this machine numbers it.
    fn pid(&self) -> i64 {
        let container = self.containers[0].id();
        let inspected = wait(docker().client().inspect_container(container, None)).unwrap();
        inspected.state.and_then(|state| state.pid).unwrap()
    }

    /// Sends a packet to the node's own loopback.
    fn sends_to_itself(&self) -> std::io::Result<usize> {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.pid())).unwrap();
        let send = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = receiver.local_addr().unwrap();
            UdpSocket::bind("127.0.0.1:0")
                .unwrap()
                .send_to(b"?", address)
        };
        std::thread::spawn(send).join().unwrap()
    }

    /// What `inventory --format json` prints to root on the node.
    fn inventory(&self) -> String {
        let mut command = Command::new("nsenter");
        let pid = self.pid().to_string();
        command.args(["--target", &pid, "--mount", "--pid", "--"]);
        command.args(["/opt/systemd", "inventory", "--format", "json"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The host's last: the others are in its namespaces.
        for container in self.containers.drain(..).rev() {
            let removed = wait(container.rm());
            if !std::thread::panicking() {
                removed.unwrap();
            }
        }
    }
}

fn make_images() {
    let images = [HOST, KUBELET, CNI].map(|who| format!("debian-{}", who.package));
    let mut command = iptables_lab();
    command
        .args(["--engine", "docker", "builds", "build"])
        .args(images);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
}

/// Repository and tag of the newest image that the lab made of a package.
fn image_of(who: Who) -> (String, String) {
    let repository = format!("iptables-lab/debian-{}", who.package);
    let images = wait(docker().own_images()).unwrap();
    let made = images.into_iter().filter_map(|image| {
        let tag = image.tag.filter(|tag| tag.repository == repository)?;
        Some((image.created, tag.tag))
    });
    let (_, tag) = made.max().expect("the image was made");
    (repository, tag)
}

/// What the lab prints when it is given `text`.
fn lab(words: &[&str], text: &str) -> String {
    let mut command = iptables_lab();
    command.args(words).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output: Output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[rstest]
#[case::of_a_cni_that_shares_it(LockOf::Host)]
#[case::of_a_cni_with_its_own(LockOf::Itself)]
fn an_inventory_says_who_is_on_a_node_and_who_has_the_hosts_lock(#[case] cnis_lock: LockOf) {
    needs!(Root, Docker);
    let node = Node::with(cnis_lock);
    let found: Value = serde_json::from_str(&node.inventory()).unwrap();
    let mut roots: Vec<_> = found["roots"]
        .as_array()
        .unwrap()
        .iter()
        .map(of_root)
        .collect();
    roots.sort();
    let mut expected = [
        (HOST, true, true),
        (KUBELET, false, true),
        (CNI, false, cnis_lock == LockOf::Host),
    ]
    .map(|(who, is_host, shares)| {
        let upstream = who.package.split('-').next().unwrap();
        let banner = format!("iptables v{upstream} (nf_tables)");
        (
            who.process.to_owned(),
            is_host,
            shares,
            who.package.to_owned(),
            banner,
        )
    });
    expected.sort();
    assert_eq!(roots, expected);
}

/// Process, whether it is the host's, whether its lock is the host's, package, and what its `iptables` says it is.
fn of_root(root: &Value) -> (String, bool, bool, String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = root["iptables"].as_array().unwrap();
    let default = all.iter().find(|of| of["is_default"] == true).unwrap();
    (
        text(&root["command"]),
        root["is_host"] == true,
        root["lock"]["is_shared_with_host"] == true,
        text(&root["debian_package"]),
        text(&default["banner"]),
    )
}

/// The case that started the lab, from the first rule to the advice.
#[test]
fn a_cni_that_loses_kubelets_mark_cuts_the_node_off_and_the_lab_says_how_it_came_and_what_to_do() {
    needs!(Root, Docker);
    let node = Node::with(LockOf::Host);
    node.kubelet_writes();
    let before = node.exec(HOST, ["iptables-save"]);
    assert!(before.contains("--mark 0x8000/0x8000 -j DROP"), "{before}");
    assert!(node.sends_to_itself().is_ok());

    node.cni_rewrites();
    let after = node.exec(HOST, ["iptables-save"]);
    assert!(!after.contains("--mark"), "{after}");
    assert!(after.contains("marked packets\" -j DROP"), "{after}");
    let refused = node.sends_to_itself().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);

    let diagnosis = lab(&["diagnose"], &after);
    let repair = "--mark 0x00008000/0x00008000 -j DROP";
    for part in ["KUBE-FIREWALL", "mark", "blackhole", repair] {
        assert!(diagnosis.contains(part), "{part}\n{diagnosis}");
    }
    let sound = lab(&["diagnose"], &before);
    assert!(!sound.contains("blackhole"), "{sound}");

    let words = [
        "--engine",
        "native",
        "advise",
        "--scenario",
        "kube-firewall",
        "--inventory",
        "-",
    ];
    let advice = lab(&words, &node.inventory());
    for part in [
        "kubelet",
        "kube-router",
        "mark",
        "blackhole",
        "debian-1.8.7-1-nft",
    ] {
        assert!(advice.contains(part), "{part}\n{advice}");
    }
}

#[test]
fn nothing_of_a_node_is_left() {
    needs!(Root, Docker);
    let node = Node::with(LockOf::Itself);
    let ids: Vec<String> = node
        .containers
        .iter()
        .map(|of| of.id().to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    drop(node);
    for id in ids {
        let gone = wait(docker().client().inspect_container(&id, None));
        assert!(gone.is_err(), "{gone:?}");
    }
}
