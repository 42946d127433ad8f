//! Rulesets that somebody met on a real node, as small as they get, and what the lab answers. `data/field` has them.

use std::path::Path;

use iptables_lab::judge::verdict::{Consequence, Verdict};
use iptables_lab::judge::{Cell, RuleVerdict};
use iptables_lab::matrix::{Matrix, harms};
use iptables_lab::plan::Operation;
use iptables_lab::recording;

use super::lab::{both, full_run, iptables_lab};

/// What comes of all operations of one pairing with a ruleset, natively.
fn cell(rules: &str, writer: &str, reader: &str) -> Cell {
    cell_of(rules, writer, reader, &["--operation", "all"])
}

fn cell_of(rules: &str, writer: &str, reader: &str, more: &[&str]) -> Cell {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.jsonl");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/field");
    let mut command = iptables_lab();
    command
        .args(["--engine", "native", "matrix"])
        .args(more)
        .args(["--writer", writer, "--reader", reader, "--rules"])
        .arg(data.join(rules))
        .arg("--record")
        .arg(&file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let matrix = Matrix::of(&recording::read(&file).unwrap().recording);
    let [cell] = <[Cell; 1]>::try_from(matrix.cells).unwrap();
    cell
}

/// `refused`, or `incompatible/same` where the verdict is other rules' doing: with and without those.
fn words(rule: &RuleVerdict, operation: Operation) -> String {
    let without = rule.of(operation).map(|verdict| verdict.as_str());
    match rule.operations.as_run(operation) {
        Some(as_run) => format!("{}/{}", as_run.verdict, without.unwrap_or("-")),
        None => without.unwrap_or("-").to_owned(),
    }
}

fn all_words(cell: &Cell, operation: Operation) -> Vec<String> {
    cell.outcome
        .rules
        .iter()
        .map(|rule| words(rule, operation))
        .collect()
}

const KUBE_ROUTER: &str = "kube-router-nflog-old-reader-refuses.rules";

/// NFLOG and a range of ports are what 1.8.7 cannot read; the administrator's rule and the jump are not at fault.
#[test]
fn a_rule_that_an_older_reader_cannot_take_keeps_it_from_the_others_of_its_table() {
    needs!(Native);
    let cell = cell(KUBE_ROUTER, "debian-1.8.9-2-nft", "debian-1.8.7-1-nft");
    let of = |operation| all_words(&cell, operation);
    let others = [
        "incompatible/same",
        "incompatible/same",
        "refused",
        "refused",
    ];
    assert_eq!(of(Operation::Save), others);
    let [kept, lost] = ["incompatible/kept", "nothing-to-restore"];
    assert_eq!(of(Operation::Rewrite), [kept, kept, lost, lost]);
    let [others, fault] = ["incompatible/-", "refused"];
    assert_eq!(of(Operation::List), [others, others, fault, fault]);
    assert_eq!(of(Operation::Check)[2..], ["not-found"; 2]);
    assert_eq!(of(Operation::Delete)[2..], ["not-deleted"; 2]);
    for rule in cell.outcome.rules.iter().take(2) {
        let as_run = rule.operations.as_run(Operation::Save).unwrap();
        let because: Vec<String> = as_run.because_of.iter().map(ToString::to_string).collect();
        let faults = ["KUBE-POD-FW-EXAMPLE 1", "KUBE-POD-FW-EXAMPLE 2"];
        assert_eq!(because, faults);
    }
    assert!(
        cell.outcome.rules[2]
            .reason()
            .unwrap()
            .to_string()
            .contains("incompatible")
    );
}

/// The same the other way round: after a rewrite by a newer one the older writer cannot read its table any more.
#[test]
fn a_rewrite_that_an_older_writer_cannot_read_is_the_doing_of_two_rules() {
    needs!(Native);
    let cell = cell(KUBE_ROUTER, "debian-1.8.7-1-nft", "debian-1.8.9-2-nft");
    let [others, fault] = ["incompatible/recognised", "unreadable"];
    let recognition = all_words(&cell, Operation::Recognition);
    assert_eq!(recognition, [others, others, fault, fault]);
}

