//! `wasmpool bench`: the cost of isolation on this machine.
//!
//! The library `wasmpool-bench` measures. This file makes its plan and prints and writes its
//! report.

mod tables;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use wasmpool::Pool;
use wasmpool_bench::{BenchError, OwnInput, OwnTask, Pace, Plan, Progress, Report, Topic};

use crate::args::BenchArgs;
use crate::ending::{self, Ending, Problem, Result};
use crate::input::{Format, Input, Inputs, Shape};
use crate::module;
use crate::pool;
use crate::visible::printable_lines;

/// The lines between which a file's Markdown is replaced.
const BEGIN: &str = "<!-- wasmpool bench: begin -->";
const END: &str = "<!-- wasmpool bench: end -->";

pub(crate) fn bench(args: &BenchArgs) -> Result<Ending> {
    if args.list {
        return list();
    }
    let plan = plan(args)?;
    check_files(args)?;
    let bar = progress_bar(args);
    let mut tell = |progress: Progress| show(&bar, progress);
    let report = match &args.module {
        Some(module) => {
            let task = own_task(args, module)?;
            wasmpool_bench::run_own(&plan, &task, &mut tell)
        }
        None => wasmpool_bench::run(&plan, &mut tell),
    };
    bar.finish_and_clear();
    let report = report.map_err(bench_problem)?;
    // Files come first: they are written even if the output is closed early.
    write_files(args, &report)?;
    let written = ending::of_writing(print(&report))?;
    for failure in &report.failures {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "failed: {}", printable_lines(failure));
    }
    Ok(match report.failures.is_empty() {
        true => written,
        false => Ending::SomeFailed,
    })
}

/// Prints the tables, which may contain names and messages of guests.
fn print(report: &Report) -> io::Result<()> {
    let mut tables = Vec::new();
    tables::print(&mut tables, report)?;
    let tables = printable_lines(&String::from_utf8_lossy(&tables));
    io::stdout().write_all(tables.as_bytes())
}

fn list() -> Result<Ending> {
    let mut stdout = io::stdout().lock();
    let mut topics = Topic::ALL.iter();
    ending::of_writing(
        topics.try_for_each(|topic| writeln!(stdout, "{:<9} {}", topic.name(), topic.title())),
    )
}

fn plan(args: &BenchArgs) -> Result<Plan> {
    let program = std::env::current_exe()
        .context("cannot find this program, which is its own worker")
        .map_err(Problem::Unusable)?;
    let topics = match args.filter.is_empty() {
        true => Topic::ALL.to_vec(),
        false => {
            let named = args.filter.iter().map(|name| Topic::named(name));
            named
                .map(|topic| topic.expect("the parser knows them"))
                .collect()
        }
    };
    let pace = if args.quick { Pace::Quick } else { Pace::Full };
    Ok(Plan {
        rounds: args.rounds.unwrap_or(pace.rounds()),
        pace,
        workers: args
            .workers
            .map_or_else(wasmpool_bench::parallelism, usize::from),
        topics,
        program,
    })
}

/// The task that the user wants measured, and its inputs.
fn own_task(args: &BenchArgs, name: &str) -> Result<OwnTask> {
    let wasm = module::read(name)?;
    // Lists the module's tasks, and reports what is wrong with it.
    let pool = Pool::builder().workers(1).build();
    let pool = pool.map_err(pool::problem)?;
    let module = module::usable(pool.load_bytes(&wasm), name)?;
    let task = module::choose_task(&module, name, args.task.as_deref())?;
    let arity = task.arity();
    let shape = Shape::Json { arity };
    let inputs = Inputs::open(args.input.clone(), Vec::new(), Format::Lines, shape);
    let inputs = inputs.map_err(Problem::Unusable)?;
    let input = |input: anyhow::Result<Input>| {
        let input = input.map_err(Problem::Unusable)?;
        let arguments = input.arguments;
        let text = input.text.get().to_owned();
        let arguments = arguments
            .map_err(|problem| Problem::Usage(anyhow!("`{text}` is not an input: {problem}")));
        Ok(OwnInput {
            arguments: arguments?,
            text,
        })
    };
    Ok(OwnTask {
        wasm: wasm.into_owned(),
        module: name.to_owned(),
        task: task.name.clone(),
        inputs: inputs.map(input).collect::<Result<_>>()?,
        against: args.against.clone(),
    })
}

fn bench_problem(error: BenchError) -> Problem {
    match error {
        BenchError::Setting { .. } => Problem::Usage(error.into()),
        error => Problem::Unusable(error.into()),
    }
}

/// A bar on standard error, hidden unless that is a terminal.
fn progress_bar(args: &BenchArgs) -> ProgressBar {
    if args.no_progress || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{wide_bar} {msg} {pos}/{len} turns ({eta} left)";
    ProgressBar::new(0)
        .with_style(ProgressStyle::with_template(template).expect("the template is well-formed"))
}

fn show(bar: &ProgressBar, progress: Progress) {
    if progress.done == 1 {
        bar.reset();
        bar.set_message(progress.topic.name());
        bar.set_length(progress.turns as u64);
    }
    bar.set_position(progress.done as u64);
}

/// Refuses files that cannot be written, before anything is measured. Keeps their content.
fn check_files(args: &BenchArgs) -> Result<()> {
    let files = [&args.json, &args.html, &args.markdown];
    for path in files.into_iter().flatten() {
        let opened = fs::OpenOptions::new().append(true).create(true).open(path);
        writable(path, opened)?;
    }
    Ok(())
}

fn write_files(args: &BenchArgs, report: &Report) -> Result<()> {
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(report).expect("a report has no odd keys");
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &args.html {
        write(path, &wasmpool_bench::html(report))?;
    }
    if let Some(path) = &args.markdown {
        let markdown = wasmpool_bench::markdown(report);
        let before = fs::read_to_string(path).unwrap_or_default();
        write(
            path,
            &between_markers(&before, &markdown).unwrap_or(markdown),
        )?;
    }
    Ok(())
}

/// The text with `new` between the markers; `None` if there are no markers.
fn between_markers(text: &str, new: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!(
        "{}\n\n{}\n\n{}",
        &text[..begin],
        new.trim(),
        &text[end..]
    ))
}

fn write(path: &Path, text: &str) -> Result<()> {
    writable(path, fs::write(path, text))
}

fn writable<T>(path: &Path, done: io::Result<T>) -> Result<T> {
    done.with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(Problem::Unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_markers_is_replaced() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let replaced = between_markers(&text, "new\n").unwrap();
        assert_eq!(
            replaced,
            format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n")
        );
        assert_eq!(between_markers(&replaced, "new\n").unwrap(), replaced);
        assert_eq!(between_markers("no markers", "new"), None);
        assert_eq!(between_markers(&format!("{END}{BEGIN}"), "new"), None);
    }
}
