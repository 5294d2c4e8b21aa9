//! How a claim is checked: how often, and by which scheduler.

use crate::sync::{self, Condvar, Mutex, lock, thread};

/// How many times a claim is put to the test: without the model checker the machine decides
/// who goes when, and Miri takes its time.
#[cfg(not(feature = "shuttle"))]
const ROUNDS: usize = if cfg!(miri) { 5 } else { 300 };

/// Runs `claim` many times over.
#[cfg(not(feature = "shuttle"))]
pub(crate) fn check(claim: impl Fn() + Send + Sync + 'static) {
    (0..ROUNDS).for_each(|_| claim());
}

/// Runs `claim` in many schedules: half of them with the next thread drawn at every step,
/// half of them with few changes of thread at odd moments (probabilistic concurrency testing),
/// which finds what needs one thread to be left behind for long.
///
/// `WASMPOOL_SCHEDULES` says how many. A schedule that fails is printed, and can be had again
/// with shuttle's `replay`.
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
    // Far more than any claim takes: threads that run and get nowhere.
    config.max_steps = shuttle::MaxSteps::FailAfter(50_000);
    // That all atomic operations are taken for sequentially consistent, which is known.
    config.silence_warnings = true;
    config
}

/// As [`check`], but for small claims without deadlines: runs `claim` in every schedule there
/// is.
#[cfg(feature = "shuttle")]
pub(crate) fn prove(claim: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::DfsScheduler;

    // The claims draw no random data, but where one of several sleepers is woken.
    let scheduler = DfsScheduler::new(None, true);
    shuttle::Runner::new(scheduler, config()).run(move || crate::sync::without_clock(&claim));
}

#[cfg(not(feature = "shuttle"))]
pub(crate) fn prove(claim: impl Fn() + Send + Sync + 'static) {
    check(claim);
}

/// Counts those who come, and lets them wait for the others: a claim that they all come.
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

    /// Blocks until `wanted` have come.
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
