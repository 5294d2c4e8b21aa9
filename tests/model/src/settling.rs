//! Claims about the end of a task: `job.rs` and `task_future.rs`.

use std::sync::Mutex as Untracked;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use crate::check::{check, prove, together};
use crate::error::TaskErrorKind;
use crate::registry::{self, success};
use crate::schedule::{Counters, Job, TaskState};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Instant, thread};

fn queued_cell() -> Job<()> {
    let counters: Arc<Counters> = Arc::default();
    counters.accept(1);
    Job::new((), None, counters)
}

/// The end of a job: the error's kind, `None` for a success.
fn end_of(job: &Job<()>) -> Option<TaskErrorKind> {
    let settled = job.settled().expect("it has ended");
    settled.outcome.as_ref().err().map(|error| error.kind())
}

/// A worker, a cancel and a queue timeout race for the end of one task. They and all threads that
/// wait agree on how it ended.
pub fn one_of_several_competing_ends_wins() {
    check(|| {
        let job = queued_cell();
        let was_cancelled = flag();
        let attempt = Untracked::new(None);
        let n_called = AtomicUsize::new(0);
        let n_called = std::sync::Arc::new(n_called);
        let counted = std::sync::Arc::clone(&n_called);
        job.on_settled(Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        together([
            &|| {
                if let Some(started) = registry::start(&job) {
                    *attempt.lock().unwrap() = Some(started);
                    assert_ne!(job.task_state(), TaskState::Queued);
                    registry::settle(&job, success());
                    assert_eq!(job.task_state(), TaskState::Done);
                }
            },
            &|| was_cancelled.store(job.cancel("cancelled"), Ordering::SeqCst),
            &|| {
                if job.expire() {
                    job.call_back();
                }
            },
            &|| {
                let settled = job.wait(None).expect("it waits for the end");
                assert!(std::ptr::eq(settled, job.settled().unwrap()));
                assert_eq!(job.task_state(), TaskState::Done);
            },
        ]);
        let attempt = attempt.into_inner().unwrap();
        let has_run = attempt.is_some();
        let was_cancelled = was_cancelled.load(Ordering::SeqCst);
        let end = end_of(&job);
        let has_expired = end == Some(TaskErrorKind::QueueTimedOut);
        assert_eq!(was_cancelled, end == Some(TaskErrorKind::Cancelled));
        assert!(
            !has_expired || !has_run,
            "it ran and timed out in the queue"
        );
        assert!(has_run || was_cancelled || has_expired);
        assert_eq!(n_called.load(Ordering::SeqCst), 1);
        let must_stop = attempt.is_some_and(|attempt| attempt.control.is_forced());
        assert_eq!(must_stop, has_run && was_cancelled);
    });
}

fn flag() -> AtomicBool {
    AtomicBool::new(false)
}

/// Each thread that waits for a task without a timeout wakes up when the task ends.
pub fn the_end_wakes_all_waiting_threads() {
    check(|| {
        let job = queued_cell();
        let wait = || assert!(job.wait(None).is_some());
        together([&wait, &wait, &|| registry::settle(&job, success())]);
    });
}

/// The same with one waiting thread.
pub fn the_end_wakes_a_waiting_thread() {
    prove(|| {
        let job = queued_cell();
        together([&|| assert!(job.wait(None).is_some()), &|| {
            registry::settle(&job, success());
        }]);
    });
}

/// Of two competing ends one wins, and each knows whether it did.
pub fn either_a_cancel_or_an_end_wins() {
    prove(|| {
        let job = queued_cell();
        let was_cancelled = flag();
        together([&|| registry::settle(&job, success()), &|| {
            was_cancelled.store(job.cancel("cancelled"), Ordering::SeqCst);
        }]);
        let is_cancelled = end_of(&job) == Some(TaskErrorKind::Cancelled);
        assert_eq!(was_cancelled.load(Ordering::SeqCst), is_cancelled);
    });
}

/// A wait with a timeout ends with the task or at the timeout, and says which.
pub fn a_wait_ends_with_the_task_or_with_the_time() {
    check(|| {
        let job = queued_cell();
        let wait = || {
            let deadline = registry::soon();
            match job.wait(Some(deadline)) {
                Some(_) => assert_eq!(job.task_state(), TaskState::Done),
                None => assert!(Instant::now() >= deadline),
            }
        };
        together([&wait, &wait, &|| registry::settle(&job, success())]);
        // The wait also ends if the task does not.
        let job = queued_cell();
        assert!(job.wait(Some(registry::soon())).is_none());
    });
}

/// A future that was pending is woken when the task ends, by the waker of its last poll.
pub fn a_pending_poll_is_followed_by_a_wake() {
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    prove(|| {
        let job = queued_cell();
        let last = std::sync::Arc::new(Woken(flag()));
        let is_pending = flag();
        together([&|| registry::settle(&job, success()), &|| {
            let first = Waker::from(std::sync::Arc::new(Woken(flag())));
            if job.poll(&first).is_none() {
                let polled = job.poll(&Waker::from(std::sync::Arc::clone(&last)));
                is_pending.store(polled.is_none(), Ordering::SeqCst);
            }
        }]);
        assert!(job.poll(Waker::noop()).is_some());
        let is_woken = last.0.load(Ordering::SeqCst);
        assert_eq!(is_woken, is_pending.load(Ordering::SeqCst));
    });
}

/// Callbacks that are added while the task ends are called once each, in the order in which they
/// were added, one at a time.
pub fn callbacks_are_called_once_and_in_order() {
    check(|| {
        let job = queued_cell();
        let log = std::sync::Arc::new(Untracked::new(Vec::new()));
        let is_busy = std::sync::Arc::new(flag());
        let overlap = std::sync::Arc::new(flag());
        let add = |name: usize| {
            let log = std::sync::Arc::clone(&log);
            let is_busy = std::sync::Arc::clone(&is_busy);
            let overlap = std::sync::Arc::clone(&overlap);
            // A panic in a callback is contained, so its findings are checked later.
            job.on_settled(Box::new(move || {
                if is_busy.swap(true, Ordering::SeqCst) {
                    overlap.store(true, Ordering::SeqCst);
                }
                thread::yield_now();
                log.lock().unwrap().push(name);
                is_busy.store(false, Ordering::SeqCst);
            }));
        };
        together([
            &|| (0..2).for_each(add),
            &|| (10..12).for_each(add),
            &|| registry::settle(&job, success()),
            &|| {
                job.cancel("cancelled");
            },
        ]);
        let log = log.lock().unwrap();
        let of = |names: [usize; 2]| log.iter().copied().filter(move |name| names.contains(name));
        assert_eq!(log.len(), 4);
        assert!(
            of([0, 1]).eq([0, 1]) && of([10, 11]).eq([10, 11]),
            "{log:?}"
        );
        assert!(!overlap.load(Ordering::SeqCst));
    });
}

/// An observer that is removed while the task ends is notified at most once. The others are
/// notified, and what the removed one held is dropped.
pub fn an_observer_is_forgotten_or_told() {
    prove(|| {
        let job = queued_cell();
        let n_told = std::sync::Arc::new(AtomicUsize::new(0));
        let numbers = [1, 10, 100].map(|worth| {
            let n_told = std::sync::Arc::clone(&n_told);
            job.observe(Box::new(move || {
                n_told.fetch_add(worth, Ordering::SeqCst);
            }))
        });
        together([&|| registry::settle(&job, success()), &|| {
            job.forget_observer(numbers[1]);
        }]);
        let n_told = (
            n_told.load(Ordering::SeqCst),
            std::sync::Arc::strong_count(&n_told),
        );
        assert!(matches!(n_told, (101 | 111, 1)), "{n_told:?}");
    });
}

/// Observers that are added before the end or during it are notified once. Those that were added
/// before are notified before any callback is called.
pub fn observers_are_told_before_callbacks_run() {
    prove(|| {
        let job = queued_cell();
        let n_told = std::sync::Arc::new(AtomicUsize::new(0));
        let observe = || {
            let n_told = std::sync::Arc::clone(&n_told);
            job.observe(Box::new(move || {
                n_told.fetch_add(1, Ordering::SeqCst);
            }));
        };
        let seen = std::sync::Arc::clone(&n_told);
        let was_told = std::sync::Arc::new(flag());
        let is_right = std::sync::Arc::clone(&was_told);
        // The callback is added first: observers still come before callbacks.
        job.on_settled(Box::new(move || {
            is_right.store(seen.load(Ordering::SeqCst) > 0, Ordering::SeqCst);
        }));
        observe();
        together([&|| registry::settle(&job, success()), &observe]);
        assert_eq!(n_told.load(Ordering::SeqCst), 2);
        assert!(was_told.load(Ordering::SeqCst));
    });
}

/// A future that is awaited while its task ends is woken, and gives the result.
pub fn an_awaited_cell_wakes_its_thread() {
    prove(|| {
        let job = queued_cell();
        together([&|| registry::settle(&job, success()), &|| {
            let poll = |context: &mut Context<'_>| match job.poll(context.waker()) {
                Some(settled) => Poll::Ready(settled.outcome.is_ok()),
                None => Poll::Pending,
            };
            assert!(registry::block_on(std::future::poll_fn(poll)));
        }]);
    });
}
