//! A call that has begun and not ended: what a worker polls, and how it goes on after it has
//! waited.
//!
//! Most calls never wait: they belong to one worker, are polled once and have ended. One that
//! waits gets a [`CallCell`], in which it lies while it is suspended, and which is also its waker.
//! Whoever wakes it puts the cell into the queue, and a worker takes the call out again.

use std::task::{Wake, Waker};
use std::time::Duration;

// Wakers are made of it.
use std::sync::Arc as StdArc;

use tokio_util::sync::ReusableBoxFuture;

use super::job::Call;
use super::queue::{Line, Queue};
use super::watchdog::Watched;
use super::work_item::{CallSpan, JobRef, Left, WorkItem};
use crate::call::{Control, TaskReport};
use crate::error::TaskError;
use crate::sync::{Arc, Condvar, Instant, Mutex, Weak, lock, wait};

/// A call in the sandbox, which comes to its end when it has been polled often enough. It takes some
/// kilobytes, whose memory the worker's next call uses again.
pub(crate) type CallFuture = ReusableBoxFuture<'static, CallEnd>;

/// What comes of a call.
pub(crate) struct CallEnd {
    pub(crate) outcome: Result<Vec<u8>, TaskError>,
    /// What the sandbox knows of its cost.
    pub(crate) report: TaskReport,
    /// What is left of it for the worker to clear away.
    pub(crate) left: Left,
}

/// What waits in the queue for a worker.
pub(crate) enum Ready {
    /// A task that has not started.
    Task(JobRef),
    /// A call that was suspended and can go on.
    Call(StdArc<CallCell>),
}

pub(crate) struct ActiveCall {
    pub(crate) job: JobRef,
    pub(crate) call: Call<WorkItem>,
    pub(crate) future: CallFuture,
    pub(crate) span: CallSpan,
    pub(crate) started: Instant,
    /// How long it has held workers.
    pub(crate) computed: Duration,
    /// Where it lies while it is suspended. Made when it waits for the first time.
    pub(crate) cell: Option<StdArc<CallCell>>,
    /// Its number while it is suspended.
    pub(crate) number: u64,
}

/// Where a call lies while it is suspended.
pub(crate) struct CallCell {
    state: Mutex<CellState>,
    /// Signalled when it is woken and its worker waits for that.
    woken: Condvar,
    queue: Weak<Queue<Ready>>,
    line: Line,
}

struct CellState {
    phase: Phase,
    /// There while it waits or is ready.
    call: Option<ActiveCall>,
    /// Whether a worker waits for the wake-up.
    is_awaited: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A worker polls it.
    Polled,
    /// A worker has it, and it was woken since the last poll began.
    Woken,
    /// It lies here until it is woken.
    Waiting,
    /// It lies here, and the queue has the cell.
    Ready,
}

impl ActiveCall {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.call.control
    }

    /// What the watchdog has to know of it.
    pub(crate) fn watched(&self) -> Watched {
        Watched {
            job: Arc::clone(&self.job),
            control: Arc::clone(&self.call.control),
            limits: self.call.payload.limits,
        }
    }

    /// Where it lies while it is suspended: made when it is needed for the first time.
    pub(crate) fn cell(&mut self, queue: &Arc<Queue<Ready>>) -> StdArc<CallCell> {
        let line = &self.call.payload.line;
        let make = || CallCell::new(queue, line.clone());
        let cell = self.cell.get_or_insert_with(make);
        StdArc::clone(cell)
    }

    /// When it has computed for too long, if it goes on now.
    pub(crate) fn compute_deadline(&self, now: Instant) -> Option<Instant> {
        let timeout = self.call.payload.limits.compute_timeout?;
        now.checked_add(timeout.saturating_sub(self.computed))
    }
}

impl CallCell {
    fn new(queue: &Arc<Queue<Ready>>, line: Line) -> StdArc<Self> {
        StdArc::new(Self {
            state: Mutex::new(CellState {
                phase: Phase::Polled,
                call: None,
                is_awaited: false,
            }),
            woken: Condvar::new(),
            queue: Arc::downgrade(queue),
            line,
        })
    }

    pub(crate) fn waker(self: &StdArc<Self>) -> Waker {
        Waker::from(StdArc::clone(self))
    }

    /// The call is about to be polled: wake-ups from now on count.
    pub(crate) fn poll_begins(&self) {
        lock(&self.state).phase = Phase::Polled;
    }

    /// Whether the call was woken since the last poll began.
    pub(crate) fn is_woken(&self) -> bool {
        lock(&self.state).phase == Phase::Woken
    }

    /// Blocks until the call is woken, or was since the last poll began.
    pub(crate) fn wait_until_woken(&self) {
        let mut state = lock(&self.state);
        state.is_awaited = true;
        while state.phase != Phase::Woken {
            state = match wait(&self.woken, state, None) {
                Ok(state) | Err(state) => state,
            };
        }
        state.is_awaited = false;
    }

    /// Leaves the call here until it is woken. From then on it is another worker's. One that was
    /// woken already goes into the queue at once.
    pub(crate) fn leave(self: &StdArc<Self>, call: ActiveCall) {
        let mut state = lock(&self.state);
        state.call = Some(call);
        let was_woken = state.phase == Phase::Woken;
        state.phase = if was_woken {
            Phase::Ready
        } else {
            Phase::Waiting
        };
        drop(state);
        if was_woken {
            self.queue();
        }
    }

    /// Takes the call out, which the queue has given to a worker.
    pub(crate) fn take(&self) -> ActiveCall {
        let mut state = lock(&self.state);
        state.phase = Phase::Polled;
        state.call.take().expect("the queue has it once")
    }

    fn queue(self: &StdArc<Self>) {
        // Without a queue there is no pool, and nobody to go on with it.
        if let Some(queue) = self.queue.upgrade() {
            queue.resume(Ready::Call(StdArc::clone(self)), self.line.clone());
        }
    }
}

impl Wake for CallCell {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        let mut state = lock(&self.state);
        match state.phase {
            Phase::Polled => {
                state.phase = Phase::Woken;
                if state.is_awaited {
                    self.woken.notify_one();
                }
            }
            Phase::Waiting => {
                state.phase = Phase::Ready;
                drop(state);
                self.queue();
            }
            Phase::Woken | Phase::Ready => {}
        }
    }
}
