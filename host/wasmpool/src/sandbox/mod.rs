//! The sandbox: the only room that names wasmtime.
//!
//! Takes bytes in and gives bytes out. It knows what a task may use and how it is told to
//! stop, and nothing of queues, futures or threads.

mod abi;
mod bindings;
mod blocking;
mod cache;
mod cache_state;
mod core_module;
mod ending;
mod engine;
mod exports;
mod halting;
mod imports;
mod initializer;
mod instance;
mod limiter;
mod linkers;
mod memory_needs;
mod module;
mod numbers;
mod reactor;
mod store;
mod trust;
mod wasi;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::ComponentExportIndex;
use wasmtime::{Engine, ModuleExport};

pub(crate) use blocking::BlockingDriver;
pub(crate) use cache::{Cache, CacheFolder, DEFAULT_CACHE_LIMIT};
pub use cache_state::CacheState;
pub(crate) use engine::EngineSettings;
pub use engine::MemoryReset;
pub(crate) use initializer::Initializer;
pub(crate) use instance::{Ended, Instance};
pub(crate) use reactor::{EnteredReactor, Reactor};
pub use wasi::{Access, Capabilities, GrantError};

use self::linkers::Linkers;
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
    engine: Engine,
    linkers: Linkers,
    cache: Cache,
    lookups: Arc<Lookups>,
    allocation: Allocation,
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
    /// What it does, as Markdown; empty if its author did not say.
    pub doc: String,
    /// The types of its parameters and its result, if it is an exported function. A task of
    /// our own contract has none: its guest checks the arguments of each call. Nor has a
    /// program, which takes its arguments, its environment and its standard input
    /// (see [`Command`](crate::Command)).
    #[serde(skip)]
    pub signature: Option<Arc<Signature>>,
}

impl TaskInfo {
    /// How many arguments it takes. Fewer than it has parameters only if it is an exported
    /// function: options at the end may be left out there.
    pub fn arity(&self) -> RangeInclusive<usize> {
        let all = self.params.len();
        let signature = self.signature.as_ref();
        signature.map_or(all, |signature| signature.required())..=all
    }
}

/// How a task is called.
#[derive(Clone, Copy)]
pub(crate) enum EntryPoint {
    /// By its name, through our contract.
    Registered,
    /// As the function that the component exports there.
    Function(ComponentExportIndex),
    /// As the function of numbers that the core module exports there.
    Numbers(ModuleExport),
    /// As a program, which begins there.
    Program(Start),
}

/// A component that was compiled, before it was asked for the tasks that it brings.
pub(crate) struct Unlisted(Loaded);

impl Unlisted {
    /// The tasks that the component brings, if they are known without asking it: it has none,
    /// or has told of them within these limits before.
    pub(crate) fn known_tasks(&self, limits: &Limits) -> Option<Vec<TaskInfo>> {
        if !self.0.compiled.has_contract() {
            return Some(Vec::new());
        }
        let kept = self.0.entry.as_ref()?.tasks()?;
        let (memory, tasks): (usize, _) = value::decode(&kept).ok()?;
        (memory <= limits.memory).then_some(tasks)
    }

    /// Keeps what the component has told of its tasks within these limits for the next process.
    pub(crate) fn keep_tasks(&self, limits: &Limits, told: &[TaskInfo]) {
        if let Some(entry) = &self.0.entry
            && let Ok(tasks) = value::encode(&(limits.memory, told))
        {
            entry.keep_tasks(&tasks);
        }
    }

    /// The module, with the tasks that it told of.
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
            entries: entries.into(),
            may_be_suspended: compiled.fits_suspended(),
            compiled,
        }
    }
}

/// A module that was loaded, with its tasks.
pub(crate) struct Module {
    pub(crate) tasks: Arc<[TaskInfo]>,
    pub(crate) uncallable: Arc<[Uncallable]>,
    /// What each instance runs before its first task.
    pub(crate) initializer: Option<Initializer>,
    /// What its tasks may use of the host that have no rights of their own.
    pub(crate) capabilities: Capabilities,
    /// How each of the tasks is called.
    entries: Arc<[EntryPoint]>,
    compiled: Compiled,
    /// Whether its calls may be suspended: not if it needs more memories or tables than there are
    /// for each.
    pub(crate) may_be_suspended: bool,
    memory_needs: MemoryNeeds,
}

