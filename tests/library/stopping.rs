//! Stopping: timeouts and cancels, of guests that compute and of guests that wait.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wasmpool::{Isolation, Pool, TaskErrorKind as Kind, TaskOptions, TaskState, Value};

use crate::support::{Bench, LONG, wait_until_running, within_long};

const SHORT: Duration = Duration::from_millis(50);

/// The endless tasks, each with an argument that makes it endless.
///
/// A guest can wait only for timers: reading its empty standard input and writing output return at
/// once, and it has no file and no socket.
const ENDLESS: &[(&str, u64)] = &[
    ("spin", 1),
    ("sleep", 3_600_000),
    ("poll", 3),
    ("ignore_stop", 0),
    ("honour_stop", 1),
];

#[test]
fn a_task_that_never_ends_is_timed_out_and_its_worker_goes_on() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(
            Pool::builder()
                .workers(1)
                .isolation(isolation)
                .task_timeout(SHORT),
        );
        for (name, argument) in ENDLESS {
            let future = bench.submit::<_, u64>(name, argument);
            let error = future.wait().unwrap_err();
            assert_eq!(error.kind(), Kind::TimedOut, "`{name}`: {error:?}");
            assert!(
                error.is_timeout() && error.message().contains("50ms"),
                "{error}"
            );
            let ran = future.report().unwrap().ran;
            assert!(ran >= SHORT && ran < LONG, "`{name}` ran {ran:?}");
            bench.assert_healthy();
        }
    }
}

#[test]
fn a_stopped_spinning_guest_has_a_backtrace() {
    let builder = Pool::builder().workers(1).task_timeout(SHORT);
    let bench = Bench::new(builder.backtrace_lines());
    let error = bench.submit::<_, u64>("spin", 1).wait().unwrap_err();
    assert!(
        error
            .backtrace()
            .iter()
            .any(|frame| frame.function.contains("spin")),
        "{error:?}"
    );
}

