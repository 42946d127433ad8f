//! What became of a rule in the kernel when the reader restored, and whether its writer still knows it.

use super::evidence::{Print, Reading, Restored};
use super::kernel::{KernelChain, KernelRule};
use super::laid::{Anchored, Laid, Listing};
use super::native::{Anew, anew};
use super::verdict::Verdict;
use super::{Pairing, RuleVerdict};
use crate::plan::Operation;
use crate::plan::procedure::OWN_CHAIN;
use crate::recording::DumpRef;
use crate::ruleset::{Difference, Partner, Rule, align, is_iptables_table};

/// How a rule fared in the kernel.
#[derive(Debug, Clone)]
pub struct Fate {
    /// What became of it.
    pub verdict: Verdict,
    /// The rule as the witness prints it afterwards.
    pub after: Option<Rule>,
    /// Whether the kernel holds no such rule any more, not even an altered one.
    pub is_gone: bool,
    /// Why, where a verdict needs saying so.
    pub reason: Option<String>,
    /// What the kernel's rule has lost, where only its expressions say so.
    pub in_kernel: Option<Difference>,
}

impl Fate {
    fn plain(verdict: Verdict) -> Self {
        Fate {
            verdict,
            after: None,
            is_gone: false,
            reason: None,
            in_kernel: None,
        }
    }

    fn because(verdict: Verdict, reason: impl Into<String>) -> Self {
        Fate {
            reason: Some(reason.into()),
            ..Fate::plain(verdict)
        }
    }

    /// What became of a rule that nft wrote.
    fn anew(anew: Anew) -> Self {
        match anew {
            Anew::Same => Fate::plain(Verdict::Kept),
            Anew::Lost(difference) => Fate {
                in_kernel: Some(difference),
                ..Fate::plain(Verdict::Changed)
            },
            Anew::Another(reason) => Fate::because(Verdict::Changed, reason),
        }
    }

    fn never_held() -> Self {
        let reason = "the kernel held no such rule after the write";
        Fate::because(Verdict::NothingToRestore, reason)
    }

    fn gone(reason: impl Into<String>) -> Self {
        Fate {
            is_gone: true,
            ..Fate::because(Verdict::Changed, reason)
        }
    }
}

/// How the rules of one chain fared in one restore.
pub enum Fates {
    /// All alike.
    All(Fate),
    /// Each, in the order of the kernel's rules before.
    Each(Vec<Fate>),
}

impl Fates {
    /// How this rule fared. Which of the kernel's rules it is cannot be told of one whose writer wrote more rules or
    /// fewer than were given: it is kept if all of them are.
    pub fn of(&self, laid: Laid<'_, '_>) -> Fate {
        let fates = match self {
            Fates::All(fate) => return fate.clone(),
            Fates::Each(fates) => fates,
        };
        let known = laid.kernel_place().and_then(|place| fates.get(place));
        match known {
            Some(fate) => fate.clone(),
            None if fates.is_empty() => Fate::never_held(),
            None if fates.iter().all(|fate| fate.verdict == Verdict::Kept) => {
                Fate::plain(Verdict::Kept)
            }
            None => Fate::because(
                Verdict::Changed,
                "not all of the chain's rules are kept, and which of them it is cannot be told",
            ),
        }
    }
}

/// The kernel's rules of one chain without the reader's own jump, each beside what the witness prints of it.
struct Held<'k> {
    rules: Vec<KernelRule<'k>>,
    /// None where the witness's print is no proof, or has another number of rules than the kernel.
    prints: Option<Vec<&'k Rule>>,
}

impl<'k> Held<'k> {
    fn new(chain: &KernelChain<'k>, places: &[usize], listing: Option<&'k Listing>) -> Self {
        let listing = listing.filter(|listing| listing.rules.len() == chain.rules.len());
        Held {
            rules: places.iter().map(|place| chain.rules[*place]).collect(),
            prints: listing
                .map(|listing| places.iter().map(|place| &listing.rules[*place]).collect()),
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
    ) -> Option<KernelChain<'a>> {
        let dump = self.evidence.dump(dump);
        KernelChain::find(dump, self.backend, self.family, table, chain)
    }

    /// How the rules that the kernel held in a chain fared in a restore.
    pub(super) fn fates(
        &self,
        (table, chain): (&str, &str),
        before: &Option<KernelChain<'a>>,
        witness: Option<&Anchored>,
        restored: &Restored<'a>,
    ) -> Fates {
        let Some(before) = before else {
            return Fates::All(Fate::never_held());
        };
        let Some(after) = self.kernel_chain(restored.dump, table, chain) else {
            let reason = format!("the kernel has no chain {chain} any more");
            return Fates::All(Fate::gone(reason));
        };
        let witness_print = self
            .witness
            .and_then(|witness| restored.print_by(witness, self.evidence));
        let listing = witness_print
            .as_ref()
            .filter(|print| print.vouches_for(table))
            .and_then(|print| Listing::of(&print.printed, table, chain));
        let all: Vec<usize> = (0..before.rules.len()).collect();
        let was = Held::new(before, &all, witness.map(|anchored| &anchored.listing));
        let is = Held::new(&after, &after.but_jumps_to(OWN_CHAIN), listing.as_ref());
        Fates::Each(match (&was.prints, &is.prints) {
            _ if was.rules == is.rules => kept(&is),
            (Some(from), Some(to)) => self.by_witness((&was.rules, from), (&is.rules, to)),
            _ => by_kernel(&was.rules, &is.rules),
        })
    }

