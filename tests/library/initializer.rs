//! Initializers: tasks that each instance of a module runs before its first task.

use std::time::{Duration, Instant, SystemTime};

use wasmpool::{
    Isolation, Pool, TaskErrorKind as Kind, TaskModule, TaskOptions, TaskRefError, TrapCode,
};

use crate::support::{Bench, LONG, wait_until_running, within_long};

/// The misbehaving guest with this task as its initializer.
fn beginning_with<A: serde::Serialize>(
    bench: &Bench,
    name: &str,
    argument: A,
    options: TaskOptions,
) -> TaskModule {
    let task = bench.task::<A, ()>(name).with(options);
    bench
        .misbehaving
        .with_initializer(&task, (argument,))
        .unwrap()
}

fn recall(bench: &Bench, module: &TaskModule) -> wasmpool::TaskFuture<u64> {
    let recall = module.task::<(u64,), u64>("recall").unwrap();
    bench.pool.submit(&recall, (0,)).unwrap()
}

#[test]
fn an_initializer_runs_with_its_arguments_before_the_first_task_of_each_instance() {
    // Under `Isolation::Task` each task has an instance of its own.
    let bench = Bench::with_workers(2);
    let module = beginning_with(&bench, "remember", 7, TaskOptions::new());
    for _ in 0..20 {
        let future = recall(&bench, &module);
        assert_eq!(future.wait().unwrap(), 7);
        assert!(future.report().unwrap().initialized > Duration::ZERO);
    }
    // The module without the initializer is unchanged.
    assert_eq!(recall(&bench, &bench.misbehaving).wait().unwrap(), 0);
}

#[test]
fn a_warm_instance_runs_the_initializer_once() {
    let builder = Pool::builder().workers(1).isolation(Isolation::Worker);
    let bench = Bench::new(builder.max_tasks_per_instance(3));
    let module = beginning_with(&bench, "remember", 7, TaskOptions::new());
    let remember = module.task::<(u64,), u64>("remember").unwrap();
    let mut seen = Vec::new();
    for value in 100..107 {
        let future = bench.pool.submit(&remember, (value,)).unwrap();
        let before = future.wait().unwrap();
        let report = future.report().unwrap();
        seen.push((
            before,
            report.initialized > Duration::ZERO,
            report.instance_age,
        ));
    }
    let expected = [
        (7, true, 0),
        (100, false, 1),
        (101, false, 2),
        (7, true, 0),
        (103, false, 1),
        (104, false, 2),
        (7, true, 0),
    ];
    assert_eq!(seen, expected);
    // The module without the initializer does not see its state on the same worker.
    assert_eq!(recall(&bench, &bench.misbehaving).wait().unwrap(), 0);
}

#[test]
fn a_failed_initializer_fails_queued_and_later_tasks_with_its_cause() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(Pool::builder().workers(2).isolation(isolation));
        let module = beginning_with(&bench, "panic", "no rules", TaskOptions::new());
        let futures = [(); 50].map(|()| recall(&bench, &module));
        for future in futures {
            let error = future.wait().unwrap_err();
            assert_eq!(error.kind(), Kind::InitializerFailed);
            assert!(error.message().contains("`panic` failed"), "{error}");
            assert!(error.message().contains("no rules"), "{error}");
            let cause = error.cause().unwrap();
            assert_eq!(cause.kind(), Kind::Trap(TrapCode::Unreachable));
            assert!(cause.stderr().contains("no rules"));
        }
        assert_eq!(recall(&bench, &bench.misbehaving).wait().unwrap(), 0);
        bench.assert_healthy();
    }
}

#[test]
fn a_failed_initializer_is_not_run_for_every_task() {
    let bench = Bench::with_workers(1);
    let options = TaskOptions::new().task_timeout(Duration::from_millis(50));
    // Each run would take 50 ms, so two hundred would take ten seconds.
    let module = beginning_with(&bench, "spin", 1, options);
    let started = Instant::now();
    let futures = [(); 200].map(|()| recall(&bench, &module));
    let long_runs = futures.into_iter().filter(|future| {
        assert_eq!(future.wait().unwrap_err().kind(), Kind::InitializerFailed);
        let report = future.report().unwrap();
        report.ran >= Duration::from_millis(50)
    });
    // Once, and again after each pause of at least a second.
    let long_runs = long_runs.count() as u64;
    assert!((1..=1 + started.elapsed().as_secs()).contains(&long_runs));
}

