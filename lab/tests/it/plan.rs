//! That a plan does no needless work: of what was done in real runs.

use std::collections::{HashMap, HashSet};

use iptables_lab::catalog::BuildId;
use iptables_lab::plan::step::{Role, RuleSet, Stage};
use iptables_lab::recording::{
    DumpRef, LoadRecord, Observation, Recording, Seen, distinct_transitions,
};

use crate::lab::{self, FullRun};

fn recordings() -> Vec<&'static Recording> {
    let runs = lab::wide_runs().iter().chain([lab::full_run()]);
    let recordings = runs.map(FullRun::recording);
    recordings.chain([&lab::small_run().recording]).collect()
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
    needs!(Native, Engine);
    for load in recordings().iter().flat_map(|run| &run.loads) {
        let needless = laid_for_nothing(load);
        let of = (&load.scenario, load.family, &load.writer);
        assert!(needless.is_empty(), "{of:?}: at steps {needless:?}");
    }
}

#[test]
fn nobody_is_asked_twice_what_one_state_of_the_kernel_is() {
    needs!(Native, Engine);
    for load in recordings().iter().flat_map(|run| &run.loads) {
        let twice = asked_twice(load);
        let of = (&load.scenario, load.family, &load.writer);
        assert!(twice.is_empty(), "{of:?}: {twice:?}");
    }
}

/// A real load in which nothing is needless.
fn load() -> LoadRecord {
    let load = lab::small_run().recording.loads[0].clone();
    assert!(laid_for_nothing(&load).is_empty() && asked_twice(&load).is_empty());
    load
}

#[test]
fn a_reset_of_rules_that_lie_there_untouched_is_found() {
    needs!(Engine);
    let mut load = load();
    let mut resets = load.observations.iter();
    let mut reset = resets
        .find(|seen| seen.role == Role::Reset)
        .unwrap()
        .clone();
    let mut pairs = load.observations.windows(2);
    let is_written =
        |pair: &[Observation]| pair[0].role == Role::Write && pair[1].role == Role::Dump;
    let at = pairs.position(is_written).unwrap() + 2;
    reset.rules.clone_from(&load.observations[at - 1].rules);
    load.observations.insert(at, reset);
    assert_eq!(laid_for_nothing(&load), [at]);
}

#[test]
fn a_print_of_a_state_that_was_printed_is_found() {
    needs!(Engine);
    let mut load = load();
    let mut seen = load.observations.iter();
    let at = seen
        .position(|seen| seen.role == Role::WriterPrint)
        .unwrap();
    load.observations
        .insert(at + 1, load.observations[at].clone());
    assert_eq!(asked_twice(&load).len(), 1);
}

/// What is known is not run again, and what a command is to meet is brought about seldom.
#[test]
fn little_more_is_run_than_is_distinct() {
    needs!(Native);
    let recording = lab::full_run().recording();
    let commands = recording.end.as_ref().and_then(|end| end.commands);
    let commands = commands.expect("the run came to its end");
    let observations = recording.loads.iter().flat_map(|load| &load.observations);
    let asked = observations.filter(|of| matches!(of.seen, Seen::Command(_)));
    assert_eq!(commands.asked, asked.count());
    let distinct = distinct_transitions(recording);
    println!("{commands:?}, {distinct} distinct transitions");
    assert!(distinct < commands.asked / 2, "{distinct}");
    let most = distinct + distinct / 10;
    assert!(
        commands.run + commands.again <= most,
        "{commands:?}, {distinct} distinct"
    );
}
