//! Looking out for something for a moment, before going to sleep until it comes.
//!
//! To be woken takes some ten microseconds, on a virtual machine some thirty, and costs the
//! one who wakes a system call. Most small tasks are over sooner than that.

use std::time::Duration;

use crate::sync::{Instant, thread};

/// How long it is worth to look out: about what it takes to be woken.
const SPIN: Duration = Duration::from_micros(40);

/// A nap, with what the timer adds to it, lasts twice as long or so.
const NAP: Duration = Duration::from_micros(50);

/// How many naps to try. Where they do not help things take long, and being woken is cheap.
const N_NAPS: usize = 2;

/// Sleeps for a moment until `is_there`, for some moments at the longest. Says whether it is.
pub(crate) fn nap_until(is_there: impl Fn() -> bool) -> bool {
    (0..N_NAPS).any(|_| {
        thread::sleep(NAP);
        is_there()
    })
}

/// Looks until `is_there`, for a moment at the longest. Whoever else wants the processor
/// gets it meanwhile.
pub(crate) fn until(is_there: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_there() && started.elapsed() < SPIN {
        for _ in 0..8 {
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}
