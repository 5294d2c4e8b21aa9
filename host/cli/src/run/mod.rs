//! `wasmpool run`: runs a task over inputs.
//!
//! A reader thread reads the inputs and submits them, the pool's workers run the tasks and format
//! each outcome as a line, and the main thread writes the lines. A bounded channel limits how many
//! inputs are in flight, so that the memory of a run does not depend on its length.

mod interrupt;
mod invoke;
mod output;
mod program;
mod progress;
mod results;
mod rights;
mod tally;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use crossbeam_channel::{Receiver, Sender, select_biased};
use indicatif::ProgressBar;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use wasmpool::{
    Isolation, MemoryReset, Pool, Retry, Shutdown, Task, TaskError, TaskFuture, TaskInfo,
    TaskModule, Value,
};

use self::interrupt::Interrupt;
use self::output::{Outcome, Output};
use self::progress::{Length, Progress};
use self::results::{Done, Earlier, Results, Verdict};
use self::tally::{BAD_INPUT, Cost, RunFacts, Summary, Tally};
use crate::args::{IsolationArg, MemoryResetArg, RunArgs};
use crate::ending::{Ending, Problem, Result};
use crate::input::{Dialect, Format, Input, Inputs, Params, Shape};
use crate::module;
use crate::template::Template;
use crate::visible::printable;

/// How many inputs are in flight, from being read to being written: the least number, and the
/// number per worker. Enough to keep workers busy behind a slow task whose line must come first;
/// each may hold an outcome as large as the payload limit.
const UNDER_WAY: usize = 128;
const UNDER_WAY_PER_WORKER: usize = 4;

/// What to do if a run that is resumed has other inputs.
const SAME_INPUTS: &str =
    "resume with the inputs of the earlier run, or name another file with `--output`";

/// A task whose types are not known.
type AnyTask = Task<Vec<serde_json::Value>, Value>;

/// Which input it is.
#[derive(Clone, Copy)]
struct Position {
    index: u64,
    /// How much of the file it takes up.
    file_bytes: u64,
}

/// What is submitted of an input.
type Submission = (Position, Box<RawValue>, Vec<serde_json::Value>);

/// A message from the reader or a worker to the main thread.
enum News {
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

pub(crate) fn run(mut args: RunArgs) -> Result<Ending> {
    args.find_null();
    let interrupt = Interrupt::install().map_err(Problem::Unusable)?;
    let pool = build_pool(&args)?;
    let spinner = match args.quiet || args.no_progress {
        true => ProgressBar::hidden(),
        false => module::spinner(),
    };
    let module = module::load(&pool, &args.module, &args.code, spinner)?;
    if !args.quiet && !args.code.trusted_cwasm {
        module::tell_of_cache(&pool);
    }
    let module = match rights::granted(&args.rights)? {
        Some(rights) => module.with_capabilities(rights),
        None => module,
    };
    let program = program::meant(&module, &args)?;
    if program.is_some() && args.rights.inherit_stdio && !args.has_inputs() {
        if args.output.is_some() {
            return Err(Problem::Usage(anyhow!(
                "`--output` is for lines of outcomes, and this run writes none: a program without \
                 inputs has the standard streams"
            )));
        }
        return program::run_as_is(&pool, &module, &args, &interrupt);
    }
    let is_program = program.is_some();
    let (task, inputs) = match program {
        Some(task) => {
            let format = format(&args, None)?;
            let shape = Shape::Text(Template::new(&args));
            (task, open(&args, format, shape)?)
        }
        None if args.invoke.is_empty() => {
            args.inputs.append(&mut args.program_args);
            task_and_inputs(&module, &args)?
        }
        None => invoke::task_and_inputs(&module, &args.invoke)?,
    };
    let task: AnyTask = module.task(&task.name).expect("just chosen from its tasks");
    let report_file = create_report(&args)?;
    let results = open_results(&args)?;

    let mut tally = Tally::new();
    let started = Instant::now();
    let source = Source {
        task: &task,
        is_program,
        inputs,
    };
    let End {
        stopped,
        inputs_error,
    } = drive(&pool, source, results, &args, &interrupt, &mut tally)?;
    let summary = tally.summary(RunFacts {
        module: &args.module,
        task: &task.info().name,
        workers: pool.workers(),
        isolation: args.isolation.name(),
        interrupted: stopped == Stopped::ByUser,
        elapsed: started.elapsed(),
    });
    if !args.quiet && stopped != Stopped::PipeClosed {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{summary}");
    }
    if let Some(file) = report_file {
        write_report(file, &summary)?;
    }
    if let Some(error) = inputs_error {
        return Err(Problem::Unusable(error));
    }
    Ok(match stopped {
        Stopped::ByUser => Ending::Interrupted,
        Stopped::PipeClosed => Ending::PipeClosed,
        Stopped::Never | Stopped::ByFailure if tally.has_failures() => Ending::SomeFailed,
        Stopped::Never | Stopped::ByFailure => Ending::AllOk,
    })
}

/// The requested task and its inputs.
fn task_and_inputs<'a>(module: &'a TaskModule, args: &RunArgs) -> Result<(&'a TaskInfo, Inputs)> {
    let task = module::choose_task(module, &args.module, args.task.as_deref())?;
    if !args.has_inputs() && !task.params.is_empty() {
        return Err(Problem::Usage(anyhow!(
            "no input for `{}({})`: give some, or `--input FILE` (`-` is standard input)",
            task.name,
            task.params.join(", ")
        )));
    }
    let arity = task.arity();
    let format = format(args, Some(task))?;
    Ok((task, open(args, format, Shape::Json { arity })?))
}

