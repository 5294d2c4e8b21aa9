//! From the arguments to the task of a run and its inputs.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::anyhow;
use serde::de::IgnoredAny;
use wasmpool::{TaskInfo, TaskModule};

use crate::args::RunArgs;
use crate::ending::{Problem, Result};
use crate::input::{Dialect, Format, Inputs, Params, Shape};
use crate::module;
use crate::template::Template;
use crate::visible::printable;

/// The inputs of a program.
pub(super) fn of_program(args: &RunArgs) -> Result<Inputs> {
    let format = format(args, None)?;
    open(args, format, Shape::Text(Template::new(args)))
}

/// The requested task and its inputs.
pub(super) fn task_and_inputs<'a>(
    module: &'a TaskModule,
    args: &RunArgs,
) -> Result<(&'a TaskInfo, Inputs)> {
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
