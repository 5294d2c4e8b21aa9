//! From a reference to a task and its arguments to a task in the queue.

use std::sync::Arc;

use serde_bytes::ByteBuf;
use wasmpool::Arguments;

use super::future::ClusterFuture;
use super::open_task::OpenTask;
use super::open_tasks::{OpenTasks, Patience};
use super::task::ClusterTask;
use crate::connection;
use crate::error::{RunError, SubmitError, SubmitErrorKind};
use crate::message::{Body, TaskMessage, Wishes};
use crate::transcode;

/// Submits a task, and blocks until the server has it or the patience ends.
pub(super) fn submit<Args: Arguments, Out>(
    tasks: &Arc<OpenTasks>,
    task: &ClusterTask<Args, Out>,
    arguments: Args,
    patience: Patience,
) -> Result<ClusterFuture<Out>, SubmitError<Args>> {
    let message = match message_of(task, &arguments) {
        Ok(message) => message,
        Err(kind) => return Err(SubmitError::new(kind, arguments)),
    };
    let open = open(tasks, task);
    let (publishing, published) = (Arc::clone(tasks), Arc::clone(&open));
    let submitted = connection::block_on(&tasks.runtime, async move {
        publishing.publish(&published, message, patience).await
    });
    match submitted {
        Ok(()) => Ok(ClusterFuture::new(Arc::clone(tasks), open)),
        Err(kind) => Err(SubmitError::new(kind, arguments)),
    }
}

/// Submits a task, and is ready when the server has it.
pub(super) async fn submit_async<Args: Arguments, Out>(
    tasks: &Arc<OpenTasks>,
    task: &ClusterTask<Args, Out>,
    arguments: Args,
) -> Result<ClusterFuture<Out>, SubmitError<Args>> {
    let message = match message_of(task, &arguments) {
        Ok(message) => message,
        Err(kind) => return Err(SubmitError::new(kind, arguments)),
    };
    let open = open(tasks, task);
    let (publishing, published) = (Arc::clone(tasks), Arc::clone(&open));
    let submitted = tasks.runtime.spawn(async move {
        let patience = Patience::Forever;
        publishing.publish(&published, message, patience).await
    });
    match submitted
        .await
        .expect("the thread lives as long as its owner")
    {
        Ok(()) => Ok(ClusterFuture::new(Arc::clone(tasks), open)),
        Err(kind) => Err(SubmitError::new(kind, arguments)),
    }
}

/// Submits a task and does not wait for the server. If it is not accepted, it fails.
pub(super) fn begin<Args: Arguments, Out>(
    tasks: &Arc<OpenTasks>,
    task: &ClusterTask<Args, Out>,
    arguments: &Args,
) -> ClusterFuture<Out> {
    let open = open(tasks, task);
    let future = ClusterFuture::new(Arc::clone(tasks), Arc::clone(&open));
    match message_of(task, arguments) {
        Ok(message) => {
            let publishing = Arc::clone(tasks);
            tasks.runtime.spawn(async move {
                let published = publishing.publish(&open, message, Patience::Forever).await;
                if let Err(kind) = published {
                    open.fail(RunError::Submit(kind));
                }
            });
        }
        Err(kind) => {
            open.fail(RunError::Submit(kind));
            tasks.forget(&open);
        }
    }
    future
}

/// A new task, which can be settled from now on.
fn open<Args, Out>(tasks: &OpenTasks, task: &ClusterTask<Args, Out>) -> Arc<OpenTask> {
    tasks.open(task.wishes().tenant.as_deref(), task.is_at_most_once())
}

fn encode<Args: Arguments>(arguments: &Args) -> Result<Vec<u8>, SubmitErrorKind> {
    if Args::ARITY == Some(0) {
        // Serde's unit is nil, and arguments are an array.
        return Ok(vec![0x90]);
    }
    transcode::encode(arguments).map_err(SubmitErrorKind::BadArguments)
}

/// The message of a task, with its arguments.
fn message_of<Args: Arguments, Out>(
    task: &ClusterTask<Args, Out>,
    arguments: &Args,
) -> Result<TaskMessage, SubmitErrorKind> {
    Ok(TaskMessage {
        module: task.module().hash().to_owned(),
        task: task.name().to_owned(),
        wishes: Wishes::clone(task.wishes()),
        has_rights: task.has_rights(),
        is_at_most_once: task.is_at_most_once(),
        arguments: Body::Here(ByteBuf::from(encode(arguments)?)),
    })
}
