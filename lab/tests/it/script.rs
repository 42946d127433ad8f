//! The script that `show` prints, as people paste it.

use std::process::Command;

use super::lab::{both, iptables_lab};

/// Its images and containers are called as Docker allows, where a version has a sign that Docker does not.
#[test]
fn the_script_of_a_build_with_a_plus_in_its_version_runs() {
    needs!(Docker);
    let listed = iptables_lab().args(["builds", "list"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut ids = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let writer = ids
        .find(|id| id.starts_with("debian-nft-") && id.contains('+'))
        .expect("Debian's stable nft has a security update");
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("plain.toml");
    let text = "title = 't'\ngroup = 'nft'\nfamilies = ['ipv4']\nwrite = 'nft'\n\
        source = { project = 'none', url = 'none', version = 'none' }\n[rules]\nipv4 = '''\n\
        add table ip filter\nadd chain ip filter INPUT { type filter hook input priority 0; }\n\
        add rule ip filter INPUT ip saddr 192.0.2.1 drop\n'''\n";
    std::fs::write(&scenario, text).unwrap();
    let shown = iptables_lab()
        .args(["--engine", "docker", "show", writer, "debian-1.8.9-2-nft"])
        .args(["--operation", "save", "--scenario"])
        .arg(&scenario)
        .output()
        .unwrap();
    assert!(shown.status.success(), "{}", both(&shown));
    let page = String::from_utf8(shown.stdout).unwrap();
    let begins = page.find("# commands as they were run").unwrap();
    let script = Command::new("sh").args(["-c", &page[begins..]]).output();
    let script = script.unwrap();
    assert!(script.status.success(), "{}", both(&script));
    let printed = String::from_utf8_lossy(&script.stdout);
    // nft's own words, and then iptables'.
    assert!(
        printed.contains("ip saddr 192.0.2.1 drop"),
        "{}",
        both(&script)
    );
    assert!(
        printed.contains("-A INPUT -s 192.0.2.1/32 -j DROP"),
        "{}",
        both(&script)
    );
}
