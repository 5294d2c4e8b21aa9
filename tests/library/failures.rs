//! Every way in which a task can fail: its kind and cause, and no effect on other tasks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wasmpool::{
    Fault, Isolation, Pool, TaskError, TaskErrorKind as Kind, TrapCode, Until, Value, wait,
};

use crate::support::{Bench, LONG, in_own_process, threads_named};

/// Checks under both isolations that the task fails as `expected`, and that the same worker, on
/// the same thread, serves the next task in a clean instance.
fn check(name: &str, argument: impl Serialize + Clone, expected: Kind) -> TaskError {
    let mut error = None;
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(
            Pool::builder()
                .workers(1)
                .isolation(isolation)
                .memory_limit(32 << 20)
                .fuel_limit(10_000_000_000)
                .backtrace_lines()
                .task_timeout(LONG),
        );
        bench.call::<u64, u64>("remember", 7);
        let future = bench.submit::<_, Value>(name, argument.clone());
        let failure = future.wait().unwrap_err();
        assert_eq!(
            failure.kind(),
            expected,
            "`{name}`, {isolation:?}: {failure:?}"
        );
        assert_eq!(future.report().unwrap().worker, Some(0));
        if failure.kind() != Kind::Failed && failure.kind() != Kind::BadArguments {
            let left = bench.call::<u64, u64>("recall", 0);
            assert!(
                left == 0 || expected == Kind::BadResult,
                "`{name}` left its instance"
            );
        }
        bench.assert_healthy();
        error = Some(failure);
    }
    error.expect("both isolations were tried")
}

#[test]
fn a_task_s_own_error_keeps_its_message_and_code() {
    let error = check("fail", "no such thing", Kind::Failed);
    assert_eq!(
        (error.message(), error.code()),
        ("no such thing", "as-told")
    );
    assert_eq!(error.fault(), Fault::Guest);
}

#[test]
fn a_task_that_returns_an_error_as_its_value_has_succeeded() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    bench.call::<u64, u64>("remember", 7);
    let future = bench.submit::<_, Result<u64, String>>("refuse", "not today");
    assert_eq!(future.wait().unwrap(), Err("not today".to_owned()));
    assert!(future.is_done() && future.error().is_none() && !future.cancel());
    let waited = wait([&future], Until::FirstFailure, None);
    assert_eq!(waited.done.len(), 1);
    let left = bench.call::<u64, u64>("recall", 0);
    assert_eq!(left, 7, "the instance has done no wrong");
    let stats = bench.pool.stats();
    assert_eq!((stats.succeeded, stats.failures), (3, vec![]));
}

#[test]
fn a_guest_s_message_is_cut() {
    let error = check("fail", "ä".repeat(1 << 20), Kind::Failed);
    assert!(
        error.message().len() < 20 << 10,
        "{}",
        error.message().len()
    );
    assert!(error.message().ends_with("ä ..."));
}

#[test]
fn a_panic_carries_its_message_place_and_backtrace() {
    let error = check("panic", "out of cheese", Kind::Trap(TrapCode::Unreachable));
    assert!(error.message().contains("out of cheese"), "{error}");
    assert!(
        error.message().contains("misbehaving/src/lib.rs:"),
        "{error}"
    );
    assert!(error.stderr().contains("out of cheese"), "{error:?}");
    let frame = error.backtrace().iter().find(|frame| {
        let file = frame.file.as_deref().unwrap_or_default();
        file.ends_with("misbehaving/src/lib.rs")
    });
    let frame = frame.unwrap_or_else(|| panic!("no frame of the guest's own: {error:?}"));
    assert!(
        frame.line.is_some() && frame.function.contains("panic"),
        "{frame}"
    );
}

#[test]
fn lines_are_looked_up_only_when_asked_for() {
    let bench = Bench::with_workers(1);
    let error = bench.submit::<_, ()>("panic", "x").wait().unwrap_err();
    let frames = error.backtrace();
    assert!(frames.iter().all(|frame| frame.line.is_none()), "{error:?}");
    assert!(frames.iter().any(|frame| frame.function.contains("panic")));
}

