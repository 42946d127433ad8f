//! What became of the scenario's packets before the rules were written, with them, and after each reader's change.

use std::collections::BTreeMap;

use super::Pairing;
use super::outcome::ProbeVerdict;
use super::reading::{Baseline, Reading, Restored};
use super::reassert::Reasserted;
use super::verdict::Effect;
use crate::plan::Operation;
use crate::recording::DumpRef;
use crate::scenario::{Expect, Outcome, Probe};

impl<'a> Pairing<'a> {
    /// What became of every packet of the scenario.
    pub(super) fn probes(
        &self,
        reading: Option<&Reading<'a>>,
        reasserted: Option<&Reasserted<'a>>,
        baseline: Option<&Baseline<'a>>,
    ) -> Vec<ProbeVerdict> {
        let Some(baseline) = baseline.filter(|_| self.case.wants(Operation::Effect)) else {
            return Vec::new();
        };
        let mut changes = reading.map_or_else(Vec::new, changes);
        changes.extend(reasserted.map(|seen| (Operation::Reassert, seen.dump())));
        let probes = self.case.scenario.probes_of(self.family);
        probes
            .map(|(_, probe)| self.probe(&probe, baseline.dump, &changes))
            .collect()
    }

    fn probe(
        &self,
        probe: &Probe,
        baseline: DumpRef,
        changes: &[(Operation, DumpRef)],
    ) -> ProbeVerdict {
        let written = self.evidence.outcome(&probe.name, baseline);
        let mut after = BTreeMap::new();
        let mut then = BTreeMap::new();
        for (operation, dump) in changes {
            let outcome = self.evidence.outcome(&probe.name, *dump);
            if let Some((written, outcome)) = written.zip(outcome) {
                let effect = effect(written, outcome);
                after.insert(*operation, effect);
                if effect != Effect::AsBefore {
                    then.insert(*operation, outcome.to_string());
                }
            }
        }
        let before = self.evidence.outcome_before(&probe.name);
        ProbeVerdict {
            name: probe.name.clone(),
            expected: String::from(probe.expect),
            before: before.map(ToString::to_string),
            written: written.map(ToString::to_string),
            as_expected: written.map(|outcome| is_as_expected(probe, outcome)),
            after,
            then,
        }
    }
}

/// The operations that may have changed rules, and what the kernel held after each.
fn changes(reading: &Reading<'_>) -> Vec<(Operation, DumpRef)> {
    let dump = |restored: &Restored<'_>| restored.dump;
    let changes = [
        (Operation::Rewrite, reading.rewrite.as_ref().map(dump)),
        (Operation::Cycle, reading.cycle.last().map(dump)),
        (Operation::Sync, reading.sync.as_ref().map(dump)),
        (
            Operation::SyncNoflush,
            reading.sync_noflush.as_ref().map(dump),
        ),
    ];
    let known = changes.into_iter();
    known
        .filter_map(|(operation, dump)| Some((operation, dump?)))
        .collect()
}

fn effect(written: &Outcome, after: &Outcome) -> Effect {
    match (written.is_delivered(), after.is_delivered()) {
        (true, false) => Effect::Dropped,
        (false, true) => Effect::Passed,
        (true, true) if written.arrival != after.arrival => Effect::Rerouted,
        (true, true) | (false, false) => Effect::AsBefore,
    }
}

/// Whether a packet fared as the scenario says.
pub fn is_as_expected(probe: &Probe, outcome: &Outcome) -> bool {
    let Some(arrival) = outcome.arrival.filter(|_| outcome.answered) else {
        return probe.expect == Expect::Dropped;
    };
    let (to, port) = match probe.expect {
        Expect::Delivered => (probe.to, probe.port),
        Expect::To(to, port) => (to, port),
        Expect::Dropped => return false,
    };
    arrival.to == to
        && port.is_none_or(|port| arrival.port == Some(port))
        && probe.seen_from.is_none_or(|from| arrival.from == from)
}
