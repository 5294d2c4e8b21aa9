//! Tenants share a pool's workers: none of them waits for the others' tasks to end.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wasmpool::{
    Isolation, Pool, Priority, SubmitErrorKind, Task, TaskErrorKind as Kind, TaskOptions,
    TenantLimits,
};

use crate::support::{Bench, wait_until_running, wait_until_suspended, within_long};

/// A prime: to find that out takes some hundred milliseconds.
const LONG_WORK: u64 = 9_999_999_999_999_937;

/// A prime: to find that out takes some milliseconds.
const SHORT_WORK: u64 = 999_999_999_989;

fn of_tenant<Args, Out>(task: &Task<Args, Out>, name: &str) -> Task<Args, Out> {
    task.clone().with(TaskOptions::new().tenant(name))
}

#[test]
fn tasks_that_never_end_hold_up_no_other_tenant() {
    for (workers, isolation) in [
        (1, Isolation::Task),
        (2, Isolation::Task),
        (2, Isolation::Worker),
    ] {
        let bench = Bench::new(Pool::builder().workers(workers).isolation(isolation));
        let spin = of_tenant(&bench.task::<u64, u64>("spin"), "spinner");
        let spinning = [(); 8].map(|()| bench.pool.submit(&spin, (1,)).unwrap());
        wait_until_running(&spinning[0]);
        let recall = of_tenant(&bench.task::<u64, u64>("recall"), "other");
        for _ in 0..50 {
            let future = bench.pool.submit(&recall, (1,)).unwrap();
            let future = within_long(move || {
                future.wait().unwrap();
                future
            });
            assert!(future.report().unwrap().worker.is_some());
        }
        // They all go on, and end in the ways in which tasks end.
        assert!(spinning.iter().all(|future| !future.is_done()));
        spinning.iter().for_each(|future| assert!(future.cancel()));
        bench.assert_healthy();
    }
}

#[test]
fn a_task_without_a_name_shares_with_those_that_have_one() {
    let bench = Bench::with_workers(1);
    let spinning = bench.submit::<u64, u64>("spin", 1);
    wait_until_running(&spinning);
    let recall = of_tenant(&bench.task::<u64, u64>("recall"), "named");
    assert_eq!(bench.pool.submit(&recall, (1,)).unwrap().wait().unwrap(), 1);
    assert!(spinning.cancel());
}

#[test]
fn a_task_that_makes_room_goes_on_where_it_was() {
    for workers in [1, 2] {
        let bench = Bench::with_workers(workers);
        let work = of_tenant(&bench.factorize(), "worker");
        let working = [(); 4].map(|()| bench.pool.submit(&work, (LONG_WORK,)).unwrap());
        wait_until_running(&working[0]);
        let recall = of_tenant(&bench.task::<u64, u64>("recall"), "other");
        let mut n_interrupted = 0;
        while !working.iter().all(wasmpool::TaskFuture::is_done) {
            let future = bench.pool.submit(&recall, (1,)).unwrap();
            assert_eq!(future.wait().unwrap(), 1);
        }
        for future in &working {
            assert_eq!(future.wait().unwrap(), [LONG_WORK]);
            let report = future.report().unwrap();
            assert_eq!(report.ran, report.computed + report.suspended);
            n_interrupted += u32::from(!report.suspended.is_zero());
        }
        assert!(n_interrupted > 0, "nobody made room");
        bench.assert_healthy();
    }
}

#[test]
fn a_task_that_has_made_room_waits_afterwards_as_others_do() {
    // The first wait of the pool comes after the call has made room.
    let bench = Bench::with_workers(1);
    let doze = bench.task::<u64, u64>("doze");
    let dozing =
        ["first", "second"].map(|name| bench.pool.submit(&of_tenant(&doze, name), (5,)).unwrap());
    let dozing = within_long(move || {
        for future in &dozing {
            assert_eq!(future.wait().unwrap(), 5);
        }
        dozing
    });
    assert!(dozing.iter().all(|future| {
        let report = future.report().unwrap();
        report.suspended >= Duration::from_millis(5)
    }));
    bench.assert_healthy();
}

