//! Loading modules: which are loaded, which are being loaded, and who waits for them.
//!
//! A module is loaded on a thread of the loader, since compiling cannot be interrupted and callers
//! may time out. There are at most [`MAX_LOADS`] such threads, which end when the queue is empty;
//! other loads wait in order. Loads of the same bytes are joined.
//!
//! When no caller waits for a load any longer, it leaves the queue, or the guest that lists its
//! tasks is stopped. A compilation runs on: a caller who loads the same bytes meanwhile joins it,
//! otherwise the module is dropped and only the cache keeps it.
//!
//! Does not know how a module is compiled.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::call::{Control, Limits, StopReason};
use crate::error::{LoadError, TaskError, TaskErrorKind};
use crate::sandbox::{BlockingDriver, Module, TaskInfo, Unlisted};
use crate::schedule::{Registry, trace};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, Weak, lock, thread};
use crate::task::TaskModule;

/// How many modules are loaded at once. Each may need an instance to list its tasks, and one
/// compilation uses several processors.
pub(crate) const MAX_LOADS: usize = 8;

/// How long a module may take to list its tasks, where tasks themselves have no timeout.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// The least time and fuel for listing a module's tasks, even if tasks have less: limits for tasks
/// should not make loading fail.
const MIN_LIST_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_LIST_FUEL: u64 = 100_000_000;

/// How long after a stop a guest that lists its tasks is interrupted again, and the longest pause
/// between two interrupts, as in the watchdog.
const REPEAT_AFTER: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(128);

type Hash = [u8; blake3::OUT_LEN];
type Outcome = Result<Arc<Module>, LoadError>;

/// The loads of one pool.
pub(crate) struct Loader {
    state: Mutex<State>,
    /// Signalled when a load has ended and when a caller gives up.
    changed: Condvar,
    /// How long a load may take.
    timeout: Option<Duration>,
}

#[derive(Default)]
struct State {
    /// Modules that are loaded and still used somewhere.
    loaded: HashMap<Hash, Weak<Module>>,
    /// Loads that callers can join: those from bytes that have not ended.
    joinable: HashMap<Hash, Arc<Load>>,
    /// Loads that no thread has begun.
    queue: VecDeque<Arc<Load>>,
    /// Loads that a thread has begun and not ended.
    running: Vec<Arc<Load>>,
    n_threads: usize,
    /// How many loads were begun.
    n_begun: u64,
    /// Set when the pool is dropped: from then on no guest is asked for its tasks.
    is_closed: bool,
}

/// One load.
struct Load {
    source: Source,
    /// Only taken while the loader's state is locked.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// How many callers wait for it.
    n_waiting: usize,
    /// What stops the guest while it lists its tasks.
    listing: Option<Arc<Control>>,
    outcome: Option<Outcome>,
}

/// What a module is made of.
pub(crate) enum Source {
    Bytes(Vec<u8>, Hash),
    /// A file of native code, trusted by the caller of `load_precompiled`.
    Precompiled(PathBuf),
}

/// How long a caller waits for a load.
#[derive(Clone)]
struct Patience {
    deadline: Option<Instant>,
    has_given_up: Arc<Mutex<bool>>,
}

/// The future of a module that is being loaded, from
/// [`Pool::load_async`](crate::Pool::load_async). Runs on any executor. Dropping it abandons the
/// load.
#[must_use = "a load begins when its future is polled"]
pub struct LoadFuture {
    state: LoadingState,
}

enum LoadingState {
    /// Not polled yet.
    New(Option<Begin>),
    Begun {
        answer: Arc<Answer>,
        patience: Patience,
        loader: Arc<Loader>,
    },
}

struct Begin {
    loader: Arc<Loader>,
    registry: Arc<Registry>,
    read: Box<dyn FnOnce() -> Result<Source, LoadError> + Send>,
}

/// Where a thread leaves the outcome for a future.
#[derive(Default)]
struct Answer(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    outcome: Option<Result<TaskModule, LoadError>>,
    waker: Option<Waker>,
}

impl Source {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        let hash = *blake3::hash(&bytes).as_bytes();
        Self::Bytes(bytes, hash)
    }

    fn len(&self) -> Option<usize> {
        match self {
            Self::Bytes(bytes, _) => Some(bytes.len()),
            Self::Precompiled(_) => None,
        }
    }

    fn hash(&self) -> Option<&Hash> {
        match self {
            Self::Bytes(_, hash) => Some(hash),
            Self::Precompiled(_) => None,
        }
    }
}

