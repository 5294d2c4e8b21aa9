//! What callers hold before they submit: modules and references to their tasks.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use wasmpool::{Arguments, TaskOptions};

use crate::message::Wishes;

/// A module that a cluster has. Cheap to clone.
///
/// It can be used with every [`Cluster`](crate::Cluster) of the same server.
#[derive(Debug, Clone)]
pub struct ClusterModule {
    hash: Arc<str>,
}

impl ClusterModule {
    pub(super) fn new(hash: String) -> Self {
        Self { hash: hash.into() }
    }

    /// The BLAKE3 hash of the module, in hexadecimal: its name in the object store
    /// `wasmpool-modules`.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// A reference to the task `name`, with the types of its arguments and its result.
    ///
    /// Only nodes compile the module, so nothing is checked here: a task with another name or with
    /// unfit arguments ends as [`UnknownTask`](wasmpool::TaskErrorKind::UnknownTask) or
    /// [`BadArguments`](wasmpool::TaskErrorKind::BadArguments).
    pub fn task<Args: Arguments, Out>(&self, name: impl Into<Arc<str>>) -> ClusterTask<Args, Out> {
        ClusterTask {
            module: self.clone(),
            name: name.into(),
            wishes: Arc::default(),
            has_rights: false,
            is_at_most_once: false,
            types: PhantomData,
        }
    }
}

/// A task of a module in a cluster, with the types of its arguments and its result. Cheap to clone.
pub struct ClusterTask<Args, Out> {
    module: ClusterModule,
    name: Arc<str>,
    wishes: Arc<Wishes>,
    has_rights: bool,
    is_at_most_once: bool,
    types: PhantomData<fn(Args) -> Out>,
}

impl<Args, Out> ClusterTask<Args, Out> {
    /// The name of the task.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A reference to the same task with these options, which replace those of this reference.
    ///
    /// A node heeds the timeouts, the limits of memory, fuel and a program's output, the retries, the
    /// tag and the tenant. Limits can be lower than those of the node, and not higher.
    ///
    /// Not heeded are rights (see [`with_rights_of_node`](Self::with_rights_of_node)), priorities,
    /// chunks, isolation and the grace period. The queue timeout counts from when the server has
    /// stored the task, by the clocks of the server and of the node, and is looked at when a node
    /// takes the task: without a node nothing times out.
    pub fn with(&self, options: &TaskOptions) -> Self {
        Self {
            wishes: Arc::new(options.into()),
            ..self.clone()
        }
    }

    /// A reference to the same task with the rights that the command line of its node grants.
    /// Default: no rights.
    pub fn with_rights_of_node(&self) -> Self {
        Self {
            has_rights: true,
            ..self.clone()
        }
    }

    /// A reference to the same task that is started at most once: if its node goes away, it ends as
    /// [`NodeLost`](crate::RunError::NodeLost), and if the server is killed and loses it, as
    /// [`ServerLost`](crate::RunError::ServerLost). For tasks that change something outside. Default:
    /// a task is started again on another node.
    pub fn at_most_once(&self) -> Self {
        Self {
            is_at_most_once: true,
            ..self.clone()
        }
    }

    pub(super) fn module(&self) -> &ClusterModule {
        &self.module
    }

    pub(super) fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    pub(super) fn has_rights(&self) -> bool {
        self.has_rights
    }

    pub(super) fn is_at_most_once(&self) -> bool {
        self.is_at_most_once
    }
}

impl<Args, Out> Clone for ClusterTask<Args, Out> {
    fn clone(&self) -> Self {
        Self {
            module: self.module.clone(),
            name: Arc::clone(&self.name),
            wishes: Arc::clone(&self.wishes),
            has_rights: self.has_rights,
            is_at_most_once: self.is_at_most_once,
            types: PhantomData,
        }
    }
}

impl<Args, Out> fmt::Debug for ClusterTask<Args, Out> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("ClusterTask")
            .field(&self.name)
            .finish()
    }
}
