//! The pool's handle: loading, mapping and shutdown.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::builder::{PoolBuilder, Settings};
use super::loading::{LoadFuture, Loader, MAX_LOADS, Source};
use super::map::{Map, MapStream, MapUnordered};
use super::threads::Threads;
use crate::call::{Allocation, MemoryBudget};
use crate::error::{BuildError, LoadError};
use crate::sandbox::{CacheState, EngineSettings, Sandbox};
use crate::schedule::{
    Interrupter, Isolation, PREEMPTED_PER_WORKER, PoolStats, Registry, Scheduler, Shutdown,
    WARM_INSTANCES, trace,
};
use crate::sync::{Arc, Instant, Mutex};
use crate::task::{Task, TaskModule};
use crate::value::{Arguments, IntoArguments};

/// An executor that runs tasks in WebAssembly sandboxes.
///
/// A handle that is cheap to clone: all clones are the same pool, which owns its threads.
///
/// Dropping the last handle [terminates](Shutdown::Terminate) the pool: queued tasks are cancelled
/// and running ones are stopped, even in endless loops. The drop blocks until the pool's threads
/// have ended, which takes milliseconds. To let accepted tasks finish, call
/// [`shutdown`](Self::shutdown) first.
#[derive(Clone)]
pub struct Pool {
    pub(crate) registry: Arc<Registry>,
    loader: Arc<Loader>,
    threads: Arc<Threads>,
}

/// How many tasks [`Pool::shutdown_timeout`] cut short; all zero if every task ended in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CutShort {
    /// Accepted tasks that never ran. Each ends as [`Cancelled`](crate::TaskErrorKind::Cancelled).
    pub never_ran: usize,
    /// Running tasks that were stopped. Each ends as [`ShutDown`](crate::TaskErrorKind::ShutDown),
    /// unless it ended by itself at the last moment.
    pub stopped: usize,
}

impl Pool {
    /// The builder of a pool, with the default settings.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// A pool with the default settings.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`].
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    pub(crate) fn start(settings: Settings) -> Result<Self, BuildError> {
        let Settings {
            n_workers,
            max_suspended,
            queue_capacity,
            tenants,
            isolation,
            max_tasks_per_instance,
            max_kept_memory,
            object_limit,
            stack,
            epochs,
            backtrace_lines,
            deterministic_numbers,
            memory_reset,
            baseline_processor,
            limits,
            retry,
            cache,
            load_timeout,
            host_functions,
            threads,
            memory_budget,
            sessions,
        } = settings;
        let instances_per_worker = match isolation {
            Isolation::Task => 1,
            Isolation::Worker => WARM_INSTANCES + 1,
        };
        // Each load needs an instance to list its module's tasks.
        let instances = n_workers * instances_per_worker + MAX_LOADS;
        let engine = EngineSettings {
            instances: u32::try_from(instances).expect("both factors are small"),
            suspended: u32::try_from(max_suspended).expect("it is bounded"),
            preempted: u32::try_from(PREEMPTED_PER_WORKER * n_workers).expect("it is bounded"),
            sessions: u32::try_from(sessions.max).expect("it is bounded"),
            workers: u32::try_from(n_workers).expect("it is bounded"),
            stack,
            fuel: limits.fuel.is_some(),
            epochs,
            backtrace_lines,
            deterministic_numbers,
            memory_reset,
            baseline_processor,
        };
        let memory_budget = memory_budget.map(MemoryBudget::new);
        let sandbox = Sandbox::new(engine, host_functions, cache).map_err(BuildError::Sandbox)?;
        let registry = Arc::new_cyclic(|registry| Registry {
            scheduler: Scheduler::new(
                queue_capacity,
                n_workers,
                sandbox.max_suspended(),
                tenants,
                memory_budget.clone(),
            )
            .with_sessions(sessions),
            sandbox,
            limits,
            retry,
            isolation,
            max_tasks_per_instance,
            max_kept_memory,
            object_limit,
            memory_budget,
            warm: (0..n_workers).map(|_| Mutex::default()).collect(),
            interrupters: Interrupter::for_workers(registry, n_workers),
        });
        registry.serve_memory_budget();
        let loader = Loader::new(load_timeout);
        let threads = Threads::start(&registry, &loader, n_workers, &threads)?;
        let pool = Self {
            registry,
            loader,
            threads: Arc::new(threads),
        };
        trace::pool_built(n_workers, pool.allocation());
        Ok(pool)
    }

    /// How many workers the pool has.
    pub fn workers(&self) -> usize {
        self.threads.n_workers()
    }

