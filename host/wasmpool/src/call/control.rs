//! What the host and a running task share: the stop request, and the task's progress and events.
//!
//! Does not know who requests a stop, nor how a guest is halted.

use std::task::Waker;

use super::events::{Listener, Progress, TaskEvent};
use super::limits::Limits;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use crate::sync::{Instant, Mutex, OnceLock, Weak, lock};

/// Why a task must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StopReason {
    Cancelled = 1,
    TimedOut = 2,
    ShutDown = 3,
    /// It has computed for too long.
    ComputeTimedOut = 4,
    /// It waits, and there is no thread to wake it.
    NobodyWakes = 5,
}

/// Reaches running guests.
pub(crate) trait Interrupt: Send + Sync {
    /// Makes all running guests look at what is requested of them.
    fn interrupt(&self);

    /// Has the requested stop watched until it takes effect.
    fn see_to_stops(&self);
}

/// The control block of one call.
///
/// A stop has two steps. First it is requested: the guest can see the request and return early.
/// When the grace period is over (at once if it is zero) the stop is forced: the guest is halted.
pub(crate) struct Control {
    /// The [`StopReason`], 0 while no stop is requested. Written once, by the first thread that
    /// stops the task; read by the guest, by the watchdog, and when the outcome is classified.
    reason: AtomicU8,
    /// When the stop was requested. Written once, right after `reason`.
    requested: OnceLock<Instant>,
    /// Whether the guest must halt. Set once, by the thread that requests the stop or by the
    /// watchdog; read by the guest's epoch callback and by the worker.
    is_forced: AtomicBool,
    /// Whether the call is to leave its worker to others for a while. Set by whoever asks for that,
    /// reset by the guest's epoch callback, which then sets `has_yielded`.
    must_yield: AtomicBool,
    /// Whether the guest has returned to its worker for that reason. Reset by the worker.
    has_yielded: AtomicBool,
    /// Whether the guest waits for other tasks. Written by the host function that waits.
    waits_for_tasks: AtomicBool,
    /// Whether the guest cannot wait for other tasks, since its call cannot leave its worker. Set
    /// by the worker, reset by the host function that waits.
    is_wait_refused: AtomicBool,
    limits: Limits,
    /// When the initializer or the task, whichever runs now, times out. Written before either
    /// starts; read by the watchdog and by the guest.
    deadline: Mutex<Option<Instant>>,
    /// The index of the worker that polled the call last.
    worker: AtomicUsize,
    /// Wakes the call while its guest waits in the host. Written by whoever polls the call, before
    /// it looks at `is_forced`; taken by `force` after it has set `is_forced`: whichever comes
    /// second sees the other.
    waker: Mutex<Option<Waker>>,
    /// The newest report of the guest; read by the caller at any time.
    progress: Mutex<Option<Progress>>,
    listeners: Mutex<Vec<Listener>>,
    /// Whether there may be listeners: set when the first is added, never cleared. Saves a lock
    /// for each of the guest's writes while there is no listener.
    is_heard: AtomicBool,
    interrupt: Weak<dyn Interrupt>,
}

impl Control {
    pub(crate) fn new(interrupt: Weak<dyn Interrupt>, limits: Limits) -> Self {
        Self {
            reason: AtomicU8::new(0),
            requested: OnceLock::new(),
            is_forced: AtomicBool::new(false),
            must_yield: AtomicBool::new(false),
            has_yielded: AtomicBool::new(false),
            waits_for_tasks: AtomicBool::new(false),
            is_wait_refused: AtomicBool::new(false),
            limits,
            deadline: Mutex::new(None),
            worker: AtomicUsize::new(0),
            waker: Mutex::new(None),
            progress: Mutex::new(None),
            listeners: Mutex::default(),
            is_heard: AtomicBool::new(false),
            interrupt,
        }
    }

    /// The limits of the task.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Requests the stop, and forces it if there is no grace period. Only the first reason counts;
    /// returns whether this is it.
    pub(crate) fn stop(&self, reason: StopReason) -> bool {
        let first =
            self.reason
                .compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_err() {
            return false;
        }
        self.requested.get_or_init(Instant::now);
        if self.limits.stop_grace.is_zero() {
            self.force();
        } else {
            // The watchdog sees the request, and forces the stop when the grace period is over.
            self.interrupt();
        }
        true
    }