/// Programs read listings: 1.8.9 prints protocols as numbers where all others print names.
#[test]
fn a_listing_is_compared_with_the_writers_word_by_word() {
    needs!(Native);
    let rules = "pacemaker-numeric-list.rules";
    let listed = cell(rules, "debian-1.8.13-1-nft", "debian-1.8.9-2-nft");
    for rule in &listed.outcome.rules {
        assert_eq!(words(rule, Operation::List), "reworded");
        let said = "-L prints `6` where the writer's prints `tcp`";
        let listed = rule.operations.reason(&[Operation::List]);
        assert_eq!(listed.map(ToString::to_string).as_deref(), Some(said));
    }
    let alike = cell(rules, "debian-1.8.13-1-nft", "debian-1.8.11-2-nft");
    assert_eq!(all_words(&alike, Operation::List), ["same", "same"]);
}

/// Who asks for a rule in another order than it was written in does not find it, and writes it again.
#[test]
fn a_rule_is_found_in_its_own_order_and_not_in_another() {
    needs!(Native);
    let rules = "k3s-check-in-another-order.rules";
    for reader in [
        "debian-1.8.7-1-nft",
        "debian-1.8.13-1-nft",
        "debian-1.8.9-2-nft",
    ] {
        let cell = cell(rules, "debian-1.8.13-1-nft", reader);
        let rule = &cell.outcome.rules[1];
        let asked = (rule.of(Operation::Check), rule.check_reordered);
        assert_eq!(
            asked,
            (Some(Verdict::Found), Some(Verdict::NotFound)),
            "{reader}"
        );
        // It is no verdict, and no loss.
        assert!(
            cell.verdict.severity() <= Verdict::Reworded.severity(),
            "{reader}"
        );
    }
}

/// No operation that was asked for is silent about a rule, in a run of everything with all operations.
#[test]
fn every_operation_has_a_verdict_about_every_rule_or_says_why_not() {
    needs!(Native);
    let run = full_run();
    let (mut with, mut without) = (0, 0);
    for cell in &run.matrix().cells {
        let asked = run.matrix().operations.iter();
        for operation in asked.filter(|of| **of != Operation::Effect) {
            for rule in &cell.outcome.rules {
                let outcome = rule.operations.of(*operation);
                let is_said = outcome.is_some_and(|of| of.verdict.is_some() || of.as_run.is_some());
                let why = outcome.and_then(|of| of.not_run);
                assert!(
                    is_said || why.is_some(),
                    "{} {} → {}: {operation} of {}",
                    cell.scenario,
                    cell.writer,
                    cell.reader,
                    rule.given
                );
                with += usize::from(is_said);
                without += usize::from(!is_said);
            }
        }
    }
    println!("{with} verdicts, {without} reasons why there is none");
    assert!(with > without);
}

fn nft_cell(rules: &str, writer: &str, reader: &str) -> Cell {
    cell_of(rules, writer, reader, &[])
}

/// nft lists 1.8.7's rule and loads that: the rule does the same, and 1.8.7 does not know it any more (criu 2760, 1435).
#[test]
fn what_nft_has_loaded_again_an_older_iptables_misreads() {
    needs!(Native);
    let rules = "criu-nft-rewrites-iptables-rules.rules";
    let words = |writer| {
        let cell = nft_cell(rules, writer, "debian-nft-1.1.3-1");
        let of = |operation| all_words(&cell, operation);
        let [rewrite, recognition] = [Operation::Rewrite, Operation::Recognition].map(of);
        [rewrite, recognition].concat()
    };
    assert_eq!(words("debian-1.8.7-1-nft"), ["kept", "misread"]);
    assert_eq!(words("debian-1.8.9-2-nft"), ["kept", "recognised"]);
}

/// As a host with an iptables beside it, and a slim image, save it as their boot file (setup-ipsec-vpn 1830).
#[test]
fn what_nft_lists_of_iptables_it_cannot_load_again() {
    needs!(Native);
    let rules = "ipsec-vpn-nft-list-at-boot.rules";
    let with = nft_cell(rules, "debian-1.8.11-2-nft", "debian-nft-1.1.3-1");
    let policy = &with.outcome.rules[2];
    assert_eq!(policy.of(Operation::Rewrite), Some(Verdict::Unrestorable));
    let reason = policy.reason().unwrap().to_string();
    assert!(
        reason.contains("unsupported xtables compat expression"),
        "{reason}"
    );
    let without = "debian-nft-1.1.3-1.no-xtables";
    let without = nft_cell(rules, "debian-1.8.11-2-nft", without);
    assert_eq!(all_words(&without, Operation::Rewrite), ["unrestorable"; 3]);
}

