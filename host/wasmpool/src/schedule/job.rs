//! The state that a task and its future share, and the rules by which it settles.
//!
//! Generic over the payload: a job keeps it while the task is queued, and knows nothing else of
//! it.
//!
//! A job goes from queued to running to settled, or from queued straight to settled, and
//! settles once: the first outcome wins and every later one is dropped. Between two attempts
//! it goes back from running to queued. All these changes happen under one lock. The outcome
//! itself lies outside of the lock, so that looking at a settled job takes no lock.

use std::collections::VecDeque;
use std::task::Waker;

use super::stats::Counters;
use crate::call::{Control, Limits, Listener, Progress, StopReason, TaskReport, TaskResult};
use crate::error::{TaskError, TaskErrorKind};
use crate::sync::{
    self, Arc, Condvar, Instant, Mutex, MutexGuard, OnceLock, contain_panic, lock, spin,
};

/// How a task ended.
pub(crate) struct Settled {
    pub(crate) outcome: Result<TaskResult, TaskError>,
    pub(crate) report: TaskReport,
}

/// Called once when the job has settled.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

pub(crate) struct Job<P> {
    counters: Arc<Counters>,
    tag: Option<Arc<str>>,
    submitted: Instant,
    /// Written once, by whoever moves `phase` to settled, with the lock of `state` held.
    settled: OnceLock<Settled>,
    state: Mutex<State<P>>,
    /// Signalled when the job settles and a thread waits in `wait`.
    done: Condvar,
}

struct State<P> {
    phase: Phase<P>,
    /// How often the task was started.
    attempts: u32,
    /// The control block of the newest call; `None` before the first.
    control: Option<Arc<Control>>,
    /// Each listens to every call of the task. Emptied when the job settles.
    listeners: Vec<Listener>,
    /// How many threads are blocked in `wait`.
    waiting: usize,
    /// The async task that polled the future last.
    waker: Option<Waker>,
    /// Callbacks of the library's own, each with its number. They never block, and are called
    /// before any code of the caller.
    observers: Vec<(u64, Callback)>,
    next_observer: u64,
    /// Callbacks of the caller, in order of registration.
    callbacks: VecDeque<Callback>,
    /// Whether a thread is calling the callbacks: that thread then also calls the ones that are
    /// added meanwhile, so that the order holds.
    is_calling_back: bool,
}

enum Phase<P> {
    Queued(P),
    Running {
        worker: usize,
        started: Instant,
        is_suspended: bool,
    },
    Settled,
}

impl<P> Phase<P> {
    fn task_state(&self) -> TaskState {
        match self {
            Self::Queued(_) => TaskState::Queued,
            Self::Running {
                is_suspended: false,
                ..
            } => TaskState::Running,
            Self::Running { .. } => TaskState::Suspended,
            Self::Settled => TaskState::Done,
        }
    }
}

/// What a job was before it settled, and who has to be told.
#[must_use = "somebody may wait for it"]
struct Former<P> {
    phase: Phase<P>,
    is_waited_for: bool,
    observers: Vec<(u64, Callback)>,
    waker: Option<Waker>,
    has_callbacks: bool,
}

/// One attempt at a task, which a worker has started.
pub(crate) struct Call<P> {
    pub(crate) payload: P,
    pub(crate) control: Arc<Control>,
    /// Which attempt it is, counted from 1.
    pub(crate) attempt: u32,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for a worker; also between two attempts.
    Queued,
    /// A worker runs it.
    Running,
    /// It has started and holds no worker: it waits in the host (for a time, a connection, a name,
    /// a slow disk), or for a worker to go on.
    Suspended,
    /// It came to an end: with a result, with an error, or cancelled.
    Done,
}

impl<P> Job<P> {
    /// A job that keeps `payload` until the task starts or dies.
    pub(crate) fn new(payload: P, tag: Option<Arc<str>>, counters: Arc<Counters>) -> Self {
        Self {
            counters,
            tag,
            submitted: Instant::now(),
            settled: OnceLock::new(),
            state: Mutex::new(State {
                phase: Phase::Queued(payload),
                attempts: 0,
                control: None,
                listeners: Vec::new(),
                waiting: 0,
                waker: None,
                observers: Vec::new(),
                next_observer: 0,
                callbacks: VecDeque::new(),
                is_calling_back: false,
            }),
            done: Condvar::new(),
        }
    }

