//! Submitting tasks: from a task reference and arguments to a queued task.

use std::future::poll_fn;
use std::time::Duration;

use super::handle::Pool;
use crate::call::{Limits, Payload};
use crate::error::{SubmitError, SubmitErrorKind};
use crate::future::TaskFuture;
use crate::objects;
use crate::sandbox::Module;
use crate::schedule::{
    Blocking, Closed, Job, JobRef, Permit, PlaceWaiter, Registry, ReserveError, Turn, WorkItem,
    trace,
};
use crate::sync::Arc;
use crate::task::Task;
use crate::value::{Arguments, Signature};

/// For how many tasks places are taken at once where bytes are counted: a few large ones may fill
/// the queue, and the other places are given back.
const CHUNK_BY_BYTES: usize = 256;

impl Pool {
    /// Submits a task and returns its future. Blocks while the queue is full, except on the pool's
    /// own threads (in a callback), where it exceeds the queue's capacity instead.
    ///
    /// # Errors
    ///
    /// If the pool is shut down, the task belongs to another pool or has a fuel limit that the
    /// pool does not meter, or the arguments cannot be encoded or are too large. The error returns
    /// the arguments.
    pub fn submit<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        self.submit_with(task, arguments, |tenant| {
            self.registry.reserve(tenant, Blocking::Forever)
        })
    }

    /// Submits a task if the queue has room for it. Does not block.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and if the queue is full.
    pub fn try_submit<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        self.submit_with(task, arguments, |tenant| {
            self.registry.reserve(tenant, Blocking::Never)
        })
    }

    /// Submits a task; blocks for at most `timeout` while the queue is full, and not at all on the
    /// pool's own threads (in a callback).
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and if the queue is still full after `timeout`.
    pub fn submit_timeout<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
        timeout: Duration,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        let blocking = Blocking::for_at_most(timeout);
        self.submit_with(task, arguments, |tenant| {
            self.registry.reserve(tenant, blocking)
        })
    }

    /// Submits a task from async code: waits for room in the queue without blocking the thread, on
    /// any executor. Waiting callers are served in order.
    ///
    /// Nothing is submitted before the first poll, or if the future is dropped before it is ready.
    /// It resolves to the task's [`TaskFuture`], which can be awaited in turn:
    /// `pool.submit_async(&task, arguments).await?.await?`.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub async fn submit_async<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        if let Err(kind) = self.registry.limits_of(task, task.module()) {
            return Err(SubmitError::new(kind, arguments));
        }
        let reserved = self.registry.reserve_async(task.options().own_tenant());
        let reserved = reserved.await;
        self.submit_with(task, arguments, |_| reserved)
    }

    /// Submits a task for each of the arguments, and returns a future or an error for each, in
    /// order. This costs less than submitting them one by one, and a worker takes them at once, as
    /// a [chunk](crate::TaskOptions::chunk_size): for tasks that take microseconds. Blocks while
    /// the queue is full, until all are submitted.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), for each separately.
    pub fn submit_all<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: impl IntoIterator<Item = Args>,
    ) -> Vec<Result<TaskFuture<Out>, SubmitError<Args>>> {
        let arguments = arguments.into_iter().collect::<Vec<_>>();
        let submitted = self.submit_chunk(task, &arguments);
        let submitted = submitted.into_iter().zip(arguments);
        submitted
            .map(|(submitted, arguments)| {
                submitted.map_err(|kind| SubmitError::new(kind, arguments))
            })
            .collect()
    }

    /// Encodes the arguments only once there is a place, so that a full queue costs no encoding.
    fn submit_with<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
        reserve: impl FnOnce(Option<&Arc<str>>) -> Result<Permit, ReserveError>,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        let limits = self.registry.limits_of(task, task.module());
        let submitted = limits.and_then(|limits| {
            let permit = reserve(task.options().own_tenant())?;
            let queued = self
                .registry
                .queued_task(task, &arguments, limits, permit, None)?;
            let line = task.options().line();
            let chunk = [Arc::clone(&queued)];
            self.registry
                .scheduler
                .push(chunk, line, limits.queue_timeout)?;
            Ok((queued, limits.decoded()))
        });
        match submitted {
            Ok((queued, decoded)) => Ok(TaskFuture::new(queued, signature_of(task), decoded)),
            Err(kind) => Err(SubmitError::new(kind, arguments)),
        }
    }

    /// Submits several tasks together, with an error for each that is refused. Blocks as
    /// [`submit`](Self::submit) does.
    pub(crate) fn submit_chunk<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        chunk: &[Args],
    ) -> Vec<Result<TaskFuture<Out>, SubmitErrorKind>> {
        let mut submitted = Vec::with_capacity(chunk.len());
        let mut left = chunk;
        while !left.is_empty() {
            // As many as there is room for, and one at the least.
            let wanted = match self.registry.scheduler.queue.places.bytes() {
                Some(_) => left.len().min(CHUNK_BY_BYTES),
                None => left.len(),
            };
            let tenant = task.options().own_tenant();
            let permits = match self.reserve_some(tenant, wanted, Blocking::Forever) {
                Ok(permits) => permits,
                Err(no_room) => {
                    let kind = SubmitErrorKind::from(no_room);
                    submitted.extend(left.iter().map(|_| Err(kind.clone())));
                    break;
                }
            };
            let n_before = submitted.len();
            submitted.extend(self.submit_reserved(task, left, permits));
            left = &left[submitted.len() - n_before..];
        }
        submitted
    }

    /// Submits several tasks together, into places that were taken before. Gives an outcome for
    /// each of them, and one at the least: those for which there is a place, up to the one whose
    /// arguments fill the queue. The places of the others are given back.
    pub(crate) fn submit_reserved<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        chunk: &[Args],
        permits: Vec<Permit>,
    ) -> Vec<Result<TaskFuture<Out>, SubmitErrorKind>> {
        let limits = match self.registry.limits_of(task, task.module()) {
            Ok(limits) => limits,
            Err(kind) => return permits.iter().map(|_| Err(kind.clone())).collect(),
        };
        let places = &self.registry.scheduler.queue.places;
        let mut tasks = Vec::with_capacity(permits.len());
        for (arguments, permit) in chunk.iter().zip(permits) {
            // Those that came before are not in the queue yet: nothing may wait for room here.
            if !tasks.is_empty() && !places.is_below_mark() {
                break;
            }
            let queued = self
                .registry
                .queued_task(task, arguments, limits, permit, None);
            tasks.push(queued);
        }
        let good = tasks.iter().flatten().map(Arc::clone).collect::<Vec<_>>();
        let pushed = match good.is_empty() {
            true => Ok(()),
            false => {
                let line = task.options().line();
                self.registry
                    .scheduler
                    .push(good, line, limits.queue_timeout)
            }
        };
        let pushed = pushed.map_err(SubmitErrorKind::from);
        let submitted = tasks.into_iter().map(|queued| {
            pushed.clone()?;
            queued.map(|queued| TaskFuture::new(queued, signature_of(task), limits.decoded()))
        });
        submitted.collect()
    }

    /// Reserves one place, for which it blocks as `blocking` allows, and up to `wanted` if there
    /// is room for more.
    pub(crate) fn reserve_some(
        &self,
        tenant: Option<&Arc<str>>,
        wanted: usize,
        blocking: Blocking,
    ) -> Result<Vec<Permit>, ReserveError> {
        let mut permits = vec![self.registry.reserve(tenant, blocking)?];
        let scheduler = &self.registry.scheduler;
        while permits.len() < wanted
            && let Ok(permit) = scheduler.reserve(tenant, Blocking::Never)
        {
            permits.push(permit);
        }
        Ok(permits)
    }
}

