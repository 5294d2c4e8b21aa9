//! Watches over time: which tasks run, when their time is up, and which queued ones expire.
//!
//! One thread for a pool. It sleeps until the earliest moment that it knows of and for ever
//! while there is none, so an idle pool wakes nobody; a worker that starts a task writes the
//! task's deadline into its own slot and wakes the thread only if that deadline is earlier
//! than the moment it sleeps for. With one timeout for all tasks deadlines come in order,
//! and hardly any task costs a wake-up.
//!
//! How no deadline is missed: before it looks at the slots the thread writes "never" into
//! `wake_at`. Whoever sets a deadline first fills the slot, then lowers `wake_at` to it, and
//! wakes the thread if it was higher. So a deadline is either in its slot when the thread
//! looks, or its owner finds "never" and wakes the thread.
//!
//! It also sees to it that a stop takes effect: one interrupt can miss a guest that is just
//! dealing with an earlier one, so interrupts are repeated until the task has left its slot.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::cell::Cell;
use crate::control::{Control, StopReason};
use crate::job::Job;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Instant, Mutex, OnceLock, Weak, lock, thread};

/// How long after a stop the thread looks whether the guest has ended, and interrupts it
/// again if not: far longer than a guest takes that was reached the first time.
const REPEAT_AFTER: Duration = Duration::from_millis(1);

/// In `wake_at`: nobody waits for anything.
const NEVER: u64 = u64::MAX;

pub(crate) struct Watch {
    /// One for each worker. Written by the worker, read by the watch thread and by whoever
    /// terminates the pool.
    slots: Box<[Mutex<Option<Running>>]>,
    /// Queued tasks with a queue timeout.
    expiries: Mutex<Expiries>,
    /// The moment that the thread sleeps for, in nanoseconds since `base`.
    wake_at: AtomicU64,
    base: Instant,
    /// Set once when the pool is terminated: from then on a task that starts is stopped.
    terminating: AtomicBool,
    /// How many tasks were stopped because of that. Raised by who stops one, right after.
    cut_short: AtomicUsize,
    /// Set once when the workers are gone: ends the thread.
    closed: AtomicBool,
    thread: OnceLock<thread::Thread>,
}

struct Running {
    control: Arc<Control>,
    deadline: Option<Instant>,
}

#[derive(Default)]
struct Expiries {
    heap: BinaryHeap<Reverse<Expiry>>,
    /// At this size the heap is cleared of tasks that have left the queue.
    clear_at: usize,
}

struct Expiry {
    at: Instant,
    task: Weak<Cell<Job>>,
}

