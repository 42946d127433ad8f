//! Command results: what a command printed, and how it ended.

use serde::{Deserialize, Serialize};

use super::text::Text;

/// A command as it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// All of its standard output.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub stdout: Text,
    /// All of its standard error.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub stderr: Text,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It exited with this status.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was still running when its time was up, and was killed.
    TimedOut,
    /// The root filesystem has no such program, or it cannot be executed (errno).
    NotFound(i32),
}
