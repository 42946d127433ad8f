//! The judge on real observations, and on real observations that were spoiled.

mod layers;

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::verdict::Consequence;
use super::*;
use crate::observed::{End, Text};
use crate::plan::step::Role;
use crate::recording::{self, Seen};
use crate::tool::Change;

pub fn recorded(name: &str) -> recording::Recording {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
    let path = std::path::Path::new(folder).join(format!("{name}.jsonl"));
    recording::read(&path).unwrap().recording
}

/// The cells of a recording, where `spoil` has changed what the plain reader saw.
fn cells(name: &str, spoil: impl Fn(&mut Value)) -> Vec<Cell> {
    let recording = recorded(name);
    let judged = recording.loads.iter().flat_map(|load| {
        let mut load = serde_json::to_value(load).unwrap();
        if load["readers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|reader| reader["id"] == PLAIN)
        {
            own_rewrite(&mut load);
            spoil(&mut load);
        }
        let load: LoadRecord = serde_json::from_value(load).unwrap();
        let case = Case {
            scenario: &recording.head.scenarios[0],
            builds: &recording.head.builds,
            operations: &recording.head.operations,
        };
        judge(&load, case)
    });
    judged.collect()
}

/// Gives the plain reader steps of its own after its rewrite: in the recording another reader left the same state, and what was
/// printed of it is known from there. Its state is one of its own, so that it can be spoiled.
fn own_rewrite(load: &mut Value) {
    let readers = load["trace"]["readers"].as_array().unwrap();
    let reader = readers.iter().position(|of| of["reader"] == PLAIN);
    let at = reader.unwrap();
    let left = &load["trace"]["readers"][at]["readings"][0]["rewrite"]["left"];
    let Some(left) = left.as_u64() else { return };
    let seen = |step: u64| load["observations"][step as usize].clone();
    let state = seen(left)["dump"].clone();
    let printed = |build: &Value| {
        let prints = load["trace"]["prints"].as_array().unwrap().iter();
        let mut of_state = prints.filter(|of| seen(of["state"].as_u64().unwrap())["dump"] == state);
        let by = |of: &&Value| seen(of["command"].as_u64().unwrap())["command"]["build"] == *build;
        of_state
            .find(by)
            .map(|of| seen(of["command"].as_u64().unwrap()))
    };
    let readers = load["readers"].as_array().unwrap();
    let plain = readers.iter().find(|of| of["id"] == PLAIN).unwrap();
    let prints = [
        ("writer-print", printed(&load["writer"])),
        ("witness-print", printed(&plain["witness"])),
    ];
    let mut dump = seen(left);
    let dumps = load["dumps"].as_array_mut().unwrap();
    let own = dumps[state.as_u64().unwrap() as usize].clone();
    dumps.push(own);
    dump["dump"] = json!(dumps.len() - 1);
    let steps = load["observations"].as_array_mut().unwrap();
    steps.push(dump);
    let left = steps.len() - 1;
    let mut of_state = Vec::new();
    for (role, print) in prints {
        let Some(mut print) = print else { continue };
        print["reader"] = json!(PLAIN);
        print["stage"] = json!("rewrite");
        print["role"] = json!(role);
        steps.push(print);
        of_state.push(json!({"state": left, "command": steps.len() - 1}));
    }
    let trace = &mut load["trace"];
    trace["prints"].as_array_mut().unwrap().extend(of_state);
    trace["readers"][at]["readings"][0]["rewrite"]["left"] = json!(left);
}

fn cell_of(cells: Vec<Cell>, reader: &str) -> Cell {
    let mut found = cells
        .into_iter()
        .filter(|cell| cell.reader.as_str() == reader);
    found.next().unwrap()
}

fn word(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("-", Verdict::as_str)
}

/// `read rewrite recognition sync`.
fn words(rule: &RuleVerdict) -> String {
    let verdicts = [
        rule.of(Operation::Save),
        rule.of(Operation::Rewrite),
        rule.of(Operation::Recognition),
        rule.of(Operation::Sync),
    ];
    verdicts.map(word).join(" ")
}

fn parts(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.part.as_str()).collect()
}

