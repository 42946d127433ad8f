//! What can go wrong between the agent and the kernel.

use std::io;

/// Why the kernel could not be read or set: a fault of the lab or of the machine, never a result.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A system call failed, or the kernel refused what was asked.
    #[error("{what}: {source}")]
    Refused {
        /// What was asked.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel's answer does not have the form that its headers promise.
    #[error("the kernel's answer ends in the middle of a {0}, or has a length that cannot be")]
    Malformed(&'static str),
    /// The rules changed during every attempt to read them.
    #[error(
        "the rules changed while they were read, {0} times in a row: something else writes in this network namespace"
    )]
    Unsteady(usize),
}

impl KernelError {
    /// An error of the kernel, with what was asked.
    pub(super) fn refused(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| KernelError::Refused { what, source }
    }
}
