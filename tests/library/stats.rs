//! The pool's counters.

use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use wasmpool::{Pool, PoolStats, Shutdown, TaskOptions};

use crate::support::Bench;

/// Checks that the counts are consistent.
fn check(stats: &PoolStats) {
    let PoolStats {
        accepted,
        queued,
        running,
        finished,
        succeeded,
        failures,
        ..
    } = stats;
    assert_eq!(*accepted, queued + running + finished, "{stats:?}");
    let failed = failures.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(*finished, succeeded + failed, "{stats:?}");
}

#[test]
fn the_counts_show_the_state_of_each_task() {
    let bench = Bench::with_workers(2);
    let running = [bench.spinning(), bench.spinning()];
    let queued = (0..5)
        .map(|n| bench.submit::<u64, u64>("recall", n))
        .collect::<Vec<_>>();
    let stats = bench.pool.stats();
    check(&stats);
    assert_eq!((stats.accepted, stats.queued, stats.running), (7, 5, 2));

    queued[4].cancel();
    running.iter().for_each(|future| assert!(future.cancel()));
    for future in &queued {
        let _ = future.wait();
    }
    bench.submit::<_, u64>("panic", "now").wait().unwrap_err();
    let stats = bench.pool.stats();
    check(&stats);
    assert_eq!((stats.queued, stats.running, stats.succeeded), (0, 0, 4));
    assert_eq!(stats.failures, [("cancelled", 3), ("trap", 1)]);

    bench.pool.close();
    assert!(bench.pool.submit(&bench.factorize(), (6,)).is_err());
    assert_eq!(
        bench.pool.stats().accepted,
        8,
        "what was refused does not count"
    );
}

#[test]
fn the_counts_are_consistent_at_any_moment() {
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(32));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut most_running = 0;
            while !is_over.load(Ordering::SeqCst) {
                let stats = bench.pool.stats();
                check(&stats);
                most_running = most_running.max(stats.running);
            }
            most_running
        });
        let factorize = bench.factorize();
        for (n, outcome) in (0..20_000_u64).zip(bench.pool.map(&factorize, 0..20_000_u64)) {
            assert!(outcome.is_ok());
            if n % 16 == 0 {
                bench.submit::<_, u64>("recall", n).cancel();
            }
        }
        bench.pool.shutdown(Shutdown::Graceful);
        is_over.store(true, Ordering::SeqCst);
        assert!(
            reader.join().unwrap() <= 2,
            "no more run than there are workers"
        );
    });
    let stats = bench.pool.stats();
    assert_eq!((stats.accepted, stats.finished), (21_250, 21_250));
}

#[test]
fn run_times_cover_the_tasks_that_have_run() {
    let bench = Bench::with_workers(1);
    let idle = bench.pool.stats();
    assert_eq!((idle.run_time.count, idle.utilization), (0, 0.0));
    for _ in 0..9 {
        bench.call::<_, u64>("sleep", 5);
    }
    bench.call::<_, u64>("sleep", 200);
    bench.submit::<_, u64>("spin", 1).cancel();
    bench.assert_healthy();
    let stats = bench.pool.stats();
    let (queued, ran) = (stats.queue_time, stats.run_time);
    assert!(ran.count >= 14 && queued.count == ran.count, "{stats:?}");
    let ascending = [ran.min, ran.p50, ran.p90, ran.p99, ran.p999, ran.max];
    assert!(ascending.is_sorted() && ran.min < ran.max, "{ran:?}");
    assert!(ran.max >= Duration::from_millis(200), "{ran:?}");
    // Reading does not reset the counts.
    assert_eq!(bench.pool.stats().run_time, ran);
}

#[test]
fn utilization_includes_running_tasks() {
    let bench = Bench::with_workers(2);
    let running = bench.spinning();
    let first = bench.pool.stats();
    // Both workers are busy after being idle, so the utilization rises.
    let options = TaskOptions::new().task_timeout(Duration::from_millis(100));
    let other = bench.task::<u64, u64>("sleep").with(options);
    bench
        .pool
        .submit(&other, (10_000,))
        .unwrap()
        .wait()
        .unwrap_err();
    let second = bench.pool.stats();
    assert!(
        second.utilization > 0.0 && second.utilization <= 1.0,
        "{second:?}"
    );
    assert!(second.uptime > first.uptime);
    assert!(
        second.utilization > first.utilization,
        "{first:?} {second:?}"
    );
    running.cancel();
}
