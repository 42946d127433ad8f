//! Causes: the few changes of encoding and faults of readers that thousands of losses come of.
//!
//! Pure, and of the recording alone: a cause is told by what the kernel holds ([`Encoding`](crate::observed::Encoding)), as whoever
//! encoded the rule wrote it and as its decoder itself would have, and by what reading makes of it. Builds, releases, texts of errors
//! and the values of rules are no part of it, so that a run with other builds or scenarios finds the same causes. What people know of
//! a cause (its name, commits, reports) is data beside: [`known`].

mod attribution;
mod clauses;
mod difference;
mod found;
mod gravest;
pub mod known;
mod named;
mod own;
mod shown;
mod sighting;
mod signature;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use attribution::{Attribution, Loss};
pub use clauses::clauses_of;
pub use difference::{CauseChange, CauseDirection, cause_changes};
pub use found::causes;
pub use gravest::Gravest;
pub use known::Found as FoundCommit;
pub use known::{CauseKind, Commits, KnownCause, KnownCauses, Seen, SeenCell};
pub use named::mark;
pub use shown::{
    Cause, CauseCell, Causes, Edge, Ends, ExampleRule, LostPartOf, PairSeen, WorstScenario,
};
pub use signature::{CauseId, Effect, Own, Signature};
