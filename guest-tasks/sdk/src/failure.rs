//! A task's own error.

use std::fmt::Display;

/// Why a task failed: a message for people and a code for programs.
///
/// Return `Result<T, Failure>` if callers should distinguish errors by their code. Any other error
/// type that implements `Display` becomes a failure without a code, through `?` or as the returned
/// error.
///
/// Like `anyhow::Error` it does not implement [`Display`] or [`std::error::Error`] itself, so that
/// every error can convert into it.
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

    /// The code for programs; empty if there is none.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new("", error.to_string())
    }
}
