//! The sandbox: the only room that names wasmtime.
//!
//! Bytes go in and bytes come out. The sandbox knows what a task may use and how it is told to
//! stop. It knows nothing of queues, futures or threads.

mod abi;
mod address_space;
mod bindings;
mod blocking;
mod cache;
mod cache_state;
mod children;
mod concurrency;
mod core_module;
mod ending;
mod engine;
mod engines;
mod exports;
mod halting;
mod host;
mod imports;
mod initializer;
mod instance;
mod limiter;
mod linkers;
mod memory_needs;
mod module;
mod numbers;
mod objects;
mod reactor;
mod reused_box;
mod store;
mod trust;
mod waiting;
mod wasi;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::ComponentExportIndex;
use wasmtime::{Engine, ModuleExport};

pub(crate) use blocking::BlockingDriver;
pub(crate) use cache::{Cache, CacheFolder, DEFAULT_CACHE_LIMIT};
pub use cache_state::CacheState;
pub(crate) use children::TaskGrants;
pub(crate) use engine::EngineSettings;
pub use engine::MemoryReset;
pub(crate) use host::Caller;
pub use host::{HostCall, HostFunctions, HostResult};
pub(crate) use initializer::Initializer;
pub(crate) use instance::{Ended, Instance};
pub(crate) use reactor::{EnteredReactor, Reactor};
pub use wasi::{Access, Capabilities, GrantError};

use self::abi::AsyncFunction;
use self::engines::Engines;
use self::memory_needs::MemoryNeeds;
use self::module::{Compiled, Loaded};
use self::wasi::network::Lookups;
use self::wasi::program::Start;
use crate::call::{Allocation, Control, Limits, MemoryAccount};
use crate::error::{LoadError, TaskError};
use crate::value::{self, Signature, Uncallable};

/// The version of the WebAssembly engine inside, as in `48.0.8`.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// Everything that the instances of one pool have in common.
pub(crate) struct Sandbox {
    engines: Engines,
    cache: Cache,
    lookups: Arc<Lookups>,
    allocation: Allocation,
    max_suspended: usize,
    reactor: Reactor,
}

/// A task as its module describes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its name within the module. An exported function of an interface is named with it:
    /// `ns:package/interface@1.0.0#function`. A program is named `wasi:cli/run`.
    pub name: String,
    /// The names of its parameters, in order.
    pub params: Vec<String>,
    /// What it does, as Markdown. Empty if its author wrote no documentation.
    pub doc: String,
    /// The types of its parameters and its result, if it is an exported function. A task that the
    /// module lists itself has none: the guest checks the arguments of each call. A program has
    /// none either: it takes arguments, an environment and a standard input (see
    /// [`Command`](crate::Command)).
    #[serde(skip)]
    pub signature: Option<Arc<Signature>>,
}

impl TaskInfo {
    /// How many arguments it takes. An exported function may be called with fewer arguments than it
    /// has parameters: options at the end may be left out.
    pub fn arity(&self) -> RangeInclusive<usize> {
        let all = self.params.len();
        let signature = self.signature.as_ref();
        signature.map_or(all, |signature| signature.required())..=all
    }
}

/// A function of the embedding program that a module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFunctionInfo {
    /// The name of the import: `ns:package/interface@1.0.0#function`.
    pub name: String,
    /// Its parameters and its result, as the module wants them.
    pub signature: Signature,
}

fn host_functions(compiled: &Compiled) -> Arc<[HostFunctionInfo]> {
    let imports = compiled.host_imports().iter();
    let functions = imports.map(|import| HostFunctionInfo {
        name: import.name.to_string(),
        signature: import.signature.clone(),
    });
    functions.collect()
}

/// How a task is called.
#[derive(Clone, Copy)]
pub(crate) enum EntryPoint {
    /// By its name, through our contract.
    Registered,
    /// As the function that the component exports there.
    Function(ComponentExportIndex),
    /// As the asynchronous function that the component exports there.
    AsyncFunction(AsyncFunction),
    /// As the function of numbers that the core module exports there.
    Numbers(ModuleExport),
    /// As a program, which begins there.
    Program(Start),
}

/// A compiled module whose own tasks are not listed yet.
pub(crate) struct Unlisted(Loaded);

