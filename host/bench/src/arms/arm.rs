//! The arms of a comparison, and what they are set up with.

use std::path::PathBuf;

/// One way to run a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arm {
    /// A pool of threads that run the same function as native code: the lower bound of the cost.
    Native,
    /// wasmpool, with one instance for each worker.
    Warm,
    /// wasmpool, with one instance for each task: the default.
    Fresh,
    /// As `Fresh`, with memory that is reset page by page.
    PageWise,
    /// As `Warm`, without the checks at which guests are stopped.
    Unchecked,
    /// As `Warm`, but through an exported function instead of the contract.
    Function,
    /// Worker processes of native code, behind pipes.
    Processes,
    /// A process of native code for each task.
    Process,
    /// Python's `ProcessPoolExecutor`.
    Python,
    /// Python's `multiprocessing.Pool`.
    PythonPool,
    /// The program `true`: the least that a process costs.
    True,
    /// Only copying bytes: the least that a payload costs.
    Copies,
    /// The command of the user.
    Command,
}

impl Arm {
    /// The arms of a run, in the order in which they are shown.
    pub(crate) const ALL: &[Self] = &[
        Self::Native,
        Self::Warm,
        Self::Fresh,
        Self::PageWise,
        Self::Unchecked,
        Self::Function,
        Self::Processes,
        Self::Process,
        Self::Python,
        Self::PythonPool,
        Self::True,
        Self::Copies,
    ];

    /// The arm with this id.
    pub(crate) fn with_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|arm| arm.id() == id)
    }

    /// Its id in the rows.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Warm => "warm",
            Self::Fresh => "fresh",
            Self::PageWise => "page-wise",
            Self::Unchecked => "unchecked",
            Self::Function => "function",
            Self::Processes => "processes",
            Self::Process => "process",
            Self::Python => "python",
            Self::PythonPool => "python-pool",
            Self::True => "true",
            Self::Copies => "copies",
            Self::Command => "command",
        }
    }

    /// Its name for readers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native threads: the same function, without any isolation",
            Self::Warm => "wasmpool, a warm instance for each worker",
            Self::Fresh => "wasmpool, a fresh instance for each task",
            Self::PageWise => "as `fresh`, with `MemoryReset::PageWise`, which is not the default",
            Self::Unchecked => "wasmpool, warm instances without epoch checks",
            Self::Function => "wasmpool, warm, through an exported function",
            Self::Processes => "native worker processes behind pipes",
            Self::Process => "a native process for each task",
            Self::Python => "Python's `ProcessPoolExecutor`",
            Self::PythonPool => "Python's `multiprocessing.Pool`",
            Self::True => "the program `true`, which does nothing",
            Self::Copies => "only three plain copies",
            Self::Command => "the command given with `--against`",
        }
    }

    pub(crate) fn is_python(self) -> bool {
        matches!(self, Self::Python | Self::PythonPool)
    }
}

/// What an arm is set up with.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// How many tasks run at once.
    pub(crate) workers: usize,
    /// This program, which arms start again as their worker.
    pub(crate) program: PathBuf,
    /// A folder for this run: compiled modules, and the script for Python.
    pub(crate) folder: PathBuf,
}

impl Site {
    pub(crate) fn with_workers(&self, workers: usize) -> Self {
        Self {
            workers,
            ..self.clone()
        }
    }

    /// Where the pools of this run keep compiled modules.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }
}
