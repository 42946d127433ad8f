//! Which rules of a print are which of those that were given, or of those of another print.

use std::rc::Rc;
use std::sync::Arc;

use super::Pairing;
use super::partners::{Alignments, Partners};
use super::printed_tables::{Listing, words};
use crate::tool::{Alignment, Partner, Rule, Words, align};

/// A listing, and which of its rules is which of another.
pub struct Aligned {
    /// The listing.
    pub listing: Listing,
    partners: Partners,
}

impl Aligned {
    /// Aligns `listing` with `from`.
    pub fn new(known: &Alignments, from: &Listing, listing: Listing) -> Self {
        let partners = known.partners(from.rules(), listing.rules());
        Aligned { listing, partners }
    }

    /// Puts `listing` beside what was `written`, which says the same in another language. As many rules are these, in order: nobody
    /// prints the kernel's rules in another order. Of fewer or more, those are whose partners that `witness` prints
    /// likewise; where it prints not each of them, nobody knows.
    pub fn in_other_words(
        known: &Alignments,
        written: &Listing,
        witness: Option<&Listing>,
        listing: Listing,
    ) -> Self {
        let (held, printed) = (written.rules().len(), listing.rules().len());
        let witness = witness.filter(|witness| witness.rules().len() == held);
        let partners = match witness {
            _ if held == printed => Partners::InOrder(held),
            Some(witness) => known.partners(witness.rules(), listing.rules()),
            None => {
                let or_new = |at| match at < held {
                    true => Partner::Ambiguous,
                    false => Partner::Gone,
                };
                Partners::Each(Rc::new(Alignment {
                    from: vec![Partner::Ambiguous; held],
                    to: (0..printed).map(or_new).collect(),
                }))
            }
        };
        Aligned { listing, partners }
    }

    /// The partner of the rule at `at` of the other.
    pub fn partner(&self, at: usize) -> Partner {
        self.partners.of(at)
    }

    /// Where its partner is, if there is one.
    pub fn place(&self, at: usize) -> Option<usize> {
        match self.partner(at) {
            Partner::At(found) => Some(found),
            Partner::Gone | Partner::Ambiguous => None,
        }
    }

    /// The partner itself, if there is one.
    pub fn rule(&self, at: usize) -> Option<&Arc<Rule>> {
        match self.partner(at) {
            Partner::At(found) => self.listing.rules().get(found),
            Partner::Gone | Partner::Ambiguous => None,
        }
    }

    /// How many rules it has that the other certainly has not.
    pub fn added(&self) -> usize {
        self.partners.added()
    }
}

/// A listing of what the scenario gave, and where each given rule is in it.
pub struct Anchored {
    /// The listing.
    pub listing: Listing,
    /// None where one was printed for each one given: these, in order.
    places: Option<Vec<Option<usize>>>,
}

impl Anchored {
    /// One rule printed for each one given: these, in order. Else the likeliest partners.
    pub fn new<'a>(given: impl ExactSizeIterator<Item = &'a Rule>, listing: Listing) -> Self {
        let places = (listing.rules().len() != given.len()).then(|| {
            let partner = |partner: &Partner| match partner {
                Partner::At(at) => Some(*at),
                Partner::Gone | Partner::Ambiguous => None,
            };
            let given: Vec<&Words> = given.map(|rule| rule.tokens()).collect();
            let alignment = align(&given, &words(listing.rules()));
            alignment.from.iter().map(partner).collect()
        });
        Anchored { listing, places }
    }

    /// Where the rule given at `at` is.
    pub fn place(&self, at: usize) -> Option<usize> {
        match &self.places {
            None => Some(at),
            Some(places) => places.get(at).copied().flatten(),
        }
    }

    /// The rule given at `at`, as printed.
    pub fn rule(&self, at: usize) -> Option<&Arc<Rule>> {
        self.listing.rules().get(self.place(at)?)
    }
}

impl Pairing<'_> {
    /// Which rules of `listing` are which of what the writer printed.
    pub(super) fn beside(
        &self,
        written: &Anchored,
        witness: Option<&Anchored>,
        listing: Listing,
    ) -> Aligned {
        let witness = witness.filter(|_| self.witness_speaks_like_reader());
        let witness = witness.map(|anchored| &anchored.listing);
        let known = &self.evidence.alignments;
        if self.speak_alike() {
            Aligned::new(known, &written.listing, listing)
        } else {
            Aligned::in_other_words(known, &written.listing, witness, listing)
        }
    }
}
