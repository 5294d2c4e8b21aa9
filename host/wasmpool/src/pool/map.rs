//! A task over many inputs: outcomes in the order of the inputs, or as they come.
//!
//! Both pull inputs only as outcomes are taken, a bounded window ahead, and submit them in
//! chunks: large ones for tasks that take next to no time, where submitting and taking costs
//! more than running, and single ones for tasks that take long.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::handle::Pool;
use crate::error::{SubmitErrorKind, TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::schedule::{Blocking, Permit, PermitWaiter, ReserveError};
use crate::sync::Instant;
use crate::sync::channel::{self, Receiver, Sender};
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
struct Feed<'pool, Args, Out, Input> {
    pool: &'pool Pool,
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
    fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
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
    fn window(&self) -> usize {
        let per_worker = self.chunk_size.get().saturating_mul(WINDOW_PER_WORKER);
        MIN_WINDOW.max(per_worker.saturating_mul(self.pool.workers()))
    }

    fn set_timeout(&mut self, timeout: Duration) {
        // A moment too far away to be expressed never comes.
        let deadline = self.started.checked_add(timeout);
        self.deadline = deadline.map(|deadline| (deadline, timeout));
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(deadline, _)| deadline)
    }

    fn is_over(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// What becomes of tasks that have not ended at the deadline.
    fn timed_out_message(&self) -> String {
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
    fn submit_next(
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
    fn submit_first(&mut self, mut take: impl FnMut(Result<TaskFuture<Out>, TaskError>)) {
        self.pull(1);
        if self.pulled.is_empty() {
            return;
        }
        let blocking = self.deadline().map_or(Blocking::Forever, Blocking::Until);
        let reserved = self.pool.reserve_some(self.pulled.len(), blocking);
        self.submit(reserved, &mut take);
    }

    /// Submits as many of the inputs that were pulled as there are places for, and there is one
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
        let chunk = self.pulled.drain(..permits.len()).collect::<Vec<_>>();
        // The arguments' own code runs there, and its panic is held back like the inputs'.
        let submit = || self.pool.submit_reserved(&self.task, &chunk, permits);
        match catch_unwind(AssertUnwindSafe(submit)) {
            Ok(submitted) => submitted
                .into_iter()
                .map(|outcome| outcome.map_err(SubmitErrorKind::into_task_error))
                .for_each(take),
            Err(panic) => {
                self.panic = Some(panic);
                self.input = None;
                self.pulled.clear();
            }
        }
        chunk.len()
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
    fn has_inputs(&self) -> bool {
        self.input.is_some() || !self.pulled.is_empty()
    }

    /// The end of the outcomes: that of the inputs, or their panic.
    fn end<T>(&mut self) -> Option<T> {
        match self.panic.take() {
            Some(panic) => resume_unwind(panic),
            None => None,
        }
    }
}

impl<Args, Out: DeserializeOwned, Input> Feed<'_, Args, Out, Input> {
    /// The outcome of a task that has ended; learns from it what tasks take.
    fn outcome(&mut self, future: &TaskFuture<Out>) -> Result<Out, TaskError> {
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

/// The outcomes of a [`Pool::map`], in the order of the inputs.
///
/// [`next`](Iterator::next) blocks until the next outcome is there. Dropping the iterator
/// cancels the tasks whose outcomes it has not given out.
#[must_use = "dropping the iterator cancels its tasks"]
pub struct Map<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    ahead: VecDeque<Result<TaskFuture<Out>, TaskError>>,
}

impl<'pool, Args, Out, Input> Map<'pool, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let mut map = Self {
            feed: Feed::new(pool, task, input),
            ahead: VecDeque::new(),
        };
        map.fill(0);
        map
    }

    /// Submits the inputs that may follow when there are `n_ahead` already.
    fn fill(&mut self, n_ahead: usize) {
        let ahead = &mut self.ahead;
        self.feed
            .submit_next(n_ahead, |outcome| ahead.push_back(outcome));
    }
}

