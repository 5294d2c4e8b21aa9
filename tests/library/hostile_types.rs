//! Components whose types and values are small in the guest and large in the host.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use wasmpool::{
    LoadError, Pool, Task, TaskError, TaskErrorKind as Kind, TaskModule, TaskOptions, Value,
};

use crate::support::{Bench, in_own_process, within_long};

const MIB: usize = 1 << 20;

/// A component with one function `f`, which returns a `result` and has no parameters. The returned
/// value is at address 0 of a memory of 16 MiB.
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

/// `n_layers` types from `$t0` on, each made of the one before, and the name of the last.
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

/// A list of `n_elements` elements, which follow it in memory, all zero.
fn list_of(n_elements: u32) -> String {
    let bytes = [65_536_u32.to_le_bytes(), n_elements.to_le_bytes()].concat();
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// The peak memory of this process.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse::<usize>().unwrap() << 10
}

/// Loads a component in a pool with small limits.
fn load(text: &str) -> (Pool, TaskModule) {
    load_with_payload_limit(text, MIB)
}

fn load_with_payload_limit(text: &str, payload_limit: usize) -> (Pool, TaskModule) {
    let builder = Pool::builder().workers(1).memory_limit(32 * MIB);
    let builder = builder.payload_limit(payload_limit).no_cache();
    let pool = builder.build().unwrap();
    let module = pool.load_bytes(text.as_bytes()).unwrap();
    (pool, module)
}

fn function(module: &TaskModule) -> Task<(), Value> {
    module.task::<(), Value>("f").unwrap()
}

/// The outcome of the function with its result decoded as an `Out`.
fn call<Out: DeserializeOwned>(pool: &Pool, module: &TaskModule) -> Result<Out, TaskError> {
    let function = module.task::<(), Out>("f").unwrap();
    pool.submit(&function, ()).unwrap().wait()
}

