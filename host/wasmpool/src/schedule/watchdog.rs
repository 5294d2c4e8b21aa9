//! Enforces the timeouts of calls that run or wait, and of queued tasks.
//!
//! There is one thread for a pool. It sleeps until the earliest moment that it knows of, and for
//! ever while there is none, so an idle pool wakes nobody. A worker that starts a call writes the
//! deadline down, and wakes the thread only if the thread sleeps for a later moment. With one
//! timeout for all tasks deadlines come in order, and hardly any task costs a wake-up.
//!
//! How no deadline is missed: before the thread looks at the calls, it writes "never" into
//! `wake_at`. Whoever sets a deadline first writes it down, then lowers `wake_at` to it, and
//! wakes the thread if `wake_at` was higher. So a deadline is either there when the thread
//! looks, or its owner finds "never" and wakes the thread. A wake-up sets a flag of the
//! watchdog's own, not the thread's token for parking, which any code on the thread may use up.
//!
//! The watchdog also sees to it that a stop takes effect:
//!
//! - One interrupt can miss a guest that is just dealing with an earlier one, so interrupts are
//!   repeated until the call has left its worker, less and less often.
//! - A call that must halt and still holds its worker after [`STUCK_AFTER`] is blocked in a host
//!   function, or is a guest without epoch checks. The task is settled, and the thread is given
//!   up: another one takes its place, and the old one ends when the call comes back.
//! - The task of a suspended call is settled as well if no worker was free by then to end the call.
//!
//! A session is looked at when it may have been idle for too long. It has one alarm at most, however
//! often it is called.
//!
//! And the watchdog asks the queue at the right moment which call must make room for others
//! ([`Queue::preempt`](super::queue::Queue::preempt)).
//!
//! The thread runs no callbacks: they may block, and every timeout of the pool depends on the
//! thread. It does call wakers of async code, whose contract forbids them to block.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use super::job::Job;
use super::queue::Preempt;
use super::session::{Idle, Kept, SessionLine, TurnId};
use super::work_item::{JobRef, WorkItem};
use crate::call::{Control, StopReason};
use crate::error::TaskError;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, Weak, lock};

/// How long after a stop the thread looks whether the guest has ended, and interrupts it
/// again if not: far longer than a guest takes to end that the first interrupt has reached. After
/// each interrupt the thread waits twice as long.
const REPEAT_AFTER: Duration = Duration::from_millis(1);

/// The longest wait between two interrupts.
const MAX_PAUSE: Duration = Duration::from_millis(16);

/// How long a call that must halt may hold its worker before the thread is given up.
const STUCK_AFTER: Duration = Duration::from_millis(45);

/// In `wake_at` and `preempt_at`: there is no such moment.
const NEVER: u64 = u64::MAX;

pub(crate) struct Watchdog {
    /// One for each worker. Written by the worker, read by the watchdog thread and by whoever
    /// terminates the pool.
    slots: Box<[Mutex<Slot>]>,
    suspended: Mutex<Suspended>,
    /// Queued tasks with a queue timeout.
    expiries: Mutex<Alarms<Weak<Job<WorkItem>>>>,
    /// Sessions that may be idle.
    idle_sessions: Mutex<Alarms<Weak<SessionLine>>>,
    /// Settled tasks whose callbacks wait. Filled by whoever settles a task and must not block.
    called_back_later: Mutex<Vec<JobRef>>,
    /// When to ask the queue which call must make room, in nanoseconds since `base`. Lowered by the
    /// queue, reset by the thread before it asks.
    preempt_at: AtomicU64,
    /// The moment that the thread sleeps for, in nanoseconds since `base`.
    wake_at: AtomicU64,
    base: Instant,
    /// Set when somebody has stopped a call, until the thread looks for such calls.
    has_stopped: AtomicBool,
    /// Set once when the pool is terminated: from then on a task that starts is stopped.
    terminating: AtomicBool,
    /// How many tasks the termination has stopped. Raised by whoever stops one, right after that.
    cut_short: AtomicUsize,
    /// Threads that were given up and have not come back. Raised by the watchdog, lowered by each
    /// thread that comes back.
    n_stuck: AtomicUsize,
    /// Set once when the workers are gone: ends the thread.
    closed: AtomicBool,
    /// Whether the thread must look again. Set by whoever wakes it, reset by the thread before it
    /// looks.
    is_woken: Mutex<bool>,
    woken: Condvar,
}

