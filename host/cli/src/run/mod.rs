//! `wasmpool run`: runs a task over inputs.
//!
//! A reader thread reads the inputs and submits them, the pool's workers run the tasks and format
//! each outcome as a line (on a cluster, the thread of the connection formats them), and the main
//! thread writes the lines. A bounded channel limits how many inputs are in flight, so that the memory
//! of a run does not depend on its length.

mod inputs;
mod invoke;
#[cfg(feature = "cluster")]
mod on_cluster;
mod output;
mod place;
mod program;
mod progress;
mod reader;
mod reporter;
mod results;
mod sessions;
mod tally;
mod writer;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use indicatif::ProgressBar;
use wasmpool::{Isolation, MemoryReset, Pool, Retry, TaskModule};

use self::output::Output;
use self::place::{InPool, Place};
use self::progress::{Length, Progress};
use self::reader::Reader;
use self::reporter::{AnyTask, Reporter};
use self::results::{Done, Earlier, Results};
use self::sessions::{DEFAULT_MAX_SESSIONS, Key, Sessions};
use self::tally::{RunFacts, Summary, Tally};
use self::writer::{Stopped, Writer};
use crate::args::{Halt, IsolationArg, MemoryResetArg, RunArgs, When, Why};
use crate::ending::{Ending, Problem, Result};
use crate::input::Inputs;
use crate::interrupt::Interrupt;
use crate::module;
use crate::pool;
use crate::rights;

pub(crate) fn run(mut args: RunArgs) -> Result<Ending> {
    args.find_null();
    let interrupt = Interrupt::install().map_err(Problem::Unusable)?;
    let pool = build_pool(&args)?;
    if !args.quiet {
        module::tell_of_allocation(&pool);
    }
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
        Some(task) => (task, inputs::of_program(&args)?),
        None if args.invoke.is_empty() => {
            args.inputs.append(&mut args.program_args);
            inputs::task_and_inputs(&module, &args)?
        }
        None => invoke::task_and_inputs(&module, &args.invoke)?,
    };
    let key = args.session.as_deref();
    let key = key.map(|key| Key::new(key, task, is_program)).transpose()?;
    let task: AnyTask = module.task(&task.name).expect("just chosen from its tasks");
    let report_file = create_report(&args)?;
    let results = open_results(&args)?;
    let place = place_of(&pool, &task, &args)?;

    let mut tally = Tally::new();
    let started = Instant::now();
    let source = Source {
        pool: &pool,
        module: &module,
        task: &task,
        key,
        is_program,
        inputs,
    };
    let End {
        stopped,
        inputs_error,
    } = drive(&place, source, results, &args, &interrupt, &mut tally)?;
    let summary = tally.summary(RunFacts {
        module: &args.module,
        task: &task.info().name,
        workers: place.workers(),
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
        // What was looked for is found.
        Stopped::ByRule(Why::Success) => Ending::AllOk,
        Stopped::Never | Stopped::ByRule(_) if tally.has_failures() => Ending::SomeFailed,
        Stopped::Never | Stopped::ByRule(_) => Ending::AllOk,
    })
}

/// Where the tasks run: on the cluster, if one is named.
fn place_of(pool: &Pool, task: &AnyTask, args: &RunArgs) -> Result<Arc<dyn Place>> {
    #[cfg(feature = "cluster")]
    if let Some(url) = &args.cluster.server {
        let place = on_cluster::OnCluster::connect(url, &task.info().name, args)?;
        return Ok(Arc::new(place));
    }
    Ok(Arc::new(InPool {
        pool: pool.clone(),
        task: task.clone(),
        chunk_size: usize::from(args.chunk),
    }))
}

