//! What a program left when it ended: its exit code, and all that it printed.
//!
//! Plain data, in the manner of `std::process`. Knows nothing of how programs are run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of a program that was run, as [`std::process::Output`] has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Output {
    /// How it exited.
    #[serde(rename = "code")]
    pub status: ExitStatus,
    /// All that it wrote to standard output; nothing where that was
    /// [inherited](crate::Capabilities::inherit_stdio).
    #[serde(with = "serde_bytes")]
    pub stdout: Vec<u8>,
    /// All that it wrote to standard error; nothing where that was inherited.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
}

/// How a program exited: its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExitStatus(i32);

impl Output {
    pub(crate) fn new(code: i32, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self {
            status: ExitStatus(code),
            stdout,
            stderr,
        }
    }
}

impl ExitStatus {
    /// Whether the code is 0.
    pub fn success(self) -> bool {
        self.0 == 0
    }

    /// The exit code, whole: it is not cut to the eight bits that a process has.
    ///
    /// A component knows the codes 0 to 255, and one that was built for `wasm32-wasip2` may know
    /// only success and failure, which are 0 and 1. A program for preview 1 may end with any number
    /// of 32 bits; one of 2^31 or more is negative here, as in C.
    pub fn code(self) -> i32 {
        self.0
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit code {}", self.0)
    }
}
