//! The life of a task in the pool: queued, running, put back, settled or expired; and what the
//! pool's threads do for it.
//!
//! Knows nothing of what runs a task: a [`Runner`] does. So the model checker runs this file as
//! it is, with a runner of its own (`tests/model`).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::job::{Call, Settled};
use super::places::Capacity;
use super::queue::Queue;
use super::stats::Counters;
use super::timings::Timings;
use super::watchdog::Watchdog;
use super::work_item::{JobRef, WorkItem};
use crate::call::{Control, Interrupt, StopReason, TaskReport};
use crate::error::{TaskError, TaskErrorKind};
use crate::sync::{Arc, Instant, Weak};

/// What all threads of a pool share, but for what runs the tasks.
pub(crate) struct Scheduler {
    pub(crate) queue: Queue<JobRef>,
    pub(crate) watchdog: Watchdog,
    pub(crate) counters: Arc<Counters>,
    pub(crate) timings: Timings,
}

/// What a worker thread runs tasks with: its own.
pub(crate) trait Runner {
    /// Makes the guests of this worker look at their stop requests.
    fn interrupt(&self) -> Weak<dyn Interrupt>;

    /// Runs a call, and writes into `report` what it cost. Blocks until the guest
    /// has ended or was stopped. May panic, which fails the call.
    fn run(
        &mut self,
        job: &JobRef,
        call: &mut Call<WorkItem>,
        started: Instant,
        report: &mut TaskReport,
    ) -> Result<Vec<u8>, TaskError>;

    /// The call has ended, in whichever way; nobody has heard of it yet. Called once after
    /// each [`run`](Self::run).
    fn ended(&mut self, error: Option<&TaskError>, report: &TaskReport, is_last: bool);

    /// The caller has its answer: clears away what the call has left.
    fn clear_away(&mut self);
}

/// The queue takes no more tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed;

impl Scheduler {
    pub(crate) fn new(queue_capacity: impl Into<Capacity>, n_workers: usize) -> Self {
        Self {
            queue: Queue::new(queue_capacity, n_workers),
            watchdog: Watchdog::new(n_workers),
            counters: Arc::default(),
            timings: Timings::new(n_workers),
        }
    }

    /// Puts tasks into a lane of the queue, all or none. With a timeout, each expires that is
    /// still queued then.
    pub(crate) fn push<C>(
        &self,
        tasks: C,
        lane: usize,
        queue_timeout: Option<Duration>,
    ) -> Result<(), Closed>
    where
        C: AsRef<[JobRef]> + IntoIterator<Item = JobRef, IntoIter: ExactSizeIterator>,
    {
        let n_tasks = tasks.as_ref().len();
        // Looked at only while they are sure to be there.
        let expiring = queue_timeout.map(|timeout| {
            let with_moment = |task: &JobRef| {
                let moment = task.submitted().checked_add(timeout)?;
                Some((moment, Arc::clone(task)))
            };
            let expiring = tasks.as_ref().iter().filter_map(with_moment);
            expiring.collect::<Vec<_>>()
        });
        self.counters.accept(n_tasks);
        if self.queue.push(tasks, lane).is_err() {
            self.counters.refuse(n_tasks);
            return Err(Closed);
        }
        for (moment, task) in expiring.into_iter().flatten() {
            self.watchdog.expire_at(moment, &task);
        }
        Ok(())
    }

    /// Cancels all queued tasks. Says how many of them have never run.
    pub(crate) fn cancel_queued(&self) -> usize {
        cancel_all(&self.queue.drain())
    }

    /// Cancels all queued tasks and stops those that run. Says how many have never run.
    pub(crate) fn terminate(&self) -> usize {
        // Callbacks come last: they may wait for the queue, or for what runs.
        let queued = self.queue.drain();
        self.watchdog.terminate();
        cancel_all(&queued)
    }

    /// What a worker thread does: serves tasks until the queue is closed and empty.
    pub(crate) fn work(&self, worker: usize, runner: &mut impl Runner) {
        while let Some(job) = self.queue.pop(worker) {
            self.serve(worker, &job, runner);
        }
    }

    /// Runs the task, unless it died in the queue, and settles it or puts it back.
    fn serve(&self, worker: usize, job: &JobRef, runner: &mut impl Runner) {
        let started = Instant::now();
        let control = |work: &WorkItem| Control::new(runner.interrupt(), work.limits.stop_grace);
        let Some(mut call) = job.start(worker, started, control) else {
            return;
        };
        let unsettled = Unsettled {
            scheduler: self,
            worker,
            job,
        };
        drop(call.payload.permit.take());
        self.timings.begin(worker, started);
        let mut report = TaskReport {
            worker: Some(worker),
            queued: started.duration_since(job.submitted()),
            attempts: call.attempt,
            ..TaskReport::default()
        };
        // A panic here is one of the host's own functions. It costs the task and its instance.
        let run = || runner.run(job, &mut call, started, &mut report);
        let ran = catch_unwind(AssertUnwindSafe(run));
        self.watchdog.end(worker);
        report.ran = started.elapsed();
        self.timings.end(worker, &report);
        let outcome = ran.unwrap_or_else(|panic| Err(host_panicked(&*panic)));
        let Call {
            payload: work,
            control,
            attempt,
        } = call;
        let is_shutting_down = control.stop_reason() == Some(StopReason::ShutDown);
        let again = outcome.as_ref().err().and_then(|error| {
            let wait = work.retry?.after(attempt, error.kind())?;
            let due = Instant::now().checked_add(wait)?;
            (!is_shutting_down).then_some(due)
        });
        runner.ended(outcome.as_ref().err(), &report, again.is_none());
        match again {
            None => {
                // What it carried is gone before anybody hears of the end.
                drop(work);
                job.settle(Settled { outcome, report });
            }
            Some(due) => self.try_again(job, work, due),
        }
        unsettled.disarm();
        runner.clear_away();
    }

    /// Puts a task back into the queue, unless it has ended meanwhile.
    fn try_again(&self, job: &JobRef, mut work: WorkItem, due: Instant) {
        let lane = work.lane;
        // Tasks that wait for their next attempt fill the queue as others do. This one cannot
        // wait for a place, so the queue may hold one more for each worker.
        let mut permit = self.queue.places.overdraw();
        permit.hold_bytes(work.argument_bytes());
        work.permit = Some(permit);
        if job.put_back(work) && self.queue.defer(Arc::clone(job), lane, due).is_err() {
            // What was queued has just been cancelled, and so is this.
            job.cancel_queued();
        }
    }
}

/// Cancels tasks that were queued; says how many of them will never have run.
fn cancel_all(queued: &[JobRef]) -> usize {
    queued.iter().filter(|job| job.cancel_queued()).count()
}

/// A task that a worker has started and not yet settled or put back. If it is dropped, the
/// worker panics: by a fault of our own, or of code of the embedder's that is not expected to.
/// The task settles all the same.
struct Unsettled<'a> {
    scheduler: &'a Scheduler,
    worker: usize,
    job: &'a JobRef,
}

impl Unsettled<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.scheduler.watchdog.end(self.worker);
        let error = TaskError::new(
            TaskErrorKind::Internal,
            "the task is lost: its worker panicked",
        );
        let report = TaskReport {
            worker: Some(self.worker),
            ..TaskReport::default()
        };
        self.job.settle(Settled {
            outcome: Err(error),
            report,
        });
    }
}

fn host_panicked(panic: &(dyn Any + Send)) -> TaskError {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    TaskError::new(
        TaskErrorKind::Internal,
        format!("a host function panicked: {text}"),
    )
}
