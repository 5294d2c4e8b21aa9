//! What went wrong with a task, a module, a submission or a pool.
//!
//! Knows nothing of how it was found out: the sandbox and the pool build these values.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::output::Output;
use crate::signature::Uncallable;
use crate::text::{self, Listed};

/// Why a task came to no result.
///
/// Cheap to clone: all clones share one allocation, so an error can be looked at many times
/// and by many threads. [`Display`](fmt::Display) gives one line for people;
/// [`kind`](Self::kind) and the predicates are for programs.
#[derive(Clone)]
pub struct TaskError(Arc<Detail>);

#[derive(Debug, Clone, Serialize)]
struct Detail {
    kind: TaskErrorKind,
    message: String,
    code: String,
    backtrace: Vec<Frame>,
    stderr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<TaskError>,
}

/// The kinds of [`TaskError`].
///
/// Its text form, and its name in JSON, is in kebab case: `timed-out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The task itself reported a failure; [`TaskError::code`] and the message are its own.
    Failed,
    /// The arguments do not fit the task, or are larger than the payload limit.
    BadArguments,
    /// The result is not MessagePack, or not of the type that the caller expects.
    BadResult,
    /// The module has no task of that name.
    UnknownTask,
    /// The task ran longer than its `task_timeout`.
    TimedOut,
    /// The task waited in the queue longer than its `queue_timeout`, and never started.
    QueueTimedOut,
    /// Somebody cancelled the task, or the pool shut down before it started.
    Cancelled,
    /// The guest wanted more memory than the limit allows.
    MemoryLimit,
    /// The result is larger than the payload limit, or a program has printed more than it may.
    OutputLimit,
    /// The guest used up its fuel.
    OutOfFuel,
    /// The guest's calls nested too deep for its stack.
    StackExhausted,
    /// The guest held more things of the host at once than it may: open files, sockets, streams
    /// and timers. It may hold 10,000, and 1,000 with a right to a folder or to the network, since
    /// the process can open few files.
    HandleLimit,
    /// The guest trapped: it panicked, aborted, or executed an instruction that it may not.
    Trap(TrapCode),
    /// The guest exited, with this code; a program that has failed.
    ///
    /// Most components know only success and failure (exit codes came to WASI with 0.2.12), so
    /// every code but 0 arrives as 1. Programs for preview 1 keep their codes.
    Exited(i32),
    /// The module could not be brought to life: its start function trapped or exited.
    StartFailed,
    /// The pool was terminated while the task ran.
    ShutDown,
    /// The pool itself failed: its host has no memory left, or wasmpool has a defect.
    Internal,
    /// The module's initializer failed, for this task or an earlier one, and why is its
    /// [cause](TaskError::cause).
    InitializerFailed,
}

/// Which trap ended a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TrapCode {
    /// An `unreachable` instruction: how panics and aborts end.
    Unreachable,
    /// An access outside of the memory.
    MemoryOutOfBounds,
    /// An access outside of a table.
    TableOutOfBounds,
    /// An indirect call to nothing, or to a function of another type.
    BadIndirectCall,
    /// An integer division by zero.
    DivisionByZero,
    /// An integer division or conversion whose result does not fit.
    IntegerOverflow,
    /// The guest broke a rule of the component model.
    ComponentRule,
    /// A trap of another sort; the message says which.
    Other,
}

/// Who can do something about a [`TaskError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The guest: it failed, misbehaved, or met a limit.
    Guest,
    /// The caller: it passed the wrong thing, or stopped the task.
    Caller,
    /// The pool or its machine: too busy, shut down, or broken.
    Host,
}