impl<Args, Out, Input> Map<'_, Args, Out, Input> {
    /// The same with a time limit for the whole, which counts from the call of
    /// [`Pool::map`]. When it is up, the tasks that have not ended are cancelled, and their
    /// outcomes say so; no more inputs follow but one, in whose place an error says the
    /// same. Outcomes that are there by then are given out all the same.
    ///
    /// It is looked at when an outcome is asked for, and while that is waited for.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.feed.set_timeout(timeout);
        self
    }

    fn cancel_all(&self, message: &str) {
        for future in self.ahead.iter().flatten() {
            future.task().cancel(message);
        }
    }
}

impl<Args, Out, Input> Iterator for Map<'_, Args, Out, Input>
where
    Args: Arguments,
    Out: DeserializeOwned,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    type Item = Result<Out, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The place of the one that will be taken goes to the next inputs before the wait, so
        // that the workers do not run dry during it.
        self.fill(self.ahead.len().saturating_sub(1));
        if self.ahead.is_empty() && self.feed.has_inputs() {
            let ahead = &mut self.ahead;
            self.feed.submit_first(|outcome| ahead.push_back(outcome));
        }
        if let Some(Ok(first)) = self.ahead.front()
            && first.task().wait(self.feed.deadline()).is_none()
        {
            self.cancel_all(&self.feed.timed_out_message());
        }
        let Some(first) = self.ahead.pop_front() else {
            return self.feed.end();
        };
        Some(first.and_then(|future| self.feed.outcome(&future)))
    }
}

impl<Args, Out, Input> Drop for Map<'_, Args, Out, Input> {
    fn drop(&mut self) {
        self.cancel_all("cancelled: the map's iterator was dropped");
    }
}

/// The outcomes of a [`Pool::map_unordered`], in the order in which the tasks end, each with
/// the place of its input, counted from 0.
///
/// [`next`](Iterator::next) blocks until another outcome is there. Dropping the iterator
/// cancels the tasks whose outcomes it has not given out.
#[must_use = "dropping the iterator cancels its tasks"]
pub struct MapUnordered<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    under_way: UnderWay<Out>,
    /// The places of those that have ended.
    ended: Receiver<usize>,
}

/// Tasks by the places of their inputs.
struct UnderWay<Out> {
    tasks: HashMap<usize, Result<TaskFuture<Out>, TaskError>>,
    n_inputs: usize,
    /// Where each tells its place when it has ended.
    ended: Sender<usize>,
}

impl<'pool, Args, Out, Input> MapUnordered<'pool, Args, Out, Input>
where
    Args: Arguments,
    Out: 'static,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let (sender, ended) = channel::unbounded();
        let mut map = Self {
            feed: Feed::new(pool, task, input),
            under_way: UnderWay {
                tasks: HashMap::new(),
                n_inputs: 0,
                ended: sender,
            },
            ended,
        };
        map.fill(0);
        map
    }

    /// Submits the inputs that may follow when there are `n_ahead` already.
    fn fill(&mut self, n_ahead: usize) {
        let under_way = &mut self.under_way;
        self.feed
            .submit_next(n_ahead, |outcome| under_way.add(outcome));
    }
}

impl<Out: 'static> UnderWay<Out> {
    fn add(&mut self, submitted: Result<TaskFuture<Out>, TaskError>) {
        let place = self.n_inputs;
        self.n_inputs += 1;
        let ended = self.ended.clone();
        let tell = move || {
            // Nobody listens any more when the iterator is gone.
            let _ = ended.send(place);
        };
        match &submitted {
            Ok(future) => {
                future.task().observe(Box::new(tell));
            }
            Err(_) => tell(),
        }
        self.tasks.insert(place, submitted);
    }
}

impl<Args, Out, Input> MapUnordered<'_, Args, Out, Input> {
    /// The same with a time limit for the whole, as [`Map::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.feed.set_timeout(timeout);
        self
    }

    fn cancel_all(&self, message: &str) {
        for future in self.under_way.tasks.values().flatten() {
            future.task().cancel(message);
        }
    }

    /// The place of the next one that ends.
    fn next_ended(&self) -> usize {
        if let Some(deadline) = self.feed.deadline() {
            if let Ok(place) = self.ended.recv_deadline(deadline) {
                return place;
            }
            self.cancel_all(&self.feed.timed_out_message());
        }
        self.ended.recv().expect("this side has a sender too")
    }
}

