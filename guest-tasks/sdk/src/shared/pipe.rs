//! A pipe between two tasks.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::travel::handle;
use super::{CreateError, GetError, PutError, host, item};

/// Makes a pipe with room for `capacity` items in each direction, at least 1: 0 counts as 1. What is
/// sent at one of the ends is received at the other, in order.
///
/// # Errors
///
/// If the host has not granted the right to start tasks, or allows no more objects.
// In full it shows that the ends are mirrored.
#[allow(clippy::type_complexity)]
pub fn pipe<A, B>(capacity: u32) -> Result<(Pipe<A, B>, Pipe<B, A>), CreateError> {
    let (first, second) = host::PipeEnd::create(capacity.max(1))?;
    Ok((Pipe::new(first), Pipe::new(second)))
}

/// One end of a pipe: it sends `S`, and receives `R`. Made by [`pipe`].
///
/// When an end is closed, or no task has a handle of it any more, no more items are sent in either
/// direction, and those that were sent can still be received.
pub struct Pipe<S, R> {
    raw: host::PipeEnd,
    items: PhantomData<fn(S) -> R>,
}

handle!(Pipe<S, R>, "an end of a pipe", PipeEnd => |raw| Self::new(raw));

impl<S, R> Pipe<S, R> {
    fn new(raw: host::PipeEnd) -> Self {
        Self {
            raw,
            items: PhantomData,
        }
    }

    /// Closes the pipe in both directions, and wakes all who wait for it. Does not block.
    pub fn close(&self) {
        self.raw.close();
    }
}

impl<S: Serialize, R> Pipe<S, R> {
    /// Sends an item. Blocks while there is no room.
    ///
    /// # Errors
    ///
    /// If an end is closed, the item cannot be encoded, the host allows no more bytes, or the task
    /// cannot wait.
    pub fn send(&self, item: &S) -> Result<(), PutError> {
        self.send_within(item, None)
    }

    /// Sends an item if there is room. Does not block.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there is no room; otherwise as [`send`](Self::send).
    pub fn try_send(&self, item: &S) -> Result<(), PutError> {
        self.send_within(item, Some(Duration::ZERO))
    }

    /// Sends an item. Blocks while there is no room, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there was no room in time; otherwise as [`send`](Self::send).
    pub fn send_timeout(&self, item: &S, timeout: Duration) -> Result<(), PutError> {
        self.send_within(item, Some(timeout))
    }

    fn send_within(&self, item: &S, timeout: Option<Duration>) -> Result<(), PutError> {
        let item = item::encode(item).map_err(PutError::BadItem)?;
        self.raw.send(item, timeout)
    }
}

impl<S, R: DeserializeOwned> Pipe<S, R> {
    /// Receives an item. Blocks while there is none.
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`] if an end is closed and all items have been received. Also if the item is
    /// not an `R`: it is lost then; and if the task cannot wait.
    pub fn receive(&self) -> Result<R, GetError> {
        self.receive_within(None)
    }

    /// Receives an item if there is one. Does not block.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if there is none; otherwise as [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<R, GetError> {
        self.receive_within(Some(Duration::ZERO))
    }

    /// Receives an item. Blocks while there is none, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if none came in time; otherwise as [`receive`](Self::receive).
    pub fn receive_timeout(&self, timeout: Duration) -> Result<R, GetError> {
        self.receive_within(Some(timeout))
    }

    fn receive_within(&self, timeout: Option<Duration>) -> Result<R, GetError> {
        let item = self.raw.receive(timeout)?;
        item::decode(&item).map_err(GetError::BadItem)
    }
}
