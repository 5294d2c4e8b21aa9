//! Running somebody else's code (callbacks, wakers) at a place that must go on after it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`. Its panic ends it and nothing else; the panic hook has told.
pub(crate) fn contain_panic(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // To drop it may panic as well.
        std::mem::forget(payload);
    }
}
