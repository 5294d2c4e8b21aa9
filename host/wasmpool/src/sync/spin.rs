//! Spinning and short sleeps before a thread blocks.
//!
//! Waking a thread takes about 10 µs, on a virtual machine about 30, and costs the waking thread a
//! system call. Most small tasks end sooner.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::sync::{Instant, thread};

/// How long to spin: about as long as waking a thread takes.
const SPIN: Duration = Duration::from_micros(40);

/// How long to spin where threads compute on all processors.
const SHORT_SPIN: Duration = Duration::from_micros(10);

/// A thread that gets the processor back after this time had yielded it to one that computes.
const LONG: Duration = Duration::from_millis(1);

/// A thread that yields to one that computes twice within this time takes all processors for busy:
/// once happens everywhere.
const TWICE_WITHIN: Duration = Duration::from_millis(20);

/// For how long.
const CROWDED: Duration = Duration::from_millis(250);

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

/// How many threads spin. The standard library's, so that the model checker does not see it: it only
/// matters to speed.
static N_SPINNING: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// When this thread last yielded to one that computes.
    static MET_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Until when this thread takes all processors for busy.
    static CROWDED_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Spins until `is_there`, for at most [`SPIN`], and yields the processor to other threads: the one
/// that is waited for may need just this processor.
///
/// A thread that yields to one that computes gets the processor back at a tick of the kernel's
/// clock, up to 4 ms later, while one that blocks gets it as soon as it is woken. So where threads
/// compute on all processors, this yields to nobody for a while, and is over after [`SHORT_SPIN`].
pub(crate) fn until(is_there: impl Fn() -> bool) {
    let started = Instant::now();
    let is_crowded = CROWDED_UNTIL.get().is_some_and(|until| started < until);
    let limit = if is_crowded { SHORT_SPIN } else { SPIN };
    let n_spinning = 1 + N_SPINNING.fetch_add(1, Ordering::Relaxed);
    let mut spun = Duration::ZERO;
    while !is_there() && spun < limit {
        for _ in 0..8 {
            std::hint::spin_loop();
        }
        if !is_crowded {
            thread::yield_now();
        }
        let now = started.elapsed();
        // Threads that spin take turns, which is not what is looked for.
        if now.saturating_sub(spun) >= LONG * n_spinning {
            met_computing(started + now);
        }
        spun = now;
    }
    N_SPINNING.fetch_sub(1, Ordering::Relaxed);
}

/// This thread has yielded to one that computes.
fn met_computing(now: Instant) {
    let last = MET_AT.replace(Some(now));
    if last.is_some_and(|last| now.saturating_duration_since(last) < TWICE_WITHIN) {
        CROWDED_UNTIL.set(now.checked_add(CROWDED));
    }
}
