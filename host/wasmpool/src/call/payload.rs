//! Encoded arguments on their way to a guest, and the encoded result on its way back.

use std::ops::Deref;

use crate::objects::Handed;
use crate::sync::Arc;

/// Encoded arguments.
#[derive(Clone)]
pub(crate) enum Payload {
    /// Of a task that is started once.
    Once(Vec<u8>),
    /// Of a task that may be tried again, or of an initializer.
    Shared(Arc<Vec<u8>>),
}

impl Payload {
    pub(crate) fn new(arguments: Vec<u8>, is_tried_again: bool) -> Self {
        if is_tried_again {
            Self::Shared(Arc::new(arguments))
        } else {
            Self::Once(arguments)
        }
    }

    /// The arguments for one call.
    pub(crate) fn hand_out(&mut self) -> Self {
        match self {
            Self::Once(arguments) => Self::Once(std::mem::take(arguments)),
            Self::Shared(arguments) => Self::Shared(Arc::clone(arguments)),
        }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Once(arguments) => arguments,
            Self::Shared(arguments) => arguments,
        }
    }
}

/// The encoded result of a task.
#[derive(Default)]
pub(crate) struct TaskResult {
    pub(crate) bytes: Vec<u8>,
    /// The shared objects that came with it.
    pub(crate) objects: Handed,
}

impl From<Vec<u8>> for TaskResult {
    fn from(bytes: Vec<u8>) -> Self {
        let objects = Handed::default();
        Self { bytes, objects }
    }
}

impl Deref for TaskResult {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Once(Vec::new())
    }
}
