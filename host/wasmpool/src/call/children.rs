//! What a running task needs to start tasks: its children.
//!
//! Does not know who runs them: a guest asks its [`Parent`] for them.

use std::task::Waker;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::objects::{Handed, ObjectBudget};
use crate::sync::Arc;

/// How many children one task may have, with the children of its children, and how many
/// [shared objects](crate::shared) they may make: see
/// [`Capabilities::tasks`](crate::Capabilities::tasks).
///
/// The limits hold for each task that the embedding program submits, together with all that come
/// from it. A child or an object over a limit is not made, and the guest gets an error that says
/// which limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[must_use = "limits do nothing until rights are made with them"]
pub struct ChildLimits {
    pub(crate) alive: usize,
    pub(crate) total: u64,
    pub(crate) depth: u32,
    pub(crate) objects: usize,
    pub(crate) object_bytes: usize,
}

impl ChildLimits {
    /// The default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many may be queued, running or suspended at once. Default: 1,000.
    pub fn alive(mut self, children: usize) -> Self {
        self.alive = children;
        self
    }

    /// How many may be started in all. Default: 1,000,000.
    pub fn total(mut self, children: u64) -> Self {
        self.total = children;
        self
    }

    /// How deep they may be nested: 1 allows children, and 2 allows children of children. Default:
    /// 16.
    pub fn depth(mut self, levels: u32) -> Self {
        self.depth = levels;
        self
    }

    /// How many [shared objects](crate::shared) there may be at once. Default: 1,000.
    pub fn objects(mut self, objects: usize) -> Self {
        self.objects = objects;
        self
    }

    /// How many bytes these objects may hold together, as items, entries and elements. An item and
    /// an entry count for 64 bytes more than they have. Default: 64 MiB.
    pub fn object_bytes(mut self, bytes: usize) -> Self {
        self.object_bytes = bytes;
        self
    }
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self {
            alive: 1_000,
            total: 1_000_000,
            depth: 16,
            objects: 1_000,
            object_bytes: 64 << 20,
        }
    }
}

/// What the children of a task used, with the children of its children.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChildrenReport {
    /// How many it started.
    pub started: u64,
    /// How many of them had failed or were cancelled when it ended.
    pub failed: u64,
    /// How long they computed, together. The time of those that were cancelled while they ran is
    /// not known, and not included.
    pub computed: Duration,
    /// The peak memory of the one that had most, in bytes.
    pub peak_memory: usize,
}

impl ChildrenReport {
    pub(crate) fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.failed += other.failed;
        self.computed = self.computed.saturating_add(other.computed);
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

/// A child that a guest asks for.
pub(crate) struct ChildRequest {
    /// The name of a granted module; `None` for the guest's own.
    pub(crate) module: Option<String>,
    pub(crate) task: String,
    /// A MessagePack array.
    pub(crate) arguments: Vec<u8>,
    /// The shared objects that go along.
    pub(crate) objects: Handed,
    pub(crate) timeout: Option<Duration>,
    pub(crate) memory: Option<usize>,
    pub(crate) tag: Option<String>,
    pub(crate) outlives_parent: bool,
}

/// Why a child was not started, with a message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChildRefused {
    NotAllowed(String),
    UnknownTask(String),
    BadArguments(String),
    OverBudget(String),
    ShutDown(String),
}

/// Why a child failed.
pub(crate) struct ChildFailure {
    /// The name of the kind.
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A running call that may start tasks. Does not block.
pub(crate) trait Parent: Send + Sync {
    fn start(&self, request: ChildRequest) -> Result<Arc<dyn Child>, ChildRefused>;

    /// The budget of the shared objects that it makes.
    fn object_budget(&self) -> Arc<ObjectBudget>;
}

/// A child, as its parent's guest has it. Does not block.
pub(crate) trait Child: Send + Sync {
    /// Whether it has ended. If not, `waker` is woken when it has; a later poll replaces the waker
    /// of an earlier one.
    fn poll(&self, waker: &Waker) -> bool;

    /// How it has ended: its result as MessagePack, or its error.
    fn outcome(&self) -> Option<Result<Vec<u8>, ChildFailure>>;

    /// The shared objects that came with its result.
    fn objects(&self) -> Handed;

    /// Cancels it. Says whether its outcome is that it was cancelled.
    fn cancel(&self) -> bool;
}