const FIREWALL: &str = "kube-firewall-by-1.8.9";
/// The writer itself as the reader, beside another witness.
const PLAIN: &str = "1.8.9-nft";
/// The place of the rule with the mark.
const MARK: usize = 3;

#[rstest]
#[case::the_loss(FIREWALL, "debian-1.8.7-1-nft", MARK, "lossy changed misread changed", &["match mark"], Some(Consequence::Blackhole))]
#[case::a_rule_beside_it(FIREWALL, "debian-1.8.7-1-nft", 2, "same kept recognised kept", &[], None)]
#[case::own_jump(FIREWALL, "debian-1.8.7-1-nft", 0, "same kept recognised kept", &[], None)]
#[case::the_writer_itself(FIREWALL, PLAIN, MARK, "same kept recognised kept", &[], None)]
#[case::other_backend(FIREWALL, "1.8.9-legacy", MARK, "invisible kept recognised kept", &[], None)]
#[case::kept_but_misread("kube-firewall-by-debian-1.8.7", "1.8.9-nft", MARK, "same kept misread kept", &["match mark"], None)]
#[case::legacy("kube-firewall-by-1.8.9-legacy", "1.8.11-legacy", MARK, "same kept recognised kept", &[], None)]
fn real_observations(
    #[case] recording: &str,
    #[case] reader: &str,
    #[case] rule: usize,
    #[case] verdicts: &str,
    #[case] lost: &[&str],
    #[case] consequence: Option<Consequence>,
) {
    let cell = cell_of(cells(recording, |_| ()), reader);
    let rule = &cell.outcome.rules[rule];
    assert_eq!(words(rule), verdicts, "{rule:#?}");
    assert_eq!(parts(&rule.lost), lost);
    assert_eq!(rule.consequence.map(|of| of.what), consequence);
    // A jump of the reader's own in INPUT is no rule of INPUT's.
    for chain in &cell.outcome.chains {
        assert!(
            chain.of_reader().all(|verdict| verdict.severity() == 0),
            "{chain:#?}"
        );
    }
}

/// A writer that dies or hangs is no writer that refuses.
#[rstest]
#[case::dies(End::Signal(11), Verdict::Crashed)]
#[case::hangs(End::TimedOut, Verdict::TimedOut)]
fn a_writer_that_does_not_end_well(#[case] end: End, #[case] verdict: Verdict) {
    let mut recording = recorded("refused-by-its-writer");
    let load = &mut recording.loads[0];
    for seen in &mut load.observations {
        if let Seen::Command(command) = &mut seen.seen
            && seen.role == Role::Write
            && command.end != End::Exit(0)
        {
            command.end = end;
        }
    }
    let case = Case {
        scenario: &recording.head.scenarios[0],
        builds: &recording.head.builds,
        operations: &recording.head.operations,
    };
    for cell in judge(&recording.loads[0], case) {
        let unwritten = cell
            .outcome
            .rules
            .iter()
            .filter(|rule| rule.written.is_none());
        let verdicts: Vec<_> = unwritten.map(|rule| rule.of(Operation::Write)).collect();
        assert!(!verdicts.is_empty() && verdicts.iter().all(|write| *write == Some(verdict)));
        // What its writer did is no verdict about the reader.
        assert_ne!(cell.verdict, verdict);
        assert_eq!(cell.outcome.untested().count(), verdicts.len());
    }
}

/// Where the kernel lacks something for a set or an object, the rest is tried without: rules that name none say nothing of it.
#[test]
fn what_the_surroundings_lacked_is_said_of_the_rules_that_name_it_alone() {
    let recording = recorded("docker-ipv6-by-1.8.4");
    let mut load = recording.loads[0].clone();
    let furnished = |lacks: Option<&str>| {
        let mut seen = load.observations[0].clone();
        seen.seen = Seen::Furnished {
            lacks: lacks.map(str::to_owned),
        };
        seen
    };
    let seen = [furnished(Some("no nfacct here")), furnished(None)];
    load.observations.extend(seen);
    let case = Case {
        scenario: &recording.head.scenarios[0],
        builds: &recording.head.builds,
        operations: &recording.head.operations,
    };
    let evidence = Evidence::new(&load, case);
    assert_eq!(evidence.lacks(), None);
    let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m nfacct --nfacct-name x\n\
                -A INPUT -m set --match-set x src\n-A INPUT -j DROP\nCOMMIT\n";
    let ruleset = crate::tool::iptables::parse(text).unwrap();
    let lacked = ruleset.tables[0].rules.iter();
    let lacked: Vec<_> = lacked.map(|rule| evidence.lacked_around(rule)).collect();
    assert_eq!(
        lacked,
        [Some("no nfacct here"), Some("no nfacct here"), None]
    );
}

