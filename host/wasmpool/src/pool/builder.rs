//! The settings of a pool: their meaning, defaults and ranges.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::handle::Pool;
use super::threads::ThreadSettings;
use crate::call::Limits;
use crate::error::BuildError;
use crate::sandbox::{Cache, CacheFolder, DEFAULT_CACHE_LIMIT, HostFunctions, MemoryReset};
use crate::schedule::{
    AllTenantLimits, Capacity, Isolation, Retry, SessionSettings, TenantLimits, trace,
};
use crate::sync::Arc;

/// The most workers that a pool may have. Each reserves address space for its instances; there is
/// enough for some thousands.
const MAX_WORKERS: usize = 1024;

/// The most tasks that may be suspended. Their addresses would not suffice for more.
const MAX_SUSPENDED: usize = u16::MAX as usize;

/// Each place costs some 6 microseconds when the pool is built, since the engine makes the stacks of
/// all of them at once: so many make a new pool's first result a twentieth slower.
const DEFAULT_MAX_SUSPENDED: usize = 32;

/// The most sessions. Their addresses would not suffice for more.
const MAX_SESSIONS: usize = u16::MAX as usize;

/// Each place costs as much as one for a suspended task: so many make a new pool's first result a
/// fiftieth slower.
const DEFAULT_MAX_SESSIONS: usize = 16;

/// The stack sizes that make sense, in bytes.
const STACK_RANGE: RangeInclusive<usize> = 64 << 10..=64 << 20;

/// The settings of a [`Pool`]. The default of each is stated at its method.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PoolBuilder {
    workers: Option<usize>,
    max_suspended: usize,
    sessions: SessionSettings,
    tenants: AllTenantLimits,
    queue_capacity: usize,
    queue_capacity_bytes: Option<usize>,
    isolation: Isolation,
    max_tasks_per_instance: Option<u64>,
    max_kept_memory: usize,
    object_limit: usize,
    stack_limit: usize,
    epochs: bool,
    backtrace_lines: bool,
    deterministic_numbers: bool,
    memory_reset: MemoryReset,
    baseline_processor: bool,
    limits: Limits,
    memory_budget: Option<usize>,
    retry: Option<Retry>,
    cache: CacheFolder,
    cache_limit: u64,
    load_timeout: Option<Duration>,
    host_functions: HostFunctions,
    threads: ThreadSettings,
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self {
            workers: None,
            max_suspended: DEFAULT_MAX_SUSPENDED,
            sessions: SessionSettings {
                max: DEFAULT_MAX_SESSIONS,
                idle_timeout: None,
            },
            tenants: AllTenantLimits::default(),
            queue_capacity: 1024,
            queue_capacity_bytes: None,
            isolation: Isolation::default(),
            max_tasks_per_instance: None,
            max_kept_memory: usize::MAX,
            object_limit: 64 << 20,
            stack_limit: 1 << 20,
            epochs: true,
            backtrace_lines: false,
            deterministic_numbers: false,
            memory_reset: MemoryReset::default(),
            baseline_processor: false,
            limits: Limits::default(),
            memory_budget: None,
            retry: None,
            cache: CacheFolder::default(),
            cache_limit: DEFAULT_CACHE_LIMIT,
            load_timeout: None,
            host_functions: HostFunctions::default(),
            threads: ThreadSettings::default(),
        }
    }
}

impl PoolBuilder {
    /// The number of worker threads, and so of tasks that run at once: 1 to 1024. Default: the
    /// parallelism available to this process, within its CPU affinity and its cgroup.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many tasks may be suspended at once: 0 to 65,535. Default: 32.
    ///
    /// A task that waits in the host, for a time, a connection or a name, gives its worker to
    /// another one and goes on when it is woken, on whichever worker is free. So
    /// [`workers`](Self::workers) bounds how many tasks compute at once, and this how many wait
    /// beside them. Where as many wait already, the next one keeps its worker while it waits; so
    /// does a task of a module with several memories or more than 8 tables.
    ///
    /// Each place makes the pool some 6 microseconds slower to build: ask for a thousand where a
    /// thousand connections wait. A suspended task holds its instance: some 70 KiB of memory where
    /// the guest is a small one, or up to 320 KiB where the memory was another task's before.
    /// Each place also reserves some 4 GiB of addresses (not memory), of which a process has
    /// 128 TiB. Where it may have far fewer (`ulimit -v`), places reserve less, and there may be
    /// fewer of them: see [`Pool::allocation`] and [`Pool::max_suspended`].
    pub fn max_suspended(mut self, tasks: usize) -> Self {
        self.max_suspended = tasks;
        self
    }