// What `Pool` and `Session` have in common.
impl Registry {
    /// The limits of the tasks of a reference in instances of `module`, if this pool can run them.
    pub(super) fn limits_of<Args, Out>(
        &self,
        task: &Task<Args, Out>,
        module: &Module,
    ) -> Result<Limits, SubmitErrorKind> {
        if !self.sandbox.owns(task.module()) {
            return Err(SubmitErrorKind::ForeignTask);
        }
        let limits = task.options().limits().over(&self.limits);
        let initializer = module.initializer.as_ref();
        let wants_fuel = limits.fuel.is_some()
            || initializer.is_some_and(|initializer| initializer.limits.fuel.is_some());
        if wants_fuel && self.limits.fuel.is_none() {
            return Err(SubmitErrorKind::FuelNotMetered);
        }
        Ok(limits)
    }

    /// Takes a place in the queue. Does not block on the pool's own threads.
    pub(super) fn reserve(
        &self,
        tenant: Option<&Arc<str>>,
        blocking: Blocking,
    ) -> Result<Permit, ReserveError> {
        let scheduler = &self.scheduler;
        match blocking {
            Blocking::Forever if self.is_own_thread() => Ok(scheduler.overdraw(tenant)),
            Blocking::Until(_) if self.is_own_thread() => {
                scheduler.reserve(tenant, Blocking::Never)
            }
            blocking => scheduler.reserve(tenant, blocking),
        }
    }

