//! nft: its own language, as far as the lab speaks it.

mod commands;
mod dialect;
mod expressions;
mod field;
mod lines;
mod listing;
mod meaning;
mod nested;
mod own_chain;
mod script;
mod table;
mod words;
mod xtables;

pub(super) use commands::{stay, write};
pub use expressions::mean_the_same;
pub(super) use expressions::weight;
pub(super) use lines::Lines;
pub use listing::without_handle;
pub(super) use script::Script;

/// nft.
#[derive(Debug, Clone, Copy)]
pub struct Nft;