    /// How many [sessions](crate::Session) there may be at once: 0 to 65,535. Default: 16. A further
    /// one is refused ([`SessionError::TooMany`](crate::SessionError::TooMany)).
    ///
    /// Each place makes the pool some 4 microseconds slower to build, and reserves some 4 GiB of
    /// addresses (not memory), as a place for a [suspended](Self::max_suspended) task does. A session
    /// that has had a call holds its instance and the stack of its last call: some 75 KiB of memory
    /// for a small guest.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.sessions.max = sessions;
        self
    }

    /// How long a [session](crate::Session) may be idle. One that has no call for longer ends, which
    /// frees its instance and its place. Default: no limit.
    pub fn session_idle_timeout(mut self, timeout: Duration) -> Self {
        self.sessions.idle_timeout = Some(timeout);
        self
    }

    /// The limits of each [tenant](crate::TaskOptions::tenant), and of all tasks without one
    /// together. Default: none.
    pub fn tenant_limits(mut self, limits: TenantLimits) -> Self {
        self.tenants.of_each = limits;
        self
    }

    /// The limits of the tenant with this name, in the place of those
    /// [of each](Self::tenant_limits).
    pub fn tenant(mut self, name: impl Into<Arc<str>>, limits: TenantLimits) -> Self {
        self.tenants.by_name.insert(name.into(), limits);
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

    /// Whether tasks share instances. Default: [`Isolation::Task`].
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// How many tasks a warm instance serves before a fresh one replaces it: 1 or more. Has an
    /// effect only under [`Isolation::Worker`]. Default: unlimited.
    pub fn max_tasks_per_instance(mut self, tasks: u64) -> Self {
        self.max_tasks_per_instance = Some(tasks);
        self
    }

    /// How much memory, in bytes, a warm instance may hold after a task. A larger instance is
    /// replaced by a fresh one, since a memory never shrinks. Has an effect only under
    /// [`Isolation::Worker`]. Default: no bound but the [memory limit](Self::memory_limit).
    pub fn max_kept_memory(mut self, bytes: usize) -> Self {
        self.max_kept_memory = bytes;
        self
    }

    /// How many bytes a [shared object](crate::shared) of this program may hold as items or entries,
    /// each of which counts for 64 bytes more than it has. Default: 64 MiB. Does not bound arrays.
    /// The objects of guests have a limit of their own: [`ChildLimits`](crate::ChildLimits).
    pub fn object_limit(mut self, bytes: usize) -> Self {
        self.object_limit = bytes;
        self
    }

    /// Which failed tasks are retried, and how often. Default: none.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How long a task may run, including the start of its instance but not its
    /// [initializer](crate::TaskModule::with_initializer), whose time counts separately. A longer
    /// task ends as [`TimedOut`](crate::TaskErrorKind::TimedOut). Default: no limit.
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.limits.task_timeout = Some(timeout);
        self
    }

    /// How long a task may compute, with the host functions that it calls; the time that it waits in
    /// the host does not count. One that computes longer ends as
    /// [`TimedOut`](crate::TaskErrorKind::TimedOut). For judges and graders, whose answer must not
    /// depend on how long others wait. The time of an initializer counts. Default: no limit.
    pub fn compute_timeout(mut self, timeout: Duration) -> Self {
        self.limits.compute_timeout = Some(timeout);
        self
    }

    /// How long a task may wait in the queue. A task that waits longer ends as
    /// [`QueueTimedOut`](crate::TaskErrorKind::QueueTimedOut) and never starts. Default: no limit.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.limits.queue_timeout = Some(timeout);
        self
    }

    /// The grace period: how long a task may run on after a stop was requested by a timeout, a
    /// cancel or a terminating pool. A guest that checks `context.is-stop-requested` can return
    /// early within it. What it returns is the task's result, except after a cancel, which settles
    /// the task at once. When the period is over the guest is halted. Default: zero, guests are
    /// halted at once.
    ///
    /// Terminating or dropping the pool blocks for the grace period of running tasks.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.limits.stop_grace = grace;
        self
    }

    /// How much memory a task may hold, in bytes, summed over the linear memories and tables of
    /// its instance. Default: 256 MiB.
    ///
    /// A task whose guest tries to grow beyond the limit ends as
    /// [`MemoryLimit`](crate::TaskErrorKind::MemoryLimit); the guest does not see a failed growth.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// How much memory all live instances of the pool may hold together, in bytes; at least 1. Their
    /// linear memories and tables count, as for the [memory limit](Self::memory_limit). Default: no
    /// budget.
    ///
    /// A task waits in the queue until there is room for what it is expected to need: the most that
    /// the last calls of the same task wanted (an outlier is forgotten after some calls) or, before
    /// the first has ended, the memory that its module has from the start. The other queued tasks of
    /// its priority wait with it, also those of other tenants and those that need less, so that it
    /// has its turn; so do those of lower priorities, and those of higher ones after they have come
    /// first some times. Calls that have started go on: no task is preempted for one that waits for
    /// memory.
    ///
    /// A task whose guest tries to grow when the budget is used up ends as
    /// [`MemoryBudget`](crate::TaskErrorKind::MemoryBudget), which a [retry](crate::Retry) can be
    /// for: the next attempt waits for as much as this one wanted.
    ///
    /// Suspended tasks hold their memory, and so do warm instances, which are dropped when a task
    /// needs theirs. So do [sessions](crate::Session), which are not dropped: their calls start
    /// without a wait and, where only sessions hold memory, so do other tasks, whatever is left. So does a task whose thread was given up
    /// ([`PoolStats::stuck`](crate::PoolStats::stuck)), until the thread comes back; where only such
    /// tasks hold memory, others start whatever is left. Instances in which modules list their tasks
    /// while they are loaded do not count. [`PoolStats::memory_in_use`](crate::PoolStats::memory_in_use)
    /// is what is in use.
    ///
    /// Without a budget the instances of a pool may hold the memory limit times five times
    /// [`workers`] (four of them for tasks that have made room for others) plus
    /// [`max_suspended`] plus [`max_sessions`], and under [`Isolation::Worker`] four times [`workers`] more for warm
    /// instances, each of which may hold [`max_kept_memory`]; and once more for each module that is
    /// being loaded, of which there are up to 8. With the defaults on 8 workers that is 88 times
    /// 256 MiB, 22 GiB, and 8 GiB more with warm instances.
    ///
    /// [`workers`]: Self::workers
    /// [`max_suspended`]: Self::max_suspended
    /// [`max_sessions`]: Self::max_sessions
    /// [`max_kept_memory`]: Self::max_kept_memory
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// How much stack a guest's calls may take, in bytes: 64 KiB to 64 MiB. Default: 1 MiB.
    ///
    /// This is the stack of WebAssembly itself. Compilers keep a second stack in the guest's
    /// memory for variables whose address is taken; its size is set when the guest is built, and
    /// its overflow is an access out of bounds.
    pub fn stack_limit(mut self, bytes: usize) -> Self {
        self.stack_limit = bytes;
        self
    }

    /// Compiles guests without the checks at which a computing guest is stopped, so that tight
    /// loops run faster. For code that is trusted to end. Default: with the checks.
    ///
    /// Such a guest runs until it returns, traps or waits in the host, where it can be stopped as
    /// usual. A task that is stopped while its guest computes ends within 50 ms, and another thread
    /// takes the place of its worker; the guest computes on until it ends, for ever if it does not
    /// ([`PoolStats::stuck`](crate::PoolStats::stuck)). [`Pool::load`] waits for a guest that lists
    /// its tasks. A [`fuel_limit`](Self::fuel_limit) stops the guest too, but counting fuel costs
    /// more than the checks.
    pub fn uninterruptible_guests(mut self) -> Self {
        self.epochs = false;
        self
    }

    /// Adds files, lines and inlined functions to backtraces, where the guest has debug
    /// information. Default: backtraces name only compiled functions.
    ///
    /// Looking up lines keeps the worker busy for some milliseconds for each task that traps or is
    /// stopped. For debugging, not for guests that are expected to fail.
    pub fn backtrace_lines(mut self) -> Self {
        self.backtrace_lines = true;
        self
    }

    /// Compiles guests so that numeric results are bit-identical on all processors: NaNs are
    /// canonical, and relaxed SIMD is deterministic. Default: off, which makes floating-point code
    /// faster. Then the sign and payload bits of a computed NaN may differ between processors, and
    /// so may the results of relaxed SIMD instructions.
    ///
    /// For [deterministic](crate::Capabilities::deterministic) guests whose results must be the
    /// same on different machines. Applies to all guests of the pool.
    pub fn deterministic_numbers(mut self) -> Self {
        self.deterministic_numbers = true;
        self
    }

    /// How the memory of an instance is reset for the next one. Default: [`MemoryReset::Whole`],
    /// which is safe on every machine.
    pub fn memory_reset(mut self, reset: MemoryReset) -> Self {
        self.memory_reset = reset;
        self
    }

    /// Compiles guests for any processor of this architecture, without the features that only this
    /// one has. For code that goes to other machines ([`Pool::precompile`]): a pool without this
    /// setting loads it too. Default: guests are compiled for this processor.
    pub fn baseline_processor(mut self) -> Self {
        self.baseline_processor = true;
        self
    }

    /// How much of a task's standard output and of its standard error is kept, in bytes each.
    /// Later output replaces the oldest; exceeding the limit is not an error. Default: 64 KiB.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.limits.output = bytes;
        self
    }

    /// How much a [program](crate::Command) may print, in bytes, standard output and standard
    /// error together. All of it is kept as the program's result. A program that prints more ends
    /// as [`OutputLimit`](crate::TaskErrorKind::OutputLimit). Default: 16 MiB.
    pub fn program_output_limit(mut self, bytes: usize) -> Self {
        self.limits.program_output = bytes;
        self
    }

    /// How large the encoded arguments and the encoded result may be, in bytes each. Default: 128
    /// MiB.
    ///
    /// This limit also determines how much decoding the result of an exported function may
    /// allocate: see [`json_form`](crate::json_form#how-much-it-takes).
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.limits.payload = bytes;
        self
    }

    /// How much fuel a task may use, about one unit per instruction. Fuel is exact, unlike time:
    /// the same task with the same arguments uses the same fuel on every machine. A task that uses
    /// more ends as [`OutOfFuel`](crate::TaskErrorKind::OutOfFuel). Default: fuel is not counted,
    /// which is faster.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.limits.fuel = Some(fuel);
        self
    }

    /// How long loading a module may take: waiting until fewer than 8 others are being loaded,
    /// compiling it and listing its tasks (and reading it, in [`load_async`](Pool::load_async)).
    /// After that [`Pool::load`] returns [`TimedOut`](crate::LoadError::TimedOut). Default: no
    /// limit, except for listing its tasks, which runs guest code: the
    /// [`task_timeout`](Self::task_timeout) but at least 1 second, or 10 seconds without one.
    ///
    /// A guest that lists its tasks is stopped. A compilation cannot be stopped: it keeps one of
    /// at most 8 threads until it is done, even if the pool is dropped
    /// ([`PoolStats::loading`](crate::PoolStats::loading) counts it). Its code goes into the
    /// cache. Loading the same bytes again meanwhile waits for this compilation.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = Some(timeout);
        self
    }

    /// The functions of the embedding program that components may import, beside WASI and the
    /// contract of tasks. They replace those of an earlier call. Default: none.
    ///
    /// Importing them takes no right, and calling them takes
    /// [`Capabilities::host_function`](crate::Capabilities::host_function). A component that imports
    /// a function which is not among them is refused, and so is one that imports it with other types.
    /// Core modules cannot import them.
    ///
    /// They live as long as the pool.
    pub fn host_functions(mut self, functions: HostFunctions) -> Self {
        self.host_functions = functions;
        self
    }

    /// Where compiled modules are kept between processes. Default: `wasmpool` in the user's
    /// cache folder.
    ///
    /// The files are native code that later processes run: whoever can write to the folder can run
    /// code as this process. So the folder is used only if it and each folder above it belongs to
    /// the effective user or to root and is not writable by group or others; a sticky folder above
    /// it, such as `/tmp`, may be. The same holds for its files. Otherwise, or if the folder
    /// cannot be created or written, modules are loaded without the cache: [`Pool::cache`] says
    /// why, and so does one event of the feature `tracing`. A folder that does not exist is
    /// created with access for its owner alone, when the first module is loaded.
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = CacheFolder::At(folder.into());
        self
    }

    /// How large the cache of compiled modules may be on disk, in bytes. When a module is added,
    /// the least recently used ones are deleted; the time of use is the file's modification time
    /// and exact to a day. A module larger than the limit is not kept. Default: 1 GiB, some
    /// thousand modules of medium size.
    pub fn cache_limit(mut self, bytes: u64) -> Self {
        self.cache_limit = bytes;
        self
    }

    /// Keeps no compiled modules on disk: every process compiles its own.
    pub fn no_cache(mut self) -> Self {
        self.cache = CacheFolder::Off;
        self
    }

    /// The name of the thread of the worker with this index, counted from 0, as debuggers and
    /// `top -H` show it. Default: `wasmpool-worker-` and the index.
    pub fn thread_name(mut self, name: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        self.threads.name = Some(Arc::new(name));
        self
    }

    /// The stack size of each worker's thread, in bytes; the system may round it up. It is used by
    /// the host's side of calls and by callbacks; guests have [stacks of their
    /// own](Self::stack_limit). Default: that of Rust's threads, 2 MiB.
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// Calls `handler` on each worker's thread, with the worker's index, before its first task:
    /// for example to set the thread's affinity, priority or thread-local state. A panic ends only
    /// the handler. Default: none.
    pub fn on_thread_start(mut self, handler: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.threads.on_start = Some(Arc::new(handler));
        self
    }

    /// Calls `handler` on each worker's thread, with the worker's index, after its last task. A
    /// panic ends only the handler. Default: none.
    pub fn on_thread_exit(mut self, handler: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.threads.on_exit = Some(Arc::new(handler));
        self
    }

    /// Sets up the sandbox and starts the threads.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, a thread cannot be started, or the sandbox does not work
    /// on this machine: this process may have too few addresses (`ulimit -v`) or descriptors
    /// (`ulimit -n`). The error names the limit.
    pub fn build(self) -> Result<Pool, BuildError> {
        let n_workers = self.workers.unwrap_or_else(default_workers);
        if let Some(problem) = self.tenants.problem() {
            let setting = "tenant_limits";
            return Err(BuildError::Setting { setting, problem });
        }
        Pool::start(Settings {
            n_workers: check_range("workers", n_workers, 1..=MAX_WORKERS)?,
            sessions: SessionSettings {
                max: check_range("max_sessions", self.sessions.max, 0..=MAX_SESSIONS)?,
                ..self.sessions
            },
            max_suspended: check_range("max_suspended", self.max_suspended, 0..=MAX_SUSPENDED)?,
            queue_capacity: Capacity {
                tasks: check_range("queue_capacity", self.queue_capacity, 1..=usize::MAX)?,
                bytes: self
                    .queue_capacity_bytes
                    .map(|bytes| check_range("queue_capacity_bytes", bytes, 1..=usize::MAX))
                    .transpose()?,
            },
            tenants: self.tenants,
            isolation: self.isolation,
            max_tasks_per_instance: self
                .max_tasks_per_instance
                .map(|tasks| check_range("max_tasks_per_instance", tasks, 1..=u64::MAX))
                .transpose()?,
            max_kept_memory: self.max_kept_memory,
            object_limit: self.object_limit,
            stack: check_range("stack_limit", self.stack_limit, STACK_RANGE)?,
            epochs: self.epochs,
            backtrace_lines: self.backtrace_lines,
            deterministic_numbers: self.deterministic_numbers,
            memory_reset: self.memory_reset,
            baseline_processor: self.baseline_processor,
            limits: self.limits,
            memory_budget: self
                .memory_budget
                .map(|bytes| check_range("memory_budget", bytes, 1..=usize::MAX))
                .transpose()?,
            retry: self.retry,
            cache: Cache::new(self.cache, self.cache_limit, trace::cache_trouble),
            load_timeout: self.load_timeout,
            host_functions: self.host_functions,
            threads: self.threads,
        })
    }
}

/// Settings after validation.
pub(crate) struct Settings {
    pub(crate) n_workers: usize,
    pub(crate) max_suspended: usize,
    pub(crate) sessions: SessionSettings,
    pub(crate) queue_capacity: Capacity,
    pub(crate) tenants: AllTenantLimits,
    pub(crate) isolation: Isolation,
    pub(crate) max_tasks_per_instance: Option<u64>,
    pub(crate) max_kept_memory: usize,
    pub(crate) object_limit: usize,
    pub(crate) stack: usize,
    pub(crate) epochs: bool,
    pub(crate) backtrace_lines: bool,
    pub(crate) deterministic_numbers: bool,
    pub(crate) memory_reset: MemoryReset,
    pub(crate) baseline_processor: bool,
    pub(crate) limits: Limits,
    pub(crate) memory_budget: Option<usize>,
    pub(crate) retry: Option<Retry>,
    pub(crate) cache: Cache,
    pub(crate) load_timeout: Option<Duration>,
    pub(crate) host_functions: HostFunctions,
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
