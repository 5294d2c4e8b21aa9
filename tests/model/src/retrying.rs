//! Claims about tasks that are tried again: `job.rs`, and the pool around it.

use std::time::Duration;

use crate::call::StopReason;
use crate::check::{check, prove, together};
use crate::error::TaskErrorKind;
use crate::registry::{self, ALLOCATION, Guest, RESULT, Registry};
use crate::schedule::{Blocking, Counters, Job, Retry, TaskState, Timings};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, lock};

/// Two more attempts after any failure, with a wait.
fn retry() -> Retry {
    Retry::times(2)
        .on([TaskErrorKind::Failed, TaskErrorKind::TimedOut])
        .backoff(Duration::from_millis(1))
}

const ATTEMPTS: u32 = 3;

fn queued_cell(counters: &Arc<Counters>) -> Job<()> {
    counters.accept(1);
    Job::new((), None, Arc::clone(counters))
}

/// A task returns to the queue repeatedly, while a cancel, a shutdown and a queue timeout race for
/// its end. It ends once, no attempt starts afterwards, the counters add up at any moment, and at
/// most the last attempt was stopped.
pub fn a_task_that_is_put_back_has_one_end() {
    check(|| {
        let counters: Arc<Counters> = Arc::default();
        let job = queued_cell(&counters);
        let controls = Mutex::new(Vec::new());
        let read = || {
            let stats = counters.read(&Timings::new(0), ALLOCATION);
            assert!(stats.running <= 1 && stats.queued <= 1, "{stats:?}");
            assert!(stats.accepted <= 1, "{stats:?}");
        };
        let work = || {
            for number in 1..=ATTEMPTS {
                let had_ended = job.settled().is_some();
                let Some(call) = registry::start(&job) else {
                    assert!(job.settled().is_some());
                    return;
                };
                assert!(!had_ended, "an attempt after the end");
                assert_eq!(call.attempt, number);
                lock(&controls).push(call.control);
                if number == ATTEMPTS {
                    registry::settle(&job, registry::success());
                } else if !job.put_back(()) {
                    assert!(job.settled().is_some());
                    return;
                }
            }
        };
        together([
            &work,
            &|| assert_eq!(job.cancel("cancelled"), is_cancelled(&job)),
            &|| {
                job.cancel_queued();
            },
            &|| {
                if job.expire() {
                    job.call_back();
                }
            },
            &read,
        ]);
        assert_eq!(job.task_state(), TaskState::Done);
        let settled = job.settled().expect("it has ended");
        let controls = lock(&controls);
        let end = settled.outcome.as_ref().err().map(|error| error.kind());
        if end.is_some() {
            assert_eq!(settled.report.attempts as usize, controls.len());
        }
        if end == Some(TaskErrorKind::QueueTimedOut) {
            assert!(controls.is_empty());
        }
        let former = controls.len().saturating_sub(1);
        let was_stopped = |control: &Arc<_>| registry::is_stopped(control);
        assert!(!controls[..former].iter().any(was_stopped));
        assert!(end == Some(TaskErrorKind::Cancelled) || !controls.iter().any(was_stopped));
        let stats = counters.read(&Timings::new(0), ALLOCATION);
        let sums = (stats.accepted, stats.queued, stats.running, stats.finished);
        assert_eq!(sums, (1, 0, 0, 1), "{stats:?}");
    });
}

fn is_cancelled(job: &Job<()>) -> bool {
    let settled = job.settled().expect("whoever cancels sees the end");
    let error = settled.outcome.as_ref().err();
    error.is_some_and(|error| error.kind() == TaskErrorKind::Cancelled)
}

/// A stop of an attempt that has ended does not stop the next attempt.
pub fn a_stop_that_comes_late_hits_no_later_attempt() {
    prove(|| {
        let job = queued_cell(&Arc::default());
        let first = registry::start(&job).expect("it is queued");
        let late = Arc::clone(&first.control);
        let second = Mutex::new(None);
        together([&|| assert!(late.stop(StopReason::TimedOut)), &|| {
            assert!(job.put_back(()), "it runs");
            *lock(&second) = registry::start(&job);
        }]);
        let second = lock(&second).take().expect("nobody ended it");
        assert_eq!(second.attempt, 2);
        assert!(!registry::is_stopped(&second.control));
        assert!(job.cancel("cancelled"));
        assert_eq!(
            second.control.stop_reason(),
            Some(StopReason::Cancelled),
            "the newest attempt is the one that a cancel stops"
        );
    });
}

