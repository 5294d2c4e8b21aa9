//! Waiting for several futures: `wait` and `as_completed`.

use std::sync::mpsc;
use std::time::Duration;

use wasmpool::{TaskFuture, Until, as_completed, wait};

use crate::support::{Bench, LONG, within_long};

/// One future for each state: done, failed, cancelled, and running for ever.
fn one_of_each(bench: &Bench) -> [TaskFuture<u64>; 4] {
    let done = bench.submit("recall", 1);
    let failed = bench.submit("panic", "now");
    let _ = (done.wait(), failed.wait());
    let cancelled = bench.spinning();
    cancelled.cancel();
    [done, failed, cancelled, bench.spinning()]
}

#[test]
fn waiting_for_nothing_is_over_at_once() {
    for until in [
        Until::AllCompleted,
        Until::FirstCompleted,
        Until::FirstFailure,
    ] {
        let waited = wait(Vec::<TaskFuture<u64>>::new(), until, None);
        assert!(waited.done.is_empty() && waited.pending.is_empty());
    }
    assert_eq!(as_completed(Vec::<TaskFuture<u64>>::new()).count(), 0);
}

#[test]
fn a_wait_for_all_waits_for_all() {
    let bench = Bench::with_workers(2);
    let futures = (0..100)
        .map(|n| bench.submit::<u64, u64>("recall", n))
        .collect::<Vec<_>>();
    let waited = within_long(move || wait(futures, Until::AllCompleted, Some(LONG)));
    assert_eq!((waited.done.len(), waited.pending.len()), (100, 0));
    let results = waited.done.iter().map(|future| future.wait().unwrap());
    assert!(results.eq(0..100), "in the order in which they went in");
}

#[test]
fn a_wait_for_the_first_is_over_when_one_has_ended() {
    let bench = Bench::with_workers(2);
    let [done, .., running] = one_of_each(&bench);
    let waited = wait([&running, &done], Until::FirstCompleted, None);
    assert_eq!((waited.done.len(), waited.pending.len()), (1, 1));
    let other = bench.submit::<u64, u64>("recall", 1);
    let waited = wait([&running, &other], Until::FirstCompleted, None);
    assert_eq!(waited.done.len(), 1);
}

#[test]
fn a_wait_for_the_first_failure_ignores_cancelled_tasks() {
    let bench = Bench::with_workers(2);
    let [done, failed, cancelled, running] = one_of_each(&bench);
    let waited = wait([&running, &failed, &done], Until::FirstFailure, None);
    assert_eq!(waited.pending.len(), 1, "an earlier failure counts");
    let short = Some(Duration::from_millis(20));
    let waited = wait([&cancelled, &done, &running], Until::FirstFailure, short);
    assert_eq!((waited.done.len(), waited.pending.len()), (2, 1));
    let waited = wait([&cancelled, &done], Until::FirstFailure, None);
    assert_eq!(waited.done.len(), 2, "without a failure it waits for all");
}

#[test]
fn a_wait_that_times_out_is_not_an_error() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let queued = bench.submit::<u64, u64>("recall", 1);
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        let waited = wait([&running, &queued], Until::AllCompleted, Some(timeout));
        assert_eq!((waited.done.len(), waited.pending.len()), (0, 2));
    }
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 1);
}

#[test]
fn a_duplicate_future_counts_once() {
    let bench = Bench::with_workers(1);
    let future = bench.submit::<u64, u64>("recall", 1);
    assert_eq!(
        wait([&future, &future], Until::AllCompleted, None)
            .done
            .len(),
        1
    );
    assert_eq!(as_completed([&future, &future]).count(), 1);
}

#[test]
fn futures_of_several_pools_come_in_order_of_completion() {
    let (one, other) = (Bench::with_workers(1), Bench::with_workers(1));
    let first = one.spinning();
    let second = other.spinning();
    let ended = one.submit::<u64, u64>("recall", 3);
    first.cancel();
    ended.wait().unwrap();
    let mut completed = as_completed([&second, &ended, &first]);
    let mut early =
        [completed.next().unwrap(), completed.next().unwrap()].map(TaskFuture::is_cancelled);
    early.sort_unstable();
    assert_eq!(
        (early, completed.size_hint()),
        ([false, true], (1, Some(1)))
    );
    second.cancel();
    assert!(completed.next().unwrap().is_cancelled());
    assert!(completed.next().is_none());
}

#[test]
fn ended_futures_come_before_the_timeout_error() {
    let bench = Bench::with_workers(2);
    let [done, failed, cancelled, running] = one_of_each(&bench);
    let all = [&running, &done, &failed, &cancelled];
    let mut completed = as_completed(all).timeout(Duration::ZERO);
    for _ in 0..3 {
        assert!(completed.next().unwrap().unwrap().is_done());
    }
    let timed_out = completed.next().unwrap().unwrap_err();
    assert_eq!(
        timed_out.to_string(),
        "timed out: 1 of 4 tasks have not ended"
    );
    assert!(completed.next().is_none());
    assert!(!running.is_done());
}

#[test]
fn a_hundred_tasks_that_end_at_once_lose_no_wake_up() {
    let bench = Bench::with_workers(2);
    let running = [bench.spinning(), bench.spinning()];
    let futures = (0..100)
        .map(|n| bench.submit::<u64, u64>("recall", n))
        .collect::<Vec<_>>();
    let waiter = std::thread::spawn(move || as_completed(futures).count());
    running.iter().for_each(|future| assert!(future.cancel()));
    assert_eq!(within_long(move || waiter.join().unwrap()), 100);
}

#[test]
fn waiting_threads_are_woken_before_callbacks_run() {
    let bench = Bench::with_workers(1);
    // The callback blocks until the waiting thread has returned and receives its message.
    let with_callback = || {
        let running = bench.spinning();
        let future = bench.submit::<_, u64>("recall", 1);
        let (sender, receiver) = mpsc::sync_channel(0);
        future.on_done(move |_| sender.send(()).unwrap());
        running.cancel();
        (future, receiver)
    };
    let (future, called) = with_callback();
    let future = within_long(move || {
        let waited = wait([&future], Until::AllCompleted, None);
        assert_eq!(waited.done.len(), 1);
        future
    });
    called.recv_timeout(LONG).unwrap();
    assert_eq!(future.wait().unwrap(), 1);

    let (future, called) = with_callback();
    let ended = within_long(move || as_completed([future]).count());
    called.recv_timeout(LONG).unwrap();
    assert_eq!(ended, 1);
    bench.assert_healthy();
}