impl Watch {
    pub(crate) fn new(n_workers: usize) -> Self {
        Self {
            slots: (0..n_workers).map(|_| Mutex::new(None)).collect(),
            expiries: Mutex::default(),
            wake_at: AtomicU64::new(NEVER),
            base: Instant::now(),
            terminating: AtomicBool::new(false),
            cut_short: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    /// The worker starts a task.
    pub(crate) fn begin(&self, worker: usize, control: &Arc<Control>, deadline: Option<Instant>) {
        *lock(&self.slots[worker]) = Some(Running {
            control: Arc::clone(control),
            deadline,
        });
        // After the slot is filled: whoever terminates sets the flag first and reads the
        // slots then, so one of the two sees the other.
        if self.terminating.load(Ordering::SeqCst) {
            self.cut_short(control);
        }
        if let Some(deadline) = deadline {
            self.wake_for(deadline);
        }
        // A stop that came before the slot was filled has gone by the watch.
        if control.stop_reason().is_some() {
            self.see_to_stops();
        }
    }

    /// The worker is done with its task.
    pub(crate) fn end(&self, worker: usize) {
        *lock(&self.slots[worker]) = None;
    }

    /// Settles `task` at the moment `at` if it is still queued then.
    pub(crate) fn expire_at(&self, at: Instant, task: &Arc<Cell<Job>>) {
        let mut expiries = lock(&self.expiries);
        if expiries.heap.len() >= expiries.clear_at {
            expiries.heap.retain(|Reverse(expiry)| expiry.is_live());
            expiries.clear_at = 2 * expiries.heap.len() + 64;
        }
        let task = Arc::downgrade(task);
        expiries.heap.push(Reverse(Expiry { at, task }));
        drop(expiries);
        self.wake_for(at);
    }

    /// Stops all running tasks, and those that start from now on.
    pub(crate) fn terminate(&self) {
        self.terminating.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            let running = lock(slot);
            let control = running.as_ref().map(|running| Arc::clone(&running.control));
            drop(running);
            if let Some(control) = control {
                self.cut_short(&control);
            }
        }
    }

    fn cut_short(&self, control: &Control) {
        if control.stop(StopReason::ShutDown) {
            self.cut_short.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How many tasks a termination has stopped. Final when the workers are gone: a task that
    /// a worker has taken and not yet begun is stopped, and counted, when it begins.
    pub(crate) fn n_cut_short(&self) -> usize {
        self.cut_short.load(Ordering::SeqCst)
    }

    /// Ends the thread. Only when no worker is left: until then a deadline may be set.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Somebody has stopped a task: looks after it until it has ended.
    pub(crate) fn see_to_stops(&self) {
        self.wake_for(Instant::now() + REPEAT_AFTER);
    }

    /// What the watch thread does until the watch is closed. `interrupt` makes all running
    /// guests look at their stop requests.
    pub(crate) fn run(&self, interrupt: impl Fn()) {
        self.thread
            .set(thread::current())
            .expect("one thread runs the watch");
        while !self.closed.load(Ordering::SeqCst) {
            self.wake_at.store(NEVER, Ordering::SeqCst);
            let now = Instant::now();
            let due = [self.stop_overdue(now, &interrupt), self.expire_overdue(now)];
            let due = due.into_iter().flatten().min();
            let Some(due) = due else {
                thread::park();
                continue;
            };
            self.wake_at.fetch_min(self.nanos(due), Ordering::SeqCst);
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Stops the running tasks whose time is up, forces those whose grace period is over,
    /// and interrupts those again that were forced and still run. Says when to look next.
    fn stop_overdue(&self, now: Instant, interrupt: &impl Fn()) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut is_halting = false;
        for slot in &self.slots {
            let slot = lock(slot);
            let Some(Running { control, deadline }) = slot.as_ref() else {
                continue;
            };
            let (control, deadline) = (Arc::clone(control), *deadline);
            drop(slot);
            if control.is_forced() {
                is_halting = true;
                continue;
            }
            let is_stopping = control.stop_reason().is_some();
            let due = if is_stopping {
                // In its grace period. The moment is written right after the reason.
                control.force_at()
            } else {
                deadline
            };
            if due.is_none_or(|due| due > now) {
                next = next.into_iter().chain(due).min();
                continue;
            }
            // Both interrupt by themselves, and have this thread look again. Who stops the
            // task right now, before this does, starts a grace period of its own.
            if is_stopping {
                control.force();
            } else {
                control.stop(StopReason::TimedOut);
            }
        }
        if is_halting {
            interrupt();
            next = next.into_iter().chain([now + REPEAT_AFTER]).min();
        }
        next
    }

    /// Settles the queued tasks whose time is up; says when the next one's is.
    fn expire_overdue(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut expiries = lock(&self.expiries);
            let Reverse(first) = expiries.heap.peek()?;
            if first.at > now {
                return Some(first.at);
            }
            let Reverse(expiry) = expiries.heap.pop()?;
            drop(expiries);
            if let Some(task) = expiry.task.upgrade() {
                task.expire();
            }
        }
    }

    fn wake_for(&self, moment: Instant) {
        let nanos = self.nanos(moment);
        // A look first: mostly the thread wakes early enough, and workers that only look do
        // not take the line away from each other.
        let wakes_late = self.wake_at.load(Ordering::SeqCst) > nanos;
        if wakes_late && self.wake_at.fetch_min(nanos, Ordering::SeqCst) > nanos {
            self.wake();
        }
    }

    fn wake(&self) {
        // Before the thread has come to life there is nobody to wake: it begins with a look.
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn nanos(&self, moment: Instant) -> u64 {
        let since: Duration = moment.saturating_duration_since(self.base);
        u64::try_from(since.as_nanos()).unwrap_or(NEVER - 1)
    }
}

impl Expiry {
    fn is_live(&self) -> bool {
        self.task.upgrade().is_some_and(|task| task.is_queued())
    }
}

// Only the moments are compared: the heap needs an order of them, and no more.
impl PartialEq for Expiry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Expiry {}

impl PartialOrd for Expiry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Expiry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
