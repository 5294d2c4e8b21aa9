//! The settings of a pool: their defaults, their ranges, and what they mean.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::handle::Pool;
use super::threads::ThreadSettings;
use crate::call::Limits;
use crate::error::BuildError;
use crate::sandbox::{Cache, CacheFolder, DEFAULT_CACHE_LIMIT, MemoryReset};
use crate::schedule::{Capacity, Isolation, Retry, trace};
use crate::sync::Arc;

/// The most workers that a pool may have: each of them reserves address space for its
/// instances, of which there is enough for some thousands.
const MAX_WORKERS: usize = 1024;

/// The stack sizes that make sense, in bytes.
const STACK_RANGE: RangeInclusive<usize> = 64 << 10..=64 << 20;

/// The settings of a [`Pool`]. Every one has a default that its method names.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PoolBuilder {
    workers: Option<usize>,
    queue_capacity: usize,
    queue_capacity_bytes: Option<usize>,
    isolation: Isolation,
    max_tasks_per_instance: Option<u64>,
    max_kept_memory: usize,
    stack_limit: usize,
    epochs: bool,
    backtrace_lines: bool,
    deterministic_numbers: bool,
    memory_reset: MemoryReset,
    limits: Limits,
    retry: Option<Retry>,
    cache: CacheFolder,
    cache_limit: u64,
    load_timeout: Option<Duration>,
    threads: ThreadSettings,
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self {
            workers: None,
            queue_capacity: 1024,
            queue_capacity_bytes: None,
            isolation: Isolation::default(),
            max_tasks_per_instance: None,
            max_kept_memory: usize::MAX,
            stack_limit: 1 << 20,
            epochs: true,
            backtrace_lines: false,
            deterministic_numbers: false,
            memory_reset: MemoryReset::default(),
            limits: Limits::default(),
            retry: None,
            cache: CacheFolder::default(),
            cache_limit: DEFAULT_CACHE_LIMIT,
            load_timeout: None,
            threads: ThreadSettings::default(),
        }
    }
}

