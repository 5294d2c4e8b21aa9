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
//! looks, or its owner finds "never" and wakes the thread. That it was woken is a flag of the
//! watchdog's own, and not the thread's token for parking, which any code on the thread may use up.
//!
//! It also sees to it that a stop takes effect: one interrupt can miss a guest that is just
//! dealing with an earlier one, so interrupts are repeated until the task has left its slot,
//! less and less often.
//!
//! The thread runs no callbacks: they may block, and it enforces every timeout of the pool.
//! Wakers of async code it calls, as their contract forbids them to block.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::job::Job;
use super::work_item::WorkItem;
use crate::call::{Control, StopReason};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, Weak, lock};

/// How long after a stop the thread looks whether the guest has ended, and interrupts it
/// again if not: far longer than a guest takes that was reached the first time. After each
/// interrupt it waits twice as long.
const REPEAT_AFTER: Duration = Duration::from_millis(1);

/// The longest wait between two interrupts: of a guest that none of them reaches, since it was
/// compiled without epoch checks or is blocked in the host.
const MAX_PAUSE: Duration = Duration::from_millis(128);

/// In `wake_at`: nobody waits for anything.
const NEVER: u64 = u64::MAX;

pub(crate) struct Watchdog {
    /// One for each worker. Written by the worker, read by the watchdog thread and by whoever
    /// terminates the pool.
    slots: Box<[Mutex<Option<Running>>]>,
    /// JobRef tasks with a queue timeout.
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
    /// Whether the thread must look again. Set by whoever wakes it, taken back by the thread
    /// before it looks.
    is_woken: Mutex<bool>,
    woken: Condvar,
}

struct Running {
    control: Arc<Control>,
    deadline: Option<Instant>,
    /// When the guest is interrupted next; none before the first time that the thread found it
    /// running after a forced stop.
    interrupt_at: Option<Instant>,
    /// How long after that it is interrupted again.
    pause: Duration,
}

#[derive(Default)]
struct Expiries {
    heap: BinaryHeap<Reverse<Expiry>>,
    /// At this size the heap is cleared of tasks that have left the queue.
    clear_at: usize,
}

struct Expiry {
    at: Instant,
    task: Weak<Job<WorkItem>>,
}

impl Watchdog {
    pub(crate) fn new(n_workers: usize) -> Self {
        Self {
            slots: (0..n_workers).map(|_| Mutex::new(None)).collect(),
            expiries: Mutex::default(),
            wake_at: AtomicU64::new(NEVER),
            base: Instant::now(),
            terminating: AtomicBool::new(false),
            cut_short: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            is_woken: Mutex::new(false),
            woken: Condvar::new(),
        }
    }

    /// The worker starts a task.
    pub(crate) fn begin(&self, worker: usize, control: &Arc<Control>, deadline: Option<Instant>) {
        *lock(&self.slots[worker]) = Some(Running {
            control: Arc::clone(control),
            deadline,
            interrupt_at: None,
            pause: REPEAT_AFTER,
        });
        // After the slot is filled: whoever terminates sets the flag first and reads the
        // slots then, so one of the two sees the other.
        if self.terminating.load(Ordering::SeqCst) {
            self.cut_short(control);
        }
        if let Some(deadline) = deadline {
            self.wake_for(deadline);
        }
        // A stop that came before the slot was filled has gone by the watchdog.
        if control.stop_reason().is_some() {
            self.see_to_stops();
        }
    }

    /// The worker is done with its task.
    pub(crate) fn end(&self, worker: usize) {
        *lock(&self.slots[worker]) = None;
    }

    /// Settles `task` at the moment `at` if it is still queued then.
    pub(crate) fn expire_at(&self, at: Instant, task: &Arc<Job<WorkItem>>) {
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

    /// What the watchdog thread does until the watchdog is closed. `interrupt` makes all running
    /// guests look at their stop requests; `call_back` has the callbacks of a task called that
    /// has expired. Neither may block.
    pub(crate) fn run(&self, interrupt: impl Fn(), mut call_back: impl FnMut(Arc<Job<WorkItem>>)) {
        while !self.closed.load(Ordering::SeqCst) {
            *lock(&self.is_woken) = false;
            self.wake_at.store(NEVER, Ordering::SeqCst);
            let now = Instant::now();
            let due = [
                self.stop_overdue(now, &interrupt),
                self.expire_overdue(now, &mut call_back),
            ];
            let due = due.into_iter().flatten().min();
            if let Some(due) = due {
                self.wake_at.fetch_min(self.nanos(due), Ordering::SeqCst);
            }
            self.sleep_until(due);
        }
    }

    /// Blocks until somebody wakes the thread or has done so since it looked, or until `due`.
    fn sleep_until(&self, due: Option<Instant>) {
        let mut is_woken = lock(&self.is_woken);
        // Closed before the flag was taken back at the beginning of the last look.
        while !*is_woken && !self.closed.load(Ordering::SeqCst) {
            match sync::wait(&self.woken, is_woken, due) {
                Ok(signalled) => is_woken = signalled,
                Err(_timed_out) => return,
            }
        }
    }

    /// Stops the running tasks whose time is up, forces those whose grace period is over,
    /// and interrupts those again that were forced and still run. Says when to look next.
    fn stop_overdue(&self, now: Instant, interrupt: &impl Fn()) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut is_halting = false;
        for slot in &self.slots {
            let mut slot = lock(slot);
            let Some(running) = slot.as_mut() else {
                continue;
            };
            if running.control.is_forced() {
                let is_due = running.interrupt_at.is_none_or(|moment| moment <= now);
                if is_due {
                    is_halting = true;
                    running.interrupt_at = Some(now + running.pause);
                    running.pause = MAX_PAUSE.min(2 * running.pause);
                }
                next = next.into_iter().chain(running.interrupt_at).min();
                continue;
            }
            let (control, deadline) = (Arc::clone(&running.control), running.deadline);
            drop(slot);
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
        }
        next
    }

    /// Settles the queued tasks whose time is up; says when the next one's is.
    fn expire_overdue(
        &self,
        now: Instant,
        call_back: &mut impl FnMut(Arc<Job<WorkItem>>),
    ) -> Option<Instant> {
        loop {
            let mut expiries = lock(&self.expiries);
            let Reverse(first) = expiries.heap.peek()?;
            if first.at > now {
                return Some(first.at);
            }
            let Reverse(expiry) = expiries.heap.pop()?;
            drop(expiries);
            if let Some(task) = expiry.task.upgrade()
                && task.expire()
            {
                call_back(task);
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
        *lock(&self.is_woken) = true;
        self.woken.notify_one();
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
