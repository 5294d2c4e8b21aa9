//! A pool without a sandbox. It replaces the library's room `pool`, its `worker.rs` and
//! `callbacks.rs`, and the sandbox's engine. The steps of the protocol are the library's own
//! (`scheduler.rs`).

use std::future::poll_fn;
use std::sync::Mutex as Untracked;
use std::sync::atomic::AtomicUsize as UntrackedUsize;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::call::{
    Admission, Allocation, Control, Interrupt, Limits, MemoryAccount, MemoryBudget, MemoryOwner,
    Progress, StopReason, TaskReport,
};
use crate::error::{TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::schedule::{
    AllTenantLimits, Blocking, Call, CallEnd, CallFuture, Closed, Guard, Job, JobRef, Kept, Left,
    Line, MEMORY, Permit, PoolStats, ReserveError, Retry, Runner, Scheduler, SessionLine,
    SessionSettings, Settled, Timings, Turn, WorkItem, WorkerId,
};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::channel::{self, Sender};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, Weak, lock, thread};

/// The allocation that statistics report; there are no instances.
pub(crate) const ALLOCATION: Allocation = Allocation::Pooled {
    page_wise_reset: false,
};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// Ends by itself.
    Short,
    /// Computes until it is stopped.
    Endless,
    /// Waits in the host until it is stopped.
    Waiting,
    /// Waits in the host until [`Registry::end_pause`].
    Pausing,
    /// Blocks its thread until [`Registry::unblock`], and ignores stops.
    Stuck,
    /// Ends by itself, with an error.
    Failing,
    /// Ends by itself. No other task of this kind may run meanwhile.
    Alone,
    /// Starts a guest that is [`Alone`](Self::Alone), and waits for its end.
    Parent,
}

/// The progress that every guest reports at its start.
const PROGRESS: Progress = Progress {
    done: 1,
    total: None,
};

/// The lane of all tasks here.
const LANE: usize = 1;

/// The result of a guest that succeeds, as MessagePack.
pub(crate) const RESULT: u8 = 7;

pub(crate) struct Registry {
    pub(crate) scheduler: Scheduler,
    /// The engine's epoch: guests check their stop request when it has moved.
    epoch: AtomicU64,
    next_worker: AtomicUsize,
    /// Worker threads that have not ended, except those that were given up.
    n_left: Mutex<usize>,
    none_left: Condvar,
    /// Whether pausing guests continue, and the wakers to wake then.
    is_pause_over: AtomicBool,
    pausing: Mutex<Vec<Waker>>,
    /// Whether blocked guests return.
    is_unblocked: Mutex<bool>,
    unblocked: Condvar,
    pub(crate) memory_budget: Option<Arc<MemoryBudget>>,
    /// The accounts of instances that are kept.
    idle: Mutex<Vec<Arc<MemoryAccount>>>,
    /// How many guests run that must be alone.
    n_alone: AtomicUsize,
    /// How many instances the calls of sessions have made.
    pub(crate) n_instances: UntrackedUsize,
    /// How often a task was started.
    pub(crate) n_attempts: UntrackedUsize,
    /// How many threads were given up. In the model checker any time may pass, so a thread that is
    /// only slow may be given up as well.
    pub(crate) n_given_up: UntrackedUsize,
    /// Not 0 if the pool has no thread to wake guests that wait.
    pub(crate) nobody_wakes: UntrackedUsize,
    /// Guests that were stopped. The lock is the standard library's, which the model checker does
    /// not see, so nothing that it sees may be done while it is held.
    pub(crate) halts: Untracked<Vec<Halt>>,
}

/// A guest that was stopped.
pub(crate) struct Halt {
    pub(crate) at: Instant,
    pub(crate) reason: StopReason,
    /// When the grace period was over.
    pub(crate) force_at: Option<Instant>,
    pub(crate) deadline: Option<Instant>,
}

impl Interrupt for Registry {
    fn interrupt(&self) {
        self.move_epoch();
    }

    fn see_to_stops(&self) {
        self.scheduler.watchdog.see_to_stops();
    }
}

