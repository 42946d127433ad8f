//! Verdicts that are alike in many pairings are in memory once.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;

use super::encoded::Encoded;
use super::outcome::Outcome;
use super::rule_verdict::{RuleVerdict, RuleVerdicts};
use crate::catalog::Family;
use crate::observed::Encoding;

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
    /// How rules are encoded, those that differ.
    encodings: HashSet<Arc<Encoding>>,
    /// The same of whole pairings.
    encoded: HashSet<Arc<Encoded>>,
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

    /// How a pairing's rules are encoded: as it was before, if it was.
    pub fn encoded(&mut self, mut encoded: Encoded) -> Arc<Encoded> {
        if let Some(known) = self.encoded.get(&encoded) {
            return known.clone();
        }
        let rewritten = encoded.rewritten.iter_mut().map(|(_, of)| of);
        for of in encoded.written.iter_mut().chain(rewritten).flatten() {
            match self.encodings.get(of) {
                Some(known) => *of = known.clone(),
                None => {
                    self.encodings.insert(of.clone());
                }
            }
        }
        let new = Arc::new(encoded);
        self.encoded.insert(new.clone());
        new
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
