//! The kinds of task errors, and whose fault each is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of [`TaskError`](crate::TaskError).
///
/// Its text form, and its name in JSON, is in kebab case: `timed-out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The task itself reported a failure; it chose [`TaskError::code`](crate::TaskError::code)
    /// and the message.
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
    /// The result is larger than the payload limit, or what the guest passed to a host function; or a
    /// program printed more than its output limit.
    OutputLimit,
    /// The guest used up its fuel.
    OutOfFuel,
    /// The guest's calls nested too deep for its stack.
    StackExhausted,
    /// The guest held too many handles at once: open files, sockets, streams and timers. The limit
    /// is 10,000, or 1,000 with a right to a folder or to the network, since a process can open
    /// few files.
    HandleLimit,
    /// The guest trapped: it panicked, aborted, or an instruction failed.
    Trap(TrapCode),
    /// The guest exited with this code; a program has failed.
    ///
    /// Most components know only success and failure (exit codes came to WASI with 0.2.12), so
    /// every code but 0 arrives as 1. Programs for preview 1 keep their codes.
    Exited(i32),
    /// The module could not be instantiated: its start function trapped or exited.
    StartFailed,
    /// The pool was terminated while the task ran.
    ShutDown,
    /// The pool itself failed: the host is out of memory, or wasmpool has a defect.
    Internal,
    /// The module's initializer failed, for this task or an earlier one; the
    /// [cause](crate::TaskError::cause) says why.
    InitializerFailed,
    /// The guest wanted more memory than the pool's
    /// [memory budget](crate::PoolBuilder::memory_budget) has left. It may have what it wants when
    /// other tasks have ended.
    MemoryBudget,
    /// The [session](crate::Session) that the call belongs to has ended before the call began; the
    /// [cause](crate::TaskError::cause) is the error of the call that ended it, if one did.
    SessionEnded,
    /// A [host function](crate::HostFunctions) that the guest called returned an error or panicked, or
    /// returned a value that the guest does not take.
    HostFunction,
    /// The guest called a host function that it was
    /// [not granted](crate::Capabilities::host_function).
    NotGranted,
    /// A host function does not take a value that the guest passed: a number too large for its type, a
    /// text that its type refuses.
    HostArguments,
}

/// Which trap ended a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TrapCode {
    /// An `unreachable` instruction; panics and aborts end with it.
    Unreachable,
    /// An access outside of the memory.
    MemoryOutOfBounds,
    /// An access outside of a table.
    TableOutOfBounds,
    /// An indirect call to a null entry, or to a function of another type.
    BadIndirectCall,
    /// An integer division by zero.
    DivisionByZero,
    /// An integer division or conversion whose result does not fit.
    IntegerOverflow,
    /// The guest broke a rule of the component model.
    ComponentRule,
    /// Another trap; the message says which.
    Other,
}

/// Who can do something about a [`TaskError`](crate::TaskError).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The guest: it failed, misbehaved, or met a limit.
    Guest,
    /// The caller: it passed wrong arguments, cancelled the task, called a session that has ended, or
    /// granted too little.
    Caller,
    /// The pool, its machine or the embedding program: too busy, shut down, or broken.
    Host,
}

impl TaskErrorKind {
    /// How many kinds there are; all traps count as one kind, and all exits as one.
    pub(crate) const COUNT: usize = 23;

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
        "memory-budget",
        "session-ended",
        "host-function",
        "not-granted",
        "host-arguments",
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
            Self::MemoryBudget => 18,
            Self::SessionEnded => 19,
            Self::HostFunction => 20,
            Self::NotGranted => 21,
            Self::HostArguments => 22,
        }
    }

    /// Whose fault it is: who can do something about it.
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
            | Self::InitializerFailed
            | Self::HostArguments => Fault::Guest,
            Self::BadArguments
            | Self::UnknownTask
            | Self::Cancelled
            | Self::SessionEnded
            | Self::NotGranted => Fault::Caller,
            Self::QueueTimedOut
            | Self::ShutDown
            | Self::Internal
            | Self::MemoryBudget
            | Self::HostFunction => Fault::Host,
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
