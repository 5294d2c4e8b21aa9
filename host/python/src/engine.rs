//! A pool whose only module is the Python interpreter.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_bytes::ByteBuf;
use wasmpool::{
    Isolation, LoadError, MemoryReset, Pool, Session, Shutdown, Task, TaskFuture, TaskModule,
    TaskOptions,
};

use crate::delivery::{Call, Delivery, Outcome};
use crate::host_calls::{self, HostCallRequest};
use crate::rights::Rights;

/// Calls never wait for room in the queue: `submit` of an executor does not block.
pub(crate) const QUEUE_CAPACITY: usize = 1 << 40;

/// Stack of WebAssembly for an interpreter, in bytes. Python's own limit of recursion comes first.
const STACK: usize = 8 << 20;

type Run = Task<(ByteBuf,), ByteBuf>;

/// A pool of Python interpreters in sandboxes.
#[pyclass(frozen)]
pub(crate) struct Engine {
    pool: Pool,
    module: TaskModule,
    run: Run,
    delivery: Delivery,
    host_calls: Receiver<HostCallRequest>,
    /// Why the code that came with the package was not used.
    notice: Option<String>,
}

/// Calls with certain options.
#[pyclass(frozen)]
pub(crate) struct TaskReference {
    run: Run,
    options: TaskOptions,
}

/// An interpreter that keeps its state.
#[pyclass(frozen)]
pub(crate) struct SessionHandle(Session);

#[pymethods]
impl Engine {
    /// Builds the pool and loads the interpreter. `guest` is its module, `code` the file that was
    /// compiled of it ahead of time: its code runs unchecked.
    #[new]
    #[pyo3(signature = (*, workers, warm, max_tasks, output_limit, payload_limit, max_suspended,
                        max_sessions, rights, guest, code))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        workers: Option<usize>,
        warm: bool,
        max_tasks: Option<u64>,
        output_limit: usize,
        payload_limit: usize,
        max_suspended: usize,
        max_sessions: usize,
        rights: &Rights,
        guest: PathBuf,
        code: Option<PathBuf>,
    ) -> PyResult<Self> {
        let rights = rights.0.clone();
        py.detach(|| {
            let (functions, host_calls) = host_calls::functions().map_err(failed)?;
            let mut builder = builder()
                .queue_capacity(QUEUE_CAPACITY)
                .isolation(match warm {
                    true => Isolation::Worker,
                    false => Isolation::Task,
                })
                .output_limit(output_limit)
                .payload_limit(payload_limit)
                .max_suspended(max_suspended)
                .max_sessions(max_sessions)
                .host_functions(functions);
            if let Some(workers) = workers {
                builder = builder.workers(workers);
            }
            if let Some(max_tasks) = max_tasks {
                builder = builder.max_tasks_per_instance(max_tasks);
            }
            let pool = builder.build().map_err(refused)?;
            let (module, notice) = load(&pool, &guest, code.as_deref())?;
            let module = module.with_capabilities(rights);
            let run = module.task("run").map_err(failed)?;
            Ok(Self {
                pool,
                module,
                run,
                delivery: Delivery::new(),
                host_calls,
                notice,
            })
        })
    }

    /// How many calls compute at once.
    #[getter]
    fn workers(&self) -> usize {
        self.pool.workers()
    }

    /// Why the code that came with the package was not used; None if it was.
    #[getter]
    fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Options for calls. Times are in seconds, sizes in bytes.
    #[pyo3(signature = (*, timeout, compute_timeout, queue_timeout, memory_limit, fresh, rights))]
    fn task(
        &self,
        timeout: Option<f64>,
        compute_timeout: Option<f64>,
        queue_timeout: Option<f64>,
        memory_limit: Option<usize>,
        fresh: bool,
        rights: Option<&Rights>,
    ) -> PyResult<TaskReference> {
        let mut options = options(timeout, compute_timeout, queue_timeout, memory_limit)?;
        if fresh {
            options = options.isolation(Isolation::Task);
        }
        if let Some(rights) = rights {
            options = options.capabilities(rights.0.clone());
        }
        let run = self.run.with(options.clone());
        Ok(TaskReference { run, options })
    }

    /// Submits a request. Does not block. With `tagged` the calls to functions of the host carry the
    /// ticket.
    fn submit(
        &self,
        py: Python<'_>,
        task: &TaskReference,
        ticket: u64,
        request: &[u8],
        tagged: bool,
    ) -> PyResult<Call> {
        let request = ByteBuf::from(request);
        py.detach(|| {
            let submitted = match tagged {
                true => self.pool.submit(&task.tagged(ticket), (request,)),
                false => self.pool.submit(&task.run, (request,)),
            };
            Ok(self.watched(ticket, submitted.map_err(failed)?))
        })
    }

    /// Submits a request to a session. Its calls run one after the other.
    fn submit_to(
        &self,
        py: Python<'_>,
        session: &SessionHandle,
        task: &TaskReference,
        ticket: u64,
        request: &[u8],
    ) -> PyResult<Call> {
        let request = ByteBuf::from(request);
        py.detach(|| {
            let submitted = session.0.submit(&task.tagged(ticket), (request,));
            Ok(self.watched(ticket, submitted.map_err(failed)?))
        })
    }

    /// Begins a session.
    fn session(&self) -> PyResult<SessionHandle> {
        let session = self.module.session(&self.pool);
        Ok(SessionHandle(session.map_err(failed)?))
    }

    /// Blocks until calls have ended, and returns their outcomes; none if `stop_delivery` was called.
    fn outcomes<'py>(&self, py: Python<'py>) -> Vec<Outcome<'py>> {
        self.delivery.outcomes(py)
    }

    /// Has `outcomes` return nothing after those that there are.
    fn stop_delivery(&self) {
        self.delivery.stop();
    }

    /// Blocks until sandboxed code calls a function of the host, for at most `timeout` seconds.
    fn host_call(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<HostCallRequest>> {
        let timeout = duration(timeout)?;
        Ok(py.detach(|| self.host_calls.recv_timeout(timeout).ok()))
    }

    /// Ends the pool. Blocks until its calls have ended.
    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.pool.shutdown(Shutdown::Graceful));
    }
}

