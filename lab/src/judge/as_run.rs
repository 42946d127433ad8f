//! What came of an operation as it was run on all rules, where other rules are at fault for it.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// A rule of the scenario.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct RuleName {
    /// Its table.
    pub table: Arc<str>,
    /// Its chain.
    pub chain: Arc<str>,
    /// Its place in the chain, from 1.
    pub index: usize,
}

/// `KUBE-FIREWALL 2`.
impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.chain, self.index)
    }
}

/// What came of an operation as it was run on all rules, where other rules are at fault for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AsRun {
    /// The verdict.
    pub verdict: Verdict,
    /// The rules at fault.
    pub because_of: Vec<RuleName>,
}
