//! Options of one task reference, beside the pool's settings.

use std::time::Duration;

use wasmpool::{Isolation, Pool, Priority, SubmitErrorKind, TaskErrorKind as Kind, TaskOptions};

use crate::support::Bench;

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn limits_of_a_task_stand_in_for_the_pool_s() {
    let builder = Pool::builder()
        .workers(1)
        .fuel_limit(1 << 40)
        .memory_limit(64 << 20);
    let bench = Bench::new(builder);
    let fails = |name: &str, argument: u64, options: TaskOptions| {
        let task = bench.task::<u64, u64>(name).with(options);
        bench
            .pool
            .submit(&task, (argument,))
            .unwrap()
            .wait()
            .unwrap_err()
            .kind()
    };
    let none = TaskOptions::new;
    assert_eq!(fails("spin", 1, none().task_timeout(SHORT)), Kind::TimedOut);
    assert_eq!(
        fails("spin", 1, none().fuel_limit(1_000_000)),
        Kind::OutOfFuel
    );
    assert_eq!(
        fails("allocate", 32, none().memory_limit(16 << 20)),
        Kind::MemoryLimit
    );
    // The reference without options is as before.
    assert_eq!(bench.call::<u64, u64>("allocate", 32), 32);

    let honour = bench.task::<u64, u64>("honour_stop");
    let patient = honour.with(none().task_timeout(SHORT).stop_grace(crate::support::LONG));
    assert_eq!(
        bench.pool.submit(&patient, (5,)).unwrap().wait().unwrap(),
        5
    );

    let running = bench.spinning();
    assert_eq!(
        fails("recall", 1, none().queue_timeout(SHORT)),
        Kind::QueueTimedOut
    );
    running.cancel();
    bench.assert_healthy();
}

#[test]
fn a_limit_holds_for_a_warm_instance_too_and_for_one_task() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    bench.call::<_, u64>("remember", 1);
    let allocate = bench.task::<u64, u64>("allocate");
    let tight = allocate.with(TaskOptions::new().memory_limit(4 << 20));
    let error = bench
        .pool
        .submit(&tight, (16,))
        .unwrap()
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::MemoryLimit);
    assert_eq!(
        bench.pool.submit(&allocate, (16,)).unwrap().wait().unwrap(),
        16
    );
}

#[test]
fn fuel_is_refused_where_it_is_not_metered() {
    let bench = Bench::with_workers(1);
    let task = bench.factorize().with(TaskOptions::new().fuel_limit(1));
    let refused = bench.pool.submit(&task, (6,)).unwrap_err();
    assert_eq!(refused.kind(), &SubmitErrorKind::FuelNotMetered);
}

#[test]
fn one_task_may_have_a_fresh_instance_among_warm_ones() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    bench.call::<_, u64>("remember", 7);
    let recall = bench.task::<u64, u64>("recall");
    let alone = recall.with(TaskOptions::new().isolation(Isolation::Task));
    assert_eq!(bench.pool.submit(&alone, (0,)).unwrap().wait().unwrap(), 0);
    assert_eq!(bench.pool.submit(&recall, (0,)).unwrap().wait().unwrap(), 7);
}

#[test]
fn a_higher_priority_starts_first_and_a_lower_one_does_not_starve() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let (sender, receiver) = std::sync::mpsc::channel();
    let recall = bench.task::<u64, u64>("recall");
    let submit = |priority: Priority, count: usize| {
        let task = recall.with(TaskOptions::new().priority(priority));
        for _ in 0..count {
            let sender = sender.clone();
            let future = bench.pool.submit(&task, (0,)).unwrap();
            future.on_done(move |_| sender.send(priority).unwrap());
        }
    };
    submit(Priority::Low, 1);
    submit(Priority::Normal, 2);
    submit(Priority::High, 12);
    drop(sender);
    running.cancel();
    let order = receiver.iter().collect::<Vec<_>>();
    assert_eq!(order[..8], [Priority::High; 8]);
    assert_eq!(order[8..10], [Priority::Normal, Priority::Low]);
    assert_eq!(order.len(), 15);
}
