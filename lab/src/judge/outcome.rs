//! What came of a pairing: of each rule, each chain and each packet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_operation::ByOperation;
use super::reason::Reason;
use super::rule_verdict::{RuleVerdict, RuleVerdicts};
use super::verdict::{Consequence, Effect, Impact, Verdict};
use crate::catalog::{Backend, BuildId};
use crate::plan::Operation;

/// Where the one reason is from that is told of a chain.
const CHAIN_REASONS: [Operation; 4] = [
    Operation::Rewrite,
    Operation::Sync,
    Operation::SyncNoflush,
    Operation::Save,
];

/// What came of a pairing. Pairings for which it is the same share it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// A verdict for each `-A` line of the scenario, in order.
    #[schemars(with = "Vec<RuleVerdict>")]
    pub rules: RuleVerdicts,
    /// A verdict for each chain.
    pub chains: Vec<ChainVerdict>,
    /// What became of the scenario's packets.
    pub probes: Vec<ProbeVerdict>,
    /// The backend that the reader picked, where it looked which one is in use.
    #[serde(default)]
    pub picked: Option<Backend>,
    /// What writer and reader said when both backends held rules.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// What died, and the least rules on which it did.
    #[serde(default)]
    pub crashes: Vec<Crash>,
}

impl Outcome {
    /// The rules that nobody read, because they could not be written, each with its place in the scenario from 0.
    pub fn untested(&self) -> impl Iterator<Item = (usize, &RuleVerdict)> {
        let rules = self.rules.iter().enumerate();
        rules.filter(|(_, rule)| rule.not_tested().is_some())
    }

    /// Whether not one of its rules could be written: then nothing is known of the pairing.
    pub fn is_untested(&self) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rule| rule.not_tested().is_some())
    }
}

/// What the judge concludes about one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainVerdict {
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// The policy before the reader came; none of a user's chain.
    pub policy_before: Option<String>,
    /// The policy after the rewrite; none of a user's chain, or if it is gone.
    pub policy_after: Option<String>,
    /// The policy after `sync`.
    pub policy_after_sync: Option<String>,
    /// What each operation came to that is about chains too.
    pub operations: ByOperation,
    /// What that does to packets.
    pub consequence: Option<Impact>,
}

impl ChainVerdict {
    /// The verdict about an operation; none where it has none.
    pub fn of(&self, operation: Operation) -> Option<Verdict> {
        self.operations.verdict(operation)
    }

    /// What changed: the first reason that any operation has.
    pub fn reason(&self) -> Option<&Reason> {
        self.operations.reason(&CHAIN_REASONS)
    }

    /// The verdicts about what the reader did, in the order of the operations.
    pub fn by_operation(&self) -> impl Iterator<Item = (Operation, Verdict)> {
        self.operations.verdicts()
    }

    /// What its change does to packets.
    pub fn does(&self) -> Option<Consequence> {
        self.consequence.map(|of| of.what)
    }

    /// The same without the operations.
    pub fn of_reader(&self) -> impl Iterator<Item = Verdict> {
        self.by_operation().map(|(_, verdict)| verdict)
    }
}

/// What became of one of the scenario's packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeVerdict {
    /// The probe's name.
    pub name: String,
    /// What the scenario expects while the rules are in place: `delivered`, `dropped`, `to ADDRESS`.
    pub expected: String,
    /// What became of it before anything was written.
    pub before: Option<String>,
    /// What became of it when the rules were written, before any reader came.
    pub written: Option<String>,
    /// Whether that is what the scenario expects; unknown where it was not sent.
    pub as_expected: Option<bool>,
    /// What became of it after each operation that may change rules, beside `written`.
    pub after: BTreeMap<Operation, Effect>,
    /// What became of it where that was not as before, in words.
    pub then: BTreeMap<Operation, String>,
}

impl ProbeVerdict {
    /// The worst that any operation did to it.
    pub fn worst(&self) -> Effect {
        let worst = self.after.values().max().copied();
        worst.unwrap_or(Effect::AsBefore)
    }
}

/// What a build says of the other backend's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Who says it.
    pub by: BuildId,
    /// What it says.
    pub text: String,
}

/// A command that a signal ended, on the least rules on which it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crash {
    /// Whose command it was.
    pub by: BuildId,
    /// The command: program and arguments.
    pub argv: Vec<String>,
    /// The signal's number: 11 is SIGSEGV, 6 is SIGABRT.
    pub signal: i32,
    /// The rules that the writer was given, as it was given them: without any one of them the command did not die, as far
    /// as was tried. Where nothing was tried, all of the scenario's.
    pub rules: String,
}