/// How the files of inputs are written; `task` is none for a program.
fn format(args: &RunArgs, task: Option<&TaskInfo>) -> Result<Format> {
    let dialect = match (args.csv, args.tsv) {
        (false, false) if args.null => return Ok(Format::NulEnded),
        (false, false) => return Ok(Format::Lines),
        _ if args.null => {
            return Err(Problem::Usage(anyhow!(
                "the rows of a table end with a line break: leave out `--null`"
            )));
        }
        (true, _) => Dialect::Csv,
        (_, true) => Dialect::Tsv,
    };
    match task {
        Some(task) if !task.params.is_empty() => Ok(Format::Table(dialect, Params::of(task))),
        Some(task) => Err(Problem::Usage(anyhow!(
            "tables are for tasks with parameters, and `{}` has none",
            task.name
        ))),
        None => Err(Problem::Usage(anyhow!(
            "tables are for tasks with parameters, and `{}` is a program: \
             its inputs are lines of text",
            args.module
        ))),
    }
}

fn open(args: &RunArgs, format: Format, shape: Shape) -> Result<Inputs> {
    if !args.quiet {
        tell_of_names_of_files(args);
    }
    let inputs = Inputs::open(args.inputs.clone(), args.input.clone(), format, shape);
    inputs.map_err(Problem::Unusable)
}

/// Warns if text that is an input is the name of a file: of `--input *.txt` the shell makes
/// `--input a.txt b.txt`.
fn tell_of_names_of_files(args: &RunArgs) {
    let is_name = |text: &&String| {
        !args.input.is_empty()
            && Path::new(text).is_file()
            && serde_json::from_str::<IgnoredAny>(text).is_err()
    };
    let mut names = args.inputs.iter().filter(is_name);
    if let Some(first) = names.next() {
        let more = match names.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let first = printable(first);
        // Standard error may be closed.
        let _ = writeln!(
            io::stderr(),
            "warning: the input `{first}`{more} is taken as text, and is the name of a file: \
             `--input` takes one file and may be repeated, as in `--input={{a,b}}.txt`"
        );
    }
}

/// Why a run ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    Never,
    ByUser,
    ByFailure,
    PipeClosed,
}

