//! Queues and pipes, typed.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{self, GetError, PutError};
use super::handle::travels;
use super::waiting::{Patience, block_on};
use crate::objects::{self as core, Object, Waiting as _};

/// A queue of items, first in, first out, which any number of tasks and threads use: the `Queue` of
/// `multiprocessing`. Made by [`Pool::queue`](crate::Pool::queue).
///
/// Items are any serde types; they cross as MessagePack. A closed queue takes no more items, and gives
/// out those that it has. Whoever waits is served in order.
///
/// A handle that is cheap to clone: all clones are the same queue.
pub struct Queue<T> {
    core: core::Queue,
    items: PhantomData<fn(T) -> T>,
}

impl<T> Queue<T> {
    pub(super) fn of(core: core::Queue) -> Self {
        let items = PhantomData;
        Self { core, items }
    }

    fn object(&self) -> Object {
        Object::Queue(self.core.clone())
    }

    /// Closes the queue. Whoever waits to put an item in is told; whoever waits for one is told when
    /// the queue is empty.
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether the queue is closed.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items there may be.
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts an item in. Blocks while the queue is full.
    ///
    /// # Errors
    ///
    /// If the queue is closed or holds as many bytes as it may, or the item cannot be encoded.
    pub fn put(&self, item: &T) -> Result<(), PutError> {
        self.put_for(item, Patience::Forever)
    }

    /// Puts an item in if there is room. Does not block.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), and if the queue is full.
    pub fn try_put(&self, item: &T) -> Result<(), PutError> {
        error::put(self.core.put(error::item(item)?).now())
    }

    /// Puts an item in. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), and if the queue is still full then.
    pub fn put_timeout(&self, item: &T, timeout: Duration) -> Result<(), PutError> {
        self.put_for(item, Patience::For(timeout))
    }

    /// Puts an item in. Waits while the queue is full, without blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn put_async(&self, item: &T) -> Result<(), PutError> {
        let put = self.core.put(error::item(item)?);
        error::put(Some(put.await))
    }

    fn put_for(&self, item: &T, patience: Patience) -> Result<(), PutError> {
        let put = self.core.put(error::item(item)?);
        error::put(block_on(put, patience))
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest item. Blocks while there is none.
    ///
    /// # Errors
    ///
    /// If the queue is closed and empty, or the item is not a `T`.
    pub fn get(&self) -> Result<T, GetError> {
        error::get(block_on(self.core.get(), Patience::Forever))
    }

    /// Takes the oldest item, if there is one. Does not block.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and if the queue is empty.
    pub fn try_get(&self) -> Result<T, GetError> {
        error::get(self.core.get().now())
    }

    /// Takes the oldest item. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and if there is still none then.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        error::get(block_on(self.core.get(), Patience::For(timeout)))
    }

    /// Takes the oldest item. Waits for one without blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_async(&self) -> Result<T, GetError> {
        error::get(Some(self.core.get().await))
    }

    /// Takes items until the queue is closed and empty. `next` blocks while there is none.
    pub fn iter(&self) -> impl Iterator<Item = Result<T, GetError>> {
        std::iter::from_fn(|| match self.get() {
            Err(GetError::Closed) => None,
            item => Some(item),
        })
    }
}

travels!([T] Queue<T>, "a queue", Object::Queue(core) => Self::of(core));

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self::of(self.core.clone())
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// One end of a pipe, which sends `S` and receives `R`: a connection of `multiprocessing`. Made by
/// [`Pool::pipe`](crate::Pool::pipe).
///
/// When one end is closed, or its last handle is dropped, the other receives what was sent and is then
/// told.
///
/// A handle that is cheap to clone: all clones are the same end.
pub struct Pipe<S, R> {
    core: core::PipeEnd,
    items: PhantomData<fn(S) -> R>,
}

impl<S, R> Pipe<S, R> {
    pub(super) fn of(core: core::PipeEnd) -> Self {
        let items = PhantomData;
        Self { core, items }
    }

    fn object(&self) -> Object {
        Object::PipeEnd(self.core.clone())
    }

    /// Closes both directions.
    pub fn close(&self) {
        self.core.close();
    }
}

impl<S: Serialize, R> Pipe<S, R> {
    /// Sends an item. Blocks while there is no room.
    ///
    /// # Errors
    ///
    /// If an end is closed, the pipe holds as many bytes as it may, or the item cannot be encoded.
    pub fn send(&self, item: &S) -> Result<(), PutError> {
        self.send_for(item, Patience::Forever)
    }

    /// Sends an item if there is room. Does not block.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and if there is no room.
    pub fn try_send(&self, item: &S) -> Result<(), PutError> {
        error::put(self.core.send(error::item(item)?).now())
    }

    /// Sends an item. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and if there is still no room then.
    pub fn send_timeout(&self, item: &S, timeout: Duration) -> Result<(), PutError> {
        self.send_for(item, Patience::For(timeout))
    }

    /// Sends an item. Waits for room without blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_async(&self, item: &S) -> Result<(), PutError> {
        let send = self.core.send(error::item(item)?);
        error::put(Some(send.await))
    }

    fn send_for(&self, item: &S, patience: Patience) -> Result<(), PutError> {
        let send = self.core.send(error::item(item)?);
        error::put(block_on(send, patience))
    }
}

impl<S, R: DeserializeOwned> Pipe<S, R> {
    /// Receives an item. Blocks while there is none.
    ///
    /// # Errors
    ///
    /// If an end is closed and all items were received, or the item is not an `R`.
    pub fn receive(&self) -> Result<R, GetError> {
        error::get(block_on(self.core.receive(), Patience::Forever))
    }

    /// Receives an item, if there is one. Does not block.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), and if there is none.
    pub fn try_receive(&self) -> Result<R, GetError> {
        error::get(self.core.receive().now())
    }

    /// Receives an item. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), and if there is still none then.
    pub fn receive_timeout(&self, timeout: Duration) -> Result<R, GetError> {
        error::get(block_on(self.core.receive(), Patience::For(timeout)))
    }

    /// Receives an item. Waits for one without blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn receive_async(&self) -> Result<R, GetError> {
        error::get(Some(self.core.receive().await))
    }
}

travels!([S, R] Pipe<S, R>, "an end of a pipe", Object::PipeEnd(core) => Self::of(core));

impl<S, R> Clone for Pipe<S, R> {
    fn clone(&self) -> Self {
        Self::of(self.core.clone())
    }
}

impl<S, R> fmt::Debug for Pipe<S, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pipe").finish_non_exhaustive()
    }
}
