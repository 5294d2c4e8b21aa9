//! One instance of a module, which has its own store, and the calls into it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{ComponentExportIndex, Func, Instance as Guest};
use wasmtime::{Store, format_err};

use super::abi::{self, Outcome};
use super::bindings::Worker;
use super::bindings::exports::wasmpool::task0_1_0::tasks::{Failure, TaskError as GuestError};
use super::blocking::BlockingDriver;
use super::ending::{self, Stage};
use super::halting::until_stopped;
use super::host::Caller;
use super::module::Compiled;
use super::numbers;
use super::reused_box::ReusedBox;
use super::store::{self, State};
use super::wasi::Capabilities;
use super::wasi::network::Lookups;
use super::wasi::program::{self, Invocation};
use super::{EntryPoint, Initializer, Module, TaskInfo};
use crate::call::{
    Control, Limits, MemoryAccount, Output, Parent, Payload, StopReason, TaskReport, TaskResult,
};
use crate::error::{TaskError, TaskErrorKind};
use crate::objects::Handed;
use crate::value::{self, Type, text};

/// An instance of a module. It is instantiated by its first call, so that its start function runs
/// within the limits of a task.
pub(crate) struct Instance {
    module: Arc<Module>,
    store: Store<State>,
    guest: Option<Live>,
    is_initialized: bool,
    /// Tasks that it has served.
    age: u64,
    /// Whether a session has kept it after a call.
    is_kept: bool,
    /// Whether no worker may keep it for another task: it was made for one that wants a fresh
    /// instance, and may have other rights than its module.
    is_for_one_task: bool,
    /// Of a pool with a memory budget. After the store: what it is charged for is given back when
    /// the memory is.
    memory_account: Option<Arc<MemoryAccount>>,
}

/// An instantiated module.
pub(super) enum Live {
    Component {
        guest: Guest,
        /// The exports of our contract, if the guest has it.
        contract: Option<Worker>,
    },
    CoreModule(wasmtime::Instance),
}

impl Live {
    fn contract(&self) -> wasmtime::Result<&Worker> {
        match self {
            Self::Component {
                contract: Some(contract),
                ..
            } => Ok(contract),
            _ => Err(format_err!("it does not list its tasks")),
        }
    }

    fn core_module(&self) -> wasmtime::Result<&wasmtime::Instance> {
        match self {
            Self::CoreModule(guest) => Ok(guest),
            Self::Component { .. } => Err(format_err!("no such export")),
        }
    }

    fn function(
        &self,
        store: &mut Store<State>,
        export: ComponentExportIndex,
    ) -> wasmtime::Result<Func> {
        let function = match self {
            Self::Component { guest, .. } => guest.get_func(store, export),
            Self::CoreModule(_) => None,
        };
        function.ok_or_else(|| format_err!("no such export"))
    }
}

/// A failure that the guest itself reported.
enum GuestFailure {
    /// Through our contract.
    Failure(Failure),
    /// As the error side of its result, in wire form.
    Error(Vec<u8>),
    /// As the exit code of a program.
    Exit(Output),
}

/// How a call ended.
pub(crate) struct Ended {
    pub(crate) outcome: Result<TaskResult, TaskError>,
    /// Whether the guest returned by itself. If not, its store is unusable and the instance must be
    /// dropped.
    pub(crate) is_clean: bool,
}

impl Ended {
    /// The end of a call whose arguments were refused before it began.
    fn bad_arguments(problem: String) -> Self {
        Self {
            outcome: Err(TaskError::new(TaskErrorKind::BadArguments, problem)),
            is_clean: false,
        }
    }
}

impl Instance {
    pub(crate) fn new(
        module: Arc<Module>,
        rights: Capabilities,
        control: Arc<Control>,
        lookups: &Arc<Lookups>,
        account: Option<Arc<MemoryAccount>>,
    ) -> Self {
        let limits = *control.limits();
        let engine = module.compiled.engine();
        Self {
            store: store::new(engine, rights, &limits, control, lookups, account.clone()),
            memory_account: account,
            module,
            guest: None,
            is_initialized: false,
            age: 0,
            is_kept: false,
            is_for_one_task: false,
        }
    }

    pub(crate) fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// How many tasks it has served.
    pub(crate) fn age(&self) -> u64 {
        self.age
    }

    /// No worker keeps it for another task.
    pub(crate) fn keep_to_one_task(&mut self) {
        self.is_for_one_task = true;
    }

