//! The threads of a pool: how they are started, waited for and ended.

use std::fmt;
use std::thread::JoinHandle;

use super::loading::Loader;
use crate::error::BuildError;
use crate::schedule::{
    CallbackThread, Guard, JobRef, Kept, Registry, Shutdown, WorkerId, run_worker, trace,
};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, Weak, contain_panic, lock, thread};

/// The embedder's code on a worker's thread; takes the worker's index.
type Handler = Arc<dyn Fn(usize) + Send + Sync>;

/// The embedder's settings for the threads of workers.
#[derive(Clone, Default)]
pub(crate) struct ThreadSettings {
    pub(super) name: Option<Arc<dyn Fn(usize) -> String + Send + Sync>>,
    pub(super) stack_size: Option<usize>,
    pub(super) on_start: Option<Handler>,
    pub(super) on_exit: Option<Handler>,
}

impl ThreadSettings {
    fn builder(&self, worker: usize) -> thread::Builder {
        let name = match &self.name {
            Some(name) => name(worker),
            None => format!("wasmpool-worker-{worker}"),
        };
        let builder = thread::Builder::new().name(name);
        match self.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    /// Runs `work` on a worker's thread, between the embedder's handlers.
    fn run(&self, worker: usize, work: impl FnOnce()) {
        let call = |handler: &Option<Handler>| {
            if let Some(handler) = handler {
                contain_panic(|| handler(worker));
            }
        };
        call(&self.on_start);
        work();
        call(&self.on_exit);
    }
}

impl fmt::Debug for ThreadSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ThreadSettings")
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}

/// A pool's workers and its watchdog. On drop they are ended, which blocks until they are gone, but
/// for threads that were given up.
pub(super) struct Threads {
    registry: Arc<Registry>,
    loader: Arc<Loader>,
    workers: Arc<Workers>,
    watchdog: Option<JoinHandle<()>>,
}

/// The threads of workers.
struct Workers {
    registry: Arc<Registry>,
    settings: ThreadSettings,
    /// By the workers' indices; those that were given up are not here.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// How many have not ended, without those that were given up.
    n_left: Mutex<usize>,
    none_left: Condvar,
}

/// What the watchdog's thread has done by the pool.
struct WatchdogGuard<'a> {
    registry: &'a Arc<Registry>,
    workers: Weak<Workers>,
    callbacks: CallbackThread<'a>,
}

impl Guard for WatchdogGuard<'_> {
    fn interrupt(&mut self) {
        self.registry.sandbox.interrupt();
    }

    fn call_back(&mut self, task: JobRef) {
        self.callbacks.call_back(task);
    }

    fn drop_kept(&mut self, kept: Kept) {
        self.callbacks.drop_kept(kept);
    }

    fn preempt(&mut self, now: Instant) -> Option<Instant> {
        self.registry.scheduler.queue.preempt(now)
    }

    fn replace(&mut self, worker: WorkerId) -> bool {
        let Some(workers) = self.workers.upgrade() else {
            return true;
        };
        trace::worker_given_up(worker.index);
        // Tasks that wait for memory may wait for that of a call which never ends now.
        if let Some(budget) = &self.registry.memory_budget {
            budget.notify();
        }
        workers.replace(worker).is_ok()
    }
}

impl Threads {
    pub(super) fn start(
        registry: &Arc<Registry>,
        loader: &Arc<Loader>,
        n_workers: usize,
        settings: &ThreadSettings,
    ) -> Result<Self, BuildError> {
        let mut threads = Self {
            registry: Arc::clone(registry),
            loader: Arc::clone(loader),
            workers: Arc::new(Workers {
                registry: Arc::clone(registry),
                settings: settings.clone(),
                threads: Mutex::new(Vec::with_capacity(n_workers)),
                n_left: Mutex::new(0),
                none_left: Condvar::new(),
            }),
            watchdog: None,
        };
        // From here on the drop clears away what was started, if a thread cannot be.
        let all = threads.start_all(n_workers);
        all.map_err(|source| BuildError::Thread {
            started: threads.n_workers(),
            workers: n_workers,
            source,
        })?;
        Ok(threads)
    }

