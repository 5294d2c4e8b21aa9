//! Checks the concurrency of wasmpool by claims about the library's own files, which are compiled
//! here without the sandbox.
//!
//! A claim is a function that runs threads against each other and checks the result. It runs in
//! three ways:
//!
//! - plainly, many times over, on the standard library's primitives (`cargo test`);
//! - the same under Miri, which finds data races, and plays with the freedom that the weak
//!   memory orderings leave (`cargo +nightly miri test`);
//! - with the feature `shuttle` under a model checker, which decides after every operation on
//!   a primitive which thread goes on, and finds deadlocks ([`sync`] says how it treats time).
//!
//! Limits: the model checker treats every atomic operation as sequentially consistent. None of the
//! three checks the rooms `pool` and `sandbox` and the file `schedule/worker.rs`, which
//! [`registry`] replaces. The steps that a worker takes with a task are in `schedule/scheduler.rs`,
//! which is checked.

// The model checker's primitives work only under it, so the unit tests of the library's files
// cannot run with them. The claims can: they are in a binary of their own.
#![cfg(not(all(test, feature = "shuttle")))]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the library's files offer more than is checked here, some of it to its users"
)]

#[path = "../../../host/wasmpool/src/call/mod.rs"]
mod call;
#[path = "../../../host/wasmpool/src/error/mod.rs"]
mod error;
#[path = "../../../host/wasmpool/src/future/mod.rs"]
mod future;
#[path = "../../../host/wasmpool/src/objects/mod.rs"]
mod objects;
mod schedule;
#[cfg(feature = "shuttle")]
mod sync;
#[cfg(not(feature = "shuttle"))]
#[path = "../../../host/wasmpool/src/sync/mod.rs"]
mod sync;
mod value;

mod check;
mod registry;

pub mod budgeting;
pub mod chunking;
pub mod completing;
pub mod conversing;
pub mod counting;
pub mod deferring;
pub mod exchanging;
pub mod joining;
pub mod listening;
pub mod queueing;
pub mod retrying;
pub mod settling;
pub mod sharing;
pub mod stopping;
pub mod suspending;
pub mod waiting;
pub mod watching;