/// What an nft without xtables' extensions cannot print, it leaves out, and exits with status 0.
#[test]
fn an_older_nft_without_extensions_loses_them_silently() {
    needs!(Native);
    let rules = "ipsec-vpn-nft-list-at-boot.rules";
    let reader = "debian-nft-1.0.6-2+deb12u2.no-xtables";
    let cell = nft_cell(rules, "debian-1.8.11-2-nft", reader);
    assert_eq!(all_words(&cell, Operation::Save), ["lossy"; 3]);
    let lost = |place: usize| {
        let lost = cell.outcome.rules[place].lost.iter();
        lost.map(|part| part.part.clone()).collect::<Vec<_>>()
    };
    assert_eq!(lost(0), ["match conntrack"]);
    assert_eq!(lost(1), ["match multiport"]);
}

/// A set that a newer nft made kills an older one, and so does one of its own that a newer one has loaded again. What scripts load
/// then is nothing (kubernetes 136786, k0s 7293).
#[test]
fn a_set_of_a_newer_nft_kills_an_older_one() {
    needs!(Native);
    let rules = NEWER_SETS;
    let (old, new) = ("debian-nft-1.0.6-2+deb12u2", "debian-nft-1.1.3-1");
    let dead = nft_cell(rules, new, old);
    assert_eq!(all_words(&dead, Operation::Save), ["crashed"]);
    assert_eq!(all_words(&dead, Operation::Rewrite), ["changed"]);
    let chain = &dead.outcome.chains[0];
    assert_eq!(
        (
            chain.policy_before.as_deref(),
            chain.policy_after.as_deref()
        ),
        (Some("ACCEPT"), None)
    );
    let poisoned = nft_cell(rules, old, new);
    assert_eq!(all_words(&poisoned, Operation::Save), ["same"]);
    assert_eq!(all_words(&poisoned, Operation::Recognition), ["unreadable"]);
    let newer = nft_cell(rules, new, "debian-nft-1.1.7-3");
    assert_eq!(all_words(&newer, Operation::Save), ["same"]);
}

/// A rule of nft's in iptables' tables keeps every iptables from its table; without it iptables puts tests in another order, and
/// that is the same rule (netbird 2725).
#[test]
fn a_ct_state_of_nfts_closes_the_table_for_iptables() {
    needs!(Native);
    let rules = "netbird-nft-ct-state.nft";
    let cell = nft_cell(rules, "debian-nft-1.1.3-1", "debian-1.8.11-2-nft");
    let others = "incompatible/reworded";
    let save = all_words(&cell, Operation::Save);
    assert_eq!(save, ["refused", others, others, others]);
    assert_eq!(
        all_words(&cell, Operation::Rewrite)[1..],
        ["incompatible/kept"; 3]
    );
}

/// nat cannot be read; the set of the rule that isolates is lost (mailcow 5847).
#[test]
fn an_anonymous_set_of_nfts_is_lost_by_iptables() {
    needs!(Native);
    let rules = "mailcow-nft-set-and-snat.nft";
    let cell = nft_cell(rules, "debian-nft-1.1.3-1", "debian-1.8.11-2-nft");
    let save = all_words(&cell, Operation::Save);
    assert_eq!(
        save,
        ["reworded", "reworded", "lossy", "reworded", "refused"]
    );
    let isolation = cell.outcome.rules[2].consequence.unwrap();
    assert_eq!(isolation.what, Consequence::Blackhole);
}

const NEWER_SETS: &str = "kube-proxy-nft-newer-sets.nft";

const SWARM: &str = "moby-swarm-u32-reader-without-extension.rules";

/// A slim image lacks an extension: up to 1.8.8 it loses the match of its own release's rule without a word, and the rule drops
/// all packets of the port.
#[test]
fn what_an_extension_prints_is_lost_without_it_between_equal_releases() {
    needs!(Native);
    let cell = cell(SWARM, "debian-1.8.7-1-nft", "debian-1.8.7-1.no-u32-nft");
    assert_eq!(all_words(&cell, Operation::Save), ["lossy"; 3]);
    assert_eq!(all_words(&cell, Operation::Rewrite), ["changed"; 3]);
    let last = &cell.outcome.rules[2];
    let read = last.read.as_deref().unwrap();
    assert_eq!(read, "-A INPUT -p udp -m udp --dport 4789 -j DROP");
    assert_eq!(last.consequence.unwrap().what, Consequence::Blackhole);
}