    fn start_all(&mut self, n_workers: usize) -> std::io::Result<()> {
        let registry = Arc::clone(&self.registry);
        let workers = Arc::downgrade(&self.workers);
        self.watchdog = Some(
            thread::Builder::new()
                .name("wasmpool-watch".to_owned())
                .spawn(move || {
                    let mut guard = WatchdogGuard {
                        registry: &registry,
                        workers,
                        callbacks: CallbackThread::new(&registry),
                    };
                    registry.scheduler.watchdog.run(&mut guard);
                })?,
        );
        for index in 0..n_workers {
            let generation = 0;
            self.workers.start(WorkerId { index, generation })?;
        }
        Ok(())
    }

    pub(super) fn n_workers(&self) -> usize {
        lock(&self.workers.threads).len()
    }

    /// Refuses tasks, finishes, cancels or stops accepted ones as `how` says, and blocks until all
    /// have ended; does not block on the pool's own threads.
    pub(super) fn shutdown(&self, how: Shutdown) {
        trace::shut_down(how);
        self.registry.scheduler.close();
        match how {
            Shutdown::Graceful => {}
            Shutdown::Cancel => drop(self.registry.scheduler.cancel_queued()),
            Shutdown::Terminate => drop(self.registry.scheduler.terminate()),
        }
        if !self.registry.is_own_thread() {
            self.workers.wait();
        }
    }

    /// Blocks until no worker is left, or until the deadline; does not block on the pool's own
    /// threads. Returns whether none is left.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> bool {
        !self.registry.is_own_thread() && self.workers.wait_until(deadline)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.loader.close();
        self.shutdown(Shutdown::Terminate);
        if self.registry.is_own_thread() {
            // The last owner was a callback. A thread cannot wait for itself: it ends by
            // itself after this, and the watchdog has to stay for as long.
            let workers = Arc::clone(&self.workers);
            let close = move || {
                workers.wait();
                workers.registry.scheduler.watchdog.close();
                workers.registry.sandbox.reactor().stop();
            };
            // If that thread cannot be started, the watchdog sleeps on, which is harmless.
            drop(
                thread::Builder::new()
                    .name("wasmpool-drop".to_owned())
                    .spawn(close),
            );
            return;
        }
        // Of threads that were given up nobody waits for the end.
        self.workers.wait();
        let threads = std::mem::take(&mut *lock(&self.workers.threads));
        for thread in threads {
            thread.join().expect("a worker goes on after every panic");
        }
        self.registry.scheduler.watchdog.close();
        if let Some(watchdog) = self.watchdog.take() {
            watchdog
                .join()
                .expect("panics of others' code are contained");
        }
        self.registry.sandbox.reactor().stop();
    }
}

impl Workers {
    /// Starts a thread for a worker that has none.
    fn start(self: &Arc<Self>, worker: WorkerId) -> std::io::Result<()> {
        *lock(&self.n_left) += 1;
        let workers = Arc::clone(self);
        let thread = self.settings.builder(worker.index).spawn(move || {
            // First of all, so that it comes last.
            let _leaving = Leaving(&workers, worker);
            let work = || run_worker(&workers.registry, worker);
            workers.settings.run(worker.index, work);
        });
        match thread {
            Ok(thread) => {
                let mut threads = lock(&self.threads);
                if worker.index < threads.len() {
                    // Who was there before is not waited for any more.
                    threads[worker.index] = thread;
                } else {
                    threads.push(thread);
                }
                Ok(())
            }
            Err(error) => {
                self.leave();
                Err(error)
            }
        }
    }

    /// Starts a thread in the place of one that was given up.
    fn replace(self: &Arc<Self>, worker: WorkerId) -> std::io::Result<()> {
        let started = self.start(worker);
        // Either there are two in this place, of which one counts, or this one is tried again.
        if started.is_ok() {
            self.leave();
        }
        started
    }

    fn leave(&self) {
        let mut n_left = lock(&self.n_left);
        *n_left -= 1;
        if *n_left == 0 {
            self.none_left.notify_all();
        }
    }

    /// Blocks until no thread is left.
    fn wait(&self) {
        self.wait_until(None);
    }

    /// Blocks until no thread is left, or until the deadline. Returns whether none is left.
    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let mut n_left = lock(&self.n_left);
        while *n_left > 0 {
            match sync::wait(&self.none_left, n_left, deadline) {
                Ok(signalled) => n_left = signalled,
                Err(_timed_out) => return false,
            }
        }
        true
    }
}

/// Counts a thread out when it ends, unless it was given up: then it has been.
struct Leaving<'a>(&'a Workers, WorkerId);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Self(workers, worker) = self;
        if workers.registry.scheduler.watchdog.is_current(*worker) {
            workers.leave();
        }
    }
}