    /// Halts the guest.
    pub(crate) fn force(&self) {
        self.is_forced.store(true, Ordering::SeqCst);
        // A computing guest sees the new epoch; one that waits in the host has left a waker. Both
        // then read the flag, which is already set.
        self.interrupt();
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn interrupt(&self) {
        if let Some(interrupt) = self.interrupt.upgrade() {
            interrupt.interrupt();
            interrupt.see_to_stops();
        }
    }

    /// Asks the call to leave its worker to others for a while. One interrupt can miss the guest:
    /// the watchdog repeats it while [`must_yield`](Self::must_yield) is true.
    pub(crate) fn ask_to_yield(&self) {
        self.must_yield.store(true, Ordering::SeqCst);
        if let Some(interrupt) = self.interrupt.upgrade() {
            interrupt.interrupt();
        }
    }

    /// Whether the call was asked to yield, and its guest has not seen that yet.
    pub(crate) fn must_yield(&self) -> bool {
        self.must_yield.load(Ordering::SeqCst)
    }

    /// For the epoch callback: whether the guest must return to its worker now. If so, it counts as
    /// having yielded.
    pub(crate) fn begin_to_yield(&self) -> bool {
        // A load first: mostly the epoch has moved for another call.
        let yields = self.must_yield() && self.must_yield.swap(false, Ordering::SeqCst);
        if yields {
            self.has_yielded.store(true, Ordering::SeqCst);
        }
        yields
    }

    /// Whether the guest has returned to its worker for others, and not to wait.
    pub(crate) fn has_yielded(&self) -> bool {
        self.has_yielded.load(Ordering::SeqCst)
    }

    /// The same since this was last called.
    pub(crate) fn take_yielded(&self) -> bool {
        self.has_yielded.swap(false, Ordering::SeqCst)
    }

    /// The guest begins to wait for other tasks, or has waited.
    pub(crate) fn set_waits_for_tasks(&self, waits: bool) {
        self.waits_for_tasks.store(waits, Ordering::SeqCst);
        self.is_wait_refused.store(false, Ordering::SeqCst);
    }

    /// Whether the guest waits for other tasks.
    pub(crate) fn waits_for_tasks(&self) -> bool {
        self.waits_for_tasks.load(Ordering::SeqCst)
    }

    /// Refuses the wait, if the guest waits for other tasks: its call cannot leave its worker, which
    /// those tasks may need. Says whether it waits; then the call is to be polled again.
    pub(crate) fn refuse_wait(&self) -> bool {
        let waits = self.waits_for_tasks();
        if waits {
            self.is_wait_refused.store(true, Ordering::SeqCst);
        }
        waits
    }

    /// Whether the wait for other tasks was refused since it began.
    pub(crate) fn is_wait_refused(&self) -> bool {
        self.is_wait_refused.load(Ordering::SeqCst)
    }

    /// Whether the guest must halt now.
    pub(crate) fn is_forced(&self) -> bool {
        self.is_forced.load(Ordering::SeqCst)
    }

    /// When a requested stop is to be forced. `None` while no stop is requested, or if the moment
    /// is too far away for an `Instant`.
    pub(crate) fn force_at(&self) -> Option<Instant> {
        let requested = self.requested.get()?;
        requested.checked_add(self.limits.stop_grace)
    }

    /// Why the task must stop; `None` while no stop is requested.
    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(StopReason::Cancelled),
            2 => Some(StopReason::TimedOut),
            3 => Some(StopReason::ShutDown),
            4 => Some(StopReason::ComputeTimedOut),
            _ => Some(StopReason::NobodyWakes),
        }
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        *lock(&self.deadline) = deadline;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        *lock(&self.deadline)
    }

    pub(crate) fn set_worker(&self, worker: usize) {
        self.worker.store(worker, Ordering::Relaxed);
    }

    pub(crate) fn worker(&self) -> usize {
        self.worker.load(Ordering::Relaxed)
    }

    /// Leaves a waker for [`force`](Self::force). To be called before
    /// [`is_forced`](Self::is_forced).
    pub(crate) fn wake_on_force(&self, waker: &Waker) {
        let mut slot = lock(&self.waker);
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    pub(crate) fn report_progress(&self, progress: Progress) {
        *lock(&self.progress) = Some(progress);
        if self.is_heard() {
            self.tell(|| TaskEvent::Progress(progress));
        }
    }

    /// Whether there may be listeners to [`tell`](Self::tell).
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Relaxed)
    }

    /// Sends an event to all listeners. Does not block.
    pub(crate) fn tell(&self, event: impl Fn() -> TaskEvent) {
        lock(&self.listeners).retain(|listener| listener.tell(&event));
    }

    pub(crate) fn add_listener(&self, listener: Listener) {
        lock(&self.listeners).push(listener);
        self.is_heard.store(true, Ordering::Relaxed);
    }

    /// Disconnects the listeners: the task has ended.
    pub(crate) fn dismiss_listeners(&self) {
        if self.is_heard() {
            lock(&self.listeners).clear();
        }
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        *lock(&self.progress)
    }
}