impl Loader {
    pub(crate) fn new(timeout: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            timeout,
        })
    }

    /// How many loads were begun so far, and how many have not ended.
    pub(crate) fn counts(&self) -> (u64, usize) {
        let state = lock(&self.state);
        (state.n_begun, state.running.len() + state.queue.len())
    }

    /// The module, if these bytes are loaded.
    pub(crate) fn loaded(&self, bytes: &[u8]) -> Option<TaskModule> {
        let hash = blake3::hash(bytes);
        lock(&self.state)
            .loaded(hash.as_bytes())
            .map(TaskModule::new)
    }

    /// Blocks until the module is loaded or the time for that is over.
    pub(crate) fn load(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        source: Source,
    ) -> Result<TaskModule, LoadError> {
        let patience = self.patience();
        if source.hash().is_some() {
            // Reports trouble with the cache on the caller's thread.
            registry.sandbox.cache().state();
        }
        self.load_with(registry, source, &patience)
    }

    /// Loads the source that `read` returns, without blocking the polling thread. Begins with the
    /// first poll.
    pub(crate) fn load_async(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        read: impl FnOnce() -> Result<Source, LoadError> + Send + 'static,
    ) -> LoadFuture {
        LoadFuture {
            state: LoadingState::New(Some(Begin {
                loader: Arc::clone(self),
                registry: Arc::clone(registry),
                read: Box::new(read),
            })),
        }
    }

    /// Ends queued loads and listings; the pool is being dropped.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        for load in std::mem::take(&mut state.queue) {
            state.forget(&load);
            lock(&load.inner).outcome = Some(Err(LoadError::ShutDown));
        }
        for load in &state.running {
            if let Some(listing) = &lock(&load.inner).listing {
                listing.stop(StopReason::ShutDown);
            }
        }
        self.changed.notify_all();
    }

    fn patience(&self) -> Patience {
        let timeout = self.timeout;
        Patience {
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            has_given_up: Arc::default(),
        }
    }

    fn load_with(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        source: Source,
        patience: &Patience,
    ) -> Result<TaskModule, LoadError> {
        let started = Instant::now();
        let mut state = lock(&self.state);
        if let Some(module) = source.hash().and_then(|hash| state.loaded(hash)) {
            return Ok(TaskModule::new(module));
        }
        if state.is_closed {
            return Err(LoadError::ShutDown);
        }
        let mut n_new_bytes = None;
        let joinable = source.hash().and_then(|hash| state.joinable.get(hash));
        let load = match joinable {
            Some(load) => Arc::clone(load),
            None => {
                n_new_bytes = source.len();
                state.enqueue(source)
            }
        };
        lock(&load.inner).n_waiting += 1;
        if let Err(error) = self.hire(registry, &mut state) {
            self.leave(&mut state, &load);
            return Err(LoadError::Thread(Arc::new(error)));
        }
        let outcome = loop {
            if let Some(outcome) = &lock(&load.inner).outcome {
                break match outcome {
                    Ok(module) => Ok(TaskModule::new(Arc::clone(module))),
                    Err(error) => Err(error.clone()),
                };
            }
            let timed_out = || {
                Err(LoadError::TimedOut {
                    timeout: self.timeout.unwrap_or_default(),
                })
            };
            if *lock(&patience.has_given_up) {
                break timed_out();
            }
            match sync::wait(&self.changed, state, patience.deadline) {
                Ok(signalled) => state = signalled,
                Err(late) => {
                    state = late;
                    // It may have ended at the last moment.
                    if lock(&load.inner).outcome.is_none() {
                        break timed_out();
                    }
                }
            }
        };
        self.leave(&mut state, &load);
        drop(state);
        // Traced here and not on the loader's thread, for this thread's subscriber and span.
        if let (Some(n_bytes), Ok(module)) = (n_new_bytes, &outcome) {
            trace::module_loaded(n_bytes, module.tasks().len(), started.elapsed());
        }
        outcome
    }

    /// A caller waits no longer.
    fn leave(&self, state: &mut State, load: &Arc<Load>) {
        let mut inner = lock(&load.inner);
        inner.n_waiting -= 1;
        if inner.n_waiting > 0 || inner.outcome.is_some() {
            return;
        }
        if let Some(listing) = &inner.listing {
            // Later callers begin a new load.
            state.forget(load);
            listing.stop(StopReason::Cancelled);
        } else if let Some(place) = state.queue.iter().position(|it| Arc::ptr_eq(it, load)) {
            state.queue.remove(place);
            state.forget(load);
        }
    }

    /// Starts a thread for the queue, unless it is empty or the maximum is reached.
    fn hire(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        state: &mut State,
    ) -> Result<(), std::io::Error> {
        if state.queue.is_empty() || state.n_threads == MAX_LOADS {
            return Ok(());
        }
        let (loader, registry) = (Arc::clone(self), Arc::clone(registry));
        let hired = thread::Builder::new()
            .name("wasmpool-loader".to_owned())
            .spawn(move || loader.work(&registry));
        match hired {
            Ok(_) => state.n_threads += 1,
            // The existing threads will do.
            Err(_) if state.n_threads > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The body of a loader's thread: loads until the queue is empty.
    fn work(&self, registry: &Arc<Registry>) {
        let mut state = lock(&self.state);
        while let Some(load) = state.queue.pop_front() {
            state.n_begun += 1;
            state.running.push(Arc::clone(&load));
            drop(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| self.run(registry, &load)));
            let outcome = outcome.unwrap_or_else(|_| Err(internal("the loader panicked")));
            state = lock(&self.state);
            state.running.retain(|it| !Arc::ptr_eq(it, &load));
            let is_wanted = state.forget(&load) || load.source.hash().is_none();
            if let (Ok(module), Some(hash), true) = (&outcome, load.source.hash(), is_wanted) {
                state.loaded.retain(|_, module| module.strong_count() > 0);
                state.loaded.insert(*hash, Arc::downgrade(module));
            }
            lock(&load.inner).outcome = Some(outcome);
            self.changed.notify_all();
            // Frees the load, and perhaps its module, outside the lock.
            drop(state);
            drop(load);
            state = lock(&self.state);
        }
        state.n_threads -= 1;
    }

    fn run(&self, registry: &Arc<Registry>, load: &Arc<Load>) -> Outcome {
        let unlisted = match &load.source {
            Source::Bytes(bytes, _) => registry.sandbox.compile(bytes)?,
            Source::Precompiled(path) => {
                // SAFETY: only `Pool::load_precompiled` makes such a source, and its caller
                // guarantees the same.
                #[allow(unsafe_code)]
                unsafe {
                    registry.sandbox.load_precompiled(path)?
                }
            }
        };
        let tasks = match unlisted.known_tasks(&registry.limits) {
            Some(tasks) => tasks,
            None => {
                let control = self.begin_listing(registry, load)?;
                let tasks = list(registry, &unlisted, &control).map_err(LoadError::List)?;
                unlisted.keep_tasks(&registry.limits, &tasks);
                tasks
            }
        };
        Ok(Arc::new(unlisted.into_module(tasks)))
    }

    /// The control block for listing the tasks. An error if no caller waits any longer.
    fn begin_listing(
        &self,
        registry: &Arc<Registry>,
        load: &Arc<Load>,
    ) -> Result<Arc<Control>, LoadError> {
        let interrupt: Weak<Registry> = Arc::downgrade(registry);
        // Nobody waits for a guest that only lists its tasks to return early.
        let limits = Limits {
            stop_grace: Duration::ZERO,
            ..registry.limits
        };
        let control = Arc::new(Control::new(interrupt, limits));
        let mut state = lock(&self.state);
        let mut inner = lock(&load.inner);
        if state.is_closed || inner.n_waiting == 0 {
            // Later callers begin a new load.
            state.forget(load);
            return Err(LoadError::ShutDown);
        }
        inner.listing = Some(Arc::clone(&control));
        Ok(control)
    }
}

