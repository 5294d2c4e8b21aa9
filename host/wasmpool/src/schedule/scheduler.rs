//! The life of a task in the pool: queued, running, put back, settled or expired; and what the
//! pool's threads do for it.
//!
//! Knows nothing of what runs a task: a [`Runner`] does. So the model checker runs this file as
//! it is, with a runner of its own (`tests/model`).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Wake as _, Waker, ready};
use std::time::Duration;

use super::active_call::{ActiveCall, CallCell, CallEnd, CallFuture, Ready, Unsettled};
use super::job::{Call, Settled};
use super::places::{Blocking, Capacity, Permit, PermitWaiter, ReserveError};
use super::queue::{Leave, Line, Preempt, Queue};
use super::session::SessionLine;
use super::sessions::{SessionSettings, Sessions};
use super::stats::Counters;
use super::tenants::{AllTenantLimits, TenantPlaces};
use super::timings::Timings;
use super::watchdog::{Watchdog, WorkerId};
use super::work_item::{CallSpan, JobRef, Left, WorkItem};
use crate::call::{Control, Interrupt, MemoryBudget, StopReason, TaskReport};
use crate::error::{TaskError, TaskErrorKind};
use crate::sync::{Arc, Instant, Weak, panic_text};
use crate::value::text;

/// What all threads of a pool share, except for what runs the tasks.
pub(crate) struct Scheduler {
    pub(crate) queue: Arc<Queue<Ready>>,
    tenant_places: TenantPlaces,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) timings: Timings,
    pub(crate) sessions: Arc<Sessions>,
}

/// What a worker thread runs calls with. Each worker has its own.
pub(crate) trait Runner {
    /// What makes the guests of calls that start on this worker look at their stop requests. It
    /// lives as long as the pool: such a call may go on elsewhere after this worker has ended.
    fn interrupt(&self) -> Weak<dyn Interrupt>;

    /// Makes a call ready to be polled. Its deadline counts from `started`. Runs no code of the
    /// guest.
    fn begin(
        &mut self,
        job: &JobRef,
        call: &mut Call<WorkItem>,
        started: Instant,
    ) -> (CallFuture, CallSpan);

    /// Lets a call compute until it ends or waits. May panic, which fails the call.
    fn poll(
        &mut self,
        future: &mut CallFuture,
        span: &CallSpan,
        context: &mut Context<'_>,
    ) -> Poll<CallEnd>;

    /// A call waits from now on, until it is woken. Returns whether somebody can wake it.
    fn wait_begins(&mut self) -> bool;

    /// The call has ended, in whichever way; its task is not settled yet.
    fn ended(
        &mut self,
        future: CallFuture,
        span: CallSpan,
        left: &mut Left,
        error: Option<&TaskError>,
        report: &TaskReport,
        is_last: bool,
    );

    /// The instance of a call that has ended goes back to its session.
    fn keep(&mut self, left: &mut Left);

    /// Code of the embedder's is about to run on this thread.
    fn before_callbacks(&mut self);

    /// Clears away what the call has left. The task is settled by now, or back in the queue.
    fn clear_away(&mut self, left: Left);
}

/// A submitter that waits for a place in the queue without blocking.
#[derive(Default)]
pub(crate) struct PlaceWaiter {
    /// Waits for one of the tenant's own places.
    of_tenant: Option<PermitWaiter>,
    /// Waits for one of the places for all tenants.
    of_all: Option<PermitWaiter>,
}

/// The queue takes no more tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed;

impl Scheduler {
    pub(crate) fn new(
        queue_capacity: impl Into<Capacity>,
        n_workers: usize,
        max_suspended: usize,
        tenants: AllTenantLimits,
        memory_budget: Option<Arc<MemoryBudget>>,
    ) -> Self {
        let watchdog = Arc::new(Watchdog::new(n_workers));
        let preempt: Arc<dyn Preempt> = {
            let watchdog: Arc<Watchdog> = Arc::clone(&watchdog);
            watchdog
        };
        let queue = Queue::new(queue_capacity, n_workers, max_suspended)
            .with_tenants(tenants.clone(), preempt)
            .with_memory_budget(memory_budget);
        let queue = Arc::new(queue);
        let (of_sessions, settings) = (Arc::clone(&queue), SessionSettings::default());
        Self {
            sessions: Sessions::new(of_sessions, Arc::clone(&watchdog), settings),
            queue,
            tenant_places: TenantPlaces::new(tenants),
            watchdog,
            counters: Arc::default(),
            timings: Timings::new(n_workers),
        }
    }

