//! What people do about losses: which builds may live side by side, what a damaged node's rules look like. Pure, and
//! answered from a published report, so that neither an engine nor a network is needed.

mod advise;
mod diagnose;
mod identity;
mod node;
mod print;
mod products;
mod published;
mod repair;

pub use advise::{Advice, Change, Member, Pair, advise};
pub use diagnose::{Damaged, Diagnosis, Finding, KnownRules, Likely, Likeness, Place, diagnose};
pub use node::{Node, node};
pub use print::{OtherFamily, Section, sections};
pub use products::{Chooses, Product, Products, ProductsError};
pub use published::{Damage, Known, Published, PublishedBuild, PublishedBuilder, PublishedError};
pub use repair::{Repair, Step};
