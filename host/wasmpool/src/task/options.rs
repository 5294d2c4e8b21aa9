//! How one task is run, where that differs from what its pool does with all of them.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::LimitOverrides;
use crate::sandbox::Capabilities;
use crate::schedule::{Isolation, Retry};
use crate::sync::Arc;

/// How the tasks of one [`Task`](crate::Task) reference are run, where that differs from the
/// pool's settings. What is not set here is as the pool has it.
///
/// With serde they can be written down and read again, but for
/// [`capabilities`](Self::capabilities), which are left out: rights are granted where they are used.
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
    // Folders that were opened cannot be written down.
    #[serde(skip)]
    capabilities: Option<Capabilities>,
    retry: Option<Retry>,
    priority: Priority,
    chunk_size: Option<NonZeroUsize>,
    #[serde(with = "shared_text")]
    tag: Option<Arc<str>>,
}

/// Which of the queued tasks starts first.
///
/// Among tasks of one priority it is the one that was submitted first. A lower priority
/// does not starve: when it has been passed over eight times it has its turn.
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
    /// No difference to the pool's settings.
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

    /// What the tasks may use of the host, in the place of what their
    /// [module](crate::TaskModule::with_capabilities) may. They run in fresh instances then,
    /// whatever the isolation. Default: as the module has it.
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// See [`PoolBuilder::isolation`](crate::PoolBuilder::isolation). In a pool of
    /// [`Isolation::Task`] there are no warm instances to share: then this changes nothing.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Which of the queued tasks starts first. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// See [`PoolBuilder::retry`](crate::PoolBuilder::retry).
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How many inputs of a map a worker takes in one go. Each is a task all the same, with
    /// its own outcome, timeout and report, and one that is slow or stuck holds up no other
    /// for as long as there is a worker with nothing else to do. Default: the map finds out
    /// what a task takes, and makes chunks of about 100 microseconds, of 64 inputs at the
    /// most. More than 4096 are taken for 4096.
    ///
    /// Matters only in [`Pool::map`](crate::Pool::map) and its kin, where it pays for tasks
    /// that take microseconds. Tasks of a higher [priority](Self::priority) do not wait for
    /// the rest of a chunk.
    pub fn chunk_size(mut self, inputs: NonZeroUsize) -> Self {
        self.chunk_size = Some(inputs);
        self
    }

    /// What to call the task: [`TaskFuture::tag`](crate::TaskFuture::tag) gives it back, and
    /// traces name it. Default: nothing.
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

    /// The lane of the queue that the task waits in.
    pub(crate) fn lane(&self) -> usize {
        self.priority as usize
    }
}

/// Shared text, as serde writes any text.
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
