//! The concurrency primitives of the library: the standard library's, and crossbeam's channel.
//!
//! The model checker replaces this file: `tests/model` compiles the files of the protocol with a
//! `sync` of its own.

pub(crate) use crossbeam_channel as channel;
pub(crate) use std::sync::atomic;
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak};
pub(crate) use std::thread;
pub(crate) use std::time::Instant;

use std::sync::PoisonError;

// A thread that panics poisons the locks it holds. No code under our locks can panic half-way
// through a change, and callers' code runs outside of them, so poison can be ignored.

/// Takes the lock, poisoned or not; blocks while another thread has it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks until `condvar` is signalled, or wakes spuriously. After the deadline it returns the
/// guard as an error.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> Result<MutexGuard<'a, T>, MutexGuard<'a, T>> {
    let Some(deadline) = deadline else {
        return Ok(condvar.wait(guard).unwrap_or_else(PoisonError::into_inner));
    };
    let Some(left) = deadline.checked_duration_since(Instant::now()) else {
        return Err(guard);
    };
    let (guard, _) = condvar
        .wait_timeout(guard, left)
        .unwrap_or_else(PoisonError::into_inner);
    Ok(guard)
}
