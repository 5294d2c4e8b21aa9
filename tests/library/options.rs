//! Options of one task reference, which override the pool's settings.

use std::time::Duration;

use wasmpool::{
    Capabilities, Isolation, Pool, Priority, Retry, SubmitErrorKind, TaskError,
    TaskErrorKind as Kind, TaskOptions, TaskReport,
};

use crate::support::Bench;

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn limits_of_a_task_override_the_pool_s() {
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
    // The reference without options is unchanged.
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
fn a_limit_applies_to_one_task_of_a_warm_instance() {
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
fn a_fuel_limit_is_refused_if_fuel_is_not_metered() {
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
fn a_task_with_rights_of_its_own_leaves_no_instance_behind() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    let escape = bench.task::<&str, String>("escape");
    let rights = Capabilities::new().env("HOME", "/nowhere");
    let granted = escape.with(TaskOptions::new().capabilities(rights));
    let remember = bench.task::<u64, u64>("remember");
    let alone = remember.with(TaskOptions::new().isolation(Isolation::Task));
    for _ in 0..3 {
        let escaped = bench.pool.submit(&granted, ("environment",)).unwrap();
        assert_eq!(escaped.wait().unwrap(), "HOME=/nowhere");
        let without = bench.pool.submit(&escape, ("environment",)).unwrap();
        assert_eq!(without.wait().unwrap(), "denied: no variable");
        bench.pool.submit(&alone, (7,)).unwrap().wait().unwrap();
        assert_eq!(bench.call::<_, u64>("recall", 0), 0);
    }
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

#[test]
fn a_high_priority_does_not_wait_for_the_rest_of_a_chunk() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let sleep = bench.task::<u64, u64>("sleep");
    let low = sleep.with(TaskOptions::new().priority(Priority::Low));
    // The only worker takes the whole chunk when it is free.
    let chunk = bench
        .pool
        .submit_all(&low, [(30,), (3_600_000,), (3_600_000,)]);
    let chunk = chunk.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    running.cancel();
    crate::support::wait_until_running(&chunk[0]);
    let high = sleep.with(TaskOptions::new().priority(Priority::High));
    let high = bench.pool.submit(&high, (1,)).unwrap();
    assert_eq!(high.wait().unwrap(), 1);
    assert!(chunk[2].cancel() && chunk[1].cancel());
}

#[test]
fn a_warm_instance_has_the_limits_of_the_task_that_it_serves() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    let recall = bench.task::<u64, u64>("recall");
    let small = recall.with(TaskOptions::new().memory_limit(4 << 20));
    bench.pool.submit(&small, (1,)).unwrap().wait().unwrap();
    // The same instance returns a larger result afterwards.
    let future = bench.submit::<usize, serde_bytes::ByteBuf>("huge_result", 16);
    assert_eq!(
        future.wait_as::<&serde_bytes::Bytes>().unwrap().len(),
        16 << 20
    );
    assert_eq!(future.report().unwrap().instance_age, 1);
}

#[test]
fn options_errors_and_reports_can_be_serialized() {
    let options = TaskOptions::new()
        .task_timeout(SHORT)
        .memory_limit(1 << 20)
        .isolation(Isolation::Worker)
        .priority(Priority::High)
        .retry(Retry::times(2).on([Kind::TimedOut, Kind::MemoryLimit]))
        .tag("nightly");
    let text = serde_json::to_string(&options).unwrap();
    let read: TaskOptions = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{read:?}"), format!("{options:?}"));
    // Fields that are not set may be absent.
    let read: TaskOptions = serde_json::from_str(r#"{"priority": "low"}"#).unwrap();
    let low = TaskOptions::new().priority(Priority::Low);
    assert_eq!(format!("{read:?}"), format!("{low:?}"));
    let unknown = r#"{"retry": {"retries": 1, "kinds": ["bad-luck"], "backoff": null}}"#;
    let error = serde_json::from_str::<TaskOptions>(unknown).unwrap_err();
    assert!(
        error.to_string().contains("`bad-luck` is no kind of error"),
        "{error}"
    );

    let bench = Bench::with_workers(1);
    let future = bench.submit::<u64, u64>("unreachable", 1);
    let error = future.wait().unwrap_err();
    let text = serde_json::to_string(&error).unwrap();
    let read: TaskError = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{read:?}"), format!("{error:?}"));
    let report = future.report().unwrap();
    let text = serde_json::to_string(&report).unwrap();
    let read: TaskReport = serde_json::from_str(&text).unwrap();
    assert_eq!(read, report.clone());
}
