//! Taking a lock whatever became of who held it before.
//!
//! A thread that panics poisons the locks it holds. Ours guard steps that are whole before
//! anything can panic, and callers' code runs outside of them, so poison says nothing here.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock; blocks while another thread has it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
