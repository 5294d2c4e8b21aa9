//! Who runs when and where: the queue, the life of a task from acceptance to its end, workers,
//! timeouts and stops, retries, statistics and traces.
//!
//! Knows that a sandbox runs guests, and not how. Knows nothing of the types of callers: arguments
//! and results are bytes here.

mod callbacks;
mod cell;
mod job;
mod queue;
mod retry;
mod scheduler;
mod shutdown;
mod stats;
mod timings;
pub(crate) mod trace;
mod watch;
mod worker;

pub(crate) use callbacks::CallbackThread;
pub use cell::TaskState;
pub(crate) use cell::{Cell, Settled};
pub(crate) use job::{Job, Queued};
pub(crate) use queue::{NoRoom, Patience, Permit, WaitingForRoom};
pub use retry::Retry;
pub(crate) use scheduler::{Closed, Scheduler};
pub use shutdown::Shutdown;
pub use stats::PoolStats;
pub use timings::Distribution;
pub use worker::Isolation;
pub(crate) use worker::{Shop, WARM_INSTANCES, run_worker};
