//! Claims about calls that wait without a worker: `active_call.rs` and `queue.rs`.

use std::time::Duration;

use crate::check::check;
use crate::error::TaskErrorKind;
use crate::registry::{Guest, RESULT, Registry};
use crate::schedule::Blocking;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// Calls that wait release their worker for other calls, and each continues when it is woken.
pub fn a_call_that_waits_holds_no_worker() {
    check(|| {
        let registry = Registry::new(1, 10);
        let limits = Registry::limits();
        let futures = [Guest::Pausing, Guest::Pausing, Guest::Short]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        let [first, second, short] = &futures;
        registry.open(
            1,
            [&|| {
                assert_eq!(short.wait().expect("a worker is free for it"), RESULT);
                registry.end_pause();
                assert_eq!(first.wait().expect("it was woken"), RESULT);
                assert_eq!(second.wait().expect("it was woken"), RESULT);
            }],
        );
        let stats = registry.stats();
        assert_eq!((stats.suspended, stats.finished), (0, 3), "{stats:?}");
    });
}

/// No wake-up is lost, even at the moment at which the call leaves its worker.
pub fn a_wake_up_finds_the_call_wherever_it_is() {
    check(|| {
        let registry = Registry::new(2, 10);
        let limits = Registry::limits();
        let futures = [Guest::Pausing, Guest::Pausing]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        registry.open(2, [&|| registry.end_pause()]);
        for future in &futures {
            assert_eq!(future.wait().expect("it was woken"), RESULT);
        }
    });
}

/// At the maximum of suspended calls a call keeps its worker, and still continues when it is woken.
pub fn at_the_bound_a_call_waits_on_its_worker() {
    check(|| {
        let registry = Registry::with_max_suspended(1, 10, 1);
        let limits = Registry::limits();
        let futures = [Guest::Pausing, Guest::Pausing, Guest::Short]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        registry.open(1, [&|| registry.end_pause()]);
        for future in &futures {
            assert_eq!(future.wait().expect("it was woken"), RESULT);
        }
    });
}

/// Where the system has no thread for that, a call that waits ends instead of waiting for ever, also
/// if it is cancelled just then; and its worker goes on.
pub fn a_call_that_nobody_can_wake_ends() {
    check(|| {
        let registry = Registry::new(1, 10);
        registry.nobody_wakes.store(1, Ordering::SeqCst);
        let limits = Registry::limits();
        let futures = [Guest::Waiting, Guest::Waiting, Guest::Short]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        let [first, second, short] = &futures;
        registry.open(
            1,
            [&|| {
                second.cancel();
                let error = first.wait().expect_err("it cannot wait");
                assert_eq!(error.kind(), TaskErrorKind::Internal);
                second.wait().expect_err("it is cancelled, or cannot wait");
                assert_eq!(short.wait().expect("a worker is free for it"), RESULT);
            }],
        );
    });
}

/// A suspended call is cancelled while its worker runs other calls.
pub fn a_suspended_call_is_cancelled() {
    check(|| {
        let registry = Registry::new(1, 10);
        let limits = Registry::limits();
        let futures = [Guest::Waiting, Guest::Waiting]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        registry.open(
            1,
            [&|| {
                for future in &futures {
                    assert!(future.cancel());
                }
            }],
        );
        let stats = registry.stats();
        assert_eq!((stats.suspended, stats.finished), (0, 2), "{stats:?}");
    });
}

/// A suspended call is stopped at its timeout, after its grace period.
pub fn a_suspended_call_is_stopped_in_time() {
    for grace in [0, 2] {
        check(move || {
            let registry = Registry::new(1, 10);
            let mut limits = Registry::limits();
            limits.task_timeout = Some(Duration::from_millis(3));
            limits.stop_grace = Duration::from_millis(grace);
            let futures = [Guest::Waiting, Guest::Pausing]
                .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
            registry.open(
                1,
                [&|| {
                    for future in &futures {
                        let error = future.wait().expect_err("nobody wakes it");
                        assert_eq!(error.kind(), TaskErrorKind::TimedOut);
                    }
                }],
            );
            for halt in registry.halts.lock().unwrap().iter() {
                assert!(halt.at >= halt.force_at.expect("it was stopped"));
            }
        });
    }
}

/// If a call blocks its thread, its task still times out and the pool keeps its number of workers.
pub fn a_thread_that_is_blocked_is_given_up() {
    check(|| {
        let registry = Registry::new(1, 10);
        let mut limits = Registry::limits();
        limits.task_timeout = Some(Duration::from_millis(3));
        let stuck = registry.submit(Guest::Stuck, limits, Blocking::Never);
        let stuck = stuck.unwrap();
        let short = registry.submit(Guest::Short, Registry::limits(), Blocking::Never);
        let short = short.unwrap();
        let watchdog = &registry.scheduler.watchdog;
        registry.open(
            1,
            [&|| {
                let error = stuck.wait().expect_err("its time is up");
                assert_eq!(error.kind(), TaskErrorKind::TimedOut);
                assert_eq!(short.wait().expect("another thread serves it"), RESULT);
                // Zero if it was stopped before it could block its thread.
                assert!(watchdog.n_stuck() <= 1);
                registry.unblock();
            }],
        );
        assert_eq!(watchdog.n_stuck(), 0, "it has come back");
        let stats = registry.stats();
        assert_eq!((stats.running, stats.finished), (0, 2), "{stats:?}");
    });
}

/// A pool that is terminated ends even if a thread is blocked.
pub fn a_blocked_thread_does_not_hold_up_the_end() {
    check(|| {
        let registry = Registry::new(2, 10);
        let limits = Registry::limits();
        let guests = [Guest::Stuck, Guest::Waiting, Guest::Endless];
        let futures = guests.map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        let futures = Arc::new(futures);
        registry.open(
            2,
            [&|| {
                registry.terminate();
                for future in &*futures {
                    assert!(future.wait().is_err());
                }
                registry.unblock();
            }],
        );
    });
}
