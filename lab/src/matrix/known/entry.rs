//! One entry of a file of known losses.

use serde::Deserialize;

use crate::judge::verdict::Verdict;
use crate::plan::Operation;

/// One known loss, as the file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which scenarios: a name or a glob.
    pub scenario: String,
    /// Who writes: ids or globs.
    pub writers: Vec<String>,
    /// Who reads: ids or globs.
    pub readers: Vec<String>,
    /// Only cells whose verdict is this one, or, beside any field below, only losses of it; any where absent.
    pub verdict: Option<Verdict>,
    /// Only losses that this operation shows; any where absent.
    pub operation: Option<Operation>,
    /// Only losses of just these parts, and of those in `altered` and `added`: names (`match mark`) or globs. None where no part is
    /// lost. Any where all three are absent.
    pub lost: Option<Vec<String>>,
    /// The parts that have another value.
    pub altered: Option<Vec<String>>,
    /// The parts that were not there.
    pub added: Option<Vec<String>>,
    /// Only losses of which a program said this, or a glob; any where absent.
    pub said: Option<String>,
    /// Only losses of this cause, by its name; any where absent.
    pub cause: Option<toml::Spanned<String>>,
    /// Only these rules and chains: `KUBE-FIREWALL 2`, `INPUT 1-3+7`, `chain INPUT`, or all of `KUBE-*`, its table before
    /// it where that matters; any where there is none.
    #[serde(default)]
    pub rules: Vec<String>,
    /// What releases up to 0.1 had in place of parts. It is refused.
    pub loss: Option<String>,
    /// Where it is tracked.
    pub url: String,
    /// Why it is as it is.
    pub reason: String,
}
