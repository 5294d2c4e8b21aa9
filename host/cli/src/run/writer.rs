//! The main thread's part of a run: it writes the lines and counts outcomes.
//!
//! Does not know where inputs come from.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, select_biased};

use super::output::Output;
use super::place::Place;
use super::progress::Progress;
use super::reporter::News;
use super::tally::Tally;
use crate::args::{Halt, Why};

/// Why a run ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Never,
    ByUser,
    /// Enough tasks have come to this end.
    ByRule(Why),
    PipeClosed,
}

/// The main thread: writes the lines and counts outcomes.
pub(super) struct Writer<'a> {
    pub(super) output: Output<BufWriter<Box<dyn Write>>>,
    pub(super) places: Receiver<()>,
    pub(super) progress: Progress,
    pub(super) tally: &'a mut Tally,
    /// Messages of tasks that have ended.
    pub(super) n_ended: u64,
    pub(super) inputs_error: Option<anyhow::Error>,
}

impl Writer<'_> {
    /// Writes lines until all are written or the run ends early.
    pub(super) fn write_until_stopped(
        &mut self,
        news: &Receiver<News>,
        interrupt: &Receiver<()>,
        halt: Halt,
    ) -> io::Result<Stopped> {
        loop {
            let item = select_biased! {
                recv(interrupt) -> _ => return Ok(Stopped::ByUser),
                recv(news) -> item => item,
            };
            let Ok(item) = item else {
                self.output.flush()?;
                return Ok(Stopped::Never);
            };
            self.write(item)?;
            match halt {
                Halt::At { why, count, .. } if self.tally.n_ended(why) >= count.get() => {
                    return Ok(Stopped::ByRule(why));
                }
                _ => {}
            }
            if news.is_empty() {
                // Flushed before this thread waits, so that readers see the lines so far.
                self.output.flush()?;
            }
        }
    }

    /// Writes lines while tasks that run come to their end, and queued ones are cancelled. Returns
    /// whether all have ended: the user may interrupt it.
    pub(super) fn write_until_idle(
        &mut self,
        place: &Arc<dyn Place>,
        news: &Receiver<News>,
        interrupt: &Receiver<()>,
    ) -> io::Result<bool> {
        self.output.flush()?;
        // On a thread of its own, since it blocks. It returns when the tasks are stopped, too.
        let (ending, ended) = crossbeam_channel::bounded::<()>(0);
        let place = Arc::clone(place);
        thread::Builder::new()
            .name("wasmpool-halt".to_owned())
            .spawn(move || {
                place.finish();
                drop(ending);
            })?;
        loop {
            let item = select_biased! {
                recv(interrupt) -> _ => return Ok(false),
                recv(news) -> item => item,
                recv(ended) -> _ => return Ok(true),
            };
            let Ok(item) = item else {
                return Ok(true);
            };
            self.write_or_count(item)?;
            if news.is_empty() {
                self.output.flush()?;
            }
        }
    }

    /// Writes the lines of tasks that ended by themselves, and counts cancelled ones. All of them
    /// have ended.
    pub(super) fn write_what_is_done(
        &mut self,
        news: &Receiver<News>,
        n_submitted: u64,
    ) -> io::Result<()> {
        let next = |n_ended| match n_ended < n_submitted {
            true => news.recv().ok(),
            false => news.try_recv().ok(),
        };
        while let Some(item) = next(self.n_ended) {
            self.write_or_count(item)?;
        }
        self.output.put_rest()
    }

    /// Writes the line of a task, unless it was cancelled.
    fn write_or_count(&mut self, item: News) -> io::Result<()> {
        match &item {
            News::Ended {
                failure: Some(failed),
                cost,
                ..
            } if failed.is_cancelled => {
                self.n_ended += 1;
                self.tally.count_cancelled(cost);
                Ok(())
            }
            _ => self.write(item),
        }
    }

    fn write(&mut self, item: News) -> io::Result<()> {
        let (input, line) = match item {
            News::Ended {
                input,
                line,
                failure,
                cost,
            } => {
                self.n_ended += 1;
                self.tally.count(failure.map(|failed| failed.kind), &cost);
                (input, line)
            }
            News::NoTask { input, line, kind } => {
                self.tally.count_failure(kind);
                (input, line)
            }
            News::Skipped { input, has_failed } => {
                self.tally.count_skipped(has_failed);
                self.progress.skip(input.file_bytes);
                // The line is there. Others may wait for it.
                return self.put(input.index, Vec::new());
            }
            News::EndedEarly(error) => {
                // Ends the inputs; earlier ones still run.
                self.inputs_error = Some(error);
                return Ok(());
            }
        };
        self.put(input.index, line)?;
        let (n_tasks, n_failed) = (self.tally.n_tasks(), self.tally.n_failed());
        self.progress.advance(input.file_bytes, n_tasks, n_failed);
        Ok(())
    }
    /// Puts a line into its place, and frees one place for each line that was written, which the
    /// reader has reserved.
    fn put(&mut self, index: u64, line: Vec<u8>) -> io::Result<()> {
        let written = self.output.put(index, line)?;
        self.places.iter().take(written).for_each(drop);
        Ok(())
    }
}
