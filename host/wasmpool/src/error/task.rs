//! Why a task came to no result.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kinds::{Fault, TaskErrorKind};
use crate::call::{Limits, Output, StopReason};
use crate::value::text;

/// Why a task came to no result.
///
/// Cheap to clone: all clones share one allocation, so an error can be looked at many times
/// and by many threads. [`Display`](fmt::Display) gives one line for people;
/// [`kind`](Self::kind) and the predicates are for programs.
#[derive(Clone)]
pub struct TaskError(Arc<Detail>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Detail {
    kind: TaskErrorKind,
    message: String,
    code: String,
    backtrace: Vec<Frame>,
    stderr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<TaskError>,
}

/// One frame of a guest's backtrace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Frame {
    /// The function's demangled name, cut after 256 bytes and without control characters, or its
    /// index in the module where it has no name.
    pub function: String,
    /// The source file, where the module carries debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
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
    /// An error with only a kind and a message. A message over 16 KiB is cut.
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

    /// The error of a task that was stopped for this reason.
    pub(crate) fn stopped(reason: StopReason, limits: &Limits) -> Self {
        let longer_than = |verb, limit: Option<_>| {
            let limit = limit.unwrap_or_default();
            format!("timed out: it {verb} longer than {limit:?}")
        };
        let (kind, message) = match reason {
            StopReason::Cancelled => (TaskErrorKind::Cancelled, "cancelled".to_owned()),
            StopReason::TimedOut => {
                let message = longer_than("ran", limits.task_timeout);
                (TaskErrorKind::TimedOut, message)
            }
            StopReason::ComputeTimedOut => {
                let message = longer_than("computed", limits.compute_timeout);
                (TaskErrorKind::TimedOut, message)
            }
            StopReason::ShutDown => (
                TaskErrorKind::ShutDown,
                "the pool was terminated while the task ran".to_owned(),
            ),
            StopReason::NobodyWakes => (
                TaskErrorKind::Internal,
                "the thread that wakes guests which wait cannot be started; raise the limit of \
                 threads (`ulimit -u`, or `pids.max` of the container), or ask for fewer workers"
                    .to_owned(),
            ),
        };
        Self::new(kind, message)
    }

    /// The error of a task whose instance could not be initialized.
    pub(crate) fn initializer_failed(name: &str, cause: TaskError) -> Self {
        let message = format!("the initializer `{}` failed: {cause}", text::name(name));
        let cause = Some(cause);
        Self::new(TaskErrorKind::InitializerFailed, message).change(|detail| detail.cause = cause)
    }

    /// The error of a call that its session can no longer run. The `cause` is the error of the call
    /// that ended the session.
    pub(crate) fn session_ended(why: &str, cause: Option<TaskError>) -> Self {
        let message = match &cause {
            Some(cause) => format!("the session has ended: {why}: {cause}"),
            None => format!("the session has ended: {why}"),
        };
        Self::new(TaskErrorKind::SessionEnded, message).change(|detail| detail.cause = cause)
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

    /// The message, the same as the `Display` form; at most 16 KiB. Text of the guest in it is not
    /// escaped: escape control characters before you write it to a terminal.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The code of the failure, chosen by the task; empty if it gave none.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Where the guest was, innermost frame first; empty if unknown.
    ///
    /// A guest that was stopped while it waited in the host has no backtrace.
    pub fn backtrace(&self) -> &[Frame] {
        &self.0.backtrace
    }

    /// The last 4 KiB that the task wrote to standard error.
    pub fn stderr(&self) -> &str {
        &self.0.stderr
    }

    /// The output and exit code of a program that exited with a code other than 0; `None` for
    /// every other error.
    pub fn output(&self) -> Option<&Output> {
        self.0.output.as_ref()
    }

    /// The error of the initializer, if that failed; or of the call that ended the session. The
    /// message includes it.
    pub fn cause(&self) -> Option<&TaskError> {
        self.0.cause.as_ref()
    }

    /// Whose fault it is: who can do something about it.
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

    /// Whether the guest met one of its limits: time, memory, fuel, stack, handles or output. The
    /// pool's memory budget is none of its own.
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

impl<'de> Deserialize<'de> for TaskError {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Detail::deserialize(deserializer).map(|detail| Self(Arc::new(detail)))
    }
}
