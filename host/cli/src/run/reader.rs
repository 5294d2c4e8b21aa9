//! The thread of a run that reads the inputs and submits them.
//!
//! Does not know what becomes of the lines.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use crossbeam_channel::Sender;
use serde_json::value::RawValue;
use wasmpool::{Pool, Task, TaskError, TaskFuture, Value};

use super::output::{self, Outcome};
use super::results::{Done, Verdict};
use super::tally::{BAD_INPUT, Cost};
use crate::input::{Input, Inputs};

/// What to do if a run that is resumed has other inputs.
const SAME_INPUTS: &str =
    "resume with the inputs of the earlier run, or name another file with `--output`";

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
type Submission = (Position, Box<RawValue>, Vec<serde_json::Value>);

/// A message from the reader or a worker to the main thread.
pub(super) enum News {
    /// A task has ended.
    Ended {
        input: Position,
        line: Vec<u8>,
        error: Option<TaskError>,
        cost: Cost,
    },
    /// An input did not become a task.
    NoTask { input: Position, line: Vec<u8> },
    /// The outcome of an input is there from an earlier run.
    Skipped { input: Position, has_failed: bool },
    /// The inputs end early: one cannot be read, or they are not those of the earlier run.
    EndedEarly(anyhow::Error),
}

/// The reader thread: reads inputs and submits them.
pub(super) struct Reader {
    pub(super) pool: Pool,
    pub(super) task: AnyTask,
    pub(super) is_program: bool,
    pub(super) details: bool,
    pub(super) chunk_size: usize,
    /// The outcomes of an earlier run.
    pub(super) done: Done,
    /// How many tasks there are, each of which sends a message when it ends. Held while a chunk is
    /// submitted and its callbacks are added.
    pub(super) submitted: Arc<Mutex<u64>>,
    /// Reserves a place for each input; the main thread frees it when the line is written.
    pub(super) places: Sender<()>,
    pub(super) news: Sender<News>,
}

impl Reader {
    /// Submits the inputs in chunks, until there are no more or the main thread has stopped.
    pub(super) fn submit_all(self, mut inputs: Inputs) {
        let mut chunk = Vec::new();
        let mut index = 0;
        loop {
            // A chunk does not wait for inputs that are not available yet, nor for places.
            let is_full = chunk.len() == self.chunk_size || !inputs.has_more_at_hand();
            if !chunk.is_empty() && (is_full || self.places.is_full()) && !self.submit(&mut chunk) {
                return;
            }
            let Some(input) = inputs.next() else {
                break;
            };
            let wanted = self.places.send(()).is_ok()
                && match input {
                    Ok(input) => self.take(index, input, &mut chunk),
                    Err(error) => {
                        let error = error.context("reading the input failed");
                        self.end_early(&mut chunk, error)
                    }
                };
            if !wanted {
                return;
            }
            index += 1;
        }
        match self.done.beyond(index) {
            Some(beyond) => {
                let error = anyhow!(
                    "the results have an outcome at index {beyond}, and there are only {index} \
                     inputs: {SAME_INPUTS}"
                );
                self.end_early(&mut chunk, error);
            }
            None => {
                self.submit(&mut chunk);
            }
        }
    }

    /// Takes an input, into the chunk if it has to run. Returns whether more inputs are wanted.
    fn take(&self, index: u64, input: Input, chunk: &mut Vec<Submission>) -> bool {
        let Input {
            text,
            arguments,
            file_bytes,
        } = input;
        let input = Position { index, file_bytes };
        match (self.done.verdict(index, &text), arguments) {
            (Verdict::Run, Ok(arguments)) => {
                chunk.push((input, text, arguments));
                true
            }
            (Verdict::Run, Err(problem)) => self.refuse(input, &text, &problem),
            (Verdict::Skip { has_failed }, _) => {
                self.news.send(News::Skipped { input, has_failed }).is_ok()
            }
            (Verdict::Mismatch, _) => {
                let error = anyhow!(
                    "the results have the outcome of another input at index {index}: {SAME_INPUTS}"
                );
                self.end_early(chunk, error)
            }
        }
    }

    /// Ends the inputs with an error, for which those before it are still run.
    fn end_early(&self, chunk: &mut Vec<Submission>, error: anyhow::Error) -> bool {
        self.submit(chunk);
        let _ = self.news.send(News::EndedEarly(error));
        false
    }

    /// Reports an invalid input. Returns whether more inputs are wanted.
    fn refuse(&self, input: Position, text: &RawValue, problem: &str) -> bool {
        let line = output::bad_line(input.index, text, BAD_INPUT, problem);
        self.news.send(News::NoTask { input, line }).is_ok()
    }

    /// Submits the chunk and empties it. Returns whether more inputs are wanted.
    fn submit(&self, chunk: &mut Vec<Submission>) -> bool {
        let (names, arguments): (Vec<_>, Vec<_>) = chunk
            .drain(..)
            .map(|(input, text, arguments)| ((input, text), arguments))
            .unzip();
        let mut n_submitted = self
            .submitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let submitted = self.pool.submit_all(&self.task, arguments);
        names
            .into_iter()
            .zip(submitted)
            .all(|((input, text), submitted)| match submitted {
                Ok(future) => {
                    *n_submitted += 1;
                    self.tell_when_done(input, text, &future);
                    true
                }
                Err(refused) if refused.is_shut_down() => false,
                Err(refused) => self.refuse(input, &text, &refused.to_string()),
            })
    }

    fn tell_when_done(&self, input: Position, text: Box<RawValue>, future: &TaskFuture<Value>) {
        let (news, details, is_program) = (self.news.clone(), self.details, self.is_program);
        future.on_done(move |future| {
            let outcome = match is_program {
                true => Outcome::Program(future.wait_as()),
                false => Outcome::Task(future.wait()),
            };
            let report = future.report().expect("a task that has ended has a report");
            // Fails only when the main thread has stopped.
            let _ = news.send(News::Ended {
                input,
                line: output::line(input.index, &text, &outcome, report, details),
                error: outcome.error().cloned(),
                cost: Cost::of(report),
            });
        });
    }
}
