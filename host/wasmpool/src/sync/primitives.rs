//! The primitives of concurrency that everything here stands on: the standard library's,
//! and crossbeam's channel.
//!
//! They have a room of their own so that a model checker can put its primitives in their
//! place: `tests/model` compiles the files of the protocol with a `sync` of its own.

pub(crate) use crossbeam_channel as channel;
pub(crate) use std::sync::atomic;
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak};
pub(crate) use std::thread;
pub(crate) use std::time::Instant;

use std::sync::PoisonError;

// A thread that panics poisons the locks it holds. Ours guard steps that are whole before
// anything can panic, and callers' code runs outside of them, so poison says nothing here.

/// Takes the lock whatever became of who held it before; blocks while another thread has it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks until `condvar` is signalled, now and then for no reason, or until the deadline,
/// which gives the lock back as an error.
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
