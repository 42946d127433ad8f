//! One pairing in one scenario and family.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::encoded::Encoded;
use super::outcome::Outcome;
use super::verdict::Verdict;
use crate::catalog::{BuildId, Family};
use crate::recording::BystanderRecord;

/// What the judge concludes about one pairing in one scenario and family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The scenario's name.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who wrote the other layers of the scenario.
    pub bystanders: Vec<BystanderRecord>,
    /// Who read.
    pub reader: BuildId,
    /// The worst of all verdicts about what the reader did.
    pub verdict: Verdict,
    /// What came of it.
    pub outcome: Arc<Outcome>,
    /// How its rules are encoded in the kernel.
    pub encoded: Arc<Encoded>,
    /// Where all its losses are known: the place among the matrix's known losses of the first that names one of them.
    /// None as it is judged.
    pub known: Option<usize>,
    /// Which of its losses are known, all or some; none as it is judged.
    pub known_losses: Vec<KnownSubject>,
}

/// A rule or a chain of a cell whose loss is known already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownSubject {
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// The rule's place in the chain, from 1; none where it is the chain itself.
    pub index: Option<usize>,
    /// The place among the matrix's known losses of the first that names it.
    pub known: usize,
}

impl Cell {
    /// Who wrote the rule at a place, from 0.
    pub fn writer_of(&self, rule: usize) -> &BuildId {
        let layer = self.outcome.rules.get(rule).map(|rule| rule.layer);
        let mut bystanders = self.bystanders.iter();
        let bystander = bystanders.find(|of| Some(of.layer) == layer);
        bystander.map_or(&self.writer, |of| &of.id)
    }

    /// The place among the matrix's known losses of the first that names what befell a rule, or a chain itself.
    pub fn known_of(&self, table: &str, chain: &str, index: Option<usize>) -> Option<usize> {
        let is_it =
            |of: &&KnownSubject| of.table == table && of.chain == chain && of.index == index;
        self.known_losses.iter().find(is_it).map(|of| of.known)
    }
}
