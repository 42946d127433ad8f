//! What became of a rule in the kernel when the reader restored, and whether its writer still knows it.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::as_run::AsRun;
use super::by_operation::{Answer, RecognitionVerdict, RestoreVerdict};
use super::chain_in_lane::RuleInLane;
use super::culprit::Reread;
use super::fate::{Before, Fate, Fates, FatesKey};
use super::kernel::{KernelChain, KernelRule};
use super::location::Location;
use super::printed_tables::Listing;
use super::reading::{Print, Reading, Restored};
use super::reason::Reason;
use super::verdict::Verdict;
use super::{Pairing, RuleVerdict};
use crate::observed::NftRule;
use crate::observed::expression::Expression;
use crate::plan::Operation;
use crate::recording::DumpRef;
use crate::tool::{HeldRule, Partner, Rewritten, Rule, mean_the_same};

/// The kernel's rules of one chain, each beside what the witness prints of it.
struct Held<'k> {
    rules: Cow<'k, [KernelRule<'k>]>,
    /// None where the witness's print is no proof, or has another number of rules than the kernel.
    prints: Option<Cow<'k, [Arc<Rule>]>>,
}

impl<'k> Held<'k> {
    /// All that the kernel held.
    fn all(chain: &'k KernelChain<'_>, listing: Option<&'k Listing>) -> Self {
        let listing = listing.filter(|listing| listing.rules().len() == chain.rules.len());
        Held {
            rules: Cow::Borrowed(&chain.rules),
            prints: listing.map(|listing| Cow::Borrowed(listing.rules())),
        }
    }

    /// What it held without the reader's own jump.
    fn but_own_jumps(chain: &'k KernelChain<'_>, listing: Option<&'k Listing>) -> Self {
        let listing = listing.filter(|listing| listing.rules().len() == chain.rules.len());
        Held {
            rules: chain.but_own_jumps(&chain.rules),
            prints: listing.map(|listing| chain.but_own_jumps(listing.rules())),
        }
    }
}

