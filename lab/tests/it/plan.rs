//! That a plan does no needless work: of what was done in real runs, on both engines.

use std::collections::{HashMap, HashSet};

use iptables_lab::catalog::BuildId;
use iptables_lab::plan::step::{Role, RuleSet, Stage};
use iptables_lab::recording::{DumpRef, LoadRecord, Recording, Seen};

use crate::lab;

fn recordings() -> [&'static Recording; 3] {
    let runs = [lab::full_run(), lab::native_run(), lab::wide_run()];
    runs.map(|run| &run.recording)
}

/// What a lane was known to hold as a load went on.
#[derive(Default)]
struct Lane<'l> {
    /// The state that the writer left when it first wrote a set of rules.
    laid: HashMap<&'l RuleSet, DumpRef>,
    /// The set that was last written.
    rules: Option<&'l RuleSet>,
    /// The state, as it was last dumped whole; none while nothing is known of it.
    held: Option<DumpRef>,
}

/// The places where rules were laid anew that still lay there as their writer had left them.
fn laid_for_nothing(load: &LoadRecord) -> Vec<usize> {
    let mut lane = Lane::default();
    let mut found = Vec::new();
    for (at, seen) in load.observations.iter().enumerate() {
        match &seen.seen {
            Seen::Reset => {
                let lies_there = lane.rules == Some(&seen.rules)
                    && lane.held.is_some()
                    && lane.held.as_ref() == lane.laid.get(&seen.rules);
                // Packets are counted from the time when the rules were written.
                if lies_there && seen.stage != Stage::Reassert {
                    found.push(at);
                }
                lane.held = None;
            }
            Seen::Dump(dump) => {
                let before = at.checked_sub(1).map(|before| &load.observations[before]);
                if before.is_some_and(|before| before.role == Role::Write) {
                    lane.laid.entry(&seen.rules).or_insert(*dump);
                    lane.rules = Some(&seen.rules);
                }
                lane.held = Some(*dump);
            }
            // Rule by rule, chains are dumped and not the whole.
            Seen::Chain(_) => lane.held = None,
            _ => {}
        }
    }
    found
}

/// Who was asked twice what the kernel holds, in one state of it: the builds and the states.
fn asked_twice(load: &LoadRecord) -> Vec<(&BuildId, DumpRef)> {
    let mut held = None;
    let (mut asked, mut twice) = (HashSet::new(), Vec::new());
    for seen in &load.observations {
        match (&seen.seen, held) {
            (Seen::Dump(dump), _) => held = Some(*dump),
            (Seen::Reset | Seen::Chain(_), _) => held = None,
            (Seen::Command(command), Some(state)) => {
                let of = (&command.build, state);
                match seen.role {
                    Role::WriterPrint | Role::WitnessPrint if !asked.insert(of) => twice.push(of),
                    Role::ReaderPrint => drop(asked.insert(of)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    twice
}

#[test]
fn what_lies_there_untouched_is_not_written_again() {
    for load in recordings().iter().flat_map(|run| &run.loads) {
        let needless = laid_for_nothing(load);
        let of = (&load.scenario, load.family, &load.writer);
        assert!(needless.is_empty(), "{of:?}: at steps {needless:?}");
    }
}

#[test]
fn nobody_is_asked_twice_what_one_state_of_the_kernel_is() {
    for load in recordings().iter().flat_map(|run| &run.loads) {
        let twice = asked_twice(load);
        let of = (&load.scenario, load.family, &load.writer);
        assert!(twice.is_empty(), "{of:?}: {twice:?}");
    }
}
