//! Translates the end of a call into a guest to our own errors.
//!
//! Decides by the type of the error and by the reason of a stop, never by the text of a message.

use rustix::io::Errno;
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::abi::PayloadLimitReached;
use super::address_space::memory_remedy;
use super::host;
use super::limiter::{MemoryBudgetUsedUp, MemoryLimitReached};
use super::store::Stopped;
use super::wasi::captured::OutputLimitReached;
use crate::call::{Captured, Limits, Output, StopReason, TaskReport};
use crate::error::{Frame, TaskError, TaskErrorKind, TrapCode};
use crate::value::text;

/// How much of standard error an error has. The report has more.
const STDERR_SIZE: usize = 4 << 10;

/// How many lines of standard error the message of a trap has.
const LAST_WORDS: usize = 3;

/// How many frames of a backtrace are kept. The engine returns at most twenty, but each may stand
/// for any number of inlined functions.
const FRAMES: usize = 100;

/// What the guest was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Instantiating the module.
    Start,
    /// Running a task.
    Call,
}

/// The error for a guest that did not return by itself.
pub(super) fn classify(
    error: &Error,
    stage: Stage,
    stop_reason: Option<StopReason>,
    limits: &Limits,
    stderr: &Captured,
) -> TaskError {
    let stderr_text = last_text(stderr);
    let (kind, message) = kind_and_message(error, stage, stop_reason, limits, &stderr_text);
    let (kind, message) = match (stage, kind) {
        // Other kinds, such as limits, stay what they are during the start.
        (Stage::Start, TaskErrorKind::Trap(_) | TaskErrorKind::Exited(_)) => (
            TaskErrorKind::StartFailed,
            format!("the module could not be started: {message}"),
        ),
        (_, kind) => (kind, message),
    };
    TaskError::new(kind, message)
        .with_backtrace(backtrace(error))
        .with_stderr(stderr_text)
}

/// The error for a program that exited with a code other than 0.
pub(super) fn exited(output: Output, report: &TaskReport) -> TaskError {
    let code = output.status.code();
    let message = format!("exited with code {code}");
    TaskError::new(TaskErrorKind::Exited(code), message)
        .with_stderr(last_text(&report.stderr))
        .with_output(output)
}

fn kind_and_message(
    error: &Error,
    stage: Stage,
    stop_reason: Option<StopReason>,
    limits: &Limits,
    stderr: &str,
) -> (TaskErrorKind, String) {
    if error.is::<Stopped>() {
        return match stop_reason {
            Some(reason) => {
                let stopped = TaskError::stopped(reason, limits);
                (stopped.kind(), stopped.message().to_owned())
            }
            None => (
                TaskErrorKind::Internal,
                "stopped without a reason".to_owned(),
            ),
        };
    }
    if let Some(reached) = error.downcast_ref::<MemoryLimitReached>() {
        return (TaskErrorKind::MemoryLimit, reached.to_string());
    }
    if let Some(used_up) = error.downcast_ref::<MemoryBudgetUsedUp>() {
        return (TaskErrorKind::MemoryBudget, used_up.to_string());
    }
    if let Some(reached) = error.downcast_ref::<OutputLimitReached>() {
        return (TaskErrorKind::OutputLimit, reached.to_string());
    }
    if let Some(reached) = error.downcast_ref::<PayloadLimitReached>() {
        return (TaskErrorKind::OutputLimit, reached.to_string());
    }
    if let Some(failed) = error.downcast_ref::<host::Failed>() {
        return (failed.kind, failed.to_string());
    }
    if let Some(not_granted) = error.downcast_ref::<host::NotGranted>() {
        return (TaskErrorKind::NotGranted, not_granted.to_string());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        let message =
            "too many handles: open files, sockets, streams, timers and calls under way at once";
        return (TaskErrorKind::HandleLimit, message.to_owned());
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return (
            TaskErrorKind::Exited(*code),
            format!("exited with code {code}"),
        );
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trapped(*trap, stderr);
    }
    if stage == Stage::Start {
        // All other errors of the start are the host's: it lacks memory or a slot.
        let message = format!("the module cannot be instantiated: {}", error.root_cause());
        let message = match error.root_cause().downcast_ref::<Errno>() {
            Some(&Errno::NOMEM) => format!("{message}; {}", memory_remedy()),
            _ => message,
        };
        return (TaskErrorKind::Internal, message);
    }
    // All other errors are violations of the component model's rules, which have no type.
    (
        TaskErrorKind::Trap(TrapCode::ComponentRule),
        format!("trapped: {}", error.root_cause()),
    )
}

fn trapped(trap: Trap, stderr: &str) -> (TaskErrorKind, String) {
    let code = match trap {
        Trap::OutOfFuel => return (TaskErrorKind::OutOfFuel, "out of fuel".to_owned()),
        Trap::StackOverflow => {
            return (
                TaskErrorKind::StackExhausted,
                "stack exhausted: its calls nest too deep".to_owned(),
            );
        }
        Trap::UnreachableCodeReached => TrapCode::Unreachable,
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull | Trap::BadSignature => TrapCode::BadIndirectCall,
        Trap::IntegerDivisionByZero => TrapCode::DivisionByZero,
        Trap::IntegerOverflow | Trap::BadConversionToInteger => TrapCode::IntegerOverflow,
        Trap::CannotEnterComponent | Trap::CannotLeaveComponent => TrapCode::ComponentRule,
        _ => TrapCode::Other,
    };
    let what = match code {
        TrapCode::Other => trap.to_string(),
        code => code.to_string(),
    };
    // The text of a panic is on standard error. The trap only says that an unreachable instruction
    // was executed.
    let last_words = match code {
        TrapCode::Unreachable => last_words(stderr),
        _ => String::new(),
    };
    let message = if last_words.is_empty() {
        format!("trapped: {what}")
    } else {
        format!("trapped: {what}: {last_words}")
    };
    (TaskErrorKind::Trap(code), message)
}

/// The end of standard error, as text.
fn last_text(stderr: &Captured) -> String {
    let start = stderr.tail.len().saturating_sub(STDERR_SIZE);
    String::from_utf8_lossy(&stderr.tail[start..]).into_owned()
}

/// The last lines, joined to one line.
fn last_words(stderr: &str) -> String {
    let lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let lines = lines.collect::<Vec<_>>();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join(" ")
}

fn backtrace(error: &Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let frames = backtrace.frames().iter().flat_map(|frame| {
        let index = || format!("function {}", frame.func_index());
        let without_symbols = frame.symbols().is_empty().then(|| Frame {
            function: frame.func_name().map(demangle).unwrap_or_else(index),
            file: None,
            line: None,
        });
        // Inlined functions share a frame, and have a symbol each.
        let symbols = frame.symbols().iter().map(move |symbol| Frame {
            function: symbol
                .name()
                .or(frame.func_name())
                .map(demangle)
                .unwrap_or_else(index),
            file: symbol.file().map(text::name),
            line: symbol.line(),
        });
        without_symbols.into_iter().chain(symbols)
    });
    frames.take(FRAMES).collect()
}

/// The demangled name, without the hash that Rust adds. It is cut, since a mangled name can refer
/// to its own parts and so be far shorter than the demangled one.
fn demangle(name: &str) -> String {
    text::name(format_args!("{:#}", rustc_demangle::demangle(name)))
}
