//! What was loaded, as callers hold it: a module, and typed references to its tasks.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::TaskRefError;
use crate::options::TaskOptions;
use crate::sandbox::{Module, TaskInfo};
use crate::value::Arguments;

/// A module that a pool has loaded. Cheap to clone; belongs to the pool that loaded it.
#[derive(Clone)]
pub struct TaskModule {
    module: Arc<Module>,
}

impl TaskModule {
    pub(crate) fn new(module: Arc<Module>) -> Self {
        Self { module }
    }

    /// The tasks of the module, in its own order.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.module.tasks
    }

    /// A reference to the task `name`, with the types that its arguments and its result have
    /// on this side.
    ///
    /// The number of arguments is checked here. Their types are not known to a module that
    /// brings its own tasks: it checks each call, and answers
    /// [`BadArguments`](crate::TaskErrorKind::BadArguments) where they do not fit.
    ///
    /// # Errors
    ///
    /// If the module has no such task, or the task takes another number of arguments.
    pub fn task<Args: Arguments, Out>(&self, name: &str) -> Result<Task<Args, Out>, TaskRefError> {
        let tasks = self.tasks();
        let Some(index) = tasks.iter().position(|task| task.name == name) else {
            return Err(TaskRefError::Unknown {
                name: name.to_owned(),
                tasks: tasks.iter().map(|task| task.name.clone()).collect(),
            });
        };
        let expected = tasks[index].params.len();
        match Args::ARITY {
            Some(given) if given != expected => Err(TaskRefError::Arity {
                name: name.to_owned(),
                expected,
                given,
            }),
            _ => Ok(Task {
                module: Arc::clone(&self.module),
                index,
                options: TaskOptions::default(),
                types: PhantomData,
            }),
        }
    }
}

impl fmt::Debug for TaskModule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.tasks().iter().map(|task| &task.name);
        formatter.debug_list().entries(names).finish()
    }
}

/// A task of a loaded module, with the types of its arguments and its result. Cheap to clone.
pub struct Task<Args, Out> {
    module: Arc<Module>,
    index: usize,
    options: TaskOptions,
    types: PhantomData<fn(Args) -> Out>,
}

impl<Args, Out> Task<Args, Out> {
    /// What the module says about the task.
    pub fn info(&self) -> &TaskInfo {
        &self.module.tasks[self.index]
    }

    /// A reference to the same task that is run with these options, and not with those that
    /// this reference may have.
    pub fn with(&self, options: TaskOptions) -> Self {
        Self {
            options,
            ..self.clone()
        }
    }

    pub(crate) fn options(&self) -> &TaskOptions {
        &self.options
    }

    pub(crate) fn module(&self) -> &Arc<Module> {
        &self.module
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }
}

impl<Args, Out> Clone for Task<Args, Out> {
    fn clone(&self) -> Self {
        Self {
            module: Arc::clone(&self.module),
            index: self.index,
            options: self.options,
            types: PhantomData,
        }
    }
}

impl<Args, Out> fmt::Debug for Task<Args, Out> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Task")
            .field(&self.info().name)
            .finish()
    }
}
