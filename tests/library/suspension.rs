//! Tasks that wait in the host: they hold no worker, and are stopped as others are.

use std::time::{Duration, Instant};

use wasmpool::{Isolation, Pool, Shutdown, TaskErrorKind as Kind, TaskFuture, TaskOptions};

use crate::support::{Bench, LONG, wait_until_running, wait_until_suspended, within_long};

/// Far longer than any test takes.
const HOUR: u64 = 3_600_000;

#[test]
fn a_thousand_tasks_that_sleep_take_about_as_long_as_one() {
    let bench = Bench::new(
        Pool::builder()
            .workers(2)
            .queue_capacity(1000)
            .max_suspended(1000),
    );
    let started = Instant::now();
    let futures = (0..1000)
        .map(|_| bench.submit::<u64, u64>("sleep", 1000))
        .collect::<Vec<_>>();
    for future in &futures {
        assert_eq!(future.wait().unwrap(), 1000);
    }
    // Eight minutes if each kept its worker.
    assert!(started.elapsed() < LONG);
    bench.assert_healthy();
}

#[test]
fn a_task_that_waits_gives_its_worker_to_others() {
    let bench = Bench::with_workers(1);
    let sleeping = [(); 3].map(|()| bench.submit::<_, u64>("sleep", HOUR));
    sleeping.iter().for_each(wait_until_suspended);
    assert_eq!(bench.call::<_, u64>("recall", 1), 1);
    let stats = bench.pool.stats();
    assert_eq!((stats.running, stats.suspended, stats.queued), (0, 3, 0));
    assert_eq!(stats.accepted, stats.suspended + stats.finished);
    sleeping.iter().for_each(|future| assert!(future.cancel()));
    bench.assert_healthy();
}

#[test]
fn a_report_tells_computing_from_waiting() {
    let bench = Bench::with_workers(1);
    let sleeping = bench.submit::<_, u64>("sleep", 300);
    sleeping.wait().unwrap();
    let report = sleeping.report().unwrap();
    assert_eq!(report.ran, report.computed + report.suspended);
    assert!(report.suspended > Duration::from_millis(100), "{report:?}");
    let computing = bench.pool.submit(&bench.factorize(), (360,)).unwrap();
    computing.wait().unwrap();
    let report = computing.report().unwrap();
    assert!(report.suspended.is_zero() && report.computed == report.ran);
    // Workers that wait for nobody are not busy.
    let stats = bench.pool.stats();
    assert!(stats.run_time.max >= Duration::from_millis(300));
}

#[test]
fn a_suspended_task_is_stopped_in_every_way() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(Pool::builder().workers(1).isolation(isolation));
        for (name, argument) in [("sleep", HOUR), ("poll", 3)] {
            let task = bench.task::<u64, u64>(name);
            let cancelled = bench.pool.submit(&task, (argument,)).unwrap();
            wait_until_suspended(&cancelled);
            assert!(cancelled.cancel());
            assert_eq!(cancelled.wait().unwrap_err().kind(), Kind::Cancelled);
            let short = TaskOptions::new().task_timeout(Duration::from_millis(20));
            let graceful = short.clone().stop_grace(Duration::from_millis(20));
            for options in [short, graceful] {
                let task = task.clone().with(options);
                let future = bench.pool.submit(&task, (argument,)).unwrap();
                assert_eq!(future.wait().unwrap_err().kind(), Kind::TimedOut);
            }
        }
        bench.assert_healthy();
        let last = bench.submit::<_, u64>("sleep", HOUR);
        wait_until_suspended(&last);
        let bench = within_long(move || {
            bench.pool.shutdown(Shutdown::Terminate);
            bench
        });
        assert_eq!(last.wait().unwrap_err().kind(), Kind::ShutDown);
        assert_eq!(bench.pool.stats().suspended, 0);
    }
}

#[test]
fn a_graceful_shutdown_waits_for_suspended_tasks() {
    let bench = Bench::with_workers(2);
    let sleeping = [(); 5].map(|()| bench.submit::<_, u64>("sleep", 50));
    sleeping.iter().for_each(wait_until_running);
    let bench = within_long(move || {
        bench.pool.shutdown(Shutdown::Graceful);
        bench
    });
    for future in &sleeping {
        assert_eq!(future.wait().unwrap(), 50);
    }
    assert_eq!(bench.pool.stats().finished, 5);
}

#[test]
fn at_the_bound_tasks_keep_their_workers_and_all_come_to_their_end() {
    for max_suspended in [0, 1, 3] {
        let builder = Pool::builder().workers(2).max_suspended(max_suspended);
        let bench = Bench::new(builder);
        let futures = [(); 20].map(|()| bench.submit::<_, u64>("sleep", 5));
        let mut most = 0;
        while !futures.iter().all(TaskFuture::is_done) {
            let stats = bench.pool.stats();
            assert!(stats.running <= 2);
            most = most.max(stats.suspended);
            std::thread::yield_now();
        }
        assert!(most <= max_suspended as u64, "{most} of {max_suspended}");
        for future in &futures {
            assert_eq!(future.wait().unwrap(), 5);
        }
    }
}

#[test]
fn the_instance_of_a_suspended_task_serves_nobody_else() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    let futures = [(); 3].map(|()| bench.submit::<_, u64>("sleep", 100));
    for future in &futures {
        future.wait().unwrap();
        assert_eq!(future.report().unwrap().instance_age, 0);
    }
    // Of the three the worker has kept one that serves the next.
    let next = bench.submit::<_, u64>("recall", 1);
    next.wait().unwrap();
    assert_eq!(next.report().unwrap().instance_age, 1);
}

#[test]
fn time_that_computes_is_counted_apart_from_time_that_waits() {
    let limit = Duration::from_secs(1);
    let bench = Bench::new(Pool::builder().workers(1).compute_timeout(limit));
    assert_eq!(bench.call::<_, u64>("sleep", 1500), 1500);
    let short = TaskOptions::new().compute_timeout(Duration::from_millis(50));
    let spin = bench.task::<u64, u64>("spin").with(short);
    let error = bench.pool.submit(&spin, (1,)).unwrap();
    let error = error.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    assert_eq!(error.message(), "timed out: it computed longer than 50ms");
    // Also where it must keep its worker while it waits.
    let builder = Pool::builder().workers(1).max_suspended(0);
    let bench = Bench::new(builder.compute_timeout(limit));
    assert_eq!(bench.call::<_, u64>("sleep", 1500), 1500);
}
