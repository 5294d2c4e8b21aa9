//! Isolation of tasks from each other and from the host.

use wasmpool::{Allocation, Isolation, MemoryReset, Pool, Shutdown};

use crate::support::Bench;

#[test]
fn under_task_isolation_no_task_sees_an_earlier_one() {
    let bench = Bench::with_workers(1);
    for value in 1..50_u64 {
        assert_eq!(bench.call::<_, u64>("remember", value), 0);
        assert_eq!(bench.call::<_, u64>("recall", 0), 0);
    }
}

#[test]
fn under_worker_isolation_state_stays_with_its_worker() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    assert_eq!(bench.call::<_, u64>("remember", 7), 0);
    assert_eq!(bench.call::<_, u64>("recall", 1), 8);
    // Another module in between has an instance of its own and does not affect this one.
    bench.assert_healthy();
    let future = bench.submit::<_, u64>("recall", 0);
    assert_eq!(future.wait().unwrap(), 7);
    assert_eq!(future.report().unwrap().instance_age, 2);
}

#[test]
fn two_workers_never_see_each_other_s_state() {
    let bench = Bench::new(Pool::builder().workers(2).isolation(Isolation::Worker));
    let mut last = [0, 0];
    for value in 1..400_u64 {
        let future = bench.submit::<_, u64>("remember", value);
        let before = future.wait().unwrap();
        let worker = future.report().unwrap().worker.unwrap();
        assert_eq!(before, std::mem::replace(&mut last[worker], value));
    }
}

#[test]
fn after_a_failure_the_instance_is_a_new_one() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    bench.call::<_, u64>("remember", 7);
    bench.submit::<_, u64>("panic", "now").wait().unwrap_err();
    let future = bench.submit::<_, u64>("recall", 0);
    assert_eq!(future.wait().unwrap(), 0);
    assert_eq!(future.report().unwrap().instance_age, 0);
    // An ordinary error is a clean return: the instance stays.
    bench.call::<_, u64>("remember", 8);
    bench
        .submit::<_, ()>("fail", "politely")
        .wait()
        .unwrap_err();
    assert_eq!(bench.call::<_, u64>("recall", 0), 8);
}

#[test]
fn an_instance_serves_exactly_its_number_of_tasks() {
    let bench = Bench::new(
        Pool::builder()
            .workers(1)
            .isolation(Isolation::Worker)
            .max_tasks_per_instance(3),
    );
    let task = bench.task::<u64, u64>("recall");
    let futures = (0..12).map(|_| bench.pool.submit(&task, (0,)).unwrap());
    let ages = futures.collect::<Vec<_>>().into_iter().map(|future| {
        future.wait().unwrap();
        future.report().unwrap().instance_age
    });
    assert_eq!(
        ages.collect::<Vec<_>>(),
        [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]
    );
}

#[test]
fn an_instance_that_has_grown_is_replaced() {
    let builder = Pool::builder().workers(1).isolation(Isolation::Worker);
    let bench = Bench::new(builder.max_kept_memory(8 << 20));
    let age_after = |mib: usize| {
        bench.call::<_, usize>("allocate", mib);
        let future = bench.submit::<_, u64>("recall", 0);
        future.wait().unwrap();
        future.report().unwrap().instance_age
    };
    assert_eq!(age_after(1), 1);
    assert_eq!(age_after(2), 3);
    assert_eq!(age_after(32), 0);
}