/// One frame of a guest's backtrace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// The function's demangled name, cut after 256 bytes and without control characters, or its
    /// index in the module where it has no name.
    pub function: String,
    /// The source file, where the module carries debug information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl TaskErrorKind {
    /// How many kinds there are, taking all traps and all exits for one each.
    pub(crate) const COUNT: usize = 18;

    /// The names of the kinds, by their index.
    pub(crate) const NAMES: [&str; Self::COUNT] = [
        "failed",
        "bad-arguments",
        "bad-result",
        "unknown-task",
        "timed-out",
        "queue-timed-out",
        "cancelled",
        "memory-limit",
        "output-limit",
        "out-of-fuel",
        "stack-exhausted",
        "handle-limit",
        "trap",
        "exited",
        "start-failed",
        "shut-down",
        "internal",
        "initializer-failed",
    ];

    /// The name of the kind: `timed-out`.
    ///
    /// All traps share the name `trap`, and all exits the name `exited`.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// The place of the kind among all, below [`COUNT`](Self::COUNT).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Failed => 0,
            Self::BadArguments => 1,
            Self::BadResult => 2,
            Self::UnknownTask => 3,
            Self::TimedOut => 4,
            Self::QueueTimedOut => 5,
            Self::Cancelled => 6,
            Self::MemoryLimit => 7,
            Self::OutputLimit => 8,
            Self::OutOfFuel => 9,
            Self::StackExhausted => 10,
            Self::HandleLimit => 11,
            Self::Trap(_) => 12,
            Self::Exited(_) => 13,
            Self::StartFailed => 14,
            Self::ShutDown => 15,
            Self::Internal => 16,
            Self::InitializerFailed => 17,
        }
    }

    /// Who can do something about it.
    pub fn fault(self) -> Fault {
        match self {
            Self::Failed
            | Self::BadResult
            | Self::TimedOut
            | Self::MemoryLimit
            | Self::OutputLimit
            | Self::OutOfFuel
            | Self::StackExhausted
            | Self::HandleLimit
            | Self::Trap(_)
            | Self::Exited(_)
            | Self::StartFailed
            | Self::InitializerFailed => Fault::Guest,
            Self::BadArguments | Self::UnknownTask | Self::Cancelled => Fault::Caller,
            Self::QueueTimedOut | Self::ShutDown | Self::Internal => Fault::Host,
        }
    }
}

impl TrapCode {
    fn describe(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable code reached",
            Self::MemoryOutOfBounds => "memory access out of bounds",
            Self::TableOutOfBounds => "table access out of bounds",
            Self::BadIndirectCall => "bad indirect call",
            Self::DivisionByZero => "integer division by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::ComponentRule => "a rule of the component model was broken",
            Self::Other => "trap",
        }
    }
}

impl fmt::Display for TrapCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.describe())
    }
}

impl fmt::Display for TaskErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(formatter, " at {file}:{line}"),
            (Some(file), None) => write!(formatter, " at {file}"),
            _ => Ok(()),
        }
    }
}

