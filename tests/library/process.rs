//! What pools leave behind in their process. Each test has a process of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmpool::{Pool, TaskErrorKind as Kind, TaskFuture, TaskOptions};

use crate::footprint::Footprint;
use crate::support::{Bench, LONG, in_own_process, threads_named, wait_until_running};

const MIB: usize = 1 << 20;

/// Blocks until no thread of any pool is left. A joined thread stays listed for a moment, at the
/// end without a name.
fn wait_until_no_thread_is_left() {
    wait_until(|| threads_named("wasmpool").is_empty());
}

fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{:?}", threads_named(""));
        std::thread::yield_now();
    }
}

/// Stops ten tasks in all possible ways, while they run and while they wait.
fn stop_ten_tasks(bench: &Bench, round: usize) {
    // Few compute, since each takes a core from the threads that stop it. Fewer run than wait,
    // since each running one has its backtrace read.
    let endless = |number: usize| match number % 16 {
        0 => ("spin", 1),
        8 => ("ignore_stop", 0),
        odd if odd % 2 == 1 => ("sleep", 3_600_000),
        _ => ("poll", 3),
    };
    let short = TaskOptions::new().task_timeout(Duration::from_millis(1));
    let impatient = TaskOptions::new().queue_timeout(Duration::from_millis(1));
    let submit = |place: usize, options: TaskOptions| {
        let (name, argument) = endless(10 * round + place);
        let task = bench.task::<u64, u64>(name).with(options);
        bench.pool.submit(&task, (argument,)).unwrap()
    };
    let kind = |future: &TaskFuture<u64>| future.wait().unwrap_err().kind();

    let running = [0, 1].map(|place| submit(place, TaskOptions::new()));
    running.iter().for_each(wait_until_running);
    let queued = [2, 3, 4, 5, 6].map(|place| submit(place, TaskOptions::new()));
    let expiring = submit(7, impatient);
    queued.iter().for_each(|future| assert!(future.cancel()));
    assert_eq!(kind(&expiring), Kind::QueueTimedOut);
    running.iter().for_each(|future| assert!(future.cancel()));
    let timed = [8, 9].map(|place| submit(place, short.clone()));
    assert_eq!(timed.each_ref().map(kind), [Kind::TimedOut; 2]);
    let mut cancelled = queued.iter().chain(&running);
    assert!(cancelled.all(|future| kind(future) == Kind::Cancelled));
}

#[test]
fn ten_thousand_stopped_tasks_leave_nothing_behind() {
    in_own_process(|| {
        // Those that wait keep their workers, so that others are queued behind them.
        let bench = Bench::new(Pool::builder().workers(2).max_suspended(0));
        let stop_tasks = |rounds| (0..rounds).for_each(|round| stop_ten_tasks(&bench, round));
        // The first ones use every slot for an instance once.
        stop_tasks(200);
        let before = Footprint::now();
        stop_tasks(800);
        let after = Footprint::now();
        println!("{before:?}\n{after:?}");
        assert_eq!(bench.pool.stats().finished, 10_000);
        assert_eq!((after.threads, after.files), (before.threads, before.files));
        // A leak of one in a hundred would show.
        assert!(
            after.mappings <= before.mappings + 80,
            "{before:?} {after:?}"
        );
        assert!(
            after.resident <= before.resident + 8 * MIB,
            "{before:?} {after:?}"
        );
        bench.assert_healthy();
    });
}

/// The ways to drop a pool, each in another state.
const DROPS: [fn(); 4] = [
    || drop(Bench::with_workers(2)),
    || {
        let bench = Bench::with_workers(3);
        let running = [bench.submit("sleep", 3_600_000), bench.submit("poll", 3)];
        running.iter().for_each(wait_until_running);
        let spinning = bench.spinning();
        drop(bench);
        assert!(running.iter().all(TaskFuture::<u64>::is_cancelled));
        assert!(spinning.is_cancelled());
    },
    || {
        let bench = Bench::new(Pool::builder().workers(2).queue_capacity(100));
        let running = [bench.spinning(), bench.spinning()];
        let task = bench.task::<u64, u64>("recall");
        let queued = std::iter::from_fn(|| bench.pool.try_submit(&task, (1,)).ok());
        let queued = queued.collect::<Vec<_>>();
        assert_eq!(queued.len(), 100);
        drop(bench);
        assert!(running.iter().chain(&queued).all(TaskFuture::is_cancelled));
    },
    || {
        // A callback has the last handle: the pool is dropped on one of its own threads, with a
        // full queue and an endless guest on the other.
        let bench = Arc::new(Bench::new(Pool::builder().workers(2).queue_capacity(8)));
        let [one, other] = [bench.spinning(), bench.spinning()];
        let queued = (0..8).map(|n| bench.submit::<_, u64>("recall", n));
        let queued = queued.collect::<Vec<_>>();
        let last = Arc::clone(&bench);
        queued[0].on_done(move |_| drop(last));
        drop(bench);
        one.cancel();
        assert_eq!(queued[0].wait().unwrap(), 0);
        assert_eq!(other.wait().unwrap_err().kind(), Kind::ShutDown);
        for future in &queued[1..] {
            assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
        }
    },
];

