//! Bytes under names, in an object store of the server.
//!
//! Objects are written by the client's own functions, and read and deleted here, because:
//!
//! - Deleting messages of a subject makes servers of version 2.9 skip messages of all consumers of
//!   the stream. Objects are therefore read message by message, without a consumer.
//! - The client's own way to delete leaves a message for each deleted object, which would add up.

use std::time::Duration;

use async_nats::jetstream::object_store::{InfoErrorKind, ObjectInfo, ObjectMetadata};
use async_nats::jetstream::stream::{DirectGetError, Stream};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use tokio::io::BufReader;
use tokio::time::{Instant, sleep};

/// Each chunk is confirmed before the next is sent: fewer chunks are faster. Below the limit of any
/// server, which is 1 MiB by default.
const CHUNK: usize = 256 << 10;

/// For how long a transfer that fails is tried again: a server may be restarting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before a transfer is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// An object store.
#[derive(Clone)]
pub(crate) struct ObjectStore {
    bucket: &'static str,
    store: async_nats::jetstream::object_store::ObjectStore,
    /// The stream under the store.
    stream: Stream,
}

impl ObjectStore {
    pub(crate) fn new(
        bucket: &'static str,
        store: async_nats::jetstream::object_store::ObjectStore,
        stream: Stream,
    ) -> Self {
        Self {
            bucket,
            store,
            stream,
        }
    }

    pub(crate) async fn has(&self, name: &str) -> bool {
        self.store.info(name).await.is_ok_and(|info| !info.deleted)
    }

    /// Stores bytes under a name.
    pub(crate) async fn put(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let description = ObjectMetadata {
                name: name.to_owned(),
                chunk_size: Some(CHUNK),
                ..Default::default()
            };
            // Reading a slice gives it all at once, whatever the size of chunks.
            let mut bytes = BufReader::with_capacity(CHUNK, bytes);
            match self.store.put(description, &mut bytes).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// The bytes under a name, if they are at most `limit`.
    pub(crate) async fn get(&self, name: &str, limit: usize) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let problem = match self.store.info(name).await {
                Ok(info) => match self.read(&info, limit).await {
                    Ok(Some(bytes)) => return Ok(bytes),
                    Ok(None) => return Err(format!("`{name}` is larger than {limit} bytes")),
                    Err(error) => error.to_string(),
                },
                Err(error) if error.kind() == InfoErrorKind::NotFound => {
                    return Err(format!("`{name}` is not in the store"));
                }
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(format!("cannot read `{name}`: {problem}"));
            }
            sleep(AGAIN).await;
        }
    }

    /// The bytes of an object; `None` if there are more than `limit`.
    async fn read(
        &self,
        info: &ObjectInfo,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, DirectGetError> {
        let subject = self.chunks_of(info);
        // The description may be false, so nothing is reserved for it, and the bytes are counted.
        let mut bytes = Vec::new();
        let mut next = None;
        for _ in 0..info.chunks {
            let chunk = self.stream.direct_get_next_for_subject(&subject, next);
            let chunk = chunk.await?;
            if bytes.len() + chunk.payload.len() > limit {
                return Ok(None);
            }
            bytes.extend(&chunk.payload);
            next = Some(chunk.sequence + 1);
        }
        Ok(Some(bytes))
    }

    /// Deletes an object, if it is there, and leaves nothing of it.
    pub(crate) async fn delete(&self, name: &str) {
        // What cannot be deleted now is deleted when it has become too old.
        if let Ok(info) = self.store.info(name).await {
            let _ = self.stream.purge().filter(self.chunks_of(&info)).await;
        }
        let description = format!("$O.{}.M.{}", self.bucket, URL_SAFE.encode(name));
        let _ = self.stream.purge().filter(description).await;
    }

    fn chunks_of(&self, info: &ObjectInfo) -> String {
        format!("$O.{}.C.{}", self.bucket, info.nuid)
    }
}
