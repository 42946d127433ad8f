//! The tools that write and read rules, each with its language and its commands: `iptables` and `nft`.
//!
//! What all of them have in common is here: [`Ruleset`] is what any of them writes, [`Printed`] what any of them prints,
//! [`align`] finds which rule of one print is which rule of another.

mod align;
mod fault;
pub mod iptables;
pub mod nft;
mod ruleset;

pub use align::{Alignment, Partner, align};
pub use fault::{Fault, InFile};
pub use iptables::{Change, Difference, KnownRules, Printed, PrintedTable, Words};
pub use ruleset::{Chain, Rule, Ruleset, Table, Target};
