//! What a queued task carries here: the stand-in for the library's `job.rs`, with a modelled
//! guest in the place of a module.

use super::cell::Cell;
use super::queue::{Entry, Permit};
use super::retry::Retry;
use crate::call::Limits;
use crate::shop::Guest;
use crate::sync::Arc;

/// The payload of a queued task.
pub(crate) struct Job {
    pub(crate) guest: Guest,
    pub(crate) limits: Limits,
    /// Whether it is tried again after a failure.
    pub(crate) retry: Option<Retry>,
    /// The lane of the queue that it waits in.
    pub(crate) lane: usize,
    /// Its place in the queue, given back when the job starts or dies.
    pub(crate) permit: Option<Permit>,
}

/// A task in the queue.
pub(crate) type Queued = Arc<Cell<Job>>;

impl Entry for Queued {
    fn is_live(&self) -> bool {
        self.settled().is_none()
    }
}
