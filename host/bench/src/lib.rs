//! The cost of isolation: wasmpool compared with native threads, native processes and Python.
//!
//! [`run`] measures the questions of a [`Plan`] and returns a [`Report`], which is plain data. All
//! arms do the same work: a pool of native threads, wasmpool with warm and with fresh instances, a
//! pool of native processes behind pipes, a native process for each task, and Python's process
//! pools. The arms alternate in rounds, in another order each time, so that disturbances of the
//! machine affect all of them; ratios are computed per round. Results of tasks are compared with
//! those of the native function.
//!
//! Prints nothing. Uses only the public API of wasmpool.
//!
//! Arms with processes start the program `wasmpool` again, which calls [`as_worker`] before
//! anything else.

#![forbid(unsafe_code)]

mod arms;
mod bench;
mod failure;
mod html;
mod kernels;
mod machine;
mod markdown;
mod plan;
mod questions;
mod report;
mod rounds;
mod run;
mod statistics;
mod table;
mod targets;
pub mod units;
mod worker;

pub use bench::Progress;
pub use html::html;
pub use machine::parallelism;
pub use markdown::markdown;
pub use plan::{MAX_ROUNDS, Pace, Plan, Topic};
pub use questions::own::{OwnInput, OwnTask};
pub use report::{Arm, Machine, Question, Ratio, Report, Row, Target};
pub use run::{BenchError, run, run_own};
pub use statistics::MIN_ROUNDS;
pub use worker::as_worker;
