//! The statistics of a pool: how many tasks are in each state, how tasks have ended, and how long
//! they took.
//!
//! The numbers of queued, running and suspended tasks are parts of one atomic number, so that no
//! reading finds a task in two of them, or more tasks running than there are workers.

use std::time::Duration;

use serde::Serialize;

use super::job::TaskState;
use super::timings::{Distribution, Reading, Timings};
use crate::call::Allocation;
use crate::error::TaskErrorKind;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many tasks are in each state at one moment.
///
/// `accepted` is always the sum of `queued`, `running`, `suspended` and `finished`, and `finished` the
/// sum of `succeeded` and all of `failures`. A task that ends just during the reading may be
/// missing from all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// Tasks that were ever accepted.
    pub accepted: u64,
    /// Tasks that wait for a worker.
    pub queued: u64,
    /// Bytes of the encoded arguments of tasks that wait for a worker, or are just being submitted.
    /// `None` if they have no bound
    /// ([`queue_capacity_bytes`](crate::PoolBuilder::queue_capacity_bytes)): then they are not
    /// counted.
    pub queued_bytes: Option<usize>,
    /// Tasks that a worker runs: never more than there are workers.
    pub running: u64,
    /// Tasks that have started and hold no worker: they wait in the host, or for a worker to go on.
    /// Never more than [`max_suspended`](crate::PoolBuilder::max_suspended) and, for tasks that
    /// have made room for others, four for each worker.
    pub suspended: u64,
    /// Bytes of the memory budget that are in use: what live instances hold or, if that is more,
    /// what their tasks are expected to need. `None` without a budget
    /// ([`memory_budget`](crate::PoolBuilder::memory_budget)).
    pub memory_in_use: Option<usize>,
    /// Threads that were given up, since a host function or a guest without epoch checks blocked
    /// them after their task was stopped, and that have not come back. Other threads have taken
    /// their places, and their tasks have ended.
    pub stuck: usize,
    /// Tasks that have ended.
    pub finished: u64,
    /// Tasks that have ended with a result.
    pub succeeded: u64,
    /// Tasks that have ended with an error, by the name of its kind; kinds that did not
    /// occur are left out.
    pub failures: Vec<(&'static str, u64)>,
    /// How long tasks waited before they ran. Each attempt counts, with the time from the
    /// submission to its start.
    pub queue_time: Distribution,
    /// How long tasks ran. Each attempt counts.
    pub run_time: Distribution,
    /// The share of the workers' time in which they ran tasks, from 0 to 1, since the pool was
    /// built.
    pub utilization: f64,
    /// How long ago the pool was built.
    pub uptime: Duration,
    /// Where the memory of the pool's instances comes from.
    pub allocation: Allocation,
    /// How many loads of modules were ever begun. Modules that are loaded already need none.
    pub loads: u64,
    /// Loads that have not ended, also those for which nobody waits any longer.
    pub loading: usize,
    /// [Sessions](crate::Session) that have not ended.
    pub sessions: usize,
}

#[derive(Default)]
pub(crate) struct Counters {
    /// How many tasks run, are suspended and are queued: [`RUNNING`], [`SUSPENDED`] and [`QUEUED`]
    /// for each.
    alive: AtomicU64,
    succeeded: AtomicU64,
    /// By [`TaskErrorKind::index`].
    failed: [AtomicU64; TaskErrorKind::COUNT],
}

/// There are no more of them than workers: at most 1024, for which 12 bits are enough.
const RUNNING: u64 = 1;

/// There are no more of them than `max_suspended`, at most 65,535, and
/// [`PREEMPTED_PER_WORKER`](super::PREEMPTED_PER_WORKER) for each worker: 20 bits are enough.
const SUSPENDED: u64 = 1 << 12;

const QUEUED: u64 = 1 << 32;

impl Counters {
    /// Tasks are about to be put into the queue.
    pub(crate) fn accept(&self, n_tasks: usize) {
        self.alive
            .fetch_add(n_tasks as u64 * QUEUED, Ordering::Relaxed);
    }

    /// The queue has closed just before, and the tasks were refused after all.
    pub(crate) fn refuse(&self, n_tasks: usize) {
        self.alive
            .fetch_sub(n_tasks as u64 * QUEUED, Ordering::Relaxed);
    }

    /// A worker takes a task.
    pub(crate) fn start(&self) {
        self.alive.fetch_sub(QUEUED - RUNNING, Ordering::Relaxed);
    }

    /// A task that runs leaves its worker, to wait.
    pub(crate) fn suspend(&self) {
        self.alive.fetch_add(SUSPENDED - RUNNING, Ordering::Relaxed);
    }

    /// A suspended task has a worker again.
    pub(crate) fn resume(&self) {
        self.alive.fetch_sub(SUSPENDED - RUNNING, Ordering::Relaxed);
    }

    /// A task goes back into the queue.
    pub(crate) fn put_back(&self) {
        self.alive.fetch_add(QUEUED - RUNNING, Ordering::Relaxed);
    }

    /// A task that was queued, running or suspended has ended.
    pub(crate) fn end(&self, former: TaskState, error: Option<TaskErrorKind>) {
        let place = match former {
            TaskState::Queued => QUEUED,
            TaskState::Suspended => SUSPENDED,
            TaskState::Running | TaskState::Done => RUNNING,
        };
        self.alive.fetch_sub(place, Ordering::Relaxed);
        let counter = error.map_or(&self.succeeded, |kind| &self.failed[kind.index()]);
        // Released, and acquired by `read`: who sees the task here sees that it has left `alive`.
        counter.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn read(&self, timings: &Timings, allocation: Allocation) -> PoolStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let succeeded = count(&self.succeeded);
        let failures = TaskErrorKind::NAMES
            .into_iter()
            .zip(self.failed.iter().map(count));
        let failures = failures.filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        let alive = count(&self.alive);
        let (queued, suspended, running) = (
            alive / QUEUED,
            alive % QUEUED / SUSPENDED,
            alive % SUSPENDED,
        );
        let finished = succeeded + failures.iter().map(|(_, count)| count).sum::<u64>();
        let Reading {
            uptime,
            queue_time,
            run_time,
            utilization,
        } = timings.read();
        PoolStats {
            accepted: queued + running + suspended + finished,
            queued,
            running,
            suspended,
            stuck: 0,
            finished,
            succeeded,
            failures,
            queue_time,
            run_time,
            utilization,
            uptime,
            allocation,
            // Filled in by the pool, which knows its queue, memory, threads, modules and sessions.
            queued_bytes: None,
            memory_in_use: None,
            loads: 0,
            loading: 0,
            sessions: 0,
        }
    }
}
