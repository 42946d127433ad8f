//! What is done with one load: the writer writes, every reader reads and writes back, and what fails is split.
//!
//! Pure: it yields steps and branches on their answers; it never concludes a verdict. What is known of a kernel state
//! is not asked again: equal dumps are the same state, and what a build prints of it, and what becomes of packets in it,
//! is the same.

mod bench;
mod detect;
mod lookup;
mod reading;
mod reassert;

use std::sync::Arc;

use super::isolate::{Trial, isolate};
use super::script::Lab;
use super::step::{RuleSet, Stage};
use super::{Load, Operation};
use crate::observed::{End, Ran};
use crate::ruleset::Printed;
use crate::scenario::Scenario;
use bench::{Bench, Scene};

/// The chain that a reader adds as its own in `sync`, as a component adds its chain to what it saved.
pub const OWN_CHAIN: &str = "IPTABLES-LAB";

/// How many times a reader and a writer rewrite in turn before a cycle is given up.
pub const ROUNDS: usize = 4;

/// Takes `load` through all of `operations`.
pub async fn procedure(
    lab: Lab,
    load: Arc<Load>,
    scenario: Arc<Scenario>,
    operations: Arc<[Operation]>,
) {
    let mut bench = Bench::new(lab, load.clone(), scenario, operations);
    if !bench.furnish().await {
        return;
    }
    let Some(accepted) = bench.accepted().await else {
        return;
    };
    for reader in &load.readers {
        if !bench.picks_its_backend(reader, &accepted).await {
            continue;
        }
        bench
            .print_baseline(&accepted, reader.witness.as_ref())
            .await;
        let all_went_well = bench.reading(reader, &accepted).await;
        let groups = match all_went_well || accepted.len() <= 1 {
            true => vec![accepted.clone()],
            false => bench.split_reading(reader, &accepted).await,
        };
        for rules in &groups {
            bench.look_up(reader, rules).await;
        }
        bench.reassert(reader, &accepted).await;
    }
}

impl Bench {
    /// Writes all rules; where the writer refuses, finds those that it takes. None where it takes not one.
    async fn accepted(&mut self) -> Option<RuleSet> {
        let all = RuleSet::first(self.scenario.rule_count(self.load.family));
        let scene = Scene {
            rules: &all,
            reader: None,
            stage: Stage::Baseline,
        };
        self.probe_empty(scene).await;
        let accepted = if self.lay(scene).await {
            all.clone()
        } else {
            let isolated = isolate(&all, &mut Writing { bench: self }).await;
            Some(isolated.innocent).filter(|taken| !taken.is_empty())?
        };
        self.whole = Some(accepted.clone());
        let scene = Scene {
            rules: &accepted,
            ..scene
        };
        if self.lay(scene).await {
            self.effect(scene).await;
        }
        Some(accepted)
    }
}

/// Whether the writer takes a set of rules.
struct Writing<'a> {
    bench: &'a mut Bench,
}

impl Trial for Writing<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> bool {
        let scene = Scene {
            rules,
            reader: None,
            stage: Stage::Baseline,
        };
        self.bench.lay(scene).await
    }
}

/// Whether a command ended with exit status 0.
pub fn succeeded(ran: &Ran) -> bool {
    ran.end == End::Exit(0)
}

/// Whether a save ended well and left no table out. Up to 1.8.8 it exits 0 where it could not decode a table, and
/// says so only in a comment.
pub fn printed_whole(ran: &Ran) -> bool {
    succeeded(ran)
        && Printed::read(&ran.stdout.to_lossy())
            .incompatible_tables()
            .is_empty()
}
