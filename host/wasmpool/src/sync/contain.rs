//! Running code that is not ours (callbacks, wakers) without being unwound by its panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code` and swallows its panic, which the panic hook has reported.
pub(crate) fn contain_panic(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // Dropping the payload may panic too.
        std::mem::forget(payload);
    }
}
