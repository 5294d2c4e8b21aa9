//! A map that yields outcomes in the order of completion.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::feed::Feed;
use crate::error::TaskError;
use crate::future::TaskFuture;
use crate::pool::Pool;
use crate::sync::channel::{self, Receiver, Sender};
use crate::task::Task;
use crate::value::{Arguments, IntoArguments};

/// The outcomes of a [`Pool::map_unordered`], in the order in which the tasks end, each with the
/// index of its input, counted from 0.
///
/// [`next`](Iterator::next) blocks until another outcome is there. Dropping the iterator cancels
/// the tasks whose outcomes were not taken.
#[must_use = "dropping the iterator cancels its tasks"]
pub struct MapUnordered<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    under_way: UnderWay<Out>,
    /// Receives the indexes of tasks that have ended.
    ended: Receiver<usize>,
}

/// Submitted tasks by the index of their input.
struct UnderWay<Out> {
    tasks: HashMap<usize, Result<TaskFuture<Out>, TaskError>>,
    n_inputs: usize,
    /// Where each task sends its index when it has ended.
    ended: Sender<usize>,
}

impl<'pool, Args, Out, Input> MapUnordered<'pool, Args, Out, Input>
where
    Args: Arguments,
    Out: 'static,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let (sender, ended) = channel::unbounded();
        let mut map = Self {
            feed: Feed::new(pool, task, input),
            under_way: UnderWay {
                tasks: HashMap::new(),
                n_inputs: 0,
                ended: sender,
            },
            ended,
        };
        map.fill(0);
        map
    }

    /// Submits inputs up to the window, of which `n_ahead` are submitted already.
    fn fill(&mut self, n_ahead: usize) {
        let under_way = &mut self.under_way;
        self.feed
            .submit_next(n_ahead, |outcome| under_way.add(outcome));
    }
}

impl<Out: 'static> UnderWay<Out> {
    fn add(&mut self, submitted: Result<TaskFuture<Out>, TaskError>) {
        let place = self.n_inputs;
        self.n_inputs += 1;
        let ended = self.ended.clone();
        let tell = move || {
            // Fails only when the iterator was dropped.
            let _ = ended.send(place);
        };
        match &submitted {
            Ok(future) => {
                future.task().observe(Box::new(tell));
            }
            Err(_) => tell(),
        }
        self.tasks.insert(place, submitted);
    }
}

impl<Args, Out, Input> MapUnordered<'_, Args, Out, Input> {
    /// Adds a time limit for the whole map, as [`Map::timeout`](crate::Map::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.feed.set_timeout(timeout);
        self
    }

    fn cancel_all(&self, message: &str) {
        for future in self.under_way.tasks.values().flatten() {
            future.task().cancel(message);
        }
    }

    /// The index of the next task that ends.
    fn next_ended(&self) -> usize {
        if let Some(deadline) = self.feed.deadline() {
            if let Ok(place) = self.ended.recv_deadline(deadline) {
                return place;
            }
            self.cancel_all(&self.feed.timed_out_message());
        }
        self.ended.recv().expect("this side has a sender too")
    }
}

impl<Args, Out, Input> Iterator for MapUnordered<'_, Args, Out, Input>
where
    Args: Arguments,
    Out: DeserializeOwned + 'static,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    type Item = (usize, Result<Out, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        // As in `Map::next`.
        self.fill(self.under_way.tasks.len().saturating_sub(1));
        if self.under_way.tasks.is_empty() && self.feed.has_inputs() {
            let under_way = &mut self.under_way;
            self.feed.submit_first(|outcome| under_way.add(outcome));
        }
        if self.under_way.tasks.is_empty() {
            return self.feed.end();
        }
        let place = self.next_ended();
        let submitted = self
            .under_way
            .tasks
            .remove(&place)
            .expect("each is told once");
        let outcome = submitted.and_then(|future| self.feed.outcome(&future));
        Some((place, outcome))
    }
}

impl<Args, Out, Input> Drop for MapUnordered<'_, Args, Out, Input> {
    fn drop(&mut self) {
        self.cancel_all("cancelled: the map's iterator was dropped");
    }
}
