//! Why an operation on a shared object failed.

use std::fmt;

/// Why an object was not created. Carries the message of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateError {
    /// The host has not granted the right to start tasks.
    NotAllowed(String),
    /// The host allows no more objects, or no more bytes in them.
    OverBudget(String),
}

impl fmt::Display for CreateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotAllowed(message) | Self::OverBudget(message)) = self;
        write!(formatter, "the object was not created: {message}")
    }
}

impl std::error::Error for CreateError {}

/// Why a task cannot wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// As many tasks wait already as the pool has places for. Carries the message of the host.
    NoPlace(String),
    /// The guard that was handed to a condition holds no lock any more: the call that acquired it
    /// has ended.
    NotHeld,
}

impl fmt::Display for WaitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace(message) => no_place(formatter, message),
            Self::NotHeld => formatter.write_str("the guard holds no lock any more"),
        }
    }
}

impl std::error::Error for WaitError {}

/// Why an item was not put into a queue, or not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// There was no room before the timeout was over.
    Full,
    /// The queue is closed, or an end of the pipe is.
    Closed,
    /// The host allows no more bytes. Carries its message.
    OverBudget(String),
    /// As many tasks wait already as the pool has places for. Carries the message of the host.
    NoPlace(String),
    /// The item cannot be encoded. Carries the reason.
    BadItem(String),
}

impl fmt::Display for PutError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => formatter.write_str("there is no room for the item"),
            Self::Closed => formatter.write_str("closed: no more items are taken"),
            Self::OverBudget(message) => write!(formatter, "the item was not taken: {message}"),
            Self::NoPlace(message) => no_place(formatter, message),
            Self::BadItem(message) => write!(formatter, "the item cannot be encoded: {message}"),
        }
    }
}

impl std::error::Error for PutError {}

/// Why there is no item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError {
    /// None came before the timeout was over.
    Empty,
    /// The queue is closed, or an end of the pipe is, and all items have been taken.
    Closed,
    /// As many tasks wait already as the pool has places for. Carries the message of the host.
    NoPlace(String),
    /// An item was taken, but is of another type. Carries the reason.
    BadItem(String),
}

impl fmt::Display for GetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("there is no item"),
            Self::Closed => formatter.write_str("closed: there are no more items"),
            Self::NoPlace(message) => no_place(formatter, message),
            Self::BadItem(message) => write!(formatter, "the item: {message}"),
        }
    }
}

impl std::error::Error for GetError {}

/// Why a wait at a barrier failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BarrierError {
    /// A task left the barrier before all were there, since its timeout was over or it was stopped.
    /// Or the barrier was aborted or reset.
    Broken,
    /// As many tasks wait already as the pool has places for. Carries the message of the host.
    NoPlace(String),
}

impl fmt::Display for BarrierError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => formatter.write_str("the barrier is broken"),
            Self::NoPlace(message) => no_place(formatter, message),
        }
    }
}

impl std::error::Error for BarrierError {}

/// Why an entry of a map was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertError {
    /// The host allows no more bytes. Carries its message.
    OverBudget(String),
    /// The key or the value cannot be encoded. Carries the reason.
    BadItem(String),
}

impl fmt::Display for InsertError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverBudget(message) => write!(formatter, "the entry was not written: {message}"),
            Self::BadItem(message) => write!(formatter, "the entry cannot be encoded: {message}"),
        }
    }
}

impl std::error::Error for InsertError {}

fn no_place(formatter: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
    write!(formatter, "the task cannot wait: {message}")
}
