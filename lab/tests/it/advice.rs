//! Advice for a cluster and for a node that is down, without an engine.

use std::io::Write;
use std::process::{Output, Stdio};

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

fn diagnose(print: &str) -> Output {
    let mut command = iptables_lab();
    let command = command
        .arg("diagnose")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(print.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
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
    for part in [
        "host debian@12 debian-1.8.9-2-nft kube-router@1.5.1 1.8.7-nft kube-proxy@1.30 debian-1.8.9-2-nft",
        "nothing was run",
        // The answer stands before what it was concluded from; who has the same build shares a paragraph.
        "The least change that makes all safe: give kube-router@1.5.1 the iptables of debian-1.8.9-2-nft or debian-1.8.9-2-legacy.",
        "host debian@12 and kube-proxy@1.30 write, kube-router@1.5.1 reads and writes back",
        "blackhole: packets that the rules let through are dropped X lossy: match mark lost, as packets showed for ",
        " scenarios, as k0s-node (ipv4): KUBE-FIREWALL 2",
        "kube-router@1.5.1 writes, host debian@12 and kube-proxy@1.30 read and write back",
    ] {
        let (_, after) = said
            .split_once(part)
            .unwrap_or_else(|| panic!("{part}\n{said}"));
        said = after.to_owned();
    }
    assert!(
        !text(&output).contains("kube-proxy@1.30 writes"),
        "{}",
        both(&output)
    );
}

#[rstest]
#[case("80")]
#[case("120")]
fn advice_about_many_losses_is_short_enough_to_be_read(#[case] columns: &str) {
    let mut command = iptables_lab();
    command.env("COLUMNS", columns);
    command.args([
        "advise",
        "--published",
        "--host",
        "debian-1.8.9-2-nft",
        "--pods",
    ]);
    let output = command.arg("1.8.7-nft,1.8.8-legacy").output().unwrap();
    let page = text(&output);
    let width = columns.parse().unwrap();
    assert!(
        page.lines().all(|line| line.chars().count() <= width),
        "{page}"
    );
    // A terminal and a half of them, with hundreds of rules in them.
    assert!(page.lines().count() < 90, "{page}");
    assert!(page.find("The least change") < page.find("lossy"), "{page}");
}

const INVENTORY: &str = r#"{
  "schema": 1, "processes": 4, "unreadable": [], "roots": [HOST
    { "pid": 20, "command": "kube-router", "mount_namespace": "mnt:[2]", "is_host": false, "lock": null, "debian_package": null,
      "iptables": [{ "paths": ["/sbin/iptables"], "banner": { "Ok": "iptables v1.8.7 (nf_tables)" }, "version": "1.8.7",
                     "backend": "nft", "is_default": true }] },
    { "pid": 21, "command": "helper", "mount_namespace": "mnt:[3]", "is_host": false, "lock": null, "debian_package": null,
      "iptables": [{ "paths": ["/sbin/iptables"], "banner": { "Ok": "iptables v1.8.7 (nf_tables)" }, "version": "1.8.7",
                     "backend": "nft", "is_default": true }] },
    { "pid": 22, "command": "\u001b[31mred", "mount_namespace": "mnt:[4]", "is_host": false, "lock": null,
      "debian_package": null,
      "iptables": [{ "paths": ["/sbin/iptables"], "banner": { "Ok": "iptables v1.6.0" }, "version": "1.6.0",
                     "backend": "legacy", "is_default": true }] }
  ] }"#;

const HOST: &str = r#"
    { "pid": 1, "command": "systemd", "mount_namespace": "mnt:[1]", "is_host": true, "lock": null, "debian_package": "1.8.9-2",
      "iptables": [{ "paths": ["/usr/sbin/xtables-nft-multi"], "banner": { "Ok": "iptables v1.8.9 (nf_tables)" },
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
        "host debian-1.8.9-2-nft kube-router, helper 1.8.7-nft",
        "Nothing is known of the iptables of \u{fffd}[31mred (1.6.0-legacy).",
        "give kube-router, helper the iptables of debian-1.8.9-2-nft",
        "host writes, kube-router, helper reads and writes back",
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
        said.contains("host (package 1.8.9-2ubuntu7) 1.8.9-nft"),
        "{said}"
    );
}

#[rstest]
#[case("{}", "is no inventory: missing field `schema`")]
#[case("*filter", "is no inventory: expected value")]
#[case(&INVENTORY.replace("HOST", ""), "has no iptables of the host's, or one that nothing is known of")]
#[case(&INVENTORY.replace("HOST", HOST).replace("\"schema\": 1", "\"schema\": 2"), "is of schema 2, and this program reads schema 1")]
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
    assert!(said.contains("nothing could be run here"), "{said}");
    assert!(
        said.contains("Nothing needs to change: every pair is safe."),
        "{said}"
    );
}

#[rstest]
#[case(&["--host", "debian@12", "--pods", "kube-ruter@1.5"], 2, "no product is called `kube-ruter`")]
#[case(&["--host", "debian@12", "--pods", "kube-router@1.5"], 2, "may be one of several")]
#[case(&["--host", "nonsense", "--pods", "debian@12"], 2, "no build called nonsense is in the report")]
#[case(&["--host", "debian@12", "--pods", "debian@11", "--operation", "save"], 2, "advise itself says which operations")]
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

#[test]
fn a_node_that_is_down_is_told_what_happened_and_how_to_repair_it() {
    let print = "# Generated by iptables-save v1.8.9 (nf_tables) on Wed Nov 25 2026\n*filter\n:INPUT ACCEPT [0:0]\n\
        :KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\n-A KUBE-FIREWALL -m comment --comment \
        \"kubernetes firewall for dropping marked packets\" -j DROP\nCOMMIT\n";
    let output = diagnose(print);
    let said = words(&output);
    for part in [
        "filter KUBE-FIREWALL 1: match mark lost",
        "blackhole: packets that the rules let through are dropped",
        "Likely: iptables-nft 1.8.8 to debian-1.8.13-1 wrote the rules, and iptables-nft 1.8.4 to debian-1.8.7-1 read them",
        "This was printed by 1.8.9 (nf_tables)",
        "-t filter -R KUBE-FIREWALL 1 -m comment --comment 'kubernetes firewall for dropping marked packets' -m mark --mark \
         0x8000/0x8000 -j DROP",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn what_is_sound_matches_nothing_and_that_is_said() {
    let print = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n";
    assert!(text(&diagnose(print)).contains("Nothing matches"));
}

#[test]
fn control_sequences_in_a_print_come_out_inert() {
    let rule = "-A KUBE-FIREWALL -m comment --comment \"\u{1b}[31mred\" -j DROP\n";
    let print = format!("*filter\n:KUBE-FIREWALL - [0:0]\n{rule}{rule}{rule}COMMIT\n");
    let said = text(&diagnose(&print));
    assert!(said.contains("the same rule 3 times"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[rstest]
#[case("", "is no print of an iptables-save")]
#[case("hello\n", "is no print of an iptables-save")]
fn what_is_no_print_is_refused(#[case] print: &str, #[case] said: &str) {
    let output = diagnose(print);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains(said),
        "{}",
        both(&output)
    );
}
