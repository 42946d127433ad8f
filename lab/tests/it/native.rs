//! nft itself as a writer, over real builds: what iptables makes of rules that it never wrote.

use std::path::PathBuf;
use std::sync::OnceLock;

use iptables_lab::catalog::{Build, Tool, Version};
use iptables_lab::judge::verdict::{Consequence, Verdict};
use iptables_lab::judge::{Cell, RuleVerdict};
use iptables_lab::matrix::Matrix;
use iptables_lab::plan::Operation;
use iptables_lab::plan::step::Role;
use iptables_lab::recording::{self, Recording, Seen};
use rstest::rstest;

use super::lab::{both, iptables_lab};

/// Nothing around it is needed, so that it runs wherever iptables does.
const SCENARIO: &str = r#"title = "a filter of nft's"
group = "nft"
families = ["ipv4"]
write = "nft"
source = { project = "none", url = "none", version = "none" }
[rules]
ipv4 = '''
add table ip filter
add chain ip filter INPUT { type filter hook input priority 0; policy accept; }
add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }
add chain ip filter OUTPUT { type filter hook output priority 0; policy accept; }
add set ip filter trusted { type ipv4_addr; flags interval; }
add element ip filter trusted { 192.0.2.0/24, 198.51.100.7 }
add rule ip filter INPUT iifname lo accept
add rule ip filter INPUT ip saddr 192.0.2.1 drop
add rule ip filter INPUT ip saddr @trusted accept
add rule ip filter INPUT tcp dport { 80, 443 } accept
add rule ip filter INPUT nonsense
add rule ip filter OUTPUT meta mark 0x8000 drop
'''
"#;

struct Run {
    recording: Recording,
    matrix: Matrix,
}

/// Debian's nfts write, its iptables of both backends read. Made once.
fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("native");
        std::fs::create_dir_all(&folder).unwrap();
        let (scenario, file) = (folder.join("native.toml"), folder.join("native.jsonl"));
        std::fs::write(&scenario, SCENARIO).unwrap();
        let output = iptables_lab()
            .args([
                "matrix",
                "--writer",
                "debian-nft-*",
                "--reader",
                "debian-1*",
            ])
            .args(["--operation", "all"])
            .arg("--scenario")
            .arg(&scenario)
            .arg("--record")
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let recording = recording::read(&file).unwrap().recording;
        let matrix = Matrix::of(&recording);
        Run { recording, matrix }
    })
}

fn build(id: &iptables_lab::catalog::BuildId) -> &'static Build {
    let mut builds = run().matrix.builds.iter();
    builds.find(|build| &build.id == id).unwrap()
}

/// The cells whose reader is of the nft backend, or of the legacy one.
fn cells(of_nft: bool) -> impl Iterator<Item = &'static Cell> {
    let cells = run().matrix.cells.iter();
    cells.filter(move |cell| cell.reader.as_str().ends_with("-nft") == of_nft)
}

fn rule(cell: &'static Cell, words: &str) -> &'static RuleVerdict {
    let mut rules = cell.outcome.rules.iter();
    rules.find(|rule| rule.given.contains(words)).unwrap()
}

#[test]
fn nft_writes_and_iptables_reads() {
    needs!(Engine);
    let writers: Vec<Tool> = run().matrix.writers().iter().map(|of| of.tool).collect();
    assert!(!writers.is_empty() && writers.iter().all(|tool| *tool == Tool::Nft));
    let readers = run().matrix.readers();
    assert!(!readers.is_empty() && readers.iter().all(|of| of.tool == Tool::Iptables));
    assert_eq!(run().matrix.cells.len(), writers.len() * readers.len());
    let witness = run().matrix.witness.nft.as_ref().unwrap();
    assert_eq!(build(witness).tool, Tool::Iptables);
    for writer in run().matrix.writers() {
        let version = format!("nftables v{}", writer.version.release());
        assert!(writer.banner.starts_with(&version), "{}", writer.banner);
    }
}

#[test]
fn nft_is_given_commands_and_prints_its_own_words() {
    needs!(Engine);
    let mut printed = 0;
    for load in &run().recording.loads {
        for seen in &load.observations {
            let Seen::Command(command) = &seen.seen else {
                continue;
            };
            if command.build != load.writer {
                assert!(
                    command.argv[0].starts_with("iptables-"),
                    "{:?}",
                    command.argv
                );
                continue;
            }
            let argv = command.argv.join(" ");
            match seen.role {
                Role::Write | Role::Restore => assert_eq!(argv, "nft -f -"),
                Role::WriterPrint => {
                    printed += 1;
                    assert_eq!(argv, "nft -s list ruleset");
                    let text = load.text(command.stdout);
                    assert!(text.to_lossy().starts_with("table ip filter {"), "{text:?}");
                }
                role => panic!("{role:?}: {argv}"),
            }
        }
    }
    assert!(printed > 0);
}

#[rstest]
#[case("iifname lo", "iifname \"lo\" accept", "-A INPUT -i lo -j ACCEPT")]
#[case(
    "192.0.2.1",
    "ip saddr 192.0.2.1 drop",
    "-A INPUT -s 192.0.2.1/32 -j DROP"
)]
fn what_iptables_would_write_alike_is_read_and_kept(
    #[case] given: &str,
    #[case] written: &str,
    #[case] read: &str,
) {
    needs!(Engine);
    for cell in cells(true) {
        let rule = rule(cell, given);
        assert_eq!(rule.written.as_deref(), Some(written), "{rule:#?}");
        assert_eq!(rule.read.as_deref(), Some(read), "{rule:#?}");
        assert_eq!(
            rule.of(Operation::Save),
            Some(Verdict::Reworded),
            "{rule:#?}"
        );
        assert_eq!(
            rule.of(Operation::Rewrite),
            Some(Verdict::Kept),
            "{rule:#?}"
        );
        assert_eq!(
            (rule.consequence, rule.of(Operation::Recognition)),
            (None, Some(Verdict::Recognised)),
            "{rule:#?}"
        );
        assert_eq!(
            (rule.of(Operation::Check), rule.of(Operation::Delete)),
            (None, None),
            "{rule:#?}"
        );
    }
}

