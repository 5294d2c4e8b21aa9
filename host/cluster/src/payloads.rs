//! Payloads: in their message, or in the object store if they are too large for it, until they are
//! deleted.

use serde_bytes::ByteBuf;

use crate::message::Body;
use crate::object_store::ObjectStore;

/// The payloads of a cluster.
#[derive(Clone)]
pub(crate) struct Payloads {
    store: ObjectStore,
    /// Up to how many bytes travel in a message.
    in_message: usize,
}

impl Payloads {
    pub(crate) fn new(store: ObjectStore, in_message: usize) -> Self {
        Self { store, in_message }
    }

    /// The bytes as part of a message. Stores them under `name` if they are too many.
    pub(crate) async fn pack(&self, name: String, bytes: Vec<u8>) -> Result<Body, String> {
        if bytes.len() <= self.in_message {
            return Ok(Body::Here(ByteBuf::from(bytes)));
        }
        self.store.put(&name, &bytes).await?;
        Ok(Body::Stored(name))
    }

    /// The bytes of a message, at most `limit`.
    pub(crate) async fn unpack(&self, body: Body, limit: usize) -> Result<Vec<u8>, String> {
        match body {
            Body::Here(bytes) => Ok(bytes.into_vec()),
            Body::Stored(name) => self.store.get(&name, limit).await,
        }
    }

    /// Deletes a stored payload, if it is there.
    pub(crate) async fn delete(&self, name: &str) {
        self.store.delete(name).await;
    }

    /// Deletes the payload that the body names.
    pub(crate) async fn delete_body(&self, body: &Body) {
        if let Body::Stored(name) = body {
            self.delete(name).await;
        }
    }
}