#[test]
fn a_task_that_has_made_room_is_stopped_in_every_way() {
    // It never has the worker again: the other tenant's tasks are endless too, and come later.
    let bench = Bench::with_workers(1);
    let spin = bench.task::<u64, u64>("spin");
    let endless = [(); 3].map(|()| {
        let options = TaskOptions::new().priority(Priority::Low);
        bench
            .pool
            .submit(&spin.clone().with(options), (1,))
            .unwrap()
    });
    wait_until_running(&endless[0]);
    let above = bench.pool.submit(&spin, (1,)).unwrap();
    wait_until_suspended(&endless[0]);
    assert!(endless[0].cancel());
    assert_eq!(endless[0].wait().unwrap_err().kind(), Kind::Cancelled);
    let options = TaskOptions::new()
        .priority(Priority::High)
        .task_timeout(Duration::from_millis(30));
    let timed = bench.pool.submit(&spin.with(options), (1,)).unwrap();
    assert_eq!(timed.wait().unwrap_err().kind(), Kind::TimedOut);
    assert!(above.cancel());
    within_long(move || drop(bench));
    for future in &endless[1..] {
        assert!(future.is_done());
    }
}

#[test]
fn a_higher_priority_interrupts_a_lower_one_and_that_still_ends() {
    let bench = Bench::with_workers(1);
    let low = TaskOptions::new().priority(Priority::Low);
    let low = bench.factorize().with(low);
    let working = bench.pool.submit(&low, (LONG_WORK,)).unwrap();
    wait_until_running(&working);
    let high = TaskOptions::new().priority(Priority::High);
    let high = bench.task::<u64, u64>("recall").with(high);
    while !working.is_done() {
        bench.pool.submit(&high, (1,)).unwrap().wait().unwrap();
    }
    assert_eq!(working.wait().unwrap(), [LONG_WORK]);
    assert!(!working.report().unwrap().suspended.is_zero());
}

#[test]
fn tasks_of_one_tenant_start_in_order_and_are_not_interrupted() {
    let bench = Bench::with_workers(1);
    let work = of_tenant(&bench.factorize(), "one");
    let (sender, ended) = channel();
    let futures = (0..20).map(|number| {
        let future = bench.pool.submit(&work, (SHORT_WORK,)).unwrap();
        let sender = sender.clone();
        future.on_done(move |_| sender.send(number).unwrap());
        future
    });
    for future in futures.collect::<Vec<_>>() {
        future.wait().unwrap();
        assert!(future.report().unwrap().suspended.is_zero());
    }
    drop(sender);
    assert!(ended.into_iter().eq(0..20));
}

#[test]
fn tenants_have_equal_shares_of_the_time() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(2000));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let mut futures = Vec::new();
    // Until all are queued nobody has a share.
    let gate = bench.submit::<u64, u64>("spin", 1);
    wait_until_running(&gate);
    for name in ["first", "second"] {
        let work = of_tenant(&bench.factorize(), name);
        for _ in 0..100 {
            let future = bench.pool.submit(&work, (SHORT_WORK,)).unwrap();
            let ended = Arc::clone(&ended);
            future.on_done(move |_| ended.lock().unwrap().push(name));
            futures.push(future);
        }
    }
    assert!(gate.cancel());
    for future in &futures {
        future.wait().unwrap();
    }
    let ended = ended.lock().unwrap();
    let n_second = ended[..100]
        .iter()
        .filter(|name| **name == "second")
        .count();
    assert!((25..=75).contains(&n_second), "{n_second} of the first 100");
}

#[test]
fn a_tenant_has_no_more_running_than_its_limit() {
    let limits = TenantLimits::new().max_running(2);
    let bench = Bench::new(
        Pool::builder()
            .workers(4)
            .tenant("small", limits)
            .queue_capacity(1000),
    );
    for name in ["sleep", "spin"] {
        let options = TaskOptions::new()
            .tenant("small")
            .task_timeout(Duration::from_millis(3));
        let task = bench.task::<u64, u64>(name).with(options);
        let futures = [(); 40].map(|()| bench.pool.submit(&task, (2,)).unwrap());
        let mut most = 0;
        while !futures.iter().all(wasmpool::TaskFuture::is_done) {
            let stats = bench.pool.stats();
            most = most.max(stats.running + stats.suspended);
        }
        assert!(most <= 2, "{most}");
        // Other tenants have the other workers meanwhile.
        let held = [(); 2].map(|()| bench.pool.submit(&task, (2,)).unwrap());
        assert_eq!(bench.call::<_, u64>("recall", 1), 1);
        for future in &held {
            let _ = future.wait();
        }
    }
    bench.assert_healthy();
}