impl<Args, Out, Input> Iterator for MapUnordered<'_, Args, Out, Input>
where
    Args: Arguments,
    Out: DeserializeOwned + 'static,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    type Item = (usize, Result<Out, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        // As in `Map::next`.
        self.fill(self.under_way.tasks.len().saturating_sub(1));
        if self.under_way.tasks.is_empty() && self.feed.has_inputs() {
            let under_way = &mut self.under_way;
            self.feed.submit_first(|outcome| under_way.add(outcome));
        }
        if self.under_way.tasks.is_empty() {
            return self.feed.end();
        }
        let place = self.next_ended();
        let submitted = self
            .under_way
            .tasks
            .remove(&place)
            .expect("each is told once");
        let outcome = submitted.and_then(|future| self.feed.outcome(&future));
        Some((place, outcome))
    }
}

impl<Args, Out, Input> Drop for MapUnordered<'_, Args, Out, Input> {
    fn drop(&mut self) {
        self.cancel_all("cancelled: the map's iterator was dropped");
    }
}

/// The outcomes of a [`Pool::map_async`], in the order of the inputs: a stream.
///
/// It does nothing while nobody polls it, but what was submitted runs. Dropping it cancels
/// the tasks whose outcomes it has not given out.
#[must_use = "dropping the stream cancels its tasks"]
pub struct MapStream<'pool, Args, Out, Input> {
    feed: Feed<'pool, Args, Out, Input>,
    ahead: VecDeque<Result<TaskFuture<Out>, TaskError>>,
    waiting: Option<PermitWaiter>,
}

impl<'pool, Args, Out, Input> MapStream<'pool, Args, Out, Input>
where
    Args: Arguments,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let mut stream = Self {
            feed: Feed::new(pool, task, input),
            ahead: VecDeque::new(),
            waiting: None,
        };
        stream.fill();
        stream
    }

    /// Submits the inputs that may follow, as far as the queue has room for them. Says
    /// whether it had.
    fn fill(&mut self) -> bool {
        let ahead = &mut self.ahead;
        let n_ahead = ahead.len().saturating_sub(1);
        self.feed
            .submit_next(n_ahead, |outcome| ahead.push_back(outcome))
    }
}

// Inputs that were pulled are moved about, and never pinned.
impl<Args, Out, Input: Unpin> Unpin for MapStream<'_, Args, Out, Input> {}

impl<Args, Out, Input> Stream for MapStream<'_, Args, Out, Input>
where
    Args: Arguments,
    Out: DeserializeOwned,
    Input: Iterator<Item: IntoArguments<Args>> + Unpin,
{
    type Item = Result<Out, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.fill() && this.ahead.is_empty() {
            // Nothing is under way that would wake the caller when it ends: room must.
            let queue = &this.feed.pool.registry.scheduler.queue;
            match queue
                .places
                .poll_reserve(&mut this.waiting, context.waker())
            {
                Poll::Pending => return Poll::Pending,
                // Given back, and taken again: somebody else may get it, and the wait goes on.
                Poll::Ready(place) => drop(place),
            }
        }
        // It stands in line only while it has nothing to do but wait.
        this.waiting = None;
        let Some(first) = this.ahead.front_mut() else {
            return Poll::Ready(this.feed.end());
        };
        if let Ok(future) = first
            && future.task().poll(context.waker()).is_none()
        {
            return Poll::Pending;
        }
        let first = this.ahead.pop_front();
        Poll::Ready(first.map(|first| first.and_then(|future| this.feed.outcome(&future))))
    }
}

impl<Args, Out, Input> Drop for MapStream<'_, Args, Out, Input> {
    fn drop(&mut self) {
        for future in self.ahead.iter().flatten() {
            future
                .task()
                .cancel("cancelled: the map's stream was dropped");
        }
    }
}
