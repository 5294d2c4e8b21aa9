//! Checks a claim: how often, and under which scheduler.

use crate::sync::{self, Condvar, Mutex, lock, thread};

/// How many times a claim is run. Without the model checker, the machine decides the schedule;
/// under Miri a run is slow.
#[cfg(not(feature = "shuttle"))]
const ROUNDS: usize = if cfg!(miri) { 5 } else { 300 };

/// Runs `claim` many times over.
#[cfg(not(feature = "shuttle"))]
pub(crate) fn check(claim: impl Fn() + Send + Sync + 'static) {
    (0..ROUNDS).for_each(|_| claim());
}

/// Runs `claim` in many schedules. Half of them draw the next thread at every step. The other half
/// change threads rarely and at random steps (probabilistic concurrency testing), which finds
/// defects that need one thread to be delayed for long.
///
/// `WASMPOOL_SCHEDULES` is their number. A schedule that fails is printed, and can be repeated with
/// shuttle's `replay`.
#[cfg(feature = "shuttle")]
pub(crate) fn check(claim: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};

    let claim = std::sync::Arc::new(claim);
    let check = |scheduler: Box<dyn Scheduler + Send>| {
        let claim = std::sync::Arc::clone(&claim);
        let check = move || crate::sync::with_clock(|| claim());
        shuttle::Runner::new(scheduler, config()).run(check);
    };
    let n_schedules = n_schedules();
    check(Box::new(RandomScheduler::new(n_schedules / 2)));
    for depth in 2..=4 {
        check(Box::new(PctScheduler::new(depth, n_schedules / 6)));
    }
}

#[cfg(feature = "shuttle")]
fn n_schedules() -> usize {
    match std::env::var("WASMPOOL_SCHEDULES") {
        Ok(n) => n.parse().expect("WASMPOOL_SCHEDULES is a number"),
        Err(_) => 12_000,
    }
}

#[cfg(feature = "shuttle")]
fn config() -> shuttle::Config {
    let mut config = shuttle::Config::new();
    // Far more steps than any claim takes: finds threads that run for ever.
    config.max_steps = shuttle::MaxSteps::FailAfter(50_000);
    // Silences the warning that all atomic operations count as sequentially consistent.
    config.silence_warnings = true;
    config
}

/// As [`check`], but runs `claim` in every possible schedule. For small claims without deadlines.
#[cfg(feature = "shuttle")]
pub(crate) fn prove(claim: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::DfsScheduler;

    // The claims use no random data, except to choose which of several sleepers is woken.
    let scheduler = DfsScheduler::new(None, true);
    shuttle::Runner::new(scheduler, config()).run(move || crate::sync::without_clock(&claim));
}

#[cfg(not(feature = "shuttle"))]
pub(crate) fn prove(claim: impl Fn() + Send + Sync + 'static) {
    check(claim);
}

/// Counts threads that arrive, and lets them wait for each other: claims that all arrive.
pub(crate) struct Gathering {
    n_there: Mutex<usize>,
    more: Condvar,
}

impl Gathering {
    pub(crate) fn new() -> Self {
        Self {
            n_there: Mutex::new(0),
            more: Condvar::new(),
        }
    }

    /// Counts one more.
    pub(crate) fn come(&self) {
        *lock(&self.n_there) += 1;
        self.more.notify_all();
    }

    /// Blocks until `wanted` have arrived.
    pub(crate) fn wait_for(&self, wanted: usize) {
        let mut n_there = lock(&self.n_there);
        while *n_there < wanted {
            n_there = match sync::wait(&self.more, n_there, None) {
                Ok(n_there) | Err(n_there) => n_there,
            };
        }
    }
}

/// Runs `threads` at the same time, until all of them have ended.
pub(crate) fn together<const N: usize>(threads: [&(dyn Fn() + Sync); N]) {
    thread::scope(|scope| {
        for thread in threads {
            scope.spawn(thread);
        }
    });
}
