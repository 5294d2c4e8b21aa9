//! The library's room of the same name, without the files that know the sandbox: [`job`] is ours,
//! and [`shop`](crate::shop) stands in for the workers.

#[path = "../../../../host/wasmpool/src/schedule/cell.rs"]
mod cell;
mod job;
#[path = "../../../../host/wasmpool/src/schedule/queue.rs"]
mod queue;
#[path = "../../../../host/wasmpool/src/schedule/retry.rs"]
mod retry;
#[path = "../../../../host/wasmpool/src/schedule/scheduler.rs"]
mod scheduler;
#[path = "../../../../host/wasmpool/src/schedule/stats.rs"]
mod stats;
#[path = "../../../../host/wasmpool/src/schedule/timings.rs"]
mod timings;
#[path = "../../../../host/wasmpool/src/schedule/watch.rs"]
mod watch;

pub(crate) use cell::{Attempt, Cell, Settled, TaskState};
pub(crate) use job::{Job, Queued};
pub(crate) use queue::{Entry, NoRoom, Patience, Permit, Queue, WaitingForRoom};
pub(crate) use retry::Retry;
pub(crate) use scheduler::{Closed, Runner, Scheduler};
pub(crate) use stats::{Counters, PoolStats};
pub(crate) use timings::Timings;
