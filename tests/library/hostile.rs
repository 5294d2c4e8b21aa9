//! Handwritten components that break the rules, as no compiler makes them.

use std::path::Path;
use std::time::Duration;

use wasmpool::{
    Isolation, LoadError, Pool, TaskErrorKind as Kind, TaskFuture, TaskOptions, TrapCode, Value,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::support::{Bench, LONG, wait_until_running, within_long};

const SHORT: Duration = Duration::from_millis(100);

/// A component of the world `worker` from the text of a core module. Exports that `text` lacks get
/// a harmless body; the only task is `t`, without parameters.
pub(crate) fn component(text: &str) -> Vec<u8> {
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    let mut module = String::from("(module ");
    module += text;
    if !has("memory") {
        module += r#"(memory (export "memory") 2)"#;
    }
    // The list at 1000: one record at 1100, with the name `t` at 1200.
    module += r#"
        (data (i32.const 1000) "\4c\04\00\00\01\00\00\00")
        (data (i32.const 1100) "\b0\04\00\00\01\00\00\00")
        (data (i32.const 1200) "t")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    "#;
    if !has("wasmpool:task/tasks@0.1.0#list") {
        module += r#"
            (func (export "wasmpool:task/tasks@0.1.0#list") (result i32) (i32.const 1000))"#;
    }
    if !has("wasmpool:task/tasks@0.1.0#call") {
        // At 1300: a good result, one byte at 1400, which is MessagePack's `nil`.
        module += r#"
            (data (i32.const 1300) "\00\00\00\00\78\05\00\00\01\00\00\00")
            (data (i32.const 1400) "\c0")
            (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
                (i32.const 1300))"#;
    }
    module += ")";
    let mut core = wat::parse_str(&module).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_path(wit).unwrap();
    let world = resolve.select_world(&[package], Some("worker")).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().validate(true);
    encoder.module(&core).unwrap().encode().unwrap()
}

/// The body of `call`, in a component.
fn calling(body: &str) -> Vec<u8> {
    component(&format!(
        r#"(func (export "wasmpool:task/tasks@0.1.0#call")
            (param i32 i32 i32 i32) (result i32) {body})"#
    ))
}

fn pool() -> Pool {
    let builder = Pool::builder().workers(1).no_cache().task_timeout(SHORT);
    builder.memory_limit(1 << 20).build().unwrap()
}

/// Checks that the task ends as expected, and that the worker then serves another module.
fn check(component: &[u8], expected: Kind) -> String {
    let pool = pool();
    let module = pool.load_bytes(component).unwrap();
    let task = module.task::<(), Value>("t").unwrap();
    let error = pool.submit(&task, ()).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), expected, "{error:?}");
    let good = pool.load_bytes(&self::component("")).unwrap();
    let task = good.task::<(), Value>("t").unwrap();
    assert_eq!(pool.submit(&task, ()).unwrap().wait().unwrap(), Value::Null);
    error.message().to_owned()
}

#[test]
fn bad_indirect_calls_and_table_accesses_trap() {
    check(
        &component(
            r#"(type $nothing (func)) (table 1 funcref)
            (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
                (call_indirect (type $nothing) (i32.const 0)) (i32.const 0))"#,
        ),
        Kind::Trap(TrapCode::BadIndirectCall),
    );
    check(
        &component(
            r#"(type $nothing (func)) (table 1 funcref)
            (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
                (call_indirect (type $nothing) (i32.const 9)) (i32.const 0))"#,
        ),
        Kind::Trap(TrapCode::TableOutOfBounds),
    );
}

#[test]
fn overflowing_integers_trap() {
    check(
        &calling("(i32.div_s (i32.const 0x80000000) (i32.const -1))"),
        Kind::Trap(TrapCode::IntegerOverflow),
    );
}

#[test]
fn a_result_outside_of_the_memory_breaks_a_rule() {
    check(
        &calling("(i32.const 0x7ffffff0)"),
        Kind::Trap(TrapCode::ComponentRule),
    );
    // A list that claims to reach beyond the end of the memory.
    check(
        &calling(
            "(i32.store8 (i32.const 2000) (i32.const 0))
             (i32.store (i32.const 2004) (i32.const 16))
             (i32.store (i32.const 2008) (i32.const -1))
             (i32.const 2000)",
        ),
        Kind::Trap(TrapCode::ComponentRule),
    );
}

