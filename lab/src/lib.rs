//! The lab: runs every writer/reader pairing of iptables builds for real and says which parts of which rules are lost.
//!
//! The flow has one direction: catalog and scenarios make a plan, an engine takes the plan through its lanes, the
//! recording keeps every observation, the judge concludes from the recording, the matrix holds the verdicts, and the
//! reports print the matrix. Evidence is what a bug report needs besides: the least rules that show a loss, and since when.
//! An experiment connects these for a command; the command line makes requests of arguments, and prints what comes back.

#[cfg(test)]
#[allow(dead_code, reason = "the other tests use the rest of it")]
#[macro_use]
#[path = "../tests/it/need.rs"]
mod need;

pub mod advice;
pub mod agent;
pub mod catalog;
pub mod cause;
pub mod cli;
pub mod docker;
pub mod engine;
pub mod evidence;
pub mod experiment;
mod fault;
pub mod images;
pub mod init;
pub mod inventory;
pub mod judge;
pub mod leftovers;
pub mod matrix;
pub mod observed;
pub mod plan;
pub mod recording;
pub mod report;
pub mod runner;
pub mod sandbox;
pub mod scenario;
pub mod tool;