impl MemoryOwner for Registry {
    fn drop_idle_instance(&self) -> bool {
        let idle = lock(&self.idle).pop();
        idle.is_some()
    }

    fn memory_came_back(&self) {
        self.scheduler.queue.look_again();
    }

    fn n_stuck(&self) -> usize {
        self.scheduler.watchdog.n_stuck()
    }
}

impl Registry {
    pub(crate) fn new(n_workers: usize, queue_capacity: usize) -> Arc<Self> {
        Self::with_max_suspended(n_workers, queue_capacity, 10)
    }

    pub(crate) fn with_max_suspended(
        n_workers: usize,
        queue_capacity: usize,
        max_suspended: usize,
    ) -> Arc<Self> {
        let tenants = AllTenantLimits::default();
        Self::with_tenants(n_workers, queue_capacity, max_suspended, tenants)
    }

    pub(crate) fn with_tenants(
        n_workers: usize,
        queue_capacity: usize,
        max_suspended: usize,
        tenants: AllTenantLimits,
    ) -> Arc<Self> {
        let sessions = SessionSettings::default();
        Self::with(
            n_workers,
            queue_capacity,
            max_suspended,
            tenants,
            None,
            sessions,
        )
    }

    /// A pool with sessions.
    pub(crate) fn with_sessions(n_workers: usize, sessions: SessionSettings) -> Arc<Self> {
        let tenants = AllTenantLimits::default();
        Self::with(n_workers, 10, 10, tenants, None, sessions)
    }

    /// A pool with memory for so many guests. Each keeps what it holds when it has ended in order.
    pub(crate) fn with_memory_for(n_guests: usize, n_workers: usize) -> Arc<Self> {
        let tenants = AllTenantLimits::default();
        Self::with_tenants_and_memory_for(n_guests, n_workers, tenants)
    }

    pub(crate) fn with_tenants_and_memory_for(
        n_guests: usize,
        n_workers: usize,
        tenants: AllTenantLimits,
    ) -> Arc<Self> {
        let budget = MemoryBudget::new(n_guests * MEMORY);
        let of_registry = Some(Arc::clone(&budget));
        let sessions = SessionSettings::default();
        let registry = Self::with(n_workers, 10, 10, tenants, of_registry, sessions);
        let owner: Weak<Self> = Arc::downgrade(&registry);
        budget.set_owner(owner);
        registry
    }

    fn with(
        n_workers: usize,
        queue_capacity: usize,
        max_suspended: usize,
        tenants: AllTenantLimits,
        memory_budget: Option<Arc<MemoryBudget>>,
        sessions: SessionSettings,
    ) -> Arc<Self> {
        let budget = memory_budget.clone();
        Arc::new(Self {
            scheduler: Scheduler::new(queue_capacity, n_workers, max_suspended, tenants, budget)
                .with_sessions(sessions),
            memory_budget,
            idle: Mutex::default(),
            epoch: AtomicU64::new(0),
            next_worker: AtomicUsize::new(0),
            n_left: Mutex::new(0),
            none_left: Condvar::new(),
            is_pause_over: AtomicBool::new(false),
            pausing: Mutex::default(),
            is_unblocked: Mutex::default(),
            unblocked: Condvar::new(),
            n_alone: AtomicUsize::new(0),
            n_instances: UntrackedUsize::new(0),
            n_attempts: UntrackedUsize::new(0),
            n_given_up: UntrackedUsize::new(0),
            nobody_wakes: UntrackedUsize::new(0),
            halts: Untracked::default(),
        })
    }

    /// Only the counters: histograms take too long under Miri.
    pub(crate) fn stats(&self) -> PoolStats {
        self.scheduler.counters.read(&Timings::new(0), ALLOCATION)
    }

    pub(crate) fn limits() -> Limits {
        Limits::default()
    }

    pub(crate) fn submit(
        &self,
        guest: Guest,
        limits: Limits,
        blocking: Blocking,
    ) -> Result<TaskFuture<u8>, ReserveError> {
        let permit = self.scheduler.queue.places.reserve(blocking)?;
        let task = self.queued_task(guest, limits, None, permit);
        self.push([Arc::clone(&task)], limits)
            .map_err(|Closed| ReserveError::Closed)?;
        Ok(TaskFuture::new(task, None, usize::MAX))
    }

