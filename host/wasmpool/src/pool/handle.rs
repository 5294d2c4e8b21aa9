//! The pool: its settings, its threads, and the ways into it and out of it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::builder::{PoolBuilder, Settings};
use super::loading::{LoadFuture, Loader, MAX_LOADS, Source};
use super::map::{Map, MapStream, MapUnordered};
use super::threads::Threads;
use crate::call::Allocation;
use crate::error::{BuildError, LoadError};
use crate::sandbox::{CacheState, EngineSettings, Sandbox};
use crate::schedule::{Isolation, PoolStats, Registry, Scheduler, Shutdown, WARM_INSTANCES, trace};
use crate::sync::{Arc, Instant};
use crate::task::{Task, TaskModule};
use crate::value::{Arguments, IntoArguments};

/// An executor of tasks in WebAssembly sandboxes.
///
/// Owns its worker threads. A handle that is cheap to clone: all clones are the same pool.
///
/// Dropping the last handle [terminates](Shutdown::Terminate) the pool: queued tasks are cancelled,
/// running ones are stopped, also those that would never end, and the drop blocks until all
/// of its threads are gone, which takes milliseconds. To let accepted work finish, call
/// [`shutdown`](Self::shutdown) first.
#[derive(Clone)]
pub struct Pool {
    pub(crate) registry: Arc<Registry>,
    loader: Arc<Loader>,
    threads: Arc<Threads>,
}

/// What a [`Pool::shutdown_timeout`] had to cut short; nothing of it if all was done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CutShort {
    /// Tasks that were accepted and never ran. Each ends as
    /// [`Cancelled`](crate::TaskErrorKind::Cancelled).
    pub never_ran: usize,
    /// Tasks that ran and were stopped. Each ends as [`ShutDown`](crate::TaskErrorKind::ShutDown),
    /// unless it came to its own end in the last moment.
    pub stopped: usize,
}

