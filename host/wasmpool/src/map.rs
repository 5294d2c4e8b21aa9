//! A task over many inputs: outcomes in the order of the inputs, or as they come.
//!
//! Both pull inputs only as outcomes are taken, a bounded window ahead, and submit them in
//! chunks: large ones for tasks that take next to no time, where submitting and taking costs
//! more than running, and single ones for tasks that take long.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use serde::de::DeserializeOwned;

use crate::error::{SubmitErrorKind, TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::pool::Pool;
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

/// The inputs of a map, on their way into the pool.
struct Feed<'pool, Args, Out, Input> {
    pool: &'pool Pool,
    task: Task<Args, Out>,
    /// None when it has ended, or the pool takes no more.
    input: Option<Input>,
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
            chunk_size,
            deadline: None,
            started: Instant::now(),
        }
    }

    /// How many inputs may be ahead of the outcomes that were taken.
    fn window(&self) -> usize {
        let per_worker = WINDOW_PER_WORKER * self.chunk_size.get();
        MIN_WINDOW.max(per_worker * self.pool.workers())
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
    /// Submits the inputs that may follow when there are `n_ahead` already: whole chunks, as
    /// long as there are inputs.
    fn submit_next(&mut self, n_ahead: usize) -> Vec<Result<TaskFuture<Out>, TaskError>> {
        let mut submitted = Vec::new();
        let chunk_size = self.chunk_size.get();
        while n_ahead + submitted.len() + chunk_size <= self.window() && self.input.is_some() {
            let is_over = self.is_over();
            let chunk = self.pull(if is_over { 1 } else { chunk_size });
            if is_over {
                // The end of it, said where the next outcome would have been.
                self.input = None;
                let error = TaskError::new(TaskErrorKind::Cancelled, self.timed_out_message());
                submitted.extend(chunk.iter().map(|_| Err(error.clone())));
                break;
            }
            for outcome in self.pool.submit_chunk(&self.task, &chunk) {
                if outcome
                    .as_ref()
                    .is_err_and(|kind| *kind == SubmitErrorKind::ShutDown)
                {
                    // What was pulled gets its error; what is behind it is not touched.
                    self.input = None;
                }
                submitted.push(outcome.map_err(SubmitErrorKind::into_task_error));
            }
        }
        submitted
    }

    /// Takes up to `wanted` inputs.
    fn pull(&mut self, wanted: usize) -> Vec<Args> {
        // An iterator that panics is not asked again: until it returns it is not there.
        let Some(mut input) = self.input.take() else {
            return Vec::new();
        };
        let pulled = input.by_ref().take(wanted);
        let pulled = pulled
            .map(IntoArguments::into_arguments)
            .collect::<Vec<_>>();
        if pulled.len() == wanted {
            self.input = Some(input);
        }
        pulled
    }
}

impl<Args, Out: DeserializeOwned, Input> Feed<'_, Args, Out, Input> {
    /// The outcome of a task that has ended; learns from it what tasks take.
    fn outcome(&mut self, future: &TaskFuture<Out>) -> Result<Out, TaskError> {
        if let (ChunkSize::ByTime(mean), Some(report)) = (&mut self.chunk_size, future.report()) {
            let seconds = report.ran.as_secs_f64();
            *mean = Some(mean.map_or(seconds, |mean| mean + (seconds - mean) / 8.0));
        }
        future.wait()
    }
}

impl ChunkSize {
    fn get(&self) -> usize {
        match self {
            Self::Fixed(size) => *size,
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
        map.ahead.extend(map.feed.submit_next(0));
        map
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
        // that the workers do not run dry during it; and before it is taken out, so that it
        // is not lost if the inputs panic.
        let submitted = self.feed.submit_next(self.ahead.len().saturating_sub(1));
        self.ahead.extend(submitted);
        if let Some(Ok(first)) = self.ahead.front()
            && first.task().wait(self.feed.deadline()).is_none()
        {
            self.cancel_all(&self.feed.timed_out_message());
        }
        let first = self.ahead.pop_front()?;
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
    n_inputs: usize,
    /// By the places of their inputs.
    under_way: HashMap<usize, Result<TaskFuture<Out>, TaskError>>,
    /// The places of those that have ended.
    sender: Sender<usize>,
    ended: Receiver<usize>,
}

impl<'pool, Args, Out, Input> MapUnordered<'pool, Args, Out, Input>
where
    Args: Arguments,
    Out: 'static,
    Input: Iterator<Item: IntoArguments<Args>>,
{
    pub(crate) fn new(pool: &'pool Pool, task: Task<Args, Out>, input: Input) -> Self {
        let (sender, ended) = crossbeam_channel::unbounded();
        let mut map = Self {
            feed: Feed::new(pool, task, input),
            n_inputs: 0,
            under_way: HashMap::new(),
            sender,
            ended,
        };
        map.fill(0);
        map
    }

    /// Submits the inputs that may follow when there are `n_ahead` already.
    fn fill(&mut self, n_ahead: usize) {
        for submitted in self.feed.submit_next(n_ahead) {
            let place = self.n_inputs;
            self.n_inputs += 1;
            let sender = self.sender.clone();
            let tell = move || {
                // Nobody listens any more when the iterator is gone.
                let _ = sender.send(place);
            };
            match &submitted {
                Ok(future) => future.on_done(move |_| tell()),
                Err(_) => tell(),
            }
            self.under_way.insert(place, submitted);
        }
    }
}

impl<Args, Out, Input> MapUnordered<'_, Args, Out, Input> {
    /// The same with a time limit for the whole, as [`Map::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.feed.set_timeout(timeout);
        self
    }

    fn cancel_all(&self, message: &str) {
        for future in self.under_way.values().flatten() {
            future.task().cancel(message);
        }
    }

    /// The place of the next one that ends.
    fn next_ended(&self) -> usize {
        let received = match self.feed.deadline() {
            Some(deadline) => self.ended.recv_deadline(deadline),
            None => Err(RecvTimeoutError::Timeout),
        };
        received.unwrap_or_else(|_| {
            if self.feed.deadline().is_some() {
                self.cancel_all(&self.feed.timed_out_message());
            }
            self.ended.recv().expect("this side has a sender too")
        })
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
        self.fill(self.under_way.len().saturating_sub(1));
        if self.under_way.is_empty() {
            return None;
        }
        let place = self.next_ended();
        let submitted = self.under_way.remove(&place).expect("each is told once");
        let outcome = submitted.and_then(|future| self.feed.outcome(&future));
        Some((place, outcome))
    }
}

impl<Args, Out, Input> Drop for MapUnordered<'_, Args, Out, Input> {
    fn drop(&mut self) {
        self.cancel_all("cancelled: the map's iterator was dropped");
    }
}
