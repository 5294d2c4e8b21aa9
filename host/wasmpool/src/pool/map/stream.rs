//! A map for async code: a stream of outcomes in the order of the inputs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::feed::Feed;
use crate::error::TaskError;
use crate::future::TaskFuture;
use crate::pool::Pool;
use crate::schedule::PlaceWaiter;
use crate::task::Task;
use crate::value::{Arguments, IntoArguments};

/// The stream of outcomes of a [`Pool::map_async`], in the order of the inputs.
///
/// Submitted tasks run whether or not the stream is polled; more inputs are submitted only when it
/// is. Dropping it cancels the tasks whose outcomes were not taken.
#[must_use = "dropping the stream cancels its tasks"]
pub struct MapStream<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    ahead: VecDeque<Result<TaskFuture<Out>, TaskError>>,
    waiting: PlaceWaiter,
}

impl<'pool, Args, Out, Input> MapStream<'pool, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let mut stream = Self {
            feed: Feed::new(pool, task, input),
            ahead: VecDeque::new(),
            waiting: PlaceWaiter::default(),
        };
        stream.fill();
        stream
    }

    /// Submits inputs up to the window. Returns false if the queue was full.
    fn fill(&mut self) -> bool {
        let ahead = &mut self.ahead;
        let n_ahead = ahead.len().saturating_sub(1);
        self.feed
            .submit_next(n_ahead, |outcome| ahead.push_back(outcome))
    }
}

// Pulled inputs are moved, never pinned.
impl<Args, Out, Input: Unpin> Unpin for MapStream<'_, Args, Out, Input> {}

impl<Args, Out, Input> Stream for MapStream<'_, Args, Out, Input>
where
    Args: Arguments,
    Out: DeserializeOwned,
    Input: Iterator<Item: IntoArguments<Args>> + Unpin,
{
    type Item = Result<Out, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.fill() && this.ahead.is_empty() {
            // No task is under way whose end would wake the caller, so room in the queue must.
            let scheduler = &this.feed.pool.registry.scheduler;
            let tenant = this.feed.task.options().own_tenant();
            match scheduler.poll_reserve(tenant, &mut this.waiting, context.waker()) {
                Poll::Pending => return Poll::Pending,
                // Given back, and reserved again by `fill`; if another thread takes it first, the
                // wait goes on.
                Poll::Ready(place) => drop(place),
            }
        }
        // Leaves the line for a place: the outcome is what it waits for now.
        this.waiting = PlaceWaiter::default();
        let Some(first) = this.ahead.front_mut() else {
            return Poll::Ready(this.feed.end());
        };
        if let Ok(future) = first
            && future.task().poll(context.waker()).is_none()
        {
            return Poll::Pending;
        }
        let first = this.ahead.pop_front();
        Poll::Ready(first.map(|first| first.and_then(|future| this.feed.outcome(&future))))
    }
}

impl<Args, Out, Input> Drop for MapStream<'_, Args, Out, Input> {
    fn drop(&mut self) {
        for future in self.ahead.iter().flatten() {
            future
                .task()
                .cancel("cancelled: the map's stream was dropped");
        }
    }
}