fn build_pool(args: &RunArgs) -> Result<Pool> {
    let mut builder = Pool::builder()
        .isolation(match args.isolation {
            IsolationArg::Task => Isolation::Task,
            IsolationArg::Worker => Isolation::Worker,
        })
        .memory_reset(match args.memory_reset {
            MemoryResetArg::Whole => MemoryReset::Whole,
            MemoryResetArg::PageWise => MemoryReset::PageWise,
        })
        // The channel of places bounds the tasks, so the queue need not.
        .queue_capacity(usize::MAX);
    if let Some(workers) = args.workers {
        builder = builder.workers(workers);
    }
    if let Some(timeout) = args.timeout {
        builder = builder.task_timeout(timeout);
    }
    if let Some(tasks) = args.max_suspended {
        builder = builder.max_suspended(tasks);
    }
    if let Some(timeout) = args.compute_timeout {
        builder = builder.compute_timeout(timeout);
    }
    if let Some(timeout) = args.queue_timeout {
        builder = builder.queue_timeout(timeout);
    }
    if let Some(size) = args.queue_bytes {
        let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        builder = builder.queue_capacity_bytes(bytes);
    }
    if let Some(grace) = args.grace {
        builder = builder.stop_grace(grace);
    }
    if let Some(memory) = args.memory {
        builder = builder.memory_limit(usize::try_from(memory.as_u64()).unwrap_or(usize::MAX));
    }
    if let Some(size) = args.memory_budget {
        let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        builder = builder.memory_budget(bytes);
    }
    if let Some(payload) = args.payload {
        builder = builder.payload_limit(usize::try_from(payload.as_u64()).unwrap_or(usize::MAX));
    }
    if let Some(size) = args.output_limit {
        let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        builder = builder.program_output_limit(bytes);
    }
    // Code with lines is compiled and cached separately: a module without lines need not be
    // compiled again for `--details`.
    if args.details && module::may_have_lines(&args.module, &args.code) {
        builder = builder.backtrace_lines();
    }
    if args.retries > 0 {
        let retry = Retry::times(args.retries);
        builder = builder.retry(retry.backoff(args.backoff.unwrap_or_default()));
    }
    // Times differ between runs: a deterministic run reports its fuel instead.
    let counts_fuel = args.rights.deterministic.is_some();
    if let Some(fuel) = args.fuel.or(counts_fuel.then_some(u64::MAX)) {
        builder = builder.fuel_limit(fuel);
    }
    if args.rights.deterministic.is_some() {
        builder = builder.deterministic_numbers();
    }
    if let Some(tasks) = args.max_tasks_per_instance {
        builder = builder.max_tasks_per_instance(tasks);
    }
    module::with_cache(builder, &args.code)
        .build()
        .map_err(module::pool_problem)
}

/// The task of a run and its inputs.
struct Source<'a> {
    task: &'a AnyTask,
    is_program: bool,
    inputs: Inputs,
}

/// How a run ended whose lines were written.
struct End {
    stopped: Stopped,
    /// Why the inputs ended early.
    inputs_error: Option<anyhow::Error>,
}

