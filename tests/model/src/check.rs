//! How a claim is checked: how often, and by which scheduler.

use crate::sync::thread;

/// How many times a claim is put to the test: without the model checker the machine decides
/// who goes when, and Miri takes its time.
#[cfg(not(feature = "shuttle"))]
const ROUNDS: usize = if cfg!(miri) { 6 } else { 300 };

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
        Err(_) => 20_000,
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

/// Runs `threads` at the same time, until all of them have ended.
pub(crate) fn together<const N: usize>(threads: [&(dyn Fn() + Sync); N]) {
    thread::scope(|scope| {
        for thread in threads {
            scope.spawn(thread);
        }
    });
}
