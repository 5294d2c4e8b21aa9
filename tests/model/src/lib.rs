//! The concurrency of wasmpool, checked: claims about the library's own files, which are
//! compiled here without the sandbox.
//!
//! A claim is a function that sets threads against each other and looks at what comes of it.
//! It runs in three ways:
//!
//! - plainly, many times over, on the standard library's primitives (`cargo test`);
//! - the same under Miri, which finds data races, and plays with the freedom that the weak
//!   memory orderings leave (`cargo +nightly miri test`);
//! - with the feature `shuttle` under a model checker, which decides after every operation on
//!   a primitive which thread goes on, and finds deadlocks ([`sync`] says how it treats time).
//!
//! What the model checker cannot see: it takes every atomic operation for sequentially
//! consistent. What none of the three sees: `pool.rs`, `worker.rs` and the sandbox, which
//! [`shop`] stands in for; the steps that a worker takes with a task are in `scheduler.rs`.

// The model checker's primitives work under it only, so the unit tests that the library's
// files bring along cannot run with them. The claims can: they live in a binary of their own.
#![cfg(not(all(test, feature = "shuttle")))]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the library's files offer more than is checked here, some of it to its users"
)]

#[path = "../../../host/wasmpool/src/allocation.rs"]
mod allocation;
#[path = "../../../host/wasmpool/src/cell.rs"]
mod cell;
#[path = "../../../host/wasmpool/src/completion.rs"]
mod completion;
#[path = "../../../host/wasmpool/src/contain.rs"]
mod contain;
#[path = "../../../host/wasmpool/src/control.rs"]
mod control;
#[path = "../../../host/wasmpool/src/error.rs"]
mod error;
#[path = "../../../host/wasmpool/src/events.rs"]
mod events;
#[path = "../../../host/wasmpool/src/future.rs"]
mod future;
#[path = "../../../host/wasmpool/src/limits.rs"]
mod limits;
#[path = "../../../host/wasmpool/src/output.rs"]
mod output;
#[path = "../../../host/wasmpool/src/queue.rs"]
mod queue;
#[path = "../../../host/wasmpool/src/report.rs"]
mod report;
#[path = "../../../host/wasmpool/src/retry.rs"]
mod retry;
#[path = "../../../host/wasmpool/src/scheduler.rs"]
mod scheduler;
#[path = "../../../host/wasmpool/src/signature.rs"]
mod signature;
#[path = "../../../host/wasmpool/src/spin.rs"]
mod spin;
#[path = "../../../host/wasmpool/src/stats.rs"]
mod stats;
#[cfg(not(feature = "shuttle"))]
#[path = "../../../host/wasmpool/src/sync.rs"]
mod sync;
#[path = "../../../host/wasmpool/src/text.rs"]
mod text;
#[path = "../../../host/wasmpool/src/timings.rs"]
mod timings;
#[path = "../../../host/wasmpool/src/value.rs"]
mod value;
#[path = "../../../host/wasmpool/src/watch.rs"]
mod watch;

mod check;
mod job;
mod shop;
#[cfg(feature = "shuttle")]
mod sync;
mod typed;

pub mod chunking;
pub mod completing;
pub mod counting;
pub mod deferring;
pub mod listening;
pub mod queueing;
pub mod retrying;
pub mod settling;
pub mod stopping;
pub mod waiting;
pub mod watching;
