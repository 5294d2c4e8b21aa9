//! The library's room of the same name, without the files that know the sandbox. [`work_item`] is a
//! model, and [`registry`](crate::registry) replaces the workers.

#[path = "../../../../host/wasmpool/src/schedule/active_call.rs"]
mod active_call;
#[path = "../../../../host/wasmpool/src/schedule/job.rs"]
mod job;
#[path = "../../../../host/wasmpool/src/schedule/lanes.rs"]
mod lanes;
#[path = "../../../../host/wasmpool/src/schedule/places.rs"]
mod places;
#[path = "../../../../host/wasmpool/src/schedule/queue.rs"]
mod queue;
#[path = "../../../../host/wasmpool/src/schedule/retry.rs"]
mod retry;
#[path = "../../../../host/wasmpool/src/schedule/scheduler.rs"]
mod scheduler;
#[path = "../../../../host/wasmpool/src/schedule/session.rs"]
mod session;
#[path = "../../../../host/wasmpool/src/schedule/sessions.rs"]
mod sessions;
#[path = "../../../../host/wasmpool/src/schedule/stats.rs"]
mod stats;
#[path = "../../../../host/wasmpool/src/schedule/tenants.rs"]
mod tenants;
#[path = "../../../../host/wasmpool/src/schedule/timings.rs"]
mod timings;
#[path = "../../../../host/wasmpool/src/schedule/watchdog.rs"]
mod watchdog;
mod work_item;

pub(crate) use active_call::{CallEnd, CallFuture};
pub(crate) use job::{Call, Job, Settled, TaskState};
pub(crate) use places::{Blocking, Capacity, Permit, PermitWaiter, ReserveError};
pub(crate) use queue::{Line, Queue, QueueEntry};
pub(crate) use retry::Retry;
pub(crate) use scheduler::{Closed, Runner, Scheduler};
pub(crate) use session::{Kept, SessionLine, SessionState, Turn};
pub(crate) use sessions::SessionSettings;
pub(crate) use stats::{Counters, PoolStats};
pub(crate) use tenants::{AllTenantLimits, TenantLimits};
pub(crate) use timings::Timings;
pub(crate) use watchdog::{Guard, WorkerId};
pub(crate) use work_item::{JobRef, Left, MEMORY, WorkItem};
