//! What became of a rule in the kernel when the reader restored, and whether its writer still knows it.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::by_operation::{Answer, RecognitionVerdict, RestoreVerdict};
use super::culprit::{AsRun, Reread};
use super::evidence::{FatesKey, Print, Reading, Restored};
use super::kernel::{KernelChain, KernelRule};
use super::laid::Laid;
use super::place::Place;
use super::reason::Reason;
use super::sheet::Listing;
use super::verdict::Verdict;
use super::{Pairing, RuleVerdict};
use crate::plan::Operation;
use crate::recording::DumpRef;
use crate::tool::{Difference, Partner, Rewritten, Rule};

/// How a rule fared in the kernel.
#[derive(Debug, Clone)]
pub struct Fate {
    /// What became of it.
    pub verdict: RestoreVerdict,
    /// The rule as the witness prints it afterwards.
    pub after: Option<Arc<Rule>>,
    /// Whether the kernel holds no such rule any more, not even an altered one.
    pub is_gone: bool,
    /// Why, where a verdict needs saying so.
    pub reason: Option<Reason>,
    /// What the kernel's rule has lost, where only its expressions say so.
    pub in_kernel: Option<Arc<Difference>>,
}

impl Fate {
    fn plain(verdict: RestoreVerdict) -> Self {
        Fate {
            verdict,
            after: None,
            is_gone: false,
            reason: None,
            in_kernel: None,
        }
    }

    fn because(verdict: RestoreVerdict, reason: Reason) -> Self {
        Fate {
            reason: Some(reason),
            ..Fate::plain(verdict)
        }
    }

    /// Of a rule of which the kernel's expressions say what became of it.
    fn in_kernel(rewritten: Rewritten) -> Self {
        match rewritten {
            Rewritten::Same => Fate::plain(RestoreVerdict::Kept),
            Rewritten::Lost(difference) => Fate {
                in_kernel: Some(Arc::new(difference)),
                ..Fate::plain(RestoreVerdict::Changed)
            },
            Rewritten::Another { gone, new } => {
                let (gone, new) = (gone.into(), new.into());
                Fate::because(RestoreVerdict::Changed, Reason::AnotherRule { gone, new })
            }
        }
    }

    fn never_held() -> Self {
        Fate::because(RestoreVerdict::NothingToRestore, Reason::NeverHeld)
    }

    fn gone(reason: Reason) -> Self {
        Fate {
            is_gone: true,
            ..Fate::because(RestoreVerdict::Changed, reason)
        }
    }
}

/// A chain before a restore.
#[derive(Clone, Copy)]
pub struct Before<'r, 'a> {
    /// What the kernel held.
    pub dump: DumpRef,
    /// The chain in it; none where there was no such chain.
    pub chain: Option<&'r KernelChain<'a>>,
    /// What the witness printed of that; none where that proves nothing.
    pub witness: Option<&'r Print<'a>>,
}

/// How the rules of one chain fared in one restore.
pub enum Fates {
    /// All alike.
    All(Fate),
    /// Each, in the order of the kernel's rules before.
    Each {
        /// One for each.
        rules: Vec<Fate>,
        /// Whether all of them are kept.
        all_kept: bool,
    },
}