#[test]
fn a_worker_thread_survives_ten_stopped_tasks() {
    let bench = Bench::new(Pool::builder().workers(1).task_timeout(SHORT));
    let patient = TaskOptions::new().task_timeout(LONG);
    let recall = bench.task::<u64, u64>("recall").with(patient.clone());
    let before = bench.pool.submit(&recall, (1,)).unwrap();
    assert_eq!(before.wait().unwrap(), 1);
    let spinning = (0..10)
        .map(|_| bench.submit::<_, u64>("spin", 1))
        .collect::<Vec<_>>();
    let factorize = bench.factorize().with(patient);
    let good = bench.pool.submit(&factorize, (360,)).unwrap();
    assert_eq!(good.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
    assert_eq!(good.report().unwrap().worker, Some(0));
    for future in spinning {
        assert_eq!(future.wait().unwrap_err().kind(), Kind::TimedOut);
    }
}

#[test]
fn a_timeout_begins_with_the_task_and_not_in_the_queue() {
    // Enough for a task that sleeps for a millisecond, even on a busy machine.
    let timeout = Duration::from_secs(2);
    let bench = Bench::new(Pool::builder().workers(1).task_timeout(timeout));
    loop {
        let spinning = [1, 2].map(|n| bench.submit::<_, u64>("spin", n));
        let behind = bench.submit::<_, u64>("sleep", 1);
        // Only if the second task is still queued here, the third certainly waits for the second's
        // whole run, which is longer than its own timeout.
        let is_certain = spinning[1].state() == TaskState::Queued;
        assert_eq!(behind.wait().unwrap(), 1);
        for future in spinning {
            assert_eq!(future.wait().unwrap_err().kind(), Kind::TimedOut);
        }
        if is_certain {
            assert!(behind.report().unwrap().queued >= timeout);
            return;
        }
    }
}

#[test]
fn a_running_task_is_cancelled_at_once_and_for_good() {
    let bench = Bench::with_workers(1);
    for (name, argument) in ENDLESS {
        let future = bench.submit::<_, u64>(name, argument);
        wait_until_running(&future);
        assert!(future.cancel());
        assert_eq!(future.state(), TaskState::Done);
        assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
        assert!(future.cancel(), "a second cancel says the same");
        bench.assert_healthy();
        assert_eq!(
            future.error().unwrap().kind(),
            Kind::Cancelled,
            "it stays cancelled"
        );
    }
}

#[test]
fn a_waiting_thread_wakes_on_cancel() {
    let bench = Bench::with_workers(1);
    let future = std::sync::Arc::new(bench.spinning());
    let waiting = std::sync::Arc::clone(&future);
    let waiter = std::thread::spawn(move || waiting.wait());
    future.cancel();
    let outcome = within_long(move || waiter.join().unwrap());
    assert!(outcome.unwrap_err().is_cancelled());
}

#[test]
fn a_cancelled_queued_task_never_starts() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let tasks = (0..3)
        .map(|n| bench.submit::<_, u64>("recall", n))
        .collect::<Vec<_>>();
    assert!(tasks[1].cancel() && tasks[0].cancel());
    running.cancel();
    assert_eq!(tasks[2].wait().unwrap(), 2);
    for cancelled in &tasks[..2] {
        assert_eq!(cancelled.wait().unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(cancelled.report().unwrap().worker, None);
    }
}

#[test]
fn cancelling_an_ended_task_changes_nothing() {
    let bench = Bench::with_workers(1);
    let future = bench.submit::<_, u64>("recall", 5);
    assert_eq!(future.wait().unwrap(), 5);
    assert!(!future.cancel() && !future.is_cancelled());
    assert_eq!(future.wait().unwrap(), 5);
}

#[test]
fn stopping_one_task_affects_no_other() {
    let bench = Bench::with_workers(2);
    // 2^61 - 1 has no small factor, so this computes during all the stops.
    let is_prime = bench.factorizer.task::<(u64,), bool>("is_prime").unwrap();
    let neighbour = bench.pool.submit(&is_prime, ((1 << 61) - 1,)).unwrap();
    wait_until_running(&neighbour);
    let mut stopped = 0;
    while !neighbour.is_done() || stopped < 20 {
        let spinning = bench.spinning();
        assert!(spinning.cancel());
        stopped += 1;
    }
    assert!(neighbour.wait().unwrap());
}

#[test]
fn stops_at_the_same_moment_all_take_effect() {
    let bench = Bench::with_workers(2);
    for _ in 0..300 {
        let [one, other] = [bench.spinning(), bench.spinning()];
        std::thread::scope(|scope| {
            scope.spawn(|| one.cancel());
            scope.spawn(|| other.cancel());
        });
        // A lost stop would keep its worker busy for ever.
    }
    bench.assert_healthy();
}

#[test]
fn a_queue_timeout_ends_tasks_that_wait_while_all_workers_are_busy() {
    let bench = Bench::new(Pool::builder().workers(1).queue_timeout(SHORT));
    let running = bench.spinning();
    let waiting = bench.submit::<_, u64>("recall", 1);
    let error = waiting.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::QueueTimedOut);
    assert!(error.is_timeout());
    assert!(!running.is_done(), "what runs has no part in it");
    assert_eq!(bench.pool.queued(), 0, "its place in the queue came back");
    running.cancel();
    bench.assert_healthy();
}