#[rstest]
#[case::address_altered("docker-by-1.8.10", "1.8.8-nft", Verdict::Lossy)]
#[case::refused_by_the_writer("refused-by-its-writer", "debian-1.8.9-2-nft", Verdict::Same)]
#[case::unreadable("kube-router-by-debian-1.8.7", "debian-1.8.9-2-nft", Verdict::Misread)]
fn real_cells(#[case] recording: &str, #[case] reader: &str, #[case] verdict: Verdict) {
    let cell = cell_of(cells(recording, |_| ()), reader);
    assert_eq!(cell.verdict, verdict);
    if recording == "refused-by-its-writer" {
        let refused = cell
            .outcome
            .rules
            .iter()
            .filter(|rule| rule.of(Operation::Write) == Some(Verdict::Refused));
        let refused: Vec<&RuleVerdict> = refused.collect();
        assert!(!refused.is_empty() && refused.len() < cell.outcome.rules.len());
        for rule in refused {
            assert!(rule.given.contains("70000"), "{}", rule.given);
            assert_eq!(words(rule), "- - - -");
            let mut reasons = rule.not_run().map(|(_, why)| why);
            assert!(reasons.all(|why| why == NotRun::NotWritten));
        }
    }
}

/// Changes what one role of the plain reader's stage saw.
fn observation<'v>(load: &'v mut Value, stage: &str, role: &str) -> &'v mut Value {
    let seen = load["observations"].as_array_mut().unwrap();
    let mut of_reader = seen
        .iter_mut()
        .filter(|seen| seen["reader"] == PLAIN && seen["stage"] == stage && seen["role"] == role);
    // Of a stage's dumps the last is that after the restore.
    of_reader.next_back().unwrap()
}

/// Another end and another standard output of the command in `role`.
fn other_output(
    load: &mut Value,
    (stage, role): (&str, &str),
    end: Value,
    change: impl Fn(&str) -> Vec<u8>,
) {
    let command = &observation(load, stage, role)["command"];
    let at = command["stdout"].as_u64().unwrap() as usize;
    let text: Text = serde_json::from_value(load["texts"][at].clone()).unwrap();
    let text = Text::from(change(&text.to_lossy()));
    let texts = load["texts"].as_array_mut().unwrap();
    texts.push(serde_json::to_value(text).unwrap());
    let new = texts.len() - 1;
    let command = &mut observation(load, stage, role)["command"];
    command["stdout"] = json!(new);
    command["end"] = end;
}

fn saved_as(end: Value, change: impl Fn(&str) -> Vec<u8>) -> Cell {
    let spoil = |load: &mut Value| {
        other_output(load, ("save", "reader-print"), end.clone(), &change);
    };
    cell_of(cells(FIREWALL, spoil), PLAIN)
}

const INCOMPATIBLE: &str = "# Table `filter' is incompatible, use 'nft' tool.\n";

fn line_with<'t>(text: &'t str, word: &str) -> &'t str {
    text.lines().find(|line| line.contains(word)).unwrap()
}

