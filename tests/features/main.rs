//! The library without its features: what it refuses, and what still runs.

use serde::Serialize;
use wasmpool_without_features::{LoadError, Pool};

/// The variant of the guest `shapes`, as far as it is used here.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Rect(f64, f64),
}

fn pool() -> Pool {
    Pool::builder().workers(1).no_cache().build().unwrap()
}

/// Checks that the module is refused because the library lacks the feature `missing`.
#[track_caller]
fn check_refused(module: &[u8], missing: &str) {
    match pool().load_bytes(module).unwrap_err() {
        LoadError::MissingFeature { feature, .. } => assert_eq!(feature, missing),
        other => panic!("{other:?}"),
    }
}

#[test]
fn modules_in_text_form_are_refused_without_wat() {
    check_refused(b"(module (func (export \"f\")))", "wat");
    check_refused(b"(component)", "wat");
}

#[test]
fn programs_for_preview_1_are_refused_without_preview1() {
    check_refused(wasmpool_guests::PROGRAMS_P1.wasm, "preview1");
}

#[test]
fn components_with_http_requests_are_refused_without_http() {
    check_refused(wasmpool_guests::FETCHING.wasm, "http");
    check_refused(wasmpool_guests::AWAITING.wasm, "http");
}

#[test]
fn tasks_of_components_run_without_features() {
    let pool = pool();
    let module = pool.load_bytes(wasmpool_guests::FACTORIZER.wasm).unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let future = pool.submit(&factorize, (360,)).unwrap();
    assert_eq!(future.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
}

#[test]
fn functions_of_components_run_without_features() {
    let pool = pool();
    let module = pool.load_bytes(wasmpool_guests::SHAPES.wasm).unwrap();
    let area = module.task::<(Shape,), f64>("area").unwrap();
    let future = pool.submit(&area, (Shape::Rect(2.0, 3.0),)).unwrap();
    assert_eq!(future.wait().unwrap(), 6.0);
}

#[test]
fn programs_that_are_components_run_without_features() {
    let pool = pool();
    let module = pool.load_bytes(wasmpool_guests::PROGRAMS.wasm).unwrap();
    let mut command = module.command().unwrap();
    let output = command.args(["count", "to be"]).spawn(&pool).unwrap();
    assert_eq!(output.wait().unwrap().stdout, b"1 2 5\n");
}

#[test]
fn core_modules_without_imports_run_without_features() {
    let text = "(module (func (export \"double\") (param i32) (result i32)
        (i32.mul (local.get 0) (i32.const 2))))";
    let pool = pool();
    let module = pool.load_bytes(&wat::parse_str(text).unwrap()).unwrap();
    let double = module.task::<(i32,), i32>("double").unwrap();
    assert_eq!(pool.submit(&double, (21,)).unwrap().wait().unwrap(), 42);
}
