//! `concurrent.futures`, with a WebAssembly sandbox in the place of the process.
//!
//! A [`Pool`] runs tasks on OS threads. Each task runs in a sandbox: a WebAssembly instance with
//! memory of its own and no rights, which can be stopped at any instruction and is made in
//! microseconds. Submitting a task returns a future:
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
//! A module is a WebAssembly component. [`Pool::load`] compiles it once and keeps the code on disk
//! for the next process. [`TaskModule::task`] makes a typed reference to one of the module's
//! tasks. There are two kinds of tasks:
//!
//! - Tasks that the module lists itself, through the world `wasmpool:task/worker`. The crate
//!   `wasmpool-guest` makes such a module out of plain Rust functions. Arguments and results are
//!   any serde types, encoded as MessagePack.
//! - All functions that the component exports, at its top level or in its interfaces, whatever
//!   language it was written in. Their [`Signature`] is read from the component, and arguments are
//!   checked against it when a task is submitted. Serde types stand for WIT types: structs for
//!   records, enums for variants ([`json_form`] lists the others). A function that returns the
//!   error case of a `result` fails its task.
//!
//! One pool serves any number of modules.
//!
//! A WASI program is a task as well and needs no SDK: [`TaskModule::command`] makes command lines
//! for it, in the manner of [`std::process::Command`].
//!
//! # What is isolated
//!
//! By default every task gets a fresh instance ([`Isolation::Task`]): no task sees the memory,
//! globals or output of another. A guest has access to no file, network, environment, argument or
//! input of the host except those that it is granted ([`Capabilities`]); it has clocks and random
//! numbers. Its output is captured in its [`TaskReport`]. Its memory, stack, output and payloads
//! are bounded; limits for time and fuel are optional.
//!
//! A guest can call functions of the embedding program, if the pool offers them ([`HostFunctions`])
//! and the guest is granted them.
//!
//! Choose [`Isolation::Worker`] where all tasks of a module trust each other and most of their
//! cost is the start of an instance. An instance then serves one task after the other, and each
//! task sees the state that earlier ones left. After anything but a clean return the instance is
//! dropped.
//!
//! A [`Session`] is an instance of its own that keeps its state between calls, for conversations,
//! games and interpreters. Its calls run one at a time, in order, on any worker.
//!
//! Not enforced: guests share the machine's caches and memory bus and can measure time, so side
//! channels between them are not closed. A guest may run for some microseconds after it was
//! stopped.
//!
//! # When things go wrong
//!
//! A failed task affects no other task. Its future ends with a [`TaskError`] that says what
//! happened, whose fault it was and where the guest was. The instance is dropped, and the same
//! worker thread serves the next task. A pool has no broken state.
//!
//! Each operation has an error of its own: [`BuildError`], [`LoadError`], [`TaskRefError`],
//! [`SubmitError`], which gives the arguments back, [`TaskError`]. [`TaskError::fault`] says who
//! can do something about it: the guest, the caller or the host. Programs branch on
//! [`TaskError::kind`], or on [`is_limit`](TaskError::is_limit),
//! [`is_timeout`](TaskError::is_timeout) and [`is_cancelled`](TaskError::is_cancelled). The
//! `Display` form of a `TaskError` includes its [cause](TaskError::cause), so `source` returns
//! `None`.
//!
//! No function of the library panics because of its arguments or of a guest: none has a section
//! "Panics". A panic in the caller's own code that it calls, such as an iterator of inputs or a
//! `Serialize`, propagates to the caller.
//!
//! # Stopping
//!
//! [`TaskFuture::cancel`], a `task_timeout` and [`Shutdown::Terminate`] stop a guest that computes
//! and a guest that waits in the host. An idle pool wakes no thread.
//! [`PoolBuilder::uninterruptible_guests`] makes computing guests faster but impossible to stop,
//! for code that is trusted to end.
//!
//! A guest that waits in the host holds no worker ([`TaskState::Suspended`]);
//! [`PoolBuilder::max_suspended`] bounds the number of such guests. A stopped task whose thread is
//! blocked ends within 50 ms, and the thread is replaced ([`PoolStats::stuck`]).
//!
//! # Async code
//!
//! A [`TaskFuture`] can be awaited on any executor. [`Pool::submit_async`], [`Pool::load_async`],
//! [`Pool::map_async`] and [`Command::output`] never block the thread. These block:
//! [`Pool::load`], [`Pool::submit`] while the queue is full, [`TaskFuture::wait`], the iterators
//! of [`Pool::map`], [`Pool::shutdown`], and the drop of the last handle to a pool. Dropping a
//! [`TaskFuture`] does not cancel its task.
//!
//! # Callbacks
//!
//! [`TaskFuture::on_done`] runs a callback on the thread that ends the task: its worker, the
//! thread that cancels it or shuts the pool down, or one thread of the pool for tasks whose
//! `queue_timeout` is over or whose session has ended. That thread does nothing else meanwhile. On the pool's own threads
//! neither [`Pool::submit`] nor [`Pool::shutdown`] blocks; a callback that waits there for another
//! task may wait for ever. A panic ends only the callback. Waiting threads are woken before
//! callbacks run.
//!
//! # What it costs
//!
//! A trivial task takes about 1 µs in a warm instance, and about 10 µs in a fresh instance of a
//! small guest; a process takes more than 1 ms. Code runs at about 0.8 of native speed. Compiling
//! a module takes about 1 s per megabyte, once; loading it from the cache then takes less than 1
//! ms. `wasmpool bench` measures all of this on your machine, and `docs/benchmarks.md` in the
//! repository has figures.
//!
//! # Trust
//!
//! Guests are not trusted. Fully trusted are the code that embeds the pool and its callbacks,
//! files that were compiled ahead of time ([`Pool::load_precompiled`]), the folder of the
//! [cache](PoolBuilder::cache_folder), and the engine. `SECURITY.md` in the repository has the
//! threat model and names the test for each promise.
//!
//! # Platforms
//!
//! Tested on Linux on x86-64. Other systems and processors are untested. The library needs a Unix
//! system and does not support Windows. [`MemoryReset::PageWise`] needs Linux 6.7 or later.
//!
//! # Features
//!
//! - `http`, on by default: components can send HTTP requests by `wasi:http`.
//! - `preview1`, on by default: core modules can use WASI preview 1. Without it, core modules that
//!   import nothing still run.
//! - `wat`, on by default: modules can be loaded in the text form of WebAssembly.
//! - `wave`, on by default: [`Signature`] reads calls and writes results in WAVE, the text form of
//!   values that the WebAssembly tools use (`wave_name`, `wave_arguments`, `wave_output`).
//! - `tracing`, off by default: each attempt of a task is a span of the level `DEBUG` on its worker.
//!   It is a child of the span in which the task was submitted, has the task's name, its tag and the
//!   worker as fields, and ends with an event that states the outcome. Changes of the pool itself
//!   are events of the level `INFO`. A panic of a subscriber changes no task's outcome.
//!
//! A module that needs a feature which is off is refused with [`LoadError::MissingFeature`]. A
//! build without the four default features has 41 crates fewer, of 226.

