//! One chain as it lies in the lane for one reading: who prints what of it, and which print is which rule's.

use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use super::Pairing;
use super::evidence::{Baseline, Print, Reading};
use super::kernel::KernelChain;
use super::partners::{Alignments, Partners};
use super::place::Place;
use super::rewrite::{Before, Fates};
use super::sheet::{Listing, words};
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
    fn new<'a>(given: impl ExactSizeIterator<Item = &'a Rule>, listing: Listing) -> Self {
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

/// What the writer printed of a chain after the rewrite.
pub struct Reread {
    /// Whether that says anything of the chain's table.
    pub is_readable: bool,
    /// Its rules, beside what the writer printed before; none where it printed no such table.
    pub beside: Option<Aligned>,
}

/// One chain as it lies in the lane, with all that is known of it.
pub struct LaidChain<'a> {
    /// Whether the reader prints in its writer's language.
    speak_alike: bool,
    /// What was seen of the reader.
    pub reading: Rc<Reading<'a>>,
    /// The places in the scenario of the chain's rules that lie in the lane, ascending.
    position: Vec<usize>,
    /// What its writer printed; none where that proves nothing.
    pub written: Option<Anchored>,
    /// What the witness printed before any reader came; none where that proves nothing.
    pub witness: Option<Anchored>,
    /// What the reader printed, beside what the writer printed; none where it printed no such table.
    pub read: Option<Aligned>,
    /// What the writer printed after the rewrite; none where it was not asked.
    pub reread: Option<Reread>,
    /// What the kernel held; none where it had no such chain.
    pub before: Option<Rc<KernelChain<'a>>>,
    /// How the rules fared in the rewrite; none where none was run.
    pub rewritten: Option<Rc<Fates>>,
    /// How they fared in each turn of the cycle after that, the writer's first.
    pub cycled: Vec<Rc<Fates>>,
    /// How the rules fared in the sync; none where none was restored.
    pub synced: Option<Rc<Fates>>,
    /// How they fared in the sync without a flush; none where none was restored.
    pub synced_noflush: Option<Rc<Fates>>,
    /// What the reader's `-S` printed of all the rules, beside what the writer's save printed; none where it was not run or
    /// failed.
    pub listed: Option<Aligned>,
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

impl<'a> LaidChain<'a> {
    /// The chain of `place`.
    pub fn new(
        pairing: &Pairing<'a>,
        place: &Place<'a>,
        baseline: &Baseline<'a>,
        reading: Rc<Reading<'a>>,
    ) -> Self {
        let (table, chain) = (place.table, place.rule.chain.as_str());
        let places = pairing.places;
        let lies = |place: &usize| reading.rules.contains(*place);
        let position = places.of_chain(place.chain).iter().copied();
        let position: Vec<usize> = position.filter(lies).collect();
        let anchored = |print: Option<&Print<'_>>| {
            let print = print.filter(|print| print.vouches_for(table))?;
            let listing = print.sheet.listing(table, chain)?;
            let given = position.iter().map(|place| places.rule(*place));
            Some(Anchored::new(given, listing))
        };
        let written = anchored(baseline.written.as_ref());
        let evidence = pairing.evidence;
        let of_witness = |dump| evidence.print_of(pairing.witness?, dump);
        let witness_print = of_witness(baseline.dump).filter(|print| print.vouches_for(table));
        let witness = anchored(witness_print.as_ref());
        let beside_written = |print: &Print<'_>| {
            let listing = print.sheet.listing(table, chain)?;
            Some(pairing.beside(written.as_ref()?, witness.as_ref(), listing))
        };
        let read = beside_written(&reading.saved);
        let rewrite = reading.rewrite.as_ref();
        let reread = pairing.reread(&reading).map(|print| Reread {
            is_readable: print.succeeded() && !print.gives_up(table) && !print.is_cut_off(table),
            beside: beside_written(&print),
        });
        let before = pairing.kernel_chain(baseline.dump, table, chain);
        let held = Before {
            dump: baseline.dump,
            chain: before.as_deref(),
            witness: witness_print.as_ref(),
        };
        let fates = |restored| pairing.fates(place, held, restored);
        let rewritten = rewrite.map(fates);
        let cycled = reading.cycle.iter().map(fates).collect();

        let synced = reading.sync.as_ref().map(fates);
        let synced_noflush = reading.sync_noflush.as_ref().map(fates);
        let listed = pairing.listing(reading.rules, table, chain);
        let listed = written.as_ref().zip(listed);
        let listed =
            listed.map(|(written, listing)| pairing.beside(written, witness.as_ref(), listing));
        LaidChain {
            speak_alike: pairing.speak_alike(),
            reading,
            position,
            written,
            witness,
            read,
            reread,
            before,
            rewritten,
            cycled,
            synced,
            synced_noflush,
            listed,
        }
    }

    /// What `print` has of the chain of `place`, beside what the writer printed; none where either has no such chain.
    pub fn beside_written(
        &self,
        pairing: &Pairing<'a>,
        print: &Print<'_>,
        place: &Place<'a>,
    ) -> Option<Aligned> {
        let listing = print.sheet.listing(place.table, &place.rule.chain)?;
        let written = self.written.as_ref()?;
        Some(pairing.beside(written, self.witness.as_ref(), listing))
    }

    /// The rule at `place` in it.
    pub fn rule<'l>(&'l self, place: &'l Place<'a>) -> Laid<'l, 'a> {
        // Where all of the chain's rules lie, its place is the one in the scenario.
        let at = match self.position.get(place.index - 1) {
            Some(global) if *global == place.global => place.index - 1,
            _ => self.position.binary_search(&place.global).unwrap_or(0),
        };
        Laid {
            place,
            chain: self,
            at,
        }
    }
}