/// Runs the task over the inputs and writes the lines.
fn drive(
    pool: &Pool,
    source: Source<'_>,
    results: Option<(Results, Done)>,
    args: &RunArgs,
    interrupt: &Interrupt,
    tally: &mut Tally,
) -> Result<End> {
    let (results, done) = results.unzip();
    let done = done.unwrap_or_default();
    let is_ordered = !args.unordered;
    let is_in_need_of_order = match is_ordered {
        true => done.is_disordered,
        false => done.has_replaced,
    };
    let target: Box<dyn Write> = match &results {
        Some(file) => match file.writer() {
            Ok(writer) => Box::new(writer),
            Err(error) => return Err(cannot_write(&results, error)),
        },
        None => Box::new(io::stdout()),
    };
    let output = Output::new(BufWriter::new(target), is_ordered, done.last);

    let (news_sender, news) = crossbeam_channel::unbounded();
    let chunk_size = usize::from(args.chunk);
    let n_places = UNDER_WAY.max(UNDER_WAY_PER_WORKER * chunk_size * pool.workers());
    // Those that wait in the host take no part in what keeps the workers busy.
    let n_places = n_places + pool.max_suspended();
    let submitted = Arc::new(Mutex::new(0));
    let (place_sender, places) = crossbeam_channel::bounded(n_places);
    let progress = progress(args, source.inputs.file_size());
    let reader = Reader {
        pool: pool.clone(),
        task: source.task.clone(),
        is_program: source.is_program,
        details: args.details,
        chunk_size,
        done,
        submitted: Arc::clone(&submitted),
        places: place_sender,
        news: news_sender,
    };
    // Not joined: it may block in a read that never returns. At the end of the inputs it drops its
    // sender of messages, and so does every task that has ended.
    thread::Builder::new()
        .name("wasmpool-reader".to_owned())
        .spawn(move || reader.submit_all(source.inputs))
        .context("cannot start a thread")
        .map_err(Problem::Unusable)?;

    let mut writer = Writer {
        output,
        places,
        progress,
        tally,
        n_ended: 0,
        inputs_error: None,
    };
    let max_failures = match args.max_failures {
        Some(count) => count.get(),
        None if args.fail_fast => 1,
        None => u64::MAX,
    };
    let stopped = writer.write_until_stopped(&news, interrupt.hear(), max_failures);
    let stopped = match stopped {
        Ok(Stopped::Never) => Ok(Stopped::Never),
        cut_short => {
            // After this every task has ended: the reader is not in the middle of a chunk, and the
            // pool refuses further ones. The message of one whose thread was given up may come
            // later.
            pool.shutdown(Shutdown::Terminate);
            let n_submitted = *submitted.lock().unwrap_or_else(PoisonError::into_inner);
            cut_short.and_then(|stopped| {
                writer.write_what_is_done(&news, n_submitted)?;
                Ok(stopped)
            })
        }
    };
    writer.progress.clear();
    let stopped = match stopped {
        Ok(stopped) => stopped,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Stopped::PipeClosed,
        Err(error) => return Err(cannot_write(&results, error)),
    };
    if let Some(results) = results
        && (is_in_need_of_order || is_ordered && writer.output.is_disordered())
    {
        results
            .put_in_order(is_ordered)
            .map_err(Problem::Unusable)?;
    }
    Ok(End {
        stopped,
        inputs_error: writer.inputs_error,
    })
}

fn cannot_write(results: &Option<Results>, error: io::Error) -> Problem {
    let target = match results {
        Some(results) => format!("the results `{}`", results.path().display()),
        None => "standard output".to_owned(),
    };
    Problem::Unusable(anyhow::Error::new(error).context(format!("cannot write to {target}")))
}

/// The reader thread: reads inputs and submits them.
struct Reader {
    pool: Pool,
    task: AnyTask,
    is_program: bool,
    details: bool,
    chunk_size: usize,
    /// The outcomes of an earlier run.
    done: Done,
    /// How many tasks there are, each of which sends a message when it ends. Held while a chunk is
    /// submitted and its callbacks are added.
    submitted: Arc<Mutex<u64>>,
    /// Reserves a place for each input; the main thread frees it when the line is written.
    places: Sender<()>,
    news: Sender<News>,
}

