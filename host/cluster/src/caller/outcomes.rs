//! Outcomes as they arrive: each settles its task, once, and leaves nothing on the server.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::open_task::{OpenTask, Settled};
use super::open_tasks::OpenTasks;
use crate::error::RunError;
use crate::message::{Answers, Body, Outcome};
use crate::names;
use crate::wire;

/// How long the server may be silent before the outcomes are asked for again.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long one request for outcomes is valid.
const REQUEST: Duration = Duration::from_secs(20);

/// How long reading waits after an error, such as that of a server which restarts.
const AGAIN: Duration = Duration::from_millis(100);

/// How many outcomes are discarded by a caller that leaves. More are deleted when they are too old.
const DISCARDED: usize = 10_000;

/// The largest result, which no node exceeds that has the default payload limit.
const RESULT_LIMIT: usize = 1 << 30;

/// Settles the tasks of this caller, until it is dropped.
pub(super) async fn receive(tasks: Arc<OpenTasks>) {
    tokio::join!(receive_handed_over(&tasks), receive_stored(&tasks));
}

/// Takes the outcomes that nodes hand over, and tells them so.
async fn receive_handed_over(tasks: &Arc<OpenTasks>) {
    let client = &tasks.broker.client;
    loop {
        // It fails only when the client is closed, or the subject may not be heard.
        if let Ok(mut answers) = client.subscribe(names::answers_to(&tasks.caller)).await {
            while let Some(message) = answers.next().await {
                // Otherwise it is not from a node.
                let answers = wire::decode::<Answers>(&message.payload).unwrap_or_default();
                for (number, body) in answers {
                    settle(tasks, Some(number), body, None).await;
                }
                if let Some(node) = message.reply {
                    tasks.broker.tell(node, Vec::new()).await;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// Takes the outcomes that nodes stored while this caller did not answer.
async fn receive_stored(tasks: &Arc<OpenTasks>) {
    loop {
        // After a long time without a connection the server may have dropped the queue.
        if let Ok(queue) = tasks.broker.outcomes_of(&tasks.caller).await {
            let outcomes = queue.stream().heartbeat(HEARTBEAT).expires(REQUEST);
            if let Ok(mut outcomes) = outcomes.messages().await {
                while let Some(Ok(outcome)) = outcomes.next().await {
                    match wire::decode::<Body>(&outcome.payload) {
                        Ok(body) => {
                            let number = names::number_of_outcome(&outcome.subject);
                            settle(tasks, number, body, Some(outcome)).await;
                        }
                        // Not from a node.
                        Err(_) => {
                            let _ = outcome.ack().await;
                        }
                    }
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// Discards the outcomes that have not arrived, and the queue in which they are.
pub(super) async fn discard(tasks: &OpenTasks) {
    let Ok(queue) = tasks.broker.outcomes_of(&tasks.caller).await else {
        return;
    };
    let outcomes = queue.fetch().max_messages(DISCARDED).messages().await;
    if let Ok(mut outcomes) = outcomes {
        while let Some(Ok(outcome)) = outcomes.next().await {
            if let Ok(body) = wire::decode::<Body>(&outcome.payload) {
                tasks.broker.payloads.delete_body(&body).await;
            }
            let _ = outcome.ack().await;
        }
    }
    let outcomes = &tasks.broker.outcomes;
    let _ = outcomes.delete_consumer(&tasks.caller).await;
}

/// Settles a task with an outcome. Acknowledges the message of one that was stored.
async fn settle(tasks: &Arc<OpenTasks>, number: Option<u64>, body: Body, message: Option<Message>) {
    let task = number.and_then(|number| tasks.find(number));
    let is_small = matches!(body, Body::Here(_))
        && task
            .as_ref()
            .is_none_or(|task| !task.may_have_stored_arguments());
    if is_small {
        return settle_with(tasks, task, body, message).await;
    }
    // Others need not wait for a large one.
    let tasks = Arc::clone(tasks);
    tokio::spawn(async move { settle_with(&tasks, task, body, message).await });
}

async fn settle_with(
    tasks: &OpenTasks,
    task: Option<Arc<OpenTask>>,
    body: Body,
    message: Option<Message>,
) {
    let payloads = &tasks.broker.payloads;
    let stored = match &body {
        Body::Stored(name) => Some(name.clone()),
        Body::Here(_) => None,
    };
    // That of a task which has settled is only cleared away.
    if let Some(task) = task {
        if !task.arrives() {
            return;
        }
        let outcome = payloads.unpack(body, RESULT_LIMIT).await;
        let outcome = outcome.and_then(|bytes| wire::decode::<Outcome>(&bytes));
        let settled = match outcome {
            Ok(outcome) => Settled {
                result: outcome.result.map(|bytes| bytes.into_vec()),
                report: outcome.report,
                node: Some(outcome.node),
            },
            Err(problem) => Settled {
                result: Err(RunError::Payload(problem)),
                report: Default::default(),
                node: None,
            },
        };
        // Before the caller sees the result: it may end then.
        tasks.delete_arguments(&task).await;
        if let Some(name) = &stored {
            payloads.delete(name).await;
        }
        tasks.settle(&task, settled);
    } else if let Some(name) = &stored {
        payloads.delete(name).await;
    }
    if let Some(message) = message {
        let _ = message.ack().await;
    }
}
