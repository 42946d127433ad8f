//! One chain as it was written into the lane, for one reading: how those who wrote a layer of it and their witness print it, and how
//! its rules fared.

use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use super::Pairing;
use super::aligned::{Aligned, Anchored};
use super::fate::{Before, Fates};
use super::kernel::KernelChain;
use super::location::Location;
use super::reading::{Baseline, Print, Reading};
use crate::tool::Rule;

/// What the writer printed of a chain after the rewrite.
pub struct Reread {
    /// Whether that says anything of the chain's table.
    pub is_readable: bool,
    /// Its rules, beside what the writer printed before; none where it printed no such table.
    pub beside: Option<Aligned>,
}

/// One chain as the writer wrote it into the lane, with all that is known of it.
pub struct ChainInLane<'a> {
    /// Whether the reader prints in its writer's language.
    speak_alike: bool,
    /// What was seen of the reader.
    pub reading: Rc<Reading<'a>>,
    /// The chain's rules that are in the lane, by their places in the whole ruleset, ascending.
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

impl<'a> ChainInLane<'a> {
    /// The chain of the rule at `location`.
    pub fn new(
        pairing: &Pairing<'a>,
        location: &Location<'a>,
        baseline: &Baseline<'a>,
        reading: Rc<Reading<'a>>,
    ) -> Self {
        let (table, chain) = (location.table, location.rule.chain.as_str());
        let locations = pairing.locations;
        let is_in_lane = |global: &usize| reading.rules.contains(*global);
        let position = locations.of_chain(location.chain).iter().copied();
        let position: Vec<usize> = position.filter(is_in_lane).collect();
        let anchored = |print: Option<&Print<'_>>| {
            let print = print.filter(|print| print.vouches_for(table))?;
            let listing = print.tables.listing(table, chain)?;
            let given = position.iter().map(|global| locations.rule(*global));
            Some(Anchored::new(given, listing))
        };
        let written = anchored(baseline.written.as_ref());
        let evidence = pairing.evidence;
        let of_witness = |dump| evidence.print_of(pairing.witness?, dump);
        let witness_print = of_witness(baseline.dump).filter(|print| print.vouches_for(table));
        let witness = anchored(witness_print.as_ref());
        let beside_written = |print: &Print<'_>| {
            let listing = print.tables.listing(table, chain)?;
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
        let fates = |restored| pairing.fates(location, held, restored);
        let rewritten = rewrite.map(fates);
        let cycled = reading.cycle.iter().map(fates).collect();

        let synced = reading.sync.as_ref().map(fates);
        let synced_noflush = reading.sync_noflush.as_ref().map(fates);
        let listed = pairing.listing(reading.rules, table, chain);
        let listed = written.as_ref().zip(listed);
        let listed =
            listed.map(|(written, listing)| pairing.beside(written, witness.as_ref(), listing));
        ChainInLane {
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

    /// What `print` has of the chain of the rule at `location`, beside what the writer printed; none where either has no such chain.
    pub fn beside_written(
        &self,
        pairing: &Pairing<'a>,
        print: &Print<'_>,
        location: &Location<'a>,
    ) -> Option<Aligned> {
        let listing = print.tables.listing(location.table, &location.rule.chain)?;
        let written = self.written.as_ref()?;
        Some(pairing.beside(written, self.witness.as_ref(), listing))
    }

    /// The rule at `location` in it.
    pub fn rule<'l>(&'l self, location: &'l Location<'a>) -> RuleInLane<'l, 'a> {
        // Where all of the chain's rules are in the lane, its place is the one in the scenario.
        let at = match self.position.get(location.index - 1) {
            Some(global) if *global == location.global => location.index - 1,
            _ => self.position.binary_search(&location.global).unwrap_or(0),
        };
        RuleInLane {
            location,
            chain: self,
            at,
        }
    }
}

/// A rule as the writer wrote it into the lane.
#[derive(Clone, Copy)]
pub struct RuleInLane<'l, 'a> {
    /// Where it stands in the scenario.
    pub location: &'l Location<'a>,
    /// Its chain.
    pub chain: &'l ChainInLane<'a>,
    /// Its place in its chain among the rules that are in the lane, from 0.
    at: usize,
}

impl<'l> RuleInLane<'l, '_> {
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
pub struct ChainsInLane<'a> {
    /// By the numbers of the layer, the reading and the chain; none where the recording holds no dump of what was written.
    chains: HashMap<(usize, usize, usize), Option<Rc<ChainInLane<'a>>>>,
    /// By the numbers of the layer and of the reading.
    baselines: HashMap<(usize, usize), Option<Rc<Baseline<'a>>>>,
}

impl<'a> ChainsInLane<'a> {
    /// None yet.
    pub fn new() -> Self {
        ChainsInLane {
            chains: HashMap::default(),
            baselines: HashMap::default(),
        }
    }

    /// The chain of the rule at `location` in the reading at `number`; none where the recording holds no dump of what was written.
    pub fn get(
        &mut self,
        pairing: &Pairing<'a>,
        location: &Location<'a>,
        (number, reading): (usize, &Rc<Reading<'a>>),
    ) -> Option<Rc<ChainInLane<'a>>> {
        let baselines = &mut self.baselines;
        let new = || {
            let baseline = baselines.entry((pairing.layer, number)).or_insert_with(|| {
                let of = pairing.evidence.baseline(reading.rules, pairing.writer);
                of.map(Rc::new)
            });
            let chain = ChainInLane::new(pairing, location, baseline.as_ref()?, reading.clone());
            Some(Rc::new(chain))
        };
        let key = (pairing.layer, number, location.chain);
        let is_last = location.index == pairing.locations.of_chain(location.chain).len();
        match is_last {
            true => self.chains.remove(&key).unwrap_or_else(new),
            false => self.chains.entry(key).or_insert_with(new).clone(),
        }
    }
}