    /// Whether no worker may keep it for another task.
    pub(crate) fn is_for_one_task(&self) -> bool {
        self.is_for_one_task
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().limiter.held()
    }

    /// A call begins in an idle instance, with the account that was opened for it.
    pub(crate) fn begin(&self, opened: Option<Arc<MemoryAccount>>) {
        if let (Some(account), Some(opened)) = (&self.memory_account, opened) {
            account.begin(&opened);
        }
    }

    /// The next call is one of this task.
    pub(crate) fn set_caller(&mut self, caller: Arc<Caller>) {
        self.store.data_mut().caller = Some(caller);
    }

    /// The instance is kept, and idle from now on.
    pub(crate) fn rest(&mut self) {
        self.store.data_mut().objects.clear();
        if let Some(account) = &self.memory_account {
            account.rest(self.memory());
        }
    }

    /// A session keeps the instance after a call.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
        if let Some(account) = &self.memory_account {
            account.keep(self.memory());
        }
    }

    /// A call begins in an instance that a session has kept.
    pub(crate) fn resume(&self) {
        if let Some(account) = &self.memory_account {
            account.resume();
        }
    }

    /// The initializer, if it is still to be run.
    pub(crate) fn initializer_to_run(&self) -> Option<&Initializer> {
        match &self.module.initializer {
            Some(initializer) if !self.is_initialized => Some(initializer),
            _ => None,
        }
    }

    /// Runs the module's initializer, unless it failed a short while ago. After a failure the
    /// instance must be dropped.
    pub(crate) async fn initialize(
        &mut self,
        control: &Arc<Control>,
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
        let started = Instant::now();
        if let Some(cause) = initializer.recent_failure(started) {
            return Err(failed(cause));
        }
        let deadline = control.deadline();
        let Initializer {
            task, arguments, ..
        } = initializer;
        // A report of its own, which is dropped: the report of the first task excludes the
        // initializer.
        let mut report = TaskReport::default();
        let arguments = arguments.clone();
        let ended = self.run(control, *task, arguments, limits, &mut report);
        let ended = ended.await;
        // The watchdog may not have stopped it yet. A success after its deadline counts as a
        // timeout.
        let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
        let stopped = |reason| TaskError::stopped(reason, limits);
        let error = match (ended.outcome, control.stop_reason()) {
            // The task itself was stopped, whatever the guest returned. The initializer has not
            // failed.
            (
                _,
                Some(
                    reason @ (StopReason::Cancelled
                    | StopReason::ShutDown
                    | StopReason::NobodyWakes),
                ),
            ) => {
                return Err(stopped(reason));
            }
            (Ok(_), Some(reason @ (StopReason::TimedOut | StopReason::ComputeTimedOut))) => {
                stopped(reason)
            }
            (Ok(_), None) if is_late => stopped(StopReason::TimedOut),
            (Ok(_), None) => {
                initializer.succeeded();
                self.is_initialized = true;
                return Ok(());
            }
            // The fault of the machine, of other tasks, or of what the embedder gave to this one: a
            // grant, or an answer to its tenant.
            (Err(error), _)
                if matches!(
                    error.kind(),
                    TaskErrorKind::Internal
                        | TaskErrorKind::MemoryBudget
                        | TaskErrorKind::HostFunction
                        | TaskErrorKind::NotGranted
                ) =>
            {
                return Err(error);
            }
            (Err(error), _) => error,
        };
        Err(failed(initializer.failed(error, started)))
    }

    /// Runs the module's task number `task` to its end, and writes its cost into `report`. The guest
    /// may reach these `objects`, and start tasks if there is a `parent`.
    pub(crate) fn call(
        &mut self,
        control: &Arc<Control>,
        task: usize,
        arguments: Payload,
        objects: Handed,
        parent: Option<Arc<dyn Parent>>,
        report: &mut TaskReport,
    ) -> impl Future<Output = Ended> {
        report.instance_age = self.age;
        self.age += 1;
        let state = self.store.data_mut();
        state.parent = parent;
        state.objects.begin(objects);
        self.run(control, task, arguments, control.limits(), report)
    }

    async fn run(
        &mut self,
        control: &Arc<Control>,
        task: usize,
        arguments: Payload,
        limits: &Limits,
        report: &mut TaskReport,
    ) -> Ended {
        store::prepare(&mut self.store, limits, control);
        let module = &self.module;
        let info = &module.tasks[task];
        if let EntryPoint::Program(_) = module.entries[task] {
            match Invocation::decode(&arguments) {
                Ok(program) => self.store.data_mut().start_program(program, limits),
                Err(problem) => return Ended::bad_arguments(problem),
            }
        }
        let mut stage = Stage::Start;
        let time = self.store.data().time.clone();
        let (store, live) = (&mut self.store, &mut self.guest);
        let called = {
            let mut future = pin!(async {
                let live = enter(&module.compiled, store, live).await?;
                stage = Stage::Call;
                match module.entries[task] {
                    EntryPoint::Registered => {
                        let tasks = live.contract()?.wasmpool_task0_1_0_tasks();
                        let called = tasks.call_call(store, &info.name, &arguments);
                        let returned = ReusedBox::new(called).await?;
                        Ok(returned.map_err(GuestFailure::Failure))
                    }
                    EntryPoint::Function(export) => {
                        let function = live.function(store, export)?;
                        let function = function.typed::<abi::LoweredArguments, Outcome>(&*store)?;
                        let arguments = abi::LoweredArguments::new(arguments);
                        let mut called = ReusedBox::new(function.call_async(store, arguments));
                        let Outcome(returned) =
                            abi::bounded(limits.payload, control, called.as_mut()).await?;
                        Ok(returned.map_err(GuestFailure::Error))
                    }
                    EntryPoint::AsyncFunction(callee) => {
                        let function = live.function(store, callee.export)?;
                        let called =
                            abi::call_async(store, callee, function, arguments, limits.payload);
                        let mut called = ReusedBox::new(called);
                        let Outcome(returned) =
                            abi::bounded(limits.payload, control, called.as_mut()).await?;
                        Ok(returned.map_err(GuestFailure::Error))
                    }
                    EntryPoint::Numbers(export) => {
                        let guest = live.core_module()?;
                        let called = numbers::call(store, guest, export, &arguments);
                        let result = ReusedBox::new(called).await?;
                        Ok(Ok(result))
                    }
                    EntryPoint::Program(start) => {
                        let output = ReusedBox::new(program::run(store, live, start)).await?;
                        Ok(match output.status.success() {
                            true => Ok(value::encode(&output).expect("numbers and bytes")),
                            false => Err(GuestFailure::Exit(output)),
                        })
                    }
                }
            });
            if module.host_functions.is_empty() {
                until_stopped(control, time.as_ref(), future).await
            } else {
                // Arguments for host functions may come at any time, also while it starts.
                let call = pin!(abi::bounded(limits.payload, control, future.as_mut()));
                until_stopped(control, time.as_ref(), call).await
            }
        };

        let state = self.store.data_mut();
        state.parent = None;
        let objects = state.objects.end();
        self.account(task, limits, report);
        if store::is_busy(&mut self.store) {
            // It would go on in the time of the next task.
            self.is_for_one_task = true;
        }
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
                outcome: match outcome {
                    Ok(bytes) => Ok(TaskResult { bytes, objects }),
                    Err(told) => Err(told_by_guest(told, info, report)),
                },
                is_clean: true,
            },
            Err(error) => Ended {
                outcome: Err(ending::classify(
                    &error,
                    stage,
                    control.stop_reason(),
                    limits,
                    &report.stderr,
                )),
                is_clean: false,
            },
        }
    }

    fn account(&self, task: usize, limits: &Limits, report: &mut TaskReport) {
        let state = self.store.data();
        // What an instance of a session holds, earlier calls have wanted.
        if self.memory_account.is_some() && !self.is_kept {
            self.module.memory_needs.learn(task, state.limiter.wanted());
        }
        report.peak_memory = state.limiter.held();
        (report.stdout, report.stderr) = state.output.take();
        report.refused = state.take_refused();
        report.fuel = limits
            .fuel
            .map(|fuel| fuel.saturating_sub(self.store.get_fuel().unwrap_or(0)));
    }
}