#[rstest]
#[case::killed(json!({"signal": 11}), |text: &str| text.to_owned(), "crashed kept")]
#[case::hangs(json!("timed-out"), |text: &str| text.to_owned(), "timed-out kept")]
#[case::half(json!({"exit": 1}), |text: &str| text[..text.len() / 2].to_owned(), "refused")]
#[case::all_but_failed(json!({"exit": 1}), |text: &str| text.to_owned(), "refused kept")]
#[case::incompatible(json!({"exit": 0}), |_: &str| INCOMPATIBLE.to_owned(), "refused nothing-to-restore")]
#[case::nothing(json!({"exit": 0}), |_: &str| String::new(), "differs nothing-to-restore")]
#[case::cut_in_a_line(json!({"exit": 0}), |text: &str| text[..text.find("/0x8000").unwrap()].to_owned(), "refused nothing-to-restore")]
#[case::no_commit(json!({"exit": 0}), |text: &str| text.replace("COMMIT\n", ""), "refused nothing-to-restore")]
#[case::doubled(json!({"exit": 0}), |text: &str| { let line = line_with(text, "--mark"); text.replace(line, &format!("{line}\n{line}")) }, "reworded kept")]
#[case::option_dropped(json!({"exit": 0}), |text: &str| text.replace(" -m mark --mark 0x8000/0x8000", ""), "reworded kept")]
#[case::synonym(json!({"exit": 0}), |text: &str| text.replace("0x8000/0x8000", "32768/0x8000"), "reworded kept")]
#[case::rule_dropped(json!({"exit": 0}), |text: &str| text.replace(line_with(text, "--mark"), ""), "reworded kept")]
#[case::junk_for_a_rule(json!({"exit": 0}), |text: &str| text.replace(line_with(text, "--mark"), "\u{1}\u{7f}\"\u{0}"), "reworded kept")]
fn a_spoiled_save(#[case] end: Value, #[case] change: fn(&str) -> String, #[case] verdicts: &str) {
    let cell = saved_as(end, |text| change(text).into_bytes());
    let found = words(&cell.outcome.rules[MARK]);
    assert!(
        found.starts_with(verdicts),
        "{found}: {:#?}",
        cell.outcome.rules[MARK]
    );
    assert_ne!(cell.verdict, Verdict::Same);
}

#[rstest]
#[case::order_of_options(|text: &str| text.replace("-m mark --mark 0x8000/0x8000 -j DROP", "-j DROP -m mark --mark 0x8000/0x8000"))]
#[case::swapped(|text: &str| { let (a, b) = (line_with(text, "RELATED"), line_with(text, "--mark")); text.replace(a, "@").replace(b, a).replace('@', b) })]
#[case::rule_too_many(|text: &str| text.replace("-A INPUT -j", "-A INPUT -s 192.0.2.1/32 -p tcp -j ACCEPT\n-A INPUT -j"))]
#[case::other_policy(|text: &str| text.replace(":INPUT ACCEPT", ":INPUT DROP"))]
#[case::chain_not_declared(|text: &str| text.replace(":FORWARD ACCEPT [0:0]\n", ""))]
#[case::junk_beside_the_rules(|text: &str| text.replace("COMMIT", "\u{7}\u{1}\nCOMMIT"))]
#[case::table_twice(|text: &str| format!("{text}{text}"))]
fn a_print_that_differs_is_never_the_same(#[case] change: fn(&str) -> String) {
    let cell = saved_as(json!({"exit": 0}), |text| change(text).into_bytes());
    assert_ne!(cell.verdict, Verdict::Same, "{cell:#?}");
}

#[test]
fn bytes_that_are_no_text_are_not_taken_for_each_other() {
    let with = |byte: u8| {
        let change = move |text: &str| {
            let (head, tail) = text.split_once("localnet").unwrap();
            [head.as_bytes(), &[byte], tail.as_bytes()].concat()
        };
        let spoil = move |load: &mut Value| {
            let ok = || json!({"exit": 0});
            other_output(load, ("save", "reader-print"), ok(), change);
            other_output(load, ("rewrite", "writer-print"), ok(), change);
        };
        cell_of(cells(FIREWALL, spoil), PLAIN).outcome.rules[2]
            .read
            .clone()
    };
    assert_ne!(with(0xe8), with(0xe9));
}

#[test]
fn no_word_of_a_rule_can_be_dropped_unnoticed() {
    let plain = cells(FIREWALL, |_| ());
    let plain = cell_of(plain, PLAIN);
    assert_eq!(plain.verdict, Verdict::Same);
    for rule in &plain.outcome.rules {
        let line = rule.read.as_ref().unwrap();
        let all: Vec<&str> = line.split(' ').collect();
        for dropped in 0..all.len() {
            let mut kept = all.clone();
            kept.remove(dropped);
            let cell = saved_as(json!({"exit": 0}), |text| {
                text.replace(&**line, &kept.join(" ")).into_bytes()
            });
            assert_ne!(cell.verdict, Verdict::Same, "`{}` of {line}", all[dropped]);
        }
    }
}

