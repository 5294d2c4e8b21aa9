//! What was loaded, as callers hold it: a module, and typed references to its tasks.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use crate::error::TaskRefError;
use crate::options::TaskOptions;
use crate::sandbox::{Initializer, Module, TaskInfo};
use crate::value::{self, Arguments};

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

    /// The same module, of which every instance runs `task` with `arguments` before its first
    /// task: to load tables or compile rules once for many tasks. What `task` returns is
    /// dropped.
    ///
    /// Under [`Isolation::Worker`](crate::Isolation::Worker) that is once for each worker that
    /// serves the module, and again after its instance was recycled or has failed. Under
    /// [`Isolation::Task`](crate::Isolation::Task) it is once for each task, whose time it
    /// takes each time: [`TaskReport::initialized`](crate::TaskReport::initialized) says how
    /// much.
    ///
    /// The initializer has the time limit of `task`'s own options, or else the pool's
    /// `task_timeout`, from its instance's start; the time limit of the first task counts
    /// from its end. When it fails or runs too long, that task and all later ones of this
    /// module end as [`InitializerFailed`](crate::TaskErrorKind::InitializerFailed) with its
    /// cause, and it is not tried again: make the module anew for that.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = wasmpool::Pool::new()?;
    /// # let module = pool.load(wasmpool_guests::MISBEHAVING.path())?;
    /// let remember = module.task::<(u64,), u64>("remember")?;
    /// let module = module.with_initializer(&remember, (7,))?;
    /// let recall = module.task::<(u64,), u64>("recall")?;
    /// assert_eq!(pool.submit(&recall, (0,))?.wait()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If `task` is another module's, or the arguments cannot be encoded.
    pub fn with_initializer<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<Self, TaskRefError> {
        if !Arc::ptr_eq(&task.module.tasks, &self.module.tasks) {
            let name = task.info().name.clone();
            return Err(TaskRefError::OtherModule { name });
        }
        let initializer = Initializer {
            task: task.index,
            arguments: value::encode_arguments(&arguments).map_err(TaskRefError::BadArguments)?,
            options: task.options.clone(),
            failure: OnceLock::new(),
        };
        Ok(Self::new(Arc::new(
            self.module.with_initializer(initializer),
        )))
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
            options: self.options.clone(),
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
