//! One instance of a module, with a store of its own, and the calls into it.

use std::cell::Cell;
use std::sync::Arc;

use wasmtime::{Engine, Store};

use super::bindings::Worker;
use super::bindings::exports::wasmpool::task::tasks::{Failure, TaskError as GuestError};
use super::driver::Driver;
use super::ending::{self, Stage};
use super::module::Compiled;
use super::store::{self, Run, State};
use super::{Initializer, Module, TaskInfo};
use crate::error::{TaskError, TaskErrorKind};
use crate::limits::Limits;
use crate::report::TaskReport;

/// An instance, live or about to be: it comes to life with its first call, so that whatever
/// its start function does is under the limits of a task.
pub(crate) struct Instance {
    module: Arc<Module>,
    store: Store<State>,
    guest: Option<Worker>,
    is_initialized: bool,
    /// Tasks that it has served.
    age: u64,
}

/// One call's end.
pub(crate) struct Ended {
    pub(crate) outcome: Result<Vec<u8>, TaskError>,
    /// Whether the guest came back by itself. If not, its store is unusable and the instance
    /// must be dropped.
    pub(crate) is_clean: bool,
}

impl Instance {
    pub(crate) fn new(engine: &Engine, module: Arc<Module>, limits: &Limits, run: Run) -> Self {
        Self {
            store: store::new(engine, limits, run),
            module,
            guest: None,
            is_initialized: false,
            age: 0,
        }
    }

    pub(crate) fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// How many tasks it has served.
    pub(crate) fn age(&self) -> u64 {
        self.age
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().limiter.held()
    }

    /// What it must run before its first task, if that is still to be done.
    pub(crate) fn initializer_to_run(&self) -> Option<&Initializer> {
        match &self.module.initializer {
            Some(initializer) if !self.is_initialized => Some(initializer),
            _ => None,
        }
    }

    /// Runs the module's initializer, unless it has failed before. Blocks for as long as that
    /// takes. After a failure the instance must be dropped.
    pub(crate) fn initialize(
        &mut self,
        driver: &Driver,
        run: Run,
        limits: &Limits,
    ) -> Result<(), TaskError> {
        let module = Arc::clone(&self.module);
        let Some(initializer) = &module.initializer else {
            return Ok(());
        };
        let failed = |cause| {
            let name = &module.tasks[initializer.task].name;
            TaskError::initializer_failed(name, cause)
        };
        if let Some(cause) = initializer.failure.get() {
            return Err(failed(cause.clone()));
        }
        let control = Arc::clone(&run.control);
        let Initializer {
            task, arguments, ..
        } = initializer;
        // Its own, and dropped: what it prints is not the first task's.
        let mut report = TaskReport::default();
        let ended = self.run(driver, run, *task, arguments, limits, &mut report);
        let error = match (ended.outcome, control.stop_reason()) {
            (Ok(_), None) => {
                self.is_initialized = true;
                return Ok(());
            }
            // It came back in its grace period: too late to go on with the task.
            (Ok(_), Some(reason)) => ending::stopped(reason, limits),
            (Err(error), _) => error,
        };
        match error.kind() {
            // These are the task's own, and the machine's: the initializer may yet work.
            TaskErrorKind::Cancelled | TaskErrorKind::ShutDown | TaskErrorKind::Internal => {
                Err(error)
            }
            _ => Err(failed(initializer.failure.get_or_init(|| error).clone())),
        }
    }

    /// Runs the module's task number `task` to its end, and writes into `report` what it
    /// cost. Blocks for as long as the task runs.
    pub(crate) fn call(
        &mut self,
        driver: &Driver,
        run: Run,
        task: usize,
        arguments: &[u8],
        limits: &Limits,
        report: &mut TaskReport,
    ) -> Ended {
        report.instance_age = self.age;
        self.age += 1;
        self.run(driver, run, task, arguments, limits, report)
    }

