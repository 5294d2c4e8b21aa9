//! Shutdown: the outcomes of accepted tasks, and the state afterwards.

use std::sync::Arc;
use std::time::Duration;

use wasmpool::{
    CutShort, Isolation, Pool, Priority, Shutdown, TaskErrorKind as Kind, TaskOptions, TaskState,
    Value,
};

use crate::support::{Bench, wait_until_running, within_long};

#[test]
fn a_graceful_shutdown_finishes_accepted_tasks() {
    let bench = Bench::with_workers(2);
    let factorize = bench.factorize();
    let futures = (0..200)
        .map(|n| bench.pool.submit(&factorize, (n,)).unwrap())
        .collect::<Vec<_>>();
    bench.pool.shutdown(Shutdown::Graceful);
    assert!(futures.iter().all(|future| future.is_done()));
    assert!(futures.iter().all(|future| future.wait().is_ok()));
    bench.pool.shutdown(Shutdown::Graceful);
}

#[test]
fn failures_do_not_hang_a_graceful_shutdown() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let builder = Pool::builder().workers(2).isolation(isolation);
        let bench = Bench::new(builder.memory_limit(32 << 20));
        let soon = TaskOptions::new().task_timeout(Duration::from_millis(30));
        let spin = bench.task::<u64, Value>("spin").with(soon.clone());
        let poll = bench.task::<u64, Value>("poll").with(soon);
        let submit = |task, argument| bench.pool.submit(task, (argument,)).unwrap();
        let running = [bench.spinning(), bench.spinning()];
        let mut futures = Vec::new();
        for _ in 0..5 {
            futures.push((bench.submit("panic", "now"), "trap"));
            futures.push((bench.submit("unreachable", 1), "trap"));
            futures.push((bench.submit("exit", 1), "exited"));
            futures.push((bench.submit("fail", "politely"), "failed"));
            futures.push((bench.submit("bad_bytes", 1), "bad-result"));
            futures.push((bench.submit("recurse", 1_000_000_000), "stack-exhausted"));
            futures.push((bench.submit("grow_without_end", 512), "memory-limit"));
            futures.push((bench.submit("recall", "no number"), "bad-arguments"));
            futures.push((submit(&spin, 1), "timed-out"));
            futures.push((submit(&poll, 2), "timed-out"));
        }
        let last = bench.submit::<_, u64>("recall", 3);
        // The shutdown begins before any of the tasks starts.
        bench.pool.close();
        running.iter().for_each(|future| assert!(future.cancel()));
        let bench = within_long(move || {
            bench.pool.shutdown(Shutdown::Graceful);
            bench
        });
        for (future, expected) in &futures {
            assert!(future.is_done());
            // One of them succeeds, but its result cannot be decoded.
            let error = future.wait().unwrap_err();
            assert_eq!(error.kind().name(), *expected, "{error:?}");
        }
        assert_eq!(last.wait().unwrap(), 3);
        let stats = bench.pool.stats();
        assert_eq!((stats.accepted, stats.finished), (53, 53));
    }
}

#[test]
fn submit_after_a_shutdown_is_refused_and_returns_the_arguments() {
    let bench = Bench::with_workers(1);
    let factorize = bench.factorize();
    bench.pool.close();
    let refused = bench.pool.submit(&factorize, (12,)).unwrap_err();
    assert!(refused.is_shut_down());
    assert_eq!(refused.into_arguments(), (12,));
    assert!(
        bench
            .pool
            .try_submit(&factorize, (12,))
            .unwrap_err()
            .is_shut_down()
    );
}

#[test]
fn closing_does_not_wait_and_accepted_work_is_still_done() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 3);
    bench.pool.close();
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 3);
}

#[test]
fn a_cancelling_shutdown_cancels_the_queued_and_finishes_the_running() {
    // The one that sleeps keeps the only worker.
    let builder = Pool::builder().workers(1).max_suspended(0);
    let bench = Arc::new(Bench::new(builder));
    let running = bench.submit::<_, u64>("sleep", 100);
    wait_until_running(&running);
    let queued = (0..10)
        .map(|n| bench.submit::<_, u64>("recall", n))
        .collect::<Vec<_>>();
    let pool = Arc::clone(&bench);
    within_long(move || pool.pool.shutdown(Shutdown::Cancel));
    assert_eq!(running.wait().unwrap(), 100);
    for future in queued {
        assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    }
}

#[test]
fn terminating_stops_the_running_and_cancels_the_queued() {
    let bench = Arc::new(Bench::with_workers(2));
    let waiting = bench.submit("sleep", 3_600_000);
    wait_until_running(&waiting);
    let running = [waiting, bench.spinning(), bench.spinning()];
    let queued = bench.submit::<_, u64>("recall", 1);
    let pool = Arc::clone(&bench);
    within_long(move || pool.pool.shutdown(Shutdown::Terminate));
    for future in running {
        let error = future.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::ShutDown);
        assert!(error.is_cancelled());
    }
    assert_eq!(queued.wait().unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn terminating_stops_running_tasks_before_it_runs_callbacks() {
    let bench = Arc::new(Bench::with_workers(1));
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 1);
    let inner = Arc::clone(&bench);
    // Waits for the spinning guest, which would not be stopped if this ran first.
    queued.on_done(move |_| inner.pool.shutdown(Shutdown::Graceful));
    let pool = Arc::clone(&bench);
    within_long(move || pool.pool.shutdown(Shutdown::Terminate));
    assert_eq!(running.wait().unwrap_err().kind(), Kind::ShutDown);
}

