//! What a server that was killed has lost: open tasks that it does not have any more are stored again,
//! and settled ones that it has again are deleted: servers of version 2.9 keep some of them until then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::open_task::OpenTask;
use super::open_tasks::{OpenTasks, Patience};
use crate::broker::TIDYING;
use crate::error::RunError;

/// How often a caller looks whether the server is another one than before.
const LOOK: Duration = Duration::from_secs(1);

/// How many tasks the server is asked for at once.
const ASKED_AT_ONCE: usize = 64;

/// How long the outcome of a task that the server does not have may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Looks after the tasks from when the server was restarted, until it is dropped.
pub(super) async fn recover(tasks: &Arc<OpenTasks>) {
    let server_id = || tasks.broker.client.server_info().server_id;
    let mut server = server_id();
    let mut tidied = None;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Each start of a server has an id of its own.
        let now = server_id();
        // If the server does not answer, it is asked again.
        if now != server && store_lost(tasks).await.is_ok() {
            server = now;
            tidied = Some(Instant::now());
        }
        if tidied.is_some_and(|tidied| tidied.elapsed() >= TIDYING) {
            // A task is open before it is stored.
            let is_open = |number| tasks.find(number).is_some();
            let _ = tasks.broker.delete_unwanted(&tasks.caller, is_open).await;
            tidied = Some(Instant::now());
        }
    }
}

/// Stores the tasks again that the server does not have.
async fn store_lost(tasks: &Arc<OpenTasks>) -> Result<(), String> {
    let restored = tasks.broker.restore().await;
    restored.map_err(|error| error.to_string())?;
    tasks.forget_queues();
    let mut lost = stream::iter(tasks.all())
        .map(|task| async {
            is_lost(tasks, &task)
                .await
                .map(|is_lost| is_lost.then_some(task))
        })
        .buffer_unordered(ASKED_AT_ONCE);
    while let Some(task) = lost.next().await {
        if let Some(task) = task? {
            let tasks = Arc::clone(tasks);
            tokio::spawn(async move { store_again(&tasks, &task).await });
        }
    }
    Ok(())
}

async fn is_lost(tasks: &OpenTasks, task: &OpenTask) -> Result<bool, String> {
    // What was never stored is still on its way there.
    let Some(sequence) = task.sequence() else {
        return Ok(false);
    };
    let subject = task.id.subject(&task.tenant);
    let is_there = tasks.broker.has_task(&subject, sequence).await?;
    Ok(!is_there && task.settled().is_none())
}

/// If the task has run meanwhile, its first outcome counts.
async fn store_again(tasks: &OpenTasks, task: &OpenTask) {
    if task.is_at_most_once {
        sleep(ON_ITS_WAY).await;
        if task.fail(RunError::ServerLost) {
            tasks.forget(task);
            tasks.delete_arguments(task).await;
        }
        return;
    }
    if let Err(kind) = tasks.store(task, Patience::Forever).await {
        tasks.give_up(task, &kind).await;
        task.fail(RunError::Submit(kind));
    }
}
