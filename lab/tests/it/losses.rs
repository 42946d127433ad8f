//! Reports about each kind of loss, as real builds show it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;

use super::evidence::{READER, WRITER, read, rootfs, rootfs_of};
use super::lab::{both, iptables_lab};

const NFT: &str = "debian-nft-1.1.3-1";
const OLD_NFT: &str = "debian-nft-1.0.6-2+deb12u2";

/// The folder of a loss, from bare namespaces: what comes of containers is tested of one loss (evidence.rs).
fn evidence(folder: &Path, words: &[&str]) -> Output {
    super::evidence::evidence(folder, &[words, &["--engine", "native"]].concat())
}

/// The folder of a loss of what nft wrote.
fn of_nft(scenario: &str, reader: &str, more: &[&str], folder: &Path) -> Output {
    let words = ["--scenario", scenario, "--writer", NFT, "--reader", reader];
    evidence(folder, &[words.as_slice(), more].concat())
}

#[test]
fn what_nft_wrote_is_shrunk_to_the_rule_whose_set_is_lost() {
    needs!(Root, Native, Engine);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let output = of_nft("nft-native-filter", WRITER, &[], &folder);
    assert!(output.status.success(), "{}", both(&output));
    insta::assert_snapshot!(read(&folder, "rules.nft"), @r"
    add table ip filter
    add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
    add set ip filter blackhole { type ipv4_addr; }
    add rule ip filter INPUT ip saddr @blackhole drop
    ");
    let report = read(&folder, "REPORT.md");
    for said in [
        "- `expression lookup` is lost: `lookup reg 1 set blackhole",
        "exit status 1: the loss is there",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
    assert!(read(&folder, "nft-before.txt").contains("[ lookup reg 1 set blackhole"));
    assert!(!read(&folder, "nft-after.txt").contains("lookup"));
}

/// nft hangs a chain where iptables hangs none: 1.8.7 says so and prints nothing, later releases make another of it.
const POLICY: &str = r#"
title = "A base chain of nft's at a priority of its own"
group = "nft"
families = ["ipv4"]
write = "nft"

[source]
project = "netfilter/nftables"
url = "https://wiki.nftables.org/wiki-nftables/index.php/Configuring_chains"
version = "1.1.3"

[rules]
ipv4 = '''
add table ip filter
add chain ip filter INPUT { type filter hook input priority 7; policy drop; }
add chain ip filter OTHER
add rule ip filter OTHER ip saddr 192.0.2.1 accept
'''
"#;

/// What nft lists is loaded in place of all that is there, whatever became of the listing.
#[rstest]
#[case::of_a_set_of_a_newer_nft("kube-proxy-nftables", (NFT, OLD_NFT), "changed")]
#[case::of_a_listing_that_ends_in_a_crash("kube-proxy-nftables", (NFT, OLD_NFT), "crashed")]
#[case::of_what_iptables_wrote("fail2ban", (WRITER, NFT), "changed")]
fn what_an_nft_makes_of_others_rules_is_reproduced(
    #[case] scenario: &str,
    #[case] (writer, reader): (&str, &str),
    #[case] kind: &str,
) {
    needs!(Root, Native, Engine);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let words = ["--scenario", scenario, "--loss", kind];
    let pairing = ["--writer", writer, "--reader", reader];
    let output = evidence(&folder, &[words, pairing].concat());
    assert!(output.status.success(), "{}", both(&output));
    let report = read(&folder, "REPORT.md");
    assert!(
        report.contains("exit status 1: the loss is there"),
        "{report}"
    );
    let script = |reader: &str| {
        let mut script = Command::new("sh");
        script
            .arg(folder.join("reproduce.sh"))
            .args([rootfs_of(&folder, writer), rootfs_of(&folder, reader)]);
        let output = script.output().unwrap();
        (output.status.code(), both(&output))
    };
    let (status, said) = script(reader);
    assert_eq!(status, Some(1), "{said}");
    if writer == NFT {
        let tree = "with the tree of nftables as the reader";
        assert!(report.contains(tree), "{report}");
        let (status, said) = script(writer);
        assert_eq!(status, Some(0), "{said}");
    }
}

#[test]
fn a_policy_that_is_reset_is_shrunk_to_its_chain_and_reproduced() {
    needs!(Root, Native, Engine);
    let parent = tempfile::tempdir().unwrap();
    let (file, folder) = (
        parent.path().join("policy.toml"),
        parent.path().join("report"),
    );
    std::fs::write(&file, POLICY).unwrap();
    let output = of_nft(file.to_str().unwrap(), WRITER, &[], &folder);
    assert!(output.status.success(), "{}", both(&output));
    insta::assert_snapshot!(read(&folder, "rules.nft"), @r"
    add table ip filter
    add chain ip filter INPUT { type filter hook input priority 7; policy drop; }
    ");
    let report = read(&folder, "REPORT.md");
    for said in [
        "# The reader's restore changes a chain: the policy was DROP and is ACCEPT (",
        "**Not fixed: ",
        "; debian-1.8.7-1-nft does not have it.",
        "- policy before: `DROP`\n- policy after: `ACCEPT`",
        "Exposure (predicted; no test packet hit this rule): packets that the rules kept out are let through.",
        "exit status 1: the loss is there",
        "shrunk to no rule of 0 words",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

/// 1.8.7 reads it as a rule that accepts all; later releases say that they cannot read it.
const SET_OF_PROTOCOLS: &str = r#"
title = "A set where iptables knows one value"
group = "nft"
families = ["ipv4"]
write = "nft"

[source]
project = "netfilter/nftables"
url = "https://wiki.nftables.org/wiki-nftables/index.php/Matching_packet_headers"
version = "1.1.3"

[rules]
ipv4 = '''
add table ip filter
add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
add rule ip filter INPUT meta l4proto { tcp, udp } th dport 53 counter accept
'''
"#;

#[test]
fn a_reader_that_refuses_has_not_the_loss() {
    needs!(Root, Native, Engine);
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("protocols.toml");
    let folder = parent.path().join("report");
    std::fs::write(&file, SET_OF_PROTOCOLS).unwrap();
    // With less of it every release reads something.
    let whole = ["--steps", "0"];
    let output = of_nft(file.to_str().unwrap(), READER, &whole, &folder);
    assert!(output.status.success(), "{}", both(&output));
    let report = read(&folder, "REPORT.md");
    let instead = " With debian-1.8.13-1-nft the verdict is `unrestorable`: the reader refuses its own print.";
    assert!(report.contains(instead), "{report}");
    let script = |reader: &str| {
        let mut script = Command::new("sh");
        script
            .arg(folder.join("reproduce.sh"))
            .args([rootfs_of(&folder, NFT), rootfs(reader)]);
        let output = script.output().unwrap();
        (output.status.code(), both(&output))
    };
    let (status, said) = script(READER);
    assert_eq!(status, Some(1), "{said}");
    let (status, said) = script(WRITER);
    assert_eq!(status, Some(0), "{said}");
    let quiet = "the reader cannot print the table, and says so: nothing is lost without a word";
    assert!(said.contains(quiet), "{said}");
}

#[test]
fn a_crash_has_a_backtrace_where_gdb_is_and_says_so_where_it_is_not() {
    needs!(Root, Native, Engine);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let crashed = ["--loss", "crashed"];
    let output = of_nft("nft-expressions", "debian-1.8.11-2-nft", &crashed, &folder);
    assert!(output.status.success(), "{}", both(&output));
    insta::assert_snapshot!(read(&folder, "rules.nft"), @r"
    add table ip filter
    add chain ip filter NATIVE
    add rule ip filter NATIVE mark set ip dscp
    ");
    let report = read(&folder, "REPORT.md");
    // Debian supports this package: a backport fixes it.
    for said in [
        "The command that dies: `iptables-nft-save`.",
        "**Fixed ",
        " the last with it.** ",
        " need the fix backported.",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
    match Command::new("gdb").arg("--version").output() {
        Ok(_) => {
            let backtrace = read(&folder, "backtrace.txt");
            assert!(backtrace.contains("received signal SIGSEGV"), "{backtrace}");
            assert!(backtrace.contains("\n#1 "), "{backtrace}");
            assert!(report.contains("- `backtrace.txt`: "), "{report}");
        }
        Err(_) => assert!(report.contains("this machine has no gdb"), "{report}"),
    }
    let folder = parent.path().join("without-gdb");
    let programs = parent.path().join("programs");
    all_programs_but("gdb", &programs);
    let mut command = iptables_lab();
    command.args(["--engine", "native", "evidence", "--quiet"]);
    command.args(["--scenario", "nft-expressions"]);
    command.args(["--writer", NFT, "--reader", "debian-1.8.11-2-nft"]);
    command.args(["--loss", "crashed", "--output"]).arg(&folder);
    let output = command.env("PATH", &programs).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let report = read(&folder, "REPORT.md");
    let said = "There is no backtrace: this machine has no gdb";
    assert!(report.contains(said), "{report}");
    assert!(!folder.join("backtrace.txt").exists());
}

/// The folder of one kind of loss, and what `reproduce.sh` in it comes to: with its pairing, and with both exchanged.
fn of_kind(scenario: &str, (writer, reader): (&str, &str), kind: &str) -> (String, String) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let words = ["--scenario", scenario, "--loss", kind];
    let pairing = ["--writer", writer, "--reader", reader];
    let output = evidence(&folder, &[words, pairing].concat());
    assert!(output.status.success(), "{}", both(&output));
    let report = read(&folder, "REPORT.md");
    let shows = "exit status 1: the loss is there";
    assert!(report.contains(shows), "{report}");
    let script = |writer: &str, reader: &str| {
        let mut script = Command::new("sh");
        script
            .arg(folder.join("reproduce.sh"))
            .args([rootfs_of(&folder, writer), rootfs_of(&folder, reader)]);
        let output = script.output().unwrap();
        (output.status.code(), both(&output))
    };
    let (status, said) = script(writer, reader);
    assert_eq!(status, Some(1), "{said}");
    let (status, said) = script(writer, writer);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = script(reader, writer);
    assert_ne!(status, Some(1), "{said}");
    (report, read(&folder, "rules.save"))
}

/// Whether a release can be had here; else it is said that a loss of it is not tried.
fn is_had(build: &str, test: &str) -> bool {
    let mut lab = iptables_lab();
    let lab = lab.args(["builds", "build", "--quiet", build]).output();
    if lab.unwrap().status.code() != Some(3) {
        return true;
    }
    // Not through eprintln, which the test harness keeps to itself.
    let said = format!("{test}: not tried, for {build} cannot be had here\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
    false
}

/// 1.8.4's `iptables-restore --noflush` takes no chain of another's: `Bad argument`. A plain rewrite keeps the rules.
#[rstest]
#[case::by_default(&[])]
#[case::by_its_kind(&["--loss", "unrestorable"])]
#[case::by_what_was_done(&["--loss", "sync-noflush"])]
fn a_restore_without_a_flush_that_fails_is_reproduced(#[case] more: &[&str]) {
    let (writer, reader) = ("1.8.5-nft", "1.8.4-nft");
    let test = "a_restore_without_a_flush_that_fails_is_reproduced";
    if !is_had(writer, test) || !is_had(reader, test) {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let words = [
        "--scenario",
        "kube-firewall",
        "--writer",
        writer,
        "--reader",
        reader,
    ];
    let output = evidence(&folder, &[words.as_slice(), more].concat());
    assert!(output.status.success(), "{}", both(&output));
    let report = read(&folder, "REPORT.md");
    for said in [
        "# The reader refuses to restore its own chains with --noflush (1.8.5-nft writes, 1.8.4-nft reads)",
        "The reader's restore with --noflush says:\n\n```\nBad argument `-'",
        "exit status 1: the loss is there",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

/// 1.8.11 compares no name of an interface that ends in a `+`: its `-D` takes the first such rule. Debian's 1.8.11-2 has
/// the mend.
#[test]
fn a_deletion_that_takes_another_rule_is_shrunk_to_both() {
    needs!(Root, Native, Release);
    let (writer, reader) = ("debian-1.8.9-2-nft", "1.8.11-nft");
    let (report, rules) = of_kind("aws-vpc-cni", (writer, reader), "wrong-rule");
    assert_eq!(rules.matches("\n-A ").count(), 2, "{rules}");
    for said in [
        "# -D deletes another rule (",
        "The reader's -D of this rule deletes another one:",
        "**Fixed in the package debian-1.8.11-2-nft; ",
        "Other packages of 1.8.11 and older releases need the fix backported.",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

/// In `sync`, 1.8.7 leaves a table out with exit status 0; a chain that is added to what is left then stands alone.
#[rstest]
#[case::changed("kube-firewall", (WRITER, READER), "changed", &["# The reader's restore drops -m mark ("])]
#[case::drifts("kube-firewall", (READER, WRITER), "drifts", &[
    "# A rule loses -m mark when reader and writer restore in turn (",
    "In round 1, debian-1.8.7-1-nft restores what it printed; after that, a third build (the newest) prints:",
    " is the first writer without it, ",
])]
#[case::not_deleted("kube-firewall", (WRITER, READER), "not-deleted", &[
    "# -D does not delete the rule (",
    "-m mark --mark ",
])]
#[case::not_found("kube-firewall", (WRITER, READER), "not-found", &["# -C does not find the rule ("])]
#[case::refused("kube-router", (WRITER, READER), "refused", &["# The reader cannot print the table ("])]
#[case::sync("kube-router", (WRITER, READER), "sync", &[
    " when it restores with a chain of its own (",
    "- `after.save`: what a third build, the newest, prints after the reader restored with its own chain",
])]
#[case::unreadable("kube-router", (READER, WRITER), "unreadable", &[
    "# The writer cannot print its table after the reader's restore (",
])]
fn a_kind_of_loss_is_reproduced(
    #[case] scenario: &str,
    #[case] pairing: (&str, &str),
    #[case] kind: &str,
    #[case] says: &[&str],
) {
    needs!(Root, Native, Engine);
    let (report, _) = of_kind(scenario, pairing, kind);
    for said in says {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

/// Makes a folder that stands for all of the PATH, without one program.
fn all_programs_but(left_out: &str, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for from in std::env::split_paths(&path) {
        for program in std::fs::read_dir(from).into_iter().flatten().flatten() {
            let name = program.file_name();
            if name != left_out && !folder.join(&name).exists() {
                std::os::unix::fs::symlink(program.path(), folder.join(name)).unwrap();
            }
        }
    }
}
