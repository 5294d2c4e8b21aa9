//! What becomes of the inputs of a run, as messages to the main thread.

use std::sync::{Arc, Mutex};

use crossbeam_channel::Sender;
use serde_json::value::RawValue;
use wasmpool::{Task, TaskError, TaskFuture, TaskReport, Value};

use super::output::{self, Failure, Outcome};
use super::tally::{BAD_INPUT, Cost};

/// A task whose types are not known.
pub(super) type AnyTask = Task<Vec<serde_json::Value>, Value>;

/// Which input it is.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) index: u64,
    /// How much of the file it takes up.
    pub(super) file_bytes: u64,
}

/// What is submitted of an input.
pub(super) type Submission = (Position, Box<RawValue>, Vec<serde_json::Value>);

/// A message from the reader or a worker to the main thread.
pub(super) enum News {
    /// A task has ended.
    Ended {
        input: Position,
        line: Vec<u8>,
        failure: Option<Failed>,
        cost: Cost,
    },
    /// An input did not become a task.
    NoTask {
        input: Position,
        line: Vec<u8>,
        kind: &'static str,
    },
    /// The outcome of an input is there from an earlier run.
    Skipped { input: Position, has_failed: bool },
    /// The inputs end early: one cannot be read, or they are not those of the earlier run.
    EndedEarly(anyhow::Error),
}

/// How a task has failed.
#[derive(Clone, Copy)]
pub(super) struct Failed {
    pub(super) kind: &'static str,
    pub(super) is_cancelled: bool,
}

/// Sends the messages.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) news: Sender<News>,
    /// How many tasks there are, each of which sends a message when it ends. Held while tasks are
    /// submitted and their callbacks are added.
    pub(super) submitted: Arc<Mutex<u64>>,
    pub(super) is_program: bool,
    pub(super) details: bool,
}

impl Reporter {
    /// Reports an invalid input. Returns whether more inputs are wanted.
    pub(super) fn refuse(&self, input: Position, text: &RawValue, problem: &str) -> bool {
        self.report_none(input, text, BAD_INPUT, problem)
    }

    /// Reports an input that did not become a task. Returns whether more inputs are wanted.
    pub(super) fn report_none(
        &self,
        input: Position,
        text: &RawValue,
        kind: &'static str,
        problem: &str,
    ) -> bool {
        let line = output::bad_line(input.index, text, kind, problem);
        self.news.send(News::NoTask { input, line, kind }).is_ok()
    }

    /// Reports the outcome of a task when it has ended, and then calls `then`.
    pub(super) fn tell_when_done(
        &self,
        input: Position,
        text: Box<RawValue>,
        future: &TaskFuture<Value>,
        then: impl FnOnce() + Send + 'static,
    ) {
        let reporter = self.clone();
        future.on_done(move |future| {
            let outcome = match reporter.is_program {
                true => Outcome::Program(future.wait_as().map_err(Failure::from)),
                false => Outcome::Task(future.wait().map_err(Failure::from)),
            };
            let report = future.report().expect("a task that has ended has a report");
            reporter.report(input, &text, &outcome, report, None);
            then();
        });
    }

    /// Reports the outcome of a task, and which node ran it.
    pub(super) fn report(
        &self,
        input: Position,
        text: &RawValue,
        outcome: &Outcome,
        report: &TaskReport,
        node: Option<&str>,
    ) {
        let failed = |failure: &Failure| Failed {
            kind: failure.kind(),
            is_cancelled: failure.task_error().is_some_and(TaskError::is_cancelled),
        };
        // Fails only when the main thread has stopped.
        let _ = self.news.send(News::Ended {
            input,
            line: output::line(input.index, text, outcome, report, node, self.details),
            failure: outcome.failure().map(failed),
            cost: Cost::of(report),
        });
    }
}
