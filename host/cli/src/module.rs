//! From what the user calls a module to a loaded one, and to the task that is meant.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use wasmpool::{BuildError, Pool, PoolBuilder, TaskInfo, TaskModule};

use crate::args::CacheArgs;
use crate::ending::{Problem, Result};

/// The guests that come along with the program.
const EMBEDDED: &[wasmpool_guests::Guest] = &[wasmpool_guests::FACTORIZER];

/// Tells the builder where compiled modules are kept.
pub(crate) fn with_cache(builder: PoolBuilder, args: &CacheArgs) -> PoolBuilder {
    match &args.cache_folder {
        _ if args.no_cache => builder.no_cache(),
        Some(folder) => builder.cache_folder(folder),
        None => builder,
    }
}

/// Whose problem it is that a pool cannot be built.
pub(crate) fn pool_problem(error: BuildError) -> Problem {
    let is_usage = matches!(error, BuildError::Setting { .. });
    let error = anyhow::Error::new(error);
    if is_usage {
        Problem::Usage(error)
    } else {
        Problem::Unusable(error)
    }
}

/// A guest's words without what would make a terminal do things.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|&c| !c.is_control()).collect()
}

/// Loads the module in a file, or the embedded one of that name. A file comes first.
pub(crate) fn load(pool: &Pool, name: &str) -> Result<TaskModule> {
    let embedded = EMBEDDED.iter().find(|guest| guest.name == name);
    let loaded = match embedded {
        Some(guest) if !Path::new(name).is_file() => pool.load_bytes(guest.wasm),
        _ => pool.load(name),
    };
    loaded
        .with_context(|| format!("cannot use the module `{name}`"))
        .map_err(Problem::Unusable)
}

/// The bytes of the module that [`load`] loads by this name.
pub(crate) fn bytes(name: &str) -> Result<Vec<u8>> {
    let embedded = EMBEDDED.iter().find(|guest| guest.name == name);
    match embedded {
        Some(guest) if !Path::new(name).is_file() => Ok(guest.wasm.to_vec()),
        _ => std::fs::read(name)
            .with_context(|| format!("cannot read the module `{name}`"))
            .map_err(Problem::Unusable),
    }
}

/// The task that is asked for, or the one that is obviously meant.
pub(crate) fn choose_task<'a>(
    module: &'a TaskModule,
    module_name: &str,
    task: Option<&str>,
) -> Result<&'a TaskInfo> {
    let tasks = module.tasks();
    let names = || {
        let names = tasks
            .iter()
            .map(|task| format!("`{}`", printable(&task.name)));
        names.collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = task {
        return tasks.iter().find(|task| task.name == name).ok_or_else(|| {
            usage(anyhow!(
                "`{module_name}` has no task `{name}`; it has {}",
                names()
            ))
        });
    }
    match obvious_tasks(tasks, module_name)[..] {
        [task] => Ok(task),
        _ if tasks.is_empty() => Err(Problem::Unusable(anyhow!("`{module_name}` has no tasks"))),
        _ => Err(usage(anyhow!(
            "`{module_name}` has several tasks; choose one with `--task`: {}",
            names()
        ))),
    }
}

/// The only task; or those that the module is named after, as `factorizer` is after
/// `factorize`.
fn obvious_tasks<'a>(tasks: &'a [TaskInfo], module_name: &str) -> Vec<&'a TaskInfo> {
    let stem = Path::new(module_name).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy().replace('-', "_");
    let is_namesake = |task: &&TaskInfo| tasks.len() == 1 || stem.starts_with(&task.name);
    tasks.iter().filter(is_namesake).collect()
}

fn usage(error: anyhow::Error) -> Problem {
    Problem::Usage(error)
}
