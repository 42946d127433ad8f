//! What is done with one load: the writer writes, every reader reads and writes back, and what fails is split.
//!
//! Pure: it yields steps and branches on their answers; it never concludes a verdict. What is known of a kernel state
//! is not asked again: equal dumps are the same state, and what a build prints of it, and what becomes of packets in it,
//! is the same.

mod detect;
mod furnish;
mod lane;
mod lookup;
mod reading;
mod reassert;
mod reread;
mod scene;
mod split_print;
mod writing;

use std::sync::Arc;

use super::coroutine::Performer;
use super::fault::Fault;
use super::isolate::{Suspects, Trial, isolate};
use super::step::{RuleSet, Stage};
use super::trace::{LoadTrace, ReaderTrace};
use super::{Load, Operation, Reader};
use crate::catalog::BuildId;
use crate::scenario::Scenario;
use crate::tool::{KnownRules, Printed};
use lane::{Command, TrackedLane};
use scene::Scene;

/// The chain that a reader adds as its own in `sync`, as a component adds its chain to what it saved.
pub const OWN_CHAIN: &str = "IPTABLES-LAB";

/// How many times a reader and a writer rewrite in turn before a cycle is given up.
pub const ROUNDS: usize = 4;

/// Takes `load` through all of `operations`. Returns what each step was to them.
///
/// # Errors
/// A step that was not done as it was asked for.
pub async fn procedure(
    performer: Performer,
    load: Arc<Load>,
    scenario: Arc<Scenario>,
    operations: Arc<[Operation]>,
) -> Result<LoadTrace, Fault> {
    let mut lane = TrackedLane::new(performer, load.clone(), scenario, operations);
    if lane.furnish().await?
        && let Some(accepted) = lane.accepted().await?
    {
        for reader in &load.readers {
            let trace = lane.read_by(reader, &accepted).await?;
            lane.trace.readers.push(trace);
        }
    }
    Ok(lane.trace)
}

impl TrackedLane {
    /// Takes `reader` through all operations on `accepted`, the rules that the writer took.
    async fn read_by(&mut self, reader: &Reader, accepted: &RuleSet) -> Result<ReaderTrace, Fault> {
        let mut trace = ReaderTrace::of(reader.build.id.clone());
        if !self.picks_its_backend(reader, accepted, &mut trace).await? {
            return Ok(trace);
        }
        self.print_baseline(accepted, reader).await?;
        let failures = self.reading(reader, accepted, &mut trace).await?;
        if !failures.is_empty() && accepted.len() > 1 {
            self.split_reading(reader, (accepted, failures), &mut trace)
                .await?;
        }
        self.look_up(reader, accepted, &mut trace).await?;
        self.reassert(reader, accepted, &mut trace).await?;
        Ok(trace)
    }

    /// What `build` printed, as it reads.
    fn read(&self, build: &BuildId, command: &Command) -> Printed {
        let dialect = self.load.kind_of(build).0.dialect();
        let stdout = command.ran.stdout.to_lossy();
        dialect.read(self.load.family, &mut KnownRules::default(), &stdout)
    }

    /// Whether a print of `build` ended well and left no table out. Up to 1.8.8 `iptables-save` exits 0 where it could not
    /// decode a table, and says so only in a comment.
    fn printed_whole(&self, build: &BuildId, command: &Command) -> bool {
        command.succeeded() && self.read(build, command).given_up.is_empty()
    }

    /// Writes all rules; where the writer refuses, finds those that it takes. None where it takes not one.
    async fn accepted(&mut self) -> Result<Option<RuleSet>, Fault> {
        let all = RuleSet::first(self.scenario.rule_count(self.load.family));
        let scene = Scene {
            rules: &all,
            reader: None,
            stage: Stage::Baseline,
        };
        self.probe_empty(scene).await?;
        let accepted = if self.write(scene).await? {
            all.clone()
        } else {
            let nobody = Suspects::default();
            let isolated = isolate(&all, &nobody, &mut Writing { lane: self }).await?;
            if isolated.innocent.is_empty() {
                return Ok(None);
            }
            isolated.innocent
        };
        self.whole = Some(accepted.clone());
        let scene = Scene {
            rules: &accepted,
            ..scene
        };
        if self.write(scene).await? {
            self.effect(scene).await?;
        }
        Ok(Some(accepted))
    }
}

/// Whether the writer takes a set of rules.
struct Writing<'a> {
    lane: &'a mut TrackedLane,
}

impl Trial for Writing<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> Result<bool, Fault> {
        let scene = Scene {
            rules,
            reader: None,
            stage: Stage::Baseline,
        };
        self.lane.write(scene).await
    }
}
