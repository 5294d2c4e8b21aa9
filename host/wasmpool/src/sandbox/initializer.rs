//! The initializer of a module, and when it is tried again after a failure.

use std::time::{Duration, Instant};

use crate::call::{LimitOverrides, Payload};
use crate::error::TaskError;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};

/// How long an initializer is not run after its first failure. Each further failure doubles the
/// pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A task that each instance of a module runs before all others.
pub(crate) struct Initializer {
    /// The task's place in the module's list.
    pub(crate) task: usize,
    /// The encoded arguments.
    pub(crate) arguments: Payload,
    pub(crate) limits: LimitOverrides,
    /// Its last failure; none after a success.
    failure: Mutex<Option<Failure>>,
    /// Whether there is a failure. Written while the lock is held, read without it: a new instance
    /// takes no lock while the initializer works.
    has_failed: AtomicBool,
}

struct Failure {
    cause: TaskError,
    at: Instant,
    /// When it may be run again.
    tried_again_at: Instant,
    /// The pause after the next failure.
    next_pause: Duration,
}

impl Initializer {
    pub(crate) fn new(task: usize, arguments: Payload, limits: LimitOverrides) -> Self {
        Self {
            task,
            arguments,
            limits,
            failure: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// The same initializer, without its failures.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.task, self.arguments.clone(), self.limits)
    }

    /// The cause of the last failure, if the initializer must not be run now. When the pause is
    /// over, one caller gets `None` and runs it. The others get the last failure for the next
    /// pause, unless that run succeeds before.
    pub(super) fn recent_failure(&self, now: Instant) -> Option<TaskError> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let mut failure = lock(&self.failure);
        let failure = failure.as_mut()?;
        if failure.tried_again_at <= now {
            failure.tried_again_at = now + failure.next_pause;
            return None;
        }
        Some(failure.cause.clone())
    }

    /// Records a failure of a run that began at `started`, and returns the cause to report. Of runs
    /// at the same time the first failure counts, and its cause is returned.
    pub(super) fn failed(&self, cause: TaskError, started: Instant) -> TaskError {
        let mut last = lock(&self.failure);
        let pause = match &*last {
            Some(failure) if failure.at >= started => return failure.cause.clone(),
            Some(failure) => failure.next_pause,
            None => FIRST_PAUSE,
        };
        let now = Instant::now();
        *last = Some(Failure {
            cause: cause.clone(),
            at: now,
            tried_again_at: now + pause,
            next_pause: MAX_PAUSE.min(2 * pause),
        });
        self.has_failed.store(true, Ordering::Relaxed);
        cause
    }

    /// Records a success.
    pub(super) fn succeeded(&self) {
        if self.has_failed.load(Ordering::Relaxed) {
            let mut failure = lock(&self.failure);
            *failure = None;
            self.has_failed.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TaskErrorKind;

    #[test]
    fn after_a_failure_one_caller_tries_again_when_the_pause_is_over() {
        let initializer = Initializer::new(0, Payload::default(), LimitOverrides::default());
        let cause = || TaskError::new(TaskErrorKind::TimedOut, "too slow");
        let started = Instant::now();
        assert!(initializer.recent_failure(started).is_none());
        initializer.failed(cause(), started);
        let is_paused = |after| {
            let moment = Instant::now() + Duration::from_secs(after);
            initializer.recent_failure(moment).is_some()
        };
        assert!(is_paused(0));
        // One caller tries it. For the others the next pause has begun.
        assert_eq!([1, 1, 2, 3].map(is_paused), [false, true, true, false]);
        // That run fails as well, and the pause grows.
        initializer.failed(cause(), Instant::now() + Duration::from_nanos(1));
        assert_eq!([1, 2, 3].map(is_paused), [true, false, true]);
        initializer.succeeded();
        assert!(!is_paused(0));
    }
}
