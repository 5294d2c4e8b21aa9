//! Spinning and short sleeps before a thread blocks.
//!
//! Waking a thread takes about 10 µs, on a virtual machine about 30, and costs the waking thread a
//! system call. Most small tasks end sooner.

use std::time::Duration;

use crate::sync::{Instant, thread};

/// How long to spin: about as long as waking a thread takes.
const SPIN: Duration = Duration::from_micros(40);

/// One nap. The timer's slack makes it about twice as long.
const NAP: Duration = Duration::from_micros(50);

/// How many naps to try. A wait that outlasts them is long, and waking is cheap by comparison.
const N_NAPS: usize = 2;

/// Naps until `is_there`, [`N_NAPS`] times at most. Returns whether it is.
pub(crate) fn nap_until(is_there: impl Fn() -> bool) -> bool {
    (0..N_NAPS).any(|_| {
        thread::sleep(NAP);
        is_there()
    })
}

/// Spins until `is_there`, for at most [`SPIN`]. Yields the processor to other threads.
pub(crate) fn until(is_there: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_there() && started.elapsed() < SPIN {
        for _ in 0..8 {
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}