    /// Submits a call of a session. There must be room for it; the pool may be closed.
    pub(crate) fn submit_to(
        &self,
        session: &Arc<SessionLine>,
        guest: Guest,
        limits: Limits,
    ) -> Result<TaskFuture<u8>, Closed> {
        let permit = self.scheduler.queue.places.overdraw();
        let turn = Some(session.turn());
        let call = self.queued_task_in(Line::from(LANE), guest, limits, None, permit, turn);
        let timeout = limits.queue_timeout;
        let future = TaskFuture::new(Arc::clone(&call), None, usize::MAX);
        self.scheduler.push_to_session(call, session, timeout)?;
        Ok(future)
    }

    /// Submits a task of this tenant. There must be room for it.
    pub(crate) fn submit_of(&self, tenant: &str, guest: Guest, limits: Limits) -> TaskFuture<u8> {
        let line = Line {
            lane: LANE,
            tenant: Some(tenant.into()),
            depth: 0,
        };
        let permit = self
            .scheduler
            .reserve(line.tenant.as_ref(), Blocking::Never);
        let permit = permit.expect("there is room");
        let task = self.queued_task_in(line.clone(), guest, limits, None, permit, None);
        let pushed = self.scheduler.push([Arc::clone(&task)], line, None);
        pushed.expect("the queue is open");
        TaskFuture::new(task, None, usize::MAX)
    }

    /// Submits a task that is tried again by `retry`. There must be room for it.
    pub(crate) fn submit_with_retry(
        &self,
        guest: Guest,
        limits: Limits,
        retry: Retry,
    ) -> TaskFuture<u8> {
        let permit = self
            .scheduler
            .queue
            .places
            .reserve(Blocking::Never)
            .expect("there is room");
        let task = self.queued_task(guest, limits, Some(retry), permit);
        let pushed = self.push([Arc::clone(&task)], limits);
        pushed.expect("the queue is open");
        TaskFuture::new(task, None, usize::MAX)
    }

    /// Submits several tasks as one batch. There must be room for them.
    pub(crate) fn submit_chunk<const N: usize>(
        &self,
        guests: [Guest; N],
        limits: Limits,
    ) -> [TaskFuture<u8>; N] {
        let tasks = guests.map(|guest| {
            let permit = self
                .scheduler
                .queue
                .places
                .reserve(Blocking::Never)
                .expect("there is room");
            self.queued_task(guest, limits, None, permit)
        });
        let pushed = self.push(tasks.each_ref().map(Arc::clone), limits);
        pushed.expect("the queue is open");
        tasks.map(|task| TaskFuture::new(task, None, usize::MAX))
    }

    fn queued_task(
        &self,
        guest: Guest,
        limits: Limits,
        retry: Option<Retry>,
        permit: Permit,
    ) -> JobRef {
        self.queued_task_in(Line::from(LANE), guest, limits, retry, permit, None)
    }

    fn queued_task_in(
        &self,
        line: Line,
        guest: Guest,
        limits: Limits,
        retry: Option<Retry>,
        permit: Permit,
        turn: Option<Turn>,
    ) -> JobRef {
        let job = WorkItem {
            guest,
            limits,
            retry,
            line,
            permit: Some(permit),
            admission: None,
            turn,
        };
        let counters = Arc::clone(&self.scheduler.counters);
        Arc::new(Job::new(job, None, counters))
    }

    fn push<const N: usize>(&self, tasks: [JobRef; N], limits: Limits) -> Result<(), Closed> {
        self.scheduler
            .push(tasks, Line::from(LANE), limits.queue_timeout)
    }

    /// The body of an additional worker's thread.
    pub(crate) fn work(self: &Arc<Self>) {
        *lock(&self.n_left) += 1;
        let index = self.next_worker.fetch_add(1, Ordering::SeqCst);
        self.serve(WorkerId {
            index,
            generation: 0,
        });
    }

