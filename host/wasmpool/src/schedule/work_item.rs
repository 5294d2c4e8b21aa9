//! What a job carries while it is queued: everything that a worker needs to run it.

use super::active_call::Ready;
use super::children::Family;
use super::job::Job;
use super::places::Permit;
use super::queue::{Line, QueueEntry};
use super::retry::Retry;
use super::session::Turn;
pub(crate) use super::trace::CallSpan;
use super::trace::Origin;
use crate::call::{Admission, Limits, MemoryBudget, Payload};
use crate::objects::Handed;
use crate::sandbox::{Capabilities, Instance, Module};
use crate::sync::Arc;

/// The payload of a job.
pub(crate) struct WorkItem {
    pub(crate) module: Arc<Module>,
    /// The task's index in the module's list.
    pub(crate) task: usize,
    /// The encoded arguments.
    pub(crate) arguments: Payload,
    /// The shared objects that go along.
    pub(crate) objects: Handed,
    pub(crate) limits: Limits,
    /// Its rights, if it has others than its module.
    pub(crate) capabilities: Option<Capabilities>,
    /// Whether it must not run in a warm instance, nor leave one.
    pub(crate) wants_fresh_instance: bool,
    /// Whether it is tried again after a failure.
    pub(crate) retry: Option<Retry>,
    /// The line of the queue in which it waits.
    pub(crate) line: Line,
    /// The span in which it was submitted.
    pub(crate) origin: Origin,
    /// Its place in the queue, given back when the job starts or dies.
    pub(crate) permit: Option<Permit>,
    /// Its request for memory, in a pool with a memory budget. `Some` from when a worker first
    /// wanted to start the task until a worker starts it.
    pub(crate) admission: Option<Admission>,
    /// Its family, if a running task has started it.
    pub(crate) family: Option<Arc<Family>>,
    /// Its turn in its session, if it is a call of one. Passed on when the call has ended.
    pub(crate) turn: Option<Turn>,
}

impl WorkItem {
    /// Whether its call may leave its worker while it waits.
    pub(crate) fn may_be_suspended(&self) -> bool {
        self.module.may_be_suspended
    }

    /// The name of the task.
    pub(crate) fn name(&self) -> &str {
        &self.module.tasks[self.task].name
    }

    /// What it adds to the bytes of the queue.
    pub(crate) fn argument_bytes(&self) -> usize {
        self.arguments.len()
    }
}

/// A job, as the queue, its worker and its future share it.
pub(crate) type JobRef = Arc<Job<WorkItem>>;

/// The instance of a call that has ended, if it is fit for another.
pub(crate) type Left = Option<Instance>;

impl QueueEntry for Ready {
    fn is_live(&self) -> bool {
        match self {
            Self::Task(job) => job.settled().is_none(),
            // A worker has to end the call, whatever became of its task.
            Self::Call(_) => true,
        }
    }

    fn has_memory(&self, budget: &Arc<MemoryBudget>) -> bool {
        let Self::Task(job) = self else {
            return true;
        };
        let admitted = job.with_queued(|work| {
            // The instance of a session is charged already.
            if work.turn.as_ref().is_some_and(Turn::has_instance) {
                return true;
            }
            let need = work.module.expected_memory(work.task);
            let admission = work.admission.get_or_insert_with(|| Admission::new(budget));
            let need = need.min(work.limits.memory);
            match work.line.depth {
                0 => admission.is_granted(need),
                // The tasks that wait for it may hold all the memory there is.
                _ => {
                    admission.grant_at_once(need);
                    true
                }
            }
        });
        // A task that has ended needs nothing.
        admitted.unwrap_or(true)
    }
}
