//! Advice for a cluster and for a node that is down, without an engine.

use std::process::Output;

use rstest::rstest;

use super::lab::{both, iptables_lab};

fn run(words: &[&str]) -> Output {
    // There is no daemon at this address.
    let command = &mut iptables_lab();
    command
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .args(words)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", both(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// One line, as it was before it was broken at blanks.
fn words(output: &Output) -> String {
    text(output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The answer comes first, in three lines; then who the members are, and the pairs.
#[test]
fn products_stand_for_builds_and_the_least_change_is_named() {
    let output = run(&[
        "advise",
        "--host",
        "debian@12",
        "--pods",
        "kube-router@1.5.1,kube-proxy@1.30",
        "--published",
    ]);
    let mut said = words(&output);
    assert!(said.starts_with("Not safe: "), "{said}");
    for part in [
        "Worst: blackhole (confirmed with packets): kube-router@1.5.1 (tested as 1.8.7-nft) drops `-m mark`",
        "Fix: run kube-router ",
        " or newer, which ships Alpine ",
        " (tested as 1.8.",
        "from the built-in report (",
        "Nothing was run now.",
        "Members",
        "host debian@12: Debian bookworm's iptables 1.8.9-2 (debian-1.8.9-2-nft); how it changes rules is not known",
        "kube-router@1.5.1: Alpine's iptables 1.8.7; 1.8.7-nft stands in for it, without its patches; rewrites whole tables",
        "kube-proxy@1.30: Debian bookworm's iptables 1.8.9-2 (debian-1.8.9-2-nft); restores its own chains with --noflush",
        "unsafe: host debian@12 and kube-proxy@1.30 → kube-router@1.5.1 (tested as 1.8.7-nft)",
    ] {
        let (_, after) = said
            .split_once(part)
            .unwrap_or_else(|| panic!("{part}\n{said}"));
        said = after.to_owned();
    }
    // Where the build is the package, it stands in for nothing.
    assert!(
        !text(&output).contains("kube-proxy@1.30 (tested as"),
        "{}",
        both(&output)
    );
}

/// Row 8: Felix restores with `--noflush`, so nothing that a rewrite of the whole table loses is lost by it.
#[test]
fn who_restores_its_own_chains_is_not_told_what_full_rewrites_do() {
    let words = [
        "advise",
        "--host",
        "debian@12",
        "--pods",
        "calico-node@3.26",
        "--published",
    ];
    let said = self::words(&run(&words));
    assert!(
        said.contains(
            "iptables 1.8.4-17 of CentOS Stream 8; 1.8.4-nft stands in for it, without its patches"
        ),
        "{said}"
    );
    assert!(
        said.contains("restores its own chains with --noflush"),
        "{said}"
    );
    assert!(!said.contains("blackhole"), "{said}");
    let output = run(&[&words[..], &["--format", "json"]].concat());
    let advice: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
    let pairs = advice["pairs"].as_array().unwrap();
    let to_felix = pairs
        .iter()
        .find(|pair| pair["reader"] == "calico-node@3.26")
        .unwrap();
    // The lab's 1.8.4 has none of CentOS's patches: it refuses to restore what it does not know, which nobody can miss.
    let harms = to_felix["harms"].as_array().unwrap();
    assert!(harms.iter().all(|of| of["verdict"] == "unrestorable"));
    let counted = to_felix["operations"].as_array().unwrap();
    assert!(counted.iter().all(|of| of == "sync-noflush"), "{to_felix}");
}

/// Row 7: which backend sees what, and whose rules packets meet, is the answer; the other backend is no change.
#[rstest]
#[case("debian-1.8.9-2-nft", "debian-1.8.9-2-legacy")]
#[case("debian@12", "tailscale@1.82.0")]
fn two_backends_on_one_node_are_never_safe(#[case] host: &str, #[case] pod: &str) {
    let output = run(&["advise", "--host", host, "--pods", pod, "--published"]);
    let said = words(&output);
    for part in [
        "Never safe: two backends are in use on this node, nft and legacy.",
        "Fix: no newer release helps.",
        "Who sees what: ",
        " cannot list, check, delete or restore what ",
        "Whose rules packets meet: both.",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    for wrong in ["every pair is safe", "Fix: run", "Safe:"] {
        assert!(!said.contains(wrong), "{wrong}\n{said}");
    }
}

#[rstest]
#[case("kube-router@1.5.1", "unsafe", 1)]
#[case("kube-router@1.5.1", "blackhole", 1)]
#[case("kube-router@1.5.1", "lossy", 1)]
#[case("kube-router@1.5.1", "two-backends", 0)]
#[case("tailscale@1.82.0", "two-backends", 1)]
#[case("calico-node@3.26", "not-tested", 1)]
#[case("tailscale@1.82.0", "unsafe", 0)]
fn what_fail_on_names_ends_with_status_1(
    #[case] pod: &str,
    #[case] condition: &str,
    #[case] status: i32,
) {
    let words = [
        "advise",
        "--published",
        "--host",
        "debian@12",
        "--pods",
        pod,
        "--fail-on",
        condition,
    ];
    let output = run(&words);
    assert_eq!(output.status.code(), Some(status), "{}", both(&output));
}

/// What nothing comes of is no option.
#[test]
fn its_help_has_no_option_that_it_does_not_use() {
    let help = text(&run(&["advise", "--help"]));
    assert!(!help.contains("--operation"), "{help}");
    for option in [
        "--scenario",
        "--rules",
        "--family",
        "--lanes",
        "--timeout",
        "--fail-on",
        "--full",
        "--format",
    ] {
        assert!(help.contains(option), "{option}\n{help}");
    }
}

#[rstest]
#[case("80", "", 50)]
#[case("120", "", 45)]
#[case("80", "--full", 3000)]
fn advice_about_many_losses_is_short_enough_to_be_read(
    #[case] columns: &str,
    #[case] full: &str,
    #[case] lines: usize,
) {
    let mut command = iptables_lab();
    command.env("COLUMNS", columns);
    command.args(["advise", "--published", "--host", "debian-1.8.9-2-nft"]);
    command
        .args(["--pods", "1.8.7-nft,1.8.8-legacy"])
        .args(Some(full).filter(|of| !of.is_empty()));
    let page = text(&command.output().unwrap());
    let width = columns.parse().unwrap();
    // A rule is one word where nothing in it may be broken.
    let is_short = |line: &str| line.chars().count() <= width || !line.trim().contains(' ');
    assert!(page.lines().all(is_short), "{page}");
    assert!(page.lines().count() < lines, "{page}");
    assert!(page.starts_with("Not safe: "), "{page}");
}

const INVENTORY: &str = r#"{
  "schema": 2, "processes": 4, "unreadable": [], "roots": [HOST
    { "pid": 20, "command": "kube-router", "mount_namespace": "mnt:[2]", "is_host": false, "lock": null, "debian_package": null,
      "iptables": [{ "paths": ["/sbin/iptables"], "banner": "iptables v1.8.7 (nf_tables)", "error": null, "version": "1.8.7",
                     "backend": "nft", "is_default": true }] },
    { "pid": 21, "command": "helper", "mount_namespace": "mnt:[3]", "is_host": false, "lock": null, "debian_package": null,
      "iptables": [{ "paths": ["/sbin/iptables"], "banner": "iptables v1.8.7 (nf_tables)", "error": null, "version": "1.8.7",
                     "backend": "nft", "is_default": true }] },
    { "pid": 22, "command": "\u001b[31mred", "mount_namespace": "mnt:[4]", "is_host": false, "lock": null,
      "debian_package": null,
      "iptables": [{ "paths": ["/sbin/iptables"], "banner": "iptables v1.6.0", "error": null, "version": "1.6.0",
                     "backend": "legacy", "is_default": true }] }
  ] }"#;

const HOST: &str = r#"
    { "pid": 1, "command": "systemd", "mount_namespace": "mnt:[1]", "is_host": true, "lock": null, "debian_package": "1.8.9-2",
      "iptables": [{ "paths": ["/usr/sbin/xtables-nft-multi"], "banner": "iptables v1.8.9 (nf_tables)", "error": null,
                     "version": "1.8.9", "backend": "nft", "is_default": true }] },"#;

#[test]
fn an_inventory_says_who_lives_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.json");
    std::fs::write(&file, INVENTORY.replace("HOST", HOST)).unwrap();
    let output = run(&[
        "advise",
        "--published",
        "--inventory",
        file.to_str().unwrap(),
    ]);
    let said = words(&output);
    for part in [
        "Fix: run kube-router, helper with iptables 1.8.",
        "host: package iptables 1.8.9-2 (debian-1.8.9-2-nft); how it changes rules is not known",
        "kube-router, helper: iptables v1.8.7 (nf_tables); 1.8.7-nft stands in for it",
        "unsafe: host → kube-router, helper (tested as 1.8.7-nft)",
        "Nothing is known of the iptables of \u{fffd}[31mred (1.6.0-legacy)",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn a_package_that_nothing_is_known_of_is_answered_for_by_its_release() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.json");
    let host = HOST.replace("1.8.9-2", "1.8.9-2ubuntu7");
    std::fs::write(&file, INVENTORY.replace("HOST", &host)).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["advise", "--published", "--inventory", file]);
    let said = words(&output);
    assert!(
        said.contains("iptables 1.8.9-2ubuntu7; 1.8.9-nft stands in for it, without its patches"),
        "{said}"
    );
}

#[rstest]
#[case("{}", "is no inventory: missing field `schema`")]
#[case("*filter", "is no inventory: expected value")]
#[case(&INVENTORY.replace("HOST", ""), "has no iptables of the host's, or one that nothing is known of")]
#[case(&INVENTORY.replace("HOST", HOST).replace("\"schema\": 2", "\"schema\": 3"), "is an inventory of schema 3, and this program reads schema 2")]
#[case(
    r#"{ "schema": 1, "roots": [{ "iptables": [{ "banner": { "Ok": "iptables v1.8.7" } }] }] }"#,
    "is an inventory of schema 1"
)]
fn what_is_no_inventory_is_called_what_it_is(#[case] json: &str, #[case] why: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.json");
    std::fs::write(&file, json).unwrap();
    let output = run(&[
        "advise",
        "--published",
        "--inventory",
        file.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(why), "{said}");
}

#[test]
fn where_nothing_can_be_run_it_says_so_and_answers_from_the_report() {
    let output = run(&[
        "advise",
        "--quiet",
        "--engine",
        "docker",
        "--host",
        "debian-1.8.9-2-nft",
        "--pods",
        "debian-1.8.11-2-nft",
    ]);
    let said = words(&output);
    assert!(said.contains("Nothing could be run here: "), "{said}");
    assert!(said.contains("Fix: nothing needs to change."), "{said}");
}

#[rstest]
#[case(&["--host", "debian@12", "--pods", "kube-ruter@1.5"], 2, "no product is called `kube-ruter`")]
#[case(&["--host", "debian@12", "--pods", "kube-router@1.5"], 2, "may be one of several")]
#[case(&["--host", "nonsense", "--pods", "debian@12"], 2, "the report has no build called nonsense")]
#[case(&["--host", "debian@12", "--pods", "debian@11", "--operation", "save"], 2, "unexpected argument '--operation'")]
#[case(&["--host", "debian@12", "--pods", "debian@11", "--fail-on", "kept"], 2, "unsafe, two-backends, not-tested")]
fn what_stands_for_nothing_is_named(
    #[case] words: &[&str],
    #[case] status: i32,
    #[case] said: &str,
) {
    let output = run(&[&["advise", "--quiet", "--engine", "docker"], words].concat());
    assert_eq!(output.status.code(), Some(status), "{}", both(&output));
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(said), "{text}");
}
