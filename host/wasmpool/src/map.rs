//! A task over many inputs, with the outcomes in the order of the inputs.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use crate::error::TaskError;
use crate::future::TaskFuture;
use crate::pool::Pool;
use crate::task::Task;
use crate::value::{Arguments, IntoArguments};

/// Inputs that are submitted ahead of the outcome that the iterator waits for, at the least:
/// enough to keep workers busy while a slow one holds up the order.
const MIN_WINDOW: usize = 64;

/// The same for each worker, where there are many.
const WINDOW_PER_WORKER: usize = 4;

/// The outcomes of a [`Pool::map`], in the order of the inputs.
///
/// [`next`](Iterator::next) blocks until the next outcome is there. Dropping the iterator
/// cancels the tasks whose outcomes it has not given out.
#[must_use = "dropping the iterator cancels its tasks"]
pub struct Map<'pool, Args, Out, Input> {
    pool: &'pool Pool,
    task: Task<Args, Out>,
    /// None when it has ended, or the pool takes no more.
    input: Option<Input>,
    ahead: VecDeque<Result<TaskFuture<Out>, TaskError>>,
    window: usize,
}

impl<'pool, Args, Out, Input> Map<'pool, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let mut map = Self {
            pool,
            task,
            input: Some(input),
            ahead: VecDeque::new(),
            window: MIN_WINDOW.max(WINDOW_PER_WORKER * pool.workers()),
        };
        map.fill();
        map
    }

    /// Submits inputs until the window is full.
    fn fill(&mut self) {
        while self.ahead.len() < self.window {
            let Some(arguments) = self.input.as_mut().and_then(Iterator::next) else {
                self.input = None;
                return;
            };
            let submitted = self.pool.submit(&self.task, arguments.into_arguments());
            if submitted
                .as_ref()
                .is_err_and(|refused| refused.is_shut_down())
            {
                // The input that was refused gets its error; those behind it are not touched.
                self.input = None;
            }
            self.ahead
                .push_back(submitted.map_err(|refused| refused.into_task_error()));
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
