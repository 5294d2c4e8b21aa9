//! Limits: a guest meets each, and the next task on that worker succeeds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmpool::{
    Access, BuildError, Capabilities, Isolation, Pool, TaskErrorKind as Kind, TaskOptions, TrapCode,
};

use crate::programs::for_each_program;
use crate::support::Bench;

/// Bytes that are encoded as bytes, not as a list of numbers.
#[derive(PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match wasmpool::Value::deserialize(deserializer)? {
            wasmpool::Value::Bytes(bytes) => Ok(Self(bytes)),
            other => Err(serde::de::Error::custom(format!("not bytes: {other:?}"))),
        }
    }
}

#[test]
fn memory_is_limited_as_a_sum_and_its_peak_is_recorded() {
    let bench = Bench::new(Pool::builder().workers(1).memory_limit(16 << 20));
    let future = bench.submit::<_, u64>("allocate", 8);
    assert_eq!(future.wait().unwrap(), 8);
    let peak = future.report().unwrap().peak_memory;
    assert!((8 << 20..16 << 20).contains(&peak), "{peak}");

    let future = bench.submit::<_, u64>("allocate", 16);
    assert_eq!(future.wait().unwrap_err().kind(), Kind::MemoryLimit);
    assert!(future.report().unwrap().peak_memory <= 16 << 20);
    bench.assert_healthy();
}

#[test]
fn a_module_that_starts_over_the_memory_limit_says_so() {
    let pool = Pool::builder()
        .workers(1)
        .memory_limit(64 << 10)
        .build()
        .unwrap();
    let error = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap_err();
    assert!(
        error.to_string().contains("over the limit of 65536"),
        "{error}"
    );
}

#[test]
fn a_smaller_stack_is_exhausted_sooner() {
    let bench = Bench::new(Pool::builder().workers(1).stack_limit(64 << 10));
    assert_eq!(bench.call::<_, u64>("recurse", 100), 100);
    let deep = 5_000;
    let error = bench.submit::<_, u64>("recurse", deep).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::StackExhausted);
    let roomy = Bench::new(Pool::builder().workers(1).stack_limit(4 << 20));
    assert_eq!(roomy.call::<_, u64>("recurse", deep), deep);
}

/// The guests are linked with 64 KiB of stack for locals in memory. It is first in the memory, so
/// an overflow leaves the memory and overwrites no data.
#[test]
fn an_exhausted_small_stack_fails_only_the_task() {
    let pool = Pool::builder().workers(1).build().unwrap();
    for_each_program(&pool, |name, module| {
        let descend = |kib: &str| {
            let mut command = module.command().unwrap();
            command.args(["descend", kib]);
            command.spawn(&pool).unwrap().wait()
        };
        assert_eq!(descend("32").unwrap().stdout, b"32\n", "{name}");
        let error = descend("200").unwrap_err();
        let expected = Kind::Trap(TrapCode::MemoryOutOfBounds);
        assert_eq!(error.kind(), expected, "{name}: {error}");
        assert_eq!(descend("32").unwrap().stdout, b"32\n", "{name}");
    });
}

/// A component that creates timers and drops none.
const TIMERS: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $p (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core module $m
        (import "" "subscribe" (func $subscribe (param i64) (result i32)))
        (func (export "hold") (param $n i32) (result i32)
            (loop $next
                (drop (call $subscribe (i64.const 0)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $next (local.get $n)))
            (i32.const 7)))
    (core instance $i (instantiate $m
        (with "" (instance (export "subscribe" (func $subscribe))))))
    (func (export "hold") (param "n" u32) (result u32) (canon lift (core func $i "hold"))))"#;

#[test]
fn handles_are_limited() {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let module = pool.load_bytes(TIMERS.as_bytes()).unwrap();
    let hold = module.task::<(u32,), u32>("hold").unwrap();
    let held = |n: u32, rights: Capabilities| {
        let task = hold.with(TaskOptions::new().capabilities(rights));
        pool.submit(&task, (n,)).unwrap().wait()
    };
    let folder = tempfile::tempdir().unwrap();
    let with_folder = || {
        let rights = Capabilities::new();
        rights.dir(folder.path(), "/d", Access::ReadOnly).unwrap()
    };
    // Each timer takes two handles.
    assert_eq!(held(4_900, Capabilities::new()).unwrap(), 7);
    assert_eq!(held(490, with_folder()).unwrap(), 7);
    for error in [
        held(10_001, Capabilities::new()).unwrap_err(),
        held(1_001, with_folder()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::HandleLimit, "{error}");
        assert!(error.is_limit());
    }
    assert_eq!(held(1, Capabilities::new()).unwrap(), 7);
}