/// From 1.8.9 on it says so.
#[test]
fn what_an_extension_prints_is_an_error_without_it_from_1_8_9_on() {
    needs!(Native);
    let cell = cell(SWARM, "debian-1.8.9-2-nft", "debian-1.8.9-2.no-u32-nft");
    assert_eq!(all_words(&cell, Operation::Save), ["refused"; 3]);
    let said = cell.outcome.rules[0].reason().unwrap().to_string();
    assert!(said.contains("match extension not found"), "{said}");
}

/// What nft lists is rules as well as the commands that make them.
#[test]
fn a_listing_is_a_ruleset_of_ones_own() {
    needs!(Native);
    let (new, old) = ("debian-nft-1.1.3-1", "debian-nft-1.0.6-2+deb12u2");
    for (writer, reader) in [(new, old), (old, new), (new, new)] {
        let listed = nft_cell("kube-proxy-nft-newer-sets-as-listed.nft", writer, reader);
        let given = nft_cell(NEWER_SETS, writer, reader);
        assert_eq!(listed.verdict, given.verdict);
        for operation in [Operation::Save, Operation::Rewrite, Operation::Recognition] {
            let both = [&listed, &given].map(|cell| all_words(cell, operation));
            assert_eq!(both[0], both[1], "{operation}: {writer}, {reader}");
        }
    }
}

/// nft has no `-C`; all else is done with what an nft wrote.
#[test]
fn an_nft_lists_syncs_and_deletes_what_an_nft_wrote() {
    needs!(Native);
    let cell = cell(NEWER_SETS, "debian-nft-1.1.3-1", "debian-nft-1.1.7-3");
    for (operation, verdict) in [
        (Operation::List, "same"),
        (Operation::Sync, "kept"),
        (Operation::SyncNoflush, "kept"),
        (Operation::Delete, "deleted"),
    ] {
        let all = all_words(&cell, operation);
        assert!(all.iter().all(|of| of == verdict), "{operation}: {all:?}");
        assert!(!all.is_empty());
    }
}

/// Who cannot list the rules cannot delete one of them either, though its handle is told.
#[test]
fn an_nft_that_dies_of_a_set_deletes_nothing() {
    needs!(Native);
    let reader = "debian-nft-1.0.6-2+deb12u2";
    let cell = cell(NEWER_SETS, "debian-nft-1.1.3-1", reader);
    let listed = all_words(&cell, Operation::List);
    assert!(listed.iter().all(|of| of == "crashed"), "{listed:?}");
    let deleted = all_words(&cell, Operation::Delete);
    assert!(deleted.iter().all(|of| of == "crashed"), "{deleted:?}");
}

/// 0.9.8 dies of a verdict map of newer ones, and what is loaded then is nothing. The other rule is gone by that alone: that 0.9.8 prints
/// it otherwise where it can is no part of the harm.
#[test]
fn what_a_rule_suffers_by_anothers_doing_is_told_without_parts() {
    needs!(Native);
    let rules = "nft-verdict-map-kills-an-older-one.nft";
    let cell = nft_cell(rules, "debian-nft-1.1.3-1", "debian-nft-0.9.8-3.1+deb11u2");
    assert_eq!(
        all_words(&cell, Operation::Save),
        ["crashed", "incompatible/reworded"]
    );
    assert_eq!(
        all_words(&cell, Operation::Rewrite),
        ["changed", "changed/kept"]
    );
    let limit = &cell.outcome.rules[1];
    assert!(!limit.lost.is_empty(), "it is printed otherwise");
    let harmed = harms(&cell).into_iter();
    let mut of_limit = harmed.filter(|of| of.rule == Some(1));
    let harms = of_limit.next().unwrap().harms;
    let changed = harms.iter().find(|of| of.operation == Operation::Rewrite);
    assert_eq!(changed.unwrap().parts().count(), 0);
}
