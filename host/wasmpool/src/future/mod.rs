//! What callers hold after they have submitted: futures of tasks, one by one and several at once.
//!
//! Knows the state of a task, and nothing of what runs it.

mod completion;
mod task_future;

pub use completion::{AsCompleted, TimedOut, Until, Waited, as_completed, wait};
pub use task_future::TaskFuture;
