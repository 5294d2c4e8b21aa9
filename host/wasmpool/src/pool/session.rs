//! Sessions: instances that keep their state, to which calls go one at a time.
//!
//! Does not know how the calls take turns: the scheduler does.

use std::fmt;
use std::time::Duration;

use super::handle::Pool;
use super::submit::signature_of;
use crate::call::Limits;
use crate::error::{SessionError, SubmitError, SubmitErrorKind, TaskError};
use crate::future::TaskFuture;
use crate::sandbox::Module;
use crate::schedule::{Blocking, Permit, Registry, ReserveError, SessionLine, SessionState};
use crate::sync::{Arc, Weak};
use crate::task::{Task, TaskModule};
use crate::value::Arguments;

/// An instance of a module that keeps its state: each call finds what the calls before have left in
/// its memory, as the methods of an object do. Made by [`TaskModule::session`].
///
/// Calls run one at a time, in the order of their submission, on any worker; each has its own
/// options, limits and future. Between two calls a session holds no worker, only memory. The
/// instance is made by the first call, which the module's
/// [initializer](TaskModule::with_initializer) precedes. No other task and no other session ever
/// uses it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = wasmpool::Pool::new()?;
/// # let module = pool.load(wasmpool_guests::MISBEHAVING.path())?;
/// use wasmpool::{SessionState, TaskErrorKind};
/// let remember = module.task::<(u64,), u64>("remember")?;
/// let recall = module.task::<(u64,), u64>("recall")?;
///
/// let session = module.session(&pool)?;
/// session.submit(&remember, (7,))?;
/// assert_eq!(session.submit(&recall, (1,))?.wait()?, 8);
///
/// // A call that does not return takes the instance with it.
/// let panic = module.task::<(&str,), ()>("panic")?;
/// session.submit(&panic, ("on purpose",))?.wait().unwrap_err();
/// assert_eq!(session.state(), SessionState::Ended);
/// let error = session.submit(&recall, (0,))?.wait().unwrap_err();
/// assert_eq!(error.kind(), TaskErrorKind::SessionEnded);
/// session.restart()?;
/// assert_eq!(session.submit(&recall, (0,))?.wait()?, 0);
/// # Ok(())
/// # }
/// ```
///
/// # How it ends
///
/// - A call that traps, meets a limit or is stopped takes the instance with it; so does one that is
///   cancelled while it runs, unless its guest returns before it is halted. An error that the guest
///   returns does not, nor does the end of a call that has not started.
/// - [`close`](Self::close), and the drop of the last handle, end it after the calls that it has
///   accepted. Neither blocks.
/// - The pool ends it when it is idle for longer than its
///   [`session_idle_timeout`](crate::PoolBuilder::session_idle_timeout), and when the pool is closed
///   or shut down, after the calls that the shutdown leaves.
///
/// The calls that waited then, and later ones, fail as
/// [`SessionEnded`](crate::TaskErrorKind::SessionEnded), with the failure as their
/// [cause](TaskError::cause), until [`restart`](Self::restart).
///
/// # How calls are queued
///
/// One call of a session at a time is in the pool's queue, with the priority and the tenant of its
/// options; the others wait in the session's own line. All of them count for the
/// [`queue_capacity`](crate::PoolBuilder::queue_capacity), can be cancelled, and have their
/// `queue_timeout`, which counts from the submission. Calls are not
/// [tried again](crate::TaskOptions::retry). A call starts when the one before has ended, and may
/// run at the same time as the [callbacks](TaskFuture::on_done) of that one.
///
/// A handle that is cheap to clone: all clones are the same session. It does not keep the pool alive.
#[derive(Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

/// Ends the session when it is dropped.
struct Handle {
    line: Arc<SessionLine>,
    module: Arc<Module>,
    registry: Weak<Registry>,
}

impl TaskModule {
    /// Begins a session in `pool`: an instance of its own, with the initializer and the rights of
    /// this module. Does not block; the first call makes the instance.
    ///
    /// # Errors
    ///
    /// If the module belongs to another pool, the pool is shut down or has
    /// [as many sessions](crate::PoolBuilder::max_sessions) as it may, or the module has several
    /// memories or more than 8 tables.
    pub fn session(&self, pool: &Pool) -> Result<Session, SessionError> {
        let module = self.module();
        if !pool.registry.sandbox.owns(module) {
            return Err(SessionError::ForeignModule);
        }
        if !module.may_be_suspended {
            return Err(SessionError::TooLarge);
        }
        let handle = Handle {
            line: pool.registry.scheduler.sessions.begin()?,
            module: Arc::clone(module),
            registry: Arc::downgrade(&pool.registry),
        };
        Ok(Session {
            handle: Arc::new(handle),
        })
    }
}

