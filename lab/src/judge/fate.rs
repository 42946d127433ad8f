//! How rules fared in the kernel when a build restored.

use std::sync::Arc;

use super::by_operation::RestoreVerdict;
use super::kernel::KernelChain;
use super::reading::Print;
use super::reason::Reason;
use crate::recording::{DumpRef, TextRef};
use crate::tool::{Difference, Rewritten, Rule};

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
    /// Where it then stands among the kernel's rules but the reader's own jumps, from 0; none where it is gone or cannot be told.
    pub place: Option<usize>,
}

impl Fate {
    /// With nothing more to say.
    pub fn plain(verdict: RestoreVerdict) -> Self {
        Fate {
            verdict,
            after: None,
            is_gone: false,
            reason: None,
            in_kernel: None,
            place: None,
        }
    }

    /// With the reason.
    pub fn because(verdict: RestoreVerdict, reason: Reason) -> Self {
        Fate {
            reason: Some(reason),
            ..Fate::plain(verdict)
        }
    }

    /// Of a rule of which the kernel's expressions say what became of it.
    pub fn in_kernel(rewritten: Rewritten) -> Self {
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

    /// Of a rule that the kernel did not hold before.
    pub fn never_held() -> Self {
        Fate::because(RestoreVerdict::NothingToRestore, Reason::NeverHeld)
    }

    /// Of a rule that the kernel holds no more.
    pub fn gone(reason: Reason) -> Self {
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
    /// How the rule at a place among the kernel's rules fared. Of one whose writer wrote more rules or fewer than were given the
    /// place cannot be told: it is kept if all of them are.
    pub fn of(&self, place: Option<usize>) -> Fate {
        let (fates, all_kept) = match self {
            Fates::All(fate) => return fate.clone(),
            Fates::Each { rules, all_kept } => (rules, *all_kept),
        };
        let known = place.and_then(|place| fates.get(place));
        match known {
            Some(fate) => fate.clone(),
            None if fates.is_empty() => Fate::never_held(),
            None if all_kept => Fate::plain(RestoreVerdict::Kept),
            None => Fate::because(RestoreVerdict::Changed, Reason::SomeOfChainChanged),
        }
    }
}

/// What it depends on how the rules of a chain fared: the kernel's states before and after, and what a witness printed
/// of the chain in both.
#[derive(PartialEq, Eq, Hash)]
pub struct FatesKey {
    /// The layer whose rules are asked for: its witness speaks of them.
    pub layer: usize,
    /// The chain's number among the scenario's.
    pub chain: usize,
    /// The states before and after.
    pub dumps: (DumpRef, DumpRef),
    /// The witness's prints of these, by their text.
    pub prints: (Option<TextRef>, Option<TextRef>),
}
