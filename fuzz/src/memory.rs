//! How much memory a piece of code takes.

use std::fmt;

/// Runs `action`, and asserts that it never held more than `limit` bytes that it had allocated
/// itself, on this thread.
pub fn within<T>(limit: usize, about: impl fmt::Debug, action: impl FnOnce() -> T) -> T {
    let mut result = None;
    let taken = allocation_counter::measure(|| result = Some(action()));
    let taken = usize::try_from(taken.bytes_max).unwrap_or(usize::MAX);
    assert!(
        taken <= limit,
        "it took {taken} bytes, more than {limit}: {about:?}"
    );
    result.expect("it has run")
}