#[test]
fn unreachable_code_traps_without_output() {
    let error = check("unreachable", 1, Kind::Trap(TrapCode::Unreachable));
    assert_eq!(error.message(), "trapped: unreachable code reached");
}

#[test]
fn an_access_out_of_bounds_traps() {
    check("out_of_bounds", 1, Kind::Trap(TrapCode::MemoryOutOfBounds));
}

#[test]
fn a_division_by_zero_traps() {
    check("divide_by_zero", 1, Kind::Trap(TrapCode::DivisionByZero));
}

#[test]
fn exits_are_failures_with_their_code() {
    check("exit", 0, Kind::Exited(0));
    // WASI 0.2 passes on only success or failure.
    check("exit", 3, Kind::Exited(1));
}

#[test]
fn endless_recursion_exhausts_the_stack() {
    let error = check("recurse", 1_000_000_000, Kind::StackExhausted);
    assert!(error.is_limit());
    assert!(error.backtrace().len() > 1, "{error:?}");
}

#[test]
fn endless_growth_meets_the_memory_limit() {
    let error = check("grow_without_end", 512, Kind::MemoryLimit);
    assert!(
        error.is_limit() && error.message().contains("33554432"),
        "{error}"
    );
}

#[test]
fn a_result_that_is_not_messagepack_fails_only_its_task() {
    check("bad_bytes", 5, Kind::BadResult);
}

#[test]
fn endless_computing_exhausts_the_fuel() {
    let bench = Bench::new(
        Pool::builder()
            .workers(1)
            .fuel_limit(5_000_000)
            .task_timeout(LONG),
    );
    let error = bench.submit::<u64, u64>("spin", 1).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::OutOfFuel);
    bench.assert_healthy();
}

#[test]
fn the_same_task_uses_the_same_fuel() {
    let bench = Bench::new(Pool::builder().workers(2).fuel_limit(1_000_000_000));
    let factorize = bench.factorize();
    let fuel = || {
        let future = bench.pool.submit(&factorize, (1_000_003,)).unwrap();
        future.wait().unwrap();
        future.report().unwrap().fuel.unwrap()
    };
    let first = fuel();
    assert!(first > 1000, "{first}");
    assert!((0..10).all(|_| fuel() == first));
}

#[test]
fn bad_arguments_name_the_argument_and_end_no_worker() {
    let error = check("spin", "seven", Kind::BadArguments);
    assert_eq!(
        error.message(),
        "argument `n`: text does not fit into `u64`"
    );
    assert_eq!(error.fault(), Fault::Caller);

    let bench = Bench::with_workers(2);
    for _ in 0..20 {
        assert!(bench.submit::<_, u64>("spin", "seven").wait().is_err());
    }
    // Two endless tasks run at once, so both workers are alive.
    let running = [bench.spinning(), bench.spinning()];
    running.iter().for_each(|future| assert!(future.cancel()));
    bench.assert_healthy();
}

#[test]
fn arguments_that_cannot_be_encoded_are_returned() {
    /// Fails to serialize.
    struct Secret;
    impl Serialize for Secret {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }
    let bench = Bench::with_workers(1);
    let refused = bench
        .pool
        .submit(&bench.task::<Secret, u64>("spin"), (Secret,))
        .unwrap_err();
    assert!(refused.to_string().contains("never"), "{refused}");
    let (Secret,) = refused.into_arguments();
    assert_eq!(bench.pool.queued(), 0, "its place in the queue came back");
    bench.assert_healthy();
}

