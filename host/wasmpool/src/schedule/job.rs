//! What a queued task carries: everything a worker needs to run it.

use super::cell::Cell;
use super::queue::{Entry, Permit};
use super::retry::Retry;
use super::trace::Origin;
use crate::call::Limits;
use crate::sandbox::{Capabilities, Module};
use crate::sync::Arc;

/// The payload of a queued task.
pub(crate) struct Job {
    pub(crate) module: Arc<Module>,
    /// The task's place in the module's list.
    pub(crate) task: usize,
    /// The encoded arguments.
    pub(crate) arguments: Vec<u8>,
    pub(crate) limits: Limits,
    /// Its rights, if it has others than its module.
    pub(crate) capabilities: Option<Capabilities>,
    /// Whether it must not run in a warm instance, nor leave one.
    pub(crate) wants_fresh_instance: bool,
    /// Whether it is tried again after a failure.
    pub(crate) retry: Option<Retry>,
    /// The lane of the queue that it waits in.
    pub(crate) lane: usize,
    /// Where it was submitted.
    pub(crate) origin: Origin,
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
