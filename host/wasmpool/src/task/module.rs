//! A loaded module and typed references to its tasks, as callers hold them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::options::TaskOptions;
use crate::call::{Output, Payload};
use crate::error::TaskRefError;
use crate::sandbox::{Capabilities, HostFunctionInfo, Initializer, Module, TaskInfo};
use crate::value::{self, Arguments, Uncallable};

/// A module that a pool has loaded. Cheap to clone; belongs to the pool that loaded it.
#[derive(Clone)]
pub struct TaskModule {
    module: Arc<Module>,
}

impl TaskModule {
    pub(crate) fn new(module: Arc<Module>) -> Self {
        Self { module }
    }

    pub(crate) fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// The tasks of the module: those that it lists, in its order, and then the functions that it
    /// exports.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.module.tasks
    }

    /// The exported functions that cannot be tasks, with the reason for each.
    pub fn uncallable(&self) -> &[Uncallable] {
        &self.module.uncallable
    }

    /// The [host functions](crate::PoolBuilder::host_functions) that the module imports, in the order
    /// of its imports. It calls those that it is [granted](crate::Capabilities::host_function).
    /// Compilers leave out imports that a guest never calls.
    pub fn host_functions(&self) -> &[HostFunctionInfo] {
        &self.module.host_functions
    }

    /// The task `name`. The name of an interface's function may be shortened to its end, without a
    /// version, if that is unambiguous: `function`, `interface#function` or
    /// `ns:package/interface#function`.
    ///
    /// # Errors
    ///
    /// If there is no such task, several match, or the function cannot be a task.
    pub fn find(&self, name: &str) -> Result<&TaskInfo, TaskRefError> {
        self.index_of(name).map(|index| &self.tasks()[index])
    }

    fn index_of(&self, name: &str) -> Result<usize, TaskRefError> {
        let tasks = self.tasks();
        if let Some(index) = tasks.iter().position(|task| task.name == name) {
            return Ok(index);
        }
        let is_meant = |index: &usize| is_name_of(name, &tasks[*index].name);
        let meant = (0..tasks.len()).filter(is_meant).collect::<Vec<_>>();
        let names = |tasks: Vec<&TaskInfo>| tasks.iter().map(|task| task.name.clone()).collect();
        match meant[..] {
            [index] => Ok(index),
            [] => match self
                .uncallable()
                .iter()
                .find(|function| is_name_of(name, &function.name))
            {
                Some(function) => Err(TaskRefError::Uncallable(function.clone())),
                None => Err(TaskRefError::Unknown {
                    name: name.to_owned(),
                    tasks: names(tasks.iter().collect()),
                }),
            },
            _ => Err(TaskRefError::Ambiguous {
                name: name.to_owned(),
                tasks: names(meant.iter().map(|&index| &tasks[index]).collect()),
            }),
        }
    }

    /// The same module with an initializer: every instance runs `task` with `arguments` before its
    /// first task, for example to load tables or compile rules once for many tasks. The result of
    /// `task` is dropped.
    ///
    /// Under [`Isolation::Worker`](crate::Isolation::Worker) it runs once for each worker that
    /// serves the module, and again after its instance was recycled or has failed. Under
    /// [`Isolation::Task`](crate::Isolation::Task) it runs before each task.
    /// [`TaskReport::initialized`](crate::TaskReport::initialized) says how long it took.
    ///
    /// The initializer has the limits of `task`'s options, or else the pool's. Its time counts
    /// from the start of its instance; the time of the first task counts from the end of the
    /// initializer. If that task is cancelled meanwhile, the initializer has the task's grace
    /// period. Its output is not in the task's report, but [listeners](crate::TaskFuture::events)
    /// receive it. A module has one initializer: a new one replaces it.
    ///
    /// If it fails or times out, the task ends as
    /// [`InitializerFailed`](crate::TaskErrorKind::InitializerFailed) with its cause. For one
    /// second all tasks of this module end with the same error without a run; then one task tries
    /// the initializer again. Each further failure doubles the pause, up to one minute; a success
    /// ends it.
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
    /// If `task` belongs to another module or is a program, or the arguments cannot be encoded.
    pub fn with_initializer<Args: Arguments, Out>(
        &self,
        task: &Task<Args, Out>,
        arguments: Args,
    ) -> Result<Self, TaskRefError> {
        if !Arc::ptr_eq(&task.module.tasks, &self.module.tasks) {
            let name = task.info().name.clone();
            return Err(TaskRefError::OtherModule { name });
        }
        if task.is_program() {
            let name = task.info().name.clone();
            return Err(TaskRefError::ProgramAsInitializer { name });
        }
        let arguments = task.encode(&arguments);
        let arguments = arguments.map_err(TaskRefError::BadArguments)?;
        let arguments = Payload::new(arguments, true);
        let initializer = Initializer::new(task.index, arguments, *task.options.limits());
        Ok(Self::new(Arc::new(
            self.module.with_initializer(initializer),
        )))
    }

    /// The same module with these rights: every instance may use what they grant, and nothing else
    /// of the host. An initializer has the same rights. They replace earlier ones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = wasmpool::Pool::new()?;
    /// # let module = pool.load(wasmpool_guests::MISBEHAVING.path())?;
    /// let rights = wasmpool::Capabilities::new().env("HOME", "/nowhere");
    /// let module = module.with_capabilities(rights);
    /// let escape = module.task::<(&str,), String>("escape")?;
    /// assert_eq!(pool.submit(&escape, ("environment",))?.wait()?, "HOME=/nowhere");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_capabilities(&self, capabilities: Capabilities) -> Self {
        Self::new(Arc::new(self.module.with_capabilities(capabilities)))
    }

    /// The task of the module's program, if it is one: see [`command`](Self::command).
    pub fn program(&self) -> Option<&TaskInfo> {
        Some(&self.tasks()[self.module.program()?])
    }

    /// A reference to the module's program.
    pub(crate) fn program_task<Args>(&self) -> Result<Task<Args, Output>, TaskRefError> {
        let index = self.module.program();
        let index = index.ok_or_else(|| TaskRefError::NoProgram {
            tasks: self.tasks().iter().map(|task| task.name.clone()).collect(),
        })?;
        Ok(Task {
            module: Arc::clone(&self.module),
            index,
            options: TaskOptions::default(),
            types: PhantomData,
        })
    }

    /// A reference to the task `name`, with the host's types for its arguments and its result. The
    /// name may be short, see [`find`](Self::find).
    ///
    /// The number of arguments is checked here. The arguments of an exported function are checked
    /// against its signature when a task is submitted. The types of a task that the module lists
    /// itself are unknown to the host: the guest checks each call, and the task ends as
    /// [`BadArguments`](crate::TaskErrorKind::BadArguments) if they do not fit.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find), and if the task takes another number of arguments.
    pub fn task<Args: Arguments, Out>(&self, name: &str) -> Result<Task<Args, Out>, TaskRefError> {
        let index = self.index_of(name)?;
        let task = &self.tasks()[index];
        let expected = task.params.len();
        match Args::ARITY {
            Some(given) if !task.arity().contains(&given) => Err(TaskRefError::Arity {
                name: task.name.clone(),
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

impl Capabilities {
    /// Lets the guest start tasks of this module, under this name: as
    /// [`tasks`](Self::tasks), which is for its own module. Such a task has the rights of the task
    /// that starts it, not those of the module.
    ///
    /// The module must belong to the pool in which the rights are used; otherwise its tasks fail.
    pub fn tasks_of(self, name: impl Into<String>, module: &TaskModule) -> Self {
        self.with_tasks_of(name.into(), Arc::clone(&module.module))
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
    /// The name, parameters and documentation of the task.
    pub fn info(&self) -> &TaskInfo {
        &self.module.tasks[self.index]
    }

    /// A reference to the same task with these options, which replace those of this reference.
    pub fn with(&self, options: TaskOptions) -> Self {
        Self {
            options,
            ..self.clone()
        }
    }

    /// The arguments, encoded for the guest.
    pub(crate) fn encode(&self, arguments: &Args) -> Result<Vec<u8>, String>
    where
        Args: Arguments,
    {
        value::encode_arguments(self.info().signature.as_deref(), arguments)
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

    /// Whether it is a program.
    pub(crate) fn is_program(&self) -> bool {
        self.module.is_program(self.index)
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

/// Whether `name` is the name of the exported `function`, or short for it. A resource's function
/// may be named without its prefix: `counter.get` for `[method]counter.get`.
fn is_name_of(name: &str, function: &str) -> bool {
    let plain = ["[method]", "[static]", "[constructor]"]
        .into_iter()
        .find_map(|prefix| {
            let (interface, of_resource) = function.split_once(prefix)?;
            Some(format!("{interface}{of_resource}"))
        });
    [Some(function), plain.as_deref()]
        .into_iter()
        .flatten()
        .any(|function| name == function || is_short_for(name, function))
}

/// Whether `short` is the end of `name`, with or without the version.
fn is_short_for(short: &str, name: &str) -> bool {
    let Some((interface, function)) = name.split_once('#') else {
        return false;
    };
    let unversioned = interface.split('@').next().unwrap_or(interface);
    let Some((short_interface, short_function)) = short.split_once('#') else {
        return short == function;
    };
    let end = unversioned.rsplit('/').next().unwrap_or(unversioned);
    short_function == function && (short_interface == unversioned || short_interface == end)
}
