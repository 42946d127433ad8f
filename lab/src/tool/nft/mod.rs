//! nft: its own language, as far as the lab speaks it.

mod commands;
mod dialect;
mod expressions;
mod field;
mod lines;
mod listing;
mod script;
mod table;
mod words;

pub(super) use commands::write;
pub(super) use expressions::weight;
pub(super) use lines::Lines;
pub(super) use script::Script;
pub use table::kernel_table;

/// nft.
#[derive(Debug, Clone, Copy)]
pub struct Nft;
