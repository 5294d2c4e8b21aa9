//! The inputs of a map, on their way into the pool.
//!
//! Inputs are pulled only as outcomes are taken, a bounded window ahead, and submitted in chunks:
//! large ones for tasks that take next to no time, where submitting and taking costs more than
//! running, and single ones for tasks that take long.

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

/// Inputs that are submitted ahead of the outcomes that were taken, at the least: enough to
/// keep workers busy while a slow one holds up the order.
const MIN_WINDOW: usize = 64;

/// The same for each worker, where there are many: tasks, and chunks.
const WINDOW_PER_WORKER: usize = 4;

/// What a chunk takes, about, where the map chooses its size: enough that handing it over
/// weighs little, and short enough that nobody sees it.
const CHUNK_TIME: Duration = Duration::from_micros(100);

/// The largest chunk that the map chooses.
const MAX_CHUNK: usize = 64;

/// The largest chunk that the caller can choose: so much that handing it over weighs nothing,
/// and so little that endless inputs can be pulled ahead.
const MAX_FIXED_CHUNK: usize = 4096;

/// The inputs of a map, on their way into the pool.
pub(super) struct Feed<'pool, Args, Out, Input> {
    pub(super) pool: &'pool Pool,
    task: Task<Args, Out>,
    /// None when it has ended, or the pool takes no more.
    input: Option<Input>,
    /// Inputs that wait for places in the queue. They are pulled first: an input may itself be
    /// an outcome of this pool, which must not find the queue full of places held for it.
    pulled: VecDeque<Args>,
    /// What the inputs panicked with: it is passed on when all that came before is given out.
    panic: Option<Box<dyn Any + Send>>,
    chunk_size: ChunkSize,
    deadline: Option<(Instant, Duration)>,
    started: Instant,
}

/// How many inputs are submitted together.
enum ChunkSize {
    /// As many as the caller said.
    Fixed(usize),
    /// As many as take [`CHUNK_TIME`]. The mean time of a task in seconds, none before the
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

    /// How many inputs may be ahead of the outcomes that were taken.
    pub(super) fn window(&self) -> usize {
        let per_worker = self.chunk_size.get().saturating_mul(WINDOW_PER_WORKER);
        MIN_WINDOW.max(per_worker.saturating_mul(self.pool.workers()))
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        // A moment too far away to be expressed never comes.
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

    /// What becomes of tasks that have not ended at the deadline.
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
    /// Submits the inputs that may follow when there are `n_ahead` already, whole chunks, for
    /// as long as the queue has places. Does not block. Says whether it had room for them all,
    /// or takes none any more.
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
            let reserved = self.pool.reserve_some(self.pulled.len(), Blocking::Never);
            if matches!(reserved, Err(ReserveError::Full)) && !self.is_over() {
                return false;
            }
            n_ahead += self.submit(reserved, &mut take);
        }
        true
    }

    /// The same, and blocks for room for the first of them, up to the deadline: for when
    /// nothing is under way.
    pub(super) fn submit_first(
        &mut self,
        mut take: impl FnMut(Result<TaskFuture<Out>, TaskError>),
    ) {
        self.pull(1);
        if self.pulled.is_empty() {
            return;
        }
        let blocking = self.deadline().map_or(Blocking::Forever, Blocking::Until);
        let reserved = self.pool.reserve_some(self.pulled.len(), blocking);
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

    /// The size of the next chunk, if there may be one when there are `n_ahead` inputs.
    fn next_chunk_size(&self, n_ahead: usize) -> Option<usize> {
        let chunk_size = self.chunk_size.get();
        let has_room = n_ahead.saturating_add(chunk_size) <= self.window();
        (self.has_inputs() && has_room).then_some(chunk_size)
    }

    /// Takes inputs until there are `wanted`, or no more.
    fn pull(&mut self, wanted: usize) {
        while self.pulled.len() < wanted
            && let Some(input) = &mut self.input
        {
            // A panic is held back: it must not cost what came before.
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
    /// Whether there may be inputs that were not submitted.
    pub(super) fn has_inputs(&self) -> bool {
        self.input.is_some() || !self.pulled.is_empty()
    }

    /// The end of the outcomes: that of the inputs, or their panic.
    pub(super) fn end<T>(&mut self) -> Option<T> {
        match self.panic.take() {
            Some(panic) => resume_unwind(panic),
            None => None,
        }
    }
}

impl<Args, Out: DeserializeOwned, Input> Feed<'_, Args, Out, Input> {
    /// The outcome of a task that has ended; learns from it what tasks take.
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
                // Whatever the quotient is, also of a zero, it ends up in this range.
                (fit as usize).clamp(1, MAX_CHUNK)
            }
        }
    }
}