impl Module {
    /// The same module with another initializer.
    pub(crate) fn with_initializer(&self, initializer: Initializer) -> Self {
        Self {
            tasks: Arc::clone(&self.tasks),
            uncallable: Arc::clone(&self.uncallable),
            initializer: Some(initializer),
            // Another initializer needs another amount.
            memory_needs: MemoryNeeds::new(self.tasks.len(), self.compiled.initial_memory()),
            capabilities: self.capabilities.clone(),
            entries: Arc::clone(&self.entries),
            compiled: self.compiled.clone(),
            may_be_suspended: self.may_be_suspended,
        }
    }

    /// The same module with other rights. Its initializer, if it has one, is tried anew.
    pub(crate) fn with_capabilities(&self, capabilities: Capabilities) -> Self {
        let initializer = self.initializer.as_ref().map(Initializer::anew);
        Self {
            tasks: Arc::clone(&self.tasks),
            uncallable: Arc::clone(&self.uncallable),
            initializer,
            capabilities,
            memory_needs: self.memory_needs.clone(),
            entries: Arc::clone(&self.entries),
            compiled: self.compiled.clone(),
            may_be_suspended: self.may_be_suspended,
        }
    }

    /// How much memory an instance is expected to hold when it has run the task.
    pub(crate) fn expected_memory(&self, task: usize) -> usize {
        self.memory_needs.of(task)
    }

    /// The place of the program among the tasks, if the module is one.
    pub(crate) fn program(&self) -> Option<usize> {
        let is_program = |entry: &EntryPoint| matches!(entry, EntryPoint::Program(_));
        self.entries.iter().position(is_program)
    }

    /// Whether the task is a program, which wants a fresh instance each time.
    pub(crate) fn is_program(&self, task: usize) -> bool {
        matches!(self.entries[task], EntryPoint::Program(_))
    }
}

impl Sandbox {
    pub(crate) fn new(settings: EngineSettings, cache: Cache) -> Result<Self, String> {
        let (engine, allocation) = engine::build(settings)?;
        let linkers = Linkers::new(&engine).map_err(|error| format!("{error:#}"))?;
        let reactor = Reactor::new().map_err(|error| format!("its reactor: {error}"))?;
        Ok(Self {
            engine,
            linkers,
            cache,
            lookups: Arc::default(),
            allocation,
            reactor,
        })
    }

    /// Makes all running guests look at their stop requests, once. A guest that is just
    /// about to go on may look before the request is there: repeat it until it has stopped.
    pub(crate) fn interrupt(&self) {
        self.engine.increment_epoch();
    }

    /// Whether `module` was loaded here, and can be instantiated here.
    pub(crate) fn owns(&self, module: &Module) -> bool {
        Engine::same(&self.engine, module.compiled.engine())
    }

    /// What wakes guests that wait.
    pub(crate) fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub(crate) fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Checks, compiles and links a component. Blocks for as long as that takes: some hundred
    /// microseconds from the cache, about a second for a megabyte that is new.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Unlisted, LoadError> {
        module::load(&self.engine, &self.linkers, &self.cache, bytes).map(Unlisted)
    }

    /// Compiles a component to native code, for `load_precompiled`.
    pub(crate) fn precompile(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        module::precompile(&self.engine, bytes)
    }

    /// Loads native code.
    ///
    /// # Safety
    ///
    /// The file must come from `precompile`, and must not change while it is in use.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn load_precompiled(&self, path: &Path) -> Result<Unlisted, LoadError> {
        // SAFETY: passed on to the caller.
        unsafe { module::load_precompiled(&self.engine, &self.linkers, path) }.map(Unlisted)
    }

    /// Asks a component for the tasks that it brings.
    pub(crate) fn list(
        &self,
        unlisted: &Unlisted,
        driver: &BlockingDriver,
        limits: &Limits,
        control: &Arc<Control>,
    ) -> Result<Vec<TaskInfo>, TaskError> {
        instance::list(&self.engine, &unlisted.0.compiled, driver, limits, control)
    }

    /// An instance of `module`, with these rights, for the call that has this control block, and
    /// this account of the memory budget.
    pub(crate) fn instance(
        &self,
        module: Arc<Module>,
        rights: Capabilities,
        limits: &Limits,
        control: Arc<Control>,
        account: Option<Arc<MemoryAccount>>,
    ) -> Instance {
        let (engine, lookups) = (&self.engine, &self.lookups);
        Instance::new(engine, module, rights, limits, control, lookups, account)
    }

    /// To be called once by each thread that runs guests, before the first: sets up what the
    /// first call would otherwise pay for.
    pub(crate) fn prepare_thread() {
        Engine::tls_eager_initialize();
    }
}