impl TaskError {
    /// An error with no more to it than a kind and a message, which is cut where it is too long.
    pub(crate) fn new(kind: TaskErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Detail {
            kind,
            message: text::cut(message.into()),
            code: String::new(),
            backtrace: Vec::new(),
            stderr: String::new(),
            output: None,
            cause: None,
        }))
    }

    /// The error of a task whose instance could not be initialized.
    pub(crate) fn initializer_failed(name: &str, cause: TaskError) -> Self {
        let message = format!("the initializer `{}` failed: {cause}", text::name(name));
        let cause = Some(cause);
        Self::new(TaskErrorKind::InitializerFailed, message).change(|detail| detail.cause = cause)
    }

    pub(crate) fn with_code(self, code: String) -> Self {
        self.change(|detail| detail.code = code)
    }

    pub(crate) fn with_backtrace(self, backtrace: Vec<Frame>) -> Self {
        self.change(|detail| detail.backtrace = backtrace)
    }

    pub(crate) fn with_stderr(self, stderr: String) -> Self {
        self.change(|detail| detail.stderr = stderr)
    }

    pub(crate) fn with_output(self, output: Output) -> Self {
        self.change(|detail| detail.output = Some(output))
    }

    fn change(mut self, change: impl FnOnce(&mut Detail)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> TaskErrorKind {
        self.0.kind
    }

    /// What happened, for people; the same as the `Display` form. It is cut after 16 KiB. The
    /// words of a guest in it are as the guest has said them: whoever writes them to a terminal
    /// has to see to control characters.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The code that the task gave its failure; empty if it gave none.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Where the guest was, innermost frame first; empty where that is not known.
    ///
    /// A guest that was stopped while it waited in the host has no backtrace.
    pub fn backtrace(&self) -> &[Frame] {
        &self.0.backtrace
    }

    /// The last that the task wrote to standard error, at most 4 KiB of it.
    pub fn stderr(&self) -> &str {
        &self.0.stderr
    }

    /// All that a program printed that ended with an exit code other than 0, and that code.
    pub fn output(&self) -> Option<&Output> {
        self.0.output.as_ref()
    }

    /// What the initializer ended with, if that is what failed. The message tells it too.
    pub fn cause(&self) -> Option<&TaskError> {
        self.0.cause.as_ref()
    }

    /// Who can do something about it.
    pub fn fault(&self) -> Fault {
        self.kind().fault()
    }

    /// Whether the task ran out of time, in the queue or while it ran.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.kind(),
            TaskErrorKind::TimedOut | TaskErrorKind::QueueTimedOut
        )
    }

    /// Whether the task was cancelled, or stopped by a terminating pool.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self.kind(),
            TaskErrorKind::Cancelled | TaskErrorKind::ShutDown
        )
    }

    /// Whether the guest met one of its limits: time, memory, fuel, stack, handles or output.
    pub fn is_limit(&self) -> bool {
        matches!(
            self.kind(),
            TaskErrorKind::TimedOut
                | TaskErrorKind::MemoryLimit
                | TaskErrorKind::OutputLimit
                | TaskErrorKind::OutOfFuel
                | TaskErrorKind::StackExhausted
                | TaskErrorKind::HandleLimit
        )
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("code", &self.0.code)
            .field("backtrace", &self.0.backtrace)
            .field("stderr", &self.0.stderr)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl std::error::Error for TaskError {}

impl Serialize for TaskError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Why a module could not be loaded. Cheap to clone: several threads may wait for one load.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// The bytes are neither WebAssembly nor its text form.
    #[error(
        "not WebAssembly: neither a binary nor the text form; build a guest with \
         `cargo build --release --target wasm32-wasip2`"
    )]
    NotWasm,
    /// The bytes are native code that was compiled ahead of time.
    #[error(
        "compiled ahead of time: such a file is native code, which is loaded only when it is \
         named as trusted (`--trusted-cwasm`, `Pool::load_precompiled`); or load the `.wasm` that \
         it was made from"
    )]
    Precompiled,
    /// The file was not compiled for this pool: it is not native code, or that of another
    /// version or with other settings.
    #[error(
        "not compiled for this pool: {}; compile it anew, with the pool's own settings",
        text::message(.0)
    )]
    Unfit(String),
    /// The module is a core module, and neither a program for WASI preview 1 nor one that exports
    /// functions of numbers.
    #[error(
        "a core module that cannot be used: {}; build it for `wasm32-wasip2`, or turn it into a \
         component with `wasm-tools component new`, which can take text and lists too",
        text::message(problem)
    )]
    CoreModule {
        /// What it lacks, or wants beside `wasi_snapshot_preview1`.
        problem: String,
    },
    /// The bytes claim to be WebAssembly but do not hold.
    #[error("not valid WebAssembly: {}", text::message(.0))]
    Invalid(String),
    /// The module is valid, and needs something of WebAssembly that no pool has:
    ///
    /// - shared memories and atomic instructions: a guest is one thread;
    /// - garbage-collected types, and exceptions, which the engine keeps as such: they bring a
    ///   collector into each sandbox, native code that works on a guest's data, and few modules
    ///   for WASI need one so far;
    /// - more than 4 memories or 32 tables: their addresses are reserved for each instance;
    /// - a proposal that is not finished.
    ///
    /// Several memories, 64-bit memories, tail calls, SIMD and typed function references are on,
    /// and a module needs no memory at all.
    #[error("needs more of WebAssembly than is offered here: {}", text::message(.0))]
    Unsupported(String),
    /// The component exports nothing that can be called as a task.
    #[error("nothing to call: {}", exports_hint(exports, uncallable))]
    NothingToCall {
        /// What it exports all the same.
        exports: Vec<String>,
        /// The functions among it, and why they cannot be called.
        uncallable: Vec<Uncallable>,
    },
    /// The component exports our world in a version that this pool does not speak.
    #[error(
        "made for `{}`, while this pool speaks `wasmpool:task/tasks@0.1.0`: rebuild the guest \
         against that version of the contract",
        text::name(found)
    )]
    WorldVersion {
        /// The interface that it exports.
        found: String,
    },
    /// The component imports what the pool does not offer.
    #[error(
        "it imports what the pool does not offer: {}; a guest gets `wasmpool:task/context` \
         and WASI 0.2 (`wasi:cli`, `clocks`, `filesystem`, `io`, `random`, `sockets`)",
        Listed(imports)
    )]
    UnknownImport {
        /// The imports in question.
        imports: Vec<String>,
    },
    /// The component exports or imports our interfaces with other types than ours.
    #[error("its types do not fit the contract `wasmpool:task@0.1.0`: {}", text::message(.0))]
    WrongTypes(String),
    /// The component could not be asked for its tasks.
    #[error("it could not be asked for its tasks: {0}")]
    List(TaskError),
    /// Loading took longer than the pool's [`load_timeout`](crate::PoolBuilder::load_timeout).
    #[error(
        "not loaded within {timeout:?}: allow more time (`load_timeout`, `--load-timeout`), or \
         compile the module ahead of time (`wasmpool compile`, `Pool::precompile`)"
    )]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The pool was dropped while the module was being loaded.
    #[error("the pool was dropped while the module was being loaded")]
    ShutDown,
    /// A thread to load the module could not be started.
    #[error("a thread to load it cannot be started")]
    Thread(#[source] Arc<std::io::Error>),
}

