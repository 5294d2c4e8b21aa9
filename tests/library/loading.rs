//! What can be loaded, and what is said of what cannot.

use std::path::Path;

use wasmpool::{LoadError, Pool};

use crate::support::Bench;

/// The bytes are refused, and the error names the thing and the remedy.
fn check(bytes: &[u8], expected: &[&str]) -> LoadError {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let error = pool.load_bytes(bytes).unwrap_err();
    for text in expected {
        assert!(error.to_string().contains(text), "`{error}` lacks `{text}`");
    }
    error
}

#[test]
fn what_is_not_webassembly_is_refused() {
    for bytes in [&b"MZ\x90\0"[..], b"", b"hello", b"\0as", &[0xFF; 100]] {
        let error = check(bytes, &["not WebAssembly", "--target wasm32-wasip2"]);
        assert!(matches!(error, LoadError::NotWasm), "{error:?}");
    }
}

#[test]
fn a_core_module_is_refused_with_the_way_to_a_component() {
    let text = b"(module (memory (export \"memory\") 1))";
    check(
        text,
        &[
            "cannot be used: it exports no `_start`, and no other function;",
            "wasm-tools component new",
        ],
    );
    let binary = wat::parse_bytes(text).unwrap();
    let error = check(&binary, &[]);
    assert!(matches!(error, LoadError::CoreModule { .. }));
}

#[test]
fn a_core_module_that_wants_more_than_wasi_is_refused_by_what_it_wants() {
    let wasi = "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))";
    let foreign = "(import \"env\" \"print\" (func)) (import \"js\" \"memory\" (memory 1))";
    let start = "(func (export \"_start\"))";
    check(
        format!("(module {wasi} {foreign} {start})").as_bytes(),
        &["cannot be used: it imports `env.print`, `js.memory`;"],
    );
    check(
        format!("(module {wasi} {foreign})").as_bytes(),
        &["cannot be used: it exports no function, and it imports `env.print`, `js.memory`;"],
    );
    check(
        b"(module (import \"wasi_snapshot_preview1\" \"no_such\" (func)) \
          (func (export \"_start\")))",
        &["cannot be used: it imports `wasi_snapshot_preview1.no_such`;"],
    );
}

#[test]
fn damaged_webassembly_is_refused() {
    let whole = wasmpool_guests::FACTORIZER.wasm;
    for length in [8, 9, 100, whole.len() / 2, whole.len() - 1] {
        let error = check(&whole[..length], &[]);
        // Cut right behind the header it is a valid component that has nothing in it.
        let is_named = matches!(
            error,
            LoadError::Invalid(_) | LoadError::NothingToCall { .. }
        );
        assert!(is_named, "{length}: {error:?}");
    }
    assert!(matches!(
        check(b"(component (oops))", &["oops"]),
        LoadError::Invalid(_)
    ));
    check(b"\0asm", &["not valid WebAssembly"]);
}

#[test]
fn compiled_code_is_never_taken_from_a_caller() {
    check(
        b"\x7fELF and so on",
        &["compiled ahead of time", "load the `.wasm`"],
    );
}

#[test]
fn a_component_with_nothing_to_call_is_refused() {
    check(
        b"(component)",
        &["nothing to call", "exports nothing at all"],
    );
    check(
        b"(component (instance $i) (export \"my:own/thing@1.0.0\" (instance $i)))",
        &["nothing to call", "`my:own/thing@1.0.0`", "wasmpool-guest"],
    );
}

#[test]
fn another_version_of_the_contract_is_refused() {
    check(
        b"(component (instance $i) (export \"wasmpool:task/tasks@0.2.0\" (instance $i)))",
        &["made for `wasmpool:task/tasks@0.2.0`", "rebuild"],
    );
}

#[test]
fn our_interface_with_other_types_is_refused() {
    check(
        b"(component (instance $i) (export \"wasmpool:task/tasks@0.1.0\" (instance $i)))",
        &["its types do not fit the contract"],
    );
}

#[test]
fn an_import_that_nobody_offers_is_named() {
    check(
        b"(component
            (import \"wasi:http/types@0.2.0\" (instance))
            (import \"acme:db/query@3.1.0\" (instance (export \"run\" (func))))
            (instance $i) (export \"wasmpool:task/tasks@0.1.0\" (instance $i)))",
        &[
            "does not offer: `wasi:http/types@0.2.0`, `acme:db/query@3.1.0`;",
            "WASI 0.2",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let error = pool.load("no/such/guest.wasm").unwrap_err();
    assert_eq!(error.to_string(), "cannot read `no/such/guest.wasm`");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn the_same_bytes_are_loaded_once() {
    let bench = Bench::with_workers(1);
    let path: &Path = wasmpool_guests::FACTORIZER.path();
    let before = std::time::Instant::now();
    for _ in 0..1_000 {
        bench.pool.load(path).unwrap();
    }
    // A thousand loads from the cache would take seconds: this is but reading and hashing.
    assert!(before.elapsed() < crate::support::LONG);
}