impl Reader {
    /// Submits the inputs in chunks, until there are no more or the main thread has stopped.
    fn submit_all(self, mut inputs: Inputs) {
        let mut chunk = Vec::with_capacity(self.chunk_size.min(UNDER_WAY));
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

/// The main thread: writes the lines and counts outcomes.
struct Writer<'a> {
    output: Output<BufWriter<Box<dyn Write>>>,
    places: Receiver<()>,
    progress: Progress,
    tally: &'a mut Tally,
    /// Messages of tasks that have ended.
    n_ended: u64,
    inputs_error: Option<anyhow::Error>,
}

impl Writer<'_> {
    /// Writes lines until all are written or the run ends early.
    fn write_until_stopped(
        &mut self,
        news: &Receiver<News>,
        interrupt: &Receiver<()>,
        max_failures: u64,
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
            if self.tally.n_failed() >= max_failures {
                return Ok(Stopped::ByFailure);
            }
            if news.is_empty() {
                // Flushed before this thread waits, so that readers see the lines so far.
                self.output.flush()?;
            }
        }
    }

    /// Writes the lines of tasks that ended by themselves, and counts cancelled ones. All of them
    /// have ended.
    fn write_what_is_done(&mut self, news: &Receiver<News>, n_submitted: u64) -> io::Result<()> {
        let next = |n_ended| match n_ended < n_submitted {
            true => news.recv().ok(),
            false => news.try_recv().ok(),
        };
        while let Some(item) = next(self.n_ended) {
            match &item {
                News::Ended {
                    error: Some(error),
                    cost,
                    ..
                } if error.is_cancelled() => {
                    self.n_ended += 1;
                    self.tally.count_cancelled(cost);
                }
                _ => self.write(item)?,
            }
        }
        self.output.put_rest()
    }

    fn write(&mut self, item: News) -> io::Result<()> {
        let (input, line) = match item {
            News::Ended {
                input,
                line,
                error,
                cost,
            } => {
                self.n_ended += 1;
                self.tally.count(error.as_ref(), &cost);
                (input, line)
            }
            News::NoTask { input, line } => {
                self.tally.count_failure(BAD_INPUT);
                (input, line)
            }
            News::Skipped { input, has_failed } => {
                self.tally.count_skipped(has_failed);
                self.progress.skip(input.file_bytes);
                // The line is there. Others may wait for it.
                let written = self.output.put(input.index, Vec::new())?;
                self.places.iter().take(written).for_each(drop);
                return Ok(());
            }
            News::EndedEarly(error) => {
                // Ends the inputs; earlier ones still run.
                self.inputs_error = Some(error);
                return Ok(());
            }
        };
        let written = self.output.put(input.index, line)?;
        // Frees one place for each written line, which the reader has reserved.
        self.places.iter().take(written).for_each(drop);
        let (n_tasks, n_failed) = (self.tally.n_tasks(), self.tally.n_failed());
        self.progress.advance(input.file_bytes, n_tasks, n_failed);
        Ok(())
    }
}

/// Shows the progress on standard error, if that is a terminal and the lines go elsewhere.
fn progress(args: &RunArgs, file_size: Option<u64>) -> Progress {
    let shows_lines = args.output.is_none() && io::stdout().is_terminal();
    let is_wanted = !args.no_progress && !args.quiet && !shows_lines;
    if !is_wanted || !io::stderr().is_terminal() {
        return Progress::hidden();
    }
    Progress::on_stderr(match (args.input.is_empty(), file_size) {
        (true, _) => Length::Tasks(args.inputs.len() as u64),
        (false, Some(bytes)) => Length::Bytes(bytes),
        (false, None) => Length::Unknown,
    })
}

/// Opens the file of the results before the run, so that an error shows before the work.
fn open_results(args: &RunArgs) -> Result<Option<(Results, Done)>> {
    let earlier = match (args.resume, args.resume_failed) {
        (false, false) => Earlier::Refused,
        (true, false) => Earlier::Kept,
        (_, true) => Earlier::KeptUnlessFailed,
    };
    let open = |path: &PathBuf| Results::open(path, earlier);
    let results = args.output.as_ref().map(open).transpose();
    results.map_err(Problem::Unusable)
}

/// Creates the report's file before the run, so that an error shows before the work.
fn create_report(args: &RunArgs) -> Result<Option<File>> {
    let create = |path: &PathBuf| {
        File::create(path)
            .with_context(|| format!("cannot write the report `{}`", path.display()))
            .map_err(Problem::Unusable)
    };
    args.report.as_ref().map(create).transpose()
}

fn write_report(file: File, summary: &Summary<'_>) -> Result<()> {
    let mut file = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut file, summary)
        .map_err(io::Error::from)
        .and_then(|()| file.flush())
        .context("cannot write the report")
        .map_err(Problem::Unusable)
}
