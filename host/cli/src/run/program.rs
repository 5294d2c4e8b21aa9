//! Programs: which module is one, what it leaves as JSON, and a run that has the standard streams.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::anyhow;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use crossbeam_channel::select_biased;
use serde::Serialize;
use wasmpool::{Captured, Output, Pool, TaskErrorKind, TaskFuture, TaskInfo, TaskModule};

use super::interrupt::Interrupt;
use crate::args::RunArgs;
use crate::ending::{Ending, Problem, Result};
use crate::template::Template;
use crate::visible::printable_lines;

/// The program, if the module is one and no other task of it is asked for.
pub(crate) fn meant<'a>(module: &'a TaskModule, args: &RunArgs) -> Result<Option<&'a TaskInfo>> {
    let is_asked_for = |program: &&TaskInfo| match &args.task {
        Some(name) => *name == program.name,
        None => args.invoke.is_empty(),
    };
    let program = module.program().filter(is_asked_for);
    match program {
        None if args.stdin => Err(Problem::Usage(anyhow!(
            "`--stdin` is for programs, and `{}` is asked for another task, or is none",
            args.module
        ))),
        program => Ok(program),
    }
}

/// What a program left, as JSON.
#[derive(Serialize)]
pub(crate) struct Printed<'a> {
    code: i32,
    #[serde(flatten)]
    stdout: Stdout<'a>,
    #[serde(flatten)]
    stderr: Stderr<'a>,
}

/// Text as text. JSON has nothing for what is none, so that has another name.
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

/// Runs the program once in the place of this one: with its streams, and to its exit code.
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
        // It did not come to an exit code.
        Err(error) => {
            let error = printable_lines(&error.to_string());
            let own_line = match is_mid_line(child.task()) {
                true => "\n",
                false => "",
            };
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "{own_line}error: {error}");
            Ok(Ending::SomeFailed)
        }
    }
}

/// Whether what the program wrote last to where messages go has not ended its line.
fn is_mid_line(task: &TaskFuture<Output>) -> bool {
    let Some(report) = task.report() else {
        return false;
    };
    let is_mid_line = |stream: &Captured| stream.tail.last().is_some_and(|&last| last != b'\n');
    let is_one_place = io::stdout().is_terminal() && io::stderr().is_terminal();
    is_mid_line(&report.stderr) || is_one_place && is_mid_line(&report.stdout)
}
