//! How modules come into a pool: which are loaded, which are being loaded, and who waits for them.
//!
//! A module is loaded on a thread of the loader's own: compiling cannot be interrupted, and whoever
//! waits for it may have little time. There are [`MAX_LOADS`] of these threads at the most, each
//! for as long as there is something to load; other loads wait for them in order. Loads of the same
//! bytes are one.
//!
//! When nobody waits for a load any longer, it leaves the queue, or the guest that is listing its
//! tasks is stopped. A compilation goes on, and who asks for the same bytes meanwhile waits for it;
//! otherwise its module is dropped and the cache is all that has it.
//!
//! Knows nothing of how a module is compiled.

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
use crate::sandbox::{CallContext, Driver, Module, TaskInfo, Unlisted};
use crate::schedule::{Registry, trace};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, Weak, lock, thread};
use crate::task::TaskModule;

/// How many modules are loaded at once. Each may want a place for an instance, to be asked for its
/// tasks there; and a compilation keeps several processors busy by itself.
pub(crate) const MAX_LOADS: usize = 8;

/// How long a module may take to list its tasks, where tasks themselves have no timeout.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a module gets for listing its tasks at the least, also where tasks get less: limits
/// that are meant for tasks should stop tasks, and not the loading.
const MIN_LIST_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_LIST_FUEL: u64 = 100_000_000;

/// How long after a stop a guest that lists its tasks is interrupted again, and the longest wait
/// between two interrupts: as the watchdog does it for tasks.
const REPEAT_AFTER: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(128);

type Hash = [u8; blake3::OUT_LEN];
type Outcome = Result<Arc<Module>, LoadError>;

/// The loads of one pool.
pub(crate) struct Loader {
    state: Mutex<State>,
    /// Signalled when a load has ended and when somebody gives up.
    changed: Condvar,
    /// How long a load may take.
    timeout: Option<Duration>,
}

#[derive(Default)]
struct State {
    /// Modules that are loaded and still used somewhere.
    loaded: HashMap<Hash, Weak<Module>>,
    /// Loads that others can join: those from bytes that have not ended.
    joinable: HashMap<Hash, Arc<Load>>,
    /// Those of all loads that no thread has begun.
    queue: VecDeque<Arc<Load>>,
    /// Those that a thread has begun and not ended.
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
    /// How many wait for it.
    n_waiting: usize,
    /// What stops the guest while it lists its tasks.
    listing: Option<Arc<Control>>,
    outcome: Option<Outcome>,
}

/// What a module is made of.
pub(crate) enum Source {
    Bytes(Vec<u8>, Hash),
    /// A file with native code, for which whoever has named it vouches.
    Precompiled(PathBuf),
}

/// How long somebody waits for a load.
#[derive(Clone)]
struct Patience {
    deadline: Option<Instant>,
    has_given_up: Arc<Mutex<bool>>,
}

/// The future of a module that is being loaded, from
/// [`Pool::load_async`](crate::Pool::load_async). Belongs to no runtime. Dropping it gives the
/// load up.
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

    /// How many loads were ever begun, and how many have not ended.
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
            // What is wrong with the cache is told on the caller's thread.
            registry.sandbox.cache().state();
        }
        self.load_with(registry, source, &patience)
    }

    /// Loads what `read` gives, without blocking whoever polls. Begins with the first poll.
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

    /// Ends what can be ended, when the pool is dropped.
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
                    // It may have ended in the last moment.
                    if lock(&load.inner).outcome.is_none() {
                        break timed_out();
                    }
                }
            }
        };
        self.leave(&mut state, &load);
        drop(state);
        // Told here and not by the loader's thread, for subscribers and spans of this one.
        if let (Some(n_bytes), Ok(module)) = (n_new_bytes, &outcome) {
            trace::module_loaded(n_bytes, module.tasks().len(), started.elapsed());
        }
        outcome
    }

    /// Somebody waits no longer.
    fn leave(&self, state: &mut State, load: &Arc<Load>) {
        let mut inner = lock(&load.inner);
        inner.n_waiting -= 1;
        if inner.n_waiting > 0 || inner.outcome.is_some() {
            return;
        }
        if let Some(listing) = &inner.listing {
            // Who comes now begins anew.
            state.forget(load);
            listing.stop(StopReason::Cancelled);
        } else if let Some(place) = state.queue.iter().position(|it| Arc::ptr_eq(it, load)) {
            state.queue.remove(place);
            state.forget(load);
        }
    }

    /// Sees to it that a thread takes what is in the queue.
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
            // Those that are there will do.
            Err(_) if state.n_threads > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What a thread of the loader does: loads until the queue is empty.
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
            // Freed, with a module that nobody waits for, while nobody waits for the lock.
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
                // SAFETY: `Pool::load_precompiled` is all that makes such a source, and passes
                // this on to its caller.
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

    /// What stops the guest that is about to be asked for its tasks. An error if nobody wants to
    /// know them any longer.
    fn begin_listing(
        &self,
        registry: &Arc<Registry>,
        load: &Arc<Load>,
    ) -> Result<Arc<Control>, LoadError> {
        let registry: Weak<Registry> = Arc::downgrade(registry);
        let control = Arc::new(Control::new(registry, Duration::ZERO));
        let mut state = lock(&self.state);
        let mut inner = lock(&load.inner);
        if state.is_closed || inner.n_waiting == 0 {
            // Who comes now begins anew.
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

    /// Lets nobody join the load any longer. Says whether one could.
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

/// Asks a component for the tasks that it brings, under the limits of a task: this runs
/// the guest's code.
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
    let context = CallContext {
        control: Arc::clone(control),
        deadline: None,
        worker: 0,
    };
    let sandbox = &registry.sandbox;
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let listing = thread::Builder::new()
            .name("wasmpool-lister".to_owned())
            .spawn_scoped(scope, move || {
                let driver = Driver::new().map_err(internal_task)?;
                // Disconnects when the listing is over, in whichever way.
                let _done = done;
                sandbox.list(unlisted, &driver, &limits, context)
            })
            .map_err(internal_task)?;
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
    /// Starts a thread that waits in the place of the future: it needs no timer of any runtime.
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
            // Under the lock of the state: who waits looks at it under that lock.
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
