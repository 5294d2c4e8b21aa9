//! The streams and stores of a cluster on its server: they are made where they are missing, and
//! messages are published to them.
//!
//! Does not know callers or nodes.

use std::error::Error as _;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::object_store;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{
    self, DeleteMessageErrorKind, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, Stream,
};
use async_nats::jetstream::{self, Context, ErrorCode, kv};
use async_nats::{Client, ToSubject};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::time::{Instant, sleep};

use crate::error::ConnectError;
use crate::names::{self, TaskId};
use crate::object_store::ObjectStore;
use crate::payloads::Payloads;
use crate::server::Server;

/// How long a node may be silent about a task that it runs before the task is delivered again, and a
/// caller about an outcome.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(5);

/// How long an outcome that nobody fetches is kept, and a payload that nobody deletes.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a node is listed after it was last heard of.
const NODE_KEPT: Duration = Duration::from_secs(10);

/// How long the queue of outcomes of a caller that went away is kept.
const CALLER_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long the server may take to confirm a message before the message is sent again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a message that was not confirmed waits to be sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// How often those who use a queue look for messages that it should not have any more.
pub(crate) const TIDYING: Duration = Duration::from_secs(5);

/// The largest module.
const MODULE_LIMIT: usize = 256 << 20;

/// The connection to a server, and what is used there.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) client: Client,
    pub(crate) tasks: Stream,
    pub(crate) outcomes: Stream,
    pub(crate) payloads: Payloads,
    /// The status of each node.
    pub(crate) nodes: kv::Store,
    /// How many times tasks that were delivered again were started.
    starts: kv::Store,
    jetstream: Context,
    modules: ObjectStore,
    /// How many tasks a new queue holds.
    capacity: u32,
}

/// Why a message was not stored.
#[derive(Debug)]
pub(crate) enum Refusal {
    Full,
    Unconfirmed(String),
}

impl Broker {
    pub(crate) async fn connect(server: &Server, name: &str) -> Result<Self, ConnectError> {
        Self::open(server.connect(name).await?, server.capacity()).await
    }

    /// Makes what a server that has lost its files does not have any more.
    pub(crate) async fn restore(&self) -> Result<(), ConnectError> {
        Self::open(self.client.clone(), self.capacity)
            .await
            .map(drop)
    }

