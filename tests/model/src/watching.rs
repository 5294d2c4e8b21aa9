//! Claims about the watchdog of running and queued tasks: `watchdog.rs`, with workers that run
//! modelled guests.

use std::time::Duration;

use crate::call::StopReason;
use crate::check::check;
use crate::error::TaskErrorKind;
use crate::future::TaskFuture;
use crate::registry::{Guest, RESULT, Registry};
use crate::schedule::{Blocking, TaskState};
use crate::sync::{Arc, Mutex, lock, thread};

const STUBBORN: [Guest; 2] = [Guest::Endless, Guest::Waiting];

fn kind(future: &TaskFuture<u8>) -> Option<TaskErrorKind> {
    future.error().map(|error| error.kind())
}

/// Every guest that was stopped had a reason, and those that timed out had their whole time.
fn check_halts(registry: &Arc<Registry>) {
    for halt in registry.halts.lock().unwrap().iter() {
        assert!(halt.at >= halt.force_at.expect("it was stopped"));
        if halt.reason == StopReason::TimedOut {
            assert!(halt.at >= halt.deadline.expect("it has one"));
        }
    }
}

/// Guests that never end by themselves run one after the other on two workers. Each is stopped when
/// its time is up, not earlier.
pub fn no_deadline_is_missed() {
    for guest in STUBBORN {
        check(move || {
            let registry = Registry::new(2, 10);
            let submit = |milliseconds| {
                let mut limits = Registry::limits();
                limits.task_timeout = Some(Duration::from_millis(milliseconds));
                registry.submit(guest, limits, Blocking::Never).unwrap()
            };
            let futures = [9, 2, 5].map(submit);
            registry.open(
                2,
                [&|| {
                    for future in &futures {
                        let error = future.wait().expect_err("it never ends by itself");
                        assert_eq!(error.kind(), TaskErrorKind::TimedOut);
                    }
                }],
            );
            check_halts(&registry);
        });
    }
}

/// A cancel stops a guest at any point, also one that is just starting.
pub fn a_cancelled_guest_leaves_its_worker() {
    for guest in STUBBORN {
        check(move || {
            let registry = Registry::new(1, 10);
            let limits = Registry::limits();
            let futures = [guest, guest, Guest::Short]
                .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
            let [first, second, last] = &futures;
            registry.open(
                1,
                [
                    &|| assert!(first.cancel()),
                    &|| assert!(second.cancel()),
                    &|| assert_eq!(last.wait().expect("nobody stops it"), RESULT),
                ],
            );
            check_halts(&registry);
        });
    }
}

/// A stop with a grace period, asked for while the guest's call leaves its worker, takes effect: the
/// canceller, or the worker that has noticed the stop, tells the watchdog.
pub fn a_cancel_reaches_a_call_that_is_leaving_its_worker() {
    check(|| {
        let registry = Registry::new(1, 10);
        let mut limits = Registry::limits();
        limits.stop_grace = Duration::from_millis(1);
        let future = registry.submit(Guest::Waiting, limits, Blocking::Never);
        let future = future.expect("there is room");
        let cancel = || {
            while future.state() == TaskState::Queued {
                thread::yield_now();
            }
            assert!(future.cancel());
        };
        registry.open(1, [&cancel]);
        check_halts(&registry);
    });
}

/// A pool that is terminated while its tasks start and end settles all of them, and its workers
/// end.
pub fn a_terminated_pool_settles_all_tasks_and_ends() {
    check(|| {
        let registry = Registry::new(2, 10);
        let futures = Mutex::new(Vec::new());
        let submit = |guests: [Guest; 2]| {
            for guest in guests {
                if let Ok(future) = registry.submit(guest, Registry::limits(), Blocking::Forever) {
                    lock(&futures).push(future);
                }
            }
        };
        registry.open(
            2,
            [
                &|| submit([Guest::Short, Guest::Endless]),
                &|| submit([Guest::Endless, Guest::Waiting]),
                &|| registry.terminate(),
            ],
        );
        for future in lock(&futures).iter() {
            assert!(future.is_done());
            let is_right = match kind(future) {
                None => future.wait().expect("it has succeeded") == RESULT,
                Some(kind) => {
                    matches!(kind, TaskErrorKind::Cancelled | TaskErrorKind::ShutDown)
                }
            };
            assert!(is_right, "{future:?}");
        }
        // Others may have ended by themselves after they were stopped.
        let is_shut_down = |future: &&TaskFuture<u8>| kind(future) == Some(TaskErrorKind::ShutDown);
        let shut_down = lock(&futures).iter().filter(is_shut_down).count();
        assert!(registry.scheduler.watchdog.n_cut_short() >= shut_down);
        check_halts(&registry);
        let stats = registry.stats();
        assert_eq!(stats.accepted, stats.finished, "{stats:?}");
        assert_eq!(stats.accepted, lock(&futures).len() as u64);
    });
}

