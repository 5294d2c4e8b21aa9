//! Functions of the host for a running task. All return at once.
//!
//! Outside of WebAssembly there is no host: no stop is requested, progress is ignored, the worker
//! is 0 and there is no timeout.

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::__private::bindings::wasmpool::task0_1_0::context as host;

/// Whether the host has requested a stop: the task was cancelled or timed out, or the pool shuts
/// down.
///
/// A task that checks it can return early with a partial result. A task that does not return is
/// halted when its grace period is over: at once, unless the pool sets one.
pub fn is_stop_requested() -> bool {
    #[cfg(target_arch = "wasm32")]
    return host::is_stop_requested();
    #[cfg(not(target_arch = "wasm32"))]
    false
}

/// Reports progress: `done` of `total` units of the task's choice, or no total if it is unknown.
/// The pool keeps only the newest report.
pub fn report_progress(done: u64, total: Option<u64>) {
    #[cfg(target_arch = "wasm32")]
    host::report_progress(done, total);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (done, total);
}

/// The index of the worker that runs this task, from 0. It can change when the task waits.
pub fn worker() -> u32 {
    #[cfg(target_arch = "wasm32")]
    return host::worker();
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// How long this task may still run; `None` if it has no timeout.
pub fn time_left() -> Option<Duration> {
    #[cfg(target_arch = "wasm32")]
    return host::time_left().map(Duration::from_nanos);
    #[cfg(not(target_arch = "wasm32"))]
    None
}
