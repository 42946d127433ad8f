//! What becomes of a rule when reader and writer go on rewriting in turn.

use super::Pairing;
use super::by_operation::{Answer, CycleVerdict, RestoreVerdict};
use super::chain_in_lane::RuleInLane;
use super::fate::Fate;
use super::reading::{Reading, Restored};
use super::rule_verdict::{Drift, RuleVerdict};

impl<'a> Pairing<'a> {
    /// Says what became of the rule in the whole cycle: in the reader's rewrite, and in every turn after that. Returns
    /// what it came to where it did not stay.
    pub(super) fn cycle(
        &self,
        in_lane: RuleInLane<'_, 'a>,
        verdict: &mut RuleVerdict,
    ) -> Option<Fate> {
        let reading = &in_lane.chain.reading;
        if reading.cycle.is_empty() {
            return None;
        }
        let fates = in_lane.chain.rewritten.iter().chain(&in_lane.chain.cycled);
        let fates = fates.map(|fates| fates.of(in_lane.kernel_place()));
        let changed = turns(reading)
            .zip(fates)
            .enumerate()
            .find(|(_, (_, fate))| fate.verdict == RestoreVerdict::Changed);
        let Some((turn, (restored, fate))) = changed else {
            verdict.operations.set(Answer::Cycle(CycleVerdict::Stable));
            return None;
        };
        verdict.operations.set(Answer::Cycle(CycleVerdict::Drifts));
        verdict.drift = Some(Box::new(Drift {
            round: turn / 2 + 1,
            by: restored.command.build.clone(),
            to: fate.after.as_ref().map(|rule| rule.text.to_string()),
        }));
        Some(fate)
    }
}

/// Every turn of the cycle, the reader's rewrite first.
pub fn turns<'r, 'a>(reading: &'r Reading<'a>) -> impl Iterator<Item = &'r Restored<'a>> {
    reading.rewrite.iter().chain(&reading.cycle)
}
