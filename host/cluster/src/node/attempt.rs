//! One delivery of a task: from the message to the stored outcome.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::{AckKind, Message};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmpool::{SubmitErrorKind, Task, TaskErrorKind, TaskReport};

use super::member::Member;
use super::running::{Running, Stop};
use crate::error::RunError;
use crate::message::{self, Outcome, TaskMessage};
use crate::names::TaskId;
use crate::transcode::{self, Argument, Encoded};
use crate::wire;

/// How many nodes a task may bring down.
const MAX_TRIES: u64 = 3;

/// How an attempt ended.
type Ended = (Result<Vec<u8>, RunError>, TaskReport);

/// Runs a task that was delivered, stores what became of it, and tells the server. `worker` stands for
/// the worker that runs it, which is free for another task before the server has answered.
pub(super) async fn attempt(member: &Member, message: Message, worker: OwnedSemaphorePermit) {
    let (delivered, age) = match message.info() {
        Ok(info) => {
            let published = info.published.unix_timestamp_nanos();
            (u64::try_from(info.delivered).unwrap_or(1), age(published))
        }
        Err(_) => return,
    };
    let (message, acker) = message.split();
    let Some(id) = TaskId::of_subject(&message.subject) else {
        // Nobody could be told what became of it.
        let _ = acker.ack_with(AckKind::Term).await;
        return;
    };
    let Some(running) = member.take(id, acker) else {
        return;
    };
    settle(member, &running, &message.payload, delivered, age, worker).await;
    member.end(&running);
}

async fn settle(
    member: &Member,
    running: &Running,
    payload: &[u8],
    delivered: u64,
    age: Duration,
    worker: OwnedSemaphorePermit,
) {
    let task = match wire::decode::<TaskMessage>(payload) {
        Ok(task) => task,
        Err(problem) => {
            let message = format!("the message of the task cannot be read: {problem}");
            let error = RunError::of_pool(TaskErrorKind::BadArguments, &message);
            return conclude(member, running, (Err(error), TaskReport::default())).await;
        }
    };
    let is_at_most_once = task.is_at_most_once;
    let arguments = match &task.arguments {
        // Otherwise one caller could read and delete the arguments of another.
        message::Body::Stored(name) if *name != running.id.arguments() => {
            let message = "the stored arguments are those of another task";
            let error = RunError::of_pool(TaskErrorKind::BadArguments, message);
            return conclude(member, running, (Err(error), TaskReport::default())).await;
        }
        message::Body::Stored(name) => Some(name.clone()),
        message::Body::Here(_) => None,
    };
    if let Some(reason) = member.callers.unwanted(&running.id) {
        running.stop_for(reason);
    }
    let ended = match verdict(member, running, is_at_most_once, delivered).await {
        Ok(None) => run(member, running, task, age).await,
        Ok(Some(error)) => (Err(error), TaskReport::default()),
        // The server does not answer: the task is delivered again.
        Err(_) => return,
    };
    drop(worker);
    // A result that came before the stop is as good as any.
    let stop = match ended.0 {
        Ok(_) => None,
        Err(_) => running.stop(),
    };
    match stop {
        None => conclude(member, running, ended).await,
        // The caller has settled it, and deletes its arguments itself.
        Some(Stop::Cancelled) => running.acknowledge(AckKind::Ack).await,
        Some(reason @ (Stop::CallerLeft | Stop::CallerLost)) => {
            match reason {
                Stop::CallerLost => {
                    conclude(member, running, (Err(RunError::CallerLost), ended.1)).await;
                }
                _ => running.acknowledge(AckKind::Ack).await,
            }
            if let Some(name) = arguments {
                member.broker.payloads.delete(&name).await;
            }
        }
        Some(Stop::GivenBack) if is_at_most_once => {
            let message = "the node left before the task had ended";
            let error = RunError::of_pool(TaskErrorKind::ShutDown, message);
            conclude(member, running, (Err(error), ended.1)).await;
        }
        Some(Stop::GivenBack) => {
            // Noted first: otherwise it would count as a node that was brought down.
            if member.broker.note_return(&running.id.key()).await.is_ok() {
                running.acknowledge(AckKind::Nak(None)).await;
            }
            member.count_given_back();
        }
    }
}

/// Why a task is not tried again, if it is not.
async fn verdict(
    member: &Member,
    running: &Running,
    is_at_most_once: bool,
    delivered: u64,
) -> Result<Option<RunError>, String> {
    let allowed = match is_at_most_once {
        true => 1,
        false => MAX_TRIES,
    };
    if delivered <= allowed {
        return Ok(None);
    }
    // Deliveries that a node gave back are none that brought it down.
    let n_returns = member.broker.n_returns(&running.id.key()).await?;
    let n_lost = (delivered - 1).saturating_sub(n_returns);
    Ok((n_lost >= allowed).then_some(match is_at_most_once {
        true => RunError::NodeLost,
        false => RunError::NodesLost { deliveries: n_lost },
    }))
}

