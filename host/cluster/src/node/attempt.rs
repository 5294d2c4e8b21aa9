//! One delivery of a task: from the message to the stored outcome.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::{AckKind, Message};
use tokio::sync::oneshot;
use wasmpool::{SubmitErrorKind, Task, TaskErrorKind, TaskReport};

use super::member::Member;
use super::room::Place;
use super::running::{Running, Stop};
use crate::error::RunError;
use crate::message::{self, Outcome, TaskMessage};
use crate::names::TaskId;
use crate::transcode::{self, Argument, Encoded};
use crate::wire;

/// How many nodes a task may bring down.
const MAX_STARTS: u64 = 3;

/// How an attempt ended.
type Ended = (Result<Vec<u8>, RunError>, TaskReport);

/// Runs a task that was delivered, hands over what became of it, and tells the server.
pub(super) async fn attempt(member: &Member, message: Message, place: Place) {
    let Ok(info) = message.info() else {
        return;
    };
    let delivery = Delivery {
        is_first: info.delivered <= 1,
        published: info.published.unix_timestamp_nanos(),
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
    settle(member, &running, &message.payload, &delivery, place).await;
    member.end(&running);
}

/// What the server says of a delivery.
struct Delivery {
    is_first: bool,
    /// When the task was stored, in nanoseconds since 1970.
    published: i128,
}

async fn settle(
    member: &Member,
    running: &Running,
    payload: &[u8],
    delivery: &Delivery,
    place: Place,
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
    let Some(worker) = place.worker().await else {
        return give_back(member, running, delivery, None).await;
    };
    if let Some(reason) = member.callers.unwanted(&running.id) {
        running.stop_for(reason);
    }
    let n_starts = match start(member, running, is_at_most_once, delivery).await {
        Ok(n_starts) => n_starts,
        Err(NotStarted::Verdict(error)) => {
            return conclude(member, running, (Err(error), TaskReport::default())).await;
        }
        // The task is delivered again.
        Err(NotStarted::NoAnswer) => return,
    };
    let ended = run(member, running, task, age(delivery.published)).await;
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
            give_back(member, running, delivery, n_starts).await;
            member.count_given_back();
        }
    }
}

/// Why a task is not started.
enum NotStarted {
    /// It was started too many times.
    Verdict(RunError),
    /// The server does not say how many times.
    NoAnswer,
}

/// Notes that a task is started, if it was delivered before: nodes may have gone away while they ran
/// it. Returns what is noted now, if anything.
///
/// A task that is delivered for the first time costs nothing here. If it is delivered again, it counts
/// as started once.
async fn start(
    member: &Member,
    running: &Running,
    is_at_most_once: bool,
    delivery: &Delivery,
) -> Result<Option<u64>, NotStarted> {
    if delivery.is_first {
        return Ok(None);
    }
    let allowed = match is_at_most_once {
        true => 1,
        false => MAX_STARTS,
    };
    let (broker, key) = (&member.broker, running.id.key());
    let noted = broker.n_starts(&key).await;
    let n_starts = noted.map_err(|_| NotStarted::NoAnswer)?.unwrap_or(1);
    if n_starts >= allowed {
        return Err(NotStarted::Verdict(match is_at_most_once {
            true => RunError::NodeLost,
            false => RunError::NodesLost {
                deliveries: n_starts,
            },
        }));
    }
    let noted = broker.note_starts(&key, n_starts + 1).await;
    noted.map_err(|_| NotStarted::NoAnswer)?;
    Ok(Some(n_starts + 1))
}

/// Gives a task back to the server, which delivers it to a node at once. `n_starts` is what is noted
/// of this start, if anything: it does not count.
async fn give_back(member: &Member, running: &Running, delivery: &Delivery, n_starts: Option<u64>) {
    let key = running.id.key();
    let noted = match n_starts {
        Some(n_starts) => member.broker.note_starts(&key, n_starts - 1).await,
        None if delivery.is_first => member.broker.note_starts(&key, 0).await,
        None => Ok(()),
    };
    // Otherwise the server delivers it later, and this start counts.
    if noted.is_ok() {
        running.acknowledge(AckKind::Nak(None)).await;
    }
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

/// Hands an outcome to the caller, or stores it where the caller does not answer, and then acknowledges
/// the task. However many nodes have an outcome, one counts.
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
    let Err(body) = member.answering.hand_over(id, body).await else {
        return running.acknowledge(AckKind::Ack).await;
    };
    let message = wire::encode(&body);
    let stored = broker
        .publish(&id.outcome(), &id.key(), message.into(), None)
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