    fn run(
        &mut self,
        driver: &Driver,
        run: Run,
        task: usize,
        arguments: &[u8],
        limits: &Limits,
        report: &mut TaskReport,
    ) -> Ended {
        let control = Arc::clone(&run.control);
        store::prepare(&mut self.store, limits, run);
        let stage = Cell::new(Stage::Start);
        let (store, guest) = (&mut self.store, &mut self.guest);
        let (compiled, name) = (&self.module.compiled, &self.module.tasks[task].name);
        let called = driver.run(&control, async {
            let guest = enter(compiled, store, guest, &stage).await?;
            guest
                .wasmpool_task_tasks()
                .call_call(store, name, arguments)
                .await
        });

        self.account(limits, report);
        match called {
            Ok(Ok(result)) if result.len() > limits.payload => Ended {
                outcome: Err(TaskError::new(
                    TaskErrorKind::OutputLimit,
                    format!(
                        "the result has {} bytes, over the payload limit of {}",
                        result.len(),
                        limits.payload
                    ),
                )),
                is_clean: false,
            },
            Ok(outcome) => Ended {
                outcome: outcome.map_err(|failure| told_by_guest(failure, name)),
                is_clean: true,
            },
            Err(error) => Ended {
                outcome: Err(ending::classify(
                    &error,
                    stage.get(),
                    control.stop_reason(),
                    limits,
                    &report.stderr,
                )),
                is_clean: false,
            },
        }
    }

    fn account(&self, limits: &Limits, report: &mut TaskReport) {
        let state = self.store.data();
        report.peak_memory = state.limiter.held();
        (report.stdout, report.stderr) = state.output.take();
        report.fuel = limits
            .fuel
            .map(|fuel| fuel.saturating_sub(self.store.get_fuel().unwrap_or(0)));
    }
}

/// Asks a module for its tasks, in an instance that is dropped afterwards. Blocks until it
/// has answered or `run` is told to stop.
pub(super) fn list(
    engine: &Engine,
    compiled: &Compiled,
    driver: &Driver,
    limits: &Limits,
    run: Run,
) -> Result<Vec<TaskInfo>, TaskError> {
    let control = Arc::clone(&run.control);
    let mut store = store::new(engine, limits, run.clone());
    store::prepare(&mut store, limits, run);
    let stage = Cell::new(Stage::Start);
    let mut guest = None;
    let listed = driver.run(&control, async {
        let guest = enter(compiled, &mut store, &mut guest, &stage).await?;
        guest.wasmpool_task_tasks().call_list(&mut store).await
    });
    let tasks = listed.map_err(|error| {
        let (_, stderr) = store.data().output.take();
        ending::classify(&error, stage.get(), control.stop_reason(), limits, &stderr)
    })?;
    let tasks = tasks.into_iter().map(|task| TaskInfo {
        name: task.name,
        params: task.params,
        doc: task.doc,
    });
    Ok(tasks.collect())
}

/// The live guest of a store; brings it to life if that is still to be done.
async fn enter<'a>(
    compiled: &Compiled,
    store: &mut Store<State>,
    guest: &'a mut Option<Worker>,
    stage: &Cell<Stage>,
) -> wasmtime::Result<&'a Worker> {
    if guest.is_none() {
        *guest = Some(compiled.pre.instantiate_async(store).await?);
    }
    stage.set(Stage::Call);
    Ok(guest.as_ref().expect("just made"))
}

/// How much of a guest's own words goes into an error: nobody reads more, and errors are
/// kept and passed on.
const MAX_WORDS: usize = 16 << 10;

/// Cuts a guest's words.
fn cut(mut words: String) -> String {
    if words.len() > MAX_WORDS {
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        words.push_str(" ...");
        words.shrink_to_fit();
    }
    words
}

/// A failure that the guest itself told, in our words.
fn told_by_guest(failure: Failure, name: &str) -> TaskError {
    match failure {
        Failure::UnknownTask => TaskError::new(
            TaskErrorKind::UnknownTask,
            format!("the guest does not know its task `{name}`"),
        ),
        Failure::BadArguments(message) => TaskError::new(TaskErrorKind::BadArguments, cut(message)),
        Failure::BadResult(message) => TaskError::new(
            TaskErrorKind::BadResult,
            format!("the result cannot be encoded: {}", cut(message)),
        ),
        Failure::Failed(GuestError { code, message }) => {
            TaskError::new(TaskErrorKind::Failed, cut(message)).with_code(cut(code))
        }
    }
}
