//! What this program is asked to do as the worker of an arm, in a process of its own.
//!
//! Knows the words alone; [`as_worker`](crate::as_worker) acts on them.

/// The argument that makes a worker of this program.
pub(crate) const SUBCOMMAND: &str = "bench-worker";

/// What a worker does, by its next argument: answers calls from its standard input.
pub(crate) const SERVE: &str = "serve";
/// Prints the factors of a number.
pub(crate) const FACTORIZE: &str = "factorize";
/// Computes for longer than anybody waits.
pub(crate) const SPIN: &str = "spin";
/// Waits for so many milliseconds.
pub(crate) const SLEEP: &str = "sleep";
/// Ends at once.
pub(crate) const CRASH: &str = "crash";
/// Runs tasks on native threads, of which one crashes; prints a line for each that is done.
pub(crate) const CRASH_AMONG: &str = "crash-among";
/// Says how much memory an arm takes in this process.
pub(crate) const MEMORY: &str = "memory";
