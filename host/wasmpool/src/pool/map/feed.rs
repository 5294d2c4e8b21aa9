//! Submits the inputs of a map.
//!
//! Inputs are pulled as outcomes are taken, a bounded window ahead, and submitted in chunks: large
//! chunks for short tasks, where submitting and taking costs more than running, and single inputs
//! for long ones.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::{SubmitErrorKind, TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::pool::Pool;
use crate::schedule::{Blocking, Permit, ReserveError};
use crate::sync::Instant;
use crate::task::Task;
use crate::value::{Arguments, IntoArguments};

/// The least number of inputs that are submitted ahead of the outcomes that were taken: enough to
/// keep workers busy while a slow task delays the outcomes.
const MIN_WINDOW: usize = 64;

/// The window per worker, in chunks, where that is larger.
const WINDOW_PER_WORKER: usize = 4;

/// About how long a chunk runs where the map chooses its size: long compared to handing it over,
/// short for a caller.
const CHUNK_TIME: Duration = Duration::from_micros(100);

/// The largest chunk that the map chooses.
const MAX_CHUNK: usize = 64;

/// The largest chunk that the caller can choose: large enough to make the cost of handing it over
/// negligible, small enough to pull endless inputs ahead.
const MAX_FIXED_CHUNK: usize = 4096;

/// Submits the inputs of a map.
pub(super) struct Feed<'pool, Args, Out, Input> {
    pub(super) pool: &'pool Pool,
    pub(super) task: Task<Args, Out>,
    /// `None` when it has ended, or the pool accepts no more.
    input: Option<Input>,
    /// Inputs that wait for places in the queue. Inputs are pulled before places are reserved:
    /// pulling one may wait for a task of this pool, which must not find the queue full of our
    /// reservations.
    pulled: VecDeque<Args>,
    /// The panic of the inputs: passed on after all outcomes before it.
    panic: Option<Box<dyn Any + Send>>,
    chunk_size: ChunkSize,
    deadline: Option<(Instant, Duration)>,
    started: Instant,
}

/// How many inputs are submitted together.
enum ChunkSize {
    /// As many as the caller chose.
    Fixed(usize),
    /// As many as take [`CHUNK_TIME`]. Holds the mean time of a task in seconds, `None` before the
    /// first.
    ByTime(Option<f64>),
}

impl<'pool, Args, Out, Input> Feed<'pool, Args, Out, Input> {
    pub(super) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let chunk_size = match task.options().own_chunk_size() {
            Some(size) => ChunkSize::Fixed(size.get()),
            None => ChunkSize::ByTime(None),
        };
        Self {
            pool,
            task,
            input: Some(input),
            pulled: VecDeque::new(),
            panic: None,
            chunk_size,
            deadline: None,
            started: Instant::now(),
        }
    }

    /// How many inputs may be submitted ahead of the outcomes that were taken.
    pub(super) fn window(&self) -> usize {
        let per_worker = self.chunk_size.get().saturating_mul(WINDOW_PER_WORKER);
        MIN_WINDOW.max(per_worker.saturating_mul(self.pool.workers()))
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        // A deadline that overflows `Instant` never comes.
        let deadline = self.started.checked_add(timeout);
        self.deadline = deadline.map(|deadline| (deadline, timeout));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(deadline, _)| deadline)
    }

    pub(super) fn is_over(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The error message of tasks that have not ended at the deadline.
    pub(super) fn timed_out_message(&self) -> String {
        let timeout = self
            .deadline
            .map(|(_, timeout)| timeout)
            .unwrap_or_default();
        format!("cancelled: the map's timeout of {timeout:?} was over")
    }
}