/// One thread of a worker: the worker's index, and how many earlier threads of that worker were
/// given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerId {
    pub(crate) index: usize,
    pub(crate) generation: u64,
}

/// A call that the watchdog looks after.
#[derive(Clone)]
struct Watched {
    job: JobRef,
    control: Arc<Control>,
    /// If it is a call of a session.
    turn: Option<TurnId>,
}

/// What the watchdog's thread leaves to others. None of it may block.
pub(crate) trait Guard {
    /// Makes all running guests look at their stop requests.
    fn interrupt(&mut self);

    /// Has the callbacks of a settled task called.
    fn call_back(&mut self, task: JobRef);

    /// Drops the instance of a session.
    fn drop_kept(&mut self, kept: Kept);

    /// Has a worker make room for others, if one must. Says when to ask again.
    fn preempt(&mut self, now: Instant) -> Option<Instant>;

    /// Starts a thread in the place of one that was given up. Says whether there is one now.
    fn replace(&mut self, worker: WorkerId) -> bool;
}

/// What the watchdog knows of a worker.
struct Slot {
    generation: u64,
    state: SlotState,
    /// Whether the call that is about to begin must yield.
    must_yield: bool,
}

enum SlotState {
    Idle,
    Running(Running),
    /// The worker's thread was given up, and no other could be started. The next try is at this
    /// moment.
    Vacant(Instant),
}

struct Running {
    watched: Watched,
    /// When the compute timeout is over.
    compute_deadline: Option<Instant>,
    /// When the watchdog first found the call running after a forced stop.
    found_at: Option<Instant>,
    /// When the guest is interrupted next.
    interrupt_at: Option<Instant>,
    /// How long after that it is interrupted again.
    pause: Duration,
}

/// The calls that hold no worker, by their numbers.
#[derive(Default)]
struct Suspended {
    calls: HashMap<u64, SuspendedCall>,
    /// When to look at a call. The call may have gone on since.
    alarms: Alarms<u64>,
    next_number: u64,
}

struct SuspendedCall {
    watched: Watched,
    /// Whether there is an alarm for the end of the call's grace period.
    has_grace_alarm: bool,
}

/// Moments, each with what it is for.
struct Alarms<T> {
    heap: BinaryHeap<Reverse<Alarm<T>>>,
    /// At this size, alarms that are no longer wanted are removed.
    clear_at: usize,
}

struct Alarm<T> {
    at: Instant,
    what: T,
}

impl Watched {
    fn new(job: &JobRef, control: &Arc<Control>, turn: Option<TurnId>) -> Self {
        Self {
            job: Arc::clone(job),
            control: Arc::clone(control),
            turn,
        }
    }
}

impl Watchdog {
    pub(crate) fn new(n_workers: usize) -> Self {
        let idle = |_| {
            Mutex::new(Slot {
                generation: 0,
                state: SlotState::Idle,
                must_yield: false,
            })
        };
        Self {
            slots: (0..n_workers).map(idle).collect(),
            suspended: Mutex::default(),
            expiries: Mutex::default(),
            idle_sessions: Mutex::default(),
            called_back_later: Mutex::default(),
            preempt_at: AtomicU64::new(NEVER),
            wake_at: AtomicU64::new(NEVER),
            base: Instant::now(),
            has_stopped: AtomicBool::new(false),
            terminating: AtomicBool::new(false),
            cut_short: AtomicUsize::new(0),
            n_stuck: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            is_woken: Mutex::new(false),
            woken: Condvar::new(),
        }
    }

    /// A call begins on the worker, or goes on there. It may compute until `compute_deadline`.
    pub(crate) fn begin(
        &self,
        worker: WorkerId,
        job: &JobRef,
        control: &Arc<Control>,
        turn: Option<TurnId>,
        compute_deadline: Option<Instant>,
    ) {
        let watched = Watched::new(job, control, turn);
        let mut slot = lock(&self.slots[worker.index]);
        debug_assert_eq!(slot.generation, worker.generation, "it has ended");
        slot.state = SlotState::Running(Running {
            watched,
            compute_deadline,
            found_at: None,
            interrupt_at: None,
            pause: REPEAT_AFTER,
        });
        let must_yield = std::mem::take(&mut slot.must_yield);
        drop(slot);
        if must_yield {
            control.ask_to_yield();
            self.wake_for(Instant::now() + REPEAT_AFTER);
        }
        // After the slot is filled: whoever terminates sets the flag first and reads the
        // slots then, so one of the two sees the other.
        self.greet(control);
        let deadlines = [control.deadline(), compute_deadline];
        if let Some(deadline) = deadlines.into_iter().flatten().min() {
            self.wake_for(deadline);
        }
    }