/// A rule as it lies in the lane.
#[derive(Clone, Copy)]
pub struct Laid<'l, 'a> {
    /// Where it stands in the scenario.
    pub place: &'l Place<'a>,
    /// Its chain.
    pub chain: &'l LaidChain<'a>,
    /// Its place in its chain among the rules that lie in the lane, from 0.
    at: usize,
}

impl<'l> Laid<'l, '_> {
    /// As its writer prints it.
    pub fn written(self) -> Option<&'l Arc<Rule>> {
        self.chain.written.as_ref()?.rule(self.at)
    }

    /// As the witness prints it before any reader came.
    pub fn witness_before(self) -> Option<&'l Arc<Rule>> {
        self.chain.witness.as_ref()?.rule(self.at)
    }

    /// As its writer prints it, in the reader's language: where that is another, as the witness prints it.
    pub fn written_for_readers(self) -> Option<&'l Arc<Rule>> {
        if self.chain.speak_alike {
            self.written()
        } else {
            self.witness_before()
        }
    }

    /// Its place in the writer's print of its chain.
    pub fn written_place(self) -> Option<usize> {
        self.chain.written.as_ref()?.place(self.at)
    }

    /// Its place among the kernel's rules; none where it cannot be told.
    pub fn kernel_place(self) -> Option<usize> {
        let held = self.chain.before.as_ref()?.rules.len();
        if held == self.chain.position.len() {
            return Some(self.at);
        }
        let witness = self.chain.witness.as_ref()?;
        let is_complete = witness.listing.rules().len() == held;
        witness.place(self.at).filter(|_| is_complete)
    }
}

/// The chains of one reader's readings, each made when it is first asked for, and kept until its last rule was.
pub struct LaidChains<'a> {
    /// By the numbers of the reading and of the chain; none where the recording holds no dump of what was written.
    chains: HashMap<(usize, usize), Option<Rc<LaidChain<'a>>>>,
    /// By the number of the reading.
    baselines: HashMap<usize, Option<Rc<Baseline<'a>>>>,
}

impl<'a> LaidChains<'a> {
    /// None yet.
    pub fn new() -> Self {
        LaidChains {
            chains: HashMap::default(),
            baselines: HashMap::default(),
        }
    }

    /// The chain of `place` in the reading at `number`; none where the recording holds no dump of what was written.
    pub fn get(
        &mut self,
        pairing: &Pairing<'a>,
        place: &Place<'a>,
        (number, reading): (usize, &Rc<Reading<'a>>),
    ) -> Option<Rc<LaidChain<'a>>> {
        let baselines = &mut self.baselines;
        let new = || {
            let baseline = baselines
                .entry(number)
                .or_insert_with(|| pairing.evidence.baseline(reading.rules).map(Rc::new));
            let chain = LaidChain::new(pairing, place, baseline.as_ref()?, reading.clone());
            Some(Rc::new(chain))
        };
        let key = (number, place.chain);
        let is_last = place.index == pairing.places.of_chain(place.chain).len();
        match is_last {
            true => self.chains.remove(&key).unwrap_or_else(new),
            false => self.chains.entry(key).or_insert_with(new).clone(),
        }
    }
}
