//! What a run shows of its causes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gravest::Gravest;
use super::known::KnownCause;
use super::signature::Signature;
use crate::catalog::{BuildId, Family};
use crate::matrix::{BuildName, BuildSet, Letter, Letters, LostPart, PrintedBy};

/// Everything that is lost in a run, in few lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causes {
    /// The causes, the worst first.
    pub causes: Vec<Cause>,
    /// What each cell of the matrix lost by which of them, in the order of the cells.
    pub of_cells: Vec<Arc<[LostPartOf]>>,
    /// The scenarios in which anything is lost, the worst first.
    pub scenarios: Vec<WorstScenario>,
}

/// A cause as a run shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The name that people gave it, else the one that follows from its signature.
    pub name: String,
    /// What it is told by, one signature or several that are known to have the same commits; each with who encodes and who decodes so.
    pub signatures: BTreeMap<Signature, Ends>,
    /// What people know of it.
    pub known: Option<KnownCause>,
    /// What is lost.
    pub letter: Letter,
    /// The parts that are lost by it.
    pub parts: BTreeSet<LostPart>,
    /// Who encoded the rules: the writers, and readers that rewrote them.
    pub encoders: BuildSet,
    /// Who decodes them otherwise.
    pub decoders: BuildSet,
    /// Between which builds, who encodes and who decodes, each pair with the least of the scenarios that show it.
    pub pairs: BTreeMap<(BuildId, BuildId), PairSeen>,
    /// Where among all that ran the encoders begin, and where the decoders end.
    pub edge: Edge,
    /// The worst that comes of it.
    pub worst: Gravest,
    /// In which scenarios.
    pub scenarios: BTreeSet<String>,
    /// How many rules, those of each family apart.
    pub rules: usize,
    /// In how many cells.
    pub cells: usize,
    /// A cell that shows it.
    pub cell: CauseCell,
    /// A rule of that cell, where any text shows it.
    pub example: Option<ExampleRule>,
    /// What a program said of the worst, where it is no part.
    pub reason: Option<String>,
}

/// Who encodes so, and who decodes it otherwise; nobody where it is told only by what follows from other losses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The writers, and readers that rewrote rules.
    pub encoders: BuildSet,
    /// Who decodes.
    pub decoders: BuildSet,
}

/// Where a cause is seen between two builds, in as few rules as a scenario has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairSeen {
    /// How many rules the scenario has.
    pub rules: usize,
    /// The scenario.
    pub scenario: String,
    /// The family.
    pub family: Family,
}

/// Since which build on a loss is there, and since which it is not any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    /// The first that encodes so, where an older build ran that does not.
    pub first_encoder: Option<BuildName>,
    /// The first that decodes it right, where all newer ones do.
    pub mended_in: Option<BuildName>,
}

/// A rule before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleRule {
    /// The rule as it was.
    pub before: String,
    /// The rule as it is then.
    pub after: String,
    /// Whose texts they are.
    pub by: PrintedBy,
}

/// The cell of one pairing in one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseCell {
    /// The scenario.
    pub scenario: String,
    /// The family.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub reader: BuildId,
}

/// What is lost in one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorstScenario {
    /// Its name.
    pub name: String,
    /// What is lost.
    pub letters: Letters,
    /// The worst that comes of it.
    pub worst: Gravest,
    /// How many pairings have silent damage.
    pub silent: usize,
    /// How many pairings ran.
    pub pairings: usize,
}

/// A part of a rule that a cell lost, and by which cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LostPartOf {
    /// The rule's place among the cell's rules, from 0; none where it is a chain.
    pub rule: Option<usize>,
    /// The part's name; empty where it is the rule as a whole.
    pub part: String,
    /// The place of the cause among the run's, from 0.
    pub cause: usize,
}
