//! What makes a build die: the signal, and the least ruleset that it was seen to die on.

use std::collections::BTreeMap;

use super::Pairing;
use super::outcome::Crash;
use crate::catalog::BuildId;
use crate::observed::End;
use crate::plan::step::{Role, RuleSet};
use crate::recording::{CommandRecord, Seen};

impl Pairing<'_> {
    /// What died in this pairing, one entry for each build and kind of command.
    pub(super) fn crashes(&self, reader: &BuildId) -> Vec<Crash> {
        let mut least: BTreeMap<(&BuildId, Role), (&RuleSet, &CommandRecord, i32)> =
            BTreeMap::new();
        for seen in &self.evidence.load.observations {
            let is_of_pairing = seen.reader.as_ref().is_none_or(|of| of == reader);
            let Seen::Command(command) = &seen.seen else {
                continue;
            };
            let (End::Signal(signal), true) = (command.end, is_of_pairing) else {
                continue;
            };
            let known = least.entry((&command.build, seen.role));
            let known = known.or_insert((&seen.rules, command, signal));
            if seen.rules.len() < known.0.len() {
                *known = (&seen.rules, command, signal);
            }
        }
        let crash = |(rules, command, signal): (&RuleSet, &CommandRecord, i32)| Crash {
            by: command.build.clone(),
            argv: command.argv.clone(),
            signal,
            rules: self.given(rules),
        };
        least.into_values().map(crash).collect()
    }

    /// The text of some of the scenario's rules, with all its chains, in the language in which it has them.
    fn given(&self, rules: &RuleSet) -> String {
        let scenario = self.case.scenario;
        scenario.text_of(self.family, |index| rules.contains(index))
    }
}
