//! The caller's side of a submitted task.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::{Progress, TaskEvents, TaskReport};
use crate::error::{TaskError, TaskErrorKind};
use crate::objects;
use crate::schedule::{JobRef, Settled, TaskState};
use crate::sync::{Arc, Instant};
use crate::value::{self, Signature};

/// The future of a submitted task.
///
/// Wait with [`wait`](Self::wait), with [`wait_timeout`](Self::wait_timeout), or with `.await` on
/// any executor. The outcome can be read many times and from many threads; each read decodes the
/// result anew.
///
/// Dropping a future does not block and neither cancels nor stops its task. Call
/// [`cancel`](Self::cancel) first to stop it.
#[must_use = "a task runs without its future, but nobody will see its outcome"]
pub struct TaskFuture<Out> {
    task: JobRef,
    /// The type to decode the result by; `None` unless the task is an exported function.
    signature: Option<Arc<Signature>>,
    /// How many bytes decoding such a result may allocate.
    decoded_limit: usize,
    out: PhantomData<fn() -> Out>,
}

impl<Out> TaskFuture<Out> {
    pub(crate) fn new(
        task: JobRef,
        signature: Option<Arc<Signature>>,
        decoded_limit: usize,
    ) -> Self {
        Self {
            task,
            signature,
            decoded_limit,
            out: PhantomData,
        }
    }

    /// The task's job, which is its identity.
    pub(crate) fn task(&self) -> &JobRef {
        &self.task
    }

    /// Cancels the task, queued or running. A queued task never starts. The guest of a running
    /// task is stopped, usually within microseconds. Threads that wait for the task are woken at
    /// once.
    ///
    /// Returns whether the task's outcome is that it was cancelled, now or earlier; false if it
    /// has ended with another outcome. Does not block.
    pub fn cancel(&self) -> bool {
        self.task.cancel("cancelled")
    }

    /// Whether the task is queued, running or done.
    pub fn state(&self) -> TaskState {
        self.task.task_state()
    }

    /// The tag from the task's [options](crate::TaskOptions::tag).
    pub fn tag(&self) -> Option<&str> {
        self.task.tag()
    }

    /// Whether the task has ended, with a result or an error.
    pub fn is_done(&self) -> bool {
        self.task.settled().is_some()
    }

    /// Whether the task was cancelled, or stopped by a terminating pool.
    pub fn is_cancelled(&self) -> bool {
        self.error().is_some_and(TaskError::is_cancelled)
    }

    /// The error that the task ended with; `None` while it has not ended, or if it succeeded.
    pub fn error(&self) -> Option<&TaskError> {
        self.task.settled()?.outcome.as_ref().err()
    }

    /// The resources that the task used, and its output; `None` while it has not ended.
    pub fn report(&self) -> Option<&TaskReport> {
        Some(&self.task.settled()?.report)
    }

    /// The last progress that the task has reported; `None` if it has reported none.
    pub fn progress(&self) -> Option<Progress> {
        self.task.progress()
    }

