//! What the program's exit status says.

use std::process::ExitCode;

use crate::experiment::FailureKind;

/// Why the program ended. The table in docs/reference/exit-statuses.md is the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ran.
    Ran,
    /// It ran, and what `--fail-on` names was found.
    Found,
    /// `evidence` ran, and found no loss to report.
    NoLoss,
    /// Usage or bad input.
    Usage,
    /// The machine lacks what it takes, or lost it on the way.
    Lacks,
    /// A fault of the lab.
    Fault,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The status that scripts see.
    pub fn status(self) -> u8 {
        match self {
            Exit::Ran => 0,
            Exit::Found | Exit::NoLoss => 1,
            Exit::Usage => 2,
            Exit::Lacks => 3,
            Exit::Fault => 70,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.status())
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Exit {
        match kind {
            FailureKind::BadInput => Exit::Usage,
            FailureKind::Lacks => Exit::Lacks,
            FailureKind::Fault => Exit::Fault,
            FailureKind::Interrupted => Exit::Interrupted,
        }
    }
}
