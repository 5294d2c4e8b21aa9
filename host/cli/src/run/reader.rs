//! The thread of a run that reads the inputs and submits them.
//!
//! Does not know what becomes of the lines.

use std::sync::Arc;

use anyhow::anyhow;
use crossbeam_channel::Sender;

use super::place::Place;
use super::reporter::{News, Position, Reporter, Submission};
use super::results::{Done, Verdict};
use super::sessions::Sessions;
use crate::input::{Input, Inputs};

/// What to do if a run that is resumed has other inputs.
const SAME_INPUTS: &str =
    "resume with the inputs of the earlier run, or name another file with `--output`";

/// The reader thread: reads inputs and submits them.
pub(super) struct Reader {
    pub(super) place: Arc<dyn Place>,
    /// Those that take the inputs, if the inputs have keys.
    pub(super) sessions: Option<Arc<Sessions>>,
    pub(super) chunk_size: usize,
    /// The outcomes of an earlier run.
    pub(super) done: Done,
    /// Reserves a place for each input; the main thread frees it when the line is written.
    pub(super) places: Sender<()>,
    pub(super) reporter: Reporter,
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
        let reporter = &self.reporter;
        match (self.done.verdict(index, &text), &self.sessions, arguments) {
            (Verdict::Run, Some(sessions), read) => sessions.take(input, text, read),
            (Verdict::Run, None, Ok(arguments)) => {
                chunk.push((input, text, arguments));
                true
            }
            (Verdict::Run, None, Err(problem)) => reporter.refuse(input, &text, &problem),
            (Verdict::Skip { has_failed }, ..) => {
                let skipped = News::Skipped { input, has_failed };
                reporter.news.send(skipped).is_ok()
            }
            (Verdict::Mismatch, ..) => {
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
        let _ = self.reporter.news.send(News::EndedEarly(error));
        false
    }

    /// Submits the chunk and empties it. Returns whether more inputs are wanted.
    fn submit(&self, chunk: &mut Vec<Submission>) -> bool {
        self.place.submit(std::mem::take(chunk), &self.reporter)
    }
}
