//! What the program's exit status says.

use std::process::ExitCode;

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

/// An error that ends the program, and the exit status it ends with.
#[derive(Debug)]
pub struct Failure {
    /// The status.
    pub exit: Exit,
    /// What is said on standard error.
    pub report: miette::Report,
}

impl Failure {
    /// `error` ends the program with `exit`.
    pub fn new(exit: Exit, error: impl Into<miette::Report>) -> Self {
        Failure {
            exit,
            report: error.into(),
        }
    }
}

/// Gives an error its exit status.
pub trait Or<T> {
    /// The value, or a failure that ends the program with `exit`.
    ///
    /// # Errors
    /// The error that was there.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<miette::Report>> Or<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
