//! What the host and one running call share: how it is stopped, its limits, what it says while it
//! runs, and what is told of it afterwards.
//!
//! Knows neither the guest nor the queue. Both sides of a call use it.

mod allocation;
mod control;
mod events;
mod limits;
mod output;
mod payload;
mod report;

pub use allocation::Allocation;
pub(crate) use control::{Control, Interrupt, StopReason};
pub(crate) use events::Listener;
pub use events::{Progress, TaskEvent, TaskEvents};
pub(crate) use limits::{LimitOverrides, Limits};
pub use output::{ExitStatus, Output};
pub(crate) use payload::Payload;
pub use report::{Captured, TaskReport};
