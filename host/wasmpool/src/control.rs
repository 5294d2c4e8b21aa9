//! What the host and a running task share: the request to stop, and the progress.
//!
//! Knows neither who asks for the stop nor how the guest is brought to a halt.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use serde::Serialize;

/// Why a task must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StopReason {
    Cancelled = 1,
    TimedOut = 2,
    ShutDown = 3,
}

/// How far a task has come, by its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Units done, of the task's own choice.
    pub done: u64,
    /// Units in all, where the task knows.
    pub total: Option<u64>,
}

/// Makes running guests look at their stop request.
pub(crate) trait Interrupt: Send + Sync {
    fn interrupt(&self);
}

/// The control block of one task.
pub(crate) struct Control {
    /// The [`StopReason`], 0 while nobody asked. Written once, by the first who stops the
    /// task; read by the guest's epoch callback, by the worker, and when the end is
    /// classified.
    reason: AtomicU8,
    /// Wakes the worker while its guest waits in a host call. Written by the worker before
    /// it looks at `reason`, taken by the one who stops after writing `reason`: whichever
    /// comes second sees the other.
    waker: Mutex<Option<Waker>>,
    /// The newest report of the guest; read by the caller at any time.
    progress: Mutex<Option<Progress>>,
    interrupt: Weak<dyn Interrupt>,
}

impl Control {
    pub(crate) fn new(interrupt: Weak<dyn Interrupt>) -> Self {
        Self {
            reason: AtomicU8::new(0),
            waker: Mutex::new(None),
            progress: Mutex::new(None),
            interrupt,
        }
    }

    /// Asks the task to stop. Only the first reason counts.
    pub(crate) fn stop(&self, reason: StopReason) {
        let first =
            self.reason
                .compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_err() {
            return;
        }
        // A guest that computes sees the epoch move; one that waits in the host has left a
        // waker. Either looks at the reason, which is already written.
        if let Some(interrupt) = self.interrupt.upgrade() {
            interrupt.interrupt();
        }
        let waker = self.lock_waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Why the task must stop, if it must.
    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(StopReason::Cancelled),
            2 => Some(StopReason::TimedOut),
            _ => Some(StopReason::ShutDown),
        }
    }

    /// Leaves a waker for [`stop`](Self::stop). To be called before looking at the reason.
    pub(crate) fn wake_on_stop(&self, waker: &Waker) {
        let mut slot = self.lock_waker();
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    pub(crate) fn report_progress(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
