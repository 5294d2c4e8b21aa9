//! The output lines and their order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;
use wasmpool::{Frame, TaskError, TaskErrorKind, TaskReport, Value};

use super::program::Printed;
use crate::visible::visible_json;

/// One line of the output.
#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    input: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportFields<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refused: &'a [String],
}

/// The output of a task.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Value(&'a Value),
    Printed(Printed<'a>),
}

/// How a task ended.
pub(crate) enum Outcome {
    Task(Result<Value, Failure>),
    Program(Result<wasmpool::Output, Failure>),
}

/// Why a task came to no result.
pub(crate) enum Failure {
    Task(TaskError),
    /// The cluster is the reason, and not the task.
    #[cfg(feature = "cluster")]
    Cluster(wasmpool_cluster::RunError),
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

#[cfg(feature = "cluster")]
impl From<wasmpool_cluster::RunError> for Failure {
    fn from(error: wasmpool_cluster::RunError) -> Self {
        match error {
            wasmpool_cluster::RunError::Task(error) => Self::Task(error),
            error => Self::Cluster(error),
        }
    }
}

impl Failure {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Task(error) => error.kind().name(),
            #[cfg(feature = "cluster")]
            Self::Cluster(error) => error.name(),
        }
    }

    pub(crate) fn task_error(&self) -> Option<&TaskError> {
        match self {
            Self::Task(error) => Some(error),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => None,
        }
    }

    fn fields(&self, with_backtrace: bool) -> ErrorFields<'_> {
        match self {
            Self::Task(error) => ErrorFields {
                kind: error.kind().name(),
                message: error.message().into(),
                code: error.code(),
                exit_code: match error.kind() {
                    TaskErrorKind::Exited(code) => Some(code),
                    _ => None,
                },
                // The program's output already has all of it, if there is one.
                stderr: error.output().map_or(error.stderr(), |_| ""),
                backtrace: match with_backtrace {
                    true => error.backtrace(),
                    false => &[],
                },
            },
            #[cfg(feature = "cluster")]
            Self::Cluster(error) => ErrorFields::new(error.name(), error.to_string().into()),
        }
    }
}

impl Outcome {
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Task(outcome) => outcome.as_ref().err(),
            Self::Program(outcome) => outcome.as_ref().err(),
        }
    }

    /// The output to print. A program has some whatever its exit code.
    fn shown(&self) -> Option<Shown<'_>> {
        match self {
            Self::Task(outcome) => outcome.as_ref().ok().map(Shown::Value),
            Self::Program(outcome) => {
                let of_failure = |failure| Failure::task_error(failure)?.output();
                let output = outcome.as_ref().map_or_else(of_failure, Some);
                output.map(|output| Shown::Printed(output.into()))
            }
        }
    }
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    kind: &'a str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stderr: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    backtrace: &'a [Frame],
}

impl<'a> ErrorFields<'a> {
    fn new(kind: &'a str, message: Cow<'a, str>) -> Self {
        Self {
            kind,
            message,
            code: "",
            exit_code: None,
            stderr: "",
            backtrace: &[],
        }
    }
}

#[derive(Serialize)]
struct ReportFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    worker: Option<usize>,
    queued_ms: f64,
    ran_ms: f64,
    computed_ms: f64,
    suspended_ms: f64,
    attempts: u32,
    instance_age: u64,
    peak_memory: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<ChildrenFields>,
    stdout: &'a str,
    stderr: &'a str,
}

#[derive(Serialize)]
struct ChildrenFields {
    started: u64,
    failed: u64,
    computed_ms: f64,
    peak_memory: usize,
}

