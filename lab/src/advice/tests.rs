//! Advice from a report that is made up: what each way of changing rules comes to, and what is proposed.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalog::{Backend, BuildId};
use crate::judge::verdict::Consequence;
use crate::plan::Operation;

/// The builds of the report, the oldest first.
const BUILDS: [&str; 12] = [
    "1.8.7-nft",
    "1.8.8-nft",
    "1.8.9-nft",
    "debian-1.8.9-2-nft",
    "1.8.10-nft",
    "1.8.11-nft",
    "1.8.7-legacy",
    "1.8.8-legacy",
    "1.8.9-legacy",
    "debian-1.8.9-2-legacy",
    "1.8.10-legacy",
    "1.8.11-legacy",
];

/// In which 1.8.7 and 1.8.8 lose the mark of what newer ones write when they rewrite it, and read it without one when newer ones
/// have rewritten it. No restore with --noflush takes anything, and -C of 1.8.7 does not find it.
fn report(operations: &[Operation], gaps: &Value) -> Published {
    let builds = BUILDS.map(|id| {
        let (image, backend) = id.rsplit_once('-').unwrap();
        let version = image.trim_start_matches("debian-");
        json!({ "id": id, "version": version, "backend": backend, "tool": "iptables" })
    });
    let all: Vec<usize> = (0..BUILDS.len()).collect();
    let (old, newer) = ([0, 1], [2, 3, 4, 5]);
    let rule = |harms: usize, pairs: usize| {
        json!({
            "scenario": "kube", "family": "ipv4", "table": "filter", "chain": "KUBE", "index": 1,
            "written": "-A KUBE -m mark --mark 0x8000/0x8000 -j DROP", "harms": harms, "pairs": pairs
        })
    };
    let lost = |operation: &str, verdict: &str, certainty: &str| {
        let encoder = if operation == "recognition" {
            "reader"
        } else {
            "writer"
        };
        json!({
            "operation": operation, "encoder": encoder, "verdict": verdict, "lost": ["match mark"], "consequence": "blackhole",
            "certainty": certainty
        })
    };
    let value = json!({
        "format": 4, "lab": "0.1.0", "started": "2026-11-29T00:00:00Z", "builds": builds,
        "host": { "kernel": "6.18", "arch": "x86_64", "engine": "native", "engine_reason": null, "notes": [] },
        "pairings": [
            [[all, all]], [[newer, old]], [[old, newer]], [[newer, [0]]], [[[2], [4]]], [[[2, 3, 4], all]],
        ],
        "harms": [
            [lost("save", "lossy", "shown"), lost("rewrite", "changed", "shown")],
            [lost("recognition", "misread", "if-written-back")],
            [{ "operation": "check", "encoder": "writer", "verdict": "not-found", "certainty": "predicted" }],
        ],
        "ran": [{
            "scenario": "kube", "family": "ipv4", "rules": 2, "operations": operations, "pairs": 0
        }],
        "damages": [rule(0, 1), rule(1, 2), rule(2, 3)],
        "gaps": gaps,
    });
    Published::of_text(&value.to_string()).unwrap()
}

const ALL: [Operation; 9] = [
    Operation::Write,
    Operation::Save,
    Operation::Rewrite,
    Operation::Recognition,
    Operation::Sync,
    Operation::SyncNoflush,
    Operation::Check,
    Operation::Delete,
    Operation::Effect,
];

fn member(build: &str, changes: Changes) -> Member {
    Member {
        changes,
        ..Member::of_build(build, BuildId::named(build))
    }
}

fn product(name: &str, version: &str) -> Member {
    let products = Products::embedded().unwrap();
    let product = products.find(name, version).unwrap();
    Member::of_product(&format!("{name}@{version}"), product, Backend::Nft)
}

fn advice<'a>(published: &'a Published, members: &[Member]) -> Advice<'a> {
    advise(published, &Products::embedded().unwrap(), members, |_| true)
}

