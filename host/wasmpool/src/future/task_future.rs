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
use crate::schedule::{JobRef, Settled, TaskState};
use crate::sync::{Arc, Instant};
use crate::value::{self, Signature};

/// A task that was submitted, and its outcome as soon as there is one.
///
/// Wait for it with [`wait`](Self::wait), with a time limit, or with `.await` on any
/// executor; ask for the outcome as often as you like, from as many threads as you like.
/// The result is decoded anew for each who asks.
///
/// Dropping a future neither cancels nor stops its task: the task runs and nobody hears of
/// it. Call [`cancel`](Self::cancel) first if that is not what you want.
#[must_use = "a task runs without its future, but nobody will see its outcome"]
pub struct TaskFuture<Out> {
    task: JobRef,
    /// What the result is read along, if it is that of an exported function.
    signature: Option<Arc<Signature>>,
    /// How many bytes may be made of such a result when it is read.
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

    /// The task's job: what tells one task from another.
    pub(crate) fn task(&self) -> &JobRef {
        &self.task
    }

    /// Cancels the task, wherever it is. A queued task never starts; the guest of a running
    /// one is stopped, within microseconds if it computes or waits in the host. Whoever
    /// waits is woken at once.
    ///
    /// Returns whether the task's outcome is now that it was cancelled: true also when it
    /// already was, false when it has ended in another way, which it then keeps. Does not
    /// block.
    pub fn cancel(&self) -> bool {
        self.task.cancel("cancelled")
    }

    /// Where the task is in its life.
    pub fn state(&self) -> TaskState {
        self.task.task_state()
    }

    /// The tag that the task was given by its [options](crate::TaskOptions::tag).
    pub fn tag(&self) -> Option<&str> {
        self.task.tag()
    }

    /// Whether the task has ended, in whichever way.
    pub fn is_done(&self) -> bool {
        self.task.settled().is_some()
    }

    /// Whether the task was cancelled, or stopped by a terminating pool.
    pub fn is_cancelled(&self) -> bool {
        self.error().is_some_and(TaskError::is_cancelled)
    }

    /// The error that the task ended with; none while it has not ended, or if it succeeded.
    pub fn error(&self) -> Option<&TaskError> {
        self.task.settled()?.outcome.as_ref().err()
    }

    /// What the task cost and printed; none while it has not ended.
    pub fn report(&self) -> Option<&TaskReport> {
        Some(&self.task.settled()?.report)
    }

    /// How far the task has come, by its own account; none if it has said nothing.
    pub fn progress(&self) -> Option<Progress> {
        self.task.progress()
    }

    /// What the task says from now on, as it says it: its progress and what it prints. A
    /// task that was tried again is heard in every attempt.
    ///
    /// What it said before is not repeated. The last of its output is in its
    /// [`report`](Self::report) at the end all the same, its newest progress is
    /// [`progress`](Self::progress).
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
    /// Callbacks run in the order in which they were added, on the thread that ends the
    /// task: a worker, the one that cancels it or shuts the pool down, or this one. Those of
    /// tasks whose `queue_timeout` is over have one thread of the pool for them all. That
    /// thread does nothing else meanwhile, so keep them short. Whoever waits for the task, in
    /// [`wait`](Self::wait), [`wait`](crate::wait()) or [`as_completed`](crate::as_completed), is
    /// woken before the first callback. Dropping the pool waits for callbacks that run.
    ///
    /// On the pool's own threads a callback may submit tasks to the pool and shut it down;
    /// neither blocks there. It must not wait for another task of the pool, which may need
    /// the very thread that waits. A callback that panics ends there; the others are called
    /// all the same.
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

    /// Blocks until the task has ended, for `timeout` at the longest. `None` if it has not;
    /// the task goes on and can be waited for again. A timeout of zero does not block.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Out, TaskError>> {
        // A moment too far away to be expressed never comes.
        let deadline = Instant::now().checked_add(timeout);
        self.task.wait(deadline).map(|settled| self.decode(settled))
    }
}

impl<Out> TaskFuture<Out> {
    /// Blocks until the task has ended, and reads its result as a `T` that may borrow from
    /// this future: text and bytes are not copied. For large results.
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
        let bytes = settled.outcome.as_deref().map_err(TaskError::clone)?;
        let signature = self.signature.as_deref();
        value::decode_result(signature, bytes, self.decoded_limit).map_err(|message| {
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