/// A return to the queue races with a cancel: either the task has ended and its last attempt is
/// stopped, or it died in the queue.
pub fn a_cancel_and_a_put_back_leave_one_end() {
    prove(|| {
        let counters: Arc<Counters> = Arc::default();
        let job = queued_cell(&counters);
        let call = registry::start(&job).expect("it is queued");
        let n_put_back = AtomicUsize::new(0);
        together([
            &|| {
                if job.put_back(()) {
                    n_put_back.fetch_add(1, Ordering::SeqCst);
                }
            },
            &|| assert!(job.cancel("cancelled")),
        ]);
        assert!(registry::start(&job).is_none(), "an attempt after the end");
        let was_put_back = n_put_back.load(Ordering::SeqCst) == 1;
        assert_eq!(registry::is_stopped(&call.control), !was_put_back);
        let stats = counters.read(&Timings::new(0), ALLOCATION);
        assert_eq!((stats.accepted, stats.finished), (1, 1), "{stats:?}");
    });
}

/// Each attempt has the whole timeout: neither the deadline of an earlier attempt nor a late stop
/// shortens it. Other tasks on the worker continue meanwhile.
pub fn every_attempt_has_all_its_time() {
    for guest in [Guest::Endless, Guest::Waiting] {
        check(move || {
            let registry = Registry::new(2, 10);
            let mut limits = Registry::limits();
            limits.task_timeout = Some(Duration::from_millis(2));
            let future = registry.submit_with_retry(guest, limits, retry());
            let other = registry.submit(Guest::Short, Registry::limits(), Blocking::Never);
            let other = other.expect("there is room");
            registry.open(
                2,
                [
                    &|| {
                        let error = future.wait().expect_err("it never ends by itself");
                        assert_eq!(error.kind(), TaskErrorKind::TimedOut);
                    },
                    &|| assert_eq!(other.wait().expect("nobody stops it"), RESULT),
                ],
            );
            let report = future.report().expect("it is done");
            let halts = registry.halts.lock().unwrap();
            assert!(report.attempts <= ATTEMPTS);
            // A task that the watchdog had to settle is not tried again: its thread was given up,
            // or it waited and no worker was free to end it in time.
            if registry.n_given_up.load(Ordering::SeqCst) == 0 && guest == Guest::Endless {
                assert_eq!(report.attempts, ATTEMPTS);
                assert_eq!(halts.len(), ATTEMPTS as usize);
            }
            for halt in halts.iter() {
                assert_eq!(halt.reason, StopReason::TimedOut);
                assert!(halt.at >= halt.deadline.expect("it has one"));
            }
        });
    }
}

/// Tasks that fail or time out are tried again, in a pool that is terminated or whose tasks are
/// cancelled. Each task ends once, its number of attempts is right, and the pool ends.
pub fn a_pool_with_retries_comes_to_rest() {
    for guest in [Guest::Failing, Guest::Endless] {
        check(move || {
            let registry = Registry::new(2, 10);
            let mut limits = Registry::limits();
            limits.task_timeout = Some(Duration::from_millis(2));
            limits.queue_timeout = Some(Duration::from_millis(3));
            let future = registry.submit_with_retry(guest, limits, retry());
            let cancelled = Mutex::new(false);
            registry.open(
                2,
                [
                    &|| *lock(&cancelled) = future.cancel(),
                    &|| registry.terminate(),
                    &|| {
                        let _ = future.wait();
                    },
                ],
            );
            let error = future.error().expect("it cannot succeed");
            let report = future.report().expect("it is done");
            assert_eq!(
                report.attempts as usize,
                registry.n_attempts.load(Ordering::SeqCst)
            );
            match error.kind() {
                TaskErrorKind::TimedOut => assert_eq!(report.attempts, ATTEMPTS),
                // A task that fails by itself while it is being terminated has failed, and is not
                // tried again.
                TaskErrorKind::Failed => assert!((1..=ATTEMPTS).contains(&report.attempts)),
                TaskErrorKind::QueueTimedOut => assert_eq!(report.attempts, 0),
                TaskErrorKind::Cancelled => assert!(report.attempts <= ATTEMPTS),
                TaskErrorKind::ShutDown => assert!(report.attempts > 0),
                other => panic!("it ended as {other:?}"),
            }
            let is_cancelled = error.kind() == TaskErrorKind::Cancelled;
            assert!(is_cancelled || !*lock(&cancelled));
            let stats = registry.stats();
            assert_eq!((stats.accepted, stats.finished), (1, 1), "{stats:?}");
            assert_eq!(registry.scheduler.queue.places.taken(), 0);
        });
    }
}

/// A pool that is shut down in order still makes all attempts, without waits.
pub fn a_closed_pool_makes_the_attempts_that_are_due() {
    check(|| {
        let registry = Registry::new(2, 10);
        let late = retry().backoff(Duration::from_secs(1_000));
        let futures =
            [(); 2].map(|()| registry.submit_with_retry(Guest::Failing, Registry::limits(), late));
        registry.open(2, [&|| registry.scheduler.queue.close()]);
        for future in &futures {
            let error = future.error().expect("it cannot succeed");
            assert_eq!(error.kind(), TaskErrorKind::Failed);
            assert_eq!(future.report().expect("it is done").attempts, ATTEMPTS);
        }
        let stats = registry.stats();
        assert_eq!((stats.accepted, stats.finished), (2, 2), "{stats:?}");
    });
}
