//! The script that `show` prints, as people paste it.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::lab::{both, iptables_lab};

/// Containers of two scripts may have the same names.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the script of a pairing prints that saves `rules`.
fn script_of(writer: &str, reader: &str, rules: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("plain.toml");
    let text = format!(
        "title = 't'\ngroup = 'nft'\nfamilies = ['ipv4']\nwrite = 'nft'\n\
         source = {{ project = 'none', url = 'none', version = 'none' }}\n{rules}"
    );
    std::fs::write(&scenario, text).unwrap();
    let shown = iptables_lab()
        .args(["--engine", "docker", "show", writer, reader])
        .args(["--operation", "save", "--scenario"])
        .arg(&scenario)
        .output()
        .unwrap();
    assert!(shown.status.success(), "{}", both(&shown));
    let page = String::from_utf8(shown.stdout).unwrap();
    let begins = page.find("# commands as they were run").unwrap();
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let script = Command::new("sh").args(["-c", &page[begins..]]).output();
    let script = script.unwrap();
    assert!(script.status.success(), "{}", both(&script));
    both(&script)
}

const OWN: &str = "[rules]\nipv4 = '''\n\
    add table ip filter\nadd chain ip filter INPUT { type filter hook input priority 0; }\n\
    add rule ip filter INPUT ip saddr 192.0.2.1 drop\n'''\n";

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
    let printed = script_of(writer, "debian-1.8.9-2-nft", OWN);
    // nft's own words, and then iptables'.
    assert!(printed.contains("ip saddr 192.0.2.1 drop"), "{printed}");
    assert!(
        printed.contains("-A INPUT -s 192.0.2.1/32 -j DROP"),
        "{printed}"
    );
}

/// A program that stays is there while the commands after it run.
#[test]
fn the_script_of_a_program_that_stays_keeps_it() {
    needs!(Docker);
    let layer = "[[layer]]\nwrite = 'nft'\nstays = true\n\
        source = { project = 'none', url = 'none', version = 'none' }\n[layer.rules]\nipv4 = '''\n\
        add table inet own { flags owner; }\nadd chain inet own c\nadd rule inet own c accept\n'''\n";
    let reader = "debian-nft-1.1.3-1";
    let printed = script_of(reader, reader, &format!("{OWN}{layer}"));
    assert!(printed.contains("table inet own {"), "{printed}");
    assert!(printed.contains("\tflags owner\n"), "{printed}");
}