impl State {
    fn loaded(&self, hash: &Hash) -> Option<Arc<Module>> {
        self.loaded.get(hash).and_then(Weak::upgrade)
    }

    fn enqueue(&mut self, source: Source) -> Arc<Load> {
        let load = Arc::new(Load {
            source,
            inner: Mutex::default(),
        });
        if let Some(hash) = load.source.hash() {
            self.joinable.insert(*hash, Arc::clone(&load));
        }
        self.queue.push_back(Arc::clone(&load));
        load
    }

    /// Makes the load impossible to join. Returns whether it could be joined before.
    fn forget(&mut self, load: &Arc<Load>) -> bool {
        let Some(hash) = load.source.hash() else {
            return false;
        };
        let known = self.joinable.get(hash);
        let could_join = known.is_some_and(|known| Arc::ptr_eq(known, load));
        if could_join {
            self.joinable.remove(hash);
        }
        could_join
    }
}

/// Lists the tasks of a component, under the limits of a task: this runs guest code.
fn list(
    registry: &Registry,
    unlisted: &Unlisted,
    control: &Arc<Control>,
) -> Result<Vec<TaskInfo>, TaskError> {
    let of_tasks = &registry.limits;
    let timeout = of_tasks
        .task_timeout
        .map_or(LIST_TIMEOUT, |timeout| timeout.max(MIN_LIST_TIMEOUT));
    let limits = Limits {
        task_timeout: Some(timeout),
        fuel: of_tasks.fuel.map(|fuel| fuel.max(MIN_LIST_FUEL)),
        ..*of_tasks
    };
    let sandbox = &registry.sandbox;
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let listing = thread::Builder::new()
            .name("wasmpool-lister".to_owned())
            .spawn_scoped(scope, move || {
                let driver = BlockingDriver::new().map_err(internal_task)?;
                // Disconnects when the listing is over, in whichever way.
                let _done = done;
                sandbox.list(unlisted, &driver, &limits, control)
            })
            .map_err(|error| {
                internal_task(format_args!(
                    "a thread to list its tasks cannot be started ({error}); raise the limit of \
                     threads (`ulimit -u`, or `pids.max` of the container), or ask for fewer workers"
                ))
            })?;
        // No watchdog looks after this one, so it is stopped here, and interrupted until it ends.
        // A moment too far away to be expressed never comes.
        let deadline = Instant::now().checked_add(timeout);
        let left = || {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            left.unwrap_or(MAX_PAUSE)
        };
        let mut pause = REPEAT_AFTER;
        loop {
            let patience = match control.is_forced() {
                true => pause,
                // Another thread may stop it, whose one interrupt may miss the guest.
                false => left().min(MAX_PAUSE),
            };
            if is_done.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) {
                break;
            }
            if control.is_forced() {
                sandbox.interrupt();
                pause = MAX_PAUSE.min(2 * pause);
            } else if left().is_zero() {
                control.stop(StopReason::TimedOut);
            }
        }
        listing
            .join()
            .unwrap_or_else(|_| Err(internal_task("the loader panicked")))
    })
}

