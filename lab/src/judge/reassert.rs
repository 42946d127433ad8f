//! What comes of it when a reader of the other backend writes the rules too: the kernel then holds them twice.

use std::cell::RefCell;

use foldhash::HashMap;

use super::Pairing;
use super::by_operation::{Answer, ReassertVerdict};
use super::location::Location;
use super::outcome::Warning;
use super::printed_tables::PrintedTables;
use super::reading::{Baseline, Reassertion};
use super::reason::Reason;
use super::rule_verdict::{Met, RuleVerdict};
use crate::catalog::{Backend, BuildId};
use crate::recording::DumpRef;

/// What is known of one reassertion.
pub struct Reasserted<'a> {
    seen: Reassertion<'a>,
    counts: HashMap<&'a BuildId, PrintedTables>,
    /// What the kernel holds of each chain, under both backends.
    chains: RefCell<HashMap<(&'a str, &'a str), Doubled>>,
}

/// What the kernel holds of a chain when both have written it.
#[derive(Clone, Copy)]
struct Doubled {
    /// Whether it is under the writer's backend as it was.
    is_kept: bool,
    /// How many rules it has under the reader's.
    own: usize,
}

impl Reasserted<'_> {
    /// What the kernel held when both had written.
    pub fn dump(&self) -> DumpRef {
        self.seen.dump
    }
}

impl<'a> Pairing<'a> {
    /// What was seen when the reader wrote the rules too; none where it was not asked to.
    pub(super) fn reasserted(&self, reader: &BuildId) -> Option<Reasserted<'a>> {
        let seen = self.evidence.reassertion(reader)?;
        let counts = seen.counts.iter().map(|command| {
            let printed = self.evidence.read(command);
            (&command.build, PrintedTables::of(printed))
        });
        let counts = counts.collect();
        Some(Reasserted {
            seen,
            counts,
            chains: RefCell::default(),
        })
    }

    /// Whether the kernel then holds the rule under both backends, and which of the two packets met.
    pub(super) fn reassert(
        &self,
        location: &Location<'a>,
        (reasserted, baseline): (&Reasserted<'a>, &Baseline<'a>),
        verdict: &mut RuleVerdict,
    ) {
        if verdict.not_tested().is_some() || location.layer != self.layer {
            return;
        }
        let backend = match self.backend {
            Backend::Nft => Backend::Legacy,
            Backend::Legacy => Backend::Nft,
        };
        let (table, chain) = (location.table, location.rule.chain.as_str());
        let held = |dump, backend| self.evidence.chain(dump, backend, table, chain);
        let then = reasserted.seen.dump;
        let doubled = || Doubled {
            is_kept: held(baseline.dump, self.backend) == held(then, self.backend),
            own: held(then, backend).map_or(0, |chain| chain.rules.len()),
        };
        let mut chains = reasserted.chains.borrow_mut();
        let known = chains.entry((table, chain)).or_insert_with(doubled);
        let Doubled { is_kept, own } = *known;
        let given = self.locations.count_of(location.chain, self.layer);
        let (outcome, reason) = match reasserted.seen.refusal {
            Some(refusal) if own < given => {
                let said = Reason::Complaint(self.complaint(refusal));
                (ReassertVerdict::Refused, Some(said))
            }
            _ if is_kept && own >= given => (ReassertVerdict::Doubled, None),
            _ => (ReassertVerdict::Changed, None),
        };
        let answer = Answer::Reassert(outcome);
        verdict.operations.set_because(answer, reason);
        let is_met = |build: &BuildId| {
            let listing = reasserted.counts.get(build)?.listing(table, chain)?;
            let is_complete = listing.rules().len() == given;
            let rule = listing.rules().get(location.index - 1);
            let rule = rule.filter(|_| is_complete)?;
            Some(rule.tool.dialect().packets(&rule.text)? > 0)
        };
        let reader = reasserted.seen.counts.iter().map(|command| &command.build);
        let reader = reader
            .into_iter()
            .find(|build| **build != self.evidence.load.writer);
        verdict.met = is_met(&self.evidence.load.writer)
            .zip(reader.and_then(is_met))
            .map(|(writer, reader)| Met { writer, reader });
    }

    /// What writer and reader say besides the rules, when both backends hold some.
    pub(super) fn warnings(&self, reasserted: &Reasserted<'a>) -> Vec<Warning> {
        let mut warnings: Vec<Warning> = Vec::new();
        for command in &reasserted.seen.prints {
            let printed = self.evidence.read(command);
            let stderr = self.evidence.text(command.stderr);
            let said = printed.comments.into_iter();
            for text in said.chain(stderr.lines().map(str::to_owned)) {
                let by = command.build.clone();
                let warning = Warning { by, text };
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        warnings
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {

    use super::*;
    use crate::judge::tests::recorded;
    use crate::judge::{Case, Cell, judge};
    use crate::plan::trace::LoadTrace;

    /// The cells of two readers that leave the kernel in the same state, where `change` has changed what is known: in the
    /// recording packets were sent, and counted, for the first alone, and the writer printed for it alone.
    fn doubled(change: impl Fn(&mut LoadTrace)) -> Vec<Cell> {
        let mut recording = recorded("kube-firewall-doubled");
        let load = &mut recording.loads[0];
        change(&mut load.trace);
        let case = Case {
            scenario: &recording.head.scenarios[0],
            builds: &recording.head.builds,
            operations: &recording.head.operations,
        };
        judge(load, case)
    }

    /// Under which backend packets met the jump to the rule with the mark and the rule itself, reader by reader.
    fn met(cells: &[Cell]) -> Vec<Option<(Met, Met)>> {
        let met = |cell: &Cell| cell.outcome.rules[0].met.zip(cell.outcome.rules[3].met);
        cells.iter().map(met).collect()
    }

    #[test]
    fn who_leaves_the_kernel_as_another_did_has_the_same_said_and_packets_meet_the_same_rules() {
        let met_by = |writer, reader| Met { writer, reader };
        // The writer's drop comes first.
        let expected = Some((met_by(true, true), met_by(true, false)));
        let cells = doubled(|_| ());
        assert_eq!(met(&cells), [expected, expected]);
        let by_writer = |cell: &Cell| -> Vec<String> {
            let said = cell
                .outcome
                .warnings
                .iter()
                .filter(|of| of.by == cell.writer);
            said.map(|warning| warning.text.clone()).collect()
        };
        assert!(by_writer(&cells[0])[0].contains("iptables-legacy tables present"));
        assert_eq!(by_writer(&cells[0]), by_writer(&cells[1]));
    }

    #[test]
    fn where_no_packet_was_sent_none_met_a_rule_and_none_passed_it_by() {
        let not_sent = doubled(|trace| trace.packets.clear());
        assert_eq!(met(&not_sent), [None, None]);
        let not_counted = doubled(|trace| {
            let packets = trace.packets.iter_mut();
            packets.for_each(|sent| sent.counted.clear());
        });
        assert_eq!(met(&not_counted), [None, None]);
    }
}
