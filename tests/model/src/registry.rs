//! A pool without a sandbox: the stand-in for the library's room `pool`, its `worker.rs` and
//! `callbacks.rs`, and for the sandbox's engine. The steps of the protocol are the library's own
//! (`scheduler.rs`).

use std::sync::Mutex as Untracked;
use std::sync::atomic::AtomicUsize as UntrackedUsize;
use std::task::Poll;
use std::time::Duration;

use crate::call::{Allocation, Control, Interrupt, Limits, Progress, StopReason, TaskReport};
use crate::error::{TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::schedule::{
    Blocking, Call, Closed, Job, JobRef, Permit, PoolStats, ReserveError, Retry, Runner, Scheduler,
    Settled, Timings, WorkItem,
};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::channel::{self, Sender};
use crate::sync::{Arc, Instant, Weak, thread};

/// Where the memory comes from of instances that there are not.
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
    /// Ends by itself, with an error.
    Failing,
}

/// What every guest says in the beginning.
const PROGRESS: Progress = Progress {
    done: 1,
    total: None,
};

/// The lane of all tasks here.
const LANE: usize = 1;

/// The result of a guest that comes to its end, as MessagePack has it.
pub(crate) const RESULT: u8 = 7;

pub(crate) struct Registry {
    pub(crate) scheduler: Scheduler,
    /// The engine's: guests look at their stop request when it has moved.
    epoch: AtomicU64,
    next_worker: AtomicUsize,
    /// How often a task was started.
    pub(crate) n_attempts: UntrackedUsize,
    /// Guests that were stopped. The lock is the standard library's, which the model checker
    /// does not see: nothing that it sees may be done under it.
    pub(crate) halts: Untracked<Vec<Halt>>,
}

/// A guest that has come to a halt.
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
        self.scheduler.watchdog.see_to_stops();
    }
}

impl Registry {
    pub(crate) fn new(n_workers: usize, queue_capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            scheduler: Scheduler::new(queue_capacity, n_workers),
            epoch: AtomicU64::new(0),
            next_worker: AtomicUsize::new(0),
            n_attempts: UntrackedUsize::new(0),
            halts: Untracked::default(),
        })
    }

    /// The counters alone: histograms take Miri far too long.
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

    /// A task that is tried again as `retry` says. There must be room for it.
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

    /// Tasks that come together. There must be room for them.
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
        let job = WorkItem {
            guest,
            limits,
            retry,
            lane: LANE,
            permit: Some(permit),
        };
        let counters = Arc::clone(&self.scheduler.counters);
        Arc::new(Job::new(job, None, counters))
    }

    fn push<const N: usize>(&self, tasks: [JobRef; N], limits: Limits) -> Result<(), Closed> {
        self.scheduler.push(tasks, LANE, limits.queue_timeout)
    }

    /// What a worker thread does until the queue is closed and empty.
    pub(crate) fn work(self: &Arc<Self>) {
        let index = self.next_worker.fetch_add(1, Ordering::SeqCst);
        let mut worker = Worker {
            registry: self,
            index,
            left: None,
            kept: None,
        };
        self.scheduler.work(index, &mut worker);
    }

    fn call(
        &self,
        worker: usize,
        job: &WorkItem,
        control: &Arc<Control>,
        started: Instant,
    ) -> Result<Vec<u8>, TaskError> {
        let deadline = job.limits.deadline(started);
        self.scheduler.watchdog.begin(worker, control, deadline);
        if self.run_guest(job.guest, control) {
            return match job.guest {
                Guest::Failing => Err(TaskError::new(TaskErrorKind::Failed, "failed")),
                Guest::Short | Guest::Endless | Guest::Waiting => Ok(vec![RESULT]),
            };
        }
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
    }

    /// As the sandbox and its driver run a guest. Says whether it came to its end, or was
    /// stopped.
    fn run_guest(&self, guest: Guest, control: &Control) -> bool {
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
                    // An epoch that moves right here moves for nothing: see the sandbox's
                    // `look_at_stop_request`.
                    epoch_deadline = self.epoch.load(Ordering::SeqCst) + 1;
                }
            },
            Guest::Waiting => {
                wait_for_force(control);
                false
            }
        }
    }

    /// What the watchdog's thread does. Tasks whose callbacks are to be called go to `callbacks`.
    fn keep_watchdog(&self, callbacks: &Sender<JobRef>) {
        let call_back = |task| {
            let is_sent = callbacks.send(task).is_ok();
            assert!(is_sent, "the callbacks' thread lasts longer");
        };
        self.scheduler.watchdog.run(|| self.move_epoch(), call_back);
    }

    fn move_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// As the pool's `shutdown` with `Shutdown::Terminate`, except that it waits for nobody.
    pub(crate) fn terminate(&self) {
        self.scheduler.queue.close();
        self.scheduler.terminate();
    }

    /// Runs the watchdog, the thread for callbacks, `workers` worker threads and `threads` at the
    /// same time. When the last have ended the queue is closed, then the workers end, the watchdog,
    /// and the callbacks.
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
            let watchdog = scope.spawn(move || self.keep_watchdog(&sender));
            let workers = (0..workers).map(|_| scope.spawn(|| self.work()));
            let workers = workers.collect::<Vec<_>>();
            for thread in threads.map(|thread| scope.spawn(thread)) {
                thread.join().expect("the thread does not panic");
            }
            self.scheduler.queue.close();
            for worker in workers {
                worker.join().expect("the worker does not panic");
            }
            self.scheduler.watchdog.close();
            watchdog.join().expect("the watchdog does not panic");
            callbacks.join().expect("callbacks' panics are contained");
        });
    }
}

/// As the library's worker, with modelled guests.
struct Worker<'a> {
    registry: &'a Arc<Registry>,
    index: usize,
    /// Of the call that has just ended.
    left: Option<Arc<Control>>,
    /// What ran last stays in a warm instance.
    kept: Option<Arc<Control>>,
}

impl Runner for Worker<'_> {
    fn interrupt(&self) -> Weak<dyn Interrupt> {
        let registry: Weak<Registry> = Arc::downgrade(self.registry);
        registry
    }

    fn run(
        &mut self,
        _task: &JobRef,
        call: &mut Call<WorkItem>,
        started: Instant,
        _report: &mut TaskReport,
    ) -> Result<Vec<u8>, TaskError> {
        let Registry { n_attempts, .. } = &**self.registry;
        n_attempts.fetch_add(1, Ordering::SeqCst);
        self.left = Some(Arc::clone(&call.control));
        let work = &call.payload;
        self.registry.call(self.index, work, &call.control, started)
    }

    fn ended(&mut self, _error: Option<&TaskError>, _report: &TaskReport, _is_last: bool) {}

    fn clear_away(&mut self) {
        self.kept = self.left.take();
    }
}

/// As the sandbox's driver waits for a guest that waits in the host.
pub(crate) fn wait_for_force(control: &Control) {
    block_on(std::future::poll_fn(|context| {
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
        StopReason::TimedOut => TaskErrorKind::TimedOut,
        StopReason::ShutDown => TaskErrorKind::ShutDown,
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

/// The control block of a task that nobody has to interrupt.
pub(crate) fn control_of_nobody() -> Control {
    let nobody: Weak<Registry> = Weak::new();
    Control::new(nobody, Duration::ZERO)
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
        outcome: Ok(vec![RESULT]),
        report: TaskReport::default(),
    }
}

/// A moment that is some milliseconds away.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_millis(2)
}