#[test]
fn a_panic_in_the_caller_s_types_loses_no_place_and_no_outcome() {
    /// Panics when it is serialized, and when it is deserialized.
    #[derive(Debug)]
    struct Bomb;
    impl Serialize for Bomb {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            std::panic::resume_unwind(Box::new("written"))
        }
    }
    impl<'de> Deserialize<'de> for Bomb {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            std::panic::resume_unwind(Box::new("read"))
        }
    }
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let panics = |code: &dyn Fn()| catch_unwind(AssertUnwindSafe(code)).is_err();
    for _ in 0..3 {
        assert!(panics(&|| drop(bench.submit::<_, u64>("spin", Bomb))));
    }
    assert_eq!(bench.pool.queued(), 0, "its place in the queue came back");
    let future = bench.submit::<u64, Bomb>("recall", 1);
    for _ in 0..3 {
        assert!(panics(&|| drop(future.wait())));
    }
    assert!(future.is_done() && future.error().is_none());
    bench.assert_healthy();
}

#[test]
fn reading_a_result_as_another_type_does_not_fail_the_task() {
    let bench = Bench::with_workers(1);
    let as_text = bench
        .factorizer
        .task::<(u64,), String>("factorize")
        .unwrap();
    let future = bench.pool.submit(&as_text, (12,)).unwrap();
    assert_eq!(future.wait().unwrap_err().kind(), Kind::BadResult);
    assert!(future.error().is_none(), "the task itself has succeeded");
    bench.assert_healthy();
}

#[test]
fn a_few_failures_affect_no_other_task() {
    let bench = Bench::with_workers(2);
    let futures = (0..16_u64).map(|n| match n % 4 {
        3 => bench.submit::<_, u64>("panic", n.to_string()),
        _ => bench.submit::<_, u64>("recall", n),
    });
    let outcomes = futures.collect::<Vec<_>>();
    let failed = outcomes.iter().filter(|future| future.wait().is_err());
    assert_eq!(failed.count(), 4);
    for (n, future) in outcomes.iter().enumerate().skip(3).step_by(4) {
        let error = future.wait().unwrap_err();
        assert!(error.message().ends_with(&n.to_string()), "{n}: {error}");
    }
}

#[test]
fn an_error_can_be_read_many_times_by_many_threads() {
    let bench = Bench::with_workers(1);
    let future = bench.submit::<_, Value>("fail", "once");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(future.wait().unwrap_err().message(), "once");
                }
            });
        }
    });
}

#[test]
fn the_kinds_have_names_for_programs() {
    let error = check("exit", 1, Kind::Exited(1));
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(json["message"], "exited with code 1");
    assert_eq!(Kind::TimedOut.name(), "timed-out");
}

#[test]
fn a_panic_in_a_host_function_fails_only_its_task() {
    /// A `log` implementation that panics when a guest asks for a timer.
    struct Log(AtomicBool);
    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn event(&self, event: &Event<'_>) {
            let is_host_function = event.metadata().target().starts_with("wasmtime_wasi");
            if is_host_function && self.0.swap(false, Ordering::SeqCst) {
                std::panic::resume_unwind(Box::new("no room for a log"));
            }
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    // The logger is global to the process.
    in_own_process(|| {
        let log = Arc::new(Log(AtomicBool::new(false)));
        tracing::subscriber::set_global_default(Arc::clone(&log)).unwrap();
        for isolation in [Isolation::Task, Isolation::Worker] {
            let bench = Bench::new(Pool::builder().workers(1).isolation(isolation));
            bench.call::<u64, u64>("remember", 7);
            let workers = threads_named("wasmpool-worker");
            for _ in 0..3 {
                log.0.store(true, Ordering::SeqCst);
                let future = bench.submit::<_, u64>("sleep", 1);
                let error = future.wait().unwrap_err();
                assert_eq!(error.kind(), Kind::Internal);
                assert_eq!(
                    (error.message(), error.fault()),
                    ("a host function panicked: no room for a log", Fault::Host)
                );
                assert_eq!(future.report().unwrap().worker, Some(0));
                assert_eq!(
                    bench.call::<u64, u64>("recall", 0),
                    0,
                    "its instance is gone"
                );
                assert_eq!(bench.call::<u64, u64>("sleep", 1), 1);
            }
            assert_eq!(threads_named("wasmpool-worker"), workers);
            bench.assert_healthy();
        }
    });
}
