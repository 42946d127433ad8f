//! The rule or the chain that a harm is done to.

use serde::Serialize;

use crate::judge::{ChainVerdict, RuleVerdict};

/// A rule or a chain that suffers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Subject {
    /// Its place in the scenario.
    #[serde(skip)]
    order: usize,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// The rule's place in the chain, from 1; none where the chain itself suffers.
    pub index: Option<usize>,
}

impl Subject {
    /// A rule, by its place in the scenario from 0.
    pub(super) fn of_rule(order: usize, rule: &RuleVerdict) -> Self {
        Subject {
            order,
            table: rule.table.to_string(),
            chain: rule.chain.to_string(),
            index: Some(rule.index),
        }
    }

    /// Whether it is a rule or a chain.
    pub fn kind(&self) -> SubjectKind {
        match self.index {
            Some(_) => SubjectKind::Rule,
            None => SubjectKind::Chain,
        }
    }

    /// The rule's place among the cell's rules; none where the chain itself suffers.
    pub(super) fn rule(&self) -> Option<usize> {
        self.index.map(|_| self.order)
    }

    /// A chain, by its place behind the cell's rules.
    pub(super) fn chain(order: usize, chain: &ChainVerdict) -> Self {
        Subject {
            order,
            table: chain.table.clone(),
            chain: chain.chain.clone(),
            index: None,
        }
    }
}

/// What a harm is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// A rule.
    Rule,
    /// A chain as such.
    Chain,
}
