//! What the project started from, over real builds: where mark matches are lost, and that nothing else loses one.

use iptables_lab::catalog::{Backend, Build, Family, Version};
use iptables_lab::judge::verdict::{Consequence, Effect, Verdict};
use iptables_lab::judge::{Cell, RuleVerdict};
use iptables_lab::plan::Operation;

use super::lab::marks_run;

/// From 1.8.8 on the nft backend matches the mark with a native expression.
fn writes_native_marks(build: &Build) -> bool {
    build.backend == Backend::Nft && Version::new(build.version.release()) >= Version::new("1.8.8")
}

/// Up to 1.8.7 it does not understand that expression.
fn reads_native_marks(build: &Build) -> bool {
    writes_native_marks(build)
}

fn build(id: &iptables_lab::catalog::BuildId) -> &'static Build {
    marks_run()
        .matrix()
        .builds
        .iter()
        .find(|build| &build.id == id)
        .expect("every cell's builds took part")
}

/// Every rule with a mark match, in every cell.
fn mark_rules() -> Vec<(&'static Cell, &'static RuleVerdict)> {
    let cells = marks_run().matrix().cells.iter();
    let rules = cells.flat_map(|cell| cell.outcome.rules.iter().map(move |rule| (cell, rule)));
    let rules: Vec<_> = rules
        .filter(|(_, rule)| rule.given.contains("-m mark "))
        .collect();
    assert!(!rules.is_empty());
    rules
}

/// Which rule of which pairing, for messages.
fn at(cell: &Cell, rule: &RuleVerdict) -> String {
    format!("{} / {}: {}", cell.writer, cell.reader, rule.given)
}

fn loses_the_mark(rule: &RuleVerdict) -> bool {
    rule.lost.iter().any(|change| change.part == "match mark")
}

#[test]
fn nft_readers_up_to_1_8_7_lose_the_marks_of_nft_writers_from_1_8_8_on() {
    needs!(Native);
    let mut met = 0;
    for (cell, rule) in mark_rules() {
        let (writer, reader) = (build(&cell.writer), build(&cell.reader));
        if reader.backend == Backend::Nft
            && writes_native_marks(writer)
            && !reads_native_marks(reader)
        {
            met += 1;
            assert_eq!(
                rule.of(Operation::Save),
                Some(Verdict::Lossy),
                "{}",
                at(cell, rule)
            );
            assert_eq!(
                rule.of(Operation::Rewrite),
                Some(Verdict::Changed),
                "{}",
                at(cell, rule)
            );
            assert!(loses_the_mark(rule), "{}", at(cell, rule));
        }
    }
    assert!(met > 0, "no such pairing was run");
}

#[test]
fn what_is_left_of_kubelets_rule_in_the_kernel_drops_every_packet() {
    needs!(Native);
    let mut met = 0;
    for (cell, rule) in mark_rules() {
        let drops = cell.scenario == "kube-firewall" && rule.given.ends_with("-j DROP");
        if drops
            && writes_native_marks(build(&cell.writer))
            && build(&cell.reader).backend == Backend::Nft
        {
            if reads_native_marks(build(&cell.reader)) {
                assert_eq!(rule.consequence, None);
                continue;
            }
            met += 1;
            let left = rule.witness_after.as_deref().unwrap_or_default();
            assert!(
                left.ends_with("-j DROP") && !left.contains("mark --mark"),
                "{left}"
            );
            assert_eq!(rule.potential, Some(Consequence::Blackhole));
            // In ipv6 kubelet calls its chain from nowhere: no packet meets it.
            let is_called = cell.family == Family::Ipv4;
            let consequence = rule.consequence.map(|of| of.what);
            assert_eq!(consequence, rule.potential.filter(|_| is_called));
            let even_localhost = cell
                .outcome
                .probes
                .iter()
                .filter(|of| of.name == "ping-localhost");
            for ping in even_localhost {
                assert_eq!(ping.after[&Operation::Rewrite], Effect::Dropped);
                assert!(is_called);
            }
        }
    }
    assert!(met > 0, "no such pairing was run");
}

#[test]
fn a_mark_that_1_8_7_wrote_and_a_newer_reader_rewrote_is_kept_and_then_misread() {
    needs!(Native);
    let mut met = 0;
    for (cell, rule) in mark_rules() {
        let (writer, reader) = (build(&cell.writer), build(&cell.reader));
        let old_writer = writer.backend == Backend::Nft && writer.version.release() == "1.8.7";
        if old_writer && writes_native_marks(reader) {
            met += 1;
            assert_eq!(
                rule.of(Operation::Rewrite),
                Some(Verdict::Kept),
                "{}",
                at(cell, rule)
            );
            assert_eq!(
                rule.of(Operation::Recognition),
                Some(Verdict::Misread),
                "{}",
                at(cell, rule)
            );
        }
    }
    assert!(met > 0, "no such pairing was run");
}

#[test]
fn nothing_else_loses_a_mark() {
    needs!(Native);
    for (cell, rule) in mark_rules() {
        let (writer, reader) = (build(&cell.writer), build(&cell.reader));
        let old_reader_of_native = reader.backend == Backend::Nft
            && writes_native_marks(writer)
            && !reads_native_marks(reader);
        let old_writer_rewritten = writer.backend == Backend::Nft
            && !reads_native_marks(writer)
            && writes_native_marks(reader);
        if !old_reader_of_native && !old_writer_rewritten {
            assert!(!loses_the_mark(rule), "{}", at(cell, rule));
        }
    }
}
