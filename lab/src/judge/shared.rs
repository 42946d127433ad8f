//! Verdicts that are alike in many pairings are in memory once.

use std::sync::Arc;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Outcome, RuleVerdict};
use crate::catalog::Family;

/// A verdict for each rule of a ruleset, in order. Most rules fare alike between most builds, and most rulesets between many:
/// what is the same is in memory once, however many pairings there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleVerdicts(pub(super) Arc<[Arc<RuleVerdict>]>);

impl RuleVerdicts {
    /// In order.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &RuleVerdict> + ExactSizeIterator + Clone {
        self.0.iter().map(Arc::as_ref)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is not one rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the very same verdicts, not only equal ones.
    fn is_shared_with(&self, other: &RuleVerdicts) -> bool {
        let mut pairs = self.0.iter().zip(other.0.iter());
        self.len() == other.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// The verdict about the rule at `place`, from 0.
    pub fn get(&self, place: usize) -> Option<&RuleVerdict> {
        self.0.get(place).map(Arc::as_ref)
    }
}

impl std::ops::Index<usize> for RuleVerdicts {
    type Output = RuleVerdict;

    fn index(&self, place: usize) -> &RuleVerdict {
        &self.0[place]
    }
}

impl<'a> IntoIterator for &'a RuleVerdicts {
    type Item = &'a RuleVerdict;
    type IntoIter = std::iter::Map<
        std::slice::Iter<'a, Arc<RuleVerdict>>,
        fn(&'a Arc<RuleVerdict>) -> &'a RuleVerdict,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(Arc::as_ref)
    }
}

impl FromIterator<Arc<RuleVerdict>> for RuleVerdicts {
    fn from_iter<I: IntoIterator<Item = Arc<RuleVerdict>>>(verdicts: I) -> Self {
        RuleVerdicts(verdicts.into_iter().collect())
    }
}

impl From<Vec<RuleVerdict>> for RuleVerdicts {
    fn from(verdicts: Vec<RuleVerdict>) -> Self {
        verdicts.into_iter().map(Arc::new).collect()
    }
}

/// Verdicts about rules that were concluded before, by scenario and family. They are kept as long as a matrix is built.
#[derive(Debug, Default)]
pub struct SharedVerdicts(pub(super) HashMap<(String, Family), SharedOfRuleset>);

/// The verdicts about a ruleset's rules that were concluded before. Few of one rule differ, so they are looked through one by one.
#[derive(Debug, Default)]
pub struct SharedOfRuleset {
    /// Of each rule, in order, those that differ.
    of_rule: Vec<SmallVec<[Arc<RuleVerdict>; 1]>>,
    /// Of all rules together, those that differ.
    of_all: Vec<RuleVerdicts>,
    /// Of whole pairings, those that differ.
    of_pairings: Vec<Arc<Outcome>>,
}

impl SharedOfRuleset {
    /// A verdict about the rule at `place`, from 0: as it was concluded before, if it was.
    pub fn rule(&mut self, place: usize, mut verdict: RuleVerdict) -> Arc<RuleVerdict> {
        if self.of_rule.len() <= place {
            self.of_rule.resize_with(place + 1, SmallVec::new);
        }
        let of_rule = &mut self.of_rule[place];
        if let Some(known) = of_rule.iter().find(|known| ***known == verdict) {
            return known.clone();
        }
        // Each load has prints of its own, most of which are as those of other loads.
        for print in verdict.prints_mut() {
            let mut known = of_rule.iter().flat_map(|known| known.prints());
            if let Some(known) = known.find(|known| *known == print) {
                *print = known.clone();
            }
        }
        let new = Arc::new(verdict);
        of_rule.push(new.clone());
        new
    }

    /// The verdicts about all rules, each of which is shared: as they were concluded before, if they were.
    pub fn rules(&mut self, verdicts: RuleVerdicts) -> RuleVerdicts {
        if let Some(known) = self
            .of_all
            .iter()
            .find(|known| known.is_shared_with(&verdicts))
        {
            return known.clone();
        }
        self.of_all.push(verdicts.clone());
        verdicts
    }

    /// What came of a pairing whose rules' verdicts are all shared: as it was concluded before, if it was.
    pub fn outcome(&mut self, outcome: Outcome) -> Arc<Outcome> {
        let mut known = self.of_pairings.iter();
        let is_it = |known: &&Arc<Outcome>| {
            Arc::ptr_eq(&known.rules.0, &outcome.rules.0) && ***known == outcome
        };
        if let Some(known) = known.find(is_it) {
            return known.clone();
        }
        let new = Arc::new(outcome);
        self.of_pairings.push(new.clone());
        new
    }
}