#[test]
fn terminating_ends_a_blocked_graceful_shutdown() {
    let bench = Arc::new(Bench::with_workers(1));
    let running = bench.spinning();
    let graceful = Arc::clone(&bench);
    let waiting = std::thread::spawn(move || graceful.pool.shutdown(Shutdown::Graceful));
    let terminating = Arc::clone(&bench);
    within_long(move || terminating.pool.shutdown(Shutdown::Terminate));
    within_long(move || waiting.join().unwrap());
    assert!(running.wait().is_err());
}

#[test]
fn a_shutdown_with_a_deadline_says_what_it_cut_short() {
    let bench = Arc::new(Bench::with_workers(2));
    let running = [bench.spinning(), bench.spinning()];
    let queued = (0..5)
        .map(|n| bench.submit::<u64, u64>("recall", n))
        .collect::<Vec<_>>();
    let pool = Arc::clone(&bench);
    let cut_short = within_long(move || pool.pool.shutdown_timeout(Duration::from_millis(50)));
    assert_eq!((cut_short.never_ran, cut_short.stopped), (5, 2));
    for future in running {
        assert_eq!(future.wait().unwrap_err().kind(), Kind::ShutDown);
    }
    for future in queued {
        assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    }

    let bench = Bench::with_workers(2);
    let queued = (0..50)
        .map(|n| bench.submit::<u64, u64>("recall", n))
        .collect::<Vec<_>>();
    assert_eq!(
        bench.pool.shutdown_timeout(crate::support::LONG),
        CutShort::default()
    );
    assert!(queued.iter().all(|future| future.wait().is_ok()));
}

#[test]
fn a_task_that_is_about_to_start_is_cut_short_and_counted_like_any_other() {
    for _ in 0..100 {
        let bench = Bench::with_workers(1);
        let future = bench.submit::<_, u64>("spin", 1);
        wait_until_running(&future);
        // Its worker may still be making the instance.
        let cut_short = bench.pool.shutdown_timeout(Duration::ZERO);
        assert_eq!((cut_short.never_ran, cut_short.stopped), (0, 1));
        assert_eq!(future.wait().unwrap_err().kind(), Kind::ShutDown);
    }
}

#[test]
fn a_terminating_pool_gives_its_tasks_their_grace_period() {
    let bench = Bench::new(Pool::builder().workers(1).stop_grace(crate::support::LONG));
    let future = bench.submit::<u64, u64>("honour_stop", 4);
    wait_until_running(&future);
    within_long(move || drop(bench));
    assert_eq!(future.wait().unwrap(), 4);
}

#[test]
fn ten_thousand_queued_tasks_are_terminated_at_once() {
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(10_000));
    let running = [bench.spinning(), bench.spinning()];
    let futures = (0..10_000)
        .map(|n| bench.submit::<u64, u64>("recall", n))
        .collect::<Vec<_>>();
    within_long(move || drop(bench));
    assert!(futures.iter().all(|future| future.is_cancelled()));
    assert!(running.iter().all(|future| future.is_cancelled()));
}

#[test]
fn shutting_down_never_hangs() {
    within_long(|| {
        Pool::builder()
            .workers(1)
            .build()
            .unwrap()
            .shutdown(Shutdown::Graceful)
    });
    within_long(|| {
        let bench = Bench::with_workers(1);
        bench.submit::<_, u64>("recall", 1).cancel();
        bench.pool.shutdown(Shutdown::Graceful);
    });
    // A submitter that waits for room in a full queue returns.
    within_long(|| {
        let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
        let _running = bench.spinning();
        let _queued = bench.submit::<_, u64>("recall", 1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let task = bench.task::<u64, u64>("recall");
                bench.pool.submit(&task, (2,)).map(drop)
            });
            bench.pool.shutdown(Shutdown::Terminate);
            // It was refused or cancelled; in both cases it returns.
            let _ = waiting.join().unwrap();
        });
    });
}

#[test]
fn dropping_a_pool_with_an_endless_guest_ends_its_threads() {
    within_long(|| {
        let bench = Bench::with_workers(2);
        let running = [bench.spinning(), bench.spinning()];
        drop(bench);
        assert!(running.iter().all(|future| future.is_cancelled()));
    });
}

#[test]
fn a_task_that_left_the_worker_it_started_on_is_stopped_after_that_worker_has_ended() {
    let bench = Bench::with_workers(2);
    let spin = |options| bench.task::<u64, u64>("spin").with(options);
    // Long enough for the idle worker to end before the guest is halted.
    let grace = TaskOptions::new().stop_grace(Duration::from_millis(200));
    let moving = bench.pool.submit(&spin(grace), (1,)).unwrap();
    wait_until_running(&moving);
    let urgent = spin(TaskOptions::new().priority(Priority::High));
    let [second, third] = [(); 2].map(|()| {
        let future = bench.pool.submit(&urgent, (1,)).unwrap();
        wait_until_running(&future);
        future
    });
    // The third has the first one's worker, which goes on with the second one's.
    assert_eq!(moving.state(), TaskState::Suspended);
    assert!(second.cancel());
    while moving.state() != TaskState::Running {
        std::thread::yield_now();
    }
    assert!(third.cancel());
    within_long(move || drop(bench));
    assert_eq!(moving.wait().unwrap_err().kind(), Kind::ShutDown);
}

#[test]
fn clones_are_one_pool_and_the_last_one_ends_it() {
    let bench = Bench::new(Pool::builder().workers(1));
    let clone = bench.pool.clone();
    let spinning = bench.spinning();
    drop(bench);
    // The pool still runs: only a cancel stops the guest.
    assert_eq!(spinning.state(), TaskState::Running);
    assert_eq!(clone.stats().running, 1);
    drop(clone);
    assert_eq!(spinning.wait().unwrap_err().kind(), Kind::ShutDown);
}
