//! Retries after failures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmpool::{
    Pool, Retry, Shutdown, TaskError, TaskErrorKind as Kind, TaskFuture, TaskOptions, TaskState,
};

use crate::support::{Bench, LONG, wait_until_running, within_long};

fn with_retry(retry: Retry) -> TaskOptions {
    TaskOptions::new().retry(retry)
}

fn attempts<Out>(future: &TaskFuture<Out>) -> u32 {
    future.report().unwrap().attempts
}

#[test]
fn a_task_is_retried_the_given_number_of_times() {
    let bench = Bench::with_workers(1);
    let panic = bench.task::<&str, ()>("panic");
    for retries in [0, 1, 3] {
        let task = panic.with(with_retry(Retry::times(retries)));
        let future = bench.pool.submit(&task, ("now",)).unwrap();
        let error = future.wait().unwrap_err();
        assert!(matches!(error.kind(), Kind::Trap(_)), "{error}");
        assert_eq!(attempts(&future), retries + 1);
    }
    // By default nothing is retried.
    let future = bench.submit::<_, ()>("panic", "now");
    future.wait().unwrap_err();
    assert_eq!(attempts(&future), 1);
    let stats = bench.pool.stats();
    assert_eq!(
        (stats.accepted, stats.finished),
        (4, 4),
        "attempts are one task"
    );
}

#[test]
fn a_task_that_succeeds_at_a_retry_has_succeeded() {
    let bench = Bench::with_workers(1);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let soon = u64::try_from(clock.as_millis()).unwrap() + 100;
    let retry = Retry::times(20).backoff(Duration::from_millis(5));
    let task = bench
        .task::<u64, u64>("trap_before")
        .with(with_retry(retry));
    let future = bench.pool.submit(&task, (soon,)).unwrap();
    assert!(future.wait().unwrap() >= soon);
    assert!(attempts(&future) > 1);
}

#[test]
fn timeouts_and_chosen_kinds_are_retried_and_no_others() {
    let bench = Bench::with_workers(1);
    let check = |name: &str, options: TaskOptions, expected: u32| {
        let task = bench.task::<u64, u64>(name).with(options);
        let future = bench.pool.submit(&task, (500,)).unwrap();
        future.wait().unwrap_err();
        assert_eq!(attempts(&future), expected, "{name}");
    };
    let short = || with_retry(Retry::times(2)).task_timeout(Duration::from_millis(10));
    check("spin", short(), 3);
    check("sleep", short(), 3);
    let small = |retry| with_retry(retry).memory_limit(64 << 20);
    check("allocate", small(Retry::times(2)), 1);
    check(
        "allocate",
        small(Retry::times(2).on([Kind::MemoryLimit])),
        3,
    );
    check(
        "spin",
        short().retry(Retry::times(2).on([Kind::MemoryLimit])),
        1,
    );
}

#[test]
fn the_pool_s_retry_applies_to_tasks_without_their_own() {
    let bench = Bench::new(Pool::builder().workers(1).retry(Retry::times(1)));
    let task = bench.task::<&str, ()>("panic");
    let of_pool = bench.pool.submit(&task, ("now",)).unwrap();
    let own = task.with(with_retry(Retry::times(0)));
    let of_task = bench.pool.submit(&own, ("now",)).unwrap();
    of_pool.wait().unwrap_err();
    of_task.wait().unwrap_err();
    assert_eq!((attempts(&of_pool), attempts(&of_task)), (2, 1));
}

#[test]
fn between_attempts_a_task_is_queued_and_can_be_cancelled() {
    let bench = Bench::with_workers(1);
    let retry = Retry::times(1).backoff(LONG);
    let task = bench.task::<&str, ()>("panic").with(with_retry(retry));
    let future = bench.pool.submit(&task, ("now",)).unwrap();
    // The only worker serves other tasks between the attempts.
    bench.assert_healthy();
    assert_eq!(future.state(), TaskState::Queued);
    assert!(future.cancel());
    assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(attempts(&future), 1);
    bench.assert_healthy();
}

#[test]
fn a_queue_timeout_is_for_the_first_wait_only() {
    let bench = Bench::with_workers(1);
    let retry = Retry::times(1).backoff(Duration::from_millis(600));
    let options = with_retry(retry).queue_timeout(Duration::from_millis(500));
    let task = bench.task::<&str, ()>("panic").with(options);
    let future = bench.pool.submit(&task, ("now",)).unwrap();
    let error = future.wait().unwrap_err();
    assert!(matches!(error.kind(), Kind::Trap(_)), "{error}");
    assert_eq!(attempts(&future), 2);
}

