//! Encoded arguments on their way to a guest.

use std::ops::Deref;

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

impl Default for Payload {
    fn default() -> Self {
        Self::Once(Vec::new())
    }
}
