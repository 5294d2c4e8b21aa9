//! Loading modules, and the errors of those that cannot be loaded.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use wasmpool::{Capabilities, LoadError, LoadFuture, Pool, TaskModule, Value};

use crate::hostile::component;
use crate::support::{Bench, LONG, within_long};

/// Checks that the bytes are refused, with an error that contains all `expected` texts.
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
fn a_core_module_with_unknown_imports_is_refused_with_their_names() {
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
        // Cut right after the header it is a valid empty component.
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
fn an_unknown_import_is_named() {
    check(
        b"(component
            (import \"wasi:keyvalue/store@0.2.0\" (instance))
            (import \"acme:db/query@3.1.0\" (instance (export \"run\" (func))))
            (instance $i) (export \"wasmpool:task/tasks@0.1.0\" (instance $i)))",
        &[
            "does not offer: `wasi:keyvalue/store@0.2.0`, `acme:db/query@3.1.0`;",
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
    // A thousand loads from the cache would take seconds; this only reads and hashes.
    assert!(before.elapsed() < crate::support::LONG);
}

#[test]
fn a_module_in_use_with_rights_or_an_initializer_is_not_loaded_again() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let load = || pool.load(wasmpool_guests::MISBEHAVING.path()).unwrap();
    let with_rights = load().with_capabilities(Capabilities::new().env("HOME", "/nowhere"));
    let loaded = load();
    assert_eq!(pool.stats().loads, 1);
    // It is the same module, but it has no rights.
    let remember = loaded.task::<(u64,), u64>("remember").unwrap();
    let initialized = with_rights.with_initializer(&remember, (7,)).unwrap();
    let escape = loaded.task::<(&str,), String>("escape").unwrap();
    let escaped = pool.submit(&escape, ("environment",)).unwrap().wait();
    assert_eq!(escaped.unwrap(), "denied: no variable");
    drop((with_rights, loaded, remember, escape));
    load();
    assert_eq!(pool.stats().loads, 1);
    let recall = initialized.task::<(u64,), u64>("recall").unwrap();
    assert_eq!(pool.submit(&recall, (0,)).unwrap().wait().unwrap(), 7);
}

/// A component that computes for ever when it lists its tasks. Each number makes another one.
fn never_lists(number: usize) -> Vec<u8> {
    component(&format!(
        r#"(func (export "wasmpool:task/tasks@0.1.0#list") (result i32)
            (loop $again (br $again)) (i32.const {number}))"#
    ))
}

/// A pool that gives modules much time to list their tasks.
fn patient() -> wasmpool::PoolBuilder {
    Pool::builder()
        .workers(1)
        .no_cache()
        .task_timeout(10 * LONG)
}

fn works(pool: &Pool, module: &TaskModule) {
    let task = module.task::<(), Value>("t").unwrap();
    assert_eq!(pool.submit(&task, ()).unwrap().wait().unwrap(), Value::Null);
}

/// Polls, since there is nothing to wait on.
fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come to that");
        std::thread::yield_now();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks without any runtime.
fn block_on(mut future: LoadFuture) -> Result<TaskModule, LoadError> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match poll(&mut future, &waker) {
            Poll::Ready(loaded) => return loaded,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn poll(future: &mut LoadFuture, waker: &Waker) -> Poll<Result<TaskModule, LoadError>> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Begins to load modules that never list their tasks.
fn begin(pool: &Pool, numbers: std::ops::Range<usize>) -> Vec<LoadFuture> {
    let begun = numbers.map(|number| {
        let mut future = pool.load_bytes_async(never_lists(number));
        assert!(poll(&mut future, Waker::noop()).is_pending());
        future
    });
    begun.collect()
}

#[test]
fn threads_that_load_one_module_at_once_compile_it_once() {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let start = std::sync::Barrier::new(6);
    let modules = std::thread::scope(|scope| {
        let load = || {
            start.wait();
            pool.load(wasmpool_guests::FACTORIZER.path()).unwrap()
        };
        let threads = [(); 6].map(|()| scope.spawn(load));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(pool.stats().loads, 1);
    for module in modules {
        let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
        assert_eq!(
            pool.submit(&factorize, (6,)).unwrap().wait().unwrap(),
            [2, 3]
        );
    }
}

#[test]
fn threads_that_load_one_bad_module_at_once_get_the_same_error() {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let trapping = component("(func $start unreachable) (start $start)");
    let load = || pool.load_bytes(&trapping).unwrap_err().to_string();
    let errors = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(load));
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(errors[0].contains("could not be asked for its tasks"));
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
}

#[test]
fn modules_that_never_list_their_tasks_delay_no_other() {
    let pool = patient().build().unwrap();
    let slow = begin(&pool, 0..7);
    wait_until(|| pool.stats().loads == 7);
    within_long(move || {
        let good = pool.load_bytes(&component("")).unwrap();
        works(&pool, &good);
        drop(slow);
        // They are stopped, since no caller waits for them.
        wait_until(|| pool.stats().loading == 0);
        works(&pool, &good);
    });
}

#[test]
fn a_load_that_times_out_names_the_remedy() {
    let builder = patient().load_timeout(Duration::from_millis(200));
    let pool = builder.build().unwrap();
    within_long(move || {
        let error = pool.load_bytes(&never_lists(0)).unwrap_err();
        assert!(matches!(error, LoadError::TimedOut { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("200ms"), "{message}");
        assert!(
            message.contains("`load_timeout`, `--load-timeout`"),
            "{message}"
        );
        wait_until(|| pool.stats().loading == 0);
    });
}

#[test]
fn excess_loads_wait_within_their_timeout() {
    let builder = patient().load_timeout(LONG);
    let pool = builder.build().unwrap();
    let mut slow = begin(&pool, 0..8);
    wait_until(|| pool.stats().loads == 8);
    let mut waiting = pool.load_bytes_async(component(""));
    assert!(poll(&mut waiting, Waker::noop()).is_pending());
    let mut given_up = begin(&pool, 8..9);
    wait_until(|| pool.stats().loading == 10);
    given_up.clear();
    wait_until(|| pool.stats().loading == 9);
    assert_eq!(pool.stats().loads, 8, "there is no ninth place");
    within_long(move || {
        slow.pop();
        let good = block_on(waiting).unwrap();
        works(&pool, &good);
        assert_eq!(pool.stats().loads, 9, "what was given up never began");
    });
}

#[test]
fn an_abandoned_compilation_ends_in_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::builder().workers(1).cache_folder(folder.path());
    let pool = pool.build().unwrap();
    let mut given_up = pool.load_bytes_async(wasmpool_guests::FACTORIZER.wasm);
    assert!(poll(&mut given_up, Waker::noop()).is_pending());
    wait_until(|| pool.stats().loads == 1);
    drop(given_up);
    wait_until(|| pool.stats().loading == 0);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let is_code = |path: &std::path::PathBuf| path.extension().unwrap() == "cwasm";
    let files = files.map(|entry| entry.unwrap().path()).filter(is_code);
    assert_eq!(files.count(), 1);
    pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
}

#[test]
fn a_module_is_loaded_from_async_code_without_a_runtime() {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let module = block_on(pool.load_async(wasmpool_guests::FACTORIZER.path())).unwrap();
    let again = block_on(pool.load_bytes_async(wasmpool_guests::FACTORIZER.wasm)).unwrap();
    assert_eq!(pool.stats().loads, 1, "it is loaded");
    for module in [module, again] {
        let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
        assert_eq!(
            pool.submit(&factorize, (6,)).unwrap().wait().unwrap(),
            [2, 3]
        );
    }
    let error = block_on(pool.load_async("no/such/guest.wasm")).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error:?}");
    // A future that is never polled loads nothing.
    drop(pool.load_bytes_async(never_lists(0)));
    assert_eq!(pool.stats().loads, 1);
}

#[test]
fn abandoning_a_load_does_not_cancel_it_for_others() {
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let wasm = wasmpool_guests::FACTORIZER.wasm;
    let mut dropped = pool.load_bytes_async(wasm);
    assert!(poll(&mut dropped, Waker::noop()).is_pending());
    let kept = pool.load_bytes_async(wasm);
    drop(dropped);
    block_on(kept).unwrap();
}

#[test]
fn a_pool_that_is_dropped_ends_its_loads() {
    let pool = patient().build().unwrap();
    let mut slow = begin(&pool, 0..9);
    wait_until(|| pool.stats().loads == 8);
    wait_until(|| pool.stats().loading == 9);
    let late = pool.load_bytes_async(component(""));
    within_long(move || {
        drop(pool);
        let (running, queued) = (slow.swap_remove(0), slow.pop().unwrap());
        // Whether the load was queued or listing its tasks.
        for future in [running, queued, late] {
            let error = block_on(future).unwrap_err();
            let is_stopped = match &error {
                LoadError::ShutDown => true,
                LoadError::List(error) => error.is_cancelled(),
                _ => false,
            };
            assert!(is_stopped, "{error:?}");
        }
    });
}