    /// The progress that the newest call has reported last.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let state = self.lock();
        state.control.as_ref()?.progress()
    }

    /// Sends the task's events to `listener` from now on, until the task ends.
    pub(crate) fn add_listener(&self, listener: Listener) {
        let mut state = self.lock();
        match (&state.phase, &state.control) {
            (Phase::Settled, _) => return,
            (Phase::Running { .. }, Some(control)) => control.add_listener(listener.clone()),
            _ => {}
        }
        state.listeners.push(listener);
    }

    /// The tag that the submitter gave the task.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The same, to be kept.
    pub(crate) fn shared_tag(&self) -> Option<&Arc<str>> {
        self.tag.as_ref()
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

    /// Calls `look` with the payload if the task is queued.
    pub(crate) fn with_queued<R>(&self, look: impl FnOnce(&mut P) -> R) -> Option<R> {
        match &mut self.lock().phase {
            Phase::Queued(payload) => Some(look(payload)),
            _ => None,
        }
    }

    /// Moves the task from queued to running on `worker`; `None` if it died in the queue.
    /// `control` makes the control block of the new call.
    pub(crate) fn start(
        &self,
        worker: usize,
        started: Instant,
        control: impl FnOnce(&P) -> Control,
    ) -> Option<Call<P>> {
        let mut state = self.lock();
        let running = Phase::Running {
            worker,
            started,
            is_suspended: false,
        };
        match std::mem::replace(&mut state.phase, running) {
            Phase::Queued(payload) => {
                self.counters.start();
                state.attempts += 1;
                let control = Arc::new(control(&payload));
                for listener in &state.listeners {
                    control.add_listener(listener.clone());
                }
                state.control = Some(Arc::clone(&control));
                Some(Call {
                    payload,
                    control,
                    attempt: state.attempts,
                })
            }
            other => {
                state.phase = other;
                None
            }
        }
    }

    /// Moves the task from running back to queued, for another attempt, unless the task has ended
    /// meanwhile. Says whether it did.
    pub(crate) fn put_back(&self, payload: P) -> bool {
        let mut state = self.lock();
        let is_running = matches!(state.phase, Phase::Running { .. });
        if is_running {
            self.counters.put_back();
            state.phase = Phase::Queued(payload);
            // Nothing dismisses the listeners later, and a warm instance may keep the control
            // block.
            if let Some(control) = &state.control {
                control.dismiss_listeners();
            }
        }
        is_running
    }

    /// The task's call leaves its worker, to wait.
    pub(crate) fn suspend(&self) {
        if let Phase::Running { is_suspended, .. } = &mut self.lock().phase {
            *is_suspended = true;
            self.counters.suspend();
        }
    }

    /// The task's call goes on, on this worker.
    pub(crate) fn resume(&self, on: usize) {
        if let Phase::Running {
            worker,
            is_suspended,
            ..
        } = &mut self.lock().phase
        {
            *worker = on;
            *is_suspended = false;
            self.counters.resume();
        }
    }

    /// Ends the task if it runs: its call was stopped for this reason and has not ended. Calls no
    /// callbacks: says whether there are any, to be [called](Self::call_back) by a thread that may
    /// block.
    pub(crate) fn give_up(&self, reason: StopReason, limits: &Limits, why: &str) -> bool {
        let stopped = TaskError::stopped(reason, limits);
        let message = format!("{}{why}", stopped.message());
        let former = self.settle_with(|state| {
            let is_running = matches!(state.phase, Phase::Running { .. });
            is_running.then(|| self.unfinished(state, stopped.kind(), &message))
        });
        former.is_some_and(|former| self.wake_waiters(former))
    }

    /// Ends the task with `settled`, unless it has ended. Calls no callbacks: says whether there are
    /// any, to be [called](Self::call_back) next.
    #[must_use = "callbacks wait"]
    pub(crate) fn settle(&self, settled: Settled) -> bool {
        let former = self.settle_with(|_| Some(settled));
        former.is_some_and(|former| self.wake_waiters(former))
    }

    /// Ends the task as timed out in the queue, if it was never started. Calls no callbacks: says
    /// whether there are any, to be [called](Self::call_back) by a thread that may block.
    pub(crate) fn expire(&self) -> bool {
        let waited = self.submitted.elapsed();
        let message = format!("timed out in the queue: it waited {waited:.3?} for a worker");
        let former = self.settle_with(|state| {
            let has_waited = matches!(state.phase, Phase::Queued(_)) && state.attempts == 0;
            has_waited.then(|| self.unfinished(state, TaskErrorKind::QueueTimedOut, &message))
        });
        former.is_some_and(|former| self.wake_waiters(former))
    }

    /// Ends the task with this error if it is queued. Calls no callbacks: says whether there are any,
    /// to be [called](Self::call_back) by a thread that may block.
    #[must_use = "callbacks wait"]
    pub(crate) fn fail_queued(&self, error: TaskError) -> bool {
        let former = self.settle_with(|state| {
            let is_queued = matches!(state.phase, Phase::Queued(_));
            is_queued.then(|| self.ended_early(state, error))
        });
        former.is_some_and(|former| self.wake_waiters(former))
    }

    /// Ends the task as cancelled by a shutdown if it is queued. Says whether it was queued and had
    /// never been started.
    pub(crate) fn cancel_queued(&self) -> bool {
        let mut has_run = false;
        let former = self.settle_with(|state| {
            has_run = state.attempts > 0;
            let message = if has_run {
                "cancelled: the pool was shut down before it was tried again"
            } else {
                "cancelled: the pool was shut down before it started"
            };
            let is_queued = matches!(state.phase, Phase::Queued(_));
            is_queued.then(|| self.unfinished(state, TaskErrorKind::Cancelled, message))
        });
        let is_settled = former.is_some();
        former.into_iter().for_each(|former| self.announce(former));
        is_settled && !has_run
    }

    /// Cancels the task wherever it is: a queued one never starts, a running one is stopped.
    /// Says whether its outcome is [`Cancelled`](TaskErrorKind::Cancelled) now.
    pub(crate) fn cancel(&self, message: &str) -> bool {
        let kind = TaskErrorKind::Cancelled;
        let mut control = None;
        let former = self.settle_with(|state| {
            control.clone_from(&state.control);
            Some(self.unfinished(state, kind, message))
        });
        if let Some(former) = former {
            if let (Phase::Running { .. }, Some(control)) = (&former.phase, control) {
                // Before any callback is called: a callback that waits for a place in the
                // queue may need the worker of this guest.
                control.stop(StopReason::Cancelled);
            }
            self.announce(former);
            return true;
        }
        let error = self
            .settled()
            .and_then(|settled| settled.outcome.as_ref().err());
        error.is_some_and(|error| error.kind() == kind)
    }

    /// The outcome and the report of a task that is ended before its call has.
    fn unfinished(&self, state: &State<P>, kind: TaskErrorKind, message: &str) -> Settled {
        self.ended_early(state, TaskError::new(kind, message))
    }

    fn ended_early(&self, state: &State<P>, error: TaskError) -> Settled {
        let attempts = state.attempts;
        let report = match state.phase {
            Phase::Running {
                worker, started, ..
            } => TaskReport {
                worker: Some(worker),
                queued: started.duration_since(self.submitted),
                ran: started.elapsed(),
                attempts,
                ..TaskReport::default()
            },
            Phase::Queued(_) | Phase::Settled => TaskReport {
                queued: self.submitted.elapsed(),
                attempts,
                ..TaskReport::default()
            },
        };
        Settled {
            outcome: Err(error),
            report,
        }
    }

    /// Settles the task if it has not ended and `settled` has an outcome for its current state.
    /// A caller that gets the former state must announce the end.
    fn settle_with(&self, settled: impl FnOnce(&State<P>) -> Option<Settled>) -> Option<Former<P>> {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Settled) {
            return None;
        }
        let settled = settled(&state)?;
        let error = settled.outcome.as_ref().err().map(TaskError::kind);
        self.counters.end(state.phase.task_state(), error);
        let set = self.settled.set(settled);
        debug_assert!(set.is_ok(), "only the move to settled writes the outcome");
        state.is_calling_back = !state.callbacks.is_empty();
        if !state.listeners.is_empty() {
            state.listeners.clear();
            if let Some(control) = &state.control {
                control.dismiss_listeners();
            }
        }
        Some(Former {
            phase: std::mem::replace(&mut state.phase, Phase::Settled),
            is_waited_for: state.waiting > 0,
            observers: std::mem::take(&mut state.observers),
            waker: state.waker.take(),
            has_callbacks: state.is_calling_back,
        })
    }

    /// Tells everybody that the task has ended.
    fn announce(&self, former: Former<P>) {
        if self.wake_waiters(former) {
            self.call_back();
        }
    }

    /// Wakes all who wait for the end of the task, and says whether callbacks are still to be
    /// called. Callbacks come last, since they may block.
    fn wake_waiters(&self, former: Former<P>) -> bool {
        // The payload is dropped first: it holds the place in the queue.
        drop(former.phase);
        if former.is_waited_for {
            self.done.notify_all();
        }
        for (_, observer) in former.observers {
            observer();
        }
        if let Some(waker) = former.waker {
            contain_panic(|| waker.wake());
        }
        former.has_callbacks
    }

    /// Calls the callbacks until none is left. Blocks for as long as they do.
    pub(crate) fn call_back(&self) {
        loop {
            let mut state = self.lock();
            let Some(callback) = state.callbacks.pop_front() else {
                state.is_calling_back = false;
                return;
            };
            drop(state);
            contain_panic(callback);
        }
    }

    /// Blocks until the job has settled, or until `deadline`.
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
            match sync::wait(&self.done, state, deadline) {
                Ok(signalled) => state = signalled,
                Err(timed_out) => {
                    state = timed_out;
                    break;
                }
            }
        }
        state.waiting -= 1;
        drop(state);
        self.settled()
    }

    /// The outcome. If there is none yet, `waker` is woken when there is. A later poll replaces
    /// the waker of an earlier one.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<&Settled> {
        if !self.is_settled() {
            // Somebody else's code, which runs without the lock.
            let waker = waker.clone();
            let mut state = self.lock();
            if !matches!(state.phase, Phase::Settled) {
                let former = state.waker.replace(waker);
                // Dropping a waker runs somebody else's code, too.
                drop(state);
                drop(former);
                return None;
            }
        }
        self.settled()
    }

    /// Calls `callback` when the job settles. If it has settled: at once on this thread, or on the
    /// thread that is calling earlier callbacks.
    pub(crate) fn on_settled(&self, callback: Callback) {
        let mut state = self.lock();
        state.callbacks.push_back(callback);
        if matches!(state.phase, Phase::Settled) && !state.is_calling_back {
            state.is_calling_back = true;
            drop(state);
            self.call_back();
        }
    }

    /// Calls `observer` when the job settles, before all callbacks; at once, on this thread, if the
    /// job has settled. `observer` must not block or panic. Returns its number, for
    /// [`forget_observer`](Self::forget_observer).
    pub(crate) fn observe(&self, observer: Callback) -> u64 {
        let mut state = self.lock();
        let number = state.next_observer;
        if matches!(state.phase, Phase::Settled) {
            drop(state);
            observer();
        } else {
            state.next_observer += 1;
            state.observers.push((number, observer));
        }
        number
    }

    /// Drops an observer that was not called yet.
    pub(crate) fn forget_observer(&self, number: u64) {
        let mut state = self.lock();
        let place = state
            .observers
            .iter()
            .position(|(known, _)| *known == number);
        let observer = place.map(|place| state.observers.remove(place));
        drop(state);
        drop(observer);
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn an_observer_that_was_forgotten_is_not_told() {
        let job = Job::new((), None, Arc::default());
        let told = Arc::new(AtomicUsize::new(0));
        let numbers = [1, 10, 100].map(|worth| {
            let told = Arc::clone(&told);
            job.observe(Box::new(move || {
                told.fetch_add(worth, Ordering::SeqCst);
            }))
        });
        job.forget_observer(numbers[1]);
        assert_eq!(Arc::strong_count(&told), 3, "what it held is gone");
        assert!(job.cancel("cancelled"));
        assert_eq!(told.load(Ordering::SeqCst), 101);
        job.forget_observer(numbers[0]);
    }
}
