//! A condition that tasks wait for under a lock.

use std::time::Duration;

use super::travel::handle;
use super::{CreateError, LockGuard, WaitError, host};

/// A condition that tasks wait for while they hold a [`Lock`](super::Lock), and notify each other
/// of.
///
/// Who has waited looks whether the condition holds: another task may have been faster to the lock.
/// [`wait_while`](Self::wait_while) does so.
pub struct Condition {
    raw: host::Condition,
}

handle!(Condition, "a condition", Condition => |raw| Self { raw });

impl Condition {
    /// Makes a condition that nobody waits for.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new() -> Result<Self, CreateError> {
        let raw = host::Condition::create()?;
        Ok(Self { raw })
    }

    /// Gives the lock back and waits to be notified, in one step; then takes the lock again. Blocks
    /// for both.
    ///
    /// # Errors
    ///
    /// If the task cannot wait. The lock is no longer held then.
    pub fn wait(&self, guard: LockGuard) -> Result<LockGuard, WaitError> {
        let (hold, _) = self.raw.wait(guard.hold, None)?;
        Ok(LockGuard { hold })
    }

    /// As [`wait`](Self::wait), but waits for `timeout` at most to be notified. Returns also whether
    /// it was. It takes the lock again in both cases, however long that takes.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(
        &self,
        guard: LockGuard,
        timeout: Duration,
    ) -> Result<(LockGuard, bool), WaitError> {
        let (hold, is_notified) = self.raw.wait(guard.hold, Some(timeout))?;
        Ok((LockGuard { hold }, is_notified))
    }

    /// [Waits](Self::wait) as long as `must_wait` returns true, which is called with the lock held.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_while(
        &self,
        mut guard: LockGuard,
        mut must_wait: impl FnMut() -> bool,
    ) -> Result<LockGuard, WaitError> {
        while must_wait() {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Wakes the task that has waited longest, if any waits. Does not block.
    pub fn notify_one(&self) {
        self.raw.notify(1);
    }

    /// Wakes all tasks that wait. Does not block.
    pub fn notify_all(&self) {
        self.raw.notify(u32::MAX);
    }
}