fn exports_hint(exports: &[String], uncallable: &[Uncallable]) -> String {
    /// How many reasons are given.
    const REASONS: usize = 8;

    if exports.is_empty() {
        return "the component exports nothing at all".to_owned();
    }
    if uncallable.is_empty() {
        return format!(
            "the component exports no function, only {}; write a guest with the crate \
             `wasmpool-guest`, or export functions",
            Listed(exports)
        );
    }
    let reasons = uncallable.iter().take(REASONS);
    let reasons =
        reasons.map(|function| format!("`{}`: {}", text::name(&function.name), function.reason));
    let mut reasons = reasons.collect::<Vec<_>>().join(", ");
    if uncallable.len() > REASONS {
        reasons += &format!(" and {} more", uncallable.len() - REASONS);
    }
    format!("no function that the component exports can be a task ({reasons})")
}

/// Leads over to the names of the tasks, by the one that is most like `name`, if one is.
fn did_you_mean(name: &str, tasks: &[String]) -> String {
    /// More names than that, or longer ones, are not compared: it takes the product of their lengths.
    const COMPARED: usize = 1_000;
    const LENGTH: usize = 128;
    /// From which on two names are alike; 1 is the same name.
    const ALIKE: f64 = 0.8;
    if name.len() > LENGTH {
        return "it has".to_owned();
    }
    let function = |task: &str| task.rsplit('#').next().unwrap_or_default().to_owned();
    let compared = tasks
        .iter()
        .take(COMPARED)
        .filter(|task| task.len() <= LENGTH);
    let alike = compared.map(|task| {
        let whole = strsim::jaro_winkler(name, task);
        let short = strsim::jaro_winkler(&function(name), &function(task));
        (whole.max(short), task)
    });
    let nearest = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((likeness, task)) if likeness >= ALIKE => {
            format!("did you mean `{}`? It has", text::name(task))
        }
        _ => "it has".to_owned(),
    }
}