#[test]
fn an_instance_serves_exactly_its_number_of_tasks_also_while_the_pool_shuts_down() {
    let builder = Pool::builder().workers(1).isolation(Isolation::Worker);
    let bench = Bench::new(builder.max_tasks_per_instance(3));
    let running = bench.spinning();
    let backlog = (1..=11)
        .map(|value| bench.submit::<u64, u64>("remember", value))
        .collect::<Vec<_>>();
    bench.pool.close();
    // Its instance is dropped: the queued tasks begin with a new one.
    running.cancel();
    bench.pool.shutdown(Shutdown::Graceful);
    let seen = backlog.iter().map(|future| {
        let before = future.wait().unwrap();
        (before, future.report().unwrap().instance_age)
    });
    let expected = [
        (0, 0),
        (1, 1),
        (2, 2),
        (0, 0),
        (4, 1),
        (5, 2),
        (0, 0),
        (7, 1),
        (8, 2),
        (0, 0),
        (10, 1),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

/// Writes marks in one task and searches for them in the next thousand tasks.
fn check_no_marks_are_found(builder: wasmpool::PoolBuilder) {
    const MEMORY: usize = 64 << 20;
    /// The guest's initial memory in KiB: stack, data and that of its runtime.
    const TAKEN: usize = 2 << 10;
    let bench = Bench::new(builder.memory_limit(MEMORY));
    let dig = bench.task::<usize, usize>("dig");
    // From one page more than a slot keeps resident, up to the whole memory.
    for kib in [
        4,
        60,
        300,
        900,
        1_100,
        4_000,
        20_000,
        (MEMORY >> 10) - TAKEN,
    ] {
        assert!(bench.call::<_, usize>("plant", kib) > 0);
        // Some search that far, most only where tasks usually write.
        let depths = (0..1_000).map(|index| if index % 250 == 0 { kib } else { 64 });
        let found = bench.pool.map(&dig, depths).map(Result::unwrap);
        assert_eq!(found.sum::<usize>(), 0, "after {kib} KiB");
    }
    // The stack is first in the memory: in the part that is overwritten, and in some of the part
    // that is returned to the kernel.
    for kib in [4, 60, 200, 400] {
        assert!(bench.call::<_, usize>("plant_in_stack", kib) > 0);
        let found = bench.pool.map(&dig, [64; 1_000]).map(Result::unwrap);
        assert_eq!(found.sum::<usize>(), 0, "after {kib} KiB of stack");
    }
}

#[test]
fn no_mark_of_one_task_is_found_by_the_next_thousand() {
    check_no_marks_are_found(Pool::builder().workers(1));
    check_no_marks_are_found(Pool::builder().workers(2));
}

#[test]
fn no_mark_is_found_after_a_page_wise_reset() {
    let builder = Pool::builder().memory_reset(MemoryReset::PageWise);
    check_no_marks_are_found(builder.clone().workers(1));
    check_no_marks_are_found(builder.workers(2));
}

/// Leaves marks in a global, in a grown table, and in a second memory and a second table; searches
/// for such marks.
const OTHER_STATE: &str = r#"(module
    (memory 1) (memory $second 1)
    (global $g (mut i64) (i64.const 5))
    (table $t 10 funcref) (table $u 3000 funcref)
    (elem declare func $mark)
    (func $mark)
    (func (export "plant") (result i32)
        (global.set $g (i64.const 0x5EC))
        (drop (table.grow $t (ref.func $mark) (i32.const 20000)))
        (table.fill $t (i32.const 0) (ref.func $mark) (i32.const 10))
        (table.fill $u (i32.const 0) (ref.func $mark) (i32.const 3000))
        (drop (memory.grow $second (i32.const 20)))
        (memory.fill $second (i32.const 0) (i32.const 0xAA) (i32.const 1376256))
        (i32.const 1))
    (func (export "dig") (result i32) (local $at i32) (local $found i32)
        (if (i64.ne (global.get $g) (i64.const 5)) (then (return (i32.const 1))))
        (if (i32.ne (table.size $t) (i32.const 10)) (then (return (i32.const 2))))
        (if (i32.ne (memory.size $second) (i32.const 1)) (then (return (i32.const 3))))
        (loop $next
            (if (i32.eqz (ref.is_null (table.get $t (i32.rem_u (local.get $at) (i32.const 10)))))
                (then (return (i32.const 4))))
            (if (i32.eqz (ref.is_null (table.get $u (local.get $at))))
                (then (return (i32.const 5))))
            (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1)))
                (i32.const 3000))))
        (drop (memory.grow $second (i32.const 20)))
        (local.set $at (i32.const 0))
        (loop $next
            (if (i64.ne (i64.load $second (local.get $at)) (i64.const 0))
                (then (return (i32.const 6))))
            (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8)))
                (i32.const 1376256))))
        (i32.const 0)))"#;

#[test]
fn no_mark_is_found_in_globals_tables_and_further_memories() {
    for reset in [
        MemoryReset::Whole,
        MemoryReset::PageWise,
        MemoryReset::InPlace,
    ] {
        for workers in [1, 2] {
            let builder = Pool::builder().workers(workers).memory_reset(reset);
            let pool = builder.no_cache().build().unwrap();
            let module = pool.load_bytes(OTHER_STATE.as_bytes()).unwrap();
            let plant = module.task::<(), i32>("plant").unwrap();
            let dig = module.task::<(), i32>("dig").unwrap();
            for _ in 0..10 {
                assert_eq!(pool.submit(&plant, ()).unwrap().wait().unwrap(), 1);
                let found = pool.map(&dig, [(); 50]).map(Result::unwrap);
                assert_eq!(found.collect::<Vec<_>>(), [0; 50], "{reset:?}, {workers}");
            }
        }
    }
    // If the instance is reused, the marks stay.
    let builder = Pool::builder().workers(1).isolation(Isolation::Worker);
    let pool = builder.no_cache().build().unwrap();
    let module = pool.load_bytes(OTHER_STATE.as_bytes()).unwrap();
    let plant = module.task::<(), i32>("plant").unwrap();
    let dig = module.task::<(), i32>("dig").unwrap();
    pool.submit(&plant, ()).unwrap().wait().unwrap();
    assert_eq!(pool.submit(&dig, ()).unwrap().wait().unwrap(), 1);
}

#[test]
fn memory_is_reset_page_by_page_only_where_that_was_asked_for() {
    let page_wise = Allocation::Pooled {
        page_wise_reset: true,
    };
    let by_default = Pool::builder().workers(1).build().unwrap();
    assert_ne!(*by_default.allocation(), page_wise);
    assert_eq!(by_default.stats().allocation, *by_default.allocation());
    let whole = Pool::builder().workers(1).memory_reset(MemoryReset::Whole);
    assert_eq!(whole.build().unwrap().allocation(), by_default.allocation());
}

#[test]
fn the_search_for_marks_finds_existing_marks() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    let planted = bench.call::<_, usize>("plant", 100);
    assert!(bench.call::<_, usize>("dig", 1) >= planted);
    let in_all = planted + bench.call::<_, usize>("plant_in_stack", 400);
    // The search's own calls overwrite some of the stack.
    assert!(bench.call::<_, usize>("dig", 1) > in_all - 2_000);
}

#[test]
fn a_guest_has_no_right_that_was_not_granted() {
    let bench = Bench::with_workers(1);
    for way in [
        "file",
        "environment",
        "arguments",
        "stdin",
        "network",
        "name-lookup",
    ] {
        let outcome = bench.call::<_, String>("escape", way);
        assert!(outcome.starts_with("denied:"), "{way}: {outcome}");
    }
}
