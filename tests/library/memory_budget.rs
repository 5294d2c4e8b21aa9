//! The memory budget: what all instances of a pool hold together, and who waits for it.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use wasmpool::{
    BuildError, Fault, Isolation, Pool, PoolBuilder, Retry, Shutdown, TaskErrorKind as Kind,
    TaskFuture, TaskOptions, TaskState,
};

use crate::support::{Bench, LONG, within_long};

const MIB: usize = 1 << 20;

/// Far longer than any test takes.
const HOUR: u64 = 3_600_000;

fn memory_in_use(pool: &Pool) -> usize {
    pool.stats().memory_in_use.expect("there is a budget")
}

/// Blocks until the pool is as `is_reached` says. Polls, since there is nothing to wait on.
fn wait_until(pool: &Pool, is_reached: impl Fn(&Pool) -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_reached(pool) {
        assert!(Instant::now() < deadline, "{:?}", pool.stats());
        std::thread::yield_now();
    }
}

/// Submits a task that waits in the host, and blocks until it is suspended.
fn suspended(bench: &Bench) -> TaskFuture<u64> {
    let future = bench.submit::<_, u64>("sleep", HOUR);
    wait_until(&bench.pool, |_| future.state() == TaskState::Suspended);
    future
}

/// A pool whose budget one suspended task uses up.
fn used_up(builder: PoolBuilder) -> (Bench, TaskFuture<u64>) {
    let roomy = Bench::new(Pool::builder().workers(1).memory_budget(64 * MIB));
    let sleeping = suspended(&roomy);
    let held = memory_in_use(&roomy.pool);
    assert!((64 << 10..8 * MIB).contains(&held), "{held}");
    assert!(sleeping.cancel());
    let bench = Bench::new(builder.memory_budget(held));
    let sleeping = suspended(&bench);
    assert_eq!(memory_in_use(&bench.pool), held);
    (bench, sleeping)
}

#[test]
fn growth_beyond_the_budget_fails_with_its_own_kind_and_the_neighbour_lives() {
    let builder = Pool::builder().workers(2).memory_budget(16 * MIB);
    let bench = Bench::new(builder);
    let neighbour = bench.spinning();
    let error = bench.submit::<_, ()>("grow_without_end", 512).wait();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::MemoryBudget, "{error}");
    assert_eq!((error.fault(), error.is_limit()), (Fault::Host, false));
    let message = error.message();
    assert!(message.contains("budget is 16777216 bytes, of which other tasks have "));
    assert_eq!(neighbour.state(), TaskState::Running);
    assert_eq!(bench.call::<_, u64>("allocate", 8), 8);
    assert_eq!(bench.pool.stats().failures, [("memory-budget", 1)]);
    assert!(neighbour.cancel());
    bench.assert_healthy();
}

#[test]
fn what_a_task_wants_beyond_the_whole_budget_fails_it_alone() {
    let bench = Bench::new(Pool::builder().workers(1).memory_budget(16 * MIB));
    let error = bench.submit::<_, u64>("allocate", 20).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::MemoryBudget);
    let message = error.message();
    assert!(message.ends_with("budget is 16777216 bytes"), "{message}");
    bench.assert_healthy();
    assert_eq!(memory_in_use(&bench.pool), 0);
}

#[test]
fn tasks_wait_for_memory_and_all_succeed() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let builder = Pool::builder().workers(4).isolation(isolation);
        let bench = Bench::new(builder.memory_budget(32 * MIB));
        // From then on the pool knows what such a task needs.
        assert_eq!(bench.call::<_, u64>("allocate", 8), 8);
        let futures = (0..100)
            .map(|_| bench.submit::<_, u64>("allocate", 8))
            .collect::<Vec<_>>();
        for future in futures {
            assert!(memory_in_use(&bench.pool) <= 32 * MIB);
            assert_eq!(future.wait().unwrap(), 8);
        }
    }
}

#[test]
fn chunks_wait_for_memory_too() {
    let bench = Bench::new(Pool::builder().workers(4).memory_budget(32 * MIB));
    assert_eq!(bench.call::<_, u64>("allocate", 8), 8);
    let allocate = bench.task::<u64, u64>("allocate");
    let allocate = allocate.with(TaskOptions::new().chunk_size(NonZeroUsize::new(10).unwrap()));
    let outcomes = bench.pool.map(&allocate, (0..100).map(|_| 8));
    assert_eq!(outcomes.map(|outcome| outcome.unwrap()).sum::<u64>(), 800);
    assert_eq!(memory_in_use(&bench.pool), 0);
}

#[test]
fn idle_instances_give_their_memory_to_tasks_that_start_and_to_those_that_grow() {
    let builder = Pool::builder().workers(1).isolation(Isolation::Worker);
    let bench = Bench::new(builder.memory_budget(16 * MIB));
    assert_eq!(bench.call::<_, u64>("allocate", 12), 12);
    wait_until(&bench.pool, |pool| memory_in_use(pool) > 12 * MIB);
    // Another instance, of another module.
    let other = bench.pool.load(wasmpool_guests::MISBEHAVING.path());
    let other = other
        .unwrap()
        .with_capabilities(wasmpool::Capabilities::new());
    let allocate = other.task::<(u64,), u64>("allocate").unwrap();
    for mib in [12, 13] {
        let grown = bench.pool.submit(&allocate, (mib,)).unwrap();
        assert_eq!(grown.wait().unwrap(), mib);
    }
    assert_eq!(bench.call::<_, u64>("allocate", 13), 13);
    bench.assert_healthy();
}