    /// The same for async code.
    pub(super) async fn reserve_async(
        &self,
        tenant: Option<&Arc<str>>,
    ) -> Result<Permit, ReserveError> {
        let mut waiting = PlaceWaiter::default();
        match self.reserve(tenant, Blocking::Never) {
            Err(error) if error.is_full() => {
                let scheduler = &self.scheduler;
                poll_fn(|context| scheduler.poll_reserve(tenant, &mut waiting, context.waker()))
                    .await
            }
            reserved => reserved,
        }
    }

    /// The job of a task; with a turn, that of a call of a session with this module.
    pub(super) fn queued_task<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: &Args,
        limits: Limits,
        mut permit: Permit,
        of_session: Option<(&Arc<Module>, Turn)>,
    ) -> Result<JobRef, SubmitErrorKind> {
        let (arguments, objects) = objects::collecting(|| task.encode(arguments));
        let arguments = arguments.map_err(SubmitErrorKind::BadArguments)?;
        limits
            .check_arguments(arguments.len())
            .map_err(SubmitErrorKind::BadArguments)?;
        permit.hold_bytes(arguments.len());
        let options = task.options();
        let (module, turn) = of_session.unzip();
        // A failed call has cost the session its instance: there is nothing to try it again in.
        let retry = match turn {
            Some(_) => None,
            None => options.own_retry().or(self.retry),
        };
        let job = WorkItem {
            module: Arc::clone(module.unwrap_or_else(|| task.module())),
            task: task.index(),
            arguments: Payload::new(arguments, retry.is_some()),
            objects,
            limits,
            capabilities: options.own_capabilities().cloned(),
            admission: None,
            family: None,
            wants_fresh_instance: options.wants_fresh_instance() || task.is_program(),
            retry,
            line: options.line(),
            origin: trace::Origin::here(),
            permit: Some(permit),
            turn,
        };
        let counters = Arc::clone(&self.scheduler.counters);
        Ok(Arc::new(Job::new(
            job,
            options.own_tag().cloned(),
            counters,
        )))
    }
}

/// The signature to decode the result by, if the task is an exported function.
pub(super) fn signature_of<Args, Out>(task: &Task<Args, Out>) -> Option<Arc<Signature>> {
    task.info().signature.as_ref().map(Arc::clone)
}

impl From<Closed> for SubmitErrorKind {
    fn from(_: Closed) -> Self {
        Self::ShutDown
    }
}

impl From<ReserveError> for SubmitErrorKind {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Full => Self::Full,
            ReserveError::TenantFull => Self::TenantFull,
            ReserveError::Closed => Self::ShutDown,
        }
    }
}
