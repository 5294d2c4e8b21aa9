//! A queue of items.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::travel::handle;
use super::{CreateError, GetError, PutError, host, item};

/// A queue of items, first in, first out, for any number of tasks that put and take.
///
/// A closed queue takes no more items, and gives out those that it has.
pub struct Queue<T> {
    raw: host::Queue,
    items: PhantomData<fn(T) -> T>,
}

handle!(Queue<T>, "a queue", Queue => |raw| Self { raw, items: PhantomData });

impl<T> Queue<T> {
    /// Makes an empty queue with room for `capacity` items, at least 1: 0 counts as 1.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new(capacity: u32) -> Result<Self, CreateError> {
        Ok(Self {
            raw: host::Queue::create(capacity.max(1))?,
            items: PhantomData,
        })
    }

    /// Closes the queue, and wakes all who wait for it. Does not block.
    pub fn close(&self) {
        self.raw.close();
    }

    /// Whether the queue is closed. It may still have items.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// The number of items now.
    pub fn len(&self) -> u32 {
        self.raw.len()
    }

    /// Whether there is no item now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of items that the queue has room for.
    pub fn capacity(&self) -> u32 {
        self.raw.capacity()
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts an item in. Blocks while the queue is full.
    ///
    /// # Errors
    ///
    /// If the queue is closed, the item cannot be encoded, the host allows no more bytes, or the
    /// task cannot wait.
    pub fn put(&self, item: &T) -> Result<(), PutError> {
        self.put_within(item, None)
    }

    /// Puts an item in if there is room. Does not block.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there is no room; otherwise as [`put`](Self::put).
    pub fn try_put(&self, item: &T) -> Result<(), PutError> {
        self.put_within(item, Some(Duration::ZERO))
    }

    /// Puts an item in. Blocks while the queue is full, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there was no room in time; otherwise as [`put`](Self::put).
    pub fn put_timeout(&self, item: &T, timeout: Duration) -> Result<(), PutError> {
        self.put_within(item, Some(timeout))
    }

    fn put_within(&self, item: &T, timeout: Option<Duration>) -> Result<(), PutError> {
        let item = item::encode(item).map_err(PutError::BadItem)?;
        self.raw.put(item, timeout)
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest item. Blocks while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`] if the queue is closed and empty. Also if the item is not a `T`: it is
    /// lost then; and if the task cannot wait.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(None)
    }

    /// Takes the oldest item if there is one. Does not block.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if there is none; otherwise as [`get`](Self::get).
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Some(Duration::ZERO))
    }

    /// Takes the oldest item. Blocks while the queue is empty, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if none came in time; otherwise as [`get`](Self::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_within(Some(timeout))
    }

    /// Takes items until the queue is closed and empty. Blocks while it is only empty.
    ///
    /// Another error than [`GetError::Closed`] is the last thing that it yields.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            queue: self,
            is_over: false,
        }
    }

    fn get_within(&self, timeout: Option<Duration>) -> Result<T, GetError> {
        let item = self.raw.get(timeout)?;
        item::decode(&item).map_err(GetError::BadItem)
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Queue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The items of a queue, taken one after the other. Made by [`Queue::iter`].
#[derive(Debug)]
#[must_use = "nothing is taken before the first item is asked for"]
pub struct Iter<'a, T> {
    queue: &'a Queue<T>,
    is_over: bool,
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.queue.get();
        self.is_over = item.is_err();
        match item {
            Err(GetError::Closed) => None,
            item => Some(item),
        }
    }
}
