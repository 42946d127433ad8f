//! What people do about losses: which builds may live side by side, what a damaged node's rules look like. Pure, and
//! answered from a published report, so that neither an engine nor a network is needed.

mod advise;
mod change;
mod changes;
mod diagnose;
mod finding;
mod identity;
mod known_rules;
mod member;
mod node;
mod pair;
mod print;
mod products;
mod published;
mod publisher;
mod repair;
mod stored;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use advise::{Advice, advise};
pub use change::{Change, Newer, NewerProduct};
pub use changes::Changes;
pub use diagnose::{Diagnosis, Likely, diagnose};
pub use finding::{Damaged, Finding, Likeness, Place};
pub use known_rules::KnownRules;
pub use member::Member;
pub use node::{Node, node};
pub use pair::{Found, Pair, Safety, between};
pub use print::{OtherFamily, Section, sections};
pub use products::{Chooses, Product, Products, ProductsError};
pub use published::{Caused, Damage, Pairs, Published, PublishedBuild, Tested, Untested};
pub use repair::{Repair, Step};
pub use stored::PublishedError;
