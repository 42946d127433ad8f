//! What the reader's save shows of a rule. Whether a difference is a loss is said by the rewrite.

use std::sync::Arc;

use super::Pairing;
use super::by_operation::{PrintVerdict, RestoreVerdict};
use super::chain_in_lane::RuleInLane;
use super::reason::Reason;
use super::rewrite::is_alike;
use crate::observed::End;
use crate::tool::{Partner, Rule};

/// What the reader's save shows of a rule.
pub(super) struct Read {
    /// The verdict.
    pub verdict: PrintVerdict,
    /// Why, where that needs saying so.
    pub reason: Option<Reason>,
    /// The rule as it prints it.
    pub rule: Option<Arc<Rule>>,
}

impl Pairing<'_> {
    /// What the reader's save shows of the rule, why, and the rule as it prints it. Whether a difference is a loss is said by
    /// what the rewrite made of the rule.
    pub(super) fn read(
        &self,
        in_lane: RuleInLane<'_, '_>,
        rewrite: Option<RestoreVerdict>,
    ) -> Read {
        let listing = in_lane.chain.read.as_ref();
        let partner = listing
            .zip(in_lane.written_place())
            .map(|(listing, at)| listing.partner(at));
        let read = listing
            .zip(in_lane.written_place())
            .and_then(|(listing, at)| listing.rule(at));
        let (verdict, reason) = match self.failed_read(in_lane) {
            Some(failed) => failed,
            None => self.shown(in_lane, partner, read),
        };
        Read {
            verdict: match verdict {
                PrintVerdict::Differs => PrintVerdict::of_difference(rewrite),
                other => other,
            },
            reason,
            rule: read.cloned(),
        }
    }

    /// The verdict where the save failed, or left the rule's table out, or broke off within it.
    fn failed_read(&self, in_lane: RuleInLane<'_, '_>) -> Option<(PrintVerdict, Option<Reason>)> {
        let (saved, table) = (&in_lane.chain.reading.saved, in_lane.location.table);
        let complaint = || Some(Reason::Complaint(self.complaint(saved.command)));
        match saved.command.end {
            End::Signal(_) => Some((PrintVerdict::Crashed, complaint())),
            End::TimedOut => Some((PrintVerdict::TimedOut, None)),
            End::NotFound(_) => Some((PrintVerdict::Unsupported, complaint())),
            End::Exit(0) if saved.gives_up(table) => {
                let said = saved.tables.said_of(table).map(Reason::said);
                Some((PrintVerdict::Refused, said))
            }
            End::Exit(0) if saved.is_cut_off(table) => {
                let table = table.into();
                Some((PrintVerdict::Refused, Some(Reason::NoCommit { table })))
            }
            End::Exit(0) => None,
            End::Exit(_) => Some((PrintVerdict::Refused, complaint())),
        }
    }

    /// The verdict where the save ended well.
    fn shown(
        &self,
        in_lane: RuleInLane<'_, '_>,
        partner: Option<Partner>,
        read: Option<&Arc<Rule>>,
    ) -> (PrintVerdict, Option<Reason>) {
        if read.is_some() {
            return match is_alike(read, in_lane.written()) {
                true => (PrintVerdict::Same, None),
                false => (PrintVerdict::Differs, None),
            };
        }
        if self.crossed || !self.dialect().has_table(in_lane.location.table) {
            return (PrintVerdict::Invisible, None);
        }
        let reason = match partner {
            _ if in_lane.written().is_none() => Reason::NotPrintedByWriter,
            Some(Partner::Ambiguous) => Reason::AmbiguousInPrint,
            Some(Partner::At(_) | Partner::Gone) => Reason::NotPrinted,
            None => Reason::TableNotPrinted {
                table: in_lane.location.table.into(),
            },
        };
        (PrintVerdict::Differs, Some(reason))
    }
}
