//! A rule that keeps a build from a whole table takes the others of that table along. They are not at fault: what was run is
//! `incompatible` for them, and names the rule whose doing it is; beside it stands what they suffer without that rule.

use std::rc::Rc;

use super::as_run::{AsRun, RuleName};
use super::chain_in_lane::RuleInLane;
use super::printed_tables::Lines;
use super::reading::{Reading, RereadPart};
use super::verdict::Verdict;
use super::{Pairing, RuleVerdict};
use crate::observed::End;
use crate::plan::Operation;
use crate::plan::step::RuleSet;

/// The operations that a rule that cannot be read keeps from others of its table.
const KEPT_FROM: [Operation; 6] = [
    Operation::Save,
    Operation::Rewrite,
    Operation::Recognition,
    Operation::Cycle,
    Operation::Sync,
    Operation::SyncNoflush,
];

/// What a reader's readings say of who is at fault.
pub struct Culprits {
    /// Of each reading, whether the reader failed at it, and does not without any rule.
    pub failed: Vec<bool>,
    /// The readings that failed on the least sets of rules: what is in such a set is at fault, alone or together.
    pub least: Vec<usize>,
}

impl Culprits {
    /// What `readings` say of that.
    pub fn of(readings: &[Rc<Reading<'_>>]) -> Self {
        let bare = readings.iter().find(|of| of.tried().is_empty());
        let regardless = bare.map(|of| of.failures()).unwrap_or_default();
        let fails = |of: &Rc<Reading<'_>>| !of.failures().is_subset(&regardless);
        let failed: Vec<bool> = readings.iter().map(fails).collect();
        let numbers =
            (0..readings.len()).filter(|&at| failed[at] && !readings[at].tried().is_empty());
        let numbers: Vec<usize> = numbers.collect();
        let is_part = |part: usize, of: usize| {
            let (part, of) = (readings[part].tried(), readings[of].tried());
            part.len() < of.len() && part.without(of).is_empty()
        };
        let is_least = |number: &usize| !numbers.iter().any(|&other| is_part(other, *number));
        let least = numbers.iter().copied().filter(is_least).collect();
        Culprits { failed, least }
    }

    /// The reading that says what becomes of the rule at `index`: the one that failed on it, alone or with the least
    /// others; else of the most rules that went well with it; else of any.
    pub fn deciding(&self, readings: &[Rc<Reading<'_>>], index: usize) -> Option<usize> {
        let size = |number: &usize| readings[*number].tried().len();
        let with_it = |number: &usize| readings[*number].tried().contains(index);
        let all = || (0..readings.len()).filter(with_it);
        let least = self.least.iter().copied().filter(with_it);
        least
            .min_by_key(size)
            .or_else(|| all().filter(|&at| !self.failed[at]).max_by_key(size))
            .or_else(|| all().min_by_key(size))
    }
}

impl<'a> Pairing<'a> {
    /// Compares what became of a rule as all rules were in the lane with `alone`: what becomes of it without those at fault,
    /// which are in the `failing` readings.
    pub(super) fn beside_culprits(
        &self,
        in_lane: RuleInLane<'_, 'a>,
        failing: &[&Reading<'a>],
        alone: &mut RuleVerdict,
    ) {
        let saved = &in_lane.chain.reading.saved;
        let table = in_lane.location.table;
        let all = self.rule(in_lane);
        // A reader may exit with an error and have printed the table all the same.
        let was_printed = matches!(saved.command.end, End::Exit(_))
            && saved.tables.has_whole(table)
            && !saved.gives_up(table);
        for operation in KEPT_FROM {
            let Some(without) = alone.of(operation) else {
                continue;
            };
            let with = all.of(operation);
            if with == Some(without) || (was_printed && operation == Operation::Save) {
                continue;
            }
            let verdict = match with {
                Some(with) if !is_failure(with) => with,
                Some(_) | None => Verdict::Incompatible,
            };
            let as_run = || AsRun {
                verdict,
                because_of: self.names_in(table, failing),
            };
            // What the writer cannot read after the rewrite is another rule's doing than what the reader cannot.
            if alone.operations.as_run(operation).is_none() {
                alone.operations.run_as(operation, as_run());
            }
        }
    }

    /// The names of the rules that the readings were of: those in `table`, or all where none is.
    fn names_in(&self, table: &str, failing: &[&Reading<'a>]) -> Vec<RuleName> {
        let is_at_fault = |at: usize| failing.iter().any(|of| of.tried().contains(at));
        let at_fault = self.locations.iter().filter(|of| is_at_fault(of.global));
        let at_fault: Vec<_> = at_fault.collect();
        let in_table = at_fault.iter().filter(|of| of.table == table);
        let in_table: Vec<RuleName> = in_table.map(|of| of.name()).collect();
        if in_table.is_empty() {
            return at_fault.iter().map(|of| of.name()).collect();
        }
        in_table
    }

    /// What the writer makes of a rule in a table that it cannot print any more after the rewrite: whether the rule is at
    /// fault, or what it is without those that are.
    pub(super) fn reread_in_parts(&self, in_lane: RuleInLane<'_, 'a>) -> Reread<'a> {
        let reading = &in_lane.chain.reading;
        let parts = reading.reread.iter();
        let parts = parts.filter(|part| part.print.command.build == *self.writer);
        let parts: Vec<&RereadPart<'a>> = parts.collect();
        let failing = least_failing(&parts);
        let well = parts.iter().filter(|part| part.is_well);
        let Some(well) = well.max_by_key(|part| part.rules.len()) else {
            return Reread::AtFault;
        };
        let lines = self.lines(reading);
        let printed = in_lane.chain.read.as_ref().zip(in_lane.written_place());
        let at = printed.and_then(|(read, at)| read.place(at));
        let of_chain = lines.get(&(
            in_lane.location.table.to_owned(),
            in_lane.location.rule.chain.clone(),
        ));
        let line = of_chain.zip(at).and_then(|(of, at)| of.get(at).copied());
        match line {
            Some(line) if failing.iter().any(|of| of.contains(line)) => Reread::AtFault,
            _ => Reread::Innocent {
                part: (*well).clone(),
                because_of: self.names_of_lines(&lines, &failing),
            },
        }
    }

    /// The places of the rules of each chain among the `-A` lines of what the reader printed.
    fn lines(&self, reading: &Reading<'a>) -> Rc<Lines> {
        let stdout = reading.saved.command.stdout;
        let mut known = self.evidence.lines.borrow_mut();
        let read = || {
            let text = self.evidence.text(stdout);
            let mut lines = Lines::default();
            let places = self.dialect().places(self.family, &text).into_iter();
            for (line, (table, chain)) in places.enumerate() {
                let key = (table.into_owned(), chain.into_owned());
                lines.entry(key).or_default().push(line);
            }
            Rc::new(lines)
        };
        known.entry(stdout).or_insert_with(read).clone()
    }

    /// The scenario's rules that stand on these lines of what the reader printed. Where it printed fewer rules of a chain or
    /// more, or others, which of them it is may not be told, and the nearest is named.
    fn names_of_lines(&self, lines: &Lines, failing: &[&RuleSet]) -> Vec<RuleName> {
        let is_at_fault = |line: usize| failing.iter().any(|of| of.contains(line));
        let at_fault = self.locations.iter().filter(|location| {
            let key = (location.table.to_owned(), location.rule.chain.clone());
            let of_chain = lines.get(&key);
            let line = of_chain.and_then(|of| of.get(location.index - 1));
            line.is_some_and(|line| is_at_fault(*line))
        });
        at_fault.map(|location| location.name()).collect()
    }
}

/// What the writer makes of a rule of a table that it cannot print any more.
pub enum Reread<'a> {
    /// The rule is at fault, alone or with others, or nobody knows better.
    AtFault,
    /// Others are at fault.
    Innocent {
        /// The most rules that the writer could print together.
        part: RereadPart<'a>,
        /// The rules at fault.
        because_of: Vec<RuleName>,
    },
}

/// The least parts that the writer could not print.
fn least_failing<'a>(parts: &[&RereadPart<'a>]) -> Vec<&'a RuleSet> {
    let failing = parts.iter().filter(|part| !part.is_well);
    let failing: Vec<&'a RuleSet> = failing.map(|part| part.rules).collect();
    let is_part = |one: &RuleSet, of: &RuleSet| one.len() < of.len() && one.without(of).is_empty();
    let is_least = |rules: &&&RuleSet| !failing.iter().any(|other| is_part(other, rules));
    failing.iter().filter(is_least).copied().collect()
}

/// Whether a verdict says that nothing could be done with the rule's table.
fn is_failure(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Refused
            | Verdict::Unsupported
            | Verdict::Crashed
            | Verdict::TimedOut
            | Verdict::NothingToRestore
            | Verdict::Unrestorable
            | Verdict::Differs
    )
}