impl Unlisted {
    /// The tasks that the module lists itself, if they are known without an instance: it has none,
    /// or the cache has the list that it made within these limits.
    pub(crate) fn known_tasks(&self, limits: &Limits) -> Option<Vec<TaskInfo>> {
        if !self.0.compiled.has_contract() {
            return Some(Vec::new());
        }
        let kept = self.0.entry.as_ref()?.tasks()?;
        let (memory, tasks): (usize, _) = value::decode(&kept).ok()?;
        (memory <= limits.memory).then_some(tasks)
    }

    /// Caches the list that the module made within these limits, for later processes.
    pub(crate) fn keep_tasks(&self, limits: &Limits, told: &[TaskInfo]) {
        if let Some(entry) = &self.0.entry
            && let Ok(tasks) = value::encode(&(limits.memory, told))
        {
            entry.keep_tasks(&tasks);
        }
    }

    /// The module, with the tasks that it listed.
    pub(crate) fn into_module(self, told: Vec<TaskInfo>) -> Module {
        let Loaded {
            compiled, exports, ..
        } = self.0;
        let told = told.into_iter().map(|task| (task, EntryPoint::Registered));
        let (tasks, entries): (Vec<_>, Vec<_>) = told.chain(exports.callable).unzip();
        Module {
            tasks: tasks.into(),
            uncallable: exports.uncallable.into(),
            initializer: None,
            capabilities: Capabilities::default(),
            memory_needs: MemoryNeeds::new(entries.len(), compiled.initial_memory()),
            host_functions: host_functions(&compiled),
            entries: entries.into(),
            may_be_suspended: compiled.fits_suspended(),
            compiled,
            loaded: None,
        }
    }
}

/// A module that was loaded, with its tasks.
pub(crate) struct Module {
    pub(crate) tasks: Arc<[TaskInfo]>,
    pub(crate) uncallable: Arc<[Uncallable]>,
    /// The functions of the embedder that it imports. Most modules import none.
    pub(crate) host_functions: Arc<[HostFunctionInfo]>,
    /// What each instance runs before its first task.
    pub(crate) initializer: Option<Initializer>,
    /// The rights of its tasks, unless a task has rights of its own.
    pub(crate) capabilities: Capabilities,
    /// How each of the tasks is called.
    entries: Arc<[EntryPoint]>,
    compiled: Compiled,
    /// Whether its calls may be suspended, and sessions may keep its instances. They may not if an
    /// instance needs more memories or tables than are reserved for that.
    pub(crate) may_be_suspended: bool,
    memory_needs: MemoryNeeds,
    /// The module as it was loaded, if this one was made from it. The loader refers to it weakly:
    /// as long as this one exists, it is not loaded again.
    loaded: Option<Arc<Module>>,
}

impl Module {
    /// The same module with another initializer.
    pub(crate) fn with_initializer(self: &Arc<Self>, initializer: Initializer) -> Self {
        Self {
            tasks: Arc::clone(&self.tasks),
            uncallable: Arc::clone(&self.uncallable),
            host_functions: Arc::clone(&self.host_functions),
            initializer: Some(initializer),
            // Another initializer needs another amount.
            memory_needs: MemoryNeeds::new(self.tasks.len(), self.compiled.initial_memory()),
            capabilities: self.capabilities.clone(),
            entries: Arc::clone(&self.entries),
            compiled: self.compiled.clone(),
            may_be_suspended: self.may_be_suspended,
            loaded: Some(self.loaded()),
        }
    }

    /// The same module with other rights. The failures of its initializer are forgotten.
    pub(crate) fn with_capabilities(self: &Arc<Self>, capabilities: Capabilities) -> Self {
        let initializer = self.initializer.as_ref().map(Initializer::anew);
        Self {
            tasks: Arc::clone(&self.tasks),
            uncallable: Arc::clone(&self.uncallable),
            host_functions: Arc::clone(&self.host_functions),
            initializer,
            capabilities,
            memory_needs: self.memory_needs.clone(),
            entries: Arc::clone(&self.entries),
            compiled: self.compiled.clone(),
            may_be_suspended: self.may_be_suspended,
            loaded: Some(self.loaded()),
        }
    }

    /// How much memory an instance is expected to hold when it has run the task.
    pub(crate) fn expected_memory(&self, task: usize) -> usize {
        self.memory_needs.of(task)
    }

    /// The module as it was loaded.
    fn loaded(self: &Arc<Self>) -> Arc<Self> {
        Arc::clone(self.loaded.as_ref().unwrap_or(self))
    }

    /// The place of the program among the tasks, if the module is one.
    pub(crate) fn program(&self) -> Option<usize> {
        let is_program = |entry: &EntryPoint| matches!(entry, EntryPoint::Program(_));
        self.entries.iter().position(is_program)
    }

