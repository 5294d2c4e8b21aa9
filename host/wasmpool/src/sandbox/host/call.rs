//! What a host function is told about the call that calls it.
//!
//! Does not know the functions.

use std::fmt;

use crate::call::Control;
use crate::sandbox::TaskInfo;
use crate::sync::Arc;

/// The call of a guest that calls a host function: whose it is, and whether it is being stopped.
/// Cheap to clone.
///
/// It does not keep the call alive: an async function may take it along, also to another thread.
#[derive(Clone)]
pub struct HostCall {
    caller: Arc<Caller>,
    pub(super) control: Arc<Control>,
}

/// The task whose call a guest runs.
pub(crate) struct Caller {
    /// The tasks of its module.
    pub(crate) tasks: Arc<[TaskInfo]>,
    /// Its place among them.
    pub(crate) task: usize,
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) tenant: Option<Arc<str>>,
    /// Which attempt at the task it is, counted from 1.
    pub(crate) attempt: u32,
}

impl HostCall {
    pub(crate) fn new(caller: Arc<Caller>, control: Arc<Control>) -> Self {
        Self { caller, control }
    }

    /// The name of the task. For an initializer it is that of the task which needs its instance. A
    /// child was chosen by its parent, which is a guest.
    pub fn task(&self) -> &str {
        &self.caller.tasks[self.caller.task].name
    }

    /// The task's [tag](crate::TaskOptions::tag), if it has one. That of a child was chosen by its
    /// parent, which is a guest.
    pub fn tag(&self) -> Option<&str> {
        self.caller.tag.as_deref()
    }

    /// The task's [tenant](crate::TaskOptions::tenant), if it has one. Children have that of their
    /// parent, so no guest chooses it.
    pub fn tenant(&self) -> Option<&str> {
        self.caller.tenant.as_deref()
    }

    /// Which attempt at the task it is, counted from 1. Only a task with a
    /// [`Retry`](crate::Retry) has more than one.
    pub fn attempt(&self) -> u32 {
        self.caller.attempt
    }

    /// Whether somebody wants the task to stop: it was cancelled, is out of time, or the pool is
    /// terminated. Nobody takes the result then. A function that computes or blocks for long should
    /// look at it now and then, and return early.
    pub fn is_stopping(&self) -> bool {
        self.control.stop_reason().is_some()
    }
}

impl fmt::Debug for HostCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HostCall")
            .field("task", &self.task())
            .field("tag", &self.tag())
            .field("tenant", &self.tenant())
            .field("attempt", &self.attempt())
            .field("is_stopping", &self.is_stopping())
            .finish()
    }
}