/// What a reader does to rules is what its way of changing rules does to them.
#[rstest]
#[case::table(Changes::WholeTable, Safety::Unsafe, Some(Consequence::Blackhole))]
#[case::chains(Changes::OwnChains, Safety::Safe, None)]
#[case::rules(Changes::SingleRules, Safety::Unsafe, None)]
#[case::not_known(Changes::Unknown, Safety::Unsafe, Some(Consequence::Blackhole))]
fn only_what_a_reader_does_counts(
    #[case] changes: Changes,
    #[case] safety: Safety,
    #[case] consequence: Option<Consequence>,
) {
    let published = report(&ALL, &json!([]));
    let members = [
        member("1.8.9-nft", Changes::OwnChains),
        member("1.8.7-nft", changes),
    ];
    let advice = advice(&published, &members);
    let pair = advice.pairs.iter().find(|pair| pair.reader == 1).unwrap();
    assert_eq!(pair.safety, safety);
    let harm = pair.harms.first().map(|found| &found.harm);
    assert_eq!(harm.and_then(|harm| harm.consequence), consequence);
}

/// Who restores what it wants does not care what it reads; who writes back what it read does.
#[rstest]
#[case::chains(Changes::OwnChains, Safety::Safe, None)]
#[case::rules(Changes::SingleRules, Safety::Unsafe, None)]
#[case::table(Changes::WholeTable, Safety::Unsafe, Some(Consequence::Blackhole))]
fn what_a_writer_reads_otherwise_does_harm_where_it_writes_that_back(
    #[case] changes: Changes,
    #[case] safety: Safety,
    #[case] consequence: Option<Consequence>,
) {
    let published = report(&ALL, &json!([]));
    let members = [
        member("1.8.7-nft", changes),
        member("1.8.9-nft", Changes::WholeTable),
    ];
    let advice = advice(&published, &members);
    let pair = advice.pairs.iter().find(|pair| pair.writer == 0).unwrap();
    assert_eq!(pair.safety, safety);
    let harm = pair.harms.first().map(|found| &found.harm);
    assert_eq!(harm.and_then(|harm| harm.consequence), consequence);
}

#[test]
fn what_was_not_run_is_not_tested() {
    let without = [
        Operation::Write,
        Operation::Save,
        Operation::Rewrite,
        Operation::Recognition,
    ];
    let published = report(&without, &json!([]));
    let members = [
        member("1.8.9-nft", Changes::WholeTable),
        member("1.8.10-nft", Changes::OwnChains),
        member("1.8.11-nft", Changes::Unknown),
    ];
    let advice = advice(&published, &members);
    let safety = |reader: usize| {
        advice
            .pairs
            .iter()
            .find(|of| of.reader == reader)
            .unwrap()
            .safety
    };
    assert_eq!(safety(0), Safety::Safe);
    assert_eq!(safety(1), Safety::NotTested);
    assert_eq!(safety(2), Safety::SafeAsTested);
    assert_eq!(advice.safety(), Safety::NotTested);
    assert_eq!(advice.change, None);
}

#[rstest]
#[case::one_of_two(&[1], Safety::SafeAsTested)]
#[case::all(&[1, 2], Safety::NotTested)]
fn rules_that_cannot_be_written_are_not_tested(#[case] indices: &[usize], #[case] safety: Safety) {
    let gaps: Vec<Value> = indices
        .iter()
        .map(|index| {
            json!({
                "scenario": "kube", "family": "ipv4", "table": "filter", "chain": "KUBE", "index": index,
                "given": "-A KUBE -m nfacct --nfacct-name x", "reason": "unknown object", "pairs": 4
            })
        })
        .collect();
    let published = report(&ALL, &Value::from(gaps));
    let members = [
        member("1.8.9-nft", Changes::WholeTable),
        member("1.8.10-nft", Changes::WholeTable),
    ];
    let advice = advice(&published, &members);
    assert_eq!(advice.safety(), safety);
    let pair = advice
        .pairs
        .iter()
        .find(|pair| pair.safety == safety)
        .unwrap();
    assert_eq!(pair.untested.len(), indices.len());
    assert!(pair.harms.is_empty());
}