#[test]
fn tables_count_as_memory() {
    // An element takes eight bytes in the host: memory and table exceed the limit only together.
    let message = check(
        &component(
            r#"(table $t 1 funcref)
            (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
                (drop (table.grow $t (ref.null func) (i32.const 120000))) (i32.const 0))"#,
        ),
        Kind::MemoryLimit,
    );
    assert!(message.contains("1048576"), "{message}");
}

#[test]
fn a_result_nested_without_end_overflows_no_stack() {
    // `[[[[...`
    for (depth, is_too_deep) in [(500, false), (100_000, true)] {
        let component = component(&format!(
            r#"(memory (export "memory") 4)
            (func (export "wasmpool:task/tasks@0.1.0#call")
                (param i32 i32 i32 i32) (result i32)
                (memory.fill (i32.const 70000) (i32.const 0x91) (i32.const {depth}))
                (i32.store8 (i32.const {end}) (i32.const 0xC0))
                (i32.store (i32.const 2004) (i32.const 70000))
                (i32.store (i32.const 2008) (i32.const {length}))
                (i32.const 2000))"#,
            end = 70_000 + depth,
            length = depth + 1,
        ));
        let pool = pool();
        let module = pool.load_bytes(&component).unwrap();
        let task = module.task::<(), Value>("t").unwrap();
        let future = pool.submit(&task, ()).unwrap();
        assert_eq!(
            future.wait().is_err(),
            is_too_deep,
            "{depth}: {:?}",
            future.error()
        );
        // Also on a worker's stack.
        let (sender, receiver) = std::sync::mpsc::channel();
        future.on_done(move |future| sender.send(future.wait().is_err()).unwrap());
        assert_eq!(receiver.recv().unwrap(), is_too_deep);
    }
}

#[test]
fn a_large_fill_is_stopped() {
    // Small fills are stopped between two of them. A large fill is a single instruction, which
    // cannot be stopped but is bounded by the size of the memory.
    for (pages, length) in [(2, 100_000), (2_000, 130_000_000)] {
        let component = component(&format!(
            r#"(memory (export "memory") {pages})
            (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
                (loop $again
                    (memory.fill (i32.const 4096) (i32.const 0) (i32.const {length}))
                    (br $again))
                (i32.const 0))"#
        ));
        let builder = Pool::builder().workers(1).no_cache();
        let pool = builder.memory_limit(pages << 16).build().unwrap();
        let module = pool.load_bytes(&component).unwrap();
        let task = module.task::<(), Value>("t").unwrap();
        let timed = task.with(TaskOptions::new().task_timeout(SHORT));
        let future = pool.submit(&timed, ()).unwrap();
        assert_eq!(future.wait().unwrap_err().kind(), Kind::TimedOut);
        let future = pool.submit(&task, ()).unwrap();
        wait_until_running(&future);
        assert!(future.cancel());
        let good = pool.load_bytes(&self::component("")).unwrap();
        let task = good.task::<(), Value>("t").unwrap();
        assert_eq!(pool.submit(&task, ()).unwrap().wait().unwrap(), Value::Null);
    }
}

#[test]
fn a_start_function_that_never_ends_is_stopped_as_a_part_of_its_task() {
    // A module lists its tasks as worker 0, where the start function ends and only the call does
    // not. On worker 1 the start function never ends.
    let component = component(
        r#"(import "wasmpool:task/context@0.1.0" "worker" (func $worker (result i32)))
        (func $start_without_end
            (if (call $worker) (then (loop $again (br $again)))))
        (start $start_without_end)
        (func $call_without_end (export "wasmpool:task/tasks@0.1.0#call")
            (param i32 i32 i32 i32) (result i32)
            (loop $again (br $again)) (i32.const 0))"#,
    );
    let pool = Pool::builder().workers(2).no_cache().build().unwrap();
    let module = pool.load_bytes(&component).unwrap();
    let task = module.task::<(), Value>("t").unwrap();
    let timed = task.with(TaskOptions::new().task_timeout(SHORT));
    let submit_two = |task| [(); 2].map(|()| pool.submit(task, ()).unwrap());
    loop {
        let workers = submit_two(&timed).map(|future| {
            let error = future.wait().unwrap_err();
            assert_eq!(error.kind(), Kind::TimedOut);
            let worker = future.report().unwrap().worker.unwrap();
            let place = ["call_without_end", "start_without_end"][worker];
            let mut frames = error.backtrace().iter();
            assert!(frames.any(|frame| frame.function == place), "{error:?}");
            worker
        });
        // A worker that wakes slowly may find that the other has run both.
        if workers.contains(&1) {
            break;
        }
    }

    // Neither of the two ends by itself, so each worker has one.
    let both = submit_two(&task);
    both.iter().for_each(wait_until_running);
    for future in both {
        assert!(future.cancel());
        assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    }
    let good = pool.load_bytes(&self::component("")).unwrap();
    let good = good.task::<(), Value>("t").unwrap();
    assert_eq!(pool.submit(&good, ()).unwrap().wait().unwrap(), Value::Null);

    // A worker that is not free would take none of these, and the pool would not end.
    let last = submit_two(&task);
    last.iter().for_each(wait_until_running);
    within_long(move || drop(pool));
    assert!(last.iter().all(TaskFuture::is_cancelled));
}