/// Has a module list its own tasks, in an instance that is dropped afterwards. Blocks until the
/// guest has returned or is stopped.
pub(super) fn list(
    compiled: &Compiled,
    driver: &BlockingDriver,
    limits: &Limits,
    control: &Arc<Control>,
) -> Result<Vec<TaskInfo>, TaskError> {
    let (rights, of_caller) = (Capabilities::default(), Arc::clone(control));
    let engine = compiled.engine();
    let mut store = store::new(engine, rights, limits, of_caller, &Arc::default(), None);
    store::prepare(&mut store, limits, control);
    let mut stage = Stage::Start;
    let mut live = None;
    let listed = driver.run(control, async {
        let listing = pin!(async {
            let live = enter(compiled, &mut store, &mut live).await?;
            stage = Stage::Call;
            let tasks = live.contract()?.wasmpool_task0_1_0_tasks();
            tasks.call_list(&mut store).await
        });
        // It may call host functions, all of which are refused.
        abi::bounded(limits.payload, control, listing).await
    });
    let tasks = listed.map_err(|error| {
        let (_, stderr) = store.data().output.take();
        ending::classify(&error, stage, control.stop_reason(), limits, &stderr)
    })?;
    let tasks = tasks.into_iter().map(|task| TaskInfo {
        name: task.name,
        params: task.params,
        doc: task.doc,
        signature: None,
    });
    Ok(tasks.collect())
}