    /// How many tasks may be suspended at once: as
    /// [`PoolBuilder::max_suspended`] says, or fewer where the address space is so small that
    /// memories reserve nothing ([`allocation`](Self::allocation)).
    pub fn max_suspended(&self) -> usize {
        self.registry.scheduler.queue.max_suspended()
    }

    /// How many tasks are in the queue.
    pub fn queued(&self) -> usize {
        self.registry.scheduler.queue.places.taken()
    }

    /// Counts of the queued, running and ended tasks, and their timings. The counts are consistent
    /// with each other; reading them does not block the workers.
    pub fn stats(&self) -> PoolStats {
        let Scheduler {
            queue,
            counters,
            timings,
            ..
        } = &self.registry.scheduler;
        let (loads, loading) = self.loader.counts();
        PoolStats {
            queued_bytes: queue.places.bytes(),
            memory_in_use: self
                .registry
                .memory_budget
                .as_ref()
                .map(|budget| budget.used()),
            loads,
            loading,
            sessions: self.registry.scheduler.sessions.n_live(),
            stuck: self.registry.scheduler.watchdog.n_stuck(),
            ..counters.read(timings, self.allocation().clone())
        }
    }

    /// Where the memory of instances comes from. [`Allocation::OnDemand`] is slower and otherwise
    /// the same. Its [`problem`](Allocation::problem) is a line for the user.
    pub fn allocation(&self) -> &Allocation {
        self.registry.sandbox.allocation()
    }

    /// Whether compiled modules are kept on disk, and if not, why. Creates the cache folder if no
    /// module was loaded yet.
    pub fn cache(&self) -> CacheState {
        self.registry.sandbox.cache().state()
    }