#[test]
fn a_shutdown_makes_the_remaining_attempts_without_a_wait() {
    let retry = Retry::times(2).backoff(Duration::from_secs(50));
    let bench = Bench::new(Pool::builder().workers(1).retry(retry));
    let future = bench.submit::<_, ()>("panic", "now");
    within_long(move || bench.pool.shutdown(Shutdown::Graceful));
    assert!(matches!(future.error().unwrap().kind(), Kind::Trap(_)));
    assert_eq!(attempts(&future), 3);
}

#[test]
fn a_terminated_pool_retries_no_task() {
    let retry = Retry::times(1_000_000).backoff(Duration::from_millis(1));
    let bench = Bench::new(Pool::builder().workers(2).retry(retry));
    let task = bench.task::<&str, ()>("panic");
    let futures = (0..50).map(|_| bench.pool.submit(&task, ("now",)).unwrap());
    let futures = futures.collect::<Vec<_>>();
    within_long(move || drop(bench));
    // Tasks that were just running may end with the outcome of their last attempt.
    let is_end = |error: &TaskError| error.is_cancelled() || matches!(error.kind(), Kind::Trap(_));
    assert!(futures.iter().all(|future| is_end(future.error().unwrap())));
}

#[test]
fn a_cancel_at_any_moment_ends_the_attempts() {
    let bench = Bench::with_workers(2);
    let task = bench
        .task::<&str, ()>("panic")
        .with(with_retry(Retry::times(u32::MAX)));
    for round in 0..300 {
        let future = bench.pool.submit(&task, ("now",)).unwrap();
        for _ in 0..round * 7 {
            std::hint::spin_loop();
        }
        assert!(future.cancel());
        assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    }
    bench.assert_healthy();
    let stats = bench.pool.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
}

#[test]
fn a_pool_ends_in_time_also_if_its_guests_fail_on_purpose() {
    let retry = Retry::times(u32::MAX).on([Kind::Failed]);
    let builder = Pool::builder().workers(2).retry(retry);
    let bench = Bench::new(builder.stop_grace(LONG));
    let futures = [1, 2, 3].map(|n| bench.submit::<u64, u64>("fail_when_stopped", n));
    futures[..2].iter().for_each(wait_until_running);
    within_long(move || drop(bench));
    let kinds = futures.map(|future| future.error().unwrap().kind());
    assert_eq!(kinds, [Kind::Failed, Kind::Failed, Kind::Cancelled]);
}

#[test]
fn a_task_that_fails_while_the_queue_is_cancelled_is_not_retried() {
    let retry = Retry::times(u32::MAX);
    let bench = Bench::new(Pool::builder().workers(2).retry(retry));
    let futures = [(); 4].map(|()| bench.submit::<_, ()>("panic", "again and again"));
    within_long(move || bench.pool.shutdown(Shutdown::Cancel));
    for future in futures {
        assert_eq!(future.error().unwrap().kind(), Kind::Cancelled);
    }
}

#[test]
fn tasks_that_wait_for_another_attempt_fill_the_queue() {
    const WORKERS: usize = 2;
    const CAPACITY: usize = 3;
    let retry = Retry::times(1).backoff(LONG);
    let builder = Pool::builder().workers(WORKERS).queue_capacity(CAPACITY);
    let bench = Bench::new(builder.retry(retry));
    let task = bench.task::<&str, ()>("panic");
    let mut futures = Vec::new();
    // Until all accepted tasks have had their first attempt and the queue is still full.
    loop {
        let attempts = bench.pool.stats().run_time.count;
        match bench.pool.try_submit(&task, ("now",)) {
            Ok(future) => futures.push(future),
            Err(refused) => {
                assert!(refused.is_full());
                if attempts == futures.len() as u64 {
                    break;
                }
            }
        }
        // Each worker may put back one task that it took while there was room.
        assert!(futures.len() <= CAPACITY + WORKERS, "{}", futures.len());
    }
    assert!(bench.pool.queued() >= CAPACITY);
    // A cancelled task frees its place.
    for future in &futures {
        assert!(future.cancel());
    }
    assert_eq!(bench.pool.queued(), 0);
    bench.assert_healthy();
}