impl Session {
    /// Submits a call, which runs after those that were submitted before. Blocks while the pool's
    /// queue is full, except on the pool's own threads (in a callback), where it exceeds the queue's
    /// capacity instead.
    ///
    /// If the session has ended, the future has ended as
    /// [`SessionEnded`](crate::TaskErrorKind::SessionEnded).
    ///
    /// # Errors
    ///
    /// As [`Pool::submit`], and if the task belongs to another module than the session, is a program
    /// or has [rights](crate::TaskOptions::capabilities) of its own.
    pub fn submit<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        self.submit_blocking(task, arguments, Blocking::Forever)
    }

    /// Submits a call if the pool's queue has room for it. Does not block.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and if the queue is full.
    pub fn try_submit<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        self.submit_blocking(task, arguments, Blocking::Never)
    }

    /// Submits a call; blocks for at most `timeout` while the pool's queue is full, and not at all
    /// on the pool's own threads (in a callback).
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
        self.submit_blocking(task, arguments, Blocking::for_at_most(timeout))
    }

    /// Submits a call from async code: waits for room in the pool's queue without blocking the
    /// thread. As [`Pool::submit_async`].
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub async fn submit_async<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        let (registry, limits) = match self.handle.accept(task) {
            Ok(accepted) => accepted,
            Err(kind) => return Err(SubmitError::new(kind, arguments)),
        };
        let reserved = registry.reserve_async(task.options().own_tenant()).await;
        let submitted = self
            .handle
            .push(&registry, task, &arguments, limits, reserved);
        submitted.map_err(|kind| SubmitError::new(kind, arguments))
    }

    fn submit_blocking<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
        blocking: Blocking,
    ) -> Result<TaskFuture<Out>, SubmitError<Args>> {
        let submitted = self.handle.accept(task).and_then(|(registry, limits)| {
            let reserved = registry.reserve(task.options().own_tenant(), blocking);
            self.handle
                .push(&registry, task, &arguments, limits, reserved)
        });
        submitted.map_err(|kind| SubmitError::new(kind, arguments))
    }

    /// What the session does. A call that was cancelled while it ran keeps the session busy until
    /// its guest has been halted.
    pub fn state(&self) -> SessionState {
        self.handle.line.session_state()
    }

    /// The error of calls that are submitted now; `None` unless the session has ended.
    pub fn error(&self) -> Option<TaskError> {
        self.handle.line.error()
    }

    /// Refuses calls from now on: they fail as
    /// [`SessionEnded`](crate::TaskErrorKind::SessionEnded). Accepted calls still run, and then the
    /// instance is dropped. To end the session sooner, cancel their futures. Does not block.
    pub fn close(&self) {
        self.handle.line.close("it was closed");
    }

    /// Begins anew, with a fresh instance, whether the session has ended or not. Does not block,
    /// except for callbacks.
    ///
    /// Calls that have not started fail as [`SessionEnded`](crate::TaskErrorKind::SessionEnded). One
    /// that runs is cancelled; the new instance is made when its guest has been halted.
    ///
    /// # Errors
    ///
    /// If the pool is shut down, or the session had ended and the pool has
    /// [as many sessions](crate::PoolBuilder::max_sessions) as it may by now.
    pub fn restart(&self) -> Result<(), SessionError> {
        self.handle.line.restart()
    }
}

impl Handle {
    /// The pool and the limits of a call, if there can be one of this task.
    fn accept<Args, Out>(
        &self,
        task: &Task<Args, Out>,
    ) -> Result<(Arc<Registry>, Limits), SubmitErrorKind> {
        let registry = self.registry.upgrade();
        let registry = registry.ok_or(SubmitErrorKind::ShutDown)?;
        let limits = registry.limits_of(task, &self.module)?;
        let name = &task.info().name;
        let problem = if !Arc::ptr_eq(&task.module().tasks, &self.module.tasks) {
            format!("`{name}` belongs to another module than the session")
        } else if task.is_program() {
            format!("`{name}` is a program, which needs a fresh instance for each run")
        } else if task.options().own_capabilities().is_some() {
            let remedy = "begin the session with `with_capabilities` of its module";
            format!("`{name}` has rights of its own, which a session cannot change: {remedy}")
        } else {
            return Ok((registry, limits));
        };
        Err(SubmitErrorKind::UnfitForSession(problem))
    }

    fn push<Args: Arguments, Out>(
        &self,
        registry: &Registry,
        task: &Task<Args, Out>,
        arguments: &Args,
        limits: Limits,
        reserved: Result<Permit, ReserveError>,
    ) -> Result<TaskFuture<Out>, SubmitErrorKind> {
        let turn = (&self.module, self.line.turn());
        let call = registry.queued_task(task, arguments, limits, reserved?, Some(turn))?;
        let future = TaskFuture::new(Arc::clone(&call), signature_of(task), limits.decoded());
        registry
            .scheduler
            .push_to_session(call, &self.line, limits.queue_timeout)?;
        Ok(future)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.line.close("its last handle was dropped");
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