/// A type with names, as `$named`.
fn named(ty: &str) -> String {
    format!(r#"(type $inner {ty}) (export $named "named" (type $inner))"#)
}

/// The longest allowed name.
fn long_name() -> String {
    "a".repeat(128)
}

/// Checks that the function cannot be called for this reason.
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
fn types_that_expand_to_a_hundred_thousand_take_no_memory() {
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

/// Ninety nested tuples around a boolean, of which the guest has fourteen million. In the wire
/// form each takes ninety bytes.
fn tower() -> (String, String) {
    layers("(type $t0 (tuple bool))", 89, |inner| {
        format!("(tuple {inner})")
    })
}

#[test]
fn a_result_that_is_larger_in_the_host_meets_the_payload_limit() {
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
fn a_stop_takes_effect_while_a_result_is_copied_out() {
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

#[test]
fn an_error_is_formatted_no_further_than_it_is_kept() {
    in_own_process(|| {
        let types = named(&format!(r#"(enum "{}")"#, long_name()));
        let data = format!("\\01\\00\\00\\00{}", list_of(1_000_000));
        let text = component(&types, "(result (error (list $named)))", &data);
        let (pool, module) = load(&text);
        let before = peak_memory();
        let error = call::<Value>(&pool, &module).unwrap_err();
        let grown = peak_memory() - before;
        assert_eq!(error.kind(), Kind::Failed);
        let beginning = format!("[{0}, {0}, ", long_name());
        assert!(error.message().starts_with(&beginning), "{error}");
        assert_eq!(error.message().len(), (16 << 10) + " ...".len());
        // The whole text has 130 MB.
        assert!(grown < 64 * MIB, "{} MiB", grown / MIB);
    });
}

#[test]
fn an_error_of_text_is_cut() {
    let data = format!("\\01\\00\\00\\00{}", list_of(1_000_000));
    let (pool, module) = load(&component("", "(result (error string))", &data));
    let error = call::<Value>(&pool, &module).unwrap_err();
    assert_eq!(error.message(), format!("{} ...", "\0".repeat(16 << 10)));
}

#[test]
fn decoding_a_result_allocates_a_bounded_amount() {
    in_own_process(|| {
        let before = peak_memory();
        let check = |types: &str, read: fn(&Pool, &TaskModule) -> Option<TaskError>| {
            let text = component(types, "(list $named)", &list_of(4_000_000));
            let (pool, module) = load_with_payload_limit(&text, 4 * MIB);
            let error = read(&pool, &module).expect("it is too large");
            assert_eq!(error.kind(), Kind::BadResult, "{error}");
            let said = "more than 67108864 bytes, which follow from the `payload_limit`";
            assert!(error.message().contains(said), "{error}");
        };
        let name = long_name();
        let an_enum = named(&format!(r#"(enum "{name}")"#));
        check(&an_enum, |pool, module| call::<Value>(pool, module).err());
        check(&an_enum, |pool, module| {
            call::<serde_json::Value>(pool, module).err()
        });
        check(&an_enum, |pool, module| {
            call::<Vec<String>>(pool, module).err()
        });
        let flags = (0..32).map(|index| format!(r#""{}{index}""#, &name[..100]));
        let flags = format!("(flags {})", flags.collect::<Vec<_>>().join(" "));
        check(&named(&flags), |pool, module| {
            call::<Vec<HashMap<String, bool>>>(pool, module).err()
        });
        let truths = r#"(type $named bool)"#;
        check(truths, |pool, module| call::<Value>(pool, module).err());
        // A list of cases takes 700 MB as `Value`s, and one of flags 17 GB.
        let grown = peak_memory() - before;
        assert!(grown < 500 * MIB, "{} MiB", grown / MIB);
    });
}

#[test]
fn caller_types_with_names_are_decoded_without_a_limit() {
    #[derive(Debug, Deserialize)]
    enum Only {
        #[serde(rename = "an-only-case")]
        Case,
    }
    #[derive(Debug, Deserialize)]
    struct Pair {
        left: Only,
        #[serde(rename = "the-right-side")]
        right: Only,
    }
    let types = format!(
        r#"{} (type $record (record (field "left" $named) (field "the-right-side" $named)
            (field "{}" $named)))
        (export $pair "pair" (type $record))"#,
        named(r#"(enum "an-only-case")"#),
        long_name(),
    );
    let text = component(&types, "(list $pair)", &list_of(1_000_000));
    let (pool, module) = load_with_payload_limit(&text, 4 * MIB);
    // Without the names the same result exceeds the limit.
    assert!(call::<Value>(&pool, &module).is_err());
    let pairs = call::<Vec<Pair>>(&pool, &module).unwrap();
    let is_right = |pair: &Pair| matches!((&pair.left, &pair.right), (Only::Case, Only::Case));
    assert!(pairs.len() == 1_000_000 && pairs.iter().all(is_right));
    assert_eq!(
        call::<Vec<IgnoredAny>>(&pool, &module).unwrap().len(),
        1_000_000
    );
}

#[test]
fn a_result_as_large_as_a_small_payload_limit_can_be_read_into_values() {
    let text = component("", "(list bool)", &list_of(1_000_000));
    let (pool, module) = load(&text);
    match call::<Value>(&pool, &module).unwrap() {
        Value::List(values) => assert_eq!(values.len(), 1_000_000),
        other => panic!("{other:?}"),
    }
    let text = component("", "(list u8)", &list_of(1_000_000));
    let (pool, module) = load(&text);
    let values = call::<serde_json::Value>(&pool, &module).unwrap();
    assert_eq!(values.as_array().unwrap().len(), 1_000_000);
    let values = call::<Vec<u8>>(&pool, &module).unwrap();
    assert_eq!(values.len(), 1_000_000);
}

#[test]
fn names_in_backtraces_are_cut_and_have_no_control_characters() {
    let name = format!("\\1b[2J{}", "n".repeat(50_000));
    let text = format!(
        r#"(component
            (core module $m (func $"{name}" (export "f") unreachable))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (export "f" (func $f)))"#
    );
    let (pool, module) = load(&text);
    let error = call::<()>(&pool, &module).unwrap_err();
    let function = &error.backtrace()[0].function;
    assert!(function.starts_with("\\u{1b}[2Jnnn"), "{function}");
    assert!(function.len() < 300, "{}", function.len());
}

#[test]
fn long_names_are_cut_in_messages() {
    let long = "a".repeat(50_000);
    let part = |index| {
        format!(r#"(import "x{index}-{long}" (func)) (export "y{index}-{long}" (func $f))"#)
    };
    let names = (0..40).map(part).collect::<Vec<_>>();
    let (imports, exports) = names
        .iter()
        .map(|part| part.split_at(part.find("(export").unwrap()))
        .unzip::<_, _, String, String>();
    let component = |imports: &str, exports: &str| {
        format!(
            r#"(component {imports}
                (core module $m (func (export "f") unreachable))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                {exports})"#
        )
    };
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let load = |text: &str| pool.load_bytes(text.as_bytes());
    let check = |message: &dyn ToString, part: &str| {
        let message = message.to_string();
        assert!(message.contains(part), "{message}");
        assert!(message.len() < 20_000, "{}", message.len());
    };
    let error = load(&component(&imports, r#"(export "f" (func $f))"#)).unwrap_err();
    assert!(matches!(error, LoadError::UnknownImport { .. }), "{error}");
    check(&error, " and 24 more");
    let error = load(&format!("(component {long}")).unwrap_err();
    assert!(matches!(error, LoadError::Invalid(_)), "{error}");
    check(&error, "not valid WebAssembly");
    let module = load(&component("", &exports)).unwrap();
    check(&module.find("nothing").unwrap_err(), " and 24 more");
    let name = &module.tasks()[0].name;
    check(
        &module.task::<(u8,), ()>(name).unwrap_err(),
        "has 0 parameters",
    );
    let task = module.task::<(), ()>(name).unwrap();
    let module = module.with_initializer(&task, ()).unwrap();
    let task = module.task::<(), ()>(name).unwrap();
    let error = pool.submit(&task, ()).unwrap().wait().unwrap_err();
    check(&error, "the initializer `y");
}

#[test]
fn a_long_name_of_an_interface_is_not_kept_for_each_of_its_functions() {
    in_own_process(|| {
        const N_FUNCTIONS: usize = 2_000;
        let functions = (0..N_FUNCTIONS).map(|index| format!(r#"(export "f{index}" (func $f))"#));
        let text = format!(
            r#"(component
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (instance $all {})
                (export "my:own/{}" (instance $all)))"#,
            functions.collect::<String>(),
            "a".repeat(90_000),
        );
        let pool = Pool::builder().workers(1).no_cache().build().unwrap();
        let before = peak_memory();
        let module = pool.load_bytes(text.as_bytes()).unwrap();
        let grown = peak_memory() - before;
        // The names alone would take 180 MB.
        assert!(grown < 100 * MIB, "{} MiB", grown / MIB);
        let (n_tasks, uncallable) = (module.tasks().len(), module.uncallable());
        assert_eq!(n_tasks + uncallable.len(), N_FUNCTIONS);
        assert!(n_tasks > 40, "{n_tasks}");
        assert!(uncallable[0].name.len() < 300);
        assert!(uncallable[0].reason.starts_with("its name is too long"));
    });
}
