//! Why a command could not do what it was asked for.

use miette::miette;

/// Where the reason lies, and so who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// In what was asked for: an option, a name, a file that was given.
    BadInput,
    /// In the machine: it lacks what it takes, or lost it on the way.
    Lacks,
    /// In the lab itself.
    Fault,
    /// Nowhere: someone asked it to stop.
    Interrupted,
}

/// An error that ends a command.
#[derive(Debug)]
pub struct Failure {
    /// Where the reason lies.
    pub kind: FailureKind,
    /// What is said of it.
    pub report: miette::Report,
}

impl Failure {
    /// What was asked for cannot be done.
    pub fn bad_input(error: impl Into<miette::Report>) -> Self {
        Failure::of(FailureKind::BadInput, error)
    }

    /// The machine lacks something.
    pub fn lacks(error: impl Into<miette::Report>) -> Self {
        Failure::of(FailureKind::Lacks, error)
    }

    /// The lab has a fault.
    pub fn fault(error: impl Into<miette::Report>) -> Self {
        Failure::of(FailureKind::Fault, error)
    }

    /// Someone asked it to stop.
    pub fn interrupted() -> Self {
        Failure::of(FailureKind::Interrupted, miette!("interrupted"))
    }

    /// `error`, of which it is known where the reason lies.
    pub fn of(kind: FailureKind, error: impl Into<miette::Report>) -> Self {
        Failure {
            kind,
            report: error.into(),
        }
    }
}

/// Says of an error where the reason lies.
pub trait OrFailure<T> {
    /// The value, or a failure because of what was asked for.
    ///
    /// # Errors
    /// The error that was there.
    fn or_bad_input(self) -> Result<T, Failure>;

    /// The value, or a failure because of the machine.
    ///
    /// # Errors
    /// The error that was there.
    fn or_lacks(self) -> Result<T, Failure>;

    /// The value, or a failure because of the lab.
    ///
    /// # Errors
    /// The error that was there.
    fn or_fault(self) -> Result<T, Failure>;
}

impl<T, E: Into<miette::Report>> OrFailure<T> for Result<T, E> {
    fn or_bad_input(self) -> Result<T, Failure> {
        self.map_err(Failure::bad_input)
    }

    fn or_lacks(self) -> Result<T, Failure> {
        self.map_err(Failure::lacks)
    }

    fn or_fault(self) -> Result<T, Failure> {
        self.map_err(Failure::fault)
    }
}