    /// The body of a worker thread. Ends when the queue is closed and empty, or when the thread is
    /// given up.
    fn serve(self: &Arc<Self>, worker: WorkerId) {
        let mut runner = Worker {
            registry: self,
            kept: None,
        };
        self.scheduler.work(worker, &mut runner);
        if self.scheduler.watchdog.is_current(worker) {
            self.leave();
        }
    }

    fn leave(&self) {
        let mut n_left = lock(&self.n_left);
        *n_left -= 1;
        if *n_left == 0 {
            self.none_left.notify_all();
        }
    }

    fn wait_for_workers(&self) {
        let mut n_left = lock(&self.n_left);
        while *n_left > 0 {
            n_left = match sync::wait(&self.none_left, n_left, None) {
                Ok(n_left) | Err(n_left) => n_left,
            };
        }
    }

    /// Makes pausing guests continue.
    pub(crate) fn end_pause(&self) {
        self.is_pause_over.store(true, Ordering::SeqCst);
        let pausing = std::mem::take(&mut *lock(&self.pausing));
        pausing.into_iter().for_each(Waker::wake);
    }

    /// Makes blocked guests return.
    pub(crate) fn unblock(&self) {
        *lock(&self.is_unblocked) = true;
        self.unblocked.notify_all();
    }

    fn block(&self) {
        let mut is_unblocked = lock(&self.is_unblocked);
        while !*is_unblocked {
            is_unblocked = match sync::wait(&self.unblocked, is_unblocked, None) {
                Ok(guard) | Err(guard) => guard,
            };
        }
    }

    async fn call(
        self: Arc<Self>,
        guest: Guest,
        control: Arc<Control>,
        account: Option<Arc<MemoryAccount>>,
    ) -> CallEnd {
        let deadline = control.deadline();
        let came_to_its_end = self.run_guest(guest, &control).await;
        let outcome = if came_to_its_end {
            match guest {
                Guest::Failing => Err(TaskError::new(TaskErrorKind::Failed, "failed")),
                Guest::Parent if control.is_wait_refused() => {
                    Err(TaskError::new(TaskErrorKind::Failed, "no place to wait"))
                }
                _ => Ok(vec![RESULT].into()),
            }
        } else {
            let at = Instant::now();
            let reason = control.stop_reason();
            let reason = reason.expect("nobody halts without a reason");
            let halt = Halt {
                at,
                reason,
                force_at: control.force_at(),
                deadline,
            };
            self.halts.lock().unwrap().push(halt);
            Err(stopped(reason))
        };
        CallEnd {
            outcome,
            report: TaskReport::default(),
            left: came_to_its_end.then_some((control, account)),
        }
    }

