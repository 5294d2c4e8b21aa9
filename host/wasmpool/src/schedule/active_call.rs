//! A call that has begun and not ended: what a worker polls, and how it goes on after it has
//! waited.
//!
//! Most calls never wait: one worker polls them once, and they have ended. A call that waits gets a
//! [`CallCell`], which stores the call while it is suspended and is also its waker. Whoever wakes
//! the call puts the cell into the queue; a worker then takes the call out of the cell.

use std::task::{Wake, Waker};
use std::time::Duration;

// A `Waker` is made of the standard library's `Arc`.
use std::sync::Arc as StdArc;

use tokio_util::sync::ReusableBoxFuture;

use super::job::{Call, Settled};
use super::queue::{Leave, Line, Queue};
use super::session::{Turn, TurnId};
use super::work_item::{CallSpan, JobRef, Left, WorkItem};
use crate::call::{Control, TaskReport, TaskResult};
use crate::error::{TaskError, TaskErrorKind};
use crate::sync::{Arc, Condvar, Instant, Mutex, Weak, lock, wait};

/// The future of a call in the sandbox. It takes some kilobytes, which the worker reuses for its
/// next call.
pub(crate) type CallFuture = ReusableBoxFuture<'static, CallEnd>;

/// How a call has ended.
pub(crate) struct CallEnd {
    pub(crate) outcome: Result<TaskResult, TaskError>,
    /// The part of the report that the sandbox fills in.
    pub(crate) report: TaskReport,
    /// What the worker has to clear away afterwards.
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
    pub(crate) task: Unsettled,
    pub(crate) call: Call<WorkItem>,
    pub(crate) future: CallFuture,
    pub(crate) span: CallSpan,
    pub(crate) started: Instant,
    /// How long the call has computed.
    pub(crate) computed: Duration,
    /// Stores the call while it is suspended. Made when the call first waits.
    pub(crate) cell: Option<StdArc<CallCell>>,
    /// The number that the watchdog gave the call when it was last suspended.
    pub(crate) number: u64,
}

/// A task that was started, and not yet settled or put back. If this is dropped, by a panic in the
/// pool or in the embedder's code, the task settles all the same.
pub(crate) struct Unsettled(Option<JobRef>);

/// Stores a call while it is suspended.
pub(crate) struct CallCell {
    state: Mutex<CellState>,
    /// Signalled when the call is woken while its worker waits for that.
    woken: Condvar,
    queue: Weak<Queue<Ready>>,
    line: Line,
}

struct CellState {
    phase: Phase,
    /// `Some` while the call waits or is ready.
    call: Option<ActiveCall>,
    /// How the call has left its worker.
    left: Leave,
    /// Whether a worker waits for the wake-up.
    is_awaited: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A worker polls the call.
    Polled,
    /// A worker has the call, which was woken since the last poll began.
    Woken,
    /// The call lies here until it is woken.
    Waiting,
    /// The call lies here, and the queue has the cell.
    Ready,
}

impl ActiveCall {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.call.control
    }

    /// Its turn, if it is a call of a session.
    pub(crate) fn turn(&self) -> Option<TurnId> {
        self.call.payload.turn.as_ref().map(Turn::id)
    }

    /// The cell of the call, which is made at the first use.
    pub(crate) fn cell(&mut self, queue: &Arc<Queue<Ready>>) -> StdArc<CallCell> {
        let line = &self.call.payload.line;
        let make = || CallCell::new(queue, line.clone());
        let cell = self.cell.get_or_insert_with(make);
        StdArc::clone(cell)
    }

    /// When the compute timeout is over if the call computes from `now` on.
    pub(crate) fn compute_deadline(&self, now: Instant) -> Option<Instant> {
        let timeout = self.call.payload.limits.compute_timeout?;
        now.checked_add(timeout.saturating_sub(self.computed))
    }
}

impl Unsettled {
    pub(crate) fn new(job: JobRef) -> Self {
        Self(Some(job))
    }

    pub(crate) fn job(&self) -> &JobRef {
        self.0.as_ref().expect("it is not taken out yet")
    }

    /// The task, which the caller settles or puts back.
    pub(crate) fn into_job(mut self) -> JobRef {
        self.0.take().expect("it is not taken out yet")
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        let Some(job) = self.0.take() else {
            return;
        };
        let error = TaskError::new(
            TaskErrorKind::Internal,
            "the task is lost: its worker panicked",
        );
        let settled = Settled {
            outcome: Err(error),
            report: TaskReport::default(),
        };
        if job.settle(settled) {
            job.call_back();
        }
    }
}

impl CallCell {
    fn new(queue: &Arc<Queue<Ready>>, line: Line) -> StdArc<Self> {
        StdArc::new(Self {
            state: Mutex::new(CellState {
                phase: Phase::Polled,
                call: None,
                left: Leave::Stays,
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

    /// Blocks until the call is woken. Returns at once if it was woken since the last poll began.
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

    /// Leaves the call here until it is woken. From now on any worker may have it. A call that was
    /// woken since the last poll began goes into the queue at once.
    pub(crate) fn leave(self: &StdArc<Self>, call: ActiveCall, how: Leave) {
        let mut state = lock(&self.state);
        state.call = Some(call);
        state.left = how;
        let was_woken = state.phase == Phase::Woken;
        state.phase = if was_woken {
            Phase::Ready
        } else {
            Phase::Waiting
        };
        drop(state);
        if was_woken {
            self.queue(how);
        }
    }

    /// Takes the call out, for the worker that got the cell from the queue.
    pub(crate) fn take(&self) -> ActiveCall {
        let mut state = lock(&self.state);
        state.phase = Phase::Polled;
        state.call.take().expect("the queue has it once")
    }

    fn queue(self: &StdArc<Self>, left: Leave) {
        // Without a queue there is no pool, and no worker to go on with the call.
        if let Some(queue) = self.queue.upgrade() {
            queue.resume(Ready::Call(StdArc::clone(self)), self.line.clone(), left);
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
                let left = state.left;
                drop(state);
                self.queue(left);
            }
            Phase::Woken | Phase::Ready => {}
        }
    }
}
