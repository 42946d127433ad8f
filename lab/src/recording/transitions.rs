//! How many commands of a recording are distinct: who runs each of them once runs no command twice.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::{Recording, Seen};
use crate::catalog::BuildId;
use crate::plan::surroundings;
use crate::tool::iptables::heeded;

/// How many transitions of a recording are distinct: one command of one build in one state, where the surroundings are the same. A
/// state is known where it was dumped; where it was not, by the commands since the last dump.
pub fn distinct_transitions(recording: &Recording) -> usize {
    let hashes = (RandomState::new(), RandomState::new());
    let digest = |id: &BuildId| {
        let mut builds = recording.head.builds.iter();
        builds.find(|build| &build.id == id).map(|of| &of.digest)
    };
    let mut distinct = HashSet::new();
    for load in &recording.loads {
        let mut scenarios = recording.head.scenarios.iter();
        let scenario = scenarios.find(|scenario| scenario.name == load.scenario);
        let setup = scenario.map(|scenario| {
            let setup = surroundings(scenario, &recording.head.operations);
            serde_json::to_string(&setup).ok()
        });
        let (mut state, mut since) = (None, Vec::new());
        for observation in &load.observations {
            match &observation.seen {
                Seen::Command(command) => {
                    let stdin = command.stdin.map(|text| heeded(load.text(text).bytes()));
                    since.push((digest(&command.build), &command.argv, stdin));
                    let transition = (&setup, state, &since);
                    let hash = |by: &RandomState| by.hash_one(transition);
                    distinct.insert((hash(&hashes.0), hash(&hashes.1)));
                }
                Seen::Dump(dump) => {
                    state = Some(load.dump(*dump));
                    since.clear();
                }
                Seen::Reset => {
                    state = None;
                    since.clear();
                }
                Seen::Chain(_) | Seen::Probes(_) | Seen::Furnished { .. } => {}
            }
        }
    }
    distinct.len()
}
