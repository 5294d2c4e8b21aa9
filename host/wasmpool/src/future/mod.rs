//! What callers hold after they have submitted: the future of a task, and waiting for several.
//!
//! Knows the state of a task. Does not know what runs it.

mod completion;
mod task_future;

pub use completion::{AsCompleted, TimedOut, Until, Waited, as_completed, wait};
pub use task_future::TaskFuture;
