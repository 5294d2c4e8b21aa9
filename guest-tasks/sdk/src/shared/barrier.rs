//! A barrier.

use std::time::Duration;

use super::travel::handle;
use super::{BarrierError, CreateError, host};

/// A barrier, at which a number of tasks wait for each other, any number of times.
///
/// It breaks when a task leaves it before all are there, since its timeout is over or it is stopped.
/// Then all who wait, and all who come, get [`BarrierError::Broken`] until it is
/// [reset](Self::reset).
pub struct Barrier {
    raw: host::Barrier,
}

handle!(Barrier, "a barrier", Barrier => |raw| Self { raw });

impl Barrier {
    /// Makes a barrier for so many tasks, at least 1: 0 counts as 1.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new(parties: u32) -> Result<Self, CreateError> {
        let raw = host::Barrier::create(parties.max(1))?;
        Ok(Self { raw })
    }

    /// Blocks until all parties are there. Returns 0 to the task that came last, 1 to the one before
    /// and so on.
    ///
    /// # Errors
    ///
    /// If the barrier is broken, or the task cannot wait.
    pub fn wait(&self) -> Result<u32, BarrierError> {
        self.raw.wait(None)
    }

    /// As [`wait`](Self::wait), but blocks for `timeout` at most: then the barrier breaks.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<u32, BarrierError> {
        self.raw.wait(Some(timeout))
    }

    /// Breaks the barrier. Does not block.
    pub fn abort(&self) {
        self.raw.abort();
    }

    /// Makes a broken barrier whole. All who wait are told that it was broken. Does not block.
    pub fn reset(&self) {
        self.raw.reset();
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> bool {
        self.raw.is_broken()
    }
}
