//! The state that a task and its future share, and the rules by which it settles.
//!
//! Generic over the payload, which it keeps while the task is queued and otherwise knows
//! nothing of.
//!
//! A cell goes from queued to running to settled, or from queued straight to settled, and
//! settles once: the first outcome wins and every later one is dropped. All of that happens
//! under one lock; the outcome itself lies outside of it, so that looking at a settled cell
//! takes no lock.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::control::{Control, StopReason};
use crate::error::{TaskError, TaskErrorKind};
use crate::report::TaskReport;
use crate::spin;

/// How a task ended.
pub(crate) struct Settled {
    pub(crate) outcome: Result<Vec<u8>, TaskError>,
    pub(crate) report: TaskReport,
}

/// Called once when the cell settles, on the thread that settles it.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

pub(crate) struct Cell<P> {
    control: Arc<Control>,
    submitted: Instant,
    /// Written once, by the one who moves `phase` to settled, while it holds the lock.
    settled: OnceLock<Settled>,
    state: Mutex<State<P>>,
    /// Signalled when the cell settles and a thread waits in `wait`.
    done: Condvar,
}

struct State<P> {
    phase: Phase<P>,
    /// Threads inside of `wait`.
    waiting: usize,
    /// The async task that polled the future last.
    waker: Option<Waker>,
    /// In order of registration, each with its number.
    callbacks: VecDeque<(u64, Callback)>,
    next_callback: u64,
    /// Whether some thread is calling the callbacks: later ones then wait in line for it, so
    /// that the order holds.
    is_calling_back: bool,
}

enum Phase<P> {
    Queued(P),
    Running,
    Settled,
}

impl<P> Phase<P> {
    fn task_state(&self) -> TaskState {
        match self {
            Self::Queued(_) => TaskState::Queued,
            Self::Running => TaskState::Running,
            Self::Settled => TaskState::Done,
        }
    }
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for a worker.
    Queued,
    /// A worker runs it.
    Running,
    /// It came to an end: with a result, with an error, or cancelled.
    Done,
}

impl<P> Cell<P> {
    /// A cell that keeps `payload` until the task starts or dies.
    pub(crate) fn new(payload: P, control: Arc<Control>) -> Self {
        Self {
            control,
            submitted: Instant::now(),
            settled: OnceLock::new(),
            state: Mutex::new(State {
                phase: Phase::Queued(payload),
                waiting: 0,
                waker: None,
                callbacks: VecDeque::new(),
                next_callback: 0,
                is_calling_back: false,
            }),
            done: Condvar::new(),
        }
    }

    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    pub(crate) fn submitted(&self) -> Instant {
        self.submitted
    }

    pub(crate) fn settled(&self) -> Option<&Settled> {
        self.settled.get()
    }

    fn is_settled(&self) -> bool {
        self.settled().is_some()
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.task_state() == TaskState::Queued
    }

    pub(crate) fn task_state(&self) -> TaskState {
        self.lock().phase.task_state()
    }