    /// Sets until when the call on the worker may compute; `None` while it waits.
    pub(crate) fn set_compute_deadline(&self, worker: WorkerId, deadline: Option<Instant>) {
        let mut slot = lock(&self.slots[worker.index]);
        if slot.generation == worker.generation
            && let SlotState::Running(running) = &mut slot.state
        {
            running.compute_deadline = deadline;
        }
        drop(slot);
        if let Some(deadline) = deadline {
            self.wake_for(deadline);
        }
    }

    /// The deadline of a call that a worker polls has changed.
    pub(crate) fn set_deadline(&self, control: &Control, deadline: Option<Instant>) {
        control.set_deadline(deadline);
        if let Some(deadline) = deadline {
            self.wake_for(deadline);
        }
    }

    /// The worker is done with its call, for now or for good. Says whether it may go on: if not,
    /// its thread was given up meanwhile, and must end.
    #[must_use = "a thread that was given up must end"]
    pub(crate) fn end(&self, worker: WorkerId) -> bool {
        let mut slot = lock(&self.slots[worker.index]);
        let is_ours = slot.generation == worker.generation;
        if is_ours {
            let state = std::mem::replace(&mut slot.state, SlotState::Idle);
            drop(slot);
            drop(state);
        }
        is_ours
    }

    /// Whether this thread is the worker, and was not given up.
    pub(crate) fn is_current(&self, worker: WorkerId) -> bool {
        lock(&self.slots[worker.index]).generation == worker.generation
    }

