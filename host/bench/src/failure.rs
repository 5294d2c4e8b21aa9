//! The failure of one arm: it has no rows then, and the other arms go on.

use std::fmt;

/// Why an arm gave up, or what was wrong with its result.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Converts from every error; only the message is kept. (So `Failure` itself cannot implement
/// `Error`.)
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Compares an arm's result with the expected one.
pub(crate) fn check<T: PartialEq + fmt::Debug>(got: &T, expected: &T) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure(format!(
        "a wrong result: {got:?} instead of {expected:?}"
    )))
}
