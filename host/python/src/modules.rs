//! A pool for modules of any language: their tasks, exported functions and programs.
//!
//! Arguments and results cross as JSON text, in the library's JSON form of typed values.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use wasmpool::{Command, Isolation, Pool, Task, TaskModule, TaskOptions};

use crate::delivery::{Call, Delivery, Outcome};
use crate::engine::{QUEUE_CAPACITY, failed, options, refused};
use crate::rights::Rights;

/// A pool for modules of any language.
#[pyclass(frozen)]
pub(crate) struct ModulePool {
    pool: Pool,
    delivery: Delivery,
}

/// A module that was loaded.
#[pyclass(frozen)]
pub(crate) struct LoadedModule(TaskModule);

/// A task of a module, with options.
#[pyclass(frozen)]
pub(crate) struct ModuleTask(Task<Vec<serde_json::Value>, serde_json::Value>);

#[pymethods]
impl ModulePool {
    #[new]
    #[pyo3(signature = (*, workers, warm, output_limit, payload_limit, max_suspended))]
    fn new(
        py: Python<'_>,
        workers: Option<usize>,
        warm: bool,
        output_limit: usize,
        payload_limit: usize,
        max_suspended: usize,
    ) -> PyResult<Self> {
        py.detach(|| {
            let mut builder = Pool::builder()
                .queue_capacity(QUEUE_CAPACITY)
                .isolation(match warm {
                    true => Isolation::Worker,
                    false => Isolation::Task,
                })
                .output_limit(output_limit)
                .payload_limit(payload_limit)
                .max_suspended(max_suspended);
            if let Some(workers) = workers {
                builder = builder.workers(workers);
            }
            Ok(Self {
                pool: builder.build().map_err(refused)?,
                delivery: Delivery::new(),
            })
        })
    }

    #[getter]
    fn workers(&self) -> usize {
        self.pool.workers()
    }

    /// Loads a module. Blocks while it is compiled, unless the cache has it.
    fn load(&self, py: Python<'_>, path: PathBuf, rights: &Rights) -> PyResult<LoadedModule> {
        let rights = rights.0.clone();
        let module = py.detach(|| self.pool.load(path)).map_err(refused)?;
        Ok(LoadedModule(module.with_capabilities(rights)))
    }

    /// Submits a call with a JSON array of its arguments. Does not block.
    fn submit(&self, py: Python<'_>, task: &ModuleTask, ticket: u64, json: &str) -> PyResult<Call> {
        py.detach(|| {
            let arguments = serde_json::from_str(json);
            let arguments: Vec<serde_json::Value> =
                arguments.map_err(|error| PyTypeError::new_err(error.to_string()))?;
            let submitted = self.pool.submit(&task.0, arguments);
            let future = submitted.map_err(|error| PyTypeError::new_err(error.to_string()))?;
            let future = Arc::new(future);
            let (ending, ended) = (self.delivery.ending(), Arc::clone(&future));
            future.on_done(move |_| ending.tell(ticket, ended));
            Ok(Call(future))
        })
    }

    /// Runs the program of a module. Does not block.
    #[pyo3(signature = (module, ticket, args, env, stdin, *, timeout, memory_limit))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn run(
        &self,
        py: Python<'_>,
        module: &LoadedModule,
        ticket: u64,
        args: Vec<String>,
        env: Vec<(String, String)>,
        stdin: Vec<u8>,
        timeout: Option<f64>,
        memory_limit: Option<usize>,
    ) -> PyResult<Call> {
        let options = options(timeout, None, None, memory_limit)?;
        py.detach(|| {
            let mut command: Command = module.0.command().map_err(refused)?;
            command.args(args).envs(env).stdin(stdin).options(options);
            let child = Arc::new(command.spawn(&self.pool).map_err(failed)?);
            let (ending, ended) = (self.delivery.ending(), Arc::clone(&child));
            child.task().on_done(move |_| ending.tell(ticket, ended));
            Ok(Call(child))
        })
    }

    /// As `Engine.outcomes`.
    fn outcomes<'py>(&self, py: Python<'py>) -> Vec<Outcome<'py>> {
        self.delivery.outcomes(py)
    }

    /// As `Engine.stop_delivery`.
    fn stop_delivery(&self) {
        self.delivery.stop();
    }

    /// As `Engine.shutdown`.
    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.pool.shutdown(wasmpool::Shutdown::Graceful));
    }
}

#[pymethods]
impl LoadedModule {
    /// The name, the parameters, the documentation and the signature of each task.
    fn tasks(&self) -> Vec<(String, Vec<String>, String, Option<String>)> {
        let tasks = self.0.tasks().iter();
        tasks
            .map(|task| {
                let signature = task.signature.as_ref().map(ToString::to_string);
                (
                    task.name.clone(),
                    task.params.clone(),
                    task.doc.clone(),
                    signature,
                )
            })
            .collect()
    }

    /// A task by its name, which may be short. Times are in seconds, sizes in bytes.
    #[pyo3(signature = (name, *, timeout, compute_timeout, queue_timeout, memory_limit))]
    fn task(
        &self,
        name: &str,
        timeout: Option<f64>,
        compute_timeout: Option<f64>,
        queue_timeout: Option<f64>,
        memory_limit: Option<usize>,
    ) -> PyResult<ModuleTask> {
        let task = self.0.task(name);
        let task: Task<_, _> = task.map_err(|error| PyKeyError::new_err(error.to_string()))?;
        let options: TaskOptions = options(timeout, compute_timeout, queue_timeout, memory_limit)?;
        Ok(ModuleTask(task.with(options)))
    }
}