    /// Runs a guest as the sandbox does. Returns whether it ended by itself or was stopped.
    async fn run_guest(&self, guest: Guest, control: &Control) -> bool {
        control.report_progress(PROGRESS);
        let mut epoch_deadline = self.epoch.load(Ordering::SeqCst) + 1;
        if control.is_forced() {
            return false;
        }
        match guest {
            Guest::Short | Guest::Failing => true,
            Guest::Endless => loop {
                thread::yield_now();
                if self.epoch.load(Ordering::SeqCst) >= epoch_deadline {
                    if control.is_forced() {
                        return false;
                    }
                    if control.begin_to_yield() {
                        yield_once().await;
                        // The engine goes on, and whoever polls looks first.
                        if control.is_forced() {
                            return false;
                        }
                    }
                    // An epoch that moves here has no effect: see the sandbox's
                    // `look_at_stop_request`.
                    epoch_deadline = self.epoch.load(Ordering::SeqCst) + 1;
                }
            },
            Guest::Waiting => {
                poll_fn(|_| match control.is_forced() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                false
            }
            Guest::Pausing => {
                poll_fn(|context| {
                    if control.is_forced() {
                        return Poll::Ready(false);
                    }
                    lock(&self.pausing).push(context.waker().clone());
                    match self.is_pause_over.load(Ordering::SeqCst) {
                        true => Poll::Ready(true),
                        false => Poll::Pending,
                    }
                })
                .await
            }
            Guest::Alone => {
                assert_eq!(self.n_alone.fetch_add(1, Ordering::SeqCst), 0);
                thread::yield_now();
                self.n_alone.fetch_sub(1, Ordering::SeqCst);
                true
            }
            Guest::Parent => {
                let child = self.start_child();
                control.set_waits_for_tasks(true);
                poll_fn(|context| {
                    if control.is_forced() {
                        return Poll::Ready(false);
                    }
                    let is_over = child.poll(context.waker()).is_some();
                    match is_over || control.is_wait_refused() {
                        true => Poll::Ready(true),
                        false => Poll::Pending,
                    }
                })
                .await
            }
            Guest::Stuck => {
                self.block();
                !control.is_forced()
            }
        }
    }

    /// Starts a task one level deeper than those that are submitted.
    fn start_child(&self) -> JobRef {
        let line = Line {
            depth: 1,
            ..Line::from(LANE)
        };
        let permit = self.scheduler.overdraw(None);
        let limits = Self::limits();
        let child = self.queued_task_in(line.clone(), Guest::Alone, limits, None, permit, None);
        let pushed = self.scheduler.push([Arc::clone(&child)], line, None);
        pushed.expect("it is not terminated");
        child
    }

    fn move_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// As the pool's `shutdown` with `Shutdown::Terminate`, but does not wait.
    pub(crate) fn terminate(&self) {
        self.scheduler.close();
        self.scheduler.terminate();
    }

    /// Runs the watchdog, the thread for callbacks, `workers` worker threads and `threads` at the
    /// same time. When all `threads` have ended, the queue is closed. Then the workers end, then
    /// the watchdog, then the thread for callbacks.
    pub(crate) fn open<const N: usize>(
        self: &Arc<Self>,
        workers: usize,
        threads: [&(dyn Fn() + Sync); N],
    ) {
        thread::scope(|scope| {
            let (sender, expired) = channel::unbounded::<JobRef>();
            let callbacks = scope.spawn(move || {
                while let Ok(task) = expired.recv() {
                    task.call_back();
                }
            });
            let watchdog = scope.spawn(move || {
                let start = |worker| {
                    scope.spawn(move || self.serve(worker));
                };
                let mut guard = WatchdogGuard {
                    registry: self,
                    callbacks: &sender,
                    start,
                };
                self.scheduler.watchdog.run(&mut guard);
            });
            *lock(&self.n_left) += workers;
            for _ in 0..workers {
                let index = self.next_worker.fetch_add(1, Ordering::SeqCst);
                let generation = 0;
                scope.spawn(move || self.serve(WorkerId { index, generation }));
            }
            for thread in threads.map(|thread| scope.spawn(thread)) {
                thread.join().expect("the thread does not panic");
            }
            self.scheduler.close();
            self.wait_for_workers();
            self.scheduler.watchdog.close();
            watchdog.join().expect("the watchdog does not panic");
            callbacks.join().expect("callbacks' panics are contained");
        });
        let n_stuck = self.scheduler.watchdog.n_stuck();
        assert_eq!(
            n_stuck, 0,
            "each thread that was given up has come back once"
        );
    }
}

/// The model of the pool's type.
struct WatchdogGuard<'a, Start> {
    registry: &'a Registry,
    /// Tasks whose callbacks are to be called.
    callbacks: &'a Sender<JobRef>,
    start: Start,
}

impl<Start: FnMut(WorkerId)> Guard for WatchdogGuard<'_, Start> {
    fn interrupt(&mut self) {
        self.registry.move_epoch();
    }

    fn call_back(&mut self, task: JobRef) {
        let is_sent = self.callbacks.send(task).is_ok();
        assert!(is_sent, "the callbacks' thread lasts longer");
    }

    fn drop_kept(&mut self, kept: Kept) {
        drop(kept);
    }

    fn preempt(&mut self, now: Instant) -> Option<Instant> {
        self.registry.scheduler.queue.preempt(now)
    }

    fn replace(&mut self, worker: WorkerId) -> bool {
        self.registry.n_given_up.fetch_add(1, Ordering::SeqCst);
        if let Some(budget) = &self.registry.memory_budget {
            budget.notify();
        }
        // It counts in place of the thread that was given up.
        (self.start)(worker);
        true
    }
}

