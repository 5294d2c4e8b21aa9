//! `concurrent.futures`, with a WebAssembly sandbox in the place of the process.
//!
//! A [`Pool`] runs tasks on OS threads. Each task runs in a sandbox: a WebAssembly instance
//! with memory of its own and no rights, which can be stopped at any instruction and is
//! made in microseconds. Submit a call, get a future:
//!
//! ```
//! use std::time::Duration;
//! use wasmpool::Pool;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder()
//!     .workers(4)
//!     .task_timeout(Duration::from_secs(5))
//!     .memory_limit(64 << 20)
//!     .build()?;
//! # let factorizer = wasmpool_guests::FACTORIZER.path();
//! let module = pool.load(factorizer)?; // "factorizer.wasm"
//! let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;
//!
//! let future = pool.submit(&factorize, (360,))?;
//! assert_eq!(future.wait()?, [2, 2, 2, 3, 3, 5]);
//!
//! let all = pool.map(&factorize, 2..10).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(all[6], [2, 2, 2]);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules and tasks
//!
//! A module is a WebAssembly component, which [`Pool::load`] compiles once, keeping the code on
//! disk for the next process. [`TaskModule::task`] makes a typed reference to one of its tasks,
//! which are of two kinds:
//!
//! - Tasks that the module brings itself, through the world `wasmpool:task/worker`. The crate
//!   `wasmpool-guest` makes such a module out of plain Rust functions. Arguments and results are
//!   any serde types and travel as MessagePack.
//! - All functions that the component exports, at its top or in its interfaces, in whatever
//!   language it was written. Their [`Signature`] is read from the component, arguments are
//!   checked against it when a task is submitted, and serde types take the place of WIT's:
//!   structs of records, enums of variants ([`json_form`] has the rest). A function whose
//!   `result` is an error has failed, as a task fails.
//!
//! One pool serves any number of modules.
//!
//! A program for WASI is a task as well, and needs nothing of ours: [`TaskModule::command`] makes
//! command lines for it, in the manner of [`std::process::Command`].
//!
//! # What is isolated
//!
//! By default every task gets a fresh instance ([`Isolation::Task`]): no memory, global or
//! output of one task is seen by another. A guest has no file, network, environment,
//! argument or input of the host but what it is granted ([`Capabilities`]); it has clocks and
//! random numbers. What it prints is
//! captured for its [`TaskReport`]. Its memory, stack, time, output and payloads are bounded,
//! its fuel if you ask for that.
//!
//! Not enforced: guests share the machine's caches and memory bus, and can measure time, so
//! side channels between them are not closed. A guest that is stopped may have gone on for
//! some microseconds after the stop.
//!
//! # When things go wrong
//!
//! A task fails alone. Whatever it does, its future ends with a [`TaskError`] that says what
//! happened, whose fault it was and where the guest was, the instance is dropped, and the
//! same worker thread serves the next task. There is no broken pool.
//!
//! # Tracing
//!
//! With the feature `tracing`, which is off by default, each attempt of a task is a span of
//! the level `DEBUG` on its worker, a child of the span in which the task was submitted, with
//! the task's name, its tag and the worker, and an event at its end that says what came of
//! it. What happens to the pool itself is told by events of the level `INFO`.
//!
//! # Stopping
//!
//! [`TaskFuture::cancel`], a `task_timeout` and [`Shutdown::Terminate`] stop a guest that
//! computes as well as one that waits in the host. An idle pool wakes nobody. For code that is
//! trusted to end, [`PoolBuilder::uninterruptible_guests`] does without the first, for speed.

mod call;
mod error;
mod future;
mod pool;
mod sandbox;
mod schedule;
mod sync;
mod task;
mod value;

pub use call::{
    Allocation, Captured, ExitStatus, Output, Progress, TaskEvent, TaskEvents, TaskReport,
};
pub use error::{
    BuildError, Fault, Frame, LoadError, SubmitError, SubmitErrorKind, TaskError, TaskErrorKind,
    TaskRefError, TrapCode,
};
pub use future::{AsCompleted, TaskFuture, TimedOut, Until, Waited, as_completed, wait};
pub use pool::{
    Child, Command, CutShort, LoadFuture, Map, MapStream, MapUnordered, Pool, PoolBuilder,
};
pub use sandbox::{
    Access, CacheState, Capabilities, GrantError, MemoryReset, TaskInfo, WASMTIME_VERSION,
};
pub use schedule::{Distribution, Isolation, PoolStats, Retry, Shutdown, TaskState};
pub use task::{Priority, Task, TaskModule, TaskOptions};
pub use value::{
    ArgumentError, Arguments, IntoArguments, Signature, Type, Uncallable, Value, WaveError,
    json_form,
};

/// The examples of the README and of the pages, which are compiled along with ours.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/embedding.md")]
    struct Embedding;

    #[doc = include_str!("../../../docs/guests.md")]
    struct Guests;

    #[doc = include_str!("../../../docs/python.md")]
    struct Python;
}