#[test]
fn dropped_pools_leave_nothing_behind() {
    in_own_process(|| {
        let drop_all = || {
            for drop in DROPS {
                drop();
                wait_until_no_thread_is_left();
            }
        };
        // The first drops leave resources that the process reuses: the compiler's threads, stacks
        // of ended threads, arenas of the allocator.
        drop_all();
        drop_all();
        let before = Footprint::now();
        (0..5).for_each(|_| drop_all());
        wait_until(|| Footprint::now().threads <= before.threads);
        let after = Footprint::now();
        println!("{before:?}\n{after:?}");
        assert!(after.files <= before.files, "{before:?} {after:?}");
        // Fewer than one for each pool.
        assert!(
            after.mappings < before.mappings + 20,
            "{before:?} {after:?}"
        );
        assert!(
            after.resident <= before.resident + 8 * MIB,
            "{before:?} {after:?}"
        );
    });
}

#[test]
fn payloads_are_freed_with_their_tasks_and_futures() {
    // So large that the allocator maps and unmaps each separately.
    const SIZE: usize = 40 * MIB;
    in_own_process(|| {
        let bench = Bench::with_workers(1);
        let running = bench.spinning();
        let text = "x".repeat(SIZE);
        let empty = Footprint::now().resident;
        let queued = [(); 8].map(|()| bench.submit::<_, String>("echo", &text));
        let full = Footprint::now().resident;
        println!("{empty} {full}");
        assert!(full >= empty + 8 * SIZE);
        // The futures keep their tasks, but not the arguments.
        queued.iter().for_each(|future| assert!(future.cancel()));
        println!("{}", Footprint::now().resident);
        assert!(Footprint::now().resident <= full - 7 * SIZE);
        running.cancel();

        let futures = [(); 8].map(|()| bench.submit::<_, String>("echo", &text));
        assert!(futures.iter().all(|future| future.wait().is_ok()));
        // Dropping the pool frees the memory of its guests; the results stay.
        drop(bench);
        let full = Footprint::now().resident;
        drop(futures);
        println!("{full} {}", Footprint::now().resident);
        assert!(Footprint::now().resident <= full - 7 * SIZE);
    });
}

#[test]
fn freed_payloads_take_no_memory() {
    in_own_process(|| {
        let bench = Bench::with_workers(2);
        let text = "x".repeat(8 * MIB);
        let echo = |rounds| {
            for _ in 0..rounds {
                let futures = [(); 2].map(|()| bench.submit::<_, String>("echo", &text));
                assert!(futures.iter().all(|future| future.wait().unwrap() == text));
            }
        };
        echo(50);
        let before = Footprint::now().resident;
        echo(200);
        let after = Footprint::now().resident;
        println!("{before} {after}");
        // Eight of the eight hundred payloads that were passed meanwhile.
        assert!(after <= before + 64 * MIB, "{before} {after}");
    });
}

#[test]
fn an_idle_pool_holds_no_memory_of_large_dropped_instances() {
    in_own_process(|| {
        let bench = Bench::with_workers(1);
        bench.assert_healthy();
        let before = Footprint::now().resident;
        for _ in 0..30 {
            bench.call::<usize, usize>("allocate", 150);
        }
        // This task starts when the last instance has been dropped.
        bench.call::<u64, u64>("recall", 0);
        let after = Footprint::now().resident;
        println!("{before} {after}");
        assert!(after <= before + 100 * MIB, "{before} {after}");
    });
}
