//! Guests that are not stopped while they compute, because the pool was asked for it.

use std::time::Duration;

use wasmpool::{Isolation, Pool, PoolBuilder, Shutdown, TaskErrorKind as Kind};

use crate::support::{Bench, wait_until_running, within_long};

const SHORT: Duration = Duration::from_millis(1);

/// A prime that takes more than a second: longer than this thread may be descheduled.
const LARGE_PRIME: u64 = (1 << 61) - 1;

fn builder() -> PoolBuilder {
    Pool::builder().workers(1).uninterruptible_guests()
}

#[test]
fn a_computing_task_ends_in_time_and_another_thread_takes_its_workers_place() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(builder().isolation(isolation).task_timeout(SHORT));
        let task = bench.pool.submit(&bench.factorize(), (LARGE_PRIME,));
        let task = task.unwrap();
        let error = task.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
        assert!(error.message().ends_with("was given up"), "{error}");
        let report = task.report().unwrap();
        assert_eq!((report.worker, report.attempts), (Some(0), 1));
        // Its guest computes on meanwhile.
        bench.assert_healthy();
        let stats = bench.pool.stats();
        assert_eq!((stats.running, stats.finished), (0, 5), "{stats:?}");
        within_long(move || {
            while bench.pool.stats().stuck > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

#[test]
fn a_guest_that_waits_in_the_host_or_checks_for_a_stop_is_stopped() {
    let bench = Bench::new(builder().task_timeout(Duration::from_millis(50)));
    for (name, argument) in [("sleep", 3_600_000), ("poll", 3), ("honour_stop", 1)] {
        let error = bench.submit::<_, u64>(name, argument).wait().unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut, "`{name}`: {error:?}");
        bench.assert_healthy();
    }
}

#[test]
fn neither_who_cancels_nor_the_next_task_waits_for_its_end() {
    let bench = Bench::new(builder());
    let factorize = bench.factorize();
    let future = bench.pool.submit(&factorize, (LARGE_PRIME,)).unwrap();
    wait_until_running(&future);
    assert!(future.cancel());
    assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    let next = bench.pool.submit(&factorize, (360,)).unwrap();
    assert_eq!(next.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
}

#[test]
fn a_pool_ends_while_a_guest_computes_on() {
    let bench = Bench::new(builder());
    let endless = bench.spinning();
    let cut_short = bench.pool.shutdown_timeout(Duration::ZERO);
    assert_eq!(cut_short.stopped, 1);
    assert_eq!(endless.wait().unwrap_err().kind(), Kind::ShutDown);
    within_long(move || drop(bench));
}

#[test]
fn fuel_stops_an_uninterruptible_guest() {
    let bench = Bench::new(builder().fuel_limit(100_000_000));
    let error = bench.submit::<_, u64>("spin", 1).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::OutOfFuel);
    bench.assert_healthy();
    bench.pool.shutdown(Shutdown::Terminate);
}