impl Future for LoadFuture {
    type Output = Result<TaskModule, LoadError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let LoadingState::New(begin) = &mut self.state {
            let begin = begin.take().expect("it is begun once");
            self.state = begin.begin()?;
        }
        let LoadingState::Begun { answer, .. } = &self.state else {
            unreachable!("just begun");
        };
        let mut slot = lock(&answer.0);
        match slot.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Begin {
    /// Starts a thread that waits for the future, so that no runtime's timer is needed.
    fn begin(self) -> Result<LoadingState, LoadError> {
        let Self {
            loader,
            registry,
            read,
        } = self;
        let patience = loader.patience();
        let answer = Arc::<Answer>::default();
        let (for_thread, waits, leaves) =
            (Arc::clone(&loader), patience.clone(), Arc::clone(&answer));
        thread::Builder::new()
            .name("wasmpool-loading".to_owned())
            .spawn(move || {
                let loaded =
                    read().and_then(|source| for_thread.load_with(&registry, source, &waits));
                drop(registry);
                let mut slot = lock(&leaves.0);
                slot.outcome = Some(loaded);
                let waker = slot.waker.take();
                drop(slot);
                if let Some(waker) = waker {
                    waker.wake();
                }
            })
            .map_err(|error| LoadError::Thread(Arc::new(error)))?;
        Ok(LoadingState::Begun {
            answer,
            patience,
            loader,
        })
    }
}

impl Drop for LoadFuture {
    fn drop(&mut self) {
        if let LoadingState::Begun {
            patience, loader, ..
        } = &self.state
        {
            // Under the lock of the state, under which waiting threads read it.
            let _state = lock(&loader.state);
            *lock(&patience.has_given_up) = true;
            loader.changed.notify_all();
        }
    }
}

impl fmt::Debug for LoadFuture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoadFuture").finish_non_exhaustive()
    }
}

fn internal_task(error: impl fmt::Display) -> TaskError {
    TaskError::new(TaskErrorKind::Internal, error.to_string())
}

fn internal(error: impl fmt::Display) -> LoadError {
    LoadError::List(internal_task(error))
}
