//! The limits of a task.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sync::Instant;

/// The limits of one task. Plain data, copied to where they are enforced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of linear memory and tables, summed over all of the task's instances.
    pub(crate) memory: usize,
    /// Units of fuel, if the pool meters it.
    pub(crate) fuel: Option<u64>,
    /// Bytes of standard output, and of standard error, that are kept.
    pub(crate) output: usize,
    /// Bytes that a program may print.
    pub(crate) program_output: usize,
    /// Bytes of encoded arguments, and of an encoded result.
    pub(crate) payload: usize,
    /// How long the task may run.
    pub(crate) task_timeout: Option<Duration>,
    /// How long it may compute.
    pub(crate) compute_timeout: Option<Duration>,
    /// How long it may wait in the queue.
    pub(crate) queue_timeout: Option<Duration>,
    /// How long it may run on after a stop was requested.
    pub(crate) stop_grace: Duration,
}

/// The values decoded from a result may take this many times the payload limit.
const DECODED_PER_PAYLOAD: usize = 16;

/// The values decoded from a result may take this many bytes whatever the payload limit: a small
/// payload too can hold many small values, such as a list of booleans.
const DECODED_AT_LEAST: usize = 64 << 20;

impl Limits {
    /// How many bytes may be allocated when the result of a function is decoded: for its values
    /// where the caller's type takes any value, and for names that the caller's type does not
    /// have.
    pub(crate) fn decoded(&self) -> usize {
        let limit = self.payload.saturating_mul(DECODED_PER_PAYLOAD);
        limit.max(DECODED_AT_LEAST)
    }

    /// Whether arguments of so many encoded bytes may be passed on; if not, why.
    pub(crate) fn check_arguments(&self, size: usize) -> Result<(), String> {
        let limit = self.payload;
        match size > limit {
            true => Err(format!(
                "the arguments have {size} bytes, over the payload limit of {limit}"
            )),
            false => Ok(()),
        }
    }

    /// When a task that starts at `started` times out. `None` if it has no timeout, or one too
    /// long for an `Instant`.
    pub(crate) fn deadline(&self, started: Instant) -> Option<Instant> {
        started.checked_add(self.task_timeout?)
    }
}

/// Limits of a task reference that replace the pool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LimitOverrides {
    pub(crate) memory: Option<usize>,
    pub(crate) fuel: Option<u64>,
    pub(crate) program_output: Option<usize>,
    pub(crate) task_timeout: Option<Duration>,
    pub(crate) compute_timeout: Option<Duration>,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) stop_grace: Option<Duration>,
}

impl LimitOverrides {
    /// The pool's limits, overridden by these.
    pub(crate) fn over(&self, pool: &Limits) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(pool.memory),
            fuel: self.fuel.or(pool.fuel),
            task_timeout: self.task_timeout.or(pool.task_timeout),
            compute_timeout: self.compute_timeout.or(pool.compute_timeout),
            queue_timeout: self.queue_timeout.or(pool.queue_timeout),
            stop_grace: self.stop_grace.unwrap_or(pool.stop_grace),
            output: pool.output,
            program_output: self.program_output.unwrap_or(pool.program_output),
            payload: pool.payload,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            fuel: None,
            output: 64 << 10,
            program_output: 16 << 20,
            payload: 128 << 20,
            task_timeout: None,
            compute_timeout: None,
            queue_timeout: None,
            stop_grace: Duration::ZERO,
        }
    }
}