#[test]
fn a_flood_meets_the_limit_of_its_tenant() {
    let bench = Bench::new(
        Pool::builder()
            .workers(1)
            .queue_capacity(100)
            .tenant_limits(TenantLimits::new().queue_capacity(5)),
    );
    let gate = bench.submit::<u64, u64>("spin", 1);
    wait_until_running(&gate);
    let recall = bench.task::<u64, u64>("recall");
    let flood = recall
        .clone()
        .with(TaskOptions::new().tenant("flood").priority(Priority::Low));
    let mut futures = Vec::new();
    let refused = loop {
        match bench.pool.try_submit(&flood, (1,)) {
            Ok(future) => futures.push(future),
            Err(refused) => break refused,
        }
        assert!(futures.len() <= 6, "one may have started");
    };
    assert_eq!(refused.kind(), &SubmitErrorKind::TenantFull);
    assert!(refused.is_full());
    let other = of_tenant(&recall, "other");
    futures.push(bench.pool.try_submit(&other, (1,)).unwrap());
    let patience = Duration::from_millis(10);
    let late = bench.pool.submit_timeout(&flood, (1,), patience);
    if let Err(refused) = late {
        assert_eq!(refused.kind(), &SubmitErrorKind::TenantFull);
    }
    assert!(gate.cancel());
    // Who waits is served: blocked, with a waker, and in a map.
    let accepted = Mutex::new(futures);
    let keep = |future| accepted.lock().unwrap().push(future);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    keep(bench.pool.submit(&flood, (1,)).unwrap());
                }
            });
        }
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                for _ in 0..20 {
                    keep(bench.pool.submit_async(&flood, (1,)).await.unwrap());
                }
            });
        });
        scope.spawn(|| {
            let outcomes = bench.pool.map(&flood, (0..50).map(|n| (n,)));
            assert_eq!(outcomes.filter(Result::is_ok).count(), 50);
        });
    });
    for future in accepted.into_inner().unwrap() {
        assert_eq!(future.wait().unwrap(), 1);
    }
    let stats = bench.pool.stats();
    assert_eq!(stats.finished, stats.accepted);
    bench.assert_healthy();
}

#[test]
fn a_submitter_that_waits_for_its_tenants_share_hears_of_the_shutdown() {
    let limits = TenantLimits::new().queue_capacity(1);
    let bench = Bench::new(Pool::builder().workers(1).tenant("full", limits));
    let gate = bench.submit::<u64, u64>("spin", 1);
    wait_until_running(&gate);
    let options = TaskOptions::new().tenant("full").priority(Priority::Low);
    let task = bench.task::<u64, u64>("spin").with(options);
    while bench.pool.try_submit(&task, (1,)).is_ok() {}
    std::thread::scope(|scope| {
        let submitters = [(); 3].map(|()| scope.spawn(|| bench.pool.submit(&task, (1,)).err()));
        bench.pool.shutdown(wasmpool::Shutdown::Terminate);
        for submitter in submitters {
            let refused = submitter.join().unwrap();
            // Unless the shutdown has freed the place that it then got.
            assert!(refused.is_none_or(|refused| refused.is_shut_down()));
        }
    });
}

#[test]
fn limits_of_nothing_are_refused() {
    for limits in [
        TenantLimits::new().max_running(0),
        TenantLimits::new().queue_capacity(0),
    ] {
        let error = Pool::builder().tenant_limits(limits).build().unwrap_err();
        assert!(error.to_string().contains("0"), "{error}");
        let error = Pool::builder().tenant("x", limits).build().unwrap_err();
        assert!(error.to_string().contains("tenant `x`"), "{error}");
    }
}