    /// The witness says which rule is whose partner, and whether another encoding is the same rule.
    fn by_witness(
        &self,
        (was, from): (&[KernelRule<'_>], &[&Rule]),
        (is, to): (&[KernelRule<'_>], &[&Rule]),
    ) -> Vec<Fate> {
        let words = |rules: &[&Rule]| -> Vec<Vec<String>> {
            rules.iter().map(|rule| rule.tokens.clone()).collect()
        };
        let partners = align(&words(from), &words(to)).from;
        let fate = |(at, partner): (usize, Partner)| match partner {
            Partner::At(found) => {
                let same_print = from[at].tokens == to[found].tokens;
                let fate = match () {
                    () if was[at] == is[found] => Fate::plain(Verdict::Kept),
                    () if self.is_native() => Fate::anew(anew(self.family, &was[at], &is[found])),
                    () if same_print => Fate::plain(Verdict::Kept),
                    () => Fate::plain(Verdict::Changed),
                };
                Fate {
                    after: Some(to[found].clone()),
                    // Where prints differ, they say it in better words.
                    in_kernel: fate.in_kernel.filter(|_| same_print),
                    ..fate
                }
            }
            Partner::Ambiguous => Fate::because(
                Verdict::Changed,
                "there are fewer rules or more, and which of them it is cannot be told",
            ),
            Partner::Gone => Fate::gone("the rule is gone from the kernel"),
        };
        partners.into_iter().enumerate().map(fate).collect()
    }

    /// What became of the rule in the kernel when the reader restored what it had saved.
    pub(super) fn fate(
        &self,
        laid: Laid<'_, '_>,
        saved: &Print<'_>,
        restored: Option<(&Restored<'_>, &Fates)>,
    ) -> Fate {
        let Some((restored, fates)) = restored else {
            return Fate::plain(Verdict::NothingToRestore);
        };
        let fate = fates.of(laid);
        let table = laid.place.table;
        let printed = saved.printed.table(table).is_some() && !saved.is_cut_off(table);
        match fate.verdict {
            Verdict::Kept if !restored.succeeded() => {
                Fate::because(Verdict::Unrestorable, self.complaint(restored.command))
            }
            // A reader restores its own backend's tables, and of nft's own tables none: that the rule is still there is no
            // near miss.
            Verdict::Kept if !printed && !self.crossed && is_iptables_table(table) => Fate {
                verdict: Verdict::NothingToRestore,
                ..fate
            },
            _ => fate,
        }
    }

    /// What the writer prints after the rewrite, where that was asked for.
    pub(super) fn reread(&self, reading: &Reading<'a>) -> Option<Print<'a>> {
        let rewrite = reading.rewrite.as_ref()?;
        let is_asked = self.case.wants(Operation::Recognition) && !self.is_native();
        let writer = &self.evidence.load.writer;
        is_asked.then(|| rewrite.print_by(writer, self.evidence))?
    }

    /// Whether the writer knows the rule after the rewrite. Returns the rule as it then prints it.
    pub(super) fn recognise(&self, laid: Laid<'_, 'a>, verdict: &mut RuleVerdict) -> Option<Rule> {
        let reread = self.reread(laid.chain.reading)?;
        let at = laid.written_place()?;
        let table = laid.place.table;
        let is_readable =
            reread.succeeded() && !reread.gives_up(table) && !reread.is_cut_off(table);
        let listing = laid.chain.reread.as_ref();
        let rule = listing.filter(|_| is_readable).and_then(|l| l.rule(at));
        verdict.recognition = Some(match listing.map(|listing| listing.partner(at)) {
            _ if !is_readable => Verdict::Unreadable,
            None | Some(Partner::Gone | Partner::Ambiguous) => Verdict::Misread,
            Some(Partner::At(_)) => {
                let words = |rule: Option<&Rule>| rule.map(|rule| rule.tokens.clone());
                match words(rule) == words(laid.written()) {
                    true => Verdict::Recognised,
                    false => Verdict::Misread,
                }
            }
        });
        verdict.reread = rule.map(|rule| rule.text.clone());
        rule.cloned()
    }
}

/// Every rule is still there: the dumps say so.
fn kept(is: &Held<'_>) -> Vec<Fate> {
    let print = |at: usize| is.prints.as_ref().map(|prints| prints[at].clone());
    let fate = |at| Fate {
        after: print(at),
        ..Fate::plain(Verdict::Kept)
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
        () if at < head || at >= was.len() - end => Fate::plain(Verdict::Kept),
        () if is.len() == head + end => Fate::gone("the rule is gone from the kernel"),
        () => Fate::because(
            Verdict::Changed,
            "the kernel's rules differ, and no witness could print them",
        ),
    };
    (0..was.len()).map(fate).collect()
}
