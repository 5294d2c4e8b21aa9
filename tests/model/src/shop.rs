//! A pool without a sandbox: the stand-in for the library's `pool.rs` and `worker.rs`, which
//! does the steps of the protocol in their order, and for the sandbox's engine.

use std::sync::Mutex as Untracked;
use std::task::Poll;
use std::time::Duration;

use crate::cell::{Cell, Settled};
use crate::control::{Control, Interrupt, StopReason};
use crate::error::{TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::job::{Job, Queued};
use crate::limits::Limits;
use crate::queue::{NoRoom, Patience, Queue};
use crate::report::TaskReport;
use crate::stats::Counters;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Instant, Weak, thread};
use crate::watch::Watch;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// Ends by itself.
    Short,
    /// Computes until it is stopped.
    Endless,
    /// Waits in the host until it is stopped.
    Waiting,
}

/// The result of a guest that comes to its end, as MessagePack has it.
pub(crate) const RESULT: u8 = 7;

pub(crate) struct Shop {
    pub(crate) queue: Queue<Queued>,
    pub(crate) watch: Watch,
    pub(crate) counters: Arc<Counters>,
    /// The engine's: guests look at their stop request when it has moved.
    epoch: AtomicU64,
    next_worker: AtomicUsize,
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

impl Interrupt for Shop {
    fn interrupt(&self) {
        self.move_epoch();
        self.watch.see_to_stops();
    }
}

impl Shop {
    pub(crate) fn new(n_workers: usize, queue_capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::new(queue_capacity),
            watch: Watch::new(n_workers),
            counters: Arc::default(),
            epoch: AtomicU64::new(0),
            next_worker: AtomicUsize::new(0),
            halts: Untracked::default(),
        })
    }

    pub(crate) fn limits() -> Limits {
        Limits::default()
    }

    /// As the pool's `enqueue`.
    pub(crate) fn submit(
        self: &Arc<Self>,
        guest: Guest,
        limits: Limits,
        patience: Patience,
    ) -> Result<TaskFuture<u8>, NoRoom> {
        let permit = self.queue.reserve(patience)?;
        let job = Job {
            guest,
            limits,
            permit,
        };
        let interrupt: Weak<Self> = Arc::downgrade(self);
        let control = Arc::new(Control::new(interrupt, limits.stop_grace));
        let task = Arc::new(Cell::new(job, control, Arc::clone(&self.counters)));
        self.counters.accept();
        self.queue.push(Arc::clone(&task), 1).map_err(|_refused| {
            self.counters.refuse();
            NoRoom::Closed
        })?;
        let expires = limits
            .queue_timeout
            .and_then(|timeout| task.submitted().checked_add(timeout));
        if let Some(moment) = expires {
            self.watch.expire_at(moment, &task);
        }
        Ok(TaskFuture::new(task))
    }

    /// As the worker's `work`: what a worker thread does until the queue is closed and empty.
    pub(crate) fn work(&self) {
        let worker = self.next_worker.fetch_add(1, Ordering::SeqCst);
        while let Some(task) = self.queue.pop() {
            let started = Instant::now();
            if let Some(job) = task.start(worker, started) {
                self.run(worker, &task, job, started);
            }
        }
    }

    fn run(&self, worker: usize, task: &Queued, job: Job, started: Instant) {
        let Job {
            guest,
            limits,
            permit,
        } = job;
        drop(permit);
        let control = task.control();
        let deadline = limits
            .task_timeout
            .and_then(|timeout| started.checked_add(timeout));
        self.watch.begin(worker, control, deadline);
        let outcome = if self.run_guest(guest, control) {
            Ok(vec![RESULT])
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
        self.watch.end(worker);
        let report = TaskReport {
            worker: Some(worker),
            queued: started.duration_since(task.submitted()),
            ..TaskReport::default()
        };
        task.settle(Settled { outcome, report });
    }

    /// As the sandbox and its driver run a guest. Says whether it came to its end, or was
    /// stopped.
    fn run_guest(&self, guest: Guest, control: &Control) -> bool {
        let mut epoch_deadline = self.epoch.load(Ordering::SeqCst) + 1;
        if control.is_forced() {
            return false;
        }
        match guest {
            Guest::Short => true,
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

    /// What the watch's thread does.
    pub(crate) fn keep_watch(&self) {
        self.watch.run(|| self.move_epoch());
    }

    fn move_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// As the pool's `shutdown` with `Shutdown::Terminate`, except that it waits for nobody.
    pub(crate) fn terminate(&self) {
        self.queue.close();
        let queued = self.queue.drain();
        self.watch.terminate();
        for task in queued {
            task.settle_queued(TaskErrorKind::Cancelled, "shut down");
        }
    }

    /// Runs the watch, `workers` worker threads and `threads` at the same time. When those
    /// have ended the queue is closed, then the workers end, and then the watch.
    pub(crate) fn open<const N: usize>(
        self: &Arc<Self>,
        workers: usize,
        threads: [&(dyn Fn() + Sync); N],
    ) {
        thread::scope(|scope| {
            let watch = scope.spawn(|| self.keep_watch());
            let workers = (0..workers).map(|_| scope.spawn(|| self.work()));
            let workers = workers.collect::<Vec<_>>();
            for thread in threads.map(|thread| scope.spawn(thread)) {
                thread.join().expect("the thread does not panic");
            }
            self.queue.close();
            for worker in workers {
                worker.join().expect("the worker does not panic");
            }
            self.watch.close();
            watch.join().expect("the watch does not panic");
        });
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
pub(crate) fn control_of_nobody() -> Arc<Control> {
    let nobody: Weak<Shop> = Weak::new();
    Arc::new(Control::new(nobody, Duration::ZERO))
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
