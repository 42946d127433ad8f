//! What can go wrong between the agent and the kernel.

use std::io;

/// Why the kernel could not be read or set: but for what it lacks, a fault of the lab or of the machine.
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
    /// The kernel has no such thing: it was built without it, or its module is not there.
    #[error("{what}: {source}")]
    Lacks {
        /// What was asked.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// What was made did not become ready.
    #[error("{0} did not become ready")]
    Unready(String),
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

    /// The errno of a refusal.
    pub(super) fn errno(&self) -> Option<i32> {
        match self {
            KernelError::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// With these errnos the kernel says, where it was asked, that it has no such thing.
    pub(super) fn lacking_if(self, errnos: &[i32]) -> Self {
        let lacks = self.errno().is_some_and(|errno| errnos.contains(&errno));
        match self {
            KernelError::Refused { what, source } if lacks => KernelError::Lacks { what, source },
            other => other,
        }
    }
}