/// Why a typed reference to a task, or an initializer out of one, could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskRefError {
    /// The module has no task of that name.
    #[error(
        "the module has no task `{}`; {} {}",
        text::name(name),
        did_you_mean(name, tasks),
        Listed(tasks)
    )]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        tasks: Vec<String>,
    },
    /// The name is the end of several tasks' names.
    #[error(
        "the module has several tasks `{}`: {}",
        text::name(name),
        Listed(tasks)
    )]
    Ambiguous {
        /// The name that was asked for.
        name: String,
        /// The names that it could stand for.
        tasks: Vec<String>,
    },
    /// The module exports a function of that name, and it cannot be a task.
    #[error("the function `{}` cannot be called: {}", text::name(&.0.name), .0.reason)]
    Uncallable(Uncallable),
    /// The task takes another number of arguments.
    #[error(
        "the task `{}` has {expected} parameters, and the reference {given} arguments",
        text::name(name)
    )]
    Arity {
        /// The task.
        name: String,
        /// How many it takes.
        expected: usize,
        /// How many the type of the reference has.
        given: usize,
    },
    /// The module is no program.
    #[error(
        "the module is no program: it exports no `wasi:cli/run`; its tasks are {}",
        Listed(tasks)
    )]
    NoProgram {
        /// What it has instead.
        tasks: Vec<String>,
    },
    /// A program was to be an initializer.
    #[error(
        "`{}` is a program, which runs once and leaves no instance behind it",
        text::name(name)
    )]
    ProgramAsInitializer {
        /// The task.
        name: String,
    },
    /// The initializer is a task of another module.
    #[error("the initializer `{}` is a task of another module", text::name(name))]
    OtherModule {
        /// The task.
        name: String,
    },
    /// The initializer's arguments do not fit, or cannot be written as MessagePack.
    #[error("{0}")]
    BadArguments(String),
}

/// Why a submission was refused; it gives the arguments back.
pub struct SubmitError<Args> {
    kind: SubmitErrorKind,
    arguments: Args,
}

/// The kinds of [`SubmitError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitErrorKind {
    /// The queue has no room, and the caller did not want to wait for it, or not any longer.
    #[error("the queue is full")]
    Full,
    /// The pool has been shut down.
    #[error("the pool is shut down")]
    ShutDown,
    /// The arguments cannot be written as MessagePack, or are larger than the payload limit.
    #[error("{0}")]
    BadArguments(String),
    /// The task has a fuel limit of its own, and the pool counts no fuel.
    #[error("the pool does not meter fuel; build it with a `fuel_limit` of its own")]
    FuelNotMetered,
    /// The task was loaded by another pool.
    #[error("the task belongs to another pool; load its module with this one")]
    ForeignTask,
}

impl<Args> SubmitError<Args> {
    pub(crate) fn new(kind: SubmitErrorKind, arguments: Args) -> Self {
        Self { kind, arguments }
    }

    /// Why it was refused.
    pub fn kind(&self) -> &SubmitErrorKind {
        &self.kind
    }

    /// Whether there was no room in the queue.
    pub fn is_full(&self) -> bool {
        self.kind == SubmitErrorKind::Full
    }

    /// Whether the pool has been shut down.
    pub fn is_shut_down(&self) -> bool {
        self.kind == SubmitErrorKind::ShutDown
    }

    /// The arguments, for another try.
    pub fn into_arguments(self) -> Args {
        self.arguments
    }
}

impl SubmitErrorKind {
    /// The same refusal, as the outcome of a task.
    pub(crate) fn into_task_error(self) -> TaskError {
        let kind = match self {
            Self::ShutDown => TaskErrorKind::ShutDown,
            Self::BadArguments(_) | Self::FuelNotMetered | Self::ForeignTask => {
                TaskErrorKind::BadArguments
            }
            Self::Full => TaskErrorKind::QueueTimedOut,
        };
        TaskError::new(kind, self.to_string())
    }
}

impl<Args> fmt::Display for SubmitError<Args> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl<Args> fmt::Debug for SubmitError<Args> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SubmitError")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<Args> std::error::Error for SubmitError<Args> {}

/// Why a pool could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is out of its range.
    #[error("{setting}: {problem}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong with its value, and which values are right.
        problem: String,
    },
    /// The sandbox does not work on this machine.
    #[error("the sandbox cannot be set up: {0}")]
    Sandbox(String),
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}
