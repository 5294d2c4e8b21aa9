//! Claims about waiting for several futures: `completion.rs` and `future.rs`.

use std::time::Duration;

use crate::check::{check, together};
use crate::future::{TaskFuture, Until, as_completed, wait};
use crate::registry::{self, Guest, RESULT, Registry};
use crate::schedule::Blocking;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A pool without threads, whose work the test does, and tasks in its queue.
fn queued<const N: usize>() -> (Arc<Registry>, [TaskFuture<u8>; N]) {
    let registry = Registry::new(N, N);
    let futures = std::array::from_fn(|_| {
        let submitted = registry.submit(Guest::Short, Registry::limits(), Blocking::Never);
        submitted.expect("there is room")
    });
    registry.scheduler.queue.close();
    (registry, futures)
}

/// A thread that waits for all of several tasks, some of them cancelled, wakes up when all have
/// ended.
pub fn a_wait_for_all_sees_every_end() {
    check(|| {
        let (registry, futures) = queued::<3>();
        let work = || registry.work();
        together([
            &work,
            &work,
            &|| {
                futures[1].cancel();
            },
            &|| {
                let waited = wait(&futures, Until::AllCompleted, None);
                assert_eq!((waited.done.len(), waited.pending.len()), (3, 0));
            },
        ]);
    });
}

/// A thread that waits for the first of several tasks wakes up when one has ended, and leaves no
/// observer on the others.
pub fn a_wait_for_the_first_sees_one() {
    check(|| {
        let (registry, futures) = queued::<2>();
        let n_called = std::sync::Arc::new(AtomicUsize::new(0));
        together([
            &|| registry.work(),
            &|| {
                futures[0].cancel();
            },
            &|| {
                let waited = wait(&futures, Until::FirstCompleted, None);
                assert!(!waited.done.is_empty());
                for future in &futures {
                    let n_called = std::sync::Arc::clone(&n_called);
                    future.on_done(move |_| {
                        n_called.fetch_add(1, Ordering::SeqCst);
                    });
                }
            },
        ]);
        assert_eq!(n_called.load(Ordering::SeqCst), 2);
    });
}

/// Each of two threads gets every future once, after it has ended.
pub fn every_future_is_completed_once() {
    check(|| {
        let (registry, futures) = queued::<3>();
        let collect = || {
            let mut completed = as_completed(&futures)
                .inspect(|future| assert!(future.is_done()))
                .map(std::ptr::from_ref)
                .collect::<Vec<_>>();
            completed.sort_unstable();
            let all = futures.iter().map(std::ptr::from_ref);
            assert_eq!(completed, all.collect::<Vec<_>>());
        };
        together([&collect, &collect, &|| registry.work(), &|| {
            futures[2].cancel();
        }]);
    });
}

/// With a timeout, the futures that have ended are returned, and then at most one error with the
/// number of the others.
pub fn a_time_limit_counts_what_is_missing() {
    check(|| {
        let (registry, futures) = queued::<2>();
        together([&|| registry.work(), &|| {
            let completed = as_completed(&futures).timeout(Duration::from_millis(2));
            let (done, late): (Vec<_>, Vec<_>) = completed.partition(Result::is_ok);
            let pending = late.iter().map(|late| late.as_ref().unwrap_err().pending);
            assert!(late.len() <= 1);
            assert_eq!(done.len() + pending.sum::<usize>(), 2);
        }]);
    });
}

/// A future that is awaited while its task runs or is cancelled is woken, and so is a thread that
/// waits for it.
pub fn an_awaited_future_is_woken() {
    check(|| {
        let (registry, futures) = queued::<1>();
        let [future] = &futures;
        together([
            &|| registry.work(),
            &|| {
                future.cancel();
            },
            &|| {
                let awaited = TaskFuture::<u8>::new(Arc::clone(future.task()), None, usize::MAX);
                let outcome = registry::block_on(awaited);
                assert_eq!(outcome.is_err(), future.is_cancelled());
            },
            &|| match future.wait() {
                Ok(result) => assert_eq!(result, RESULT),
                Err(error) => assert!(error.is_cancelled()),
            },
        ]);
    });
}