impl Engine {
    /// Has the outcome of a call come to `outcomes`.
    fn watched(&self, ticket: u64, future: TaskFuture<ByteBuf>) -> Call {
        let future = Arc::new(future);
        let (ending, ended) = (self.delivery.ending(), Arc::clone(&future));
        future.on_done(move |_| ending.tell(ticket, ended));
        Call(future)
    }
}

impl TaskReference {
    fn tagged(&self, ticket: u64) -> Run {
        let options = self.options.clone().tag(ticket.to_string());
        self.run.with(options)
    }
}

#[pymethods]
impl SessionHandle {
    /// Ends the session after the calls that it has accepted.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    /// Begins anew after a call has taken the interpreter with it.
    fn restart(&self) -> PyResult<()> {
        self.0.restart().map_err(failed)
    }
}

/// Compiles the interpreter for any processor of this architecture.
#[pyfunction]
pub(crate) fn compile_guest<'py>(py: Python<'py>, guest: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let code = py.detach(|| {
        let builder = builder().workers(1).no_cache().baseline_processor();
        let (functions, _) = host_calls::functions().map_err(failed)?;
        let pool = builder.host_functions(functions).build().map_err(failed)?;
        pool.precompile(guest).map_err(failed)
    });
    Ok(PyBytes::new(py, &code?))
}

/// The settings that compiled code depends on, and the way of the memory.
fn builder() -> wasmpool::PoolBuilder {
    Pool::builder()
        .stack_limit(STACK)
        // Measured with two workers on two busy processors: some 300 fresh interpreters a second, and
        // 220 with `MemoryReset::InPlace`, which copies all of their memory.
        .memory_reset(MemoryReset::Whole)
}

/// Loads the interpreter: the code of it if that fits this machine, or else the module.
fn load(pool: &Pool, guest: &Path, code: Option<&Path>) -> PyResult<(TaskModule, Option<String>)> {
    let mut notice = None;
    if let Some(code) = code {
        // SAFETY: the file belongs to the package, as the code that is running does. It was made by
        // `compile_guest`, and installers replace files by a rename.
        #[allow(unsafe_code)]
        match unsafe { pool.load_precompiled(code) } {
            Ok(module) => return Ok((module, None)),
            Err(error @ (LoadError::Unfit(_) | LoadError::Read { .. })) => {
                notice = Some(error.to_string());
            }
            Err(error) => return Err(failed(error)),
        }
    }
    let module = pool.load(guest).map_err(failed)?;
    Ok((module, notice))
}

/// Options with these limits, in seconds and bytes.
pub(crate) fn options(
    timeout: Option<f64>,
    compute_timeout: Option<f64>,
    queue_timeout: Option<f64>,
    memory_limit: Option<usize>,
) -> PyResult<TaskOptions> {
    let mut options = TaskOptions::new();
    if let Some(timeout) = timeout {
        options = options.task_timeout(duration(timeout)?);
    }
    if let Some(timeout) = compute_timeout {
        options = options.compute_timeout(duration(timeout)?);
    }
    if let Some(timeout) = queue_timeout {
        options = options.queue_timeout(duration(timeout)?);
    }
    if let Some(bytes) = memory_limit {
        options = options.memory_limit(bytes);
    }
    Ok(options)
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is no time in seconds")))
}

pub(crate) fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

pub(crate) fn failed(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
