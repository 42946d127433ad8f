//! What is wrong with the lab itself, where a step was not done as it was asked for.

/// A step that was not done, or was done otherwise than it was asked for. It is a fault of the lab, and no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The answer does not fit the step.
    #[error("{step} was answered with {answer}")]
    Misfit {
        /// The step.
        step: String,
        /// What came.
        answer: String,
    },
    /// There is no answer.
    #[error("{step} was not done")]
    NotDone {
        /// The step.
        step: String,
    },
    /// The procedure waits for something else than the answer to a step.
    #[error("a procedure waits for something that is no step")]
    Stuck,
}
