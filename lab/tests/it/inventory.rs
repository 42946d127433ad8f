//! What is found under the root of a process that has another root than the host.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use iptables_lab::images::Store;
use serde_json::Value;

use super::lab::{both, iptables_lab, small_run};
use super::lane::usual_store;

/// A process in a root of its own: the lab's agent, which waits for what never comes.
struct Elsewhere {
    root: tempfile::TempDir,
    process: Child,
}

impl Elsewhere {
    /// With the root filesystem of one of the small run's builds.
    fn with(id: &str) -> Elsewhere {
        let head = &small_run().recording.head;
        let build = head
            .builds
            .iter()
            .find(|build| build.id.as_str() == id)
            .unwrap();
        let store = Store::open(&usual_store()).unwrap();
        let (_, tar) = store.build(&build.key).unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut unpack = Command::new("tar");
        unpack.arg("-xf").arg(tar).arg("-C").arg(root.path());
        assert!(unpack.status().unwrap().success());
        std::fs::copy(
            env!("CARGO_BIN_EXE_iptables-lab"),
            root.path().join("agent"),
        )
        .unwrap();
        let mut process = Command::new("unshare");
        process
            .args(["-m", "chroot"])
            .arg(root.path())
            .args(["/agent", "agent"]);
        let process = process
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let elsewhere = Elsewhere { root, process };
        elsewhere.wait_for_its_root();
        elsewhere
    }

    fn wait_for_its_root(&self) {
        let link = format!("/proc/{}/root", self.process.id());
        for _ in 0..3000 {
            if std::fs::read_link(&link).is_ok_and(|root| root != Path::new("/")) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the process did not change its root");
    }

    fn json(&self) -> Value {
        let pid = self.process.id().to_string();
        let mut command = iptables_lab();
        let output = command
            .args(["inventory", "--format", "json", "--pid", &pid])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn both_backends_of_a_root_are_found_with_their_versions() {
    needs!(Root, Engine);
    let elsewhere = Elsewhere::with("debian-1.8.7-1-nft");
    std::fs::write(elsewhere.root.path().join("run/xtables.lock"), "").unwrap();
    let found = elsewhere.json();
    let [root] = found["roots"].as_array().unwrap().as_slice() else {
        panic!("{found:#}");
    };
    assert_eq!(root["pid"], elsewhere.process.id());
    assert_eq!(root["is_host"], false);
    assert_ne!(root["lock"]["is_shared_with_host"], true);
    let file = std::fs::metadata(elsewhere.root.path().join("run/xtables.lock")).unwrap();
    assert_eq!(
        root["lock"]["inode"],
        std::os::unix::fs::MetadataExt::ino(&file)
    );
    let banners: Vec<(&str, &str)> = root["iptables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            (
                of["backend"].as_str().unwrap(),
                of["banner"].as_str().unwrap(),
            )
        })
        .collect();
    for expected in [
        ("nft", "iptables v1.8.7 (nf_tables)"),
        ("legacy", "iptables v1.8.7 (legacy)"),
    ] {
        assert!(banners.contains(&expected), "{banners:?}");
    }
}

#[test]
fn advice_takes_an_inventory_as_it_is_printed() {
    needs!(Root, Engine);
    let elsewhere = Elsewhere::with("debian-1.8.7-1-nft");
    let mut found = elsewhere.json();
    // This machine's own host need not have an iptables.
    let mut host = found["roots"][0].clone();
    host["is_host"] = true.into();
    host["debian_package"] = "1.8.9-2".into();
    found["roots"].as_array_mut().unwrap().push(host);
    let file = elsewhere.root.path().join("node.json");
    std::fs::write(&file, found.to_string()).unwrap();
    let mut command = iptables_lab();
    command
        .args(["advise", "--published", "--inventory"])
        .arg(&file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let build = found["roots"][0]["debian_package"].as_str();
    let build = build.map_or("1.8.7".to_owned(), |version| format!("debian-{version}"));
    for part in [
        &*format!("{build}-nft"),
        "host: package iptables 1.8.9-2 (debian-1.8.9-2-nft)",
        "drops `-m mark`",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

/// Who links `xtables-nft-multi` to a path of the host's finds that path in its own root, where there is nothing.
#[test]
fn no_link_leads_out_of_a_root() {
    needs!(Root, Engine);
    let elsewhere = Elsewhere::with("debian-1.8.7-1-nft");
    let local = elsewhere.root.path().join("usr/local/sbin");
    std::fs::create_dir_all(&local).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_iptables-lab"), local.join("iptables")).unwrap();
    for (name, target) in [
        ("xtables-nft-multi", "/bin/true"),
        ("xtables-legacy-multi", "/proc/1/root/bin/true"),
    ] {
        assert!(Path::new("/bin/true").exists());
        std::os::unix::fs::symlink(target, local.join(name)).unwrap();
    }
    let found = elsewhere.json();
    let all = found["roots"][0]["iptables"].as_array().unwrap();
    let paths: Vec<&str> = all
        .iter()
        .flat_map(|of| of["paths"].as_array().unwrap())
        .map(|path| path.as_str().unwrap())
        .filter(|path| path.starts_with("/usr/local/sbin/"))
        .collect();
    assert_eq!(paths, ["/usr/local/sbin/iptables"]);
    let local = all
        .iter()
        .find(|of| of["paths"][0] == "/usr/local/sbin/iptables")
        .unwrap();
    let banner = local["banner"].as_str().unwrap();
    assert!(banner.starts_with("iptables-lab "), "{banner}");
    assert!(local["backend"].is_null(), "{local}");
}

#[test]
fn people_are_told_who_shares_the_lock() {
    needs!(Root, Engine);
    let elsewhere = Elsewhere::with("debian-1.8.7-1-nft");
    let pid = elsewhere.process.id().to_string();
    let output = iptables_lab()
        .args(["inventory", "--pid", &pid])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("process {pid} (")), "{said}");
    assert!(said.contains("iptables v1.8.7 (nf_tables)"), "{said}");
    assert!(said.contains("no xtables.lock"), "{said}");
    assert!(said.contains("1 processes were looked at"), "{said}");
}

#[test]
fn only_root_can_take_it() {
    needs!(Root);
    let mut binary = Vec::new();
    let mut file = std::fs::File::open(env!("CARGO_BIN_EXE_iptables-lab")).unwrap();
    file.read_to_end(&mut binary).unwrap();
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("lab");
    std::fs::write(&copy, binary).unwrap();
    let set = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    set(folder.path());
    set(&copy);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(&copy)
        .arg("inventory");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("only root can look"),
        "{}",
        both(&output)
    );
}
