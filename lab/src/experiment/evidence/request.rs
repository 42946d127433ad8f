//! What evidence is asked for, and what comes of it.

use std::path::PathBuf;

use crate::evidence::LossKind;
use crate::experiment::run::RunOptions;
use crate::experiment::scenarios::ScenarioChoice;

/// The loss that a report is to be about.
#[derive(Debug, Clone)]
pub struct EvidenceRequest {
    /// The one scenario in which rules are lost.
    pub given: ScenarioChoice,
    /// Who writes: a build's id.
    pub writer: String,
    /// Who reads: a build's id.
    pub reader: String,
    /// The folder to make; where none is named, it has the names of scenario, writer and reader.
    pub output: Option<PathBuf>,
    /// The kind of loss; the worst of the pairing where none is named.
    pub loss: Option<LossKind>,
    /// The most rulesets to try while the rules are shrunk.
    pub steps: usize,
    /// How much is run at a time, and how long.
    pub options: RunOptions,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceMade {
    /// The folder is filled.
    Folder(PathBuf),
    /// There is no such loss: this is said of it.
    NoLoss(String),
}
