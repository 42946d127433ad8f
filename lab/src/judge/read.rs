//! What the reader's save shows of a rule. Whether a difference is a loss is said by the rewrite.

use std::sync::Arc;

use super::laid::Laid;
use super::rewrite::is_alike;
use super::verdict::Verdict;
use super::{Pairing, RuleVerdict};
use crate::observed::End;
use crate::ruleset::{Partner, Rule, is_iptables_table};

impl Pairing<'_> {
    /// Says what the reader's save shows of the rule; returns the rule as it prints it.
    pub(super) fn read(&self, laid: Laid<'_, '_>, verdict: &mut RuleVerdict) -> Option<Arc<Rule>> {
        let listing = laid.chain.read.as_ref();
        let partner = listing
            .zip(laid.written_place())
            .map(|(listing, at)| listing.partner(at));
        let read = listing
            .zip(laid.written_place())
            .and_then(|(listing, at)| listing.rule(at));
        let (read_verdict, reason) = match self.failed_read(laid) {
            Some(failed) => failed,
            None => self.shown(laid, partner, read),
        };
        verdict.read = read.map(|rule| rule.text.clone());
        verdict.read_verdict = Some(read_verdict);
        verdict.reason = reason;
        read.cloned()
    }

    /// The verdict where the save failed, or left the rule's table out, or broke off within it.
    fn failed_read(&self, laid: Laid<'_, '_>) -> Option<(Verdict, Option<String>)> {
        let (saved, table) = (&laid.chain.reading.saved, laid.place.table);
        match saved.command.end {
            End::Signal(_) => Some((Verdict::Crashed, Some(self.complaint(saved.command)))),
            End::TimedOut => Some((Verdict::TimedOut, None)),
            End::NotFound(_) => Some((Verdict::Unsupported, Some(self.complaint(saved.command)))),
            End::Exit(0) if saved.gives_up(table) => {
                let mut comments = saved.sheet.comments.iter();
                let comment = comments.find(|comment| {
                    comment.contains("incompatible") && comment.contains(&format!("`{table}'"))
                });
                Some((Verdict::Refused, comment.cloned()))
            }
            End::Exit(0) if saved.is_cut_off(table) => {
                let reason =
                    format!("the print of table {table} has no COMMIT, so none restores it");
                Some((Verdict::Refused, Some(reason)))
            }
            End::Exit(0) => None,
            End::Exit(_) => Some((Verdict::Refused, Some(self.complaint(saved.command)))),
        }
    }

    /// The verdict where the save ended well.
    fn shown(
        &self,
        laid: Laid<'_, '_>,
        partner: Option<Partner>,
        read: Option<&Arc<Rule>>,
    ) -> (Verdict, Option<String>) {
        if read.is_some() {
            return match is_alike(read, laid.written()) {
                true => (Verdict::Same, None),
                false => (Verdict::Differs, None),
            };
        }
        if self.crossed || !is_iptables_table(laid.place.table) {
            return (Verdict::Invisible, None);
        }
        let reason = match partner {
            _ if laid.written().is_none() => {
                "the writer itself does not print this rule".to_owned()
            }
            Some(Partner::Ambiguous) => {
                "which of the rules that the reader prints it is cannot be told".to_owned()
            }
            Some(Partner::At(_) | Partner::Gone) => "the reader does not print the rule".to_owned(),
            None => format!("the reader printed no table {}", laid.place.table),
        };
        (Verdict::Differs, Some(reason))
    }
}