#[test]
fn a_restore_that_fails_is_unrestorable() {
    let spoil = |load: &mut Value| {
        observation(load, "rewrite", "restore")["command"]["end"] = json!({"exit": 1});
    };
    let cell = cell_of(cells(FIREWALL, spoil), PLAIN);
    assert_eq!(
        cell.outcome.rules[MARK].of(Operation::Rewrite),
        Some(Verdict::Unrestorable)
    );
    assert_eq!(cell.verdict, Verdict::Unrestorable);
}

#[rstest]
#[case::refused(json!({"exit": 1}), |text: &str| text.to_owned(), Verdict::Unreadable)]
#[case::crashed(json!({"signal": 11}), |_: &str| String::new(), Verdict::Unreadable)]
#[case::incompatible(json!({"exit": 0}), |_: &str| INCOMPATIBLE.to_owned(), Verdict::Unreadable)]
#[case::cut_off(json!({"exit": 0}), |text: &str| text.replace("COMMIT\n", ""), Verdict::Unreadable)]
#[case::not_printed(json!({"exit": 0}), |text: &str| text.replace(line_with(text, "--mark"), ""), Verdict::Misread)]
#[case::misread(json!({"exit": 0}), |text: &str| text.replace(" -m mark --mark 0x8000/0x8000", ""), Verdict::Misread)]
fn a_spoiled_recognition(
    #[case] end: Value,
    #[case] change: fn(&str) -> String,
    #[case] verdict: Verdict,
) {
    let spoil = |load: &mut Value| {
        let role = ("rewrite", "writer-print");
        other_output(load, role, end.clone(), |text| change(text).into_bytes());
    };
    let cell = cell_of(cells(FIREWALL, spoil), PLAIN);
    assert_eq!(
        cell.outcome.rules[MARK].of(Operation::Recognition),
        Some(verdict)
    );
    assert_eq!(cell.verdict, verdict);
}

/// The cell where the kernel, and with it the witness, held something else after the rewrite.
fn rewritten_to(change: fn(&mut Value), print: fn(&str) -> String, witness_end: Value) -> Cell {
    let spoil = move |load: &mut Value| {
        let at = observation(load, "rewrite", "dump")["dump"]
            .as_u64()
            .unwrap() as usize;
        let mut dump = load["dumps"][at].clone();
        let tables = dump["nft"].as_array_mut().unwrap();
        change(
            tables
                .iter_mut()
                .find(|table| table["name"] == "filter")
                .unwrap(),
        );
        let dumps = load["dumps"].as_array_mut().unwrap();
        dumps.push(dump);
        let new = dumps.len() - 1;
        observation(load, "rewrite", "dump")["dump"] = json!(new);
        let role = ("rewrite", "witness-print");
        other_output(load, role, witness_end.clone(), |text| {
            print(text).into_bytes()
        });
    };
    cell_of(cells(FIREWALL, spoil), PLAIN)
}

fn chain<'v>(table: &'v mut Value, name: &str) -> &'v mut Value {
    let mut chains = table["chains"].as_array_mut().unwrap().iter_mut();
    chains.find(|chain| chain["name"] == name).unwrap()
}

fn without_mark(table: &mut Value) {
    let rule = &mut chain(table, "KUBE-FIREWALL")["rules"][1];
    let expressions = rule["expressions"].as_array_mut().unwrap();
    let last = expressions.pop().unwrap();
    *expressions = vec![last];
}

fn print_without_mark(text: &str) -> String {
    text.replace(" -m mark --mark 0x8000/0x8000", "")
}

