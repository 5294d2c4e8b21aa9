//! Cancelling many tasks at once.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use wasmpool::TaskErrorKind;

use super::open_task::OpenTask;
use super::open_tasks::OpenTasks;
use crate::error::RunError;

/// How many tasks are withdrawn at once.
const WITHDRAWN_AT_ONCE: usize = 64;

/// Cancels the tasks, and returns when the nodes were told and the queue does not have them.
pub(super) async fn cancel(tasks: &OpenTasks, which: Vec<Arc<OpenTask>>) {
    settle(tasks, &which, "cancelled");
    tasks.renew_lease().await;
    withdraw(tasks, &which).await;
}

/// Cancels the tasks that no node has taken. Those that a node takes meanwhile are stopped there.
pub(super) async fn cancel_queued(tasks: &OpenTasks) -> Result<(), String> {
    let mut queued = Vec::new();
    for (tenant, open) in tasks.by_tenant() {
        let mut queue = tasks.broker.queue_of(&tenant).await?;
        let info = queue.info().await.map_err(|error| error.to_string())?;
        let taken = info.delivered.stream_sequence;
        // What has no number is not in the queue yet.
        let is_queued = |task: &Arc<OpenTask>| task.sequence().is_none_or(|number| number > taken);
        queued.extend(open.into_iter().filter(is_queued));
    }
    cancel(tasks, queued).await;
    Ok(())
}

/// Settles the tasks as cancelled, before anybody is told.
pub(super) fn settle(tasks: &OpenTasks, which: &[Arc<OpenTask>], message: &str) {
    for task in which {
        let error = RunError::of_pool(TaskErrorKind::Cancelled, message);
        if task.fail(error) {
            tasks.note_cancelled(task);
        }
    }
}

/// Takes the tasks out of the queue, and deletes what is stored for them.
pub(super) async fn withdraw(tasks: &OpenTasks, which: &[Arc<OpenTask>]) {
    let withdrawn = stream::iter(which).for_each_concurrent(WITHDRAWN_AT_ONCE, |task| async {
        tasks.withdraw(task).await;
    });
    withdrawn.await;
}