    /// Moves the task from queued to running and hands over its payload; `None` if it died
    /// in the queue.
    pub(crate) fn start(&self) -> Option<P> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.phase, Phase::Running) {
            Phase::Queued(payload) => Some(payload),
            other => {
                state.phase = other;
                None
            }
        }
    }

    /// Ends the task with `settled`, unless it has ended. Says whether it was this one.
    pub(crate) fn settle(&self, settled: Settled) -> bool {
        self.settle_if(|_| true, settled).is_some()
    }

    /// Ends the task with `kind` if it is still queued.
    pub(crate) fn settle_queued(&self, kind: TaskErrorKind, message: &str) -> bool {
        self.settle_if(
            |phase| matches!(phase, Phase::Queued(_)),
            self.unfinished(kind, message),
        )
        .is_some()
    }

    /// Cancels the task wherever it is: a queued one never starts, a running one is stopped.
    /// Says whether its outcome is now that it was cancelled.
    pub(crate) fn cancel(&self) -> bool {
        let kind = TaskErrorKind::Cancelled;
        match self.settle_if(|_| true, self.unfinished(kind, "cancelled")) {
            Some(TaskState::Running) => {
                // Its guest still has to be brought to a halt.
                self.control.stop(StopReason::Cancelled);
                true
            }
            Some(_) => true,
            None => self
                .settled()
                .and_then(|settled| settled.outcome.as_ref().err())
                .is_some_and(|error| error.kind() == kind),
        }
    }

    /// The end of a task that did not come to its own.
    fn unfinished(&self, kind: TaskErrorKind, message: &str) -> Settled {
        Settled {
            outcome: Err(TaskError::new(kind, message)),
            report: TaskReport {
                queued: self.submitted.elapsed(),
                ..TaskReport::default()
            },
        }
    }

    /// Settles the task if it has not ended and `condition` holds. Says what state it was in
    /// before, if it was this call that ended it.
    fn settle_if(
        &self,
        condition: impl FnOnce(&Phase<P>) -> bool,
        settled: Settled,
    ) -> Option<TaskState> {
        let mut state = self.lock();
        let former_state = state.phase.task_state();
        if former_state == TaskState::Done || !condition(&state.phase) {
            return None;
        }
        let former = std::mem::replace(&mut state.phase, Phase::Settled);
        let set = self.settled.set(settled);
        debug_assert!(set.is_ok(), "only the move to settled writes the outcome");
        let waiting = state.waiting;
        let waker = state.waker.take();
        state.is_calling_back = !state.callbacks.is_empty();
        let is_calling_back = state.is_calling_back;
        drop(state);

        // The payload goes first: with it the place in the queue comes back.
        drop(former);
        if waiting > 0 {
            self.done.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        if is_calling_back {
            self.call_back();
        }
        Some(former_state)
    }

    /// Calls the callbacks until none is left.
    fn call_back(&self) {
        loop {
            let mut state = self.lock();
            let Some((_, callback)) = state.callbacks.pop_front() else {
                state.is_calling_back = false;
                return;
            };
            drop(state);
            // Its panic ends it and nothing else. The panic hook has reported it.
            let _panicked = catch_unwind(AssertUnwindSafe(callback));
        }
    }

    /// Blocks until the cell has settled, or until `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Option<&Settled> {
        let has_patience = deadline.is_none_or(|deadline| deadline > Instant::now());
        if has_patience && !self.is_settled() {
            spin::until(|| self.is_settled());
        }
        if let Some(settled) = self.settled() {
            return Some(settled);
        }
        let mut state = self.lock();
        state.waiting += 1;
        while !matches!(state.phase, Phase::Settled) {
            let Some(deadline) = deadline else {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                break;
            };
            (state, _) = self
                .done
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        drop(state);
        self.settled()
    }

    /// The outcome, or a promise to wake `waker` when there is one. A later poll replaces
    /// the waker of an earlier one.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<&Settled> {
        if self.settled().is_none() {
            let mut state = self.lock();
            if !matches!(state.phase, Phase::Settled) {
                match &mut state.waker {
                    Some(known) => known.clone_from(waker),
                    empty => *empty = Some(waker.clone()),
                }
                return None;
            }
        }
        self.settled()
    }

    /// Calls `callback` when the cell settles: at once, on this thread, if it has. Gives the
    /// callback's number, to forget it by.
    pub(crate) fn on_settled(&self, callback: Callback) -> u64 {
        let mut state = self.lock();
        let number = state.next_callback;
        state.next_callback += 1;
        state.callbacks.push_back((number, callback));
        if matches!(state.phase, Phase::Settled) && !state.is_calling_back {
            state.is_calling_back = true;
            drop(state);
            self.call_back();
        }
        number
    }

    /// Drops a callback that was not called yet.
    pub(crate) fn forget_callback(&self, number: u64) {
        let mut state = self.lock();
        let place = state
            .callbacks
            .iter()
            .position(|(known, _)| *known == number);
        let callback = place.and_then(|place| state.callbacks.remove(place));
        drop(state);
        drop(callback);
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Interrupt;
    use std::sync::Weak;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    struct Nobody;

    impl Interrupt for Nobody {
        fn interrupt(&self) {}
    }

    #[test]
    fn a_callback_that_was_taken_back_is_not_called() {
        let nobody: Weak<Nobody> = Weak::new();
        let cell = Cell::new((), Arc::new(Control::new(nobody, Duration::ZERO)));
        let called = Arc::new(AtomicUsize::new(0));
        let numbers = [1, 10, 100].map(|worth| {
            let called = Arc::clone(&called);
            cell.on_settled(Box::new(move || {
                called.fetch_add(worth, Ordering::SeqCst);
            }))
        });
        cell.forget_callback(numbers[1]);
        assert_eq!(Arc::strong_count(&called), 3, "what it held is gone");
        assert!(cell.cancel());
        assert_eq!(called.load(Ordering::SeqCst), 101);
        cell.forget_callback(numbers[0]);
    }
}
