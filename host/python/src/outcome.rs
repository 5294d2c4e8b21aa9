//! How a call has ended, as Python sees it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_bytes::{ByteBuf, Bytes};
use wasmpool::{TaskError, TaskFuture, TaskReport};

/// A call that has ended.
pub(crate) struct Ended {
    pub(crate) ticket: u64,
    pub(crate) future: Arc<TaskFuture<ByteBuf>>,
}

/// `(ticket, answer, error, report)`: the answer is None where there is an error.
pub(crate) type Outcome<'py> = (
    u64,
    Option<Bound<'py, PyBytes>>,
    Option<ErrorParts>,
    ReportParts<'py>,
);

/// The kind, the message, the exit code, and the end of what was written to standard error.
pub(crate) type ErrorParts = (String, String, Option<i32>, String);

/// Seconds in the queue, seconds that it ran, seconds that it computed, bytes at most, standard output
/// and how much there was in all, standard error and how much there was in all, the worker.
pub(crate) type ReportParts<'py> = (
    f64,
    f64,
    f64,
    usize,
    Bound<'py, PyBytes>,
    u64,
    Bound<'py, PyBytes>,
    u64,
    Option<usize>,
);

impl Ended {
    pub(crate) fn into_python(self, py: Python<'_>) -> Outcome<'_> {
        let empty = TaskReport::default();
        let report = report_parts(py, self.future.report().unwrap_or(&empty));
        match self.future.wait_as::<&Bytes>() {
            Ok(bytes) => (self.ticket, Some(PyBytes::new(py, bytes)), None, report),
            Err(error) => (self.ticket, None, Some(error_parts(&error)), report),
        }
    }
}

fn error_parts(error: &TaskError) -> ErrorParts {
    let code = match error.kind() {
        wasmpool::TaskErrorKind::Exited(code) => Some(code),
        _ => None,
    };
    (
        error.kind().name().to_owned(),
        error.message().to_owned(),
        code,
        error.stderr().to_owned(),
    )
}

fn report_parts<'py>(py: Python<'py>, report: &TaskReport) -> ReportParts<'py> {
    (
        report.queued.as_secs_f64(),
        report.ran.as_secs_f64(),
        report.computed.as_secs_f64(),
        report.peak_memory,
        PyBytes::new(py, &report.stdout.tail),
        report.stdout.written,
        PyBytes::new(py, &report.stderr.tail),
        report.stderr.written,
        report.worker,
    )
}