impl Fates {
    /// How this rule fared. Which of the kernel's rules it is cannot be told of one whose writer wrote more rules or
    /// fewer than were given: it is kept if all of them are.
    pub fn of(&self, laid: Laid<'_, '_>) -> Fate {
        let (fates, all_kept) = match self {
            Fates::All(fate) => return fate.clone(),
            Fates::Each { rules, all_kept } => (rules, *all_kept),
        };
        let known = laid.kernel_place().and_then(|place| fates.get(place));
        match known {
            Some(fate) => fate.clone(),
            None if fates.is_empty() => Fate::never_held(),
            None if all_kept => Fate::plain(RestoreVerdict::Kept),
            None => Fate::because(RestoreVerdict::Changed, Reason::SomeOfChainChanged),
        }
    }
}

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
        place: &Place<'a>,
        before: Before<'_, 'a>,
        restored: &Restored<'a>,
    ) -> Rc<Fates> {
        let (table, chain) = (place.table, place.rule.chain.as_str());
        let print = self
            .witness
            .and_then(|witness| restored.print_by(witness, self.evidence))
            .filter(|print| print.vouches_for(table));
        let text = |print: Option<&Print<'a>>| print.map(|print| print.command.stdout);
        let key = FatesKey {
            chain: place.chain,
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
        let listing = |print: Option<&Print<'a>>| print?.sheet.listing(table, chain);
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
            _ => by_kernel(&was.rules, &is.rules),
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
                    let by_kernel = self.by_expressions(&was[at], &is[found]);
                    by_kernel.unwrap_or_else(by_print)
                };
                Fate {
                    after: Some(Arc::clone(&to[found])),
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

    /// How a rule fared whose writer's tool has the kernel's expressions say so; none where prints say it.
    fn by_expressions(&self, was: &KernelRule<'_>, is: &KernelRule<'_>) -> Option<Fate> {
        let (KernelRule::Nft(was, reach_before), KernelRule::Nft(is, reach)) = (was, is) else {
            return None;
        };
        let (writer, _) = self.tools;
        let rewritten = writer.dialect().rewritten(self.family, was, is)?;
        Some(Fate::in_kernel(match rewritten {
            // The same rule, but with other sets or objects.
            Rewritten::Same if reach_before != reach => Rewritten::Another {
                gone: Vec::new(),
                new: Vec::new(),
            },
            rewritten => rewritten,
        }))
    }

    /// What became of the rule in the kernel when the reader restored what it had saved.
    pub(super) fn fate(
        &self,
        laid: Laid<'_, '_>,
        saved: &Print<'_>,
        restored: Option<(&Restored<'_>, &Fates)>,
    ) -> Fate {
        let Some((restored, fates)) = restored else {
            return Fate::plain(RestoreVerdict::NothingToRestore);
        };
        let fate = fates.of(laid);
        let table = laid.place.table;
        let printed = saved.sheet.has_table(table) && !saved.is_cut_off(table);
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
        let writer = &self.evidence.load.writer;
        is_asked.then(|| rewrite.print_by(writer, self.evidence))?
    }

    /// Whether the writer knows the rule after the rewrite. Returns the rule as it then prints it.
    pub(super) fn recognise(
        &self,
        laid: Laid<'_, 'a>,
        verdict: &mut RuleVerdict,
    ) -> Option<Arc<Rule>> {
        let reread = laid.chain.reread.as_ref()?;
        let at = laid.written_place()?;
        let in_parts;
        let listing = if reread.is_readable {
            reread.beside.as_ref()
        } else {
            let Reread::Innocent { part, because_of } = self.reread_in_parts(laid) else {
                let unreadable = Answer::Recognition(RecognitionVerdict::Unreadable);
                verdict.operations.set(unreadable);
                return None;
            };
            let as_run = AsRun {
                verdict: Verdict::Incompatible,
                because_of,
            };
            verdict.operations.run_as(Operation::Recognition, as_run);
            in_parts = laid.chain.beside_written(self, &part.print, laid.place);
            in_parts.as_ref()
        };
        let rule = listing.and_then(|listing| listing.rule(at));
        let recognition = match listing.map(|listing| listing.partner(at)) {
            None | Some(Partner::Gone | Partner::Ambiguous) => RecognitionVerdict::Misread,
            Some(Partner::At(_)) => match is_alike(rule, laid.written()) {
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
        ..Fate::plain(RestoreVerdict::Kept)
    };
    (0..is.rules.len()).map(fate).collect()
}

/// Where no witness can print both, only the same rule at the same place, from the chain's head or from its end, proves
/// anything.
fn by_kernel(was: &[KernelRule<'_>], is: &[KernelRule<'_>]) -> Vec<Fate> {
    let head = was.iter().zip(is).take_while(|(a, b)| a == b).count();
    let ends = was[head..].iter().rev().zip(is[head..].iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    let fate = |at: usize| match () {
        () if at < head || at >= was.len() - end => Fate::plain(RestoreVerdict::Kept),
        () if is.len() == head + end => Fate::gone(Reason::RuleGone),
        () => Fate::because(RestoreVerdict::Changed, Reason::NoWitnessPrint),
    };
    (0..was.len()).map(fate).collect()
}
