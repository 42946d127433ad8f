//! What a command has run: which builds it needs and how they are provided, the scenarios that are chosen, the plan, its way through
//! an engine, and who listens meanwhile: progress, recording, matrix. Judging what was recorded is done here too.
//!
//! It knows nothing of a command line: what it is asked for is plain structs, and what it says is values and [`Failure`]s. Progress
//! goes to standard error as it comes.

pub mod advise;
pub mod bisect;
pub mod builds;
pub mod causes;
pub mod doctor;
pub mod evidence;
mod failure;
pub mod input;
mod interrupt;
mod listener;
pub mod matrix;
pub mod memory;
pub mod needed;
pub mod pairing;
mod prepared;
pub mod progress;
pub mod publish;
pub mod replay;
mod results;
mod run;
pub mod scenarios;
pub mod select;
mod session;
pub mod stored;
pub mod timings;

pub use failure::{Failure, FailureKind, OrFailure};
pub use interrupt::Interrupt;
pub use run::{MemoryOptions, Ran, RunOptions};
pub use scenarios::ScenarioChoice;
pub use session::{EngineChoice, SessionOptions};
