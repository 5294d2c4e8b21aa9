//! What goes wrong in one arm: it costs that arm its rows and nobody else anything.

use std::fmt;

/// Why an arm gave up, or what was wrong with what it gave.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Every error will do: nobody looks further than at its words. (So this is no error itself.)
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

/// Compares what an arm gave with what the function itself gives here.
pub(crate) fn check<T: PartialEq + fmt::Debug>(got: &T, expected: &T) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure(format!(
        "a wrong result: {got:?} in the place of {expected:?}"
    )))
}