impl<Args, Out, Input> Feed<'_, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    /// Submits whole chunks of inputs up to the window, of which `n_ahead` are submitted already,
    /// while the queue has places. Does not block. Returns false if the queue was full.
    pub(super) fn submit_next(
        &mut self,
        mut n_ahead: usize,
        mut take: impl FnMut(Result<TaskFuture<Out>, TaskError>),
    ) -> bool {
        while let Some(chunk_size) = self.next_chunk_size(n_ahead) {
            self.pull(chunk_size);
            if self.pulled.is_empty() {
                break;
            }
            let tenant = self.task.options().own_tenant();
            let n_pulled = self.pulled.len();
            let reserved = self.pool.reserve_some(tenant, n_pulled, Blocking::Never);
            if reserved.as_ref().is_err_and(|error| error.is_full()) && !self.is_over() {
                return false;
            }
            n_ahead += self.submit(reserved, &mut take);
        }
        true
    }

    /// Submits one input, and blocks for its place until the deadline: for when no task is under
    /// way.
    pub(super) fn submit_first(
        &mut self,
        mut take: impl FnMut(Result<TaskFuture<Out>, TaskError>),
    ) {
        self.pull(1);
        if self.pulled.is_empty() {
            return;
        }
        let blocking = self.deadline().map_or(Blocking::Forever, Blocking::Until);
        let tenant = self.task.options().own_tenant();
        let n_pulled = self.pulled.len();
        let reserved = self.pool.reserve_some(tenant, n_pulled, blocking);
        self.submit(reserved, &mut take);
    }

    /// Submits as many of the inputs that were pulled as there is room for, and there is one
    /// input at the least. If there are no places, that input gets to hear why, and it is the
    /// last. Says how many have been dealt with.
    fn submit(
        &mut self,
        reserved: Result<Vec<Permit>, ReserveError>,
        mut take: impl FnMut(Result<TaskFuture<Out>, TaskError>),
    ) -> usize {
        let reserved = if self.is_over() {
            Err(TaskError::new(
                TaskErrorKind::Cancelled,
                self.timed_out_message(),
            ))
        } else {
            reserved.map_err(|no_room| SubmitErrorKind::from(no_room).into_task_error())
        };
        let permits = match reserved {
            Ok(permits) => permits,
            Err(error) => {
                self.input = None;
                self.pulled.clear();
                take(Err(error));
                return 1;
            }
        };
        let n_permits = permits.len();
        let pulled = &*self.pulled.make_contiguous();
        // The arguments' own code runs there, and its panic is held back like the inputs'.
        let submit = || self.pool.submit_reserved(&self.task, pulled, permits);
        match catch_unwind(AssertUnwindSafe(submit)) {
            Ok(submitted) => {
                let n_submitted = submitted.len();
                self.pulled.drain(..n_submitted);
                submitted
                    .into_iter()
                    .map(|outcome| outcome.map_err(SubmitErrorKind::into_task_error))
                    .for_each(take);
                n_submitted
            }
            Err(panic) => {
                self.panic = Some(panic);
                self.input = None;
                self.pulled.clear();
                n_permits
            }
        }
    }

    /// The size of the next chunk, if there are inputs and the window has room behind `n_ahead` of
    /// them.
    fn next_chunk_size(&self, n_ahead: usize) -> Option<usize> {
        let chunk_size = self.chunk_size.get();
        let has_room = n_ahead.saturating_add(chunk_size) <= self.window();
        (self.has_inputs() && has_room).then_some(chunk_size)
    }

    /// Pulls inputs until there are `wanted`, or no more.
    fn pull(&mut self, wanted: usize) {
        while self.pulled.len() < wanted
            && let Some(input) = &mut self.input
        {
            // A panic is held back until the outcomes before it were taken.
            let next = || input.next().map(IntoArguments::into_arguments);
            match catch_unwind(AssertUnwindSafe(next)) {
                Ok(Some(arguments)) => self.pulled.push_back(arguments),
                Ok(None) => self.input = None,
                Err(panic) => {
                    self.panic = Some(panic);
                    self.input = None;
                }
            }
        }
    }
}

impl<Args, Out, Input> Feed<'_, Args, Out, Input> {
    /// Whether there may be inputs that are not submitted yet.
    pub(super) fn has_inputs(&self) -> bool {
        self.input.is_some() || !self.pulled.is_empty()
    }

    /// Ends the outcomes, with the panic of the inputs if they had one.
    pub(super) fn end<T>(&mut self) -> Option<T> {
        match self.panic.take() {
            Some(panic) => resume_unwind(panic),
            None => None,
        }
    }
}

impl<Args, Out: DeserializeOwned, Input> Feed<'_, Args, Out, Input> {
    /// The outcome of a task that has ended. Updates the mean time of a task.
    pub(super) fn outcome(&mut self, future: &TaskFuture<Out>) -> Result<Out, TaskError> {
        if let (ChunkSize::ByTime(mean), Some(report)) = (&mut self.chunk_size, future.report())
            && report.worker.is_some()
        {
            let seconds = report.ran.as_secs_f64();
            *mean = Some(mean.map_or(seconds, |mean| mean + (seconds - mean) / 8.0));
        }
        future.wait()
    }
}

impl ChunkSize {
    fn get(&self) -> usize {
        match self {
            Self::Fixed(size) => MAX_FIXED_CHUNK.min(*size),
            Self::ByTime(None) => 1,
            Self::ByTime(Some(seconds)) => {
                let fit = CHUNK_TIME.as_secs_f64() / seconds;
                // The cast saturates, so a division by zero ends up in this range too.
                (fit as usize).clamp(1, MAX_CHUNK)
            }
        }
    }
}
