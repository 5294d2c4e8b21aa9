//! What a job carries. This file replaces the library's `work_item.rs`, with a modelled guest in
//! place of a module.

use super::active_call::Ready;
use super::job::Job;
use super::places::Permit;
use super::queue::{Line, QueueEntry};
use super::retry::Retry;
use super::session::Turn;
use crate::call::{Admission, Control, Limits, MemoryAccount, MemoryBudget};
use crate::registry::Guest;
use crate::sync::Arc;

/// The payload of a queued task.
pub(crate) struct WorkItem {
    pub(crate) guest: Guest,
    pub(crate) limits: Limits,
    /// Whether it is tried again after a failure.
    pub(crate) retry: Option<Retry>,
    /// The line of the queue in which it waits.
    pub(crate) line: Line,
    /// Its place in the queue, freed when the job starts or dies.
    pub(crate) permit: Option<Permit>,
    /// Its place among those that wait for memory.
    pub(crate) admission: Option<Admission>,
    /// Its turn in its session.
    pub(crate) turn: Option<Turn>,
}

impl WorkItem {
    pub(crate) fn may_be_suspended(&self) -> bool {
        true
    }

    pub(crate) fn name(&self) -> &str {
        "guest"
    }

    /// The bytes that it adds to the queue.
    pub(crate) fn argument_bytes(&self) -> usize {
        1
    }
}

/// A task in the queue.
pub(crate) type JobRef = Arc<Job<WorkItem>>;

/// What a call that has ended leaves, in the place of its instance: its control block, and its
/// account of the memory budget.
pub(crate) type Left = Option<(Arc<Control>, Option<Arc<MemoryAccount>>)>;

/// What a guest is expected to need of the memory budget.
pub(crate) const MEMORY: usize = 64 << 10;

/// Nothing is traced.
pub(crate) type CallSpan = ();

impl QueueEntry for Ready {
    fn is_live(&self) -> bool {
        match self {
            Self::Task(job) => job.settled().is_none(),
            Self::Call(_) => true,
        }
    }

    fn has_memory(&self, budget: &Arc<MemoryBudget>) -> bool {
        let Self::Task(job) = self else {
            return true;
        };
        let admitted = job.with_queued(|work| {
            if work.turn.as_ref().is_some_and(Turn::has_instance) {
                return true;
            }
            let admission = work.admission.get_or_insert_with(|| Admission::new(budget));
            admission.is_granted(MEMORY)
        });
        admitted.unwrap_or(true)
    }
}
