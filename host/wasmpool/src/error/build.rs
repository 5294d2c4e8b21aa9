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
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}
