//! The future of a task in a cluster.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasmpool::{TaskErrorKind, TaskReport};

use super::open_task::{OpenTask, Settled};
use super::open_tasks::OpenTasks;
use crate::connection;
use crate::error::RunError;
use crate::transcode;

/// The future of a task that was submitted to a cluster.
///
/// It can be waited for by blocking, with `.await` in any asynchronous runtime, or with a
/// [callback](Self::on_done). The outcome can be read many times and from many threads; each read
/// decodes the result anew.
/// Dropping a future neither blocks nor cancels its task. Dropping the [`Cluster`](crate::Cluster)
/// cancels it.
#[must_use = "a task runs without its future, but nobody will see its outcome"]
pub struct ClusterFuture<Out> {
    tasks: Arc<OpenTasks>,
    task: Arc<OpenTask>,
    out: PhantomData<fn() -> Out>,
}

impl<Out> ClusterFuture<Out> {
    pub(super) fn new(tasks: Arc<OpenTasks>, task: Arc<OpenTask>) -> Self {
        Self {
            tasks,
            task,
            out: PhantomData,
        }
    }

    /// Cancels the task, queued or running, on whatever node. Threads that wait for it are woken at
    /// once. A queued task does not start; a running one is stopped when its node hears of it, which
    /// takes as long as a message to the node.
    ///
    /// Returns whether the task's outcome is that it was cancelled, now or earlier; false if it has
    /// ended with another outcome. Does not block.
    pub fn cancel(&self) -> bool {
        self.tasks.cancel(&self.task)
    }

    /// Whether the task has ended, with a result or an error.
    pub fn is_done(&self) -> bool {
        self.task.settled().is_some()
    }

    /// The error that the task ended with; `None` while it has not ended, or if it succeeded.
    pub fn error(&self) -> Option<&RunError> {
        self.task.settled()?.result.as_ref().err()
    }

    /// The resources that the task used on its node, and its output; `None` while it has not ended.
    pub fn report(&self) -> Option<&TaskReport> {
        Some(&self.task.settled()?.report)
    }

    /// The name of the node that ended the task; `None` while it has not ended, or if none did.
    pub fn node(&self) -> Option<&str> {
        self.task.settled()?.node.as_deref()
    }

    /// Calls `callback` with this future when the task ends, or at once if it has ended.
    ///
    /// Callbacks run in the order in which they were added, on the thread of the connection to the
    /// server or on the one that cancels the task; on this thread if the task has ended. Nothing
    /// else is received meanwhile, so keep them short. A function of the cluster that would block
    /// panics there. A panic ends only its callback.
    pub fn on_done(&self, callback: impl FnOnce(&Self) + Send + 'static)
    where
        Out: 'static,
    {
        let future = Self::new(Arc::clone(&self.tasks), Arc::clone(&self.task));
        self.task.on_settled(Box::new(move || callback(&future)));
    }
}

impl<Out: DeserializeOwned> ClusterFuture<Out> {
    /// Blocks until the task has ended, and returns its result or error. While the server cannot be
    /// reached, or there is no node, that takes as long as this lasts.
    ///
    /// # Errors
    ///
    /// The error that the task ended with, or a [`BadResult`](TaskErrorKind::BadResult) if its
    /// result is not of the type `Out`.
    pub fn wait(&self) -> Result<Out, RunError> {
        self.wait_as()
    }

    /// As [`wait`](Self::wait), but blocks for at most `timeout`. Returns `None` if the task has not
    /// ended by then; the task runs on and can be waited for again. A timeout of zero does not
    /// block.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Out, RunError>> {
        // A deadline that overflows `Instant` never comes.
        let deadline = Instant::now().checked_add(timeout);
        self.settled(deadline).map(read)
    }

    /// The result or the error of a task that has ended; `None` while it has not. Does not block.
    pub fn result(&self) -> Option<Result<Out, RunError>> {
        self.task.settled().map(read)
    }

    /// As [`wait`](Self::wait), but reads the result as a `T`, which may borrow from the future.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RunError> {
        let settled = self.settled(None);
        read(settled.expect("without a deadline it waits for the end"))
    }

    /// Blocks until the task has settled, or the deadline has passed.
    fn settled(&self, deadline: Option<Instant>) -> Option<&Settled> {
        self.task.settled().or_else(|| {
            connection::assert_may_block();
            self.task.wait(deadline)
        })
    }
}

impl<Out: DeserializeOwned> Future for ClusterFuture<Out> {
    type Output = Result<Out, RunError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.task.poll(context.waker()) {
            Some(settled) => Poll::Ready(read(settled)),
            None => Poll::Pending,
        }
    }
}

fn read<'a, Out: Deserialize<'a>>(settled: &'a Settled) -> Result<Out, RunError> {
    let bytes = settled.result.as_ref().map_err(RunError::clone)?;
    transcode::decode(bytes).map_err(|problem| {
        let message = format!("the result cannot be read: {problem}");
        RunError::of_pool(TaskErrorKind::BadResult, &message)
    })
}

impl<Out> fmt::Debug for ClusterFuture<Out> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClusterFuture")
            .field("is_done", &self.is_done())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}