    /// The same scheduler, with these settings for sessions, of which there are none by default.
    pub(crate) fn with_sessions(mut self, settings: SessionSettings) -> Self {
        let (queue, watchdog) = (Arc::clone(&self.queue), Arc::clone(&self.watchdog));
        self.sessions = Sessions::new(queue, watchdog, settings);
        self
    }

    /// Takes a place in the queue for one task of the tenant. Blocks for as long as `blocking`
    /// allows.
    pub(crate) fn reserve(
        &self,
        tenant: Option<&Arc<str>>,
        blocking: Blocking,
    ) -> Result<Permit, ReserveError> {
        // The tenant's own first: who waits for that must not hold a place for all tenants.
        let own = match self.tenant_places.of(tenant) {
            Some(places) => Some(places.reserve(blocking).map_err(of_tenant)?),
            None => None,
        };
        Ok(self.queue.places.reserve(blocking)?.with_tenant(own))
    }

    /// The same without blocking: sees to it that `waker` is woken when there may be a place.
    /// `waiting` keeps the caller's turn until the next poll.
    pub(crate) fn poll_reserve(
        &self,
        tenant: Option<&Arc<str>>,
        waiting: &mut PlaceWaiter,
        waker: &Waker,
    ) -> Poll<Result<Permit, ReserveError>> {
        let own = match self.tenant_places.of(tenant) {
            Some(places) => {
                let own = places.poll_reserve(&mut waiting.of_tenant, waker);
                if own.is_pending() {
                    // A wake-up for one of everybody's places goes to somebody who can use it.
                    waiting.of_all = None;
                }
                Some(ready!(own).map_err(of_tenant)?)
            }
            None => None,
        };
        let permit = ready!(self.queue.places.poll_reserve(&mut waiting.of_all, waker));
        Poll::Ready(permit.map(|permit| permit.with_tenant(own)))
    }

    /// Takes a place even if none is free: for callers that must not wait.
    pub(crate) fn overdraw(&self, tenant: Option<&Arc<str>>) -> Permit {
        let own = self.tenant_places.of(tenant);
        let own = own.map(|places| places.overdraw());
        self.queue.places.overdraw().with_tenant(own)
    }

    /// Refuses tasks from now on; those that are queued stay. Sessions end after their calls.
    pub(crate) fn close(&self) {
        self.queue.close();
        self.tenant_places.close();
        self.sessions.close();
    }

    /// Puts tasks into a line of the queue, all or none. Those that are still queued after the
    /// timeout expire.
    pub(crate) fn push<C>(
        &self,
        tasks: C,
        line: Line,
        queue_timeout: Option<Duration>,
    ) -> Result<(), Closed>
    where
        C: AsRef<[JobRef]> + IntoIterator<Item = JobRef, IntoIter: ExactSizeIterator>,
    {
        let n_tasks = tasks.as_ref().len();
        // Before the push, which takes the tasks.
        let expiring = queue_timeout.map(|timeout| {
            let with_moment = |task: &JobRef| {
                let moment = task.submitted().checked_add(timeout)?;
                Some((moment, Arc::clone(task)))
            };
            let expiring = tasks.as_ref().iter().filter_map(with_moment);
            expiring.collect::<Vec<_>>()
        });
        self.counters.accept(n_tasks);
        let tasks = tasks.into_iter().map(Ready::Task);
        if self.queue.push(tasks, line).is_err() {
            self.counters.refuse(n_tasks);
            return Err(Closed);
        }
        for (moment, task) in expiring.into_iter().flatten() {
            self.watchdog.expire_at(moment, &task);
        }
        Ok(())
    }

