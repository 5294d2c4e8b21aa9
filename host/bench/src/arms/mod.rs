//! The ways to run a task that are compared, and what questions ask of all of them.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Failure, check};

pub(crate) mod native;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod python;
pub(crate) mod sandbox;
pub(crate) mod wire;

/// One way to run a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arm {
    /// A pool of threads that run the same function, compiled for this machine: the floor.
    Native,
    /// wasmpool, with one instance for each worker.
    Warm,
    /// wasmpool, with one instance for each task: the default.
    Fresh,
    /// As fresh, with memory that is reset page by page.
    PageWise,
    /// As warm, without the checks by which guests are stopped.
    Unchecked,
    /// As warm, through a function that the component exports instead of our contract.
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
    /// Copying bytes, and nothing else: the least that a payload costs.
    Copies,
    /// A command that the user gave.
    Command,
}

impl Arm {
    /// Those that take part in a run, in the order in which they are shown.
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

    /// What rows call it.
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

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native threads: the same function, without any isolation",
            Self::Warm => "wasmpool, a warm instance for each worker",
            Self::Fresh => "wasmpool, a fresh instance for each task",
            Self::PageWise => "the same, with `MemoryReset::PageWise`, which is not the default",
            Self::Unchecked => "wasmpool, warm instances without epoch checks",
            Self::Function => "wasmpool, warm, through a function that the component exports",
            Self::Processes => "native worker processes behind pipes",
            Self::Process => "a native process for each task",
            Self::Python => "Python's `ProcessPoolExecutor`",
            Self::PythonPool => "Python's `multiprocessing.Pool`",
            Self::True => "the program `true`, which does nothing",
            Self::Copies => "three plain copies, and nothing else",
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
    /// The program that holds this code, which arms start once more as their worker.
    pub(crate) program: PathBuf,
    /// A folder of this run alone: compiled modules, and the script for Python.
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

/// How tasks are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The next one when the one before is done.
    OneByOne,
    /// All at once, each a message of its own.
    Together,
    /// All at once, [`CHUNK`] in a message.
    Chunks,
}

/// Tasks in a chunk.
pub(crate) const CHUNK: usize = 64;

/// An arm that factorizes numbers, each a task.
pub(crate) trait Factorizes {
    /// Factorizes the numbers. Says how long it took, and the [`digest`] of the factors.
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure>;

    /// Factorizes the numbers and compares what comes out. Says how long the first took.
    fn factorize_checked(&self, work: &Work, how: How) -> Result<Duration, Failure> {
        let (took, digest) = self.factorize(&work.numbers, how)?;
        check(&digest, &work.digest)?;
        Ok(took)
    }
}

/// Sets up an arm that factorizes.
pub(crate) fn factorizer(arm: Arm, site: &Site) -> Result<Box<dyn Factorizes>, Failure> {
    Ok(match arm {
        Arm::Native => Box::new(native::Threads::start(site.workers)),
        Arm::Warm | Arm::Fresh | Arm::PageWise | Arm::Unchecked => {
            Box::new(sandbox::Factorizer::new(arm, site)?)
        }
        Arm::Processes => Box::new(processes::Workers::start(site)),
        Arm::Process => Box::new(process::Spawner::new(site)),
        Arm::Python | Arm::PythonPool => Box::new(python::Python::start(arm, site)?),
        Arm::Function | Arm::True | Arm::Copies | Arm::Command => {
            return Err(Failure::new("it does not factorize"));
        }
    })
}

/// Numbers to factorize, and what must come out.
pub(crate) struct Work {
    pub(crate) numbers: Vec<u64>,
    digest: u64,
}

impl Work {
    pub(crate) fn new(numbers: Vec<u64>) -> Self {
        let digest = digest(numbers.iter().map(|&n| factorizer::factorize(n)));
        Self { numbers, digest }
    }

    /// The same small number again and again.
    pub(crate) fn tiny(times: usize) -> Self {
        Self::new(vec![TINY; times])
    }
}

/// A task of next to nothing: one division, one factor.
pub(crate) const TINY: u64 = 2;

/// A number for the factors of numbers, to which the order of both matters. Python computes the
/// same.
pub(crate) fn digest(results: impl IntoIterator<Item = impl AsRef<[u64]>>) -> u64 {
    let step = |digest: u64, value: u64| digest.wrapping_mul(31).wrapping_add(value);
    results.into_iter().fold(7, |digest, factors| {
        let of_result = factors.as_ref().iter().copied().fold(digest, step);
        step(of_result, factors.as_ref().len() as u64)
    })
}
