//! A package before it is in any image, and an unpacked root filesystem: builds of the user's own, without Docker.

use std::fs;
use std::path::PathBuf;

use super::lab::{both, iptables_lab, joined};
use super::lane::usual_store;

/// The package of bookworm's iptables, and the tar of its root filesystem, as the store has them.
fn of_bookworm() -> (PathBuf, PathBuf) {
    let store = usual_store();
    let read = |path: PathBuf| -> serde_json::Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let set = read(store.join("sets/bookworm-iptables.json"));
    let packages = set["packages"].as_array().unwrap().iter();
    let mut iptables = packages.filter(|of| of["name"] == "iptables");
    let digest = iptables.next().unwrap()["sha256"].as_str().unwrap();
    let package = store.join(format!("packages/{digest}.deb"));
    let mut builds = fs::read_dir(store.join("builds")).unwrap();
    let root = builds.find_map(|build| {
        let folder = build.unwrap().path();
        let ids = read(folder.join("build.json"))["ids"].clone();
        let ids = ids.as_array().unwrap();
        let is_it = ids.iter().any(|id| id == "debian-1.8.9-2-nft");
        is_it.then(|| folder.join("rootfs.tar"))
    });
    (package, root.unwrap())
}

#[test]
fn a_package_and_a_root_filesystem_read_as_the_build_that_holds_the_same() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let (package, root) = of_bookworm();
    let unpacked = folder.path().join("root");
    fs::create_dir(&unpacked).unwrap();
    let mut tar = tar::Archive::new(fs::File::open(&root).unwrap());
    tar.unpack(&unpacked).unwrap();
    let own = format!(
        "[[build]]\nname = 'packaged'\ndeb = '{}'\nsuite = 'bookworm'\n\
         [[build]]\nname = 'tarred'\nrootfs = '{}'\n\
         [[build]]\nname = 'unpacked'\nrootfs = 'root'\n\
         [[build]]\nname = 'slim'\nrootfs = 'root'\nwithout = ['mark']\n\
         [[build]]\nname = 'wrong'\nrootfs = 'root'\nwithout = ['nothing']\n",
        package.display(),
        root.display()
    );
    let file = folder.path().join("own.toml");
    fs::write(&file, own).unwrap();
    let mut command = iptables_lab();
    command
        .args(["--engine", "native", "--builds"])
        .arg(&file)
        .args(["matrix", "--scenario", "kube-firewall", "--format", "json"])
        .args(["--writer", "debian-1.8.7-1-nft"]);
    let alike = ["debian-1.8.9-2", "packaged", "tarred", "unpacked"];
    for reader in alike.iter().chain(&["slim"]) {
        command.args(["--reader", &format!("{reader}-nft")]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let matrix: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcome = |reader: &str| {
        let cells = joined(&matrix);
        let is_it = |cell: &&serde_json::Value| cell["reader"] == format!("{reader}-nft");
        let found = cells.iter().find(is_it).unwrap();
        found["outcome"]["rules"].clone()
    };
    for reader in &alike[1..] {
        assert_eq!(outcome(reader), outcome(alike[0]), "{reader}");
    }
    // Kubelet's rule matches a mark.
    assert_ne!(outcome("slim"), outcome(alike[0]));
    let mut command = iptables_lab();
    command.args(["--engine", "native", "--builds"]).arg(&file);
    let output = command.args(["builds", "build", "wrong"]).output().unwrap();
    let said = both(&output);
    let said: Vec<&str> = said
        .split_whitespace()
        .filter(|word| *word != "│")
        .collect();
    let why = "it is to be without the extension `nothing`, and has no such file";
    assert!(said.join(" ").contains(why), "{said:?}");
}
