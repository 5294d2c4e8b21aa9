//! The cache of compiled modules: written once, never trusted when damaged.

use std::fs;
use std::path::{Path, PathBuf};

use wasmpool::{LoadError, Pool, PoolBuilder};

fn load(builder: PoolBuilder) {
    let pool = builder.workers(1).build().unwrap();
    let module = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    assert_eq!(
        pool.submit(&factorize, (12,)).unwrap().wait().unwrap(),
        [2, 2, 3]
    );
}

/// The files of one kind: `cwasm` is code, `tasks` what components told of their tasks.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files = files.collect::<Vec<_>>();
    let is_known = |file: &PathBuf| {
        let extension = file.extension().unwrap();
        extension == "cwasm" || extension == "tasks"
    };
    assert!(
        files.iter().all(is_known),
        "nothing is left over: {files:?}"
    );
    files.retain(|file| file.extension().unwrap() == extension);
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    files(folder, "cwasm")
}

#[test]
fn a_module_is_compiled_once_for_all_pools() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("made/by/the/pool");
    load(Pool::builder().cache_folder(&cache));
    let [entry] = &entries(&cache)[..] else {
        panic!("one entry, and nothing left over");
    };
    let written = fs::metadata(entry).unwrap().modified().unwrap();
    load(Pool::builder().cache_folder(&cache));
    assert_eq!(fs::metadata(entry).unwrap().modified().unwrap(), written);
}

#[test]
fn other_settings_of_the_engine_have_entries_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()));
    load(
        Pool::builder()
            .cache_folder(folder.path())
            .fuel_limit(1 << 40),
    );
    assert_eq!(entries(folder.path()).len(), 2);
    let builder = Pool::builder().cache_folder(folder.path());
    load(builder.uninterruptible_guests());
    assert_eq!(entries(folder.path()).len(), 3);
}

#[test]
fn a_damaged_entry_is_compiled_anew() {
    a_damaged_file_is_made_anew("cwasm");
}

#[test]
fn a_component_is_asked_anew_if_its_answer_is_damaged() {
    a_damaged_file_is_made_anew("tasks");
}

#[test]
fn a_component_is_asked_anew_within_a_smaller_memory_limit() {
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()));
    let small = Pool::builder()
        .cache_folder(folder.path())
        .workers(1)
        .memory_limit(64 << 10);
    let loaded = small
        .build()
        .unwrap()
        .load_bytes(wasmpool_guests::FACTORIZER.wasm);
    assert!(matches!(loaded, Err(LoadError::List(_))), "{loaded:?}");
}

fn a_damaged_file_is_made_anew(extension: &str) {
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()));
    let entry = &files(folder.path(), extension)[0];
    let good = fs::read(entry).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut other_checksum = good.clone();
    other_checksum[0] ^= 1;
    for damaged in [
        &flipped[..],
        &other_checksum,
        &good[..good.len() / 2],
        &good[..20],
        b"",
    ] {
        fs::write(entry, damaged).unwrap();
        load(Pool::builder().cache_folder(folder.path()));
        assert_eq!(
            fs::read(entry).unwrap().len(),
            good.len(),
            "it is whole again"
        );
        assert_ne!(fs::read(entry).unwrap(), damaged);
    }
}

#[test]
fn a_folder_that_cannot_be_written_costs_nothing_but_time() {
    load(Pool::builder().cache_folder("/proc/no/such/folder"));
}

#[test]
fn without_a_cache_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()).no_cache());
    assert!(entries(folder.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn the_folder_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    load(Pool::builder().cache_folder(&cache));
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn several_pools_write_the_same_entry_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(Pool::builder().cache_folder(folder.path())));
        }
    });
    assert_eq!(entries(folder.path()).len(), 1);
}

fn precompile(pool: &Pool, folder: &Path) -> PathBuf {
    let code = pool.precompile(wasmpool_guests::FACTORIZER.wasm).unwrap();
    let file = folder.join("factorizer.cwasm");
    fs::write(&file, code).unwrap();
    file
}

#[test]
#[allow(unsafe_code)]
fn what_was_compiled_ahead_of_time_runs_in_a_pool_of_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    let build = || Pool::builder().workers(1).no_cache().build().unwrap();
    let file = precompile(&build(), folder.path());
    let pool = build();
    // SAFETY: just made, and nobody knows of the folder.
    let module = unsafe { pool.load_precompiled(&file) }.unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let factors = pool.submit(&factorize, (12,)).unwrap().wait().unwrap();
    assert_eq!(factors, [2, 2, 3]);
    let error = pool.load(&file).unwrap_err();
    assert!(matches!(error, LoadError::Precompiled), "{error}");
}

#[test]
#[allow(unsafe_code)]
fn what_was_compiled_for_other_settings_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let file = precompile(&pool, folder.path());
    let with_fuel = Pool::builder().workers(1).no_cache().fuel_limit(1 << 40);
    let with_fuel = with_fuel.build().unwrap();
    // SAFETY: just made, and nobody knows of the folder.
    let error = unsafe { with_fuel.load_precompiled(&file) }.unwrap_err();
    assert!(
        matches!(&error, LoadError::Unfit(reason) if reason.contains("fuel")),
        "{error}"
    );
    for content in [&b"no code"[..], b"\x7fELF", b""] {
        fs::write(&file, content).unwrap();
        // SAFETY: this is no native code, and so none is run.
        let error = unsafe { pool.load_precompiled(&file) }.unwrap_err();
        assert!(matches!(&error, LoadError::Unfit(_)), "{error}");
    }
    // SAFETY: there is nothing to run.
    let error = unsafe { pool.load_precompiled(folder.path().join("none")) }.unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
}
