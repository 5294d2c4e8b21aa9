//! Why a typed reference to a task could not be made.

use crate::value::Uncallable;
use crate::value::text::{self, Listed};

/// The words before the list of tasks, or of other names, with the one most similar to `name` if one is
/// similar. `has` says who has them.
pub(super) fn did_you_mean(name: &str, tasks: &[String], has: &str) -> String {
    /// Bounds on the names that are compared: comparing two takes time in the product of their
    /// lengths.
    const COMPARED: usize = 1_000;
    const LENGTH: usize = 128;
    /// The least similarity to be suggested; 1 is the same name.
    const ALIKE: f64 = 0.8;
    if name.len() > LENGTH {
        return has.to_owned();
    }
    let function = |task: &str| task.rsplit('#').next().unwrap_or_default().to_owned();
    let compared = tasks
        .iter()
        .take(COMPARED)
        .filter(|task| task.len() <= LENGTH);
    let alike = compared.map(|task| {
        let whole = strsim::jaro_winkler(name, task);
        let short = strsim::jaro_winkler(&function(name), &function(task));
        (whole.max(short), task)
    });
    let nearest = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((likeness, task)) if likeness >= ALIKE => {
            let (first, rest) = has.split_at(1);
            let has = first.to_uppercase() + rest;
            format!("did you mean `{}`? {has}", text::name(task))
        }
        _ => has.to_owned(),
    }
}

/// Why a typed reference to a task, or an initializer made from one, could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskRefError {
    /// The module has no task of that name.
    #[error(
        "the module has no task `{}`; {} {}",
        text::name(name),
        did_you_mean(name, tasks, "it has"),
        Listed(tasks)
    )]
    #[non_exhaustive]
    Unknown {
        /// The requested name.
        name: String,
        /// The names that there are.
        tasks: Vec<String>,
    },
    /// The name is short for several tasks.
    #[error(
        "the module has several tasks `{}`: {}",
        text::name(name),
        Listed(tasks)
    )]
    #[non_exhaustive]
    Ambiguous {
        /// The requested name.
        name: String,
        /// The names that it could stand for.
        tasks: Vec<String>,
    },
    /// The module exports a function of that name, and it cannot be a task.
    #[error("the function `{}` cannot be called: {}", text::name(&.0.name), .0.reason)]
    Uncallable(Uncallable),
    /// The task takes another number of arguments.
    #[error(
        "the task `{}` has {expected} parameters, and the reference {given} arguments",
        text::name(name)
    )]
    #[non_exhaustive]
    Arity {
        /// The task.
        name: String,
        /// How many it takes.
        expected: usize,
        /// How many the type of the reference has.
        given: usize,
    },
    /// The module is not a program.
    #[error(
        "the module is not a program: it exports no `wasi:cli/run`; its tasks are {}",
        Listed(tasks)
    )]
    #[non_exhaustive]
    NoProgram {
        /// What it has instead.
        tasks: Vec<String>,
    },
    /// A program was to be an initializer.
    #[error(
        "`{}` is a program, which runs once and leaves no instance behind it",
        text::name(name)
    )]
    #[non_exhaustive]
    ProgramAsInitializer {
        /// The task.
        name: String,
    },
    /// The initializer is a task of another module.
    #[error("the initializer `{}` is a task of another module", text::name(name))]
    #[non_exhaustive]
    OtherModule {
        /// The task.
        name: String,
    },
    /// The initializer's arguments do not fit, or cannot be written as MessagePack.
    #[error("{0}")]
    BadArguments(String),
}
