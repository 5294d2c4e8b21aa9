//! A map that yields outcomes in the order of the inputs.

use std::collections::VecDeque;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::feed::Feed;
use crate::error::TaskError;
use crate::future::TaskFuture;
use crate::pool::Pool;
use crate::task::Task;
use crate::value::{Arguments, IntoArguments};

/// The outcomes of a [`Pool::map`], in the order of the inputs.
///
/// [`next`](Iterator::next) blocks until the next outcome is there. Dropping the iterator cancels
/// the tasks whose outcomes were not taken.
#[must_use = "dropping the iterator cancels its tasks"]
pub struct Map<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    ahead: VecDeque<Result<TaskFuture<Out>, TaskError>>,
}

impl<'pool, Args, Out, Input> Map<'pool, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let mut map = Self {
            feed: Feed::new(pool, task, input),
            ahead: VecDeque::new(),
        };
        map.fill(0);
        map
    }

    /// Submits inputs up to the window, of which `n_ahead` are submitted already.
    fn fill(&mut self, n_ahead: usize) {
        let ahead = &mut self.ahead;
        self.feed
            .submit_next(n_ahead, |outcome| ahead.push_back(outcome));
    }
}

impl<Args, Out, Input> Map<'_, Args, Out, Input> {
    /// Adds a time limit for the whole map, which counts from the call of [`Pool::map`]. When it
    /// is over, the tasks that have not ended are cancelled, and no more inputs are submitted: the
    /// next one yields an error, and the iterator ends. Outcomes that are there by then are still
    /// yielded.
    ///
    /// The limit is checked in [`next`](Iterator::next).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.feed.set_timeout(timeout);
        self
    }

    fn cancel_all(&self, message: &str) {
        for future in self.ahead.iter().flatten() {
            future.task().cancel(message);
        }
    }
}

impl<Args, Out, Input> Iterator for Map<'_, Args, Out, Input>
where
    Args: Arguments,
    Out: DeserializeOwned,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    type Item = Result<Out, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Submits the inputs that follow this outcome before the wait for it, so that the workers
        // stay busy.
        self.fill(self.ahead.len().saturating_sub(1));
        if self.ahead.is_empty() && self.feed.has_inputs() {
            let ahead = &mut self.ahead;
            self.feed.submit_first(|outcome| ahead.push_back(outcome));
        }
        if let Some(Ok(first)) = self.ahead.front()
            && first.task().wait(self.feed.deadline()).is_none()
        {
            self.cancel_all(&self.feed.timed_out_message());
        }
        let Some(first) = self.ahead.pop_front() else {
            return self.feed.end();
        };
        Some(first.and_then(|future| self.feed.outcome(&future)))
    }
}

impl<Args, Out, Input> Drop for Map<'_, Args, Out, Input> {
    fn drop(&mut self) {
        self.cancel_all("cancelled: the map's iterator was dropped");
    }
}
