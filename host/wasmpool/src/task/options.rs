//! Options of a task reference, which override the pool's settings.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::LimitOverrides;
use crate::sandbox::Capabilities;
use crate::schedule::{Isolation, Line, Retry};
use crate::sync::Arc;

/// Options of a [`Task`](crate::Task) reference, which override the pool's settings. The default
/// of each is the pool's setting, unless its method says otherwise.
///
/// Options can be serialized with serde, except [`capabilities`](Self::capabilities), which are
/// skipped: rights are granted where they are used.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use wasmpool::{Pool, Priority, TaskOptions};
/// let pool = Pool::builder().task_timeout(Duration::from_secs(60)).build()?;
/// # let module = pool.load(wasmpool_guests::FACTORIZER.path())?;
/// let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;
/// let options = TaskOptions::new()
///     .task_timeout(Duration::from_secs(1))
///     .priority(Priority::High);
/// let quick = factorize.with(options);
/// assert_eq!(pool.submit(&quick, (77,))?.wait()?, [7, 11]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[must_use = "options do nothing until a task reference is made with them"]
pub struct TaskOptions {
    #[serde(flatten)]
    limits: LimitOverrides,
    isolation: Option<Isolation>,
    // Open folders cannot be serialized.
    #[serde(skip)]
    capabilities: Option<Capabilities>,
    retry: Option<Retry>,
    priority: Priority,
    chunk_size: Option<NonZeroUsize>,
    #[serde(with = "shared_text")]
    tenant: Option<Arc<str>>,
    #[serde(with = "shared_text")]
    tag: Option<Arc<str>>,
}

/// Which of the queued tasks starts first.
///
/// Tasks of one priority and one [tenant](TaskOptions::tenant) start in order of submission. While
/// no worker is free, a task makes room for one of a higher priority after a millisecond, and goes
/// on later. A lower priority does not starve: after it was passed over eight times, one of its
/// tasks has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Priority {
    /// Before all others.
    High,
    /// Between the others. This is the default.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl TaskOptions {
    /// Options that override nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`PoolBuilder::task_timeout`](crate::PoolBuilder::task_timeout).
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.limits.task_timeout = Some(timeout);
        self
    }

    /// See [`PoolBuilder::compute_timeout`](crate::PoolBuilder::compute_timeout).
    pub fn compute_timeout(mut self, timeout: Duration) -> Self {
        self.limits.compute_timeout = Some(timeout);
        self
    }

    /// See [`PoolBuilder::queue_timeout`](crate::PoolBuilder::queue_timeout).
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.limits.queue_timeout = Some(timeout);
        self
    }

    /// See [`PoolBuilder::stop_grace`](crate::PoolBuilder::stop_grace).
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.limits.stop_grace = Some(grace);
        self
    }

    /// See [`PoolBuilder::memory_limit`](crate::PoolBuilder::memory_limit). A warm instance
    /// that already holds more may go on with what it has.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.limits.memory = Some(bytes);
        self
    }

    /// See [`PoolBuilder::fuel_limit`](crate::PoolBuilder::fuel_limit). The pool must meter
    /// fuel, that is, have a limit of its own; otherwise the task is refused.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.limits.fuel = Some(fuel);
        self
    }

    /// See [`PoolBuilder::program_output_limit`](crate::PoolBuilder::program_output_limit).
    pub fn program_output_limit(mut self, bytes: usize) -> Self {
        self.limits.program_output = Some(bytes);
        self
    }

    /// The tasks' rights, which replace those of their
    /// [module](crate::TaskModule::with_capabilities). Such tasks run in fresh instances, whatever
    /// the isolation. Default: the module's rights.
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// See [`PoolBuilder::isolation`](crate::PoolBuilder::isolation). Has no effect in a pool of
    /// [`Isolation::Task`], which has no warm instances.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Which of the queued tasks starts first. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Whose the tasks are: any text. Default: tasks without a name have one tenant together.
    ///
    /// Tenants share the workers by time: within a [priority](Self::priority) the next task is one
    /// of the tenant whose tasks have held workers for the least time. While no worker is free, a
    /// running task makes room when its tenant has had a millisecond more than one that waits; it
    /// goes on later, on whichever worker is free. A tenant that had no task for a while starts
    /// level with the others, and a little ahead: what it did not use is not saved up. Tasks of one
    /// tenant start in order of submission and do not interrupt each other.
    ///
    /// A task that makes room keeps its instance and its [timeout](Self::task_timeout) runs on; see
    /// [`compute_timeout`](Self::compute_timeout) for one that does not. A pool without epoch
    /// checks cannot interrupt tasks, and a task of a module with several memories is not.
    ///
    /// [`PoolBuilder::tenant_limits`](crate::PoolBuilder::tenant_limits) bounds what a tenant may
    /// have running and queued.
    pub fn tenant(mut self, name: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(name.into());
        self
    }

    /// See [`PoolBuilder::retry`](crate::PoolBuilder::retry).
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How many inputs of a map a worker takes at once, 1 to 4096; larger values count as 4096.
    /// Each input is still a task with its own outcome, timeout and report, and idle workers take
    /// over the tasks behind a slow or stuck one. Default: the map measures its tasks and makes
    /// chunks of about 100 microseconds and at most 64 inputs.
    ///
    /// Has an effect only in [`Pool::map`](crate::Pool::map), `map_unordered` and `map_async`;
    /// chunks pay off for tasks that take microseconds. Tasks of a higher
    /// [priority](Self::priority) do not wait for the rest of a chunk.
    pub fn chunk_size(mut self, inputs: NonZeroUsize) -> Self {
        self.chunk_size = Some(inputs);
        self
    }

    /// A label for the task, returned by [`TaskFuture::tag`](crate::TaskFuture::tag) and recorded
    /// in traces. Default: none.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    pub(crate) fn limits(&self) -> &LimitOverrides {
        &self.limits
    }

    pub(crate) fn wants_fresh_instance(&self) -> bool {
        self.isolation == Some(Isolation::Task) || self.capabilities.is_some()
    }

    pub(crate) fn own_capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    pub(crate) fn own_retry(&self) -> Option<Retry> {
        self.retry
    }

    pub(crate) fn own_chunk_size(&self) -> Option<NonZeroUsize> {
        self.chunk_size
    }

    pub(crate) fn own_tag(&self) -> Option<&Arc<str>> {
        self.tag.as_ref()
    }

    pub(crate) fn own_tenant(&self) -> Option<&Arc<str>> {
        self.tenant.as_ref()
    }

    /// The line of the queue that the task waits in.
    pub(crate) fn line(&self) -> Line {
        Line {
            lane: self.priority as usize,
            tenant: self.tenant.clone(),
            depth: 0,
        }
    }
}

/// Serializes shared text as a string.
mod shared_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::sync::Arc;

    pub(super) fn serialize<S: Serializer>(
        text: &Option<Arc<str>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        text.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<str>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.map(Arc::from))
    }
}