#[test]
fn output_keeps_its_end_and_never_fails_a_task() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(
            Pool::builder()
                .workers(1)
                .isolation(isolation)
                .output_limit(10 << 10),
        );
        let future = bench.submit::<_, u64>("flood", 300);
        assert_eq!(future.wait().unwrap(), 300);
        let report = future.report().unwrap();
        for captured in [&report.stdout, &report.stderr] {
            assert_eq!(
                (captured.written, captured.tail.len()),
                (300 << 10, 10 << 10)
            );
            assert!(captured.is_truncated() && captured.text().ends_with("299\n"));
        }
        // The next task has output of its own.
        let future = bench.submit::<_, u64>("flood", 1);
        future.wait().unwrap();
        assert_eq!(future.report().unwrap().stdout.written, 1 << 10);
        assert!(!future.report().unwrap().stdout.is_truncated());
    }
}

#[test]
fn a_result_over_the_payload_limit_fails_its_task() {
    let bench = Bench::new(Pool::builder().workers(1).payload_limit(1 << 20));
    let error = bench
        .submit::<_, Bytes>("huge_result", 2)
        .wait()
        .err()
        .unwrap();
    assert_eq!(error.kind(), Kind::OutputLimit);
    assert!(error.message().contains("1048576"), "{error}");
    bench.assert_healthy();
}

#[test]
fn arguments_over_the_payload_limit_are_returned() {
    let bench = Bench::new(Pool::builder().workers(1).payload_limit(1 << 10));
    let text = "x".repeat(2 << 10);
    let task = bench.task::<String, u64>("panic");
    let refused = bench.pool.submit(&task, (text.clone(),)).unwrap_err();
    assert!(
        refused.to_string().contains("payload limit of 1024"),
        "{refused}"
    );
    assert_eq!(refused.into_arguments().0, text);
    bench.assert_healthy();
}

#[test]
fn a_large_result_arrives() {
    let bench = Bench::with_workers(2);
    let result = bench.call::<_, Bytes>("huge_result", 64);
    assert!(result == Bytes(vec![0xAA; 64 << 20]));
}

#[test]
fn settings_out_of_range_name_the_setting_and_the_range() {
    fn check(builder: wasmpool::PoolBuilder, expected: &str) {
        match builder.build() {
            Err(BuildError::Setting {
                setting, problem, ..
            }) => {
                assert_eq!(format!("{setting}: {problem}"), expected);
            }
            other => panic!("{other:?} instead of {expected}"),
        }
    }
    check(
        Pool::builder().workers(0),
        "workers: 0 is out of range, which is 1 to 1024",
    );
    check(
        Pool::builder().workers(5000),
        "workers: 5000 is out of range, which is 1 to 1024",
    );
    check(
        Pool::builder().stack_limit(1),
        "stack_limit: 1 is out of range, which is 65536 to 67108864",
    );
    for builder in [
        Pool::builder().queue_capacity(0),
        Pool::builder().queue_capacity_bytes(0),
        Pool::builder().max_tasks_per_instance(0),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(
            error.contains("0 is out of range, which is 1 to"),
            "{error}"
        );
    }
}

#[test]
fn the_default_number_of_workers_is_the_available_parallelism() {
    let available = std::thread::available_parallelism().unwrap().get();
    assert_eq!(Pool::new().unwrap().workers(), available);
}

#[test]
fn a_timeout_too_long_for_an_instant_is_no_timeout() {
    let bench = Bench::new(
        Pool::builder()
            .workers(1)
            // So that the modules are asked for their tasks, under the same limits.
            .no_cache()
            .load_timeout(Duration::MAX)
            .task_timeout(Duration::MAX)
            .queue_timeout(Duration::MAX),
    );
    bench.assert_healthy();
}