    /// Puts a call into the line of its session. It expires if it has not started after the timeout.
    pub(crate) fn push_to_session(
        &self,
        call: JobRef,
        session: &Arc<SessionLine>,
        queue_timeout: Option<Duration>,
    ) -> Result<(), Closed> {
        self.counters.accept(1);
        if !self.queue.promise() {
            self.counters.refuse(1);
            return Err(Closed);
        }
        let expiring = queue_timeout.and_then(|timeout| {
            let moment = call.submitted().checked_add(timeout)?;
            Some((moment, Arc::clone(&call)))
        });
        session.join(call);
        if let Some((moment, call)) = expiring {
            self.watchdog.expire_at(moment, &call);
        }
        Ok(())
    }

    /// Cancels all queued tasks. Says how many of them have never run.
    pub(crate) fn cancel_queued(&self) -> usize {
        cancel_all(self.drain())
    }

    /// Takes all queued tasks out, also those that wait for their turn in a session.
    fn drain(&self) -> Vec<Ready> {
        let mut queued = self.queue.drain();
        // After the queue, which takes no call of a session from now on.
        let waiting = self.sessions.take_waiting();
        queued.extend(waiting.into_iter().map(Ready::Task));
        queued
    }

    /// Cancels all queued tasks and stops those that run. Says how many have never run.
    pub(crate) fn terminate(&self) -> usize {
        // Callbacks come last: they may wait for the queue, or for running tasks.
        let queued = self.drain();
        self.watchdog.terminate();
        cancel_all(queued)
    }