    /// Whether the task is a program, which needs a fresh instance for each run.
    pub(crate) fn is_program(&self, task: usize) -> bool {
        matches!(self.entries[task], EntryPoint::Program(_))
    }
}

impl Sandbox {
    pub(crate) fn new(
        settings: EngineSettings,
        host_functions: HostFunctions,
        cache: Cache,
    ) -> Result<Self, String> {
        let engine::Built {
            engine,
            allocation,
            suspended,
        } = engine::build(settings)?;
        let engines = Engines::new(engine, settings, &allocation, host_functions);
        let engines = engines.map_err(|error| format!("{error:#}"))?;
        let reactor = Reactor::new().map_err(|error| {
            let remedy = address_space::descriptor_remedy();
            format!("its reactor: {error}; {remedy}")
        })?;
        Ok(Self {
            engines,
            cache,
            lookups: Arc::default(),
            allocation,
            max_suspended: suspended as usize,
            reactor,
        })
    }

    /// Makes each running guest check its stop request once. A guest may check just before the
    /// request is written, so repeat this until the guest has stopped.
    pub(crate) fn interrupt(&self) {
        self.engines.all().for_each(Engine::increment_epoch);
    }

    /// Whether `module` was loaded here, and can be instantiated here.
    pub(crate) fn owns(&self, module: &Module) -> bool {
        let engine = module.compiled.engine();
        self.engines.all().any(|own| Engine::same(own, engine))
    }

    /// The thread that wakes guests which wait in the host.
    pub(crate) fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub(crate) fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// How many suspended calls there is room for: those that were asked for, or fewer.
    pub(crate) fn max_suspended(&self) -> usize {
        self.max_suspended
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Checks, compiles and links a module. Blocks for as long as that takes: some hundred
    /// microseconds from the cache, about a second per megabyte otherwise.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Unlisted, LoadError> {
        let loaded = module::load(&self.engines, &self.cache, bytes)?;
        Ok(self.unlisted(loaded))
    }

    fn unlisted(&self, loaded: Loaded) -> Unlisted {
        // Functions of the embedder may have spawned work on the runtime before a guest waits.
        if !loaded.compiled.host_imports().is_empty() {
            // Without a thread to be had, a guest that waits tries again, and is told.
            let _ = self.reactor.start();
        }
        Unlisted(loaded)
    }

    /// Compiles a module to native code, for `load_precompiled`.
    pub(crate) fn precompile(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        module::precompile(&self.engines, bytes)
    }

    /// Loads native code.
    ///
    /// # Safety
    ///
    /// The file must come from `precompile`, and must not change while it is in use.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn load_precompiled(&self, path: &Path) -> Result<Unlisted, LoadError> {
        // SAFETY: passed on to the caller.
        let loaded = unsafe { module::load_precompiled(&self.engines, path) };
        let loaded = loaded.map_err(|error| match error {
            LoadError::Unfit(unfit) => LoadError::Unfit(self.with_cause(unfit)),
            error => error,
        })?;
        Ok(self.unlisted(loaded))
    }

    /// Why native code does not fit, if that may be for the code of this pool, which depends on how
    /// much its memories reserve.
    fn with_cause(&self, unfit: String) -> String {
        match &self.allocation {
            Allocation::OnDemand {
                reason,
                reservation,
            } => format!(
                "{unfit}; a memory of this pool reserves {reservation} bytes, since {reason}; or \
                 compile it within the same limit"
            ),
            Allocation::Pooled { .. } => unfit,
        }
    }

    /// Has the module list its own tasks.
    pub(crate) fn list(
        &self,
        unlisted: &Unlisted,
        driver: &BlockingDriver,
        limits: &Limits,
        control: &Arc<Control>,
    ) -> Result<Vec<TaskInfo>, TaskError> {
        instance::list(&unlisted.0.compiled, driver, limits, control)
    }

    /// An instance of `module` with these rights, for the call with this control block and this
    /// account of the memory budget.
    pub(crate) fn instance(
        &self,
        module: Arc<Module>,
        rights: Capabilities,
        control: Arc<Control>,
        account: Option<Arc<MemoryAccount>>,
    ) -> Instance {
        Instance::new(module, rights, control, &self.lookups, account)
    }

    /// Sets up the calling thread for running guests. Each such thread calls it once, so that its
    /// first call does not pay for it.
    pub(crate) fn prepare_thread() {
        Engine::tls_eager_initialize();
    }
}
