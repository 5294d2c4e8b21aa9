//! Calls that were submitted, and how their outcomes come to Python: in batches, on a thread of its own.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_bytes::{ByteBuf, Bytes};
use wasmpool::{Child, TaskError, TaskErrorKind, TaskFuture, TaskReport, TaskState};

/// How many outcomes a thread takes at once.
const BATCH: usize = 256;

/// A call that was submitted, whatever its result is.
pub(crate) trait Submitted: Send + Sync {
    fn cancel(&self) -> bool;
    fn state(&self) -> TaskState;
    fn progress(&self) -> Option<(u64, Option<u64>)>;
    fn report(&self) -> Option<&TaskReport>;
    /// The result as bytes. Blocks until it is there.
    fn answer<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, TaskError>;
}

/// A call that was submitted.
#[pyclass(frozen)]
pub(crate) struct Call(pub(crate) Arc<dyn Submitted>);

#[pymethods]
impl Call {
    /// Cancels the call, queued or running. Returns whether that is its outcome. Does not block.
    fn cancel(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.cancel())
    }

    /// Whether it has started and not ended.
    fn is_running(&self) -> bool {
        matches!(self.0.state(), TaskState::Running | TaskState::Suspended)
    }

    /// The last progress that it has reported: units done, and units in total if that is known.
    fn progress(&self) -> Option<(u64, Option<u64>)> {
        self.0.progress()
    }
}

/// The outcomes of a pool.
pub(crate) struct Delivery {
    outcomes: Receiver<Option<Ended>>,
    sender: Sender<Option<Ended>>,
}

/// A call that has ended.
struct Ended {
    ticket: u64,
    call: Arc<dyn Submitted>,
}

/// Where calls tell that they have ended.
pub(crate) struct Ending(Sender<Option<Ended>>);

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

impl Delivery {
    pub(crate) fn new() -> Self {
        let (sender, outcomes) = crossbeam_channel::unbounded();
        Self { outcomes, sender }
    }

    pub(crate) fn ending(&self) -> Ending {
        Ending(self.sender.clone())
    }

    /// Blocks until calls have ended, and returns their outcomes; none if `stop` was called.
    pub(crate) fn outcomes<'py>(&self, py: Python<'py>) -> Vec<Outcome<'py>> {
        let Ok(Some(first)) = py.detach(|| self.outcomes.recv()) else {
            return Vec::new();
        };
        let others = std::iter::from_fn(|| match self.outcomes.try_recv() {
            Ok(None) => {
                // For the next time.
                self.stop();
                None
            }
            Ok(ended) => ended,
            Err(_) => None,
        });
        std::iter::once(first)
            .chain(others.take(BATCH - 1))
            .map(|ended| ended.into_python(py))
            .collect()
    }

    /// Has `outcomes` return nothing after those that there are.
    pub(crate) fn stop(&self) {
        // The receiver is a field of its own.
        let _ = self.sender.send(None);
    }
}

impl Ending {
    pub(crate) fn tell(self, ticket: u64, call: Arc<dyn Submitted>) {
        // Nobody listens once the executor is gone.
        let _ = self.0.send(Some(Ended { ticket, call }));
    }
}

impl Ended {
    fn into_python(self, py: Python<'_>) -> Outcome<'_> {
        let empty = TaskReport::default();
        let report = report_parts(py, self.call.report().unwrap_or(&empty));
        match self.call.answer(py) {
            Ok(bytes) => (self.ticket, Some(bytes), None, report),
            Err(error) => (self.ticket, None, Some(error_parts(&error)), report),
        }
    }
}

fn error_parts(error: &TaskError) -> ErrorParts {
    let code = match error.kind() {
        TaskErrorKind::Exited(code) => Some(code),
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

/// What is the same for each kind of result.
macro_rules! as_future {
    ($self:ident => $future:expr) => {
        fn cancel(&$self) -> bool {
            $future.cancel()
        }

        fn state(&$self) -> TaskState {
            $future.state()
        }

        fn progress(&$self) -> Option<(u64, Option<u64>)> {
            let progress = $future.progress()?;
            Some((progress.done, progress.total))
        }

        fn report(&$self) -> Option<&TaskReport> {
            $future.report()
        }
    };
}

/// An answer of an interpreter.
impl Submitted for TaskFuture<ByteBuf> {
    as_future!(self => self);

    fn answer<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, TaskError> {
        let bytes: &Bytes = self.wait_as()?;
        Ok(PyBytes::new(py, bytes))
    }
}

/// The result of any function, as JSON.
impl Submitted for TaskFuture<serde_json::Value> {
    as_future!(self => self);

    fn answer<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, TaskError> {
        let value = self.wait()?;
        Ok(PyBytes::new(py, value.to_string().as_bytes()))
    }
}

/// What a program has printed: its exit code and the length of its standard output, 8 bytes each with
/// the lowest first; standard output; standard error.
impl Submitted for Child {
    as_future!(self => self.task());

    fn answer<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, TaskError> {
        let output = match self.wait() {
            Ok(output) => output,
            Err(error) => error.output().cloned().ok_or(error)?,
        };
        let mut bytes = Vec::with_capacity(16 + output.stdout.len() + output.stderr.len());
        bytes.extend(i64::from(output.status.code()).to_le_bytes());
        bytes.extend((output.stdout.len() as u64).to_le_bytes());
        bytes.extend(&output.stdout);
        bytes.extend(&output.stderr);
        Ok(PyBytes::new(py, &bytes))
    }
}
