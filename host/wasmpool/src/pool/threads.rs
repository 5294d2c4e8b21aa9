//! The threads of a pool: how they are started, waited for and ended.

use std::fmt;
use std::thread::JoinHandle;

use super::loading::Loader;
use crate::sandbox::Driver;
use crate::schedule::{CallbackThread, Registry, Shutdown, run_worker, trace};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, contain_panic, lock, thread};

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

/// The threads of a pool's workers and watchdog. The drop ends them and blocks until they have
/// ended.
pub(super) struct Threads {
    registry: Arc<Registry>,
    loader: Arc<Loader>,
    workers_left: Arc<WorkersLeft>,
    workers: Vec<JoinHandle<()>>,
    watchdog: Option<JoinHandle<()>>,
}

/// Counts the worker threads that have not ended.
struct WorkersLeft {
    count: Mutex<usize>,
    none_left: Condvar,
}

impl Threads {
    pub(super) fn start(
        registry: &Arc<Registry>,
        loader: &Arc<Loader>,
        n_workers: usize,
        settings: &ThreadSettings,
    ) -> std::io::Result<Self> {
        let mut threads = Self {
            registry: Arc::clone(registry),
            loader: Arc::clone(loader),
            workers_left: Arc::new(WorkersLeft {
                count: Mutex::new(0),
                none_left: Condvar::new(),
            }),
            workers: Vec::with_capacity(n_workers),
            watchdog: None,
        };
        // From here on, if a thread cannot be started, the drop ends those that were.
        threads.start_all(n_workers, settings)?;
        Ok(threads)
    }

    fn start_all(&mut self, n_workers: usize, settings: &ThreadSettings) -> std::io::Result<()> {
        let registry = Arc::clone(&self.registry);
        self.watchdog = Some(
            thread::Builder::new()
                .name("wasmpool-watch".to_owned())
                .spawn(move || {
                    let mut callbacks = CallbackThread::new(&registry);
                    let interrupt = || registry.sandbox.interrupt();
                    let watchdog = &registry.scheduler.watchdog;
                    watchdog.run(interrupt, |task| callbacks.call_back(task));
                })?,
        );
        for worker in 0..n_workers {
            let registry = Arc::clone(&self.registry);
            let driver = Driver::new()?;
            let leaving = self.workers_left.enter();
            let builder = settings.builder(worker);
            let settings = settings.clone();
            let thread = builder.spawn(move || {
                let _leaving = leaving;
                settings.run(worker, || run_worker(&registry, worker, &driver));
            })?;
            self.workers.push(thread);
        }
        Ok(())
    }

    pub(super) fn n_workers(&self) -> usize {
        self.workers.len()
    }

    /// Refuses tasks, finishes, cancels or stops accepted ones as `how` says, and blocks until all
    /// have ended; does not block on the pool's own threads.
    pub(super) fn shutdown(&self, how: Shutdown) {
        trace::shut_down(how);
        self.registry.scheduler.queue.close();
        match how {
            Shutdown::Graceful => {}
            Shutdown::Cancel => drop(self.registry.scheduler.cancel_queued()),
            Shutdown::Terminate => drop(self.registry.scheduler.terminate()),
        }
        if !self.registry.is_own_thread() {
            self.workers_left.wait();
        }
    }

    /// Blocks until no worker is left, or until the deadline; does not block on the pool's own
    /// threads. Returns whether none is left.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> bool {
        !self.registry.is_own_thread() && self.workers_left.wait_until(deadline)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.loader.close();
        self.shutdown(Shutdown::Terminate);
        if self.registry.is_own_thread() {
            // The last owner was a callback. A thread cannot join itself: the workers end by
            // themselves after this, and the watchdog must outlive them.
            let (registry, workers_left) =
                (Arc::clone(&self.registry), Arc::clone(&self.workers_left));
            let close = move || {
                workers_left.wait();
                registry.scheduler.watchdog.close();
            };
            // If that thread cannot be started, the watchdog sleeps on, which is harmless.
            drop(
                thread::Builder::new()
                    .name("wasmpool-drop".to_owned())
                    .spawn(close),
            );
            return;
        }
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker goes on after every panic");
        }
        self.registry.scheduler.watchdog.close();
        if let Some(watchdog) = self.watchdog.take() {
            watchdog
                .join()
                .expect("panics of others' code are contained");
        }
    }
}

impl WorkersLeft {
    /// Counts one more thread, until the returned guard is dropped.
    fn enter(self: &Arc<Self>) -> Leaving {
        *lock(&self.count) += 1;
        Leaving(Arc::clone(self))
    }

    /// Blocks until no thread is left.
    fn wait(&self) {
        self.wait_until(None);
    }

    /// Blocks until no thread is left, or until the deadline. Returns whether none is left.
    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let mut count = lock(&self.count);
        while *count > 0 {
            match sync::wait(&self.none_left, count, deadline) {
                Ok(signalled) => count = signalled,
                Err(_timed_out) => return false,
            }
        }
        true
    }
}

/// A worker thread's place in [`WorkersLeft`].
struct Leaving(Arc<WorkersLeft>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut count = lock(&self.0.count);
        *count -= 1;
        if *count == 0 {
            self.0.none_left.notify_all();
        }
    }
}
