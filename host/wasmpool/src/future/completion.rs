//! Waiting for several futures at once: [`wait`] and [`as_completed`].
//!
//! Each future gets an observer that sends the future's index into a channel. The futures may
//! belong to several pools. Observers are removed when the wait is over, so repeated waits for the
//! same future do not accumulate.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::task_future::TaskFuture;
use crate::error::TaskError;
use crate::schedule::JobRef;
use crate::sync::channel::{self, Receiver, RecvTimeoutError};
use crate::sync::{Arc, Instant};

/// The condition that ends a [`wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// All tasks have ended.
    AllCompleted,
    /// One task has ended, with a result or an error.
    FirstCompleted,
    /// One task has failed, or all have ended. A cancelled task has not failed.
    FirstFailure,
}

/// The result of a [`wait`]: all its futures, in the order in which they were passed.
#[derive(Debug)]
pub struct Waited<F> {
    /// The futures whose tasks have ended.
    pub done: Vec<F>,
    /// The futures whose tasks have not.
    pub pending: Vec<F>,
}

/// Blocks until the condition `until` holds, or the timeout is over, which is not an error. A
/// timeout of zero does not block; `None` means no timeout.
///
/// The futures may be passed by value or by reference and may belong to several pools. Duplicates
/// count once.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wasmpool::{Pool, Until};
/// # let pool = Pool::new()?;
/// # let module = pool.load(wasmpool_guests::FACTORIZER.path())?;
/// # let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;
/// let futures = [6, 10, 15].map(|n| pool.submit(&factorize, (n,)).unwrap());
/// let waited = wasmpool::wait(&futures, Until::AllCompleted, None);
/// assert_eq!((waited.done.len(), waited.pending.len()), (3, 0));
/// # Ok(())
/// # }
/// ```
pub fn wait<F, Out>(
    futures: impl IntoIterator<Item = F>,
    until: Until,
    timeout: Option<Duration>,
) -> Waited<F>
where
    F: Borrow<TaskFuture<Out>>,
{
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let futures = distinct(futures);
    let mut completions = Completions::of(&futures);
    while !completions.is_over(until) && completions.next(deadline).is_ok() {}
    let (done, pending) = futures
        .into_iter()
        .partition(|future| future.borrow().is_done());
    Waited { done, pending }
}

/// Yields the futures in the order in which their tasks end, starting with those that have ended.
///
/// The futures may be passed by value or by reference and may belong to several pools. Duplicates
/// are yielded once. [`next`](Iterator::next) blocks until the next task ends;
/// [`AsCompleted::timeout`] sets a limit.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = wasmpool::Pool::new()?;
/// # let module = pool.load(wasmpool_guests::FACTORIZER.path())?;
/// # let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;
/// let futures = [6, 10, 15].map(|n| pool.submit(&factorize, (n,)).unwrap());
/// for future in wasmpool::as_completed(futures) {
///     println!("{:?}", future.wait()?); // does not block any more
/// }
/// # Ok(())
/// # }
/// ```
pub fn as_completed<F, Out>(futures: impl IntoIterator<Item = F>) -> AsCompleted<F, Out>
where
    F: Borrow<TaskFuture<Out>>,
{
    let futures = distinct(futures);
    AsCompleted {
        completions: Completions::of(&futures),
        futures: futures.into_iter().map(Some).collect(),
        started: Instant::now(),
        out: PhantomData,
    }
}

/// The iterator of [`as_completed`].
pub struct AsCompleted<F, Out> {
    /// `None` once it was yielded.
    futures: Vec<Option<F>>,
    completions: Completions,
    started: Instant,
    out: PhantomData<fn() -> Out>,
}

impl<F, Out> AsCompleted<F, Out> {
    /// Adds a time limit, which counts from the call of [`as_completed`]. When it is over, the
    /// iterator yields the futures that have ended by then, then an error that says how many have
    /// not, and ends.
    pub fn timeout(mut self, timeout: Duration) -> impl Iterator<Item = Result<F, TimedOut>> {
        let deadline = self.started.checked_add(timeout);
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            match self.completions.next(deadline) {
                Ok(Some(place)) => self.futures[place].take().map(Ok),
                Ok(None) => None,
                Err(timed_out) => {
                    is_over = true;
                    Some(Err(timed_out))
                }
            }
        })
    }
}

impl<F, Out> Iterator for AsCompleted<F, Out> {
    type Item = F;

    fn next(&mut self) -> Option<F> {
        let place = self.completions.next(None).ok()??;
        self.futures[place].take()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.completions.n_pending();
        (left, Some(left))
    }
}

/// The timeout is over, and some tasks have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out: {pending} of {total} tasks have not ended")]
#[non_exhaustive]
pub struct TimedOut {
    /// How many tasks have not ended.
    pub pending: usize,
    /// How many tasks there are.
    pub total: usize,
}

/// The futures without duplicates.
fn distinct<F: Borrow<TaskFuture<Out>>, Out>(futures: impl IntoIterator<Item = F>) -> Vec<F> {
    let mut known = HashSet::new();
    let is_new = |future: &F| known.insert(Arc::as_ptr(future.borrow().task()));
    futures.into_iter().filter(is_new).collect()
}

/// Receives the completions of some tasks.
struct Completions {
    places: Receiver<usize>,
    /// The tasks with the ids of their observers, which are removed on drop.
    registered: Vec<(JobRef, u64)>,
    n_ended: usize,
    has_failure: bool,
}

impl Completions {
    fn of<F: Borrow<TaskFuture<Out>>, Out>(futures: &[F]) -> Self {
        let (sender, places) = channel::unbounded();
        let register = |(place, future): (usize, &F)| {
            let task = Arc::clone(future.borrow().task());
            let sender = sender.clone();
            let tell = move || {
                // Fails only when the wait is over.
                let _ = sender.send(place);
            };
            let number = task.observe(Box::new(tell));
            (task, number)
        };
        Self {
            registered: futures.iter().enumerate().map(register).collect(),
            places,
            n_ended: 0,
            has_failure: false,
        }
    }

    /// The index of the next task that ends; `None` if all have. Blocks until the deadline.
    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<usize>, TimedOut> {
        if self.n_pending() == 0 {
            return Ok(None);
        }
        let received = match deadline {
            // Returns a task that has ended even if the deadline is over.
            Some(deadline) => self.places.recv_deadline(deadline),
            None => self
                .places
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        let place = received.map_err(|_| TimedOut {
            pending: self.n_pending(),
            total: self.registered.len(),
        })?;
        self.n_ended += 1;
        let settled = self.registered[place].0.settled();
        let error = settled.and_then(|settled| settled.outcome.as_ref().err());
        self.has_failure |= error.is_some_and(|error: &TaskError| !error.is_cancelled());
        Ok(Some(place))
    }

    fn n_pending(&self) -> usize {
        self.registered.len() - self.n_ended
    }

    fn is_over(&self, until: Until) -> bool {
        self.n_pending() == 0
            || match until {
                Until::AllCompleted => false,
                Until::FirstCompleted => self.n_ended > 0,
                Until::FirstFailure => self.has_failure,
            }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        for (task, number) in &self.registered {
            task.forget_observer(*number);
        }
    }
}

impl<F, Out> fmt::Debug for AsCompleted<F, Out> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AsCompleted")
            .field("pending", &self.completions.n_pending())
            .field("total", &self.futures.len())
            .finish()
    }
}
