//! Where a part was lost between two builds: the scenarios and rules, the gravest of them, and the one that shows it best.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::gravest::{Gravest, Gravity};
use crate::catalog::Family;
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, RuleVerdict};
use crate::matrix::{PrintedBy, example_texts};

/// Where a harm was seen: cell, and the place of the rule.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// The rule; none where it is a chain.
    pub rule: Option<&'a RuleVerdict>,
    /// What is done to it.
    pub harm: Gravest,
    /// Whether only one part of the rule is lost.
    pub is_alone: bool,
}

impl Spot<'_> {
    /// The graver is the greater; that of one part alone before all of several parts.
    pub fn worth(&self) -> (bool, Gravity) {
        (self.is_alone, self.harm.gravity())
    }
}

/// How well a rule shows a loss; the best is the least.
pub type Rank = (usize, usize, PrintedBy);

/// How well rules show verdicts: how much else their texts show, and whose texts they are.
pub type Ranks = HashMap<(*const RuleVerdict, Verdict), Option<(usize, PrintedBy)>>;

/// One part, between one encoder and one decoder.
#[derive(Debug, Clone)]
pub struct Sighting<'a> {
    /// The scenarios, by their places in the matrix.
    pub scenarios: BTreeSet<usize>,
    /// The rules: scenario, family, and place in the cell.
    pub rules: BTreeSet<(usize, Family, usize)>,
    /// The gravest, those before others that are of this part alone.
    pub worst: Spot<'a>,
    /// The rule that shows it best.
    pub best: Option<(Reverse<Rank>, Spot<'a>)>,
}

impl<'a> Sighting<'a> {
    /// Of nothing but where it was seen first.
    pub fn of(spot: Spot<'a>) -> Self {
        Sighting {
            scenarios: BTreeSet::new(),
            rules: BTreeSet::new(),
            worst: spot,
            best: None,
        }
    }

    /// Takes in that it was seen: scenario, family and the rule's place in the cell.
    pub fn note(
        &mut self,
        (scenario, family, rule): (usize, Family, usize),
        spot: Spot<'a>,
        ranks: &mut Ranks,
    ) {
        self.scenarios.insert(scenario);
        self.rules.insert((scenario, family, rule));
        let worth = spot.worth();
        if worth > self.worst.worth() {
            self.worst = spot;
        }
        let Some(rule) = spot.rule else { return };
        let length = rule.given.len();
        if let Some((Reverse((beside, least, _)), of)) = &self.best {
            let known = of.worth();
            if worth < known || (worth == known && *beside == 0 && length >= *least) {
                return;
            }
        }
        let key = (std::ptr::from_ref(rule), spot.harm.verdict);
        let shown = ranks.entry(key).or_insert_with(|| {
            let texts = example_texts(rule, spot.harm.verdict)?;
            Some((texts.beside.len(), texts.by))
        });
        let Some((beside, by)) = *shown else { return };
        let rank = Reverse((beside, length, by));
        let known = self.best.as_ref();
        if known.is_none_or(|(known, of)| (worth, rank) > (of.worth(), *known)) {
            self.best = Some((rank, spot));
        }
    }

    /// Takes in what was seen of the same part between other builds.
    pub fn add(&mut self, other: &Sighting<'a>) {
        self.scenarios.extend(&other.scenarios);
        self.rules.extend(&other.rules);
        if other.worst.worth() > self.worst.worth() {
            self.worst = other.worst;
        }
        let rank = |of: &Sighting<'_>| of.best.as_ref().map(|(rank, spot)| (spot.worth(), *rank));
        if rank(other) > rank(self) {
            self.best.clone_from(&other.best);
        }
    }
}