/// Runs a task in the pool, until it ends or is stopped.
async fn run(member: &Member, running: &Running, task: TaskMessage, age: Duration) -> Ended {
    let of_pool = |kind, message: &str| {
        let error = RunError::of_pool(kind, message);
        (Err(error), TaskReport::default())
    };
    if let Some(timeout) = task.wishes.queue_timeout.filter(|timeout| age > *timeout) {
        let message = format!("timed out: it waited in the queue longer than {timeout:?}");
        return of_pool(TaskErrorKind::QueueTimedOut, &message);
    }
    let submitted = tokio::select! {
        submitted = submit(member, running, task) => submitted,
        () = running.stopped() => return of_pool(TaskErrorKind::Cancelled, "stopped"),
    };
    match submitted {
        // The pool has it, and drops the sender with it.
        Ok(ended) => ended.await.unwrap_or_else(|_| {
            let message = "the pool has dropped the task";
            of_pool(TaskErrorKind::Internal, message)
        }),
        Err(error) => (Err(error), TaskReport::default()),
    }
}

/// Fetches what the task needs and submits it to the pool.
async fn submit(
    member: &Member,
    running: &Running,
    task: TaskMessage,
) -> Result<oneshot::Receiver<Ended>, RunError> {
    let TaskMessage {
        module,
        task,
        wishes,
        has_rights,
        is_at_most_once: _,
        arguments,
    } = task;
    let loaded = member.modules.load(&member.broker, &member.pool, &module);
    let mut module = loaded.await.map_err(RunError::Module)?;
    let limit = member.settings.payload_limit;
    let arguments = member.broker.payloads.unpack(arguments, limit).await;
    let arguments = transcode::split(&arguments.map_err(RunError::Payload)?);
    let bad_arguments = |message: String| RunError::of_pool(TaskErrorKind::BadArguments, &message);
    let arguments = arguments.map_err(bad_arguments)?;
    if has_rights {
        module = module.with_capabilities(member.settings.capabilities.clone());
    }
    let task: Task<Vec<Argument>, Encoded> = module
        .task(&task)
        .map_err(|error| RunError::of_pool(TaskErrorKind::UnknownTask, &error.to_string()))?;
    let task = task.with(member.settings.options(&wishes));
    let submitted = member.pool.submit_async(&task, arguments).await;
    let future = submitted.map_err(|error| {
        let kind = match error.kind() {
            SubmitErrorKind::ShutDown => TaskErrorKind::ShutDown,
            _ => TaskErrorKind::BadArguments,
        };
        RunError::of_pool(kind, &error.to_string())
    })?;
    let (sender, ended) = oneshot::channel();
    future.on_done(move |future| {
        let result = match future.wait() {
            Ok(Encoded(bytes)) => Ok(bytes),
            Err(error) => Err(RunError::Task(error)),
        };
        let report = future.report().cloned().unwrap_or_default();
        // The task may have been given up meanwhile.
        let _ = sender.send((result, report));
    });
    running.started(future);
    Ok(ended)
}

/// Stores an outcome, once however many nodes have one, and then acknowledges the task.
async fn conclude(member: &Member, running: &Running, (result, report): Ended) {
    let (broker, id) = (&member.broker, &running.id);
    member.count_outcome(result.is_ok());
    let outcome = wire::encode(&Outcome {
        node: member.name.clone(),
        report,
        result: result.map(serde_bytes::ByteBuf::from),
    });
    // Of two nodes each has a name of its own.
    let name = format!("{}.outcome.{}", id.key(), member.id);
    let body = match broker.payloads.pack(name, outcome).await {
        Ok(body) => body,
        Err(problem) => {
            let error = RunError::Payload(format!("the result cannot be stored: {problem}"));
            let outcome = wire::encode(&Outcome {
                node: member.name.clone(),
                report: TaskReport::default(),
                result: Err(error),
            });
            message::Body::Here(serde_bytes::ByteBuf::from(outcome))
        }
    };
    let message = wire::encode(&body);
    let stored = broker
        .publish(&id.outcome(), &id.key(), message, None)
        .await;
    match stored {
        // Another node was faster.
        Ok(stored) if stored.duplicate => broker.payloads.delete_body(&body).await,
        Ok(_) => {}
        // The task is delivered again.
        Err(_) => return,
    }
    running.acknowledge(AckKind::Ack).await;
}

/// How long ago that was; zero if it is in the future, by another clock.
fn age(published: i128) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i128::try_from(now.as_nanos()).unwrap_or(0));
    let nanoseconds = u64::try_from((now - published).max(0)).unwrap_or(u64::MAX);
    Duration::from_nanos(nanoseconds)
}
