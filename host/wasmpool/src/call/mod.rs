//! What the host and one running call share: its stop request, its limits, its events while it
//! runs, and its report afterwards.
//!
//! Knows neither the guest nor the queue. Both sides of a call use it.

mod allocation;
mod children;
mod control;
mod events;
mod limits;
mod memory_budget;
mod output;
mod payload;
mod report;

pub use allocation::Allocation;
pub(crate) use children::{Child, ChildFailure, ChildRefused, ChildRequest, Parent};
pub use children::{ChildLimits, ChildrenReport};
pub(crate) use control::{Control, Interrupt, StopReason};
pub(crate) use events::Listener;
pub use events::{Progress, TaskEvent, TaskEvents};
pub(crate) use limits::{LimitOverrides, Limits};
pub(crate) use memory_budget::{Admission, MemoryAccount, MemoryBudget, MemoryOwner, NoRoom};
pub use output::{ExitStatus, Output};
pub(crate) use payload::{Payload, TaskResult};
pub use report::{Captured, TaskReport};