    /// The task's events from now on: its progress and its output, of all attempts. Does not
    /// block.
    ///
    /// Earlier events are not repeated. The end of its output is in its [`report`](Self::report),
    /// its last progress is [`progress`](Self::progress).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = wasmpool::Pool::new()?;
    /// # let module = pool.load(wasmpool_guests::TOUR.path())?;
    /// use wasmpool::TaskEvent;
    /// let sum_to = module.task::<(u64,), u64>("sum_to")?;
    /// let future = pool.submit(&sum_to, (1_000_000,))?;
    /// for event in future.events() {
    ///     if let TaskEvent::Progress(progress) = event {
    ///         eprintln!("{} of {:?}", progress.done, progress.total);
    ///     }
    /// }
    /// assert_eq!(future.wait()?, 500_000_500_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> TaskEvents {
        let (listener, events) = TaskEvents::channel();
        self.task.add_listener(listener);
        events
    }

    /// Calls `callback` with this future when the task ends, or at once if it has ended.
    ///
    /// Callbacks run in the order in which they were added, on the thread that ends the task: a
    /// worker, the thread that cancels it or shuts the pool down, or this thread if the task has
    /// ended. One thread of the pool runs the callbacks of tasks whose `queue_timeout` is over, of
    /// stopped tasks whose call does not end, and of calls whose [session](crate::Session) has ended.
    /// Nothing else runs on the thread meanwhile, so keep
    /// callbacks short. Threads that wait for the task, in [`wait`](Self::wait),
    /// [`wait`](crate::wait()) or [`as_completed`](crate::as_completed), are woken before the first
    /// callback. Dropping the pool waits for running callbacks.
    ///
    /// A callback may submit tasks to the pool and shut it down; neither blocks on the pool's own
    /// threads. It must not wait for another task of the pool, which may need the thread that
    /// waits. A panic ends only its callback; the others still run.
    pub fn on_done(&self, callback: impl FnOnce(&Self) + Send + 'static)
    where
        Out: 'static,
    {
        let task = Arc::clone(&self.task);
        let future = Self::new(task, self.signature.clone(), self.decoded_limit);
        self.task.on_settled(Box::new(move || callback(&future)));
    }
}

impl<Out: DeserializeOwned> TaskFuture<Out> {
    /// Blocks until the task has ended, and returns its result or error.
    ///
    /// # Errors
    ///
    /// The error that the task ended with, or a [`BadResult`](TaskErrorKind::BadResult) if
    /// its result is not of the type `Out`.
    pub fn wait(&self) -> Result<Out, TaskError> {
        let settled = self.task.wait(None);
        self.decode(settled.expect("without a deadline it waits for the end"))
    }

    /// As [`wait`](Self::wait), but blocks for at most `timeout`. Returns `None` if the task has
    /// not ended by then; the task runs on and can be waited for again. A timeout of zero does not
    /// block.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Out, TaskError>> {
        // A deadline that overflows `Instant` never comes.
        let deadline = Instant::now().checked_add(timeout);
        self.task.wait(deadline).map(|settled| self.decode(settled))
    }
}

impl<Out> TaskFuture<Out> {
    /// Blocks until the task has ended, and decodes its result as a `T` that may borrow from this
    /// future: text and bytes are not copied. For large results.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = wasmpool::Pool::new()?;
    /// # let module = pool.load(wasmpool_guests::TOUR.path())?;
    /// let echo = module.task::<(&serde_bytes::Bytes,), serde_bytes::ByteBuf>("echo")?;
    /// let future = pool.submit(&echo, (serde_bytes::Bytes::new(b"large"),))?;
    /// let bytes: &serde_bytes::Bytes = future.wait_as()?;
    /// assert_eq!(&**bytes, b"large");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, TaskError> {
        let settled = self.task.wait(None);
        self.decode(settled.expect("without a deadline it waits for the end"))
    }

    fn decode<'a, T: Deserialize<'a>>(&self, settled: &'a Settled) -> Result<T, TaskError> {
        let result = settled.outcome.as_ref().map_err(TaskError::clone)?;
        let signature = self.signature.as_deref();
        let decoded = objects::receiving(&result.objects, || {
            value::decode_result(signature, result, self.decoded_limit)
        });
        decoded.map_err(|message| {
            TaskError::new(
                TaskErrorKind::BadResult,
                format!("the result cannot be read: {message}"),
            )
        })
    }
}

impl<Out: DeserializeOwned> Future for TaskFuture<Out> {
    type Output = Result<Out, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.task.poll(context.waker()) {
            Some(settled) => Poll::Ready(self.decode(settled)),
            None => Poll::Pending,
        }
    }
}

impl<Out> fmt::Debug for TaskFuture<Out> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskFuture")
            .field("state", &self.state())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}
