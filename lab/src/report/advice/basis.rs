//! Where an answer comes from, and how much of it is said.

/// Where an answer comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Whether it was run now.
    pub source: Source,
    /// Which rules it is about: `Kubernetes' scenarios`, `node.save`.
    pub rules: String,
    /// How many scenarios these are.
    pub scenarios: usize,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// On which kernel.
    pub kernel: String,
    /// Through which engine.
    pub engine: String,
}

/// Whether an answer was run for, or read from the built-in report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Run now.
    Run,
    /// The built-in report, as was asked for.
    Published,
    /// The built-in report, because nothing could be run here: why.
    NotRun(String),
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// The answer, and the worst of each pair.
    Short,
    /// All that is lost and all that was not tested, rule by rule.
    Full,
}