    /// What a worker thread does: serves tasks until the queue is closed and empty, or the thread is
    /// given up.
    pub(crate) fn work(&self, worker: WorkerId, runner: &mut impl Runner) {
        self.timings.take_over(worker.index);
        while let Some(ready) = self.queue.pop(worker.index) {
            let goes_on = match ready {
                Ready::Task(job) => self.start(worker, job, runner),
                Ready::Call(cell) => self.go_on(worker, &cell, runner),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// The thread has panicked, by a defect of the pool or of the embedder's code. The call that it
    /// held, if any, is gone. Says whether the thread may go on as the worker.
    pub(crate) fn panicked(&self, worker: WorkerId) -> bool {
        let goes_on = self.watchdog.end(worker);
        if !goes_on {
            self.watchdog.came_back();
        }
        goes_on
    }

    /// Starts the task, unless it died in the queue. Says whether the worker goes on.
    fn start(&self, worker: WorkerId, job: JobRef, runner: &mut impl Runner) -> bool {
        let started = Instant::now();
        let control = |work: &WorkItem| Control::new(runner.interrupt(), work.limits);
        let Some(mut call) = job.start(worker.index, started, control) else {
            return true;
        };
        let task = Unsettled::new(job);
        drop(call.payload.permit.take());
        let (future, span) = runner.begin(task.job(), &mut call, started);
        let call = ActiveCall {
            task,
            call,
            future,
            span,
            started,
            computed: Duration::ZERO,
            cell: None,
            number: 0,
        };
        self.drive(worker, call, started, runner)
    }

    /// Goes on with a call that was suspended. Says whether the worker goes on.
    fn go_on(&self, worker: WorkerId, cell: &CallCell, runner: &mut impl Runner) -> bool {
        let call = cell.take();
        call.task.job().resume(worker.index);
        self.drive(worker, call, Instant::now(), runner)
    }

    /// Polls the call until it has ended, and then settles its task or puts it back; or until it
    /// waits, and then leaves it to whoever wakes it. Says whether the worker goes on.
    fn drive(
        &self,
        worker: WorkerId,
        mut call: ActiveCall,
        taken_at: Instant,
        runner: &mut impl Runner,
    ) -> bool {
        call.control().set_worker(worker.index);
        self.timings.begin(worker.index, taken_at);
        let compute_deadline = call.compute_deadline(taken_at);
        let (job, control, turn) = (call.task.job(), call.control(), call.turn());
        self.watchdog
            .begin(worker, job, control, turn, compute_deadline);
        if call.cell.is_some() {
            self.watchdog.resume(call.number);
        }
        // When the call began to compute, or went on to.
        let mut since = taken_at;
        loop {
            // Most calls never wait: they have ended after one poll, for which nobody needs a waker.
            // One that waits is polled again, with a waker that works.
            let cell = call.cell.clone();
            let waker = cell.as_ref().map(CallCell::waker);
            let waker = waker.as_ref().unwrap_or(Waker::noop());
            if let Some(cell) = &cell {
                cell.poll_begins();
            }
            let (future, span) = (&mut call.future, &call.span);
            let poll = || runner.poll(future, span, &mut Context::from_waker(waker));
            // A panic here comes from a host function. It costs the task and its instance.
            let end = match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Ready(end)) => Some(end),
                Ok(Poll::Pending) => None,
                Err(panic) => Some(CallEnd {
                    outcome: Err(host_panicked(&*panic)),
                    report: TaskReport::default(),
                    left: Left::default(),
                }),
            };
            if let Some(end) = end {
                let now = Instant::now();
                call.computed += now.duration_since(since);
                return self.finish(worker, call, (taken_at, now), end, runner);
            }
            let is_first = cell.is_none();
            let cell = call.cell(&self.queue);
            if is_first {
                // Before the next poll, which looks whether the call must halt.
                call.control().wake_on_force(&cell.waker());
            }
            // The guest of a call that yields does not wait: the call makes room for others.
            let yields = call.control().take_yielded();
            if !yields && (is_first || cell.is_woken()) {
                continue;
            }
            if !yields && !runner.wait_begins() {
                let control = call.control();
                // If it was stopped before, it is woken when that takes effect.
                if control.stop(StopReason::NobodyWakes) {
                    control.force();
                    continue;
                }
            }
            let may_leave = call.call.payload.may_be_suspended()
                && match yields {
                    true => self.queue.try_yield(),
                    false => self.queue.try_suspend(),
                };
            if !may_leave && (yields || call.control().refuse_wait()) {
                continue;
            }
            let now = Instant::now();
            call.computed += now.duration_since(since);
            if !may_leave {
                // The call does not compute meanwhile.
                self.watchdog.set_compute_deadline(worker, None);
                cell.wait_until_woken();
                since = Instant::now();
                let compute_deadline = call.compute_deadline(since);
                self.watchdog.set_compute_deadline(worker, compute_deadline);
                continue;
            }
            let (job, control, turn) = (call.task.job(), call.control(), call.turn());
            call.number = self.watchdog.suspend(job, control, turn);
            if !self.watchdog.end(worker) {
                // The thread was given up: the task was stopped long ago, and has been settled.
                self.watchdog.resume(call.number);
                self.queue.give_up_suspended();
                drop(call.task.into_job());
                self.watchdog.came_back();
                return false;
            }
            self.timings
                .pause(worker.index, now.duration_since(taken_at));
            call.task.job().suspend();
            let how = match !yields && call.control().waits_for_tasks() {
                true => Leave::GivesUpPlace,
                false => Leave::Stays,
            };
            self.queue.leave(worker.index, how);
            if yields {
                cell.wake_by_ref();
            }
            cell.leave(call, how);
            return true;
        }
    }

    /// Settles the task of a call that has ended, or puts it back. The worker has had the call from
    /// `taken_at` to `now`. Says whether the worker goes on.
    fn finish(
        &self,
        worker: WorkerId,
        active: ActiveCall,
        (taken_at, now): (Instant, Instant),
        end: CallEnd,
        runner: &mut impl Runner,
    ) -> bool {
        let is_ours = self.watchdog.end(worker);
        let ActiveCall {
            task,
            call,
            future,
            span,
            started,
            computed,
            cell,
            ..
        } = active;
        let CallEnd {
            outcome,
            report,
            mut left,
        } = end;
        // Most calls have never waited, and a difference of two moments costs as much as a lock.
        let (ran, busy) = match cell {
            None => (computed, computed),
            Some(_) => (now.duration_since(started), now.duration_since(taken_at)),
        };
        let report = TaskReport {
            worker: Some(worker.index),
            queued: started.duration_since(task.job().submitted()),
            attempts: call.attempt,
            ran,
            computed,
            suspended: ran.saturating_sub(computed),
            ..report
        };
        if is_ours {
            self.timings.end(worker.index, busy, &report);
        }
        let Call {
            payload: mut work,
            control,
            attempt,
        } = call;
        let is_shutting_down = control.stop_reason() == Some(StopReason::ShutDown);
        let again = outcome.as_ref().err().and_then(|error| {
            let wait = work.retry?.after(attempt, error.kind())?;
            let due = Instant::now().checked_add(wait)?;
            (!is_shutting_down).then_some(due)
        });
        let mut turn = work.turn.take();
        // What a session keeps, the runner does not.
        let mut kept = turn.as_ref().and_then(|_| left.take());
        runner.ended(
            future,
            span,
            &mut left,
            outcome.as_ref().err(),
            &report,
            again.is_none(),
        );
        if let Some(turn) = &mut turn {
            runner.keep(&mut kept);
            // Before the task settles: whoever waits for it finds its session as it is then.
            turn.end(kept, || {
                let cause = outcome.as_ref().err().cloned();
                let why = format!("its call of `{}` failed", text::name(work.name()));
                TaskError::session_ended(&why, cause)
            });
        }
        let job = task.into_job();
        match again {
            None => {
                // The payload is gone before anybody hears of the end.
                drop(work);
                let has_callbacks = job.settle(Settled { outcome, report });
                // The next call of the session begins after the end of this one.
                drop(turn);
                if has_callbacks {
                    runner.before_callbacks();
                    job.call_back();
                }
            }
            Some(due) => self.try_again(&job, work, due),
        }
        if !is_ours {
            drop(left);
            self.watchdog.came_back();
            return false;
        }
        runner.clear_away(left);
        true
    }

    /// Puts a task back into the queue, unless it has ended meanwhile.
    fn try_again(&self, job: &JobRef, mut work: WorkItem, due: Instant) {
        // Tasks that wait for their next attempt take places in the queue as others do. A worker
        // must not wait for a place, so the queue may hold more tasks than it has places.
        let line = work.line.clone();
        let mut permit = self.overdraw(line.tenant.as_ref());
        permit.hold_bytes(work.argument_bytes());
        work.permit = Some(permit);
        let ready = Ready::Task(Arc::clone(job));
        if job.put_back(work) && self.queue.defer(ready, line, due).is_err() {
            // The queued tasks have just been cancelled, and so is this one.
            job.cancel_queued();
        }
    }
}

/// Why there is none of the tenant's own places.
fn of_tenant(error: ReserveError) -> ReserveError {
    match error {
        ReserveError::Full => ReserveError::TenantFull,
        error => error,
    }
}

/// Cancels tasks that were queued; says how many of them have never run.
fn cancel_all(queued: Vec<Ready>) -> usize {
    let is_cancelled = |ready: &Ready| match ready {
        Ready::Task(job) => job.cancel_queued(),
        Ready::Call(_) => false,
    };
    queued.iter().filter(|ready| is_cancelled(ready)).count()
}

fn host_panicked(panic: &(dyn Any + Send)) -> TaskError {
    let text = panic_text(panic);
    TaskError::new(
        TaskErrorKind::Internal,
        format!("a host function panicked: {text}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tenants::TenantLimits;
    use crate::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct WakeCounter(AtomicUsize);

    impl std::task::Wake for WakeCounter {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_wake_up_that_a_full_tenant_cannot_use_goes_to_another_waiter() {
        let tenant: Arc<str> = "bounded".into();
        let mut limits = AllTenantLimits::default();
        let bounded = TenantLimits::new().queue_capacity(1);
        limits.by_name.insert(Arc::clone(&tenant), bounded);
        let scheduler = Scheduler::new(1, 1, 1, limits, None);
        let is_pending = |tenant, waiting: &mut PlaceWaiter, waker| {
            scheduler.poll_reserve(tenant, waiting, waker).is_pending()
        };
        let only = scheduler.reserve(None, Blocking::Never).unwrap();
        let mut of_tenant = PlaceWaiter::default();
        assert!(is_pending(Some(&tenant), &mut of_tenant, Waker::noop()));
        let n_wakes = std::sync::Arc::new(WakeCounter::default());
        let waker = Waker::from(std::sync::Arc::clone(&n_wakes));
        let mut other = PlaceWaiter::default();
        assert!(is_pending(None, &mut other, &waker));

        let places = scheduler.tenant_places.of(Some(&tenant)).unwrap();
        let own = places.reserve(Blocking::Never).unwrap();
        drop(only);
        assert!(is_pending(Some(&tenant), &mut of_tenant, Waker::noop()));
        assert_eq!(n_wakes.0.load(Ordering::SeqCst), 1, "the place is free");
        drop(own);
    }
}
