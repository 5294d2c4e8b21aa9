//! Why a submission was refused.

use std::fmt;

use super::kinds::TaskErrorKind;
use super::task::TaskError;

/// Why a submission was refused. Returns the arguments to the caller.
pub struct SubmitError<Args> {
    kind: SubmitErrorKind,
    arguments: Args,
}

/// The kinds of [`SubmitError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitErrorKind {
    /// The queue is full, and the caller did not wait, or its timeout is over.
    #[error("the queue is full")]
    Full,
    /// The tenant has as many tasks in the queue as it may, and the caller did not wait, or its
    /// timeout is over. Other tenants may have room.
    #[error("the tenant's share of the queue is full")]
    TenantFull,
    /// The pool has been shut down.
    #[error("the pool is shut down")]
    ShutDown,
    /// The arguments cannot be written as MessagePack, or are larger than the payload limit.
    #[error("{0}")]
    BadArguments(String),
    /// The task has a fuel limit of its own, and the pool counts no fuel.
    #[error("the pool does not meter fuel; build it with a `fuel_limit` of its own")]
    FuelNotMetered,
    /// The task was loaded by another pool.
    #[error("the task belongs to another pool; load its module with this one")]
    ForeignTask,
    /// The task cannot be a call of this session.
    #[error("{0}")]
    UnfitForSession(String),
}

impl<Args> SubmitError<Args> {
    pub(crate) fn new(kind: SubmitErrorKind, arguments: Args) -> Self {
        Self { kind, arguments }
    }

    /// Why the submission was refused.
    pub fn kind(&self) -> &SubmitErrorKind {
        &self.kind
    }

    /// Whether the queue was full, for the tenant or for everybody.
    pub fn is_full(&self) -> bool {
        matches!(
            self.kind,
            SubmitErrorKind::Full | SubmitErrorKind::TenantFull
        )
    }

    /// Whether the pool has been shut down.
    pub fn is_shut_down(&self) -> bool {
        self.kind == SubmitErrorKind::ShutDown
    }

    /// The arguments, for example to submit them again.
    pub fn into_arguments(self) -> Args {
        self.arguments
    }
}

impl SubmitErrorKind {
    /// The refusal as the error of a task.
    pub(crate) fn into_task_error(self) -> TaskError {
        let kind = match self {
            Self::ShutDown => TaskErrorKind::ShutDown,
            Self::BadArguments(_)
            | Self::FuelNotMetered
            | Self::ForeignTask
            | Self::UnfitForSession(_) => TaskErrorKind::BadArguments,
            Self::Full | Self::TenantFull => TaskErrorKind::QueueTimedOut,
        };
        TaskError::new(kind, self.to_string())
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
