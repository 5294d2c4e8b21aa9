//! The report of a finished task: plain data, filled by the worker, read by the caller.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::children::ChildrenReport;

/// The resources that a finished task used, and its output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskReport {
    /// The index of the worker that ran it; `None` if it never started.
    pub worker: Option<usize>,
    /// How long it waited from its submission to the start of its last attempt.
    pub queued: Duration,
    /// How long its last attempt ran, from the start of its instance to its result.
    pub ran: Duration,
    /// How much of `ran` its guest computed, including the host functions that it called.
    #[serde(default)]
    pub computed: Duration,
    /// The rest of `ran`: it waited in the host (for a time, a connection, a name), or for a worker
    /// to go on.
    #[serde(default)]
    pub suspended: Duration,
    /// How much of `ran` its instance took to run the initializer; zero where there is none,
    /// or the instance was warm.
    pub initialized: Duration,
    /// How many times it was started; more than once only with a [`Retry`](crate::Retry).
    pub attempts: u32,
    /// How many tasks its instance had served before: always 0 under
    /// [`Isolation::Task`](crate::Isolation::Task).
    pub instance_age: u64,
    /// The peak memory of its instance in bytes, the sum of linear memories and tables. In a warm
    /// instance this includes memory that earlier tasks grew.
    pub peak_memory: usize,
    /// The fuel that it used, if the pool meters fuel.
    pub fuel: Option<u64>,
    /// What it was refused: network operations such as `connect to 10.0.0.1:80` or ``look up
    /// `example.org` ``, and special files of its folders such as ``open `/data/pipe`, a FIFO``; the
    /// first 16 distinct ones of both. A guest without any [right](crate::Capabilities::net) to
    /// the network cannot open a socket, so only its name look-ups are listed. The path of a
    /// file that was opened relative to an open folder is relative to that folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What the tasks that it started used; `None` if it had no
    /// [right](crate::Capabilities::tasks) to start tasks, or started none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<Box<ChildrenReport>>,
    /// What it wrote to standard output.
    pub stdout: Captured,
    /// What it wrote to standard error.
    pub stderr: Captured,
}

/// The captured end of an output stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Captured {
    /// The last bytes that were written, up to the pool's output limit.
    pub tail: Vec<u8>,
    /// How many bytes were written in all.
    pub written: u64,
}

impl Captured {
    /// The tail as text, with a replacement character for whatever is not UTF-8.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.tail)
    }

    /// Whether more was written than was kept.
    pub fn is_truncated(&self) -> bool {
        self.written > self.tail.len() as u64
    }
}
