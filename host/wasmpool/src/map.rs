//! A task over many inputs: outcomes in the order of the inputs, or as they come.
//!
//! Both pull inputs only as outcomes are taken, a bounded window ahead.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, Sender};
use serde::de::DeserializeOwned;

use crate::error::TaskError;
use crate::future::TaskFuture;
use crate::pool::Pool;
use crate::task::Task;
use crate::value::{Arguments, IntoArguments};

/// Inputs that are submitted ahead of the outcomes that were taken, at the least: enough to
/// keep workers busy while a slow one holds up the order.
const MIN_WINDOW: usize = 64;

/// The same for each worker, where there are many.
const WINDOW_PER_WORKER: usize = 4;

/// The inputs of a map, on their way into the pool.
struct Feed<'pool, Args, Out, Input> {
    pool: &'pool Pool,
    task: Task<Args, Out>,
    /// None when it has ended, or the pool takes no more.
    input: Option<Input>,
    window: usize,
}

impl<'pool, Args, Out, Input> Feed<'pool, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        Self {
            pool,
            task,
            input: Some(input),
            window: MIN_WINDOW.max(WINDOW_PER_WORKER * pool.workers()),
        }
    }

    /// Submits the next input, if there is one.
    fn submit_next(&mut self) -> Option<Result<TaskFuture<Out>, TaskError>> {
        let Some(arguments) = self.input.as_mut()?.next() else {
            self.input = None;
            return None;
        };
        let submitted = self.pool.submit(&self.task, arguments.into_arguments());
        if submitted
            .as_ref()
            .is_err_and(|refused| refused.is_shut_down())
        {
            // The input that was refused gets its error; those behind it are not touched.
            self.input = None;
        }
        Some(submitted.map_err(|refused| refused.into_task_error()))
    }
}

/// The outcomes of a [`Pool::map`], in the order of the inputs.
///
/// [`next`](Iterator::next) blocks until the next outcome is there. Dropping the iterator
/// cancels the tasks whose outcomes it has not given out.
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
        map.fill();
        map
    }

    /// Submits inputs until the window is full.
    fn fill(&mut self) {
        while self.ahead.len() < self.feed.window
            && let Some(submitted) = self.feed.submit_next()
        {
            self.ahead.push_back(submitted);
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
        let first = self.ahead.pop_front()?;
        // The place of the one that is taken out goes to the next input before the wait, so
        // that the workers do not run dry during it.
        self.fill();
        Some(first.and_then(|future| future.wait()))
    }
}

impl<Args, Out, Input> Drop for Map<'_, Args, Out, Input> {
    fn drop(&mut self) {
        for future in self.ahead.iter().flatten() {
            future.cancel();
        }
    }
}

/// The outcomes of a [`Pool::map_unordered`], in the order in which the tasks end, each with
/// the place of its input, counted from 0.
///
/// [`next`](Iterator::next) blocks until another outcome is there. Dropping the iterator
/// cancels the tasks whose outcomes it has not given out.
#[must_use = "dropping the iterator cancels its tasks"]
pub struct MapUnordered<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    n_inputs: usize,
    /// By the places of their inputs.
    under_way: HashMap<usize, Result<TaskFuture<Out>, TaskError>>,
    /// The places of those that have ended.
    sender: Sender<usize>,
    ended: Receiver<usize>,
}

impl<'pool, Args, Out, Input> MapUnordered<'pool, Args, Out, Input>
where
    Args: Arguments,
    Out: 'static,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let (sender, ended) = crossbeam_channel::unbounded();
        let mut map = Self {
            feed: Feed::new(pool, task, input),
            n_inputs: 0,
            under_way: HashMap::new(),
            sender,
            ended,
        };
        map.fill();
        map
    }

    /// Submits inputs until the window is full.
    fn fill(&mut self) {
        while self.under_way.len() < self.feed.window
            && let Some(submitted) = self.feed.submit_next()
        {
            let place = self.n_inputs;
            self.n_inputs += 1;
            let sender = self.sender.clone();
            let tell = move || {
                // Nobody listens any more when the iterator is gone.
                let _ = sender.send(place);
            };
            match &submitted {
                Ok(future) => future.on_done(move |_| tell()),
                Err(_) => tell(),
            }
            self.under_way.insert(place, submitted);
        }
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
        if self.under_way.is_empty() {
            return None;
        }
        let place = self.ended.recv().expect("this side has a sender too");
        let submitted = self.under_way.remove(&place).expect("each is told once");
        self.fill();
        Some((place, submitted.and_then(|future| future.wait())))
    }
}

impl<Args, Out, Input> Drop for MapUnordered<'_, Args, Out, Input> {
    fn drop(&mut self) {
        for future in self.under_way.values().flatten() {
            future.cancel();
        }
    }
}
