//! Programs on the command line: from an input to their arguments, and what they leave as JSON.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::anyhow;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use crossbeam_channel::select_biased;
use serde::Serialize;
use serde_json::{Value, json};
use wasmpool::{Captured, Output, Pool, TaskErrorKind, TaskFuture, TaskInfo, TaskModule};

use crate::args::RunArgs;
use crate::ending::{Ending, Problem, Result};
use crate::interrupt::Interrupt;
use crate::visible::printable_lines;

/// Where the input goes in an argument.
const PLACE: &str = "{}";

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

/// A command line with places for the input.
pub(crate) struct Template {
    /// The program's own name is the first.
    arguments: Vec<String>,
    input_is_stdin: bool,
}

impl Template {
    pub(crate) fn new(args: &RunArgs) -> Self {
        let name = Path::new(&args.module).file_name();
        let name = name.map_or_else(|| args.module.clone(), |name| name.to_string_lossy().into());
        Self {
            arguments: std::iter::once(name)
                .chain(args.program_args.iter().cloned())
                .collect(),
            input_is_stdin: args.stdin,
        }
    }

    /// The arguments of the task that runs the program without an input.
    pub(crate) fn without_input(&self) -> Vec<Value> {
        vec![json!(self.arguments), json!([]), Value::Null]
    }

    /// The arguments of the task that runs the program for an input, a line of text.
    pub(crate) fn fill(&self, line: &[u8]) -> std::result::Result<Vec<Value>, String> {
        if self.input_is_stdin {
            let mut stdin = line.to_owned();
            stdin.push(b'\n');
            // JSON has no bytes: they are numbers on their way where they are no text.
            let stdin = String::from_utf8(stdin)
                .map_or_else(|error| json!(error.into_bytes()), Value::String);
            return Ok(vec![json!(self.arguments), json!([]), stdin]);
        }
        let text = std::str::from_utf8(line).map_err(
            |_| "not UTF-8, as the arguments of a program are; with `--stdin` it may be anything",
        )?;
        let mut arguments = self.arguments[..1].to_owned();
        let given = &self.arguments[1..];
        arguments.extend(given.iter().map(|argument| argument.replace(PLACE, text)));
        if !given.iter().any(|argument| argument.contains(PLACE)) {
            arguments.push(text.to_owned());
        }
        Ok(vec![json!(arguments), json!([]), Value::Null])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], line: &str, expected: &[&str]) {
        let template = Template {
            arguments: arguments.iter().map(|text| text.to_string()).collect(),
            input_is_stdin: false,
        };
        let filled = template.fill(line.as_bytes()).unwrap();
        assert_eq!(filled[0], json!(expected));
    }

    #[test]
    fn the_input_goes_where_it_is_told_or_to_the_end() {
        check(&["wc"], "a b", &["wc", "a b"]);
        check(&["wc", "-l"], "a b", &["wc", "-l", "a b"]);
        check(&["wc", "{}", "-l"], "a b", &["wc", "a b", "-l"]);
        check(&["wc", "x={},{}"], "a", &["wc", "x=a,a"]);
        // The program's name is none of its places.
        check(&["{}", "-l"], "a", &["{}", "-l", "a"]);
    }
}
