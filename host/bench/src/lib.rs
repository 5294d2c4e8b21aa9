//! What isolation costs: wasmpool beside native threads, native processes and Python.
//!
//! [`run`] asks the questions of a [`Plan`] and gives a [`Report`], which is plain data. The
//! same work is done by all arms: a pool of native threads, wasmpool with warm and with fresh
//! instances, a pool of native processes behind pipes, a native process for each task, and
//! Python's process pools. All of them take turns in rounds, in another order each time, so
//! that what disturbs the machine disturbs all of them; ratios are taken round by round. What
//! comes out of a task is compared with what the function itself gives.
//!
//! Prints nothing. Everything that is wasmpool goes through its public API.
//!
//! Arms that are processes are the program `wasmpool` once more: it calls [`as_worker`] before
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