#[rstest]
#[case::named("@trusted", "-A INPUT -j ACCEPT")]
#[case::anonymous("{ 80, 443 }", "-A INPUT -p tcp -j ACCEPT")]
fn a_match_of_a_set_is_lost_without_a_word(#[case] given: &str, #[case] read: &str) {
    needs!(Engine);
    for cell in cells(true) {
        let rule = rule(cell, given);
        assert_eq!(rule.read.as_deref(), Some(read), "{rule:#?}");
        assert_eq!(rule.of(Operation::Save), Some(Verdict::Lossy), "{rule:#?}");
        assert_eq!(
            rule.of(Operation::Rewrite),
            Some(Verdict::Changed),
            "{rule:#?}"
        );
        let mut lost = rule.lost.iter();
        assert!(
            lost.any(|change| change.part == "expression lookup"),
            "{rule:#?}"
        );
        assert_eq!(rule.does(), Some(Consequence::Exposure), "{rule:#?}");
    }
}

#[test]
fn a_mark_is_lost_up_to_1_8_7_as_one_of_iptables_own_is() {
    needs!(Engine);
    for cell in cells(true) {
        let rule = rule(cell, "meta mark");
        let reader = Version::new(build(&cell.reader).version.release());
        let loses = reader < Version::new("1.8.8");
        let (read, consequence) = match loses {
            true => (Verdict::Lossy, Some(Consequence::Blackhole)),
            false => (Verdict::Reworded, None),
        };
        assert_eq!(
            (rule.of(Operation::Save), rule.consequence.map(|of| of.what)),
            (Some(read), consequence),
            "{rule:#?}"
        );
    }
}

#[test]
fn what_nft_refuses_is_found_and_the_rest_is_written() {
    needs!(Engine);
    for cell in &run().matrix.cells {
        let refused = rule(cell, "nonsense");
        assert_eq!(
            refused.of(Operation::Write),
            Some(Verdict::Refused),
            "{refused:#?}"
        );
        assert!(
            refused
                .reason()
                .unwrap()
                .to_string()
                .contains("syntax error"),
            "{refused:#?}"
        );
        let others = cell
            .outcome
            .rules
            .iter()
            .filter(|rule| !rule.given.contains("nonsense"));
        assert!(others.into_iter().all(|rule| rule.written.is_some()));
    }
}

#[test]
fn chains_keep_their_policies_and_are_named() {
    needs!(Engine);
    for cell in cells(true) {
        let forward = cell
            .outcome
            .chains
            .iter()
            .find(|chain| chain.chain == "FORWARD")
            .unwrap();
        assert_eq!(forward.policy_before.as_deref(), Some("DROP"));
        assert_eq!(forward.policy_after.as_deref(), Some("DROP"));
        assert_eq!(forward.of(Operation::Save), Some(Verdict::Same));
        assert_eq!(forward.of(Operation::Rewrite), Some(Verdict::Kept));
    }
}

#[test]
fn the_other_backend_sees_nothing_of_it() {
    needs!(Engine);
    for cell in cells(false) {
        for rule in cell
            .outcome
            .rules
            .iter()
            .filter(|rule| rule.written.is_some())
        {
            assert_eq!(
                rule.of(Operation::Save),
                Some(Verdict::Invisible),
                "{rule:#?}"
            );
            assert_eq!(
                rule.of(Operation::Rewrite),
                Some(Verdict::Kept),
                "{rule:#?}"
            );
        }
    }
}

#[test]
fn where_nobody_can_write_nothing_is_run() {
    needs!(Engine);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("native.toml"), SCENARIO).unwrap();
    let output = iptables_lab()
        .args(["matrix", "--scenario", "native.toml"])
        .args(["--writer", "debian-1.8.*-nft", "--reader", "debian-*"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    let words = ["nothing is left to run", "native (nft)"];
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
}

#[test]
fn a_scenario_without_a_writer_is_named_and_the_others_are_run() {
    needs!(Engine);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("native.toml"), SCENARIO).unwrap();
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -j DROP\nCOMMIT\n";
    std::fs::write(folder.path().join("own.save"), rules).unwrap();
    let output = iptables_lab()
        .args(["matrix", "--scenario", "native.toml", "--rules", "own.save"])
        .args([
            "--writer",
            "debian-1.8.9-2-nft",
            "--reader",
            "debian-1.8.9-2-nft",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("native is not run: nft writes it"), "{said}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("1 of 1 pairing run"), "{table}");
}