#[cfg(not(unix))]
compile_error!("`wasmpool` needs a Unix system: it uses owners, modes and opened folders");

mod call;
mod error;
mod future;
mod objects;
mod pool;
mod sandbox;
mod schedule;
mod sync;
mod task;
mod value;

pub use call::{
    Allocation, Captured, ChildLimits, ChildrenReport, ExitStatus, Output, Progress, TaskEvent,
    TaskEvents, TaskReport,
};
pub use error::{
    BuildError, Fault, Frame, HostFunctionError, LoadError, SessionError, SubmitError,
    SubmitErrorKind, TaskError, TaskErrorKind, TaskRefError, TrapCode, UnfitImport,
};
pub use future::{AsCompleted, TaskFuture, TimedOut, Until, Waited, as_completed, wait};
pub use pool::{
    Child, Command, CutShort, LoadFuture, Map, MapStream, MapUnordered, Pool, PoolBuilder, Session,
};
pub use sandbox::{
    Access, CacheState, Capabilities, GrantError, HostCall, HostFunctionInfo, HostFunctions,
    HostResult, MemoryReset, TaskInfo, WASMTIME_VERSION,
};
pub use schedule::{
    Distribution, Isolation, PoolStats, Retry, SessionState, Shutdown, TaskState, TenantLimits,
};
pub use task::{Priority, Task, TaskModule, TaskOptions};
#[cfg(feature = "wave")]
pub use value::WaveError;
pub use value::{
    ArgumentError, Arguments, HostArguments, IntoArguments, Signature, Type, Uncallable, Value,
    json_form,
};

/// Objects that tasks share with each other and with the embedding program: queues, locks, arrays and
/// so on, as `multiprocessing` has them.
///
/// The embedding program makes them with functions of the [`Pool`], such as [`Pool::queue`], and hands
/// them to tasks as arguments. Tasks with the right to start tasks ([`Capabilities::tasks`]) make them
/// too, and hand them to their children, and back as results.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wasmpool::Pool;
/// use wasmpool::shared::Queue;
///
/// let pool = Pool::builder().workers(1).build()?;
/// # let teamwork = wasmpool_guests::TEAMWORK.path();
/// let module = pool.load(teamwork)?; // "teamwork.wasm"
/// let produce = module.task::<(Queue<u64>, u64, u64), u64>("produce")?;
///
/// let queue = pool.queue::<u64>(10);
/// let future = pool.submit(&produce, (queue.clone(), 1, 101))?;
/// let mut sum = 0;
/// for _ in 0..100 {
///     sum += queue.get()?;
/// }
/// assert_eq!(sum, 5_050);
/// assert_eq!(future.wait()?, 100);
/// # Ok(())
/// # }
/// ```
///
/// A handle works only in the tasks that it was handed to, and only until they end: a task cannot guess
/// one, nor use one that an earlier task left in a warm instance. A [`Session`] keeps its handles. An
/// object is freed with its last handle. The items of queues and the values of maps cannot carry
/// handles.
///
/// A task that waits for an object holds no worker ([`TaskState::Suspended`]) and does not count for
/// the `max_running` of its tenant. Where [`max_suspended`](PoolBuilder::max_suspended) tasks wait
/// already, the guest gets an error that it can handle. A task that is stopped while it waits leaves the
/// line. What it holds of locks and semaphores is given back, and the next holder of a lock can
/// [tell](shared::LockGuard::was_left_behind).
///
/// The blocking functions must not be called on the pool's own threads (in a callback): what they wait
/// for may need that thread.
pub mod shared {
    pub use crate::pool::shared::{
        Array, Barrier, BrokenBarrier, Condition, Event, GetError, Lock, LockGuard, Map, MapError,
        Number, Permit, Pipe, PutError, Queue, Semaphore, Value,
    };
}

/// Compiles and runs the examples of the README and of the pages in `docs/`.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/embedding.md")]
    struct Embedding;

    #[doc = include_str!("../docs/guests.md")]
    struct Guests;

    #[doc = include_str!("../docs/python.md")]
    struct Python;
}
