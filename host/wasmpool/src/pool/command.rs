//! Programs as tasks, in the manner of `std::process`: command lines and their output.
//!
//! Does not know how a program is run: it is a task with three arguments.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_bytes::Bytes;

use super::handle::Pool;
use crate::call::Output;
use crate::error::{SubmitError, TaskError, TaskRefError};
use crate::future::TaskFuture;
use crate::sandbox::Capabilities;
use crate::task::{Task, TaskModule, TaskOptions};

/// A program's arguments, its environment and its standard input.
type ProgramArguments<'a> = (&'a [String], &'a [(String, String)], Option<&'a Bytes>);

/// A command line for a loaded program, in the manner of [`std::process::Command`]. Made by
/// [`TaskModule::command`]; can be run many times, each time in a fresh instance.
///
/// A program has no access to the host but what it is granted, like every guest. By default it has
/// no file, no environment variable, no argument but its name, and an empty standard input.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = wasmpool::Pool::new()?;
/// # let path = wasmpool_guests::PROGRAMS.path();
/// let tool = pool.load(path)?; // "tool.wasm"
/// let output = tool
///     .command()?
///     .arg("count")
///     .stdin("to be or not to be\n")
///     .spawn(&pool)?
///     .wait()?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"1 6 19\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Command {
    module: TaskModule,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
    options: TaskOptions,
}

/// A started program: the future of its [`Output`].
///
/// Wait for it or await it. Dropping it neither kills the program nor waits for it.
#[derive(Debug)]
#[must_use = "a program runs without it, but nobody will see what it printed"]
pub struct Child {
    future: TaskFuture<Output>,
}

impl TaskModule {
    /// A command line for the module's program, with no argument yet.
    ///
    /// # Errors
    ///
    /// If the module is not a program: a component that exports `wasi:cli/run`, or a core module
    /// for WASI preview 1 with a `_start`.
    pub fn command(&self) -> Result<Command, TaskRefError> {
        self.program_task::<ProgramArguments<'_>>()?;
        Ok(Command {
            module: self.clone(),
            arguments: vec!["program".to_owned()],
            environment: Vec::new(),
            stdin: None,
            options: TaskOptions::default(),
        })
    }
}

impl Command {
    /// Adds an argument.
    pub fn arg(&mut self, argument: impl Into<String>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The program's name, its argument 0. Default: `program`.
    pub fn arg0(&mut self, name: impl Into<String>) -> &mut Self {
        self.arguments[0] = name.into();
        self
    }

    /// Sets a variable of its environment, which overrides one of its [`Capabilities`]. Default:
    /// the variables of its capabilities, none of this process.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value.into()));
        self
    }

    /// Sets several variables of its environment.
    pub fn envs<N: Into<String>, V: Into<String>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// The bytes of its standard input. Default: empty, or the input of this process if that was
    /// [granted](Capabilities::inherit_stdio).
    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Its rights, which replace those of its module. Default: those of its
    /// [module](TaskModule::with_capabilities), which has none by default.
    pub fn capabilities(&mut self, capabilities: Capabilities) -> &mut Self {
        self.options = self.options.clone().capabilities(capabilities);
        self
    }

    /// How much it may print, in bytes, standard output and standard error together. A program
    /// that prints more ends as [`OutputLimit`](crate::TaskErrorKind::OutputLimit). Default: the
    /// [pool's limit](crate::PoolBuilder::program_output_limit), 16 MiB by default.
    pub fn output_limit(&mut self, bytes: usize) -> &mut Self {
        self.options = self.options.clone().program_output_limit(bytes);
        self
    }

    /// Its options: limits, priority, retries. They replace all earlier ones, also those set by
    /// [`capabilities`](Self::capabilities) and [`output_limit`](Self::output_limit).
    pub fn options(&mut self, options: TaskOptions) -> &mut Self {
        self.options = options;
        self
    }

    /// Submits the program to `pool`. Blocks while the queue is full, as [`Pool::submit`] does.
    ///
    /// # Errors
    ///
    /// As [`Pool::submit`].
    pub fn spawn(&self, pool: &Pool) -> Result<Child, SubmitError<()>> {
        let submitted = pool.submit(&self.task(), self.task_arguments());
        Child::of(submitted)
    }

    /// Runs the program and returns its output, whatever its exit code. Waits for room in the
    /// queue and for the program without blocking the thread, on any executor. Nothing is started
    /// before the first poll.
    ///
    /// # Errors
    ///
    /// If it could not be submitted, and as [`Child::wait`].
    pub async fn output(&self, pool: &Pool) -> Result<Output, TaskError> {
        let task = self.task();
        let submitted = pool.submit_async(&task, self.task_arguments()).await;
        let child = Child::of(submitted);
        child
            .map_err(|refused| refused.kind().clone().into_task_error())?
            .await
    }

    fn task(&self) -> Task<ProgramArguments<'_>, Output> {
        let task = self.module.program_task();
        let task = task.expect("a command is made of a program");
        task.with(self.options.clone())
    }

    fn task_arguments(&self) -> ProgramArguments<'_> {
        let stdin = self.stdin.as_deref().map(Bytes::new);
        (&self.arguments, &self.environment, stdin)
    }
}

impl Child {
    fn of<Args>(
        submitted: Result<TaskFuture<Output>, SubmitError<Args>>,
    ) -> Result<Self, SubmitError<()>> {
        match submitted {
            Ok(future) => Ok(Self { future }),
            Err(refused) => Err(SubmitError::new(refused.kind().clone(), ())),
        }
    }

    /// Blocks until the program has ended, and returns its output, whatever its exit code.
    ///
    /// # Errors
    ///
    /// If the program did not exit: it trapped, was killed, or met a limit. The end of its output
    /// is in the [report](TaskFuture::report) of its [task](Self::task).
    pub fn wait(&self) -> Result<Output, TaskError> {
        finished(self.future.wait())
    }

    /// As [`wait`](Self::wait), but blocks for at most `timeout`; `None` if the program has not
    /// ended by then.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Output, TaskError>> {
        self.future.wait_timeout(timeout).map(finished)
    }

    /// Kills the program, queued or running; the same as [`TaskFuture::cancel`].
    pub fn kill(&self) -> bool {
        self.future.cancel()
    }

    /// The program as a task, with its state, report and events. A task whose exit code is not 0
    /// has failed.
    pub fn task(&self) -> &TaskFuture<Output> {
        &self.future
    }
}

impl Future for Child {
    type Output = Result<Output, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.future).poll(context).map(finished)
    }
}

/// An exit code other than 0 is the failure of a task, but the output of a command.
fn finished(outcome: Result<Output, TaskError>) -> Result<Output, TaskError> {
    outcome.or_else(|error| error.output().cloned().ok_or(error))
}
