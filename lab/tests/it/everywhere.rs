//! What holds in every scenario with every build that this machine has.

use std::collections::BTreeSet;

use iptables_lab::judge::verdict::Effect;
use iptables_lab::plan::Operation;

use super::lab::{full_run, wide_cells};

/// A scenario whose packets do not fare as it says before any reader came proves nothing.
#[test]
fn every_packet_fares_as_its_scenario_says_while_the_rules_are_as_they_were_written() {
    needs!(Native);
    let mut sent = 0;
    let mut otherwise = BTreeSet::new();
    for cell in wide_cells() {
        // Where the writer refused a rule, what follows says nothing of the scenario.
        let is_whole = cell.outcome.rules.iter().all(|rule| rule.written.is_some());
        for probe in cell.outcome.probes.iter().filter(|_| is_whole) {
            sent += 1;
            if probe.as_expected != Some(true) {
                otherwise.insert(format!(
                    "{} {} {}: `{}` is expected to be {} and is {}",
                    cell.scenario,
                    cell.family,
                    cell.writer,
                    probe.name,
                    probe.expected,
                    probe.written.as_deref().unwrap_or("not sent")
                ));
            }
        }
    }
    assert!(sent > 1000, "only {sent} packets were sent");
    let otherwise: Vec<String> = otherwise.into_iter().collect();
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}

/// The rules decide: a packet that is dropped or goes elsewhere with them does not before they are written.
#[test]
fn rules_make_a_difference_to_packets() {
    needs!(Native);
    let scenarios: BTreeSet<&str> = wide_cells().map(|cell| &*cell.scenario).collect();
    let mut decided = BTreeSet::new();
    for cell in wide_cells() {
        let mut probes = cell.outcome.probes.iter();
        if probes.any(|probe| probe.before != probe.written) {
            decided.insert(&*cell.scenario);
        }
    }
    assert!(
        decided.len() * 2 > scenarios.len(),
        "in {} of {}",
        decided.len(),
        scenarios.len()
    );
}

/// Packets are the proof: where they fare otherwise the judge has found what did that.
#[test]
fn where_packets_fare_otherwise_some_rule_or_chain_is_to_blame() {
    needs!(Native);
    let mut met = 0;
    for cell in &full_run().matrix().cells {
        let by_reader = |(operation, effect): (&Operation, &Effect)| {
            *operation != Operation::Reassert && *effect != Effect::AsBefore
        };
        if cell
            .outcome
            .probes
            .iter()
            .any(|probe| probe.after.iter().any(by_reader))
        {
            met += 1;
            let (writer, reader, scenario) = (&cell.writer, &cell.reader, &cell.scenario);
            assert!(
                cell.verdict.severity() > 0,
                "{writer} / {reader} / {scenario}: packets fare otherwise, and the verdict is {}",
                cell.verdict
            );
        }
    }
    assert!(met > 0, "packets fare as before everywhere");
}
