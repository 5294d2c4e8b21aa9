//! The ways to shut a pool down.

/// What becomes of the tasks that a pool has accepted when it is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// All of them run to their end.
    Graceful,
    /// Running tasks run to their end, queued ones are cancelled.
    Cancel,
    /// Queued tasks are cancelled, running ones are stopped and end as
    /// [`ShutDown`](crate::TaskErrorKind::ShutDown).
    Terminate,
}
