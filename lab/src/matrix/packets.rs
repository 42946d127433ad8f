//! The packets of a scenario that fare otherwise after a reader changed the rules, and between which builds.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::build_set::{BuildSet, Pairs, place, rectangles};
use super::example::Example;
use crate::catalog::Family;
use crate::judge::ProbeVerdict;
use crate::judge::verdict::Effect;
use crate::plan::Operation;

/// A packet that fares otherwise afterwards, the same way between all these builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketChange {
    /// The probe's name.
    pub probe: String,
    /// In which family.
    pub family: Family,
    /// What became of it beside what became of it before.
    pub effect: Effect,
    /// What became of it with the rules as they were written; none where it was not sent then.
    pub written: Option<String>,
    /// What became of it afterwards.
    pub then: String,
    /// After which operations.
    pub operations: Vec<Operation>,
    /// The writers.
    pub writers: BuildSet,
    /// The readers.
    pub readers: BuildSet,
    /// How many pairings of a writer and a reader.
    pub pairings: usize,
    /// One cell that shows it.
    pub example: Example,
}

/// A packet that does not fare as its scenario says, before any reader touched the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The probe's name.
    pub probe: String,
    /// In which family.
    pub family: Family,
    /// What the scenario expects.
    pub expected: String,
    /// What became of it; none where it was not sent.
    pub written: Option<String>,
    /// Whose rules these were.
    pub writers: BuildSet,
}

/// A packet, its fate, and after which operations: the worst first.
type Kind<'a> = (
    Family,
    &'a str,
    Effect,
    Option<&'a str>,
    &'a str,
    Vec<Operation>,
);

/// The packets of `scenario` that fare otherwise afterwards.
pub fn packet_changes(matrix: &Matrix, scenario: &str) -> Vec<PacketChange> {
    let (writers, readers) = (matrix.writers(), matrix.readers());
    let mut found: BTreeMap<Kind<'_>, Pairs> = BTreeMap::new();
    for cell in matrix.cells.iter().filter(|cell| cell.scenario == scenario) {
        for probe in &cell.outcome.probes {
            for (effect, then, operations) in changes(probe) {
                let written = probe.written.as_deref();
                let kind = (cell.family, &*probe.name, effect, written, then, operations);
                let pairs = found.entry(kind).or_default();
                let readers_of = pairs.entry(place(&writers, &cell.writer)).or_default();
                readers_of.insert(place(&readers, &cell.reader));
            }
        }
    }
    let mut changed = Vec::new();
    for ((family, probe, effect, written, then, operations), pairs) in found {
        let groups = rectangles(&pairs).into_iter();
        changed.extend(groups.map(|(of_writers, of_readers)| PacketChange {
            probe: probe.to_owned(),
            family,
            effect,
            written: written.map(str::to_owned),
            then: then.to_owned(),
            operations: operations.clone(),
            pairings: of_writers.len() * of_readers.len(),
            example: Example::first(family, (&of_writers, &writers), (&of_readers, &readers)),
            writers: BuildSet::at(&of_writers, &writers),
            readers: BuildSet::at(&of_readers, &readers),
        }));
    }
    changed
}

/// Each way in which a packet fared otherwise, and after which operations.
fn changes(probe: &ProbeVerdict) -> Vec<(Effect, &str, Vec<Operation>)> {
    let mut changes: BTreeMap<(Effect, &str), Vec<Operation>> = BTreeMap::new();
    for (operation, effect) in &probe.after {
        if let (true, Some(then)) = (*effect != Effect::AsBefore, probe.then.get(operation)) {
            changes.entry((*effect, then)).or_default().push(*operation);
        }
    }
    let changes = changes.into_iter();
    changes
        .map(|((effect, then), operations)| (effect, then, operations))
        .collect()
}

/// The packets of `scenario` that do not fare as it says with the rules as they were written.
pub fn broken(matrix: &Matrix, scenario: &str) -> Vec<Broken> {
    let writers = matrix.writers();
    let mut found: BTreeMap<(Family, &str, &str, Option<&str>), BTreeSet<usize>> = BTreeMap::new();
    let of_scenario = matrix.cells.iter().filter(|cell| cell.scenario == scenario);
    // Where some of the rules could not be written, nothing is expected of packets.
    for cell in of_scenario.filter(|cell| cell.outcome.untested().next().is_none()) {
        let of_cell = cell.outcome.probes.iter();
        for probe in of_cell.filter(|probe| probe.as_expected == Some(false)) {
            let written = probe.written.as_deref();
            let kind = (cell.family, &*probe.name, &*probe.expected, written);
            let of_kind = found.entry(kind).or_default();
            of_kind.insert(place(&writers, &cell.writer));
        }
    }
    let broken = found.into_iter();
    broken
        .map(|((family, probe, expected, written), of_writers)| Broken {
            probe: probe.to_owned(),
            family,
            expected: expected.to_owned(),
            written: written.map(str::to_owned),
            writers: BuildSet::at(&of_writers, &writers),
        })
        .collect()
}
