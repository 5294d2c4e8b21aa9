//! The result of a program: its exit code and all its output.
//!
//! Plain data, in the manner of `std::process`. Knows nothing of how programs are run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of a program that exited, in the manner of [`std::process::Output`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Output {
    /// The exit status.
    #[serde(rename = "code")]
    pub status: ExitStatus,
    /// All that it wrote to standard output; empty if that was
    /// [inherited](crate::Capabilities::inherit_stdio).
    #[serde(with = "serde_bytes")]
    pub stdout: Vec<u8>,
    /// All that it wrote to standard error; empty if that was inherited.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
}

/// The exit status of a program: its exit code.
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

    /// The exit code with all its 32 bits; it is not cut to the 8 bits of a process's exit code.
    ///
    /// A component can exit with 0 to 255; one that was built for `wasm32-wasip2` may have only
    /// success and failure, which are 0 and 1. A program for preview 1 can exit with any 32-bit
    /// number; 2^31 and above are negative here, as in C.
    pub fn code(self) -> i32 {
        self.0
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit code {}", self.0)
    }
}
