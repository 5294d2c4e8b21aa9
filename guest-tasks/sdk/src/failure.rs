//! A task's own error, on its way to the caller.

use std::fmt::Display;

/// Why a task failed: a sentence for people and a word for programs.
///
/// Return `Result<T, Failure>` where callers should tell errors apart by their code; any
/// other error type that can be displayed becomes a failure without a code, by `?` or by
/// being returned.
///
/// Like `anyhow::Error` it does not implement [`Display`] or [`std::error::Error`] itself,
/// which is what lets every error convert into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    /// A failure with a code, such as `not-found`, and a message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// The word for programs; empty if there is none.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new("", error.to_string())
    }
}
