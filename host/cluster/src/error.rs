//! What can go wrong, one type for each operation.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmpool::{TaskError, TaskErrorKind};

use crate::wire;

/// Why a cluster cannot be reached or used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A file of credentials cannot be read.
    #[error("cannot read the credentials `{}`: {source}", path.display())]
    #[non_exhaustive]
    Credentials {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: Arc<std::io::Error>,
    },
    /// The server does not answer, or refuses the connection.
    #[error("cannot connect to the NATS server `{url}`: {problem}")]
    #[non_exhaustive]
    Unreachable {
        /// The address, without a password.
        url: String,
        /// What the client says.
        problem: String,
    },
    /// The server has no JetStream, or does not let this user have a stream or a store.
    #[error(
        "cannot use `{name}` on the NATS server: {problem}; start it with JetStream (`nats-server \
         -js`), and let this user use its API"
    )]
    #[non_exhaustive]
    JetStream {
        /// The stream or the store.
        name: &'static str,
        /// What the server says.
        problem: String,
    },
    /// The thread of the connection cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(Arc<std::io::Error>),
}

/// Why a module cannot be given to a cluster.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: Arc<std::io::Error>,
    },
    /// The server does not take it.
    #[error("cannot store the module on the NATS server: {0}")]
    Store(String),
}

/// Why a submission was refused. Returns the arguments to the caller.
pub struct SubmitError<Args> {
    kind: SubmitErrorKind,
    arguments: Args,
}

/// The kinds of [`SubmitError`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitErrorKind {
    /// The queue of the cluster is full, and the caller did not wait, or its timeout is over.
    #[error("the queue of the cluster is full")]
    Full,
    /// The arguments cannot be written as MessagePack.
    #[error("the arguments cannot be encoded: {0}")]
    BadArguments(String),
    /// The server did not confirm the task in time. A repeated submission is another task; this one
    /// is withdrawn as soon as the server can be reached.
    #[error("the NATS server has not confirmed the task: {0}")]
    Unconfirmed(String),
}

impl<Args> SubmitError<Args> {
    pub(crate) fn new(kind: SubmitErrorKind, arguments: Args) -> Self {
        Self { kind, arguments }
    }

    /// Why the submission was refused.
    pub fn kind(&self) -> &SubmitErrorKind {
        &self.kind
    }

    /// Whether the queue was full.
    pub fn is_full(&self) -> bool {
        self.kind == SubmitErrorKind::Full
    }

    /// The arguments, for example to submit them again.
    pub fn into_arguments(self) -> Args {
        self.arguments
    }
}

impl<Args> fmt::Display for SubmitError<Args> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl<Args> fmt::Debug for SubmitError<Args> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SubmitError")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<Args> std::error::Error for SubmitError<Args> {}

/// Why a task came to no result.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The task ended with an error in the pool of a node, or was cancelled.
    #[error(transparent)]
    Task(TaskError),
    /// The node that ran the task went away without an outcome, as many times as a task is tried.
    /// Probably the task brings its nodes down.
    #[error(
        "{deliveries} nodes went away while they ran the task, so it is not tried again; look for a \
         node that was killed, for example for its memory"
    )]
    #[non_exhaustive]
    NodesLost {
        /// How many times it was tried.
        deliveries: u64,
    },
    /// The node that ran the task went away, and the task is to run at most once.
    #[error("the node that ran the task went away, and the task is to run at most once")]
    NodeLost,
    /// The server was restarted and has lost the task, which is to run at most once. It may have run.
    #[error(
        "the NATS server was restarted and has lost the task, which is to run at most once; it may have \
         run"
    )]
    ServerLost,
    /// The nodes did not hear of the caller for too long, so they have dropped its tasks.
    #[error("the nodes have not heard of the caller for too long and dropped its tasks")]
    CallerLost,
    /// The node cannot use the module.
    #[error("the node cannot use the module: {0}")]
    Module(String),
    /// Arguments or a result that were stored for the task are gone or cannot be read.
    #[error("what was stored for the task cannot be used: {0}")]
    Payload(String),
    /// The task of a [map](crate::Cluster::map) was not accepted.
    #[error("not submitted: {0}")]
    Submit(SubmitErrorKind),
}

impl RunError {
    /// The error of the pool that ran the task; `None` if the cluster is the reason.
    pub fn task_error(&self) -> Option<&TaskError> {
        match self {
            Self::Task(error) => Some(error),
            _ => None,
        }
    }

    /// The kind of the error as a word, such as `timed-out` or `nodes-lost`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Task(error) => error.kind().name(),
            Self::NodesLost { .. } => "nodes-lost",
            Self::NodeLost => "node-lost",
            Self::ServerLost => "server-lost",
            Self::CallerLost => "caller-lost",
            Self::Module(_) => "module",
            Self::Payload(_) => "payload",
            Self::Submit(_) => "not-submitted",
        }
    }

    /// Whether the task ran out of time, in the queue or while it ran.
    pub fn is_timeout(&self) -> bool {
        self.task_error().is_some_and(TaskError::is_timeout)
    }

    /// Whether the task was cancelled, or stopped with its node.
    pub fn is_cancelled(&self) -> bool {
        self.task_error().is_some_and(TaskError::is_cancelled)
    }

    /// An error as a pool has it.
    pub(crate) fn of_pool(kind: TaskErrorKind, message: &str) -> Self {
        /// The fields of a `TaskError` that a form of it must have.
        #[derive(Serialize)]
        struct Form<'a> {
            kind: TaskErrorKind,
            message: &'a str,
            code: &'a str,
            backtrace: [(); 0],
            stderr: &'a str,
        }
        let form = wire::encode(&Form {
            kind,
            message,
            code: "",
            backtrace: [],
            stderr: "",
        });
        let error = wire::decode(&form);
        Self::Task(error.expect("these are the fields of the error's serialized form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_as_a_pool_has_it_survives_the_journey() {
        let error = RunError::of_pool(TaskErrorKind::Exited(7), "exited with 7");
        let arrived = wire::decode::<RunError>(&wire::encode(&error)).unwrap();
        let error = arrived.task_error().unwrap();
        assert_eq!(error.kind(), TaskErrorKind::Exited(7));
        assert_eq!(error.to_string(), "exited with 7");
    }
}