#[rstest]
#[case::same_release("1.8.9-legacy")]
#[case::old("1.8.7-legacy")]
fn two_backends_are_never_safe_and_no_release_helps(#[case] pod: &str) {
    let published = report(&ALL, &json!([]));
    let members = [product("debian", "12"), member(pod, Changes::Unknown)];
    let advice = advice(&published, &members);
    assert_eq!(advice.safety(), Safety::TwoBackends);
    assert_eq!(advice.change, None);
}

/// What a change says: who, which release, which version of its product.
fn said(advice: &Advice<'_>) -> Vec<(usize, String, Option<String>)> {
    let plus = |is_so: bool| if is_so { "+" } else { "" };
    let change = advice.change.as_ref().unwrap();
    let newer = change.members.iter().map(|of| {
        let product = of.product.as_ref();
        let product = product.map(|of| format!("{}@{}{}", of.name, of.version, plus(of.or_newer)));
        (
            of.member,
            format!("{}{}", of.release, plus(of.or_newer)),
            product,
        )
    });
    newer.collect()
}

#[rstest]
#[case::a_product(
    &[product("debian", "12"), product("kube-router", "1.5.1")],
    &[(1, "1.8.9+", Some("kube-router@2.1.0+"))]
)]
#[case::a_release(
    &[product("debian", "12"), member("1.8.7-nft", Changes::Unknown)],
    &[(1, "1.8.9+", None)]
)]
#[case::an_old_host(
    &[member("1.8.7-nft", Changes::Unknown), product("kube-router", "2.1.0")],
    &[(0, "1.8.9+", None)]
)]
#[case::an_old_host_and_two_pods(
    &[member("1.8.8-nft", Changes::Unknown), product("kube-router", "2.1.0"), product("kube-proxy", "1.30")],
    &[(0, "1.8.9+", None)]
)]
#[case::two_pods(
    &[product("debian", "12"), product("kube-router", "1.5.1"), product("kube-router", "1.5.2")],
    &[(1, "1.8.9+", Some("kube-router@2.1.0+")), (2, "1.8.9+", Some("kube-router@2.1.0+"))]
)]
fn the_least_change_is_the_fewest_members_with_the_oldest_good_release(
    #[case] members: &[Member],
    #[case] change: &[(usize, &str, Option<&str>)],
) {
    let published = report(&ALL, &json!([]));
    let advice = advice(&published, members);
    assert_eq!(advice.safety(), Safety::Unsafe);
    let change: Vec<_> = change
        .iter()
        .map(|(member, release, product)| {
            (*member, (*release).to_owned(), product.map(str::to_owned))
        })
        .collect();
    assert_eq!(said(&advice), change);
}

/// One of the other backend neither changes nor keeps the others from a change.
#[test]
fn a_change_keeps_every_backend() {
    let published = report(&ALL, &json!([]));
    let members = [
        product("debian", "12"),
        member("1.8.7-nft", Changes::WholeTable),
        member("1.8.9-legacy", Changes::WholeTable),
    ];
    let advice = advice(&published, &members);
    assert_eq!(said(&advice), [(1, "1.8.9+".to_owned(), None)]);
}

/// A release that cannot write what is written today is no better.
#[test]
fn a_change_leaves_nothing_untested_that_is_tested_today() {
    let gap = json!([{
        "scenario": "kube", "family": "ipv4", "table": "filter", "chain": "KUBE", "index": 2, "given": "-A KUBE -j X",
        "reason": "unknown option", "pairs": 5
    }]);
    let published = report(&ALL, &gap);
    let members = [
        member("1.8.11-nft", Changes::OwnChains),
        member("1.8.7-nft", Changes::WholeTable),
    ];
    let advice = advice(&published, &members);
    assert_eq!(said(&advice), [(1, "1.8.11".to_owned(), None)]);
}

#[test]
fn where_no_release_helps_none_is_named() {
    let published = report(&ALL, &json!([]));
    // Of somebody's own: which release would have it is not known.
    let members = [
        member("1.8.11-nft", Changes::OwnChains),
        member("1.8.7-nft", Changes::WholeTable),
        member("patched-nft", Changes::WholeTable),
    ];
    let advice = advice(&published, &members);
    assert_eq!(advice.safety(), Safety::Unsafe);
    assert_eq!(advice.change, None);
}
