//! From the module's name on the command line to the loaded module and its task.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use wasmpool::{LoadError, Pool, TaskInfo, TaskModule};

use crate::args::CodeArgs;
use crate::ending::{Problem, Result};
use crate::visible::printable;

/// The time between two frames of a spinner.
const SPINNER_TICK: Duration = Duration::from_millis(100);

/// The guests that are included in the program.
const EMBEDDED: &[wasmpool_guests::Guest] = &[wasmpool_guests::FACTORIZER];

/// Warns on standard error if compiled modules should be kept but cannot be.
pub(crate) fn tell_of_cache(pool: &Pool) {
    if let Some(problem) = pool.cache().problem() {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "warning: {}", printable(&problem));
    }
}

/// Warns on standard error if the host does not let tasks be as fast as they could be.
pub(crate) fn tell_of_allocation(pool: &Pool) {
    if let Some(problem) = pool.allocation().problem() {
        let hint = "`--workers`, `--max-suspended`";
        let _ = writeln!(io::stderr(), "warning: {} ({hint})", printable(&problem));
    }
}

/// The bytes of the module in a file, or of the included one of that name. A file takes
/// precedence.
pub(crate) fn read(name: &str) -> Result<Cow<'static, [u8]>> {
    let embedded = EMBEDDED.iter().find(|guest| guest.name == name);
    match embedded {
        Some(guest) if !Path::new(name).is_file() => Ok(Cow::Borrowed(guest.wasm)),
        _ => fs::read(name)
            .map(Cow::Owned)
            .with_context(|| format!("cannot read the module `{name}`"))
            .map_err(Problem::Unusable),
    }
}

/// Whether the module may have files and lines: it has a line table, or is native code, for which
/// this must match how it was compiled.
pub(crate) fn may_have_lines(name: &str, args: &CodeArgs) -> bool {
    const TABLE: &[u8] = b".debug_line";
    let has_table = |bytes: &[u8]| bytes.windows(TABLE.len()).any(|part| part == TABLE);
    args.trusted_cwasm || read(name).is_ok_and(|bytes| has_table(&bytes))
}

/// Loads a module. Shows `spinner` if that takes long.
pub(crate) fn load(
    pool: &Pool,
    name: &str,
    args: &CodeArgs,
    spinner: ProgressBar,
) -> Result<TaskModule> {
    let loaded = if args.trusted_cwasm {
        // SAFETY: by the flag `--trusted-cwasm` the user vouches for the file: that
        // `wasmpool compile` has made it, and that it is not changed meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            pool.load_precompiled(name)
        }
    } else {
        let bytes = read(name)?;
        spinner.set_message(format!("compiling {}", printable(name)));
        if may_turn(&spinner) {
            spinner.enable_steady_tick(SPINNER_TICK);
        }
        let loaded = pool.load_bytes(&bytes);
        spinner.finish_and_clear();
        loaded
    };
    usable(loaded, name)
}

/// Classifies the error of loading a module.
pub(crate) fn usable(
    loaded: std::result::Result<TaskModule, LoadError>,
    name: &str,
) -> Result<TaskModule> {
    loaded
        .with_context(|| format!("cannot use the module `{name}`"))
        .map_err(Problem::Unusable)
}

/// Shows that a module is being compiled.
pub(crate) fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    ProgressBar::new_spinner().with_style(style.expect("the template is well-formed"))
}

/// Whether the spinner is seen, and there is a thread to turn it. Without one it would panic.
fn may_turn(spinner: &ProgressBar) -> bool {
    if spinner.is_hidden() {
        return false;
    }
    let trial = thread::Builder::new().spawn(|| ());
    trial.is_ok_and(|trial| trial.join().is_ok())
}

/// The requested task, or the obvious one.
pub(crate) fn choose_task<'a>(
    module: &'a TaskModule,
    module_name: &str,
    task: Option<&str>,
) -> Result<&'a TaskInfo> {
    let tasks = module.tasks();
    if let Some(name) = task {
        return module
            .find(name)
            .map_err(|error| usage(anyhow!("`{module_name}`: {error}")));
    }
    match obvious_tasks(tasks, module_name)[..] {
        [task] => Ok(task),
        _ if tasks.is_empty() => Err(Problem::Unusable(anyhow!("`{module_name}` has no tasks"))),
        _ => Err(usage(anyhow!(
            "`{module_name}` has several tasks; choose one with `--task`: {}",
            names(tasks)
        ))),
    }
}

/// The only task; or those whose name begins the module's name, as `factorize` does `factorizer`.
fn obvious_tasks<'a>(tasks: &'a [TaskInfo], module_name: &str) -> Vec<&'a TaskInfo> {
    let stem = Path::new(module_name).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy().replace('-', "_");
    let is_namesake = |task: &&TaskInfo| tasks.len() == 1 || stem.starts_with(&task.name);
    tasks.iter().filter(is_namesake).collect()
}

/// The names of the first tasks, for a message.
fn names(tasks: &[TaskInfo]) -> String {
    const SHOWN: usize = 16;
    const LONGEST: usize = 256;

    let names = tasks.iter().take(SHOWN).map(|task| {
        let name = task.name.chars().take(LONGEST).collect::<String>();
        format!("`{}`", printable(&name))
    });
    let names = names.collect::<Vec<_>>().join(", ");
    match tasks.len().saturating_sub(SHOWN) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn usage(error: anyhow::Error) -> Problem {
    Problem::Usage(error)
}
