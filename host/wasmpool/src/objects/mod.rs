//! Objects that tasks and the embedding program share: queues, locks, arrays and so on.
//!
//! What waits is a future, for guests and for the program alike. Does not know guests, tasks or how
//! values are encoded.
//!
//! The items of queues and dictionaries are bytes and carry no objects. So objects cannot refer to
//! each other, and counting references is enough to free them.

mod array;
mod budget;
mod dictionary;
mod event;
mod lock;
mod monitor;
mod queue;
mod travel;

pub(crate) use array::{Array, Number};
pub(crate) use budget::ObjectBudget;
pub(crate) use dictionary::Dictionary;
pub(crate) use event::{Barrier, Condition, Event, NotALock};
pub(crate) use lock::{Hold, Lock, Semaphore};
pub(crate) use monitor::Waiting;
pub(crate) use queue::{PipeEnd, PutRefused, Queue, QueueEnded};
pub(crate) use travel::{Handed, collecting, hand_over, received, receiving};

/// A handle of an object, of whichever kind. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Object {
    Queue(Queue),
    PipeEnd(PipeEnd),
    Lock(Lock),
    Semaphore(Semaphore),
    Event(Event),
    Condition(Condition),
    Barrier(Barrier),
    Array(Array),
    Dictionary(Dictionary),
}

impl Object {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "a queue",
            Self::PipeEnd(_) => "an end of a pipe",
            Self::Lock(_) => "a lock",
            Self::Semaphore(_) => "a semaphore",
            Self::Event(_) => "an event",
            Self::Condition(_) => "a condition",
            Self::Barrier(_) => "a barrier",
            Self::Array(_) => "an array",
            Self::Dictionary(_) => "a dictionary",
        }
    }
}
