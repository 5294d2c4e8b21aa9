//! Why a shared object did not do what it was asked for.

use crate::objects::{PutRefused, QueueEnded};
use crate::value;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why an item was not put into a queue, or not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// There is no room, and the caller did not wait, or its timeout is over.
    #[error("the queue is full")]
    Full,
    /// The queue is closed, or the other end of the pipe is.
    #[error("the queue is closed")]
    Closed,
    /// The object holds as many bytes as it may.
    #[error("{0}")]
    OverBudget(String),
    /// The item cannot be encoded.
    #[error("the item cannot be encoded: {0}")]
    BadItem(String),
}

/// Why there is no item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// There is none, and the caller did not wait, or its timeout is over.
    #[error("the queue is empty")]
    Empty,
    /// The queue is closed, or the other end of the pipe is, and all items have been taken.
    #[error("the queue is closed, and empty")]
    Closed,
    /// The item is not of the type of the queue. It has been taken.
    #[error("the item cannot be read: {0}")]
    BadItem(String),
}

/// A party has left the [barrier](crate::shared::Barrier) before all were there, or it was broken by
/// hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the barrier is broken")]
#[non_exhaustive]
pub struct BrokenBarrier;

/// Why a [map](crate::shared::Map) could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The map holds as many bytes as it may.
    #[error("{0}")]
    OverBudget(String),
    /// A key or a value cannot be encoded, or is not of the type of the map.
    #[error("{0}")]
    BadEntry(String),
}

/// A key or a value as it lies in the object.
pub(super) fn encode(entry: &impl Serialize) -> Result<Vec<u8>, MapError> {
    let problem = |problem| MapError::BadEntry(format!("it cannot be encoded: {problem}"));
    value::encode(entry).map_err(problem)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MapError> {
    let problem = |problem| MapError::BadEntry(format!("it cannot be read: {problem}"));
    value::decode(bytes).map_err(problem)
}

/// How a put has ended; `None` if the patience was over.
pub(super) fn put(ended: Option<Result<(), PutRefused>>) -> Result<(), PutError> {
    match ended {
        Some(Ok(())) => Ok(()),
        Some(Err(PutRefused::Closed)) => Err(PutError::Closed),
        Some(Err(PutRefused::OverBudget(message))) => Err(PutError::OverBudget(message)),
        None => Err(PutError::Full),
    }
}

pub(super) fn item(item: &impl Serialize) -> Result<Vec<u8>, PutError> {
    value::encode(item).map_err(PutError::BadItem)
}

/// How a get has ended; `None` if the patience was over.
pub(super) fn get<T: DeserializeOwned>(
    ended: Option<Result<Vec<u8>, QueueEnded>>,
) -> Result<T, GetError> {
    match ended {
        Some(Ok(item)) => value::decode(&item).map_err(GetError::BadItem),
        Some(Err(QueueEnded)) => Err(GetError::Closed),
        None => Err(GetError::Empty),
    }
}