fn as_printed(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_rule_that_lost_its_condition_in_the_kernel_is_changed() {
    let cell = rewritten_to(without_mark, print_without_mark, json!({"exit": 0}));
    let rule = &cell.outcome.rules[MARK];
    assert_eq!(rule.of(Operation::Rewrite), Some(Verdict::Changed));
    assert_eq!(rule.does(), Some(Consequence::Blackhole));
    assert_eq!(parts(&rule.lost), ["match mark"]);
    assert_eq!(
        cell.outcome.rules[2].of(Operation::Rewrite),
        Some(Verdict::Kept)
    );
}

/// A witness that failed proves nothing, whatever it printed before it did.
#[rstest]
#[case(json!({"exit": 1}))]
#[case(json!({"signal": 6}))]
fn a_witness_that_failed_proves_nothing(#[case] end: Value) {
    let cell = rewritten_to(without_mark, as_printed, end);
    let rule = &cell.outcome.rules[MARK];
    assert_eq!(rule.of(Operation::Rewrite), Some(Verdict::Changed));
    assert_eq!(rule.consequence, None, "nobody knows what became of it");
    assert_eq!(
        cell.outcome.rules[2].of(Operation::Rewrite),
        Some(Verdict::Kept)
    );
}

#[test]
fn another_encoding_that_the_witness_prints_alike_is_kept() {
    let cell = rewritten_to(without_mark, as_printed, json!({"exit": 0}));
    assert_eq!(
        cell.outcome.rules[MARK].of(Operation::Rewrite),
        Some(Verdict::Kept)
    );
}

#[test]
fn a_chain_that_is_gone_takes_its_rules_along() {
    let gone = |table: &mut Value| {
        let chains = table["chains"].as_array_mut().unwrap();
        chains.retain(|chain| chain["name"] != "KUBE-FIREWALL");
    };
    let cell = rewritten_to(gone, as_printed, json!({"exit": 0}));
    let rule = &cell.outcome.rules[MARK];
    assert_eq!(rule.of(Operation::Rewrite), Some(Verdict::Changed));
    assert_eq!(rule.does(), Some(Consequence::Exposure));
    let chain = cell
        .outcome
        .chains
        .iter()
        .find(|chain| chain.chain == "KUBE-FIREWALL");
    assert_eq!(
        chain.unwrap().of(Operation::Rewrite),
        Some(Verdict::Changed)
    );
}

#[rstest]
#[case::policy(|table: &mut Value| chain(table, "INPUT")["base"]["policy"] = json!("DROP"), "INPUT", Consequence::Blackhole)]
#[case::priority(|table: &mut Value| chain(table, "INPUT")["base"]["priority"] = json!(7), "INPUT", Consequence::Misdirected)]
#[case::dormant(|table: &mut Value| table["flags"] = json!(1), "INPUT", Consequence::Misdirected)]
#[case::rule_too_many(|table: &mut Value| { let rules = chain(table, "INPUT")["rules"].as_array_mut().unwrap(); let copy = rules[0].clone(); rules.push(copy); }, "INPUT", Consequence::Misdirected)]
#[case::new_base_chain(|table: &mut Value| { let mut new = chain(table, "INPUT").clone(); new["name"] = json!("OTHER"); table["chains"].as_array_mut().unwrap().push(new); }, "OTHER", Consequence::Misdirected)]
fn a_chain_that_changed_in_the_kernel(
    #[case] change: fn(&mut Value),
    #[case] name: &str,
    #[case] consequence: Consequence,
) {
    let cell = rewritten_to(change, as_printed, json!({"exit": 0}));
    let chain = cell
        .outcome
        .chains
        .iter()
        .find(|chain| chain.chain == name)
        .unwrap();
    assert_eq!(
        chain.of(Operation::Rewrite),
        Some(Verdict::Changed),
        "{chain:#?}"
    );
    assert_eq!(chain.does(), Some(consequence));
    assert_eq!(cell.verdict, Verdict::Changed);
}

#[test]
fn a_policy_from_drop_to_accept_is_an_exposure() {
    let spoil = |load: &mut Value| {
        for dump in load["dumps"].as_array_mut().unwrap() {
            for table in dump["nft"].as_array_mut().into_iter().flatten() {
                if table["name"] == "filter" {
                    chain(table, "INPUT")["base"]["policy"] = json!("DROP");
                }
            }
        }
        let at = observation(load, "rewrite", "dump")["dump"]
            .as_u64()
            .unwrap() as usize;
        let mut dump = load["dumps"][at].clone();
        for table in dump["nft"].as_array_mut().unwrap() {
            if table["name"] == "filter" {
                chain(table, "INPUT")["base"]["policy"] = json!("ACCEPT");
            }
        }
        let dumps = load["dumps"].as_array_mut().unwrap();
        dumps.push(dump);
        let new = dumps.len() - 1;
        observation(load, "rewrite", "dump")["dump"] = json!(new);
    };
    let cell = cell_of(cells(FIREWALL, spoil), PLAIN);
    let chain = cell
        .outcome
        .chains
        .iter()
        .find(|chain| chain.chain == "INPUT")
        .unwrap();
    assert_eq!(chain.of(Operation::Rewrite), Some(Verdict::Changed));
    assert_eq!(chain.does(), Some(Consequence::Exposure));
    assert_eq!(
        (
            chain.policy_before.as_deref(),
            chain.policy_after.as_deref()
        ),
        (Some("DROP"), Some("ACCEPT"))
    );
}

/// A rule without one of its parts: the part, and the words that are left.
fn without_each_part(tokens: &[String]) -> Vec<(String, Vec<String>)> {
    let found = crate::tool::iptables::parts(tokens)
        .into_iter()
        .filter_map(|part| {
            let words = crate::tool::iptables::tokens::split(&part.text).unwrap();
            let words: Vec<String> = words
                .into_iter()
                .map(|token| token.text.into_owned())
                .collect();
            // Of a match whose options do not follow it, each option is a part too.
            let at = tokens.windows(words.len()).position(|at| at == words)?;
            let left = [&tokens[..at], &tokens[at + words.len()..]].concat();
            Some((part.name, left))
        });
    found.collect()
}

#[test]
fn an_option_that_is_gone_from_any_rule_of_any_scenario_is_named() {
    let mut tried = 0;
    for scenario in crate::scenario::shipped().unwrap() {
        let of_iptables = scenario
            .rules
            .values()
            .filter(|_| scenario.tool() == Tool::Iptables);
        for given in of_iptables {
            for (_, rule) in given.ruleset().rules() {
                for (gone, left) in without_each_part(&rule.tokens().to_strings()) {
                    let difference =
                        crate::tool::iptables::compare(&rule.tokens().to_strings(), &left);
                    let named = parts(&difference.lost);
                    assert!(
                        named.contains(&gone.as_str()),
                        "{}: {} without `{gone}` lost {named:?}",
                        scenario.name,
                        rule.text
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}

/// Recordings of iptables-save texts, and in each a reading of the writer's own backend that ended well.
const READ_WELL: &[&str] = &[
    FIREWALL,
    "docker-by-1.8.10",
    "kube-firewall-by-1.8.9-legacy",
    "kube-router-by-debian-1.8.7",
    "verdicts/found-wrong",
    "verdicts/kept",
    "verdicts/reworded",
    "verdicts/wrong-rule",
];

/// A load and the place of the text that its first reader of the writer's backend saved, of all rules.
fn first_reading(recording: &recording::Recording) -> (LoadRecord, BuildId, usize) {
    let load = recording.loads[0].clone();
    let saved = load.observations.iter().find_map(|seen| match &seen.seen {
        Seen::Command(command) if seen.role == Role::ReaderPrint => {
            Some((seen.reader.clone()?, serde_json::to_value(command.stdout)))
        }
        _ => None,
    });
    let (reader, text) = saved.unwrap();
    let at = text.unwrap().as_u64().unwrap() as usize;
    (load, reader, at)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
    /// The text is the reader's alone: others may have printed the same, and go on doing so.
    #[test]
    fn an_option_that_is_gone_from_a_readers_text_is_found_and_named(
        name in proptest::sample::select(READ_WELL),
        rule in proptest::prelude::any::<proptest::sample::Index>(),
        part in proptest::prelude::any::<proptest::sample::Index>(),
    ) {
        let recording = recorded(name);
        let (mut load, reader, saved) = first_reading(&recording);
        let case = Case {
            scenario: &recording.head.scenarios[0],
            builds: &recording.head.builds,
            operations: &recording.head.operations,
        };
        let cell = cell_of(judge(&load, case), reader.as_str());
        let rules = &cell.outcome.rules;
        // What its writer misreads after the rewrite has lost something else already.
        let same = |rule: &&RuleVerdict| {
            rule.of(Operation::Save) == Some(Verdict::Same)
                && rule.of(Operation::Recognition) != Some(Verdict::Misread)
        };
        let same: Vec<&RuleVerdict> = rules.iter().filter(same).collect();
        let rule = *rule.get(&same);
        let line = rule.read.clone().unwrap();
        let tokens = crate::tool::iptables::tokens::split(&line).unwrap();
        let tokens: Vec<String> = tokens.into_iter().skip(2).map(|token| token.text.into_owned()).collect();
        let all = without_each_part(&tokens);
        let (gone, left) = part.get(&all);
        let left = crate::tool::Rule::new(&*rule.chain, left.clone()).text;
        let text = load.texts[saved].to_lossy().replacen(&*line, &left, 1);
        load.texts.push(Text::from(text));
        let spoilt = serde_json::from_value(json!(load.texts.len() - 1)).unwrap();
        for seen in &mut load.observations {
            if let Seen::Command(command) = &mut seen.seen
                && seen.role == Role::ReaderPrint
                && seen.reader.as_ref() == Some(&reader)
            {
                command.stdout = spoilt;
            }
        }
        let cell = cell_of(judge(&load, case), reader.as_str());
        let rules = &cell.outcome.rules;
        let of_rule = |of: &&RuleVerdict| (&of.table, &of.chain, of.index) == (&rule.table, &rule.chain, rule.index);
        let judged = rules.iter().find(of_rule).unwrap();
        let named = parts(&judged.lost);
        proptest::prop_assert_ne!(judged.of(Operation::Save), Some(Verdict::Same));
        proptest::prop_assert!(named.contains(&gone.as_str()), "{}: {} without `{}` lost {:?}: {:#?}", name, line, gone, named, judged);
    }
}

#[test]
fn what_fares_alike_in_many_pairings_is_one_in_memory() {
    let recording = recorded("kube-router-by-debian-1.8.7");
    let case = Case {
        scenario: &recording.head.scenarios[0],
        builds: &recording.head.builds,
        operations: &recording.head.operations,
    };
    let mut shared = SharedVerdicts::default();
    let mut again = || judge_among(&recording.loads[0], case, &mut shared);
    let (one, other) = (again(), again());
    for (one, other) in one.iter().zip(&other) {
        assert!(!one.outcome.rules.is_empty());
        assert!(
            Arc::ptr_eq(&one.outcome.rules.0, &other.outcome.rules.0),
            "{}",
            one.reader
        );
    }
}

#[test]
fn what_differs_between_pairings_has_in_memory_once_what_was_printed_alike() {
    let recording = recorded("kube-router-by-debian-1.8.7");
    let case = Case {
        scenario: &recording.head.scenarios[0],
        builds: &recording.head.builds,
        operations: &recording.head.operations,
    };
    let load = &recording.loads[0];
    let mut unrestored = load.clone();
    let readers = unrestored.trace.readers.iter_mut();
    for reading in readers.flat_map(|of| &mut of.readings) {
        reading.rewrite = None;
        reading.reread.clear();
    }
    let mut shared = SharedVerdicts::default();
    let cells = judge_among(load, case, &mut shared);
    let others = judge_among(&unrestored, case, &mut shared);
    assert!(!Arc::ptr_eq(
        &cells[0].outcome.rules.0[0],
        &others[0].outcome.rules.0[0]
    ));
    let mut prints = HashMap::<(usize, &str), &Arc<str>>::default();
    let mut shared = 0;
    for cell in cells.iter().chain(&others) {
        for (place, rule) in cell.outcome.rules.iter().enumerate() {
            for print in rule.prints() {
                let first = prints.entry((place, print)).or_insert(print);
                assert!(Arc::ptr_eq(first, print), "{print} is there twice");
                shared += 1;
            }
        }
    }
    assert!(shared > 2 * prints.len());
}