/// Formats the line of a task that has ended, with its line break, and with its report and the node
/// that ran it if `details` is set.
pub(crate) fn line(
    index: u64,
    input: &RawValue,
    outcome: &Outcome,
    report: &TaskReport,
    node: Option<&str>,
    details: bool,
) -> Vec<u8> {
    let refused = &*report.refused;
    let report = details.then_some(report);
    let texts = report.map(|report| (report.stdout.text(), report.stderr.text()));
    let line = Line {
        index,
        input,
        output: outcome.shown(),
        error: outcome.failure().map(|failure| failure.fields(details)),
        report: report
            .zip(texts.as_ref())
            .map(|(report, (stdout, stderr))| ReportFields {
                node,
                worker: report.worker,
                queued_ms: report.queued.as_secs_f64() * 1e3,
                ran_ms: report.ran.as_secs_f64() * 1e3,
                computed_ms: report.computed.as_secs_f64() * 1e3,
                suspended_ms: report.suspended.as_secs_f64() * 1e3,
                attempts: report.attempts,
                instance_age: report.instance_age,
                peak_memory: report.peak_memory,
                fuel: report.fuel,
                children: report.children.as_deref().map(|children| ChildrenFields {
                    started: children.started,
                    failed: children.failed,
                    computed_ms: children.computed.as_secs_f64() * 1e3,
                    peak_memory: children.peak_memory,
                }),
                stdout,
                stderr,
            }),
        refused,
    };
    encode(&line).unwrap_or_else(|problem| {
        // A result that JSON cannot express, such as a map whose keys are not text.
        bad_line(
            index,
            input,
            "bad-result",
            &format!("the result is not JSON: {problem}"),
        )
    })
}

/// Formats the line of an input that did not become a task.
pub(crate) fn bad_line(index: u64, input: &RawValue, kind: &str, message: &str) -> Vec<u8> {
    let line = Line {
        index,
        input,
        output: None,
        error: Some(ErrorFields::new(kind, message.into())),
        report: None,
        refused: &[],
    };
    encode(&line).expect("numbers and text are always JSON")
}

fn encode(line: &Line<'_>) -> serde_json::Result<Vec<u8>> {
    let mut bytes = visible_json(serde_json::to_vec(line)?);
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes lines in the order of their indices or of completion.
pub(crate) struct Output<W: Write> {
    writer: W,
    /// If ordered: the lines that wait for earlier ones. Bounded by the inputs in flight.
    ahead: Option<BTreeMap<u64, Vec<u8>>>,
    next: u64,
    /// The greatest index of a line that was written, now or by an earlier run.
    last: Option<u64>,
    /// Whether some line was written behind one of the same or of a greater index.
    is_disordered: bool,
}

impl<W: Write> Output<W> {
    /// `last` is the greatest index of the lines that are there already.
    pub(crate) fn new(writer: W, is_ordered: bool, last: Option<u64>) -> Self {
        Self {
            writer,
            ahead: is_ordered.then(BTreeMap::new),
            next: 0,
            last,
            is_disordered: false,
        }
    }

    /// Takes a line, and writes all lines that are due. Returns how many were written. An empty
    /// line is one that need not be written.
    pub(crate) fn put(&mut self, index: u64, line: Vec<u8>) -> io::Result<usize> {
        let Some(ahead) = &mut self.ahead else {
            self.write(index, &line)?;
            return Ok(1);
        };
        ahead.insert(index, line);
        let mut written = 0;
        while let Some(line) = self.ahead.as_mut().and_then(|it| it.remove(&self.next)) {
            self.write(self.next, &line)?;
            self.next += 1;
            written += 1;
        }
        Ok(written)
    }

    /// Writes the remaining lines; earlier ones will not come.
    pub(crate) fn put_rest(&mut self) -> io::Result<()> {
        let rest = self.ahead.as_mut().map(std::mem::take).unwrap_or_default();
        for (index, line) in rest {
            self.write(index, &line)?;
        }
        self.writer.flush()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Whether some line was written behind one of the same or of a greater index.
    pub(crate) fn is_disordered(&self) -> bool {
        self.is_disordered
    }

    fn write(&mut self, index: u64, line: &[u8]) -> io::Result<()> {
        if !line.is_empty() {
            self.is_disordered |= self.last.is_some_and(|last| last >= index);
            self.last = self.last.max(Some(index));
        }
        // As a whole: a buffer in front of a file is emptied at the end of a line.
        self.writer.write_all(line)
    }
}