/// Builds the pool that runs the tasks. For a run on a cluster it only says what tasks there are.
fn build_pool(args: &RunArgs) -> Result<Pool> {
    let mut builder = Pool::builder()
        .isolation(match args.isolation {
            IsolationArg::Task => Isolation::Task,
            IsolationArg::Worker => Isolation::Worker,
        })
        .memory_reset(match args.memory_reset {
            MemoryResetArg::Whole => MemoryReset::Whole,
            MemoryResetArg::PageWise => MemoryReset::PageWise,
            MemoryResetArg::InPlace => MemoryReset::InPlace,
        })
        // The channel of places bounds the tasks, so the queue need not.
        .queue_capacity(usize::MAX)
        .max_sessions(match args.session {
            Some(_) => args.max_sessions.unwrap_or(DEFAULT_MAX_SESSIONS),
            // Places that nobody needs take time to make.
            None => 0,
        });
    if let Some(tasks) = args.max_suspended {
        builder = builder.max_suspended(tasks);
    }
    if let Some(timeout) = args.session_idle {
        builder = builder.session_idle_timeout(timeout);
    }
    if let Some(timeout) = args.queue_timeout {
        builder = builder.queue_timeout(timeout);
    }
    if let Some(size) = args.queue_bytes {
        builder = builder.queue_capacity_bytes(pool::bytes(size));
    }
    if let Some(grace) = args.grace {
        builder = builder.stop_grace(grace);
    }
    // Code with lines is compiled and cached separately: a module without lines need not be
    // compiled again for `--details`.
    if args.details && module::may_have_lines(&args.module, &args.code) {
        builder = builder.backtrace_lines();
    }
    if let Some(retry) = retry(args) {
        builder = builder.retry(retry);
    }
    if let Some(tasks) = args.max_tasks_per_instance {
        builder = builder.max_tasks_per_instance(tasks);
    }
    #[cfg(feature = "cluster")]
    if args.cluster.server.is_some() {
        builder = builder.workers(1);
    }
    let builder = pool::with_settings(builder, &args.pool, &args.limits, &args.rights);
    let builder = pool::with_cache(builder, &args.code.cache);
    builder.build().map_err(pool::problem)
}

/// How often a task that failed is tried again, if at all.
fn retry(args: &RunArgs) -> Option<Retry> {
    let backoff = args.backoff.unwrap_or_default();
    (args.retries > 0).then(|| Retry::times(args.retries).backoff(backoff))
}

/// The task of a run and its inputs.
struct Source<'a> {
    pool: &'a Pool,
    module: &'a TaskModule,
    task: &'a AnyTask,
    /// Where the inputs have the keys of their sessions, if they have any.
    key: Option<Key>,
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
    place: &Arc<dyn Place>,
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
    let submitted = Arc::new(Mutex::new(0));
    let (place_sender, places) = crossbeam_channel::bounded(place.n_under_way());
    let progress = progress(args, source.inputs.file_size());
    let reporter = Reporter {
        news: news_sender,
        submitted: Arc::clone(&submitted),
        is_program: source.is_program,
        details: args.details,
    };
    let sessions = source.key.map(|key| {
        let (task, restarts) = (source.task.clone(), args.session_restart);
        Sessions::new(
            source.pool,
            source.module,
            task,
            key,
            restarts,
            reporter.clone(),
        )
    });
    let reader = Reader {
        place: Arc::clone(place),
        sessions,
        chunk_size: usize::from(args.chunk),
        done,
        places: place_sender,
        reporter,
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
    let halt = args.halt();
    let mut stopped = writer.write_until_stopped(&news, interrupt.hear(), halt);
    let is_soon = matches!(
        halt,
        Halt::At {
            when: When::Soon,
            ..
        }
    );
    if is_soon && matches!(stopped, Ok(Stopped::ByRule(_))) {
        stopped = match writer.write_until_idle(place, &news, interrupt.hear()) {
            Ok(true) => stopped,
            Ok(false) => Ok(Stopped::ByUser),
            Err(error) => Err(error),
        };
    }
    let stopped = match stopped {
        Ok(Stopped::Never) => Ok(Stopped::Never),
        cut_short => {
            // After this every task has ended: the reader is not in the middle of a chunk, and the
            // place refuses further ones. The message of one whose thread was given up may come
            // later.
            place.stop();
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
