//! Layers: two of Docker's rules by iptables, and in front of one of them two of NetBird's by a newer nft, of which no iptables can
//! read the first.

use super::*;
use crate::catalog::Tool;

const WRITER: &str = "debian-1.8.11-2-nft";
const BYSTANDER: &str = "debian-nft-1.1.7-3";

/// The cell of a reader, where `spoil` has changed what was recorded.
fn cell(reader: &str, spoil: impl Fn(&mut LoadRecord)) -> Cell {
    let mut recording = recorded("layers-by-debian-1.8.11");
    let load = &mut recording.loads[0];
    spoil(load);
    let case = Case {
        scenario: &recording.head.scenarios[0],
        builds: &recording.head.builds,
        operations: &recording.head.operations,
    };
    let mut cells = judge(load, case).into_iter();
    cells.find(|cell| cell.reader.as_str() == reader).unwrap()
}

/// A rule's tool, layer, chain and place in it, and what save, rewrite and recognition come to: without the rules at fault, where
/// those are named.
fn shown(rule: &RuleVerdict) -> String {
    let of = |operation: Operation| {
        let verdict = rule.of(operation).map_or("-", |verdict| verdict.as_str());
        let Some(as_run) = rule.operations.as_run(operation) else {
            return verdict.to_owned();
        };
        let names: Vec<String> = as_run.because_of.iter().map(ToString::to_string).collect();
        format!("{} by {}, else {verdict}", as_run.verdict, names.join("+"))
    };
    let operations = [Operation::Save, Operation::Rewrite, Operation::Recognition];
    format!(
        "{} {} {} {}: {}",
        rule.tool,
        rule.layer,
        rule.chain,
        rule.index,
        operations.map(of).join("; ")
    )
}

#[test]
fn rules_of_every_layer_have_verdicts_and_the_one_at_fault_is_named_whichever_it_is_of() {
    let cell = cell("debian-1.8.9-2-nft", |_| ());
    let rules: Vec<String> = cell.outcome.rules.iter().map(shown).collect();
    let expected = [
        "nft 2 FORWARD 1: refused; nothing-to-restore; recognised",
        "nft 2 FORWARD 2: incompatible by FORWARD 1, else reworded; incompatible by FORWARD 1, else kept; recognised",
        "iptables 1 FORWARD 3: incompatible by FORWARD 1, else same; incompatible by FORWARD 1, else kept; \
         incompatible by FORWARD 1, else recognised",
        "iptables 1 POSTROUTING 1: same; kept; recognised",
    ];
    assert_eq!(rules, expected);
    let written: Vec<Option<&str>> = cell
        .outcome
        .rules
        .iter()
        .map(|rule| rule.written.as_deref())
        .collect();
    let expected = [
        Some("oifname \"wt0\" ct state established,related counter accept"),
        Some("iifname \"wt0\" counter accept"),
        Some("-A FORWARD -o bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        Some("-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE"),
    ];
    assert_eq!(written, expected, "each as the one who wrote it prints it");
    let by: Vec<&str> = (0..4).map(|rule| cell.writer_of(rule).as_str()).collect();
    assert_eq!(by, [BYSTANDER, BYSTANDER, WRITER, WRITER]);
    let write: Vec<Option<NotRun>> = cell
        .outcome
        .rules
        .iter()
        .map(|rule| rule.operations.of(Operation::Write)?.not_run)
        .collect();
    let words = Some(NotRun::OtherWords);
    assert_eq!(write, [words, words, None, None]);
    assert_eq!(cell.outcome.rules[0].tool, Tool::Nft);
}

#[test]
fn what_a_bystander_did_not_print_says_nothing_of_its_rules_and_nothing_else_is_missing() {
    let without = cell("debian-1.8.9-2-nft", |load| {
        let by_bystander = |print: &crate::plan::trace::PrintOf, load: &LoadRecord| {
            load.command(print.command).build.as_str() == BYSTANDER
        };
        let seen = load.clone();
        load.trace
            .prints
            .retain(|print| !by_bystander(print, &seen));
    });
    let whole = cell("debian-1.8.9-2-nft", |_| ());
    for (rule, of) in without.outcome.rules.iter().zip(&whole.outcome.rules) {
        match rule.tool {
            Tool::Nft => {
                assert_eq!(rule.written, None);
                assert_eq!(rule.of(Operation::Recognition), None);
            }
            Tool::Iptables => assert_eq!(rule, of),
        }
    }
}
