//! The arguments of this program as the worker process of an arm.
//!
//! Only names them; [`as_worker`](crate::as_worker) acts on them.

/// The argument that makes a worker of this program.
pub(crate) const SUBCOMMAND: &str = "bench-worker";

/// Answers calls from standard input.
pub(crate) const SERVE: &str = "serve";
/// Prints the factors of a number.
pub(crate) const FACTORIZE: &str = "factorize";
/// Computes for longer than any caller waits.
pub(crate) const SPIN: &str = "spin";
/// Sleeps for this many milliseconds.
pub(crate) const SLEEP: &str = "sleep";
/// Ends at once.
pub(crate) const CRASH: &str = "crash";
/// Runs tasks on native threads, one of which crashes; prints a line for each that is done.
pub(crate) const CRASH_AMONG: &str = "crash-among";
/// Prints how much memory an arm takes in this process.
pub(crate) const MEMORY: &str = "memory";
/// Prints what tasks cost that wait in a pool of this process.
pub(crate) const WAITING: &str = "waiting";