/// The model of the library's worker, with modelled guests.
struct Worker<'a> {
    registry: &'a Arc<Registry>,
    /// The warm instance of the last call.
    kept: Option<Arc<Control>>,
}

impl Runner for Worker<'_> {
    fn interrupt(&self) -> Weak<dyn Interrupt> {
        let registry: Weak<Registry> = Arc::downgrade(self.registry);
        registry
    }

    fn begin(
        &mut self,
        _task: &JobRef,
        call: &mut Call<WorkItem>,
        started: Instant,
    ) -> (CallFuture, ()) {
        let registry = Arc::clone(self.registry);
        registry.n_attempts.fetch_add(1, Ordering::SeqCst);
        let admission = call.payload.admission.take();
        let mut account = admission.and_then(Admission::into_account);
        if let Some(turn) = &mut call.payload.turn {
            match turn.begin() {
                Some((_, of_session)) => {
                    of_session.iter().for_each(|account| account.resume());
                    account = of_session;
                }
                None => {
                    registry.n_instances.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        let WorkItem { guest, limits, .. } = &call.payload;
        call.control.set_deadline(limits.deadline(started));
        let future = registry.call(*guest, Arc::clone(&call.control), account);
        (CallFuture::new(future), ())
    }

    fn poll(
        &mut self,
        future: &mut CallFuture,
        _span: &(),
        context: &mut Context<'_>,
    ) -> Poll<CallEnd> {
        future.poll(context)
    }

    fn wait_begins(&mut self) -> bool {
        self.registry.nobody_wakes.load(Ordering::Relaxed) == 0
    }

    fn ended(
        &mut self,
        _future: CallFuture,
        _span: (),
        _left: &mut Left,
        _error: Option<&TaskError>,
        _report: &TaskReport,
        _is_last: bool,
    ) {
    }

    fn keep(&mut self, left: &mut Left) {
        if let (Some((_, Some(account))), Some(budget)) = (left, &self.registry.memory_budget) {
            account.keep(MEMORY);
            budget.notify();
        }
    }

    fn before_callbacks(&mut self) {}

    fn clear_away(&mut self, left: Left) {
        let (control, account) = left.unzip();
        self.kept = control;
        if let (Some(account), Some(budget)) = (account.flatten(), &self.registry.memory_budget) {
            account.rest(MEMORY);
            lock(&self.registry.idle).push(account);
            budget.notify();
        }
    }
}

/// Returns to whoever polls, as the engine does for a call that must yield.
async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A guest's wait in the host.
pub(crate) fn wait_for_force(control: &Control) {
    block_on(poll_fn(|context| {
        control.wake_on_force(context.waker());
        if control.is_forced() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
}

fn stopped(reason: StopReason) -> TaskError {
    let kind = match reason {
        StopReason::Cancelled => TaskErrorKind::Cancelled,
        StopReason::TimedOut | StopReason::ComputeTimedOut => TaskErrorKind::TimedOut,
        StopReason::ShutDown => TaskErrorKind::ShutDown,
        StopReason::NobodyWakes => TaskErrorKind::Internal,
    };
    TaskError::new(kind, "stopped")
}

/// Polls `future` on this thread until it is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// The control block of a task that needs no interrupt.
pub(crate) fn control_of_nobody() -> Control {
    let nobody: Weak<Registry> = Weak::new();
    Control::new(nobody, Limits::default())
}

/// Starts a task as a worker does.
pub(crate) fn start(job: &Job<()>) -> Option<Call<()>> {
    job.start(0, Instant::now(), |()| control_of_nobody())
}

pub(crate) fn is_stopped(control: &Arc<Control>) -> bool {
    control.stop_reason().is_some()
}

/// The end of a task that succeeded.
pub(crate) fn success() -> Settled {
    Settled {
        outcome: Ok(vec![RESULT].into()),
        report: TaskReport::default(),
    }
}

/// The time in so many milliseconds.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_millis(2)
}

/// Settles a task as a worker does.
pub(crate) fn settle<P>(job: &Job<P>, settled: Settled) {
    if job.settle(settled) {
        job.call_back();
    }
}
