//! Why a pool could not be built.

/// Why a pool could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is out of its range.
    #[error("{setting}: {problem}")]
    #[non_exhaustive]
    Setting {
        /// The name of the builder's method.
        setting: &'static str,
        /// What is wrong with the value, and which values are valid.
        problem: String,
    },
    /// The sandbox does not work on this machine.
    #[error("the sandbox cannot be set up: {0}")]
    Sandbox(String),
    /// A thread could not be started. The pool takes one for each worker, one that watches them,
    /// and more when modules are loaded and guests wait.
    #[error(
        "a thread cannot be started, after those of {started} of {workers} workers; raise the limit \
         of threads (`ulimit -u`, or `pids.max` of the container), or ask for fewer workers"
    )]
    #[non_exhaustive]
    Thread {
        /// How many workers had a thread.
        started: usize,
        /// How many workers were asked for.
        workers: usize,
        /// What the system said.
        source: std::io::Error,
    },
}