    /// A thread that was given up has come back, and ends.
    pub(crate) fn came_back(&self) {
        self.n_stuck.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many threads were given up and have not come back.
    pub(crate) fn n_stuck(&self) -> usize {
        self.n_stuck.load(Ordering::SeqCst)
    }

    /// A call is about to leave its worker. Returns the call's number. To be used while the worker
    /// still has the call, so that whoever terminates finds it in one place or in both.
    pub(crate) fn suspend(
        &self,
        job: &JobRef,
        control: &Arc<Control>,
        turn: Option<TurnId>,
    ) -> u64 {
        let mut suspended = lock(&self.suspended);
        let Suspended {
            calls,
            alarms,
            next_number,
        } = &mut *suspended;
        let number = *next_number;
        *next_number += 1;
        let deadline = control.deadline();
        if let Some(at) = deadline {
            alarms.push(at, number, |number| calls.contains_key(number));
        }
        let call = SuspendedCall {
            watched: Watched::new(job, control, turn),
            has_grace_alarm: false,
        };
        calls.insert(number, call);
        drop(suspended);
        self.greet(control);
        if let Some(deadline) = deadline {
            self.wake_for(deadline);
        }
        number
    }

    /// A suspended call has a worker again.
    pub(crate) fn resume(&self, number: u64) {
        let call = lock(&self.suspended).calls.remove(&number);
        drop(call);
    }

    /// To be used whenever a call was written down: sees to a stop that came before.
    fn greet(&self, control: &Control) {
        if self.terminating.load(Ordering::SeqCst) {
            self.cut_short(control);
        }
        // The watchdog did not see a stop that came before the call was written down.
        if control.stop_reason().is_some() {
            self.see_to_stops();
        }
    }

    /// Settles `task` at the moment `at` if it is still queued then.
    pub(crate) fn expire_at(&self, at: Instant, task: &JobRef) {
        let is_queued = |task: &Weak<Job<WorkItem>>| {
            let task = task.upgrade();
            task.is_some_and(|task| task.is_queued())
        };
        let expiring = Arc::downgrade(task);
        lock(&self.expiries).push(at, expiring, is_queued);
        self.wake_for(at);
    }

    /// Ends the session at the moment `at` if it has been idle for too long by then.
    pub(crate) fn look_at_session(&self, at: Instant, session: &Arc<SessionLine>) {
        let session = Arc::downgrade(session);
        lock(&self.idle_sessions).push(at, session, |session| session.strong_count() > 0);
        self.wake_for(at);
    }

    /// Has the callbacks of a settled task called, by a thread that may block.
    pub(crate) fn call_back(&self, task: JobRef) {
        if self.closed.load(Ordering::SeqCst) {
            return task.call_back();
        }
        lock(&self.called_back_later).push(task);
        self.wake();
    }

    /// Stops all calls, and those that start from now on.
    pub(crate) fn terminate(&self) {
        self.terminating.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            let slot = lock(slot);
            let control = match &slot.state {
                SlotState::Running(running) => Some(Arc::clone(&running.watched.control)),
                SlotState::Idle | SlotState::Vacant(_) => None,
            };
            drop(slot);
            if let Some(control) = control {
                self.cut_short(&control);
            }
        }
        let suspended = lock(&self.suspended);
        let controls = suspended.calls.values();
        let controls = controls.map(|call| Arc::clone(&call.watched.control));
        let controls = controls.collect::<Vec<_>>();
        drop(suspended);
        for control in controls {
            self.cut_short(&control);
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

    /// Somebody has stopped a call: the watchdog looks after the call until it has ended.
    pub(crate) fn see_to_stops(&self) {
        // A swap, not a store: several threads may do this for one stop, and the watchdog reads what
        // the last of them has written. With a store it would see what that thread has seen, which
        // may be the reason of the stop without its moment.
        self.has_stopped.swap(true, Ordering::SeqCst);
        self.wake_for(Instant::now() + REPEAT_AFTER);
    }

    /// What the watchdog thread does until the watchdog is closed.
    pub(crate) fn run(&self, guard: &mut impl Guard) {
        while !self.closed.load(Ordering::SeqCst) {
            *lock(&self.is_woken) = false;
            self.wake_at.store(NEVER, Ordering::SeqCst);
            // Before it looks at any call, so that it sees what those who stopped one have written.
            let has_stopped = self.has_stopped.swap(false, Ordering::SeqCst);
            let now = Instant::now();
            let due = [
                self.preempt_if_due(now, guard),
                self.look_at_workers(now, guard),
                self.look_at_suspended(now, has_stopped, guard),
                self.expire_overdue(now, guard),
                self.look_at_sessions(now, guard),
            ];
            self.call_back_all(guard);
            let due = due.into_iter().flatten().min();
            if let Some(due) = due {
                self.wake_at.fetch_min(self.nanos(due), Ordering::SeqCst);
            }
            self.sleep_until(due);
        }
        self.call_back_all(guard);
    }

    /// Blocks until somebody wakes the thread or has done so since it looked, or until `due`.
    fn sleep_until(&self, due: Option<Instant>) {
        let mut is_woken = lock(&self.is_woken);
        // It may have been closed just before `run` reset the flag.
        while !*is_woken && !self.closed.load(Ordering::SeqCst) {
            match sync::wait(&self.woken, is_woken, due) {
                Ok(signalled) => is_woken = signalled,
                Err(_timed_out) => return,
            }
        }
    }

    /// Stops the running calls whose time is up, forces those whose grace period is over,
    /// interrupts those again that must halt or yield and still run, and gives up threads that do
    /// not react. Says when to look next.
    fn look_at_workers(&self, now: Instant, guard: &mut impl Guard) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut is_halting = false;
        for (index, place) in self.slots.iter().enumerate() {
            let mut slot = lock(place);
            let generation = slot.generation;
            let running = match &mut slot.state {
                SlotState::Running(running) => running,
                SlotState::Idle => continue,
                SlotState::Vacant(again_at) => {
                    let again_at = *again_at;
                    drop(slot);
                    let due = self.fill(WorkerId { index, generation }, again_at, now, guard);
                    next = next.into_iter().chain(due).min();
                    continue;
                }
            };
            if running.watched.control.is_forced() {
                let found_at = *running.found_at.get_or_insert(now);
                let give_up_at = found_at + STUCK_AFTER;
                if give_up_at <= now {
                    let watched = running.watched.clone();
                    slot.generation += 1;
                    slot.state = SlotState::Vacant(now);
                    self.n_stuck.fetch_add(1, Ordering::SeqCst);
                    drop(slot);
                    settle(&watched, "; its thread is blocked and was given up", guard);
                    let generation = generation + 1;
                    let due = self.fill(WorkerId { index, generation }, now, now, guard);
                    next = next.into_iter().chain(due).min();
                    continue;
                }
                if running.interrupt_at.is_none_or(|moment| moment <= now) {
                    is_halting = true;
                    running.interrupt_at = Some(now + running.pause);
                    running.pause = MAX_PAUSE.min(2 * running.pause);
                }
                let due = running.interrupt_at.into_iter().chain([give_up_at]).min();
                next = next.into_iter().chain(due).min();
                continue;
            }
            let control = Arc::clone(&running.watched.control);
            let compute_deadline = running.compute_deadline;
            if control.must_yield() {
                if running.interrupt_at.is_none_or(|moment| moment <= now) {
                    // At the first look the guest was interrupted a moment ago.
                    is_halting |= running.interrupt_at.is_some();
                    running.interrupt_at = Some(now + running.pause);
                    running.pause = MAX_PAUSE.min(2 * running.pause);
                }
                next = next.into_iter().chain(running.interrupt_at).min();
            }
            drop(slot);
            let due = stop_if_due(&control, compute_deadline, now);
            next = next.into_iter().chain(due).min();
        }
        if is_halting {
            guard.interrupt();
        }
        next
    }

    /// Has a worker make room for others, if the queue has said that one must by now. Says when to
    /// look again.
    fn preempt_if_due(&self, now: Instant, guard: &mut impl Guard) -> Option<Instant> {
        let preempt_at = self.preempt_at.load(Ordering::SeqCst);
        if preempt_at > self.nanos(now) {
            return (preempt_at < NEVER).then(|| self.base + Duration::from_nanos(preempt_at));
        }
        self.preempt_at.store(NEVER, Ordering::SeqCst);
        let again_at = guard.preempt(now)?;
        let preempt_at = self.nanos(again_at);
        self.preempt_at.fetch_min(preempt_at, Ordering::SeqCst);
        Some(again_at)
    }

    /// Starts a thread for a worker that has none, unless it is too soon for another try. Says when
    /// to try next, if there is still none.
    fn fill(
        &self,
        worker: WorkerId,
        again_at: Instant,
        now: Instant,
        guard: &mut impl Guard,
    ) -> Option<Instant> {
        if again_at > now {
            return Some(again_at);
        }
        // Before the thread is there: it may begin a call right away.
        lock(&self.slots[worker.index]).state = SlotState::Idle;
        if guard.replace(worker) {
            return None;
        }
        let again_at = now + 8 * MAX_PAUSE;
        lock(&self.slots[worker.index]).state = SlotState::Vacant(again_at);
        Some(again_at)
    }

    /// Stops the suspended calls whose time is up, and settles the tasks of those that must halt
    /// and have found no worker to end them. Says when to look next. `has_stopped`: somebody has
    /// stopped a call since the last look.
    fn look_at_suspended(
        &self,
        now: Instant,
        has_stopped: bool,
        guard: &mut impl Guard,
    ) -> Option<Instant> {
        if has_stopped {
            // A call that others have stopped may have a grace period, at whose end it is forced.
            let mut suspended = lock(&self.suspended);
            let Suspended { calls, alarms, .. } = &mut *suspended;
            for (number, call) in calls {
                let control = &call.watched.control;
                // Written after the reason: whoever stops the call has the thread look again then.
                if let Some(force_at) = control.force_at()
                    && !control.is_forced()
                    && !call.has_grace_alarm
                {
                    call.has_grace_alarm = true;
                    alarms.push(force_at, *number, |_| true);
                }
            }
        }
        loop {
            let mut suspended = lock(&self.suspended);
            let number = match suspended.alarms.pop(now) {
                Ok(number) => number,
                Err(next) => return next,
            };
            let Some(call) = suspended.calls.get(&number) else {
                continue;
            };
            let watched = call.watched.clone();
            drop(suspended);
            let due = if watched.control.is_forced() {
                settle(&watched, "", guard);
                None
            } else {
                let due = stop_if_due(&watched.control, None, now);
                let is_forced = watched.control.is_forced();
                due.or_else(|| is_forced.then(|| now + STUCK_AFTER))
            };
            if let Some(due) = due {
                let mut suspended = lock(&self.suspended);
                let Suspended { calls, alarms, .. } = &mut *suspended;
                alarms.push(due, number, |number| calls.contains_key(number));
            }
        }
    }

    /// Settles the queued tasks whose time is up; says when the next one's is.
    fn expire_overdue(&self, now: Instant, guard: &mut impl Guard) -> Option<Instant> {
        loop {
            let expired = lock(&self.expiries).pop(now);
            let task = match expired {
                Ok(task) => task.upgrade(),
                Err(next) => return next,
            };
            if let Some(task) = task
                && task.expire()
            {
                guard.call_back(task);
            }
        }
    }

    /// Ends the sessions that were idle for too long; says when to look at the next one.
    fn look_at_sessions(&self, now: Instant, guard: &mut impl Guard) -> Option<Instant> {
        loop {
            let due = lock(&self.idle_sessions).pop(now);
            let session = match due {
                Ok(session) => session.upgrade(),
                Err(next) => return next,
            };
            match session.as_ref().map(|session| session.end_if_idle(now)) {
                Some(Idle::Ended(kept)) => guard.drop_kept(kept),
                Some(Idle::Until(at)) => {
                    let session = session.iter().map(Arc::downgrade);
                    let mut alarms = lock(&self.idle_sessions);
                    session.for_each(|session| alarms.push(at, session, |_| true));
                }
                Some(Idle::No) | None => {}
            }
        }
    }

    fn call_back_all(&self, guard: &mut impl Guard) {
        let tasks = std::mem::take(&mut *lock(&self.called_back_later));
        tasks.into_iter().for_each(|task| guard.call_back(task));
    }

    fn wake_for(&self, moment: Instant) {
        let nanos = self.nanos(moment);
        // A load first: mostly the thread wakes early enough, and workers that only load do not
        // take the cache line away from each other.
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

impl Preempt for Watchdog {
    fn ask_to_yield(&self, worker: usize) {
        let mut slot = lock(&self.slots[worker]);
        let control = match &slot.state {
            SlotState::Running(running) => Some(Arc::clone(&running.watched.control)),
            // The worker has taken the call, and will write it down.
            SlotState::Idle => {
                slot.must_yield = true;
                None
            }
            SlotState::Vacant(_) => None,
        };
        drop(slot);
        if let Some(control) = control {
            control.ask_to_yield();
            self.wake_for(Instant::now() + REPEAT_AFTER);
        }
    }

    fn preempt_at(&self, moment: Instant) {
        self.preempt_at
            .fetch_min(self.nanos(moment), Ordering::SeqCst);
        self.wake_for(moment);
    }
}

/// Stops a call whose time is up, and forces one whose grace period is over. Otherwise says when
/// that is due. Stopping a call interrupts it, and has the watchdog look again.
fn stop_if_due(
    control: &Control,
    compute_deadline: Option<Instant>,
    now: Instant,
) -> Option<Instant> {
    let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
    if control.stop_reason().is_some() {
        // In its grace period. The moment is written right after the reason.
        let force_at = control.force_at();
        if is_over(force_at) {
            control.force();
            return None;
        }
        return force_at;
    }
    let deadline = control.deadline();
    let reason = if is_over(deadline) {
        StopReason::TimedOut
    } else if is_over(compute_deadline) {
        StopReason::ComputeTimedOut
    } else {
        return deadline.into_iter().chain(compute_deadline).min();
    };
    // Somebody else may stop the task first: then the grace period begins with that stop.
    control.stop(reason);
    control.force_at().filter(|_| !control.is_forced())
}

/// Settles the task of a call that was stopped and has not ended. `why` is appended to the message.
fn settle(watched: &Watched, why: &str, guard: &mut impl Guard) {
    let Watched { job, control, turn } = watched;
    let reason = control.stop_reason().unwrap_or(StopReason::Cancelled);
    if let Some(turn) = turn {
        turn.give_up(TaskError::stopped(reason, control.limits()));
    }
    if job.give_up(reason, control.limits(), why) {
        guard.call_back(Arc::clone(job));
    }
}

impl<T> Default for Alarms<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            clear_at: 0,
        }
    }
}

impl<T> Alarms<T> {
    fn push(&mut self, at: Instant, what: T, is_wanted: impl Fn(&T) -> bool) {
        if self.heap.len() >= self.clear_at {
            self.heap.retain(|Reverse(alarm)| is_wanted(&alarm.what));
            self.clear_at = 2 * self.heap.len() + 64;
        }
        self.heap.push(Reverse(Alarm { at, what }));
    }

    /// An alarm whose moment has come; if there is none, the moment of the next.
    fn pop(&mut self, now: Instant) -> Result<T, Option<Instant>> {
        match self.heap.peek() {
            None => Err(None),
            Some(Reverse(first)) if first.at > now => Err(Some(first.at)),
            Some(_) => {
                let Reverse(first) = self.heap.pop().expect("just seen");
                Ok(first.what)
            }
        }
    }
}

// Only the moments are compared: the heap needs an order of them, and no more.
impl<T> PartialEq for Alarm<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Eq for Alarm<T> {}

impl<T> PartialOrd for Alarm<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Alarm<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
