//! Guests that are not stopped while they compute, because the pool was asked for it.

use std::time::Duration;

use wasmpool::{Isolation, Pool, PoolBuilder, Shutdown, TaskErrorKind as Kind, TaskState};

use crate::support::{Bench, wait_until_running};

const SHORT: Duration = Duration::from_millis(1);

/// A prime that takes a third of a second: hundreds of times `SHORT`.
const PRIME: u64 = 100_000_000_000_000_003;

/// A prime that takes more than a second: longer than this thread is kept from running.
const LARGE_PRIME: u64 = (1 << 61) - 1;

fn builder() -> PoolBuilder {
    Pool::builder().workers(1).uninterruptible_guests()
}

#[test]
fn a_computing_task_runs_to_its_end_and_is_then_timed_out() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        // The fuel tells that it came to its end: it is the same each time.
        let metered = || builder().isolation(isolation).fuel_limit(1 << 40);
        let unhurried = Bench::new(metered());
        let task = unhurried.pool.submit(&unhurried.factorize(), (PRIME,));
        let task = task.unwrap();
        assert_eq!(task.wait().unwrap(), [PRIME]);
        let fuel = task.report().unwrap().fuel;

        let hurried = Bench::new(metered().task_timeout(SHORT));
        let task = hurried.pool.submit(&hurried.factorize(), (PRIME,)).unwrap();
        assert_eq!(task.wait().unwrap_err().kind(), Kind::TimedOut);
        assert_eq!(task.report().unwrap().fuel, fuel);
        hurried.assert_healthy();
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
fn a_cancel_does_not_wait_but_the_next_task_does() {
    let bench = Bench::new(builder());
    let factorize = bench.factorize();
    let future = bench.pool.submit(&factorize, (LARGE_PRIME,)).unwrap();
    wait_until_running(&future);
    assert!(future.cancel());
    assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    let next = bench.pool.submit(&factorize, (360,)).unwrap();
    assert_eq!(next.state(), TaskState::Queued);
    assert_eq!(next.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
}

#[test]
fn termination_waits_for_the_task_and_drops_its_result() {
    let bench = Bench::new(builder());
    let task = bench.factorize();
    let future = bench.pool.submit(&task, (LARGE_PRIME,)).unwrap();
    wait_until_running(&future);
    let cut_short = bench.pool.shutdown_timeout(Duration::ZERO);
    assert_eq!(cut_short.stopped, 1);
    assert_eq!(future.wait().unwrap_err().kind(), Kind::ShutDown);
}

#[test]
fn fuel_stops_an_uninterruptible_guest() {
    let bench = Bench::new(builder().fuel_limit(100_000_000));
    let error = bench.submit::<_, u64>("spin", 1).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::OutOfFuel);
    bench.assert_healthy();
    bench.pool.shutdown(Shutdown::Terminate);
}
