//! Components whose types and values are small in the guest and large in the host.

use std::fmt::Write as _;
use std::time::Duration;

use wasmpool::{LoadError, Pool, Task, TaskErrorKind as Kind, TaskModule, TaskOptions, Value};

use crate::support::{Bench, in_own_process, within_long};

const MIB: usize = 1 << 20;

/// A component with one function `f`, which gives a `result` and has no parameters. What it
/// returns lies at 0 of a memory of 16 MiB.
fn component(types: &str, result: &str, data: &str) -> String {
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 256)
                (data (i32.const 0) "{data}")
                (func (export "f") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            {types}
            (func $f (result {result})
                (canon lift (core func $i "f") (memory (core memory $i "memory"))))
            (export "f" (func $f)))"#
    )
}

/// Types from `$t0` on, each made of the one before: so many, with the name of the last.
fn layers(first: &str, n_layers: usize, layer: impl Fn(&str) -> String) -> (String, String) {
    let mut types = first.to_owned();
    for index in 0..n_layers {
        let outer = layer(&format!("$t{index}"));
        writeln!(types, "(type $t{} {outer})", index + 1).unwrap();
    }
    (types, format!("$t{n_layers}"))
}

fn doubled(inner: &str) -> String {
    format!("(tuple {inner} {inner})")
}

/// A list of so many elements, which lie behind it: all of them zero.
fn list_of(n_elements: u32) -> String {
    let bytes = [65_536_u32.to_le_bytes(), n_elements.to_le_bytes()].concat();
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// The most memory that this process has had.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse::<usize>().unwrap() << 10
}

/// Loads a component in a pool with small limits.
fn load(text: &str) -> (Pool, TaskModule) {
    let builder = Pool::builder().workers(1).memory_limit(32 * MIB);
    let pool = builder.payload_limit(MIB).no_cache().build().unwrap();
    let module = pool.load_bytes(text.as_bytes()).unwrap();
    (pool, module)
}

fn function(module: &TaskModule) -> Task<(), Value> {
    module.task::<(), Value>("f").unwrap()
}

/// The function cannot be called, for this reason.
fn check_uncallable(types: &str, result: &str, reason: &str) {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let refused = pool.load_bytes(component(types, result, "").as_bytes());
    match refused.unwrap_err() {
        LoadError::NothingToCall { uncallable, .. } => {
            assert_eq!(uncallable.len(), 1);
            assert!(uncallable[0].reason.contains(reason), "{uncallable:?}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn types_that_are_a_hundred_thousand_when_written_out_cost_no_memory() {
    in_own_process(|| {
        let before = peak_memory();
        let name = "a".repeat(100_000);
        let record = format!(
            r#"(type $record (record (field "{name}" u8)))
            (export $t0 "record" (type $record))"#
        );
        let (types, result) = layers(&record, 14, doubled);
        check_uncallable(&types, &result, "a name of more than 128 bytes");
        let (types, result) = layers("(type $t0 (tuple u8))", 17, doubled);
        check_uncallable(&types, &result, "too large a type");
        let grown = peak_memory() - before;
        assert!(grown < 400 * MIB, "{} MiB", grown / MIB);
    });
}

#[test]
fn names_of_any_kind_have_a_bound() {
    let name = "a".repeat(129);
    for ty in [
        format!(r#"(record (field "{name}" u8))"#),
        format!(r#"(variant (case "{name}" u8))"#),
        format!(r#"(enum "{name}")"#),
        format!(r#"(flags "{name}")"#),
    ] {
        let types = format!(r#"(type $named {ty}) (export $named-out "named" (type $named))"#);
        let result = "(list $named-out)";
        check_uncallable(&types, result, "a name of more than 128 bytes");
    }
}

/// Ninety tuples around a truth value, of which the guest has fourteen million. On the wire
/// each is ninety bytes.
fn tower() -> (String, String) {
    layers("(type $t0 (tuple bool))", 89, |inner| {
        format!("(tuple {inner})")
    })
}

#[test]
fn a_result_that_grows_on_its_way_out_meets_the_payload_limit() {
    in_own_process(|| {
        let (types, element) = tower();
        let list = list_of(14_000_000);
        let before = peak_memory();
        for (result, data) in [
            (format!("(list {element})"), list.clone()),
            (
                format!("(result (list {element}) (error string))"),
                format!("\\00\\00\\00\\00{list}"),
            ),
            (
                format!("(result (error (list {element})))"),
                format!("\\01\\00\\00\\00{list}"),
            ),
        ] {
            let (pool, module) = load(&component(&types, &result, &data));
            let error = pool.submit(&function(&module), ()).unwrap().wait();
            let error = error.unwrap_err();
            assert_eq!(error.kind(), Kind::OutputLimit, "{error}");
            assert!(error.message().contains("payload limit"), "{error}");
        }
        let grown = peak_memory() - before;
        assert!(grown < 400 * MIB, "{} MiB", grown / MIB);
    });
}

#[test]
fn a_result_is_stopped_on_its_way_out() {
    let (types, element) = tower();
    let text = component(&types, &format!("(list {element})"), &list_of(14_000_000));
    let bench = Bench::new(Pool::builder().workers(1).payload_limit(usize::MAX));
    let module = bench.pool.load_bytes(text.as_bytes()).unwrap();
    let short = TaskOptions::new().task_timeout(Duration::from_millis(20));
    let future = bench
        .pool
        .submit(&function(&module).with(short), ())
        .unwrap();
    let outcome = within_long(move || future.wait());
    assert_eq!(outcome.unwrap_err().kind(), Kind::TimedOut);
    bench.assert_healthy();
}