#[test]
fn memory_comes_back_however_a_task_ends() {
    let short = TaskOptions::new().task_timeout(Duration::from_millis(20));
    let bench = Bench::new(Pool::builder().workers(2).memory_budget(64 * MIB));
    let ended = [
        bench.submit::<_, u64>("allocate", 8).wait().map(drop),
        bench.submit::<_, ()>("unreachable", 1).wait(),
        bench.submit::<_, ()>("grow_without_end", 512).wait(),
    ];
    assert_eq!(memory_in_use(&bench.pool), 0);
    let kinds = ended.map(|outcome| outcome.map_err(|error| error.kind()));
    assert_eq!(kinds[0], Ok(()));
    assert!(matches!(kinds[1], Err(Kind::Trap(_))));
    assert_eq!(kinds[2], Err(Kind::MemoryBudget));

    for name in ["spin", "sleep"] {
        let task = bench.task::<u64, u64>(name).with(short.clone());
        let late = bench.pool.submit(&task, (HOUR,)).unwrap();
        assert_eq!(late.wait().unwrap_err().kind(), Kind::TimedOut);
        assert_eq!(memory_in_use(&bench.pool), 0);
    }
    let running = [bench.spinning(), suspended(&bench)];
    assert!(memory_in_use(&bench.pool) > 0);
    running.iter().for_each(|future| assert!(future.cancel()));
    wait_until(&bench.pool, |pool| memory_in_use(pool) == 0);
}

#[test]
fn suspended_tasks_hold_memory_and_others_wait_for_it() {
    let (bench, sleeping) = used_up(Pool::builder().workers(2));
    let recall = bench.task::<u64, u64>("recall");
    let impatient = TaskOptions::new().queue_timeout(Duration::from_millis(30));
    let late = bench.pool.submit(&recall.with(impatient), (1,)).unwrap();
    let cancelled = bench.submit::<_, u64>("recall", 2);
    let waiting = bench.submit::<_, u64>("recall", 3);
    assert_eq!(late.wait().unwrap_err().kind(), Kind::QueueTimedOut);
    assert!(cancelled.cancel());
    let stats = bench.pool.stats();
    assert_eq!((stats.queued, stats.running, stats.suspended), (1, 0, 1));
    assert!(sleeping.cancel());
    assert_eq!(waiting.wait().unwrap(), 3);
}

#[test]
fn a_suspended_task_goes_on_while_others_wait_for_its_memory() {
    let bench = Bench::new(Pool::builder().workers(1).memory_budget(64 * MIB));
    let held = {
        let sleeping = suspended(&bench);
        let held = memory_in_use(&bench.pool);
        assert!(sleeping.cancel());
        held
    };
    let bench = Bench::new(Pool::builder().workers(1).memory_budget(held));
    let futures = [(); 5].map(|()| bench.submit::<_, u64>("sleep", 5));
    for future in futures {
        assert_eq!(future.wait().unwrap(), 5);
    }
}

#[test]
fn a_retry_waits_for_what_the_first_attempt_wanted() {
    let bench = Bench::new(Pool::builder().workers(2).memory_budget(16 * MIB));
    let sleeping = suspended(&bench);
    // More than there is beside the other, and less than there is.
    let room = 16 * MIB - memory_in_use(&bench.pool);
    let mib = (room / MIB) as u64;
    let retry = Retry::times(1).on([Kind::MemoryBudget]);
    let allocate = bench.task::<u64, u64>("allocate");
    let allocate = allocate.with(TaskOptions::new().retry(retry));
    let future = bench.pool.submit(&allocate, (mib,)).unwrap();
    wait_until(&bench.pool, |pool| {
        let stats = pool.stats();
        stats.run_time.count > 0 && stats.queued == 1
    });
    assert!(sleeping.cancel());
    assert_eq!(future.wait().unwrap(), mib);
    assert_eq!(future.report().unwrap().attempts, 2);
}

#[test]
fn a_pool_shuts_down_while_tasks_wait_for_memory() {
    let (bench, sleeping) = used_up(Pool::builder().workers(2));
    let waiting = [1, 2, 3].map(|n| bench.submit::<_, u64>("recall", n));
    let pool = bench.pool.clone();
    within_long(move || pool.shutdown(Shutdown::Terminate));
    assert_eq!(sleeping.wait().unwrap_err().kind(), Kind::ShutDown);
    for future in waiting {
        assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    }
    assert_eq!(memory_in_use(&bench.pool), 0);

    let (bench, sleeping) = used_up(Pool::builder().workers(2));
    let waiting = [1, 2, 3].map(|n| bench.submit::<_, u64>("recall", n));
    bench.pool.close();
    assert!(sleeping.cancel());
    let pool = bench.pool.clone();
    within_long(move || pool.shutdown(Shutdown::Graceful));
    for (future, n) in waiting.into_iter().zip(1..) {
        assert_eq!(future.wait().unwrap(), n);
    }
}

#[test]
fn a_budget_is_at_least_a_byte_and_off_by_default() {
    let error = Pool::builder().memory_budget(0).build().unwrap_err();
    let BuildError::Setting { setting, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(setting, "memory_budget");
    let bench = Bench::with_workers(1);
    assert_eq!(bench.pool.stats().memory_in_use, None);
}