#[test]
fn a_guest_sees_its_time_left_and_its_worker() {
    let whereabouts = |builder: wasmpool::PoolBuilder| {
        let pool = builder.build().unwrap();
        let module = pool.load(wasmpool_guests::TOUR.path()).unwrap();
        let task = module
            .task::<(), BTreeMap<String, Value>>("whereabouts")
            .unwrap();
        let future = pool.submit(&task, ()).unwrap();
        let told = future.wait().unwrap();
        let worker = future.report().unwrap().worker.unwrap();
        assert_eq!(told["worker"], Value::Unsigned(worker as u64));
        assert_eq!(told["is_stop_requested"], Value::Bool(false));
        told["time_left_ms"].clone()
    };
    assert_eq!(whereabouts(Pool::builder().workers(2)), Value::Null);
    match whereabouts(Pool::builder().workers(2).task_timeout(LONG)) {
        Value::Unsigned(millis) => assert!((1..=60_000).contains(&millis), "{millis}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn progress_reaches_the_caller_of_a_running_task() {
    let bench = Bench::with_workers(1);
    let module = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let sum = module.task::<(u64,), u64>("sum_to").unwrap();
    let done = bench.pool.submit(&sum, (2_500,)).unwrap();
    assert_eq!(done.wait().unwrap(), 3_126_250);
    let progress = done.progress().unwrap();
    assert_eq!((progress.done, progress.total), (2_000, Some(2_500)));

    let endless = bench.submit::<_, u64>("ignore_stop", 0);
    let deadline = Instant::now() + LONG;
    while endless.progress().is_none() {
        assert!(Instant::now() < deadline, "no progress is seen");
        std::thread::yield_now();
    }
    assert!(!endless.is_done());
    endless.cancel();
}

#[test]
fn a_guest_that_honours_a_stop_returns_within_its_grace_period() {
    let builder = Pool::builder().workers(1).task_timeout(SHORT);
    let bench = Bench::new(builder.stop_grace(LONG));
    let future = bench.submit::<_, u64>("honour_stop", 7);
    assert_eq!(
        future.wait().unwrap(),
        7,
        "what it returns in time is its result"
    );
    assert!(future.report().unwrap().ran >= SHORT);

    // A cancel settles the task at once; the worker is free when the guest has returned.
    let future = bench.submit::<_, u64>("honour_stop", 8);
    wait_until_running(&future);
    assert!(future.cancel() && future.wait().unwrap_err().is_cancelled());
    bench.assert_healthy();
}

#[test]
fn a_guest_that_ignores_a_stop_is_halted_after_its_grace_period() {
    let grace = Duration::from_millis(80);
    let builder = Pool::builder().workers(1).task_timeout(SHORT);
    let bench = Bench::new(builder.stop_grace(grace));
    for (name, argument) in [("ignore_stop", 0), ("spin", 1), ("sleep", 3_600_000)] {
        let future = bench.submit::<u64, u64>(name, argument);
        assert_eq!(
            future.wait().unwrap_err().kind(),
            Kind::TimedOut,
            "`{name}`"
        );
        let ran = future.report().unwrap().ran;
        assert!(ran >= SHORT + grace && ran < LONG, "`{name}` ran {ran:?}");
        bench.assert_healthy();
    }
}

#[test]
fn cancels_at_any_moment_settle_each_task_once_and_lose_no_worker() {
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(64));
    let factorize = bench.factorize();
    // A fixed seed: the choices are the same in each run, but not the timing.
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut cancelled, mut finished) = (0, 0);
    let mut under_way = std::collections::VecDeque::new();
    let mut settle = |future: wasmpool::TaskFuture<Vec<u64>>| match future.wait() {
        Ok(_) => finished += 1,
        Err(error) => {
            assert_eq!(error.kind(), Kind::Cancelled);
            cancelled += 1;
        }
    };
    for _ in 0..10_000 {
        under_way.push_back(
            bench
                .pool
                .submit(&factorize, (next() % 10_000_000,))
                .unwrap(),
        );
        if next() % 2 == 0 {
            let index = usize::try_from(next()).unwrap() % under_way.len();
            under_way[index].cancel();
        }
        if under_way.len() > 32 {
            settle(under_way.pop_front().unwrap());
        }
    }
    under_way.into_iter().for_each(&mut settle);
    assert_eq!(cancelled + finished, 10_000);
    assert!(cancelled > 0 && finished > 0);
    bench.assert_healthy();
}
