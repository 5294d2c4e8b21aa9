//! Running a task of a cluster on many inputs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use wasmpool::{Arguments, IntoArguments};

use super::future::ClusterFuture;
use super::open_tasks::OpenTasks;
use super::submit;
use super::task::ClusterTask;
use crate::error::RunError;

/// How many inputs are submitted ahead of the outcomes that were taken: enough for some nodes with
/// many workers each, behind a slow task whose outcome comes first.
const WINDOW: usize = 1024;

/// The outcomes of a [map](crate::Cluster::map), in the order of its inputs.
///
/// Dropping it cancels the tasks whose outcomes were not taken.
#[must_use = "a map submits nothing until it is iterated over"]
pub struct ClusterMap<'a, Args, Out, Inputs> {
    tasks: &'a Arc<OpenTasks>,
    task: ClusterTask<Args, Out>,
    inputs: Inputs,
    futures: VecDeque<ClusterFuture<Out>>,
}

impl<'a, Args, Out, Inputs> ClusterMap<'a, Args, Out, Inputs> {
    pub(super) fn new(
        tasks: &'a Arc<OpenTasks>,
        task: ClusterTask<Args, Out>,
        inputs: Inputs,
    ) -> Self {
        Self {
            tasks,
            task,
            inputs,
            futures: VecDeque::new(),
        }
    }
}

impl<Args, Out, Inputs> Iterator for ClusterMap<'_, Args, Out, Inputs>
where
    Args: Arguments,
    Out: DeserializeOwned,
    Inputs: Iterator<Item: IntoArguments<Args>>,
{
    type Item = Result<Out, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.futures.len() < WINDOW
            && let Some(input) = self.inputs.next()
        {
            let future = submit::begin(self.tasks, &self.task, &input.into_arguments());
            self.futures.push_back(future);
        }
        self.futures.pop_front().map(|future| future.wait())
    }
}

impl<Args, Out, Inputs> Drop for ClusterMap<'_, Args, Out, Inputs> {
    fn drop(&mut self) {
        for future in &self.futures {
            future.cancel();
        }
    }
}

impl<Args, Out, Inputs> fmt::Debug for ClusterMap<'_, Args, Out, Inputs> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClusterMap")
            .field("task", &self.task)
            .field("under_way", &self.futures.len())
            .finish_non_exhaustive()
    }
}