    /// Loads the module in a file: a component, or a core module that is a program for WASI preview 1
    /// or exports functions of numbers; or the text form of one (`.wat`). Programs for preview 1 and the
    /// text form each take a [feature](crate#features).
    ///
    /// Blocks while the module is read, compiled and asked for its tasks: about 1 second per
    /// megabyte, or the time to read the file if the cache has the code. While a module is held or
    /// being loaded, loading the same bytes again returns the same module. Up to 8 modules are
    /// loaded at once; others wait in order, for at most their
    /// [`load_timeout`](PoolBuilder::load_timeout).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a module that this pool can run, or loading takes too
    /// long. The error says what to do about it.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<TaskModule, LoadError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        self.load_owned(bytes)
    }

    /// As [`load`](Self::load), from memory.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<TaskModule, LoadError> {
        if let Some(module) = self.loader.loaded(bytes) {
            return Ok(module);
        }
        self.load_owned(bytes.to_owned())
    }

    fn load_owned(&self, bytes: Vec<u8>) -> Result<TaskModule, LoadError> {
        self.loader.load(&self.registry, Source::bytes(bytes))
    }

    /// As [`load`](Self::load), for async code. The future runs on any executor and does not block
    /// its thread: the first poll starts a thread for it.
    ///
    /// Dropping the future abandons the load, as a [timeout](PoolBuilder::load_timeout) does. The
    /// future does not keep the pool alive: when the pool is dropped, the load ends as
    /// [`ShutDown`](LoadError::ShutDown).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_async(&self, path: impl AsRef<Path>) -> LoadFuture {
        let path = path.as_ref().to_owned();
        self.loader.load_async(&self.registry, move || {
            let bytes = std::fs::read(&path);
            let bytes = bytes.map_err(|source| LoadError::Read {
                path,
                source: Arc::new(source),
            })?;
            Ok(Source::bytes(bytes))
        })
    }

    /// As [`load_async`](Self::load_async), from memory.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_bytes_async(&self, bytes: impl Into<Vec<u8>>) -> LoadFuture {
        let bytes = bytes.into();
        self.loader
            .load_async(&self.registry, move || Ok(Source::bytes(bytes)))
    }

    /// Compiles a module to native code for [`load_precompiled`](Self::load_precompiled), in this
    /// pool or one of the same settings, on a machine of the same kind. For deployments that
    /// cannot compile or keep a cache. Blocks for about 1 second per megabyte.
    ///
    /// # Errors
    ///
    /// If the bytes are not a module that this pool can run.
    pub fn precompile(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.registry.sandbox.precompile(bytes)
    }

    /// As [`load`](Self::load), from a file of native code.
    ///
    /// # Safety
    ///
    /// The code in the file runs unchecked and outside of any sandbox. The file must have been
    /// made by [`precompile`](Self::precompile) and must not be changed while the module is in
    /// use. Replace it by a rename.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, takes too long, or was made by another version of wasmpool or for
    /// a pool of other settings ([`LoadError::Unfit`] says which).
    #[allow(unsafe_code)]
    pub unsafe fn load_precompiled(&self, path: impl AsRef<Path>) -> Result<TaskModule, LoadError> {
        let path = path.as_ref();
        // Reports a missing file as `Read`, not as `Unfit`.
        std::fs::File::open(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        let source = Source::Precompiled(path.to_owned());
        self.loader.load(&self.registry, source)
    }

    /// Runs `task` on each of `inputs` and yields the outcomes in the order of the inputs.
    ///
    /// An input is a tuple of the task's arguments, or its only argument; zip several lists of
    /// arguments: `a.zip(b)` for two, `a.zip(b).zip(c)` for three. Inputs may be endless: the
    /// iterator submits some at once, and never more than its window ahead of the outcomes that
    /// were taken. The window is 64 inputs, or four [chunks](crate::TaskOptions::chunk_size) per
    /// worker if that is more.
    ///
    /// A failed task is an `Err` in its place and does not affect the others. If the inputs panic,
    /// the panic is passed on after the outcomes of the inputs before it. [`Map::timeout`] limits
    /// the total time. This call does not block. `next` blocks until the next outcome is there; if
    /// the queue is full and no task of the map is under way, it first waits for room.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = wasmpool::Pool::new()?;
    /// let module = pool.load("factorizer.wasm")?;
    /// let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;
    /// for (n, factors) in (2..100).zip(pool.map(&factorize, 2..100)) {
    ///     println!("{n} = {:?}", factors?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<Args, Out, Inputs>(
        &self,
        task: &Task<Args, Out>,
        inputs: Inputs,
    ) -> Map<'_, Args, Out, Inputs::IntoIter>
    where
        Args: Arguments,
        Inputs: IntoIterator<Item: IntoArguments<Args>>,
    {
        Map::new(self, task.clone(), inputs.into_iter())
    }

    /// As [`map`](Self::map), but yields the outcomes in the order in which the tasks end, each
    /// with the index of its input. A slow task does not delay the outcomes of others.
    pub fn map_unordered<Args, Out, Inputs>(
        &self,
        task: &Task<Args, Out>,
        inputs: Inputs,
    ) -> MapUnordered<'_, Args, Out, Inputs::IntoIter>
    where
        Args: Arguments,
        Out: 'static,
        Inputs: IntoIterator<Item: IntoArguments<Args>>,
    {
        MapUnordered::new(self, task.clone(), inputs.into_iter())
    }

    /// As [`map`](Self::map), but a [stream](https://docs.rs/futures-core) for async code, which
    /// never blocks. To limit its time, use the runtime's timeout.
    pub fn map_async<Args, Out, Inputs>(
        &self,
        task: &Task<Args, Out>,
        inputs: Inputs,
    ) -> MapStream<'_, Args, Out, Inputs::IntoIter>
    where
        Args: Arguments,
        Inputs: IntoIterator<Item: IntoArguments<Args>>,
    {
        MapStream::new(self, task.clone(), inputs.into_iter())
    }

    /// Refuses tasks from now on. Accepted tasks still run. [Sessions](crate::Session) end after the
    /// calls that they have accepted. Does not block.
    pub fn close(&self) {
        self.registry.scheduler.close();
    }

    /// Refuses tasks from now on, finishes, cancels or stops accepted ones as `how` says, and
    /// blocks until all have ended.
    ///
    /// Can be called again, from any thread, with the same or a stricter `how`: when another
    /// thread terminates the pool, a blocked graceful shutdown returns. On the pool's own threads
    /// (in a callback) it does not block.
    pub fn shutdown(&self, how: Shutdown) {
        self.threads.shutdown(how);
    }

    /// Refuses tasks from now on, waits up to `timeout` for accepted ones to finish, then
    /// terminates the pool. Returns how many tasks were cut short. Blocks for at most `timeout`
    /// and the time to stop running tasks, which is longer for [uninterruptible
    /// guests](PoolBuilder::uninterruptible_guests).
    ///
    /// On the pool's own threads (in a callback) it terminates at once without blocking, and may
    /// miss a task that is just starting.
    pub fn shutdown_timeout(&self, timeout: Duration) -> CutShort {
        self.close();
        let deadline = Instant::now().checked_add(timeout);
        if self.threads.wait_until(deadline) {
            return CutShort::default();
        }
        let never_ran = self.registry.scheduler.terminate();
        self.shutdown(Shutdown::Terminate);
        let stopped = self.registry.scheduler.watchdog.n_cut_short();
        CutShort { never_ran, stopped }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("workers", &self.workers())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
