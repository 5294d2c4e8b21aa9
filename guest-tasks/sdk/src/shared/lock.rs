//! A lock.

use std::fmt;
use std::time::Duration;

use super::travel::handle;
use super::{CreateError, WaitError, host};

/// A lock, which one task holds at a time. It has no content: it protects what its users agree on.
///
/// A task that holds the lock and acquires it again waits for itself.
pub struct Lock {
    raw: host::Lock,
}

handle!(Lock, "a lock", Lock => |raw| Self { raw });

impl Lock {
    /// Makes a lock that nobody holds.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new() -> Result<Self, CreateError> {
        let raw = host::Lock::create()?;
        Ok(Self { raw })
    }

    /// Takes the lock. Blocks while another task holds it.
    ///
    /// # Errors
    ///
    /// If the task cannot wait.
    pub fn acquire(&self) -> Result<LockGuard, WaitError> {
        loop {
            // Without a timeout it ends with the lock.
            if let Some(hold) = self.raw.acquire(None)? {
                return Ok(LockGuard { hold });
            }
        }
    }

    /// Takes the lock if nobody holds it. Does not block.
    pub fn try_acquire(&self) -> Option<LockGuard> {
        // What does not wait needs no place for it.
        let hold = self.raw.acquire(Some(Duration::ZERO)).ok()??;
        Some(LockGuard { hold })
    }

    /// Takes the lock. Blocks while another task holds it, for `timeout` at most: then it returns
    /// `None`.
    ///
    /// # Errors
    ///
    /// If the task cannot wait.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<LockGuard>, WaitError> {
        let hold = self.raw.acquire(Some(timeout))?;
        Ok(hold.map(|hold| LockGuard { hold }))
    }
}

/// A lock that is held. Given back when this is dropped, and when the call of the task ends.
#[must_use = "the lock is given back at once if the guard is not kept"]
pub struct LockGuard {
    pub(super) hold: host::Hold,
}

impl LockGuard {
    /// Whether the holder before ended without giving the lock back: it was stopped or failed, and
    /// what the lock protects may be half changed.
    pub fn was_left_behind(&self) -> bool {
        self.hold.was_left_behind()
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LockGuard").finish_non_exhaustive()
    }
}
