//! What a finished task cost: plain data, filled by the worker, read by the caller.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a finished task cost, and what it printed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskReport {
    /// The index of the worker that ran it; none if it never started.
    pub worker: Option<usize>,
    /// How long it waited in the queue, or from its submission to its last attempt.
    pub queued: Duration,
    /// How long it ran, from the start of its instance to its result; its last attempt, where
    /// it was tried again.
    pub ran: Duration,
    /// How much of that it held a worker: the time that its guest computed, with the host functions
    /// that it called.
    #[serde(default)]
    pub computed: Duration,
    /// How much of that it held no worker: it waited in the host (for a time, a connection, a
    /// name), or for a worker to go on with.
    #[serde(default)]
    pub suspended: Duration,
    /// How much of `ran` its instance took to run the initializer; zero where there is none,
    /// or the instance was warm.
    pub initialized: Duration,
    /// How often it was started: more than once only with a [`Retry`](crate::Retry).
    pub attempts: u32,
    /// How many tasks its instance had served before: always 0 under
    /// [`Isolation::Task`](crate::Isolation::Task).
    pub instance_age: u64,
    /// The most memory that its instance has held at once, in bytes: linear memories and
    /// tables, summed. A warm instance counts what earlier tasks left it with.
    pub peak_memory: usize,
    /// The fuel it used, if the pool meters fuel.
    pub fuel: Option<u64>,
    /// What it was refused of the network, as in `connect to 10.0.0.1:80` or ``look up
    /// `example.org` ``: each thing once, the first sixteen. Without any
    /// [right](crate::Capabilities::net) to the network a guest gets no socket to begin with,
    /// and only the names are here that it wanted to look up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
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
