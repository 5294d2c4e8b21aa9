//! Programs: choosing one, its output as JSON, and a run with the standard streams.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::anyhow;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use crossbeam_channel::select_biased;
use serde::Serialize;
use wasmpool::{Captured, Output, Pool, TaskErrorKind, TaskFuture, TaskInfo, TaskModule};

use crate::args::RunArgs;
use crate::ending::{Ending, Problem, Result};
use crate::interrupt::Interrupt;
use crate::template::Template;
use crate::visible::printable_lines;

/// The program, if the module is one and no other task is requested.
pub(crate) fn meant<'a>(module: &'a TaskModule, args: &RunArgs) -> Result<Option<&'a TaskInfo>> {
    let is_asked_for = |program: &&TaskInfo| match &args.task {
        Some(name) => *name == program.name,
        None => args.invoke.is_empty(),
    };
    let program = module.program().filter(is_asked_for);
    match program {
        None if args.stdin => Err(Problem::Usage(anyhow!(
            "`--stdin` is for programs; `{}` is not one, or another task was chosen",
            args.module
        ))),
        program => Ok(program),
    }
}

/// The output of a program, as JSON.
#[derive(Serialize)]
pub(crate) struct Printed<'a> {
    code: i32,
    #[serde(flatten)]
    stdout: Stdout<'a>,
    #[serde(flatten)]
    stderr: Stderr<'a>,
}

/// UTF-8 as text. JSON cannot hold other bytes, which are base64 under another name.
#[derive(Serialize)]
enum Stdout<'a> {
    #[serde(rename = "stdout")]
    Text(&'a str),
    #[serde(rename = "stdout_base64")]
    Bytes(String),
}

#[derive(Serialize)]
enum Stderr<'a> {
    #[serde(rename = "stderr")]
    Text(&'a str),
    #[serde(rename = "stderr_base64")]
    Bytes(String),
}

impl<'a> From<&'a Output> for Printed<'a> {
    fn from(output: &'a Output) -> Self {
        let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        Self {
            code: output.status.code(),
            stdout: match std::str::from_utf8(&output.stdout) {
                Ok(text) => Stdout::Text(text),
                Err(_) => Stdout::Bytes(base64(&output.stdout)),
            },
            stderr: match std::str::from_utf8(&output.stderr) {
                Ok(text) => Stderr::Text(text),
                Err(_) => Stderr::Bytes(base64(&output.stderr)),
            },
        }
    }
}

/// Runs the program once, with the standard streams of this process and its exit code.
pub(crate) fn run_as_is(
    pool: &Pool,
    module: &TaskModule,
    args: &RunArgs,
    interrupt: &Interrupt,
) -> Result<Ending> {
    let unusable = |error: String| Problem::Unusable(anyhow!("{error}"));
    let mut command = module.command().expect("the module is a program");
    let template = Template::new(args);
    command.arg0(&template.arguments[0]);
    command.args(&template.arguments[1..]);
    let child = command.spawn(pool);
    let child = child.map_err(|error| unusable(error.to_string()))?;
    let (done, is_done) = crossbeam_channel::bounded(1);
    child.task().on_done(move |_| {
        let _ = done.send(());
    });
    select_biased! {
        recv(interrupt.hear()) -> _ => {
            child.kill();
            return Ok(Ending::Interrupted);
        }
        recv(is_done) -> _ => {}
    }
    match child.wait() {
        Ok(output) => Ok(Ending::Exited(
            u8::try_from(output.status.code()).unwrap_or(u8::MAX),
        )),
        Err(error) if error.kind() == TaskErrorKind::BadArguments => {
            Err(Problem::Usage(error.into()))
        }
        // The program did not exit.
        Err(error) => {
            let error = printable_lines(&error.to_string());
            let own_line = match is_mid_line(child.task()) {
                true => "\n",
                false => "",
            };
            // Standard error may be closed.
            let _ = writeln!(io::stderr(), "{own_line}error: {error}");
            Ok(Ending::SomeFailed)
        }
    }
}

/// Whether the program's last output has left standard error in the middle of a line.
fn is_mid_line(task: &TaskFuture<Output>) -> bool {
    let Some(report) = task.report() else {
        return false;
    };
    let is_mid_line = |stream: &Captured| stream.tail.last().is_some_and(|&last| last != b'\n');
    let is_one_place = io::stdout().is_terminal() && io::stderr().is_terminal();
    is_mid_line(&report.stderr) || is_one_place && is_mid_line(&report.stdout)
}
