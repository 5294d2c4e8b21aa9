//! Who runs when and where: the queue, the life of a task from acceptance to its end, workers,
//! timeouts and stops, retries, sessions, statistics and traces.
//!
//! Knows that a sandbox runs guests, and not how. Knows nothing of the types of callers: arguments
//! and results are bytes here.

mod active_call;
mod callbacks;
mod children;
mod job;
mod lanes;
mod places;
mod queue;
mod retry;
mod scheduler;
mod session;
mod sessions;
mod shutdown;
mod stats;
mod tenants;
mod timings;
pub(crate) mod trace;
mod watchdog;
mod work_item;
mod worker;

pub(crate) use callbacks::CallbackThread;
pub use job::TaskState;
pub(crate) use job::{Job, Settled};
pub(crate) use places::{Blocking, Capacity, Permit, ReserveError};
pub(crate) use queue::{Line, PREEMPTED_PER_WORKER};
pub use retry::Retry;
pub(crate) use scheduler::{Closed, PlaceWaiter, Scheduler};
pub use session::SessionState;
pub(crate) use session::{Kept, SessionLine, Turn};
pub(crate) use sessions::SessionSettings;
pub use shutdown::Shutdown;
pub use stats::PoolStats;
pub(crate) use tenants::AllTenantLimits;
pub use tenants::TenantLimits;
pub use timings::Distribution;
pub(crate) use watchdog::{Guard, WorkerId};
pub(crate) use work_item::{JobRef, WorkItem};
pub use worker::Isolation;
pub(crate) use worker::{Interrupter, Registry, WARM_INSTANCES, run_worker};