impl Pool {
    /// A pool with settings of your choice.
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
            queue_capacity,
            isolation,
            max_tasks_per_instance,
            max_kept_memory,
            stack,
            epochs,
            backtrace_lines,
            deterministic_numbers,
            memory_reset,
            limits,
            retry,
            cache,
            load_timeout,
            threads,
        } = settings;
        let instances_per_worker = match isolation {
            Isolation::Task => 1,
            Isolation::Worker => WARM_INSTANCES + 1,
        };
        // And those of modules that list their tasks.
        let instances = n_workers * instances_per_worker + MAX_LOADS;
        let engine = EngineSettings {
            instances: u32::try_from(instances).expect("both factors are small"),
            stack,
            fuel: limits.fuel.is_some(),
            epochs,
            backtrace_lines,
            deterministic_numbers,
            memory_reset,
        };
        let sandbox = Sandbox::new(engine, cache).map_err(BuildError::Sandbox)?;
        let registry = Arc::new(Registry {
            scheduler: Scheduler::new(queue_capacity, n_workers),
            sandbox,
            limits,
            retry,
            isolation,
            max_tasks_per_instance,
            max_kept_memory,
        });
        let loader = Loader::new(load_timeout);
        let threads =
            Threads::start(&registry, &loader, n_workers, &threads).map_err(BuildError::Thread)?;
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

    /// How many tasks wait in the queue at this moment.
    pub fn queued(&self) -> usize {
        self.registry.scheduler.queue.places.taken()
    }

    /// How many tasks are where at this moment, how those that have ended did, and how long
    /// it took. The numbers add up, and reading them stops nobody.
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
            loads,
            loading,
            ..counters.read(timings, self.allocation().clone())
        }
    }

    /// Where the memory of instances comes from: [`Allocation::OnDemand`] works the same and
    /// is slower.
    pub fn allocation(&self) -> &Allocation {
        self.registry.sandbox.allocation()
    }

    /// Whether compiled modules are kept on disk, and why not if they are not. Makes the folder,
    /// if no module was loaded yet.
    pub fn cache(&self) -> CacheState {
        self.registry.sandbox.cache().state()
    }

    /// Loads the module in a file: a component, or a core module that is a program for WASI preview 1
    /// or exports functions of numbers; or the text form of one (`.wat`).
    ///
    /// Blocks while it is read, compiled and asked for its tasks; that is the cost of reading
    /// it if the cache has it, and otherwise about a second for each megabyte. The same bytes
    /// are loaded once for as long as somebody holds the module, also by threads that load them at
    /// the same time. Up to 8 modules are loaded at once, and others wait for them in order, within
    /// their [`load_timeout`](PoolBuilder::load_timeout).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a component, does not fit this pool, or takes too long.
    /// The error says what to do about it.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<TaskModule, LoadError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        self.load_owned(bytes)
    }

    /// Loads a module from memory, otherwise as [`load`](Self::load).
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

    /// Loads the module in a file from async code, otherwise as [`load`](Self::load): the future
    /// belongs to no runtime and blocks no thread of one. A thread is started for it with the
    /// first poll.
    ///
    /// Dropping the future gives the load up, as a [timeout](PoolBuilder::load_timeout) does. It
    /// does not keep the pool alive: when that is dropped, the load ends as
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

    /// Loads a module from memory, otherwise as [`load_async`](Self::load_async).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_bytes_async(&self, bytes: impl Into<Vec<u8>>) -> LoadFuture {
        let bytes = bytes.into();
        self.loader
            .load_async(&self.registry, move || Ok(Source::bytes(bytes)))
    }

    /// Compiles a module to native code for [`load_precompiled`](Self::load_precompiled), in
    /// this pool or one of the same settings, on a machine of the same kind: for deployments
    /// that have no time or no place for the cache. Blocks for about a second for each megabyte.
    ///
    /// # Errors
    ///
    /// If the bytes are not a component.
    pub fn precompile(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.registry.sandbox.precompile(bytes)
    }

    /// Loads the native code in a file, otherwise as [`load`](Self::load).
    ///
    /// # Safety
    ///
    /// This runs what is in the file without a look at it, outside of any sandbox: it must be
    /// what [`precompile`](Self::precompile) has made, and must not be changed while the module
    /// is in use. Replace it by a rename.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, takes too long, or was made by another version of wasmpool or for
    /// a pool of other settings ([`LoadError::Unfit`] says which).
    #[allow(unsafe_code)]
    pub unsafe fn load_precompiled(&self, path: impl AsRef<Path>) -> Result<TaskModule, LoadError> {
        let path = path.as_ref();
        // So that a file that is not there is not taken for one that does not fit.
        std::fs::File::open(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        let source = Source::Precompiled(path.to_owned());
        self.loader.load(&self.registry, source)
    }

    /// Runs `task` over all of `inputs` and gives the outcomes in the order of the inputs.
    ///
    /// An input is the arguments of the task, or its only argument; several lists of
    /// arguments are zipped, `a.zip(b)` for two of them and `a.zip(b).zip(c)` for three. A
    /// few inputs are submitted at once, and the iterator never pulls more than its window
    /// ahead of the outcomes that were taken: endless inputs are fine. The window is 64
    /// inputs, or four [chunks](crate::TaskOptions::chunk_size) for each worker if that is
    /// more. A task that fails is an `Err` in its place, and the others come all the same; if
    /// the inputs panic, that comes after the outcomes of those before it.
    /// [`Map::timeout`] bounds the time of the whole. Does not block; taking an outcome
    /// does, and while none is under way because the queue is full of others' tasks it waits
    /// for room there.
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

    /// Runs `task` over all of `inputs` and gives the outcomes as they come, each with the
    /// place of its input. A slow task holds up nothing but itself; otherwise as
    /// [`map`](Self::map).
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

    /// Runs `task` over all of `inputs` and gives the outcomes in the order of the inputs, as
    /// a [stream](https://docs.rs/futures-core) for async code. As [`map`](Self::map), but it
    /// never blocks; what bounds its time is the runtime's own timeout.
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

    /// Refuses tasks from now on. Does not block; what was accepted is still done.
    pub fn close(&self) {
        self.registry.scheduler.queue.close();
    }

    /// Refuses tasks from now on, deals with those that were accepted as `how` says, and
    /// blocks until the workers are through with them.
    ///
    /// Can be called again, with the same or a stricter `how`, from any thread: who waits in
    /// a graceful shutdown comes back when another thread terminates the pool. On the pool's
    /// own threads (in a callback) it does not block.
    pub fn shutdown(&self, how: Shutdown) {
        self.threads.shutdown(how);
    }

    /// Refuses tasks from now on, gives those that were accepted `timeout` to finish, and
    /// then terminates the pool. Blocks for that long at the most, and the moment it takes
    /// to stop what runs, which is longer for
    /// [uninterruptible guests](PoolBuilder::uninterruptible_guests). Says what had to be cut
    /// short.
    ///
    /// On the pool's own threads (in a callback) it terminates at once, waits for nothing, and
    /// may not count a task that is just being started.
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