#[test]
fn a_start_function_that_traps_fails_the_load_with_its_cause() {
    let error = pool().load_bytes(&component("(func $start unreachable) (start $start)"));
    match error.unwrap_err() {
        LoadError::List(error) => {
            assert_eq!(error.kind(), Kind::StartFailed);
            assert!(
                error.message().contains("unreachable code reached"),
                "{error}"
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_module_that_never_starts_is_not_loaded() {
    for text in [
        "(func $start (loop $again (br $again))) (start $start)",
        r#"(func (export "wasmpool:task/tasks@0.1.0#list") (result i32)
            (loop $again (br $again)) (i32.const 0))"#,
    ] {
        let component = component(text);
        let error = within_long(move || pool().load_bytes(&component).unwrap_err());
        match error {
            LoadError::List(error) => assert_eq!(error.kind(), Kind::TimedOut),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_start_of_the_instance_counts_towards_the_task() {
    let component = component(
        "(global $n (mut i32) (i32.const 0))
         (func $start (loop $again
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (global.get $n) (i32.const 100000)))))
         (start $start)",
    );
    let pool = Pool::builder()
        .workers(1)
        .no_cache()
        .fuel_limit(3_000_000)
        .build()
        .unwrap();
    let module = pool.load_bytes(&component).unwrap();
    let task = module.task::<(), Value>("t").unwrap();
    let future = pool.submit(&task, ()).unwrap();
    future.wait().unwrap();
    assert!(
        future.report().unwrap().fuel.unwrap() > 100_000,
        "the start is on the task's bill"
    );
}

#[test]
fn a_trap_under_worker_isolation_leaves_no_instance() {
    // Counts its calls, and traps at the second one.
    let component = component(
        r#"(global $n (mut i32) (i32.const 0))
        (data (i32.const 1500) "\00\00\00\00\40\06\00\00\01\00\00\00")
        (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (if (i32.eq (global.get $n) (i32.const 2)) (then unreachable))
            (i32.store8 (i32.const 1600) (global.get $n))
            (i32.const 1500))"#,
    );
    let builder = Pool::builder().workers(1).no_cache().task_timeout(LONG);
    let pool = builder.isolation(Isolation::Worker).build().unwrap();
    let module = pool.load_bytes(&component).unwrap();
    let task = module.task::<(), u64>("t").unwrap();
    for _ in 0..5 {
        assert_eq!(pool.submit(&task, ()).unwrap().wait().unwrap(), 1);
        pool.submit(&task, ()).unwrap().wait().unwrap_err();
    }
}

#[test]
fn limits_too_small_for_a_task_do_not_stop_the_loading() {
    let builder = Pool::builder()
        .workers(1)
        .fuel_limit(1)
        .task_timeout(Duration::ZERO);
    let pool = builder.build().unwrap();
    let module = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Value>("factorize").unwrap();
    let error = pool.submit(&task, (6,)).unwrap().wait().unwrap_err();
    assert!(
        matches!(error.kind(), Kind::OutOfFuel | Kind::TimedOut),
        "{error:?}"
    );
}

#[test]
fn bytes_after_a_result_are_refused() {
    let bench = Bench::with_workers(1);
    // At 1352: a good result of two bytes, each of which is MessagePack's `nil`.
    let module = component(
        r#"(data (i32.const 1352) "\00\00\00\00\78\05\00\00\02\00\00\00")
        (data (i32.const 1400) "\c0\c0")
        (func (export "wasmpool:task/tasks@0.1.0#call") (param i32 i32 i32 i32) (result i32)
            (i32.const 1352))"#,
    );
    let module = bench.pool.load_bytes(&module).unwrap();
    let task = module.task::<(), Value>("t").unwrap();
    let error = bench.pool.submit(&task, ()).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), Kind::BadResult);
    assert!(error.message().contains("bytes after its end"), "{error}");
    bench.assert_healthy();
}