    async fn open(client: Client, capacity: u32) -> Result<Self, ConnectError> {
        let jetstream = jetstream::context::ContextBuilder::new()
            .ack_timeout(CONFIRM_TIMEOUT)
            .build(client.clone());
        let tasks = stream::Config {
            name: names::TASKS.to_owned(),
            subjects: vec![names::TASKS_SUBJECTS.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            // A full queue refuses tasks, and never drops accepted ones.
            discard: DiscardPolicy::New,
            max_messages: i64::from(capacity),
            ..Default::default()
        };
        let outcomes = stream::Config {
            name: names::OUTCOMES.to_owned(),
            subjects: vec![names::OUTCOMES_SUBJECTS.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            max_age: KEPT,
            ..Default::default()
        };
        // Of what a message may have, an outcome is a part; the rest is for names and headers.
        let in_message = client.server_info().max_payload / 2;
        let payloads = bucket(&jetstream, names::PAYLOADS, KEPT).await?;
        Ok(Self {
            tasks: open_stream(&jetstream, names::TASKS, tasks).await?,
            outcomes: open_stream(&jetstream, names::OUTCOMES, outcomes).await?,
            payloads: Payloads::new(payloads, in_message),
            nodes: open_store(&jetstream, names::NODES, NODE_KEPT).await?,
            starts: open_store(&jetstream, names::STARTS, KEPT).await?,
            modules: bucket(&jetstream, names::MODULES, Duration::ZERO).await?,
            client,
            jetstream,
            capacity,
        })
    }

    /// Stores a message, once, however often it has to be sent. A message that the server does not
    /// confirm is sent again until `deadline`.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        message_id: &str,
        payload: Bytes,
        deadline: Option<Instant>,
    ) -> Result<PublishAck, Refusal> {
        loop {
            let message = PublishMessage::build()
                .payload(payload.clone())
                .message_id(message_id);
            let sent = self.jetstream.send_publish(subject.to_owned(), message);
            let confirmed = match sent.await {
                Ok(sent) => sent.await,
                Err(error) => Err(error),
            };
            let error = match confirmed {
                Ok(confirmed) => return Ok(confirmed),
                Err(error) if is_full(&error) => return Err(Refusal::Full),
                Err(error) => error,
            };
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_late || error.kind() == PublishErrorKind::MaxPayloadExceeded {
                return Err(Refusal::Unconfirmed(error.to_string()));
            }
            sleep(AGAIN).await;
        }
    }

    /// Takes a task out of the queue, if it is there: the message with this number, or where that is
    /// not known, with this subject.
    ///
    /// Deleting all messages of a subject would be one request. But it makes servers of version 2.9
    /// skip the tasks of others.
    pub(crate) async fn withdraw(&self, subject: &str, sequence: Option<u64>) {
        let sequence = match sequence {
            Some(sequence) => Some(sequence),
            None => {
                let found = self.tasks.get_last_raw_message_by_subject(subject).await;
                found.ok().map(|found| found.sequence)
            }
        };
        if let Some(sequence) = sequence {
            // That it is not there any more is as good.
            let _ = self.tasks.delete_message(sequence).await;
        }
    }

    /// Whether the queue has a task: the message with this number and subject.
    pub(crate) async fn has_task(&self, subject: &str, sequence: u64) -> Result<bool, String> {
        match self.tasks.get_raw_message(sequence).await {
            Ok(found) => Ok(found.subject.as_str() == subject),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Deletes the tasks of a caller whose numbers are not `wanted`.
    pub(crate) async fn delete_unwanted(
        &self,
        caller: &str,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<(), String> {
        let all = names::tasks_of_caller(caller);
        let queued = self.tasks.info_with_subjects(all).await;
        let mut queued = queued.map_err(|error| error.to_string())?;
        while let Some((subject, _)) = queued.try_next().await.map_err(|error| error.to_string())? {
            if TaskId::of_subject(&subject).is_some_and(|id| !wanted(id.number)) {
                self.withdraw(&subject, None).await;
            }
        }
        Ok(())
    }

    /// Deletes the tasks of a tenant that have ended.
    pub(crate) async fn delete_ended(&self, tenant: &str) -> Result<(), String> {
        let queue = self.queue_of(tenant).await?;
        delete_acknowledged(&self.tasks, &queue, &names::tasks_of_tenant(tenant)).await
    }

    /// Deletes the outcomes that a caller has.
    pub(crate) async fn delete_received(&self, caller: &str) -> Result<(), String> {
        let queue = self.outcomes_of(caller).await?;
        delete_acknowledged(&self.outcomes, &queue, &names::outcomes_of(caller)).await
    }

    /// Sends a message to whoever listens now.
    pub(crate) async fn tell(&self, subject: impl ToSubject, payload: Vec<u8>) {
        // It fails only when the client is closed.
        let _ = self.client.publish(subject, payload.into()).await;
    }

    /// The queue of a tenant, by its token.
    pub(crate) async fn queue_of(&self, tenant: &str) -> Result<PullConsumer, String> {
        let config = pull::Config {
            durable_name: Some(tenant.to_owned()),
            filter_subject: names::tasks_of_tenant(tenant),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            deliver_policy: DeliverPolicy::All,
            // As many as there are workers.
            max_ack_pending: -1,
            ..Default::default()
        };
        let queue = self.tasks.get_or_create_consumer(tenant, config).await;
        queue.map_err(|error| error.to_string())
    }

    /// The queue of the outcomes of a caller.
    pub(crate) async fn outcomes_of(&self, caller: &str) -> Result<PullConsumer, String> {
        let config = pull::Config {
            durable_name: Some(caller.to_owned()),
            filter_subject: names::outcomes_of(caller),
            ack_policy: AckPolicy::Explicit,
            // Those that were on their way when the connection was lost come again as soon.
            ack_wait: ACK_WAIT,
            deliver_policy: DeliverPolicy::All,
            max_ack_pending: -1,
            inactive_threshold: CALLER_KEPT,
            ..Default::default()
        };
        let queue = self.outcomes.get_or_create_consumer(caller, config).await;
        queue.map_err(|error| error.to_string())
    }

    /// Stores a module under its hash, if it is not there, and returns the hash.
    pub(crate) async fn store_module(&self, wasm: &[u8]) -> Result<String, String> {
        let hash = hash(wasm);
        if !self.modules.has(&hash).await {
            self.modules.put(&hash, wasm).await?;
        }
        Ok(hash)
    }

    /// The module with this hash, which is checked.
    pub(crate) async fn module(&self, expected: &str) -> Result<Vec<u8>, String> {
        let wasm = self.modules.get(expected, MODULE_LIMIT).await?;
        match hash(&wasm) == expected {
            true => Ok(wasm),
            false => Err(format!(
                "the stored bytes do not have the hash `{expected}`"
            )),
        }
    }

    /// How many times a task was started, if that is noted. `key` is its key.
    pub(crate) async fn n_starts(&self, key: &str) -> Result<Option<u64>, String> {
        let stored = self.starts.get(key).await;
        let stored = stored.map_err(|error| error.to_string())?;
        let digits = stored.map(|digits| String::from_utf8_lossy(&digits).parse());
        Ok(digits.transpose().ok().flatten())
    }

    /// Notes how many times a task was started.
    pub(crate) async fn note_starts(&self, key: &str, count: u64) -> Result<(), String> {
        let stored = self.starts.put(key, count.to_string().into()).await;
        stored.map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Deletes messages that were acknowledged, up to the first that was not. The server does so itself.
/// But one that was killed may have such messages again: nobody gets them, and they would take places
/// in the queue for ever.
async fn delete_acknowledged(
    stream: &Stream,
    queue: &PullConsumer,
    subject: &str,
) -> Result<(), String> {
    let acknowledged = queue.cached_info().ack_floor.stream_sequence;
    loop {
        let first = stream.get_next_raw_message_by_subject(subject).await;
        let first = match first {
            Ok(first) => first.sequence,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if first > acknowledged {
            return Ok(());
        }
        // Another node may have been faster.
        if let Err(error) = stream.delete_message(first).await
            && !matches!(error.kind(), DeleteMessageErrorKind::JetStream(_))
        {
            return Err(error.to_string());
        }
    }
}

/// The hash under which a module is stored.
fn hash(wasm: &[u8]) -> String {
    blake3::hash(wasm).to_hex().to_string()
}

/// Whether the server had no room for a message.
fn is_full(error: &PublishError) -> bool {
    let source = error.source();
    let source = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
    source.is_some_and(|source| source.error_code() == ErrorCode::STREAM_STORE_FAILED)
}

async fn open_stream(
    jetstream: &Context,
    name: &'static str,
    config: stream::Config,
) -> Result<Stream, ConnectError> {
    let stream = config.name.clone();
    // That of another capacity is as good.
    if let Ok(stream) = jetstream.get_stream(&stream).await {
        return Ok(stream);
    }
    match jetstream.create_stream(config).await {
        Ok(stream) => Ok(stream),
        // Another program may have been faster.
        Err(error) => {
            let stream = jetstream.get_stream(&stream).await;
            stream.map_err(|_| unusable(name, &error))
        }
    }
}

/// A store of keys and values. The client's own way of making one asks the server for more than
/// servers of version 2.9 answer.
async fn open_store(
    jetstream: &Context,
    name: &'static str,
    max_age: Duration,
) -> Result<kv::Store, ConnectError> {
    let under = stream::Config {
        name: format!("KV_{name}"),
        subjects: vec![format!("$KV.{name}.>")],
        max_messages_per_subject: 1,
        max_age,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_direct: true,
        deny_delete: true,
        ..Default::default()
    };
    open_stream(jetstream, name, under).await?;
    let store = jetstream.get_key_value(name).await;
    store.map_err(|error| unusable(name, &error))
}

async fn bucket(
    jetstream: &Context,
    name: &'static str,
    max_age: Duration,
) -> Result<ObjectStore, ConnectError> {
    let config = object_store::Config {
        bucket: name.to_owned(),
        max_age,
        ..Default::default()
    };
    let store = match jetstream.get_object_store(name).await {
        Ok(store) => store,
        Err(_) => match jetstream.create_object_store(config).await {
            Ok(store) => store,
            Err(error) => {
                let store = jetstream.get_object_store(name).await;
                store.map_err(|_| unusable(name, &error))?
            }
        },
    };
    let under = jetstream.get_stream(format!("OBJ_{name}")).await;
    let under = under.map_err(|error| unusable(name, &error))?;
    Ok(ObjectStore::new(name, store, under))
}

fn unusable(name: &'static str, error: &impl std::fmt::Display) -> ConnectError {
    ConnectError::JetStream {
        name,
        problem: error.to_string(),
    }
}