#[test]
fn a_failed_initializer_is_retried_after_a_pause() {
    let bench = Bench::with_workers(2);
    let module = loop {
        let works_from = SystemTime::now() + Duration::from_secs(2);
        let works_from = works_from.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let works_from = u64::try_from(works_from.as_millis()).unwrap();
        let module = beginning_with(&bench, "trap_before", works_from, TaskOptions::new());
        // On a slow machine the initializer may succeed at once.
        if let Err(error) = recall(&bench, &module).wait() {
            assert_eq!(error.kind(), Kind::InitializerFailed);
            break module;
        }
    };
    let deadline = Instant::now() + LONG;
    while let Err(error) = recall(&bench, &module).wait() {
        assert_eq!(error.kind(), Kind::InitializerFailed);
        assert!(Instant::now() < deadline, "it is not tried again");
    }
    // After a success there is no pause.
    for _ in 0..10 {
        assert_eq!(recall(&bench, &module).wait().unwrap(), 0);
    }
}

#[test]
fn an_initializer_has_a_time_limit_of_its_own() {
    let builder = Pool::builder().workers(1);
    let bench = Bench::new(builder.task_timeout(Duration::from_millis(1_000)));
    for name in ["spin", "sleep"] {
        let options = TaskOptions::new().task_timeout(Duration::from_millis(30));
        let module = beginning_with(&bench, name, 3_600_000, options);
        let error = recall(&bench, &module).wait().unwrap_err();
        assert_eq!(error.kind(), Kind::InitializerFailed);
        let cause = error.cause().unwrap();
        assert_eq!(cause.kind(), Kind::TimedOut);
        assert!(cause.message().contains("30ms"), "{cause}");
    }
    // The task's time begins at the end of the initializer: together they exceed either timeout.
    let module = beginning_with(&bench, "sleep", 600, TaskOptions::new());
    let sleep = module.task::<(u64,), u64>("sleep").unwrap();
    let future = bench.pool.submit(&sleep, (600,)).unwrap();
    assert_eq!(future.wait().unwrap(), 600);
    bench.assert_healthy();
}

#[test]
fn a_cancel_during_the_initializer_cancels_the_task_and_is_no_failure() {
    let bench = Bench::with_workers(1);
    let module = beginning_with(&bench, "sleep", 200, TaskOptions::new());
    let future = recall(&bench, &module);
    wait_until_running(&future);
    assert!(future.cancel());
    assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(recall(&bench, &module).wait().unwrap(), 0);
}

#[test]
fn a_pool_is_terminated_at_once_during_an_initializer() {
    let bench = Bench::with_workers(1);
    let module = beginning_with(&bench, "spin", 1, TaskOptions::new());
    let future = recall(&bench, &module);
    wait_until_running(&future);
    within_long(move || drop(bench));
    assert_eq!(future.wait().unwrap_err().kind(), Kind::ShutDown);
}

#[test]
fn an_initializer_that_returns_in_its_grace_period_has_still_timed_out() {
    let bench = Bench::with_workers(1);
    let options = TaskOptions::new()
        .task_timeout(Duration::from_millis(30))
        .stop_grace(LONG);
    let module = beginning_with(&bench, "honour_stop", 1, options.clone());
    let recall = module.task::<(u64,), u64>("recall").unwrap().with(
        // The grace period of the running task counts.
        TaskOptions::new().stop_grace(LONG),
    );
    let error = bench
        .pool
        .submit(&recall, (0,))
        .unwrap()
        .wait()
        .unwrap_err();
    assert_eq!(error.cause().unwrap().kind(), Kind::TimedOut);
}

#[test]
fn only_a_task_of_the_module_can_be_its_initializer() {
    let bench = Bench::with_workers(1);
    let factorize = bench.factorize();
    let refused = bench.misbehaving.with_initializer(&factorize, (1,));
    let is_expected = matches!(
        refused.unwrap_err(),
        TaskRefError::OtherModule { name, .. } if name == "factorize"
    );
    assert!(is_expected);
}

#[test]
fn an_initializer_that_returns_after_a_cancel_has_not_failed() {
    let builder = Pool::builder().workers(1);
    let bench = Bench::new(builder.stop_grace(LONG));
    // The initializer fails by itself when a stop is requested.
    let module = beginning_with(&bench, "fail_when_stopped", 1, TaskOptions::new());
    let future = recall(&bench, &module);
    wait_until_running(&future);
    assert!(future.cancel());
    // The next task runs the initializer again, and would get a remembered failure at once.
    let next = recall(&bench, &module);
    wait_until_running(&next);
    assert!(next.cancel());
    assert_eq!(next.wait().unwrap_err().kind(), Kind::Cancelled);
    bench.assert_healthy();
}

#[test]
fn an_initializer_with_a_fuel_limit_needs_a_pool_that_meters_fuel() {
    let bench = Bench::with_workers(1);
    let module = beginning_with(
        &bench,
        "remember",
        7,
        TaskOptions::new().fuel_limit(1_000_000),
    );
    let recall = module.task::<(u64,), u64>("recall").unwrap();
    let refused = bench.pool.submit(&recall, (0,)).unwrap_err();
    assert_eq!(refused.kind(), &wasmpool::SubmitErrorKind::FuelNotMetered);
}
