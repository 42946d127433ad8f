//! Rulesets of the user's own: what is around them, what could not be written, and how much of a large one is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use iptables_lab::judge::Cell;
use iptables_lab::judge::NotRun;
use iptables_lab::judge::verdict::Verdict;
use iptables_lab::matrix::{Matrix, harms};
use iptables_lab::plan::Operation;
use iptables_lab::plan::step::Role;
use iptables_lab::recording::{self, Recording, Seen};
use rstest::rstest;

use super::lab::{both, iptables_lab};

const PAIR: [&str; 5] = [
    "matrix",
    "--writer",
    "debian-1.8.9-2-nft",
    "--reader",
    "debian-1.8.11-2-nft",
];

/// A matrix of one pairing, natively, with more words; `-` is given `rules`.
fn matrix(folder: &Path, rules: &str, more: &[&str]) -> Output {
    let mut command = iptables_lab();
    command
        .args(["--engine", "native"])
        .args(PAIR)
        .args(more)
        .args(["--rules", "-"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(rules.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// What came of one pairing with `rules`.
struct Ran {
    output: Output,
    recording: Recording,
    cell: Cell,
}

impl Ran {
    fn of(rules: &str, more: &[&str]) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        let words: Vec<&str> = ["--record", "run.jsonl"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        let output = matrix(folder.path(), rules, &words);
        assert!(output.status.success(), "{}", both(&output));
        let recording = recording::read(&folder.path().join("run.jsonl"))
            .unwrap()
            .recording;
        let [cell] = &Matrix::of(&recording).cells[..] else {
            panic!("one cell: {}", both(&output));
        };
        let cell = cell.clone();
        Ran {
            output,
            recording,
            cell,
        }
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

fn filter(rules: &[&str]) -> String {
    let rules: String = rules
        .iter()
        .map(|rule| format!("-A INPUT {rule}\n"))
        .collect();
    format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n")
}

/// Rows 5 and 6: sets, nfacct objects and Red Hat's names of protocols are no reason to write nothing.
#[test]
fn what_rules_name_is_made_and_every_rule_is_tested() {
    needs!(Native);
    let rules = filter(&[
        "-m set --match-set web src -j DROP",
        "-m set --match-set peers src,dst -j ACCEPT",
        "-m nfacct --nfacct-name in",
        "-p ipv4 -j ACCEPT",
    ]);
    let ran = Ran::of(&rules, &["--operation", "rewrite"]);
    let Ran { cell, .. } = &ran;
    assert_eq!(
        cell.outcome.untested().count(),
        0,
        "{:#?}",
        cell.outcome.rules
    );
    // What 1.8.9 prints as `-p ipencap`, 1.8.11 prints as `-p 4`.
    assert_eq!(cell.verdict, Verdict::Reworded, "{:#?}", cell.outcome.rules);
    let mut rules = cell.outcome.rules.iter();
    assert!(rules.all(|rule| rule.of(Operation::Rewrite) == Some(Verdict::Kept)));
    assert!(
        cell.outcome.rules[3]
            .written
            .as_deref()
            .unwrap()
            .contains("-p ipencap")
    );
    assert!(ran.stderr().contains("the protocol `ipv4` is written as 4"));
}

#[test]
fn sets_are_filled_with_what_was_saved_and_go_with_the_recording() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let saved = "create web hash:net family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1\n\
                 create cards hash:mac hashsize 1024 maxelem 65536\n\
                 add web 192.0.2.0/24\nadd cards 00:11:22:33:44:55\n";
    fs::write(folder.path().join("node.ipset"), saved).unwrap();
    let rules = filter(&[
        "-m set --match-set web src -j DROP",
        "-m set --match-set cards src -j DROP",
    ]);
    let more = [
        "--ipset",
        "node.ipset",
        "--record",
        "run.jsonl",
        "--operation",
        "save",
    ];
    let output = matrix(folder.path(), &rules, &more);
    assert!(output.status.success(), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cards is of type hash:mac"), "{said}");
    let recording = recording::read(&folder.path().join("run.jsonl"))
        .unwrap()
        .recording;
    let sets = &recording.head.scenarios[0].setup.sets;
    let sets: BTreeMap<&str, &[String]> = sets.iter().map(|of| (&*of.name, &*of.entries)).collect();
    assert_eq!(sets["web"], ["192.0.2.0/24"]);
    assert!(sets["cards"].is_empty());
    let cells = &Matrix::of(&recording).cells;
    assert!(
        cells
            .iter()
            .all(|cell| cell.outcome.untested().count() == 0),
        "{cells:#?}"
    );
}

/// Row 6: what its writer refuses is no loss, neither of the cell nor for `--fail-on`, and is said as not tested.
#[test]
fn a_rule_that_its_writer_refuses_is_not_tested_and_the_others_are() {
    needs!(Native);
    let rules = filter(&["-s 192.0.2.1/32 -j DROP", "-m nosuchmatch -j DROP"]);
    let fail_on = ["--fail-on", "refused", "--fail-on", "unsupported"];
    let ran = Ran::of(&rules, &fail_on);
    let [good, bad] = [&ran.cell.outcome.rules[0], &ran.cell.outcome.rules[1]];
    assert_eq!(ran.cell.verdict, Verdict::Same, "{:#?}", ran.cell);
    assert!(good.not_tested().is_none() && good.written.is_some());
    assert_eq!((bad.written.as_ref(), bad.of_reader().count()), (None, 0));
    let page = ran
        .stdout()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(page.contains("not tested: INPUT 2 (ipv4), which"), "{page}");
    assert!(
        page.contains("the build has no match nosuchmatch"),
        "{page}"
    );
    assert!(
        page.contains("nothing is lost of the rules that were tested"),
        "{page}"
    );
}

/// Row 6: of a scenario of which nothing could be written nothing is known.
#[test]
fn where_nothing_could_be_written_the_cell_is_not_tested() {
    needs!(Native);
    let rules = filter(&["-m nosuchmatch -j DROP"]);
    let ran = Ran::of(
        &rules,
        &["--fail-on", "refused", "--fail-on", "unsupported"],
    );
    assert_eq!(ran.cell.verdict, Verdict::Unsupported);
    assert!(ran.cell.outcome.is_untested() && harms(&ran.cell).is_empty());
    let page = ran
        .stdout()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        page.contains("not tested: none of its rules could be written"),
        "{page}"
    );
    assert!(
        page.contains("not tested, because nothing could be written: 1"),
        "{page}"
    );
    assert!(!page.contains("comes to harm"), "{page}");
}

/// Row 15: the reason is whole, and names what is missing.
#[test]
fn a_rule_that_the_kernel_refuses_says_what_is_missing() {
    needs!(Native);
    // No set has a name as long, so nobody can make it.
    let long = "x".repeat(31);
    let rules = filter(&[
        "-j ACCEPT",
        &format!("-m set --match-set {long}y src -j DROP"),
    ]);
    let ran = Ran::of(&rules, &["--operation", "save"]);
    let reason = ran.cell.outcome.rules[1].reason().unwrap().to_string();
    assert!(reason.contains(&long), "{reason}");
    let page = ran
        .stdout()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(!page.contains("( line"), "{page}");
}

fn of_one_chain(count: usize) -> String {
    let rules: Vec<String> = (1..=count)
        .map(|n| match n % 3 {
            0 => format!(
                "-s 10.{}.{}.{}/32 -j DROP",
                n >> 16,
                (n >> 8) & 255,
                n & 255
            ),
            1 => format!("-p tcp -m tcp --dport {} -j ACCEPT", 1 + n % 60_000),
            _ => format!(
                "-s 10.1.{}.{}/32 -m mark --mark {n:#x} -j ACCEPT",
                n >> 8,
                n & 255
            ),
        })
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    filter(&rules)
}

fn commands(recording: &Recording, role: Role) -> usize {
    let seen = recording.loads.iter().flat_map(|load| &load.observations);
    seen.filter(|seen| seen.role == role && matches!(seen.seen, Seen::Command(_)))
        .count()
}

/// Row 10: every operation is done with 3,000 rules, and readers are asked for one of each shape; marks differ in shape, for
/// what they mean is agreed on.
#[test]
fn of_a_thousand_rules_a_sample_is_asked_for_one_by_one() {
    needs!(Native);
    let ran = Ran::of(&of_one_chain(1000), &["--operation", "all"]);
    let (checks, near) = (
        commands(&ran.recording, Role::Check),
        commands(&ran.recording, Role::CheckNearMiss),
    );
    let deletions = commands(&ran.recording, Role::Delete);
    assert!(
        (3..=100).contains(&checks) && near <= checks,
        "{checks} {near}"
    );
    assert_eq!(deletions, checks);
    let all: usize = ran
        .recording
        .loads
        .iter()
        .map(|load| load.observations.len())
        .sum();
    assert!(all < 600, "{all} steps");
    let unasked = ran
        .cell
        .outcome
        .rules
        .iter()
        .filter(|rule| rule.of(Operation::Check).is_none());
    for rule in unasked {
        let not_asked: Vec<_> = rule.gaps().collect();
        let sampled = [Operation::Check, Operation::Delete].map(|of| (of, NotRun::NotSampled));
        assert_eq!(not_asked, sampled, "{rule:#?}");
    }
    let asked = ran
        .cell
        .outcome
        .rules
        .iter()
        .filter(|rule| rule.gaps().next().is_none());
    assert_eq!(asked.clone().count(), checks);
    assert!(
        asked
            .clone()
            .all(|rule| rule.of(Operation::Check) == Some(Verdict::Found))
    );
    assert!(
        asked
            .into_iter()
            .all(|rule| rule.of(Operation::Delete) == Some(Verdict::Deleted))
    );
    let page = ran
        .stdout()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let said = format!("check and delete: {checks} of 1000 rules were asked for (ipv4)");
    assert!(page.contains(&said), "{page}");
}

#[test]
fn all_of_a_large_rulesets_rules_are_asked_for_where_that_is_wanted() {
    needs!(Native);
    let more = ["--all-rules", "--operation", "check"];
    let ran = Ran::of(&of_one_chain(301), &more);
    assert_eq!(commands(&ran.recording, Role::Check), 301);
    let mut gaps = ran.cell.outcome.rules.iter().flat_map(|rule| rule.gaps());
    assert!(gaps.next().is_none());
    assert!(!ran.stdout().contains("--all-rules"));
}

const IPV6: &str =
    "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s ::1/128 -p ipv6-icmp -j ACCEPT\nCOMMIT\n";

/// Row 16: a ruleset of IPv6 needs no --family.
#[test]
fn an_ipv6_ruleset_is_taken_as_such() {
    needs!(Native);
    let ran = Ran::of(IPV6, &["--operation", "save"]);
    assert_eq!(ran.cell.family.as_str(), "ipv6");
    assert_eq!(
        ran.cell.outcome.untested().count(),
        0,
        "{:#?}",
        ran.cell.outcome.rules
    );
    assert!(
        ran.stderr()
            .contains("standard input is taken as ipv6: it has `::1/128`")
    );
}

#[rstest]
#[case::the_other(IPV6, &["--family", "ipv4"], "say --family ipv6")]
#[case::both(
    "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s ::1/128 -j DROP\n-A INPUT -s 10.0.0.1/32 -j DROP\nCOMMIT\n",
    &[],
    "--family ipv4 or --family ipv6"
)]
#[case::no_save(IPV6, &["--ipset", "Cargo.toml"], "Cargo.toml cannot be read")]
fn what_contradicts_itself_is_refused_before_anything_runs(
    #[case] rules: &str,
    #[case] more: &[&str],
    #[case] message: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let output = matrix(folder.path(), rules, more);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = said
        .replace('│', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains(message), "{said}");
}

/// Row 12: a pairing's cells are one line each, and one says how to see more.
#[test]
fn without_a_scenario_show_lists_the_pairings_cells() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let words = [
        "--scenario",
        "kube-firewall",
        "--scenario",
        "kubelet-canary",
    ];
    let record = ["--operation", "rewrite", "--record", "run.jsonl"];
    let (writer, reader) = ("debian-1.8.9-2-nft", "debian-1.8.7-1-nft");
    let run = |args: &[&str]| {
        let output = iptables_lab()
            .args(["--engine", "native"])
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        output
    };
    let matrix = [
        &["matrix", "--writer", writer, "--reader", reader],
        &words[..],
        &record[..],
    ];
    run(&matrix.concat());
    let output = run(&["show", writer, reader, "--from", "run.jsonl"]);
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines.len(), 4, "{page}");
    let firewall = lines
        .iter()
        .find(|line| line.contains("kube-firewall"))
        .unwrap();
    assert!(
        firewall.contains("lossy") && firewall.contains("match mark lost"),
        "{page}"
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let hint =
        format!("iptables-lab show {writer} {reader} --scenario kube-firewall --from run.jsonl");
    assert!(said.contains(&hint), "{said}");
    let full = run(&[
        "show",
        writer,
        reader,
        "--from",
        "run.jsonl",
        "--scenario",
        "kube-firewall",
    ]);
    assert!(String::from_utf8_lossy(&full.stdout).contains("verdicts"));
}

/// Row 5: what nobody could write was not tested; the rest of the rules was.
#[rstest]
#[case::none(
    "-A INPUT -m nosuchmatch --mine x -j DROP\n",
    "Not tested: nothing is known of these programs"
)]
#[case::some(
    "-A INPUT -s 192.0.2.1/32 -j DROP\n-A INPUT -m nosuchmatch --mine x -j DROP\n",
    "No rule was lost or changed in what was tested; not everything was tested."
)]
// Row 6: that the machine or the release lacks something is nobody's fault.
#[case::unknown_name(
    "-A INPUT -s 192.0.2.1/32 -j DROP\n-A INPUT -p nosuchprotocol -j DROP\n",
    "No rule was lost or changed in what was tested; not everything was tested."
)]
fn rules_that_cannot_be_written_are_not_tested_and_nobodys_fault(
    #[case] rules: &str,
    #[case] answer: &str,
) {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.save");
    std::fs::write(
        &file,
        format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n"),
    )
    .unwrap();
    let mut command = iptables_lab();
    command.args([
        "--quiet",
        "--engine",
        "native",
        "advise",
        "--fail-on",
        "unsafe",
        "--rules",
    ]);
    command.arg(&file).args([
        "--host",
        "debian-1.8.9-2-nft",
        "--pods",
        "debian-1.8.11-2-nft",
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(answer), "{answer}\n{said}");
    assert!(said.contains("node, INPUT rule "), "{said}");
    assert!(said.contains("nosuch"), "{said}");
    for wrong in ["Safe:", "Not safe", "Fix: run"] {
        assert!(!said.contains(wrong), "{wrong}\n{said}");
    }
}
