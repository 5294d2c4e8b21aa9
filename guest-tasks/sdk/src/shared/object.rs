//! A shared object of any kind, on its way from task to task.

use super::host;

#[derive(Clone)]
pub(crate) enum Object {
    Queue(host::Queue),
    PipeEnd(host::PipeEnd),
    Lock(host::Lock),
    Semaphore(host::Semaphore),
    Event(host::Event),
    Condition(host::Condition),
    Barrier(host::Barrier),
    Array(host::Array),
    Dictionary(host::Dictionary),
}

impl Object {
    /// What it is, for messages.
    pub(super) fn describe(&self) -> String {
        let kind = match self {
            Self::Queue(_) => "a queue",
            Self::PipeEnd(_) => "an end of a pipe",
            Self::Lock(_) => "a lock",
            Self::Semaphore(_) => "a semaphore",
            Self::Event(_) => "an event",
            Self::Condition(_) => "a condition",
            Self::Barrier(_) => "a barrier",
            Self::Array(array) => {
                let (len, element) = (array.len(), array.element().name());
                return format!("an array of {len} {element}");
            }
            Self::Dictionary(_) => "a map",
        };
        kind.to_owned()
    }
}