/// The instantiated module of a store. Instantiates it if that is still to be done.
async fn enter<'a>(
    compiled: &Compiled,
    store: &mut Store<State>,
    live: &'a mut Option<Live>,
) -> wasmtime::Result<&'a Live> {
    if live.is_none() {
        // In a box, so that the future of every call is a third smaller: it is moved several times.
        *live = Some(Box::pin(instantiate(compiled, store)).await?);
    }
    Ok(live.as_ref().expect("just made"))
}

async fn instantiate(compiled: &Compiled, store: &mut Store<State>) -> wasmtime::Result<Live> {
    Ok(match compiled {
        Compiled::Component { pre, contract, .. } => {
            let guest = pre.instantiate_async(&mut *store).await?;
            let contract = contract.as_ref();
            let contract = contract.map(|contract| contract.load(&mut *store, &guest));
            Live::Component {
                contract: contract.transpose()?,
                guest,
            }
        }
        Compiled::CoreModule(pre) => {
            let guest = pre.instantiate_async(&mut *store).await?;
            numbers::initialize(store, &guest).await?;
            Live::CoreModule(guest)
        }
    })
}

/// Translates a failure that the guest itself reported.
fn told_by_guest(told: GuestFailure, task: &TaskInfo, report: &TaskReport) -> TaskError {
    match told {
        GuestFailure::Failure(Failure::UnknownTask) => TaskError::new(
            TaskErrorKind::UnknownTask,
            format!(
                "the guest does not know its task `{}`",
                text::name(&task.name)
            ),
        ),
        GuestFailure::Failure(Failure::BadArguments(message)) => {
            TaskError::new(TaskErrorKind::BadArguments, message)
        }
        GuestFailure::Failure(Failure::BadResult(message)) => TaskError::new(
            TaskErrorKind::BadResult,
            format!("the result cannot be encoded: {}", text::cut(message)),
        ),
        GuestFailure::Failure(Failure::Failed(GuestError { code, message })) => {
            TaskError::new(TaskErrorKind::Failed, message).with_code(text::cut(code))
        }
        GuestFailure::Exit(output) => ending::exited(output, report),
        GuestFailure::Error(wire) => told_as_error(&wire, task),
    }
}

/// Translates the error side of a function's result. A text becomes the message; the case of an
/// enum or a variant becomes the code.
fn told_as_error(wire: &[u8], task: &TaskInfo) -> TaskError {
    let ty = task
        .signature
        .as_ref()
        .and_then(|signature| signature.error());
    let failed = |message| TaskError::new(TaskErrorKind::Failed, message);
    let Some(ty) = ty else {
        return failed("it failed, and does not say why".to_owned());
    };
    if *ty == Type::String {
        let message = value::decode_typed::<&str>(Some(ty), wire, usize::MAX);
        return failed(message.map_or_else(|problem| problem, text::message));
    }
    // Writes no more text than an error keeps.
    let message = value::to_wave_cut(Some(ty), wire, text::MESSAGE);
    let message = message.unwrap_or_else(|problem| problem);
    // WAVE writes a case as `name` or `name(value)`.
    let case = matches!(ty, Type::Enum(_) | Type::Variant(_))
        .then(|| message.split('(').next().unwrap_or_default().to_owned());
    failed(message).with_code(case.unwrap_or_default())
}
