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
mod rights;
mod tally;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
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
use self::tally::{BAD_INPUT, Cost, RunFacts, Summary, Tally};
use crate::args::{IsolationArg, MemoryResetArg, RunArgs};
use crate::ending::{self, Ending, Problem, Result};
use crate::input::{Dialect, Format, Input, Inputs, Params, Shape};
use crate::module;
use crate::template::Template;
use crate::visible::printable;

/// How many inputs are in flight, from being read to being written: the least number, and the
/// number per worker. Enough to keep workers busy behind a slow task whose line must come first;
/// each may hold an outcome as large as the payload limit.
const UNDER_WAY: usize = 128;
const UNDER_WAY_PER_WORKER: usize = 4;

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
    /// Reading the inputs failed.
    ReadFailed(anyhow::Error),
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

    let mut tally = Tally::new();
    let started = Instant::now();
    let source = Source {
        task: &task,
        is_program,
        inputs,
    };
    let (stopped, read_error) = drive(&pool, source, &args, &interrupt, &mut tally)?;
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
    if let Some(error) = read_error {
        return Err(Problem::Unusable(error.context("reading the input failed")));
    }
    Ok(match stopped {
        Stopped::ByUser => Ending::Interrupted,
        Stopped::PipeClosed => Ending::PipeClosed,
        Stopped::Never | Stopped::ByFailure if tally.n_failed() > 0 => Ending::SomeFailed,
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

/// Runs the task over the inputs and writes the lines. Returns why the run ended early, and the
/// error of reading the inputs.
fn drive(
    pool: &Pool,
    source: Source<'_>,
    args: &RunArgs,
    interrupt: &Interrupt,
    tally: &mut Tally,
) -> Result<(Stopped, Option<anyhow::Error>)> {
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

    let stdout = BufWriter::new(io::stdout());
    let mut writer = Writer {
        output: if args.unordered {
            Output::unordered(stdout)
        } else {
            Output::ordered(stdout)
        },
        places,
        progress,
        tally,
        n_ended: 0,
        read_error: None,
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
    match stopped {
        Ok(stopped) => Ok((stopped, writer.read_error)),
        // An error that is not a problem means that the output was closed.
        Err(error) => ending::of_writing(Err(error)).map(|_| (Stopped::PipeClosed, None)),
    }
}

/// The reader thread: reads inputs and submits them.
struct Reader {
    pool: Pool,
    task: AnyTask,
    is_program: bool,
    details: bool,
    chunk_size: usize,
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
                    Ok(Input {
                        text,
                        arguments,
                        file_bytes,
                    }) => {
                        let input = Position { index, file_bytes };
                        match arguments {
                            Ok(arguments) => {
                                chunk.push((input, text, arguments));
                                true
                            }
                            Err(problem) => self.refuse(input, &text, &problem),
                        }
                    }
                    Err(error) => {
                        self.submit(&mut chunk);
                        let _ = self.news.send(News::ReadFailed(error));
                        false
                    }
                };
            if !wanted {
                return;
            }
            index += 1;
        }
        self.submit(&mut chunk);
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
    output: Output<BufWriter<io::Stdout>>,
    places: Receiver<()>,
    progress: Progress,
    tally: &'a mut Tally,
    /// Messages of tasks that have ended.
    n_ended: u64,
    read_error: Option<anyhow::Error>,
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
            News::ReadFailed(error) => {
                // Ends the inputs; earlier ones still run.
                self.read_error = Some(error);
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

/// Shows the progress on standard error, if that is a terminal and the output is not.
fn progress(args: &RunArgs, file_size: Option<u64>) -> Progress {
    let is_wanted = !args.no_progress && !args.quiet && !io::stdout().is_terminal();
    if !is_wanted || !io::stderr().is_terminal() {
        return Progress::hidden();
    }
    Progress::on_stderr(match (args.input.is_empty(), file_size) {
        (true, _) => Length::Tasks(args.inputs.len() as u64),
        (false, Some(bytes)) => Length::Bytes(bytes),
        (false, None) => Length::Unknown,
    })
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
