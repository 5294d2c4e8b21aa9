//! State under a lock, and threads that wait until it is as they need it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) struct Monitor<S> {
    state: Mutex<S>,
    /// Signalled after each change.
    changed: Condvar,
}

impl<S> Monitor<S> {
    pub(super) fn new(state: S) -> Self {
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the state, and wakes those who wait.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Calls `attempt` until it returns something, each time that the state has changed. It changes
    /// the state only then. None if the timeout was over first.
    pub(super) fn wait<R>(
        &self,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut S) -> Option<R>,
    ) -> Option<R> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Some(outcome) = attempt(&mut state) {
                self.changed.notify_all();
                return Some(outcome);
            }
            state = match deadline {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// A panic happens only in a function that was handed in, and none of them leaves the state half
    /// changed.
    fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
