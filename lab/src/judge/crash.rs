//! What makes a build die: the signal, and the least ruleset that it was seen to die on.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Pairing;
use super::outcome::Crash;
use super::reading::Reading;
use crate::catalog::BuildId;
use crate::observed::End;
use crate::plan::step::{Role, RuleSet};
use crate::recording::{CommandRecord, Seen};

impl<'a> Pairing<'a> {
    /// What died in this pairing, one entry for each build and kind of command. What another reader left too was printed once, for
    /// whichever came first.
    pub(super) fn crashes(&self, reader: &BuildId) -> Vec<Crash> {
        let mut least: BTreeMap<(&BuildId, Role), (&RuleSet, &CommandRecord, i32)> =
            BTreeMap::new();
        let builds = self.writers_and_witnesses();
        let is_one = |build: &BuildId| builds.iter().any(|(_, of)| *of == build);
        let seen = self.evidence.load.observations.iter().filter_map(|seen| {
            let Seen::Command(command) = &seen.seen else {
                return None;
            };
            let is_of_pairing = match &seen.reader {
                Some(of) => of == reader,
                // Another reader may have another witness.
                None => is_one(&command.build),
            };
            is_of_pairing.then_some((seen.role, &seen.rules, command))
        });
        let readings = self.readings.iter().map(Rc::as_ref);
        let of_others = readings.flat_map(|reading| self.prints_of_left(reading));
        for (role, rules, command) in seen.chain(of_others) {
            let End::Signal(signal) = command.end else {
                continue;
            };
            let known = least.entry((&command.build, role));
            let known = known.or_insert((rules, command, signal));
            if rules.len() < known.0.len() {
                *known = (rules, command, signal);
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

    /// What the writer and the witness printed of what the reader found, and of all that it left.
    fn prints_of_left(&self, reading: &Reading<'a>) -> Vec<(Role, &'a RuleSet, &'a CommandRecord)> {
        let restored = reading.rewrite.iter().chain(&reading.cycle);
        let restored = restored.chain(&reading.sync).chain(&reading.sync_noflush);
        let found = self.evidence.baseline(reading.rules, self.writer);
        let dumps = found.map(|of| of.dump).into_iter();
        let dumps = dumps.chain(restored.map(|of| of.dump));
        let builds = self.writers_and_witnesses();
        let prints = dumps.flat_map(|dump| {
            let builds = builds.iter();
            builds.map(move |(role, build)| (*role, *build, dump))
        });
        let prints = prints.filter_map(|(role, build, dump)| {
            let print = self.evidence.print_of(build, dump)?;
            Some((role, reading.rules, print.command))
        });
        prints.collect()
    }

    /// Everybody who wrote, and who prints that a second time, with what they print for.
    fn writers_and_witnesses(&self) -> Vec<(Role, &'a BuildId)> {
        let layers = [self].into_iter().chain(&self.beside);
        let builds = layers.flat_map(|of| {
            let witness = of.witness.map(|witness| (Role::WitnessPrint, witness));
            [Some((Role::WriterPrint, of.writer)), witness]
        });
        builds.flatten().collect()
    }

    /// The text of some of the scenario's rules, with all its chains, in the language in which it has them.
    fn given(&self, rules: &RuleSet) -> String {
        let scenario = self.case.scenario;
        scenario.text_of(self.family, |index| rules.contains(index))
    }
}