impl PoolBuilder {
    /// How many worker threads, and so how many tasks at once: 1 to 1024. Default: the
    /// parallelism that is available to this process, which its CPU affinity and its cgroup
    /// may have narrowed.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many tasks may wait for a worker; at least 1. Running tasks do not count.
    /// Default: 1024.
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = tasks;
        self
    }

    /// With how many bytes of arguments the queue is full, with fewer tasks than its
    /// [capacity](Self::queue_capacity); at least 1. The encoded arguments of all tasks that
    /// wait for a worker count, those of running tasks do not. Default: no bound, and bytes are
    /// not counted.
    ///
    /// While there are fewer bytes the queue takes a task of any size, so none is too large for
    /// it or waits longer than smaller ones. So there may be more bytes than this: by the
    /// arguments of one task for each thread that submits, and by those of tasks that cannot
    /// wait for room, which are tried again or submitted in a callback.
    pub fn queue_capacity_bytes(mut self, bytes: usize) -> Self {
        self.queue_capacity_bytes = Some(bytes);
        self
    }

    /// How much tasks share. Default: [`Isolation::Task`].
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// How many tasks a warm instance serves before it is replaced by a fresh one; at least
    /// 1. Matters only under [`Isolation::Worker`]. Default: no end.
    pub fn max_tasks_per_instance(mut self, tasks: u64) -> Self {
        self.max_tasks_per_instance = Some(tasks);
        self
    }

    /// How much memory a warm instance may hold, in bytes, to be kept for another task: one
    /// that has grown beyond is replaced by a fresh one, since a memory never shrinks.
    /// Matters only under [`Isolation::Worker`]. Default: no bound but the
    /// [memory limit](Self::memory_limit).
    pub fn max_kept_memory(mut self, bytes: usize) -> Self {
        self.max_kept_memory = bytes;
        self
    }

    /// Whether tasks that failed are tried again. Default: no.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How long a task may run, from its start on a worker and with the start of its
    /// instance; an [initializer](crate::TaskModule::with_initializer) has its own time.
    /// Default: no end.
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.limits.task_timeout = Some(timeout);
        self
    }

    /// How long a task may wait in the queue. One that waits longer ends as
    /// [`QueueTimedOut`](crate::TaskErrorKind::QueueTimedOut) and never starts. Default: no end.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.limits.queue_timeout = Some(timeout);
        self
    }

    /// How long a task may go on after it was asked to stop, by a timeout, a cancel or a
    /// terminating pool. A guest that looks (`context.is-stop-requested`) can leave in order
    /// meanwhile: what it returns then is its result, except after a cancel, which is final
    /// for the caller from the beginning. When the period is over the guest is halted.
    /// Default: zero, guests are halted at once.
    ///
    /// A terminating pool, and so its drop, waits for the grace period of what runs.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.limits.stop_grace = grace;
        self
    }

    /// How much memory a task may hold, in bytes: the sum of all linear memories and tables
    /// of its instance. Default: 256 MiB.
    ///
    /// The guest that wants more is ended as [`MemoryLimit`](crate::TaskErrorKind::MemoryLimit); it
    /// is not told that the growth failed.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// How much stack the calls of a guest may take, in bytes: 64 KiB to 64 MiB. Default:
    /// 1 MiB.
    ///
    /// This is the stack that WebAssembly itself manages. Compilers keep a second one in the
    /// guest's memory for what has an address; its size is set when the guest is built, and
    /// running over it shows as an access out of bounds.
    pub fn stack_limit(mut self, bytes: usize) -> Self {
        self.stack_limit = bytes;
        self
    }

    /// Compiles guests without the checks at which a computing one is stopped, so that tight
    /// loops run faster: for code that you trust to come to an end. Default: with them.
    ///
    /// A guest then goes on until it returns, traps or waits in the host, where it is stopped
    /// as ever. Timeouts and cancels take effect no sooner, and what it returns too late is
    /// dropped: the task ends as [`TimedOut`](crate::TaskErrorKind::TimedOut) when it is
    /// through. Until then its worker serves nobody else, and [`Pool::load`],
    /// [`Shutdown::Terminate`] and the pool's drop wait for it: for ever, if it has no end. The
    /// caller of [`TaskFuture::cancel`] does not wait. A [`fuel_limit`](Self::fuel_limit) stops
    /// it too, but counting fuel costs more than the checks.
    ///
    /// [`Shutdown::Terminate`]: crate::Shutdown::Terminate
    /// [`TaskFuture::cancel`]: crate::TaskFuture::cancel
    pub fn uninterruptible_guests(mut self) -> Self {
        self.epochs = false;
        self
    }

    /// Has backtraces name files and lines, and functions that were inlined, where the guest
    /// carries debug information. Default: they name the functions that are in the code.
    ///
    /// To look lines up takes milliseconds for each task that traps or is stopped, for which
    /// its worker serves nobody else: for finding faults, and not for guests that are
    /// expected to have them.
    pub fn backtrace_lines(mut self) -> Self {
        self.backtrace_lines = true;
        self
    }

    /// Compiles guests so that numbers come out the same on all kinds of processors, bit by bit:
    /// every NaN is the same one, and relaxed SIMD is done in one way. Default: as the processor
    /// does it, which makes code that computes with floats faster. What may differ then is the
    /// sign and the payload of a NaN that an operation has made, for a guest that looks at these
    /// bits, and the results of relaxed SIMD instructions, where WebAssembly leaves a choice.
    ///
    /// For [deterministic](crate::Capabilities::deterministic) guests whose outcome must be the
    /// same on different machines. It holds for all guests of the pool.
    pub fn deterministic_numbers(mut self) -> Self {
        self.deterministic_numbers = true;
        self
    }

    /// How the memory of an instance is made clean for the next one. Default:
    /// [`MemoryReset::Whole`], which leaves nothing behind on any machine.
    pub fn memory_reset(mut self, reset: MemoryReset) -> Self {
        self.memory_reset = reset;
        self
    }

    /// How much a task's standard output may take, and its standard error, in bytes each.
    /// What is over it pushes out what came first; it is never the guest's failure.
    /// Default: 64 KiB.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.limits.output = bytes;
        self
    }

    /// How much a [program](crate::Command) may print, in bytes, standard output and standard
    /// error together: it is the program's result, and kept whole. The program that prints
    /// more is ended as [`OutputLimit`](crate::TaskErrorKind::OutputLimit). Default: 16 MiB.
    pub fn program_output_limit(mut self, bytes: usize) -> Self {
        self.limits.program_output = bytes;
        self
    }

    /// How large encoded arguments may be, and an encoded result, in bytes each. Default:
    /// 128 MiB.
    ///
    /// From this limit follows how much may be made of the result of an exported function when it
    /// is read into a [`Value`](crate::Value) or its like: see
    /// [`json_form`](crate::json_form#how-much-it-takes).
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.limits.payload = bytes;
        self
    }

    /// How much fuel a task may use, about one unit for each instruction. Unlike time it is
    /// exact: the same task with the same arguments uses the same fuel everywhere. Default:
    /// fuel is not counted, which is faster.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.limits.fuel = Some(fuel);
        self
    }

    /// How long it may take to load a module: to wait for a place among the 8 that are loaded at
    /// once, to compile it and to ask it for its tasks (and with
    /// [`load_async`](Pool::load_async) to read it). Then [`Pool::load`] returns
    /// [`TimedOut`](crate::LoadError::TimedOut). Default: no end, but 10 seconds or the
    /// [`task_timeout`](Self::task_timeout) for asking for its tasks, where guest code runs.
    ///
    /// A guest that is being asked is stopped. A compilation cannot be stopped: it goes on and
    /// keeps its place, and with it one of at most 8 threads, until it is done
    /// ([`PoolStats::loading`](crate::PoolStats::loading) counts it), also when the pool is
    /// dropped meanwhile. What it made is put into the cache and dropped, unless somebody has
    /// asked for the same bytes again, who waits for this compilation.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = Some(timeout);
        self
    }

    /// Where compiled modules are kept between processes. Default: `wasmpool` in the user's
    /// cache folder.
    ///
    /// The files are native code that later processes run: whoever can write to the folder
    /// can run code as this process. So it is used only if it and each folder above it belongs
    /// to the effective user or to root, and is not writable by group or others (above it, a
    /// sticky folder such as `/tmp` may be); a file in it likewise. Otherwise, and where the folder
    /// cannot be made or written, modules are loaded without it: [`Pool::cache`] tells why, and
    /// so does an event of the feature `tracing`, once. A folder that does not exist is made for
    /// its owner alone, when the first module is loaded.
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = CacheFolder::At(folder.into());
        self
    }

    /// How large the cache of compiled modules may be on disk, in bytes. What was not used for
    /// longest is deleted when a module is added; use is noticed to within a day, by the files'
    /// time of modification. A module that is larger than the limit is not kept. Default: 1 GiB,
    /// some thousand modules of middle size.
    pub fn cache_limit(mut self, bytes: u64) -> Self {
        self.cache_limit = bytes;
        self
    }

    /// Keeps no compiled modules on disk: every process compiles its own.
    pub fn no_cache(mut self) -> Self {
        self.cache = CacheFolder::Off;
        self
    }

    /// What to call the worker with this index, from 0: how debuggers and `top -H` show its thread.
    /// Default: `wasmpool-worker-3`.
    pub fn thread_name(mut self, name: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        self.threads.name = Some(Arc::new(name));
        self
    }

    /// How large the stack of each worker's thread is, in bytes; the system may round it up. Guests
    /// have [stacks of their own](Self::stack_limit): this one is for the host's side of calls, and
    /// for callbacks. Default: that of Rust's threads, 2 MiB.
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// Calls `handler` on each worker's thread, with the worker's index, before its first task: to
    /// set its affinity, its priority, or what is local to a thread. A panic of the handler ends the
    /// handler alone. Default: nothing.
    pub fn on_thread_start(mut self, handler: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.threads.on_start = Some(Arc::new(handler));
        self
    }

    /// Calls `handler` on each worker's thread, with the worker's index, after its last task. A panic
    /// of the handler ends the handler alone. Default: nothing.
    pub fn on_thread_exit(mut self, handler: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.threads.on_exit = Some(Arc::new(handler));
        self
    }

    /// Sets the sandbox up and starts the threads.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, the sandbox does not work on this machine, or a
    /// thread cannot be started.
    pub fn build(self) -> Result<Pool, BuildError> {
        let n_workers = self.workers.unwrap_or_else(default_workers);
        Pool::start(Settings {
            n_workers: check_range("workers", n_workers, 1..=MAX_WORKERS)?,
            queue_capacity: Capacity {
                tasks: check_range("queue_capacity", self.queue_capacity, 1..=usize::MAX)?,
                bytes: self
                    .queue_capacity_bytes
                    .map(|bytes| check_range("queue_capacity_bytes", bytes, 1..=usize::MAX))
                    .transpose()?,
            },
            isolation: self.isolation,
            max_tasks_per_instance: self
                .max_tasks_per_instance
                .map(|tasks| check_range("max_tasks_per_instance", tasks, 1..=u64::MAX))
                .transpose()?,
            max_kept_memory: self.max_kept_memory,
            stack: check_range("stack_limit", self.stack_limit, STACK_RANGE)?,
            epochs: self.epochs,
            backtrace_lines: self.backtrace_lines,
            deterministic_numbers: self.deterministic_numbers,
            memory_reset: self.memory_reset,
            limits: self.limits,
            retry: self.retry,
            cache: Cache::new(self.cache, self.cache_limit, trace::cache_trouble),
            load_timeout: self.load_timeout,
            threads: self.threads,
        })
    }
}

/// Settings that have been checked.
pub(crate) struct Settings {
    pub(crate) n_workers: usize,
    pub(crate) queue_capacity: Capacity,
    pub(crate) isolation: Isolation,
    pub(crate) max_tasks_per_instance: Option<u64>,
    pub(crate) max_kept_memory: usize,
    pub(crate) stack: usize,
    pub(crate) epochs: bool,
    pub(crate) backtrace_lines: bool,
    pub(crate) deterministic_numbers: bool,
    pub(crate) memory_reset: MemoryReset,
    pub(crate) limits: Limits,
    pub(crate) retry: Option<Retry>,
    pub(crate) cache: Cache,
    pub(crate) load_timeout: Option<Duration>,
    pub(crate) threads: ThreadSettings,
}

fn default_workers() -> usize {
    thread::available_parallelism().map_or(1, |parallelism| parallelism.get().min(MAX_WORKERS))
}

fn check_range<T: PartialOrd + fmt::Display>(
    setting: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, BuildError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = range.into_inner();
    let problem = format!("{value} is out of range, which is {least} to {most}");
    Err(BuildError::Setting { setting, problem })
}