/// A queued task expires when its queue timeout is over, whether a worker is free or not, or starts
/// before that.
pub fn a_queued_task_starts_or_expires() {
    for n_workers in [0, 1] {
        check(move || {
            let registry = Registry::new(1, 10);
            let mut limits = Registry::limits();
            let submit = |milliseconds| {
                limits.queue_timeout = Some(Duration::from_millis(milliseconds));
                let submitted = registry.submit(Guest::Short, limits, Blocking::Forever);
                submitted.expect("it is open")
            };
            let submit = Mutex::new(submit);
            let wait = |milliseconds| {
                let future = lock(&submit)(milliseconds);
                let outcome = future.wait().map_err(|error| error.kind());
                let has_run = future.report().expect("it is done").worker.is_some();
                match outcome {
                    Ok(_) => assert!(has_run && n_workers > 0),
                    Err(kind) => {
                        assert_eq!(kind, TaskErrorKind::QueueTimedOut);
                        assert!(!has_run);
                        let waited = future.report().expect("it is done").queued;
                        assert!(waited >= Duration::from_millis(milliseconds));
                    }
                }
            };
            registry.open(n_workers, [&|| wait(4), &|| wait(2)]);
            assert_eq!(registry.scheduler.queue.places.taken(), 0);
        });
    }
}

/// All at once: submitters that block for places, guests of every kind with every limit, and
/// cancels. All tasks end, and all threads.
pub fn a_busy_pool_settles_all_tasks_and_ends() {
    check(|| {
        let registry = Registry::new(2, 1);
        let submit = |guests: [Guest; 2]| {
            for guest in guests {
                let mut limits = Registry::limits();
                limits.task_timeout = Some(Duration::from_millis(3));
                limits.queue_timeout = Some(Duration::from_millis(4));
                limits.stop_grace = Duration::from_millis(1);
                let future = registry
                    .submit(guest, limits, Blocking::Forever)
                    .expect("it is open");
                if guest == Guest::Waiting {
                    future.cancel();
                }
                let outcome = future.wait();
                assert!(guest == Guest::Short || outcome.is_err());
            }
        };
        registry.open(
            2,
            [&|| submit([Guest::Short, Guest::Waiting]), &|| {
                submit([Guest::Endless, Guest::Short])
            }],
        );
        check_halts(&registry);
        let stats = registry.stats();
        assert_eq!((stats.accepted, stats.finished), (4, 4), "{stats:?}");
    });
}

/// A guest that is cancelled at the moment of its timeout still has its grace period.
pub fn a_cancel_at_the_deadline_leaves_the_grace() {
    check(|| {
        let registry = Registry::new(1, 1);
        let mut limits = Registry::limits();
        limits.task_timeout = Some(Duration::from_millis(2));
        limits.stop_grace = Duration::from_millis(3);
        let submitted = registry.submit(Guest::Waiting, limits, Blocking::Never);
        let future = submitted.expect("there is room");
        registry.open(
            1,
            [&|| {
                // Until about the guest's timeout.
                let _ = future.wait_timeout(Duration::from_millis(2));
                future.cancel();
            }],
        );
        check_halts(&registry);
    });
}

/// A callback of an expired task waits for another task, which only its timeout ends. The watchdog
/// still stops that one.
pub fn a_blocking_callback_delays_no_timeout() {
    check(|| {
        let registry = Registry::new(1, 2);
        let mut limits = Registry::limits();
        limits.task_timeout = Some(Duration::from_millis(5));
        let endless = registry.submit(Guest::Endless, limits, Blocking::Never);
        let endless = Arc::new(endless.expect("there is room"));
        let mut limits = Registry::limits();
        limits.queue_timeout = Some(Duration::from_millis(2));
        let expiring = registry.submit(Guest::Short, limits, Blocking::Never);
        let expiring = expiring.expect("there is room");
        let awaited = Arc::clone(&endless);
        expiring.on_done(move |_| {
            let _ = awaited.wait();
        });
        registry.open(
            1,
            [&|| {
                let error = endless.wait().expect_err("it never ends by itself");
                assert_eq!(error.kind(), TaskErrorKind::TimedOut);
            }],
        );
        assert!(expiring.is_done());
        check_halts(&registry);
    });
}
