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
//! random numbers. What it prints is captured for its [`TaskReport`]. Its memory, stack, time,
//! output and payloads are bounded, its fuel if you ask for that.
//!
//! Choose [`Isolation::Worker`] where all tasks of a module trust each other and its start is what
//! they cost: an instance then serves one task after the other, with the state that they leave
//! there. After anything but a clean return it is dropped.
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
//! Each operation has an error of its own: [`BuildError`], [`LoadError`], [`TaskRefError`],
//! [`SubmitError`], which gives the arguments back, [`TaskError`]. [`TaskError::fault`] says who
//! can do something about it: the guest, the caller or the host. [`TaskError::kind`] says what it
//! was, and [`TaskError::is_limit`], [`is_timeout`](TaskError::is_timeout) and
//! [`is_cancelled`](TaskError::is_cancelled) say it for programs. The display form of an error has
//! its [cause](TaskError::cause) in it, and so `source` does not give it a second time.
//!
//! No function of the library panics on account of its arguments or of a guest: none has a section
//! "Panics". What panics in the caller's own code that it calls, such as an iterator of inputs or a
//! `Serialize`, goes on in the caller.
//!
//! # Stopping
//!
//! [`TaskFuture::cancel`], a `task_timeout` and [`Shutdown::Terminate`] stop a guest that
//! computes as well as one that waits in the host. An idle pool wakes nobody. For code that is
//! trusted to end, [`PoolBuilder::uninterruptible_guests`] does without the first, for speed.
//!
//! # Async code
//!
//! A [`TaskFuture`] can be awaited on any executor. [`Pool::submit_async`], [`Pool::load_async`],
//! [`Pool::map_async`] and [`Command::output`] never block the thread. What blocks says so:
//! [`Pool::load`], [`Pool::submit`] while the queue is full, [`TaskFuture::wait`], the iterators of
//! [`Pool::map`], [`Pool::shutdown`], and the drop of the last handle to a pool. Dropping a
//! [`TaskFuture`] lets its task run.
//!
//! # Callbacks
//!
//! [`TaskFuture::on_done`] calls back on the thread that ends the task: its worker, whoever cancels
//! it or shuts the pool down, or one thread of the pool for tasks whose `queue_timeout` is over. That
//! thread does nothing else meanwhile. On the pool's own threads neither [`Pool::submit`] nor
//! [`Pool::shutdown`] blocks; waiting there for another task may wait for ever. A panic ends the
//! callback and nothing else. Those who wait are woken before callbacks run.
//!
//! # What it costs
//!
//! A task of next to nothing takes about a microsecond in a warm instance, and about ten in a fresh
//! one of a small guest; a process takes more than a millisecond. Code runs at about 0.8 of native
//! speed. A module takes about a second for each megabyte to compile, once, and then less than a
//! millisecond to load from the cache. `wasmpool bench` measures all of it on your machine, and the
//! page `docs/benchmarks.md` of the repository has figures.
//!
//! # Trust
//!
//! Guests are trusted with nothing. Trusted with everything are: the code that embeds the pool and
//! its callbacks, files that were compiled ahead of time ([`Pool::load_precompiled`]), the folder of
//! the [cache](PoolBuilder::cache_folder), and the engine. `SECURITY.md` of the repository has the
//! threat model, and which test holds which promise.
//!
//! # Platforms
//!
//! Tested on Linux on x86-64. The library uses interfaces of Unix and is not made for Windows; other
//! systems and processors are untested. [`MemoryReset::PageWise`] needs Linux 6.7 or later.
//!
//! # Features
//!
//! - `preview1`, on by default: core modules can use WASI preview 1. Without it those that import
//!   nothing still run.
//! - `wat`, on by default: modules can be loaded in the text form of WebAssembly.
//! - `wave`, on by default: [`Signature`] reads calls and writes results in WAVE, the text form that
//!   the WebAssembly tools have for values (`wave_name`, `wave_arguments`, `wave_output`).
//! - `tracing`, off by default: each attempt of a task is a span of the level `DEBUG` on its worker,
//!   a child of the span in which the task was submitted, with the task's name, its tag and the
//!   worker, and an event at its end that says what came of it. What happens to the pool itself is
//!   told by events of the level `INFO`. A subscriber that panics costs no task its outcome.
//!
//! A module that needs a feature which is off is refused with [`LoadError::MissingFeature`]. Without
//! all three there are 19 crates fewer to build, of 202.

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
#[cfg(feature = "wave")]
pub use value::WaveError;
pub use value::{
    ArgumentError, Arguments, IntoArguments, Signature, Type, Uncallable, Value, json_form,
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
