//! A submitted task as its caller knows it, until it has settled, once.
//!
//! Does not know how an outcome arrives.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use wasmpool::TaskReport;

use crate::error::RunError;
use crate::names::TaskId;

/// What became of a task.
#[derive(Debug)]
pub(super) struct Settled {
    /// The encoded result.
    pub(super) result: Result<Vec<u8>, RunError>,
    pub(super) report: TaskReport,
    /// The name of the node that ran it; `None` if none did.
    pub(super) node: Option<String>,
}

/// A submitted task.
#[derive(Debug)]
pub(super) struct OpenTask {
    pub(super) id: TaskId,
    pub(super) tenant: String,
    /// Whether its arguments may be in the store of payloads. Set before they are stored, taken by
    /// the one who deletes them.
    has_stored_arguments: AtomicBool,
    /// Its number in the queue, from when the server has stored it; before that 0, which is none.
    sequence: AtomicU64,
    /// Its message, from before it is stored.
    message: OnceLock<Bytes>,
    pub(super) is_at_most_once: bool,
    /// Set by the first delivery of its outcome. A large one may be delivered again while it is read.
    is_arriving: AtomicBool,
    /// Written once, by whoever is first: the outcome of a node, or a cancel.
    settled: OnceLock<Settled>,
    /// Held to change from unsettled to settled, so that nobody who waits misses it.
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

/// Those who are told when a task settles, besides the threads that wait.
#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl OpenTask {
    pub(super) fn new(id: TaskId, tenant: String, is_at_most_once: bool) -> Self {
        Self {
            id,
            tenant,
            has_stored_arguments: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
            message: OnceLock::new(),
            is_at_most_once,
            is_arriving: AtomicBool::new(false),
            settled: OnceLock::new(),
            waiting: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Settles the task, if it has not settled yet. Returns whether it is settled by this.
    pub(super) fn settle(&self, settled: Settled) -> bool {
        let mut waiting = lock(&self.waiting);
        let is_first = self.settled.set(settled).is_ok();
        let Waiting { wakers, callbacks } = std::mem::take(&mut *waiting);
        drop(waiting);
        self.wake.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        callbacks.into_iter().for_each(call);
        is_first
    }

    pub(super) fn fail(&self, error: RunError) -> bool {
        self.settle(Settled {
            result: Err(error),
            report: TaskReport::default(),
            node: None,
        })
    }

    /// Its outcome has been delivered. Returns whether for the first time.
    pub(super) fn arrives(&self) -> bool {
        !self.is_arriving.swap(true, Ordering::Relaxed)
    }

    pub(super) fn settled(&self) -> Option<&Settled> {
        self.settled.get()
    }

    /// What the task has settled with; until then the waker is woken when it settles.
    pub(super) fn poll(&self, waker: &Waker) -> Option<&Settled> {
        let mut waiting = lock(&self.waiting);
        let settled = self.settled.get();
        if settled.is_none() && !waiting.wakers.iter().any(|known| known.will_wake(waker)) {
            waiting.wakers.push(waker.clone());
        }
        settled
    }

    /// Calls back when the task settles, or at once if it has.
    pub(super) fn on_settled(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut waiting = lock(&self.waiting);
        if self.settled.get().is_none() {
            waiting.callbacks.push(callback);
            return;
        }
        drop(waiting);
        call(callback);
    }

    /// Blocks until the task has settled, or the deadline has passed.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<&Settled> {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(settled) = self.settled.get() {
                return Some(settled);
            }
            waiting = match deadline {
                None => self
                    .wake
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let woken = self.wake.wait_timeout(waiting, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The server has stored the task under this number.
    pub(super) fn queued(&self, sequence: u64) {
        self.sequence.store(sequence, Ordering::Relaxed);
    }

    pub(super) fn sequence(&self) -> Option<u64> {
        Some(self.sequence.load(Ordering::Relaxed)).filter(|sequence| *sequence != 0)
    }

    /// The task is stored with this message, and perhaps later once more.
    pub(super) fn keep(&self, message: Bytes) {
        let _ = self.message.set(message);
    }

    pub(super) fn message(&self) -> Bytes {
        self.message.get().cloned().unwrap_or_default()
    }

    /// The arguments may be stored from now on.
    pub(super) fn store_arguments(&self) {
        self.has_stored_arguments.store(true, Ordering::Release);
    }

    pub(super) fn may_have_stored_arguments(&self) -> bool {
        self.has_stored_arguments.load(Ordering::Acquire)
    }

    /// Whether the arguments may be stored, for the one who deletes them.
    pub(super) fn take_arguments(&self) -> bool {
        self.has_stored_arguments.swap(false, Ordering::AcqRel)
    }
}

/// A callback that panics ends only itself. The panic was reported where it happened.
fn call(callback: Box<dyn FnOnce() + Send>) {
    let _ = catch_unwind(AssertUnwindSafe(callback));
}

/// No code panics while it holds one of these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