impl<'a> Pairing<'a> {
    /// A chain of the writer's backend in a dump.
    pub(super) fn kernel_chain(
        &self,
        dump: DumpRef,
        table: &str,
        chain: &str,
    ) -> Option<Rc<KernelChain<'a>>> {
        self.evidence.chain(dump, self.backend, table, chain)
    }

    /// How the rules that the kernel held in a chain fared in a restore.
    pub(super) fn fates(
        &self,
        location: &Location<'a>,
        before: Before<'_, 'a>,
        restored: &Restored<'a>,
    ) -> Rc<Fates> {
        let (table, chain) = (location.table, location.rule.chain.as_str());
        let print = self
            .witness
            .and_then(|witness| self.evidence.print_of(witness, restored.dump))
            .filter(|print| print.vouches_for(table));
        let text = |print: Option<&Print<'a>>| print.map(|print| print.command.stdout);
        let key = FatesKey {
            layer: self.layer,
            chain: location.chain,
            dumps: (before.dump, restored.dump),
            prints: (text(before.witness), text(print.as_ref())),
        };
        let of = || self.worked_out((table, chain), before, (restored.dump, print.as_ref()));
        self.evidence.fates(key, of)
    }

    fn worked_out(
        &self,
        (table, chain): (&str, &str),
        before: Before<'_, 'a>,
        (dump, print): (DumpRef, Option<&Print<'a>>),
    ) -> Fates {
        let listing = |print: Option<&Print<'a>>| print?.tables.listing(table, chain);
        let (from, to) = (listing(before.witness), listing(print));
        let Some(before) = before.chain else {
            return Fates::All(Fate::never_held());
        };
        let Some(after) = self.kernel_chain(dump, table, chain) else {
            let chain = chain.into();
            return Fates::All(Fate::gone(Reason::RulesChainGone { chain }));
        };
        let was = Held::all(before, from.as_ref());
        let is = Held::but_own_jumps(&after, to.as_ref());
        let rules = match (&was.prints, &is.prints) {
            _ if was.rules == is.rules => kept(&is),
            (Some(from), Some(to)) => self.by_witness((&was.rules, from), (&is.rules, to)),
            _ => self.by_kernel(&was.rules, &is.rules),
        };
        let all_kept = rules
            .iter()
            .all(|fate| fate.verdict == RestoreVerdict::Kept);
        Fates::Each { rules, all_kept }
    }

    /// The witness says which rule is whose partner, and whether another encoding is the same rule.
    fn by_witness(
        &self,
        (was, from): (&[KernelRule<'_>], &[Arc<Rule>]),
        (is, to): (&[KernelRule<'_>], &[Arc<Rule>]),
    ) -> Vec<Fate> {
        let partners = self.evidence.alignments.partners(from, to);
        let fate = |at: usize| match partners.of(at) {
            Partner::At(found) => {
                let same_print = from[at].tokens() == to[found].tokens();
                let by_print = || {
                    Fate::plain(if same_print {
                        RestoreVerdict::Kept
                    } else {
                        RestoreVerdict::Changed
                    })
                };
                let fate = if was[at] == is[found] {
                    Fate::plain(RestoreVerdict::Kept)
                } else {
                    let is_vouched = same_print && self.witness_speaks_like_writer();
                    let by_kernel = self.by_expressions((&was[at], &is[found]), is_vouched);
                    by_kernel.unwrap_or_else(by_print)
                };
                Fate {
                    after: Some(Arc::clone(&to[found])),
                    place: Some(found),
                    // Where prints differ, they say it in better words.
                    in_kernel: fate.in_kernel.filter(|_| same_print),
                    ..fate
                }
            }
            Partner::Ambiguous => Fate::because(RestoreVerdict::Changed, Reason::AmbiguousInKernel),
            Partner::Gone => Fate::gone(Reason::RuleGone),
        };
        (0..from.len()).map(fate).collect()
    }

    /// Where no witness can print both, only a rule that does the same at the same place, from the chain's head or from its end, proves
    /// anything.
    fn by_kernel(&self, was: &[KernelRule<'_>], is: &[KernelRule<'_>]) -> Vec<Fate> {
        let is_same = |one: &KernelRule<'_>, other| one == other || self.mean_the_same(one, other);
        let from_end = |at: usize| is.len().checked_sub(was.len() - at);
        let is_at = |at: usize, place: Option<usize>| {
            let other = place.and_then(|place| is.get(place));
            other.is_some_and(|other| is_same(&was[at], other))
        };
        // As many as before stand where they stood; else those before the first that differs, and those behind the last.
        let is_as_many = was.len() == is.len();
        let head = (0..was.len()).take_while(|at| is_at(*at, Some(*at)));
        let head = head.count();
        let end = (head..was.len()).rev().take_while(|at| {
            from_end(*at).is_some_and(|place| place >= head) && is_at(*at, from_end(*at))
        });
        let end = end.count();
        let fate = |at: usize| match () {
            () if at < head || at >= was.len() - end => Fate::plain(RestoreVerdict::Kept),
            () if is_as_many && is_at(at, Some(at)) => Fate::plain(RestoreVerdict::Kept),
            () if is.len() == head + end => Fate::gone(Reason::RuleGone),
            () => Fate::because(RestoreVerdict::Changed, Reason::NoWitnessPrint),
        };
        (0..was.len()).map(fate).collect()
    }

    /// Whether the kernel's expressions are known to do the same to packets, whoever wrote the rule, and to say the same to people: by
    /// its comment its owner finds a rule of iptables'.
    fn mean_the_same(&self, was: &KernelRule<'_>, is: &KernelRule<'_>) -> bool {
        let (KernelRule::Nft(was, before), KernelRule::Nft(is, after)) = (was, is) else {
            return false;
        };
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let held = |rule, sets| HeldRule { rule, sets };
        let comments = |of: &NftRule| -> Vec<Arc<Expression>> {
            let is_comment = |of: &&Arc<Expression>| match &***of {
                Expression::Match(extension) => extension.name == *"comment",
                _ => false,
            };
            let all = of.expressions.iter();
            all.filter(is_comment).cloned().collect()
        };
        comments(was) == comments(is)
            && mean_the_same(
                self.family,
                held(was, before.sets()),
                held(is, after.sets()),
            )
            && before.serves_alike(was, (&after, is))
    }

    /// How a rule fared whose writer's tool has the kernel's expressions say so; none where prints say it. It `is_vouched` for where
    /// a build of that tool prints it as before.
    fn by_expressions(
        &self,
        (was, is): (&KernelRule<'_>, &KernelRule<'_>),
        is_vouched: bool,
    ) -> Option<Fate> {
        let (KernelRule::Nft(was, reach_before), KernelRule::Nft(is, reach)) = (was, is) else {
            return None;
        };
        let (writer, _) = self.tools;
        let (before, after) = (reach_before.unwrap_or_default(), reach.unwrap_or_default());
        let held = |rule, sets| HeldRule { rule, sets };
        let (held_before, held_after) = (held(was, before.sets()), held(is, after.sets()));
        let dialect = writer.dialect();
        let rewritten = dialect.rewritten(self.family, held_before, held_after)?;
        let has_same_reach = before.serves_alike(was, (&after, is));
        Some(Fate::in_kernel(match rewritten {
            // The same rule, but with other sets or objects.
            Rewritten::Same if !has_same_reach => Rewritten::Another {
                gone: Vec::new(),
                new: Vec::new(),
            },
            _ if is_vouched && has_same_reach => Rewritten::Same,
            rewritten => rewritten,
        }))
    }

    /// What became of the rule in the kernel when the reader restored what it had saved.
    pub(super) fn fate(
        &self,
        in_lane: RuleInLane<'_, '_>,
        saved: &Print<'_>,
        restored: Option<(&Restored<'_>, &Fates)>,
    ) -> Fate {
        let Some((restored, fates)) = restored else {
            return Fate::plain(RestoreVerdict::NothingToRestore);
        };
        let fate = fates.of(in_lane.kernel_place());
        let table = in_lane.location.table;
        let printed = saved.tables.has_table(table) && !saved.is_cut_off(table);
        match fate.verdict {
            RestoreVerdict::Kept if !restored.succeeded() => Fate::because(
                RestoreVerdict::Unrestorable,
                Reason::Complaint(self.complaint(restored.command)),
            ),
            // A reader restores its own backend's tables, and none that it does not know: that the rule is still there is no
            // near miss.
            RestoreVerdict::Kept
                if !printed && !self.crossed && self.dialect().has_table(table) =>
            {
                Fate {
                    verdict: RestoreVerdict::NothingToRestore,
                    ..fate
                }
            }
            _ => fate,
        }
    }

    /// What the writer prints after the rewrite, where that was asked for.
    pub(super) fn reread(&self, reading: &Reading<'a>) -> Option<Print<'a>> {
        let rewrite = reading.rewrite.as_ref()?;
        let is_asked =
            self.case.wants(Operation::Recognition) && self.suits(Operation::Recognition);
        is_asked.then(|| self.evidence.print_of(self.writer, rewrite.dump))?
    }

    /// Whether the writer knows the rule after the rewrite. Returns the rule as it then prints it. Where the kernel says that the
    /// rule `is_kept`, and prints say nothing of that, it is the same in other words.
    pub(super) fn recognise(
        &self,
        in_lane: RuleInLane<'_, 'a>,
        is_kept: bool,
        verdict: &mut RuleVerdict,
    ) -> Option<Arc<Rule>> {
        let (writer, _) = self.tools;
        let is_same = is_kept && writer.dialect().is_told_by_kernel();
        let reread = in_lane.chain.reread.as_ref()?;
        let at = in_lane.written_place()?;
        let in_parts;
        let listing = if reread.is_readable {
            reread.beside.as_ref()
        } else {
            let Reread::Innocent { part, because_of } = self.reread_in_parts(in_lane) else {
                let unreadable = Answer::Recognition(RecognitionVerdict::Unreadable);
                verdict.operations.set(unreadable);
                return None;
            };
            let as_run = AsRun {
                verdict: Verdict::Incompatible,
                because_of,
            };
            verdict.operations.run_as(Operation::Recognition, as_run);
            in_parts = in_lane
                .chain
                .beside_written(self, &part.print, in_lane.location);
            in_parts.as_ref()
        };
        let rule = listing.and_then(|listing| listing.rule(at));
        let recognition = match listing.map(|listing| listing.partner(at)) {
            None | Some(Partner::Gone | Partner::Ambiguous) => RecognitionVerdict::Misread,
            Some(Partner::At(_)) => match is_same || is_alike(rule, in_lane.written()) {
                true => RecognitionVerdict::Recognised,
                false => RecognitionVerdict::Misread,
            },
        };
        verdict.operations.set(Answer::Recognition(recognition));
        verdict.reread = rule.map(|rule| rule.text.clone());
        rule.cloned()
    }
}

/// Whether both have the same words; a line that was printed twice is the same rule twice.
pub fn is_alike(one: Option<&Arc<Rule>>, other: Option<&Arc<Rule>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.tokens() == other.tokens(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Every rule is still there: the dumps say so.
fn kept(is: &Held<'_>) -> Vec<Fate> {
    let print = |at: usize| is.prints.as_ref().map(|prints| Arc::clone(&prints[at]));
    let fate = |at| Fate {
        after: print(at),
        place: Some(at),
        ..Fate::plain(RestoreVerdict::Kept)
    };
    (0..is.rules.len()).map(fate).collect()
}
