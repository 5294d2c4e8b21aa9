//! What a running task may ask of its host; every function returns at once.
//!
//! Outside of WebAssembly there is no host: nobody asks to stop, nobody reads the progress,
//! the worker is number 0 and time does not run out.

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::__private::bindings::wasmpool::task::context as host;

/// Whether the host asked this task to stop: it was cancelled, its time is up, or the pool
/// shuts down.
///
/// A task that looks at it can leave with what it has. One that does not is stopped by
/// force when its grace period is over, which is at once unless the pool gives one.
pub fn is_stop_requested() -> bool {
    #[cfg(target_arch = "wasm32")]
    return host::is_stop_requested();
    #[cfg(not(target_arch = "wasm32"))]
    false
}

/// Says how far the task has come: `done` of `total` units of its own choice, without a
/// total where it is not known. Only the newest report is kept.
pub fn report_progress(done: u64, total: Option<u64>) {
    #[cfg(target_arch = "wasm32")]
    host::report_progress(done, total);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (done, total);
}

/// The index of the worker that runs this task: 0 up to the number of workers less one.
pub fn worker() -> u32 {
    #[cfg(target_arch = "wasm32")]
    return host::worker();
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// How long this task may still run, with the clock's resolution; none if it has no timeout.
pub fn time_left() -> Option<Duration> {
    #[cfg(target_arch = "wasm32")]
    return host::time_left().map(Duration::from_nanos);
    #[cfg(not(target_arch = "wasm32"))]
    None
}
