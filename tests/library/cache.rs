//! The cache of compiled modules: written once, never trusted when damaged.

use std::fs;
use std::path::{Path, PathBuf};

use wasmpool::{Pool, PoolBuilder};

fn load(builder: PoolBuilder) {
    let pool = builder.workers(1).build().unwrap();
    let module = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    assert_eq!(
        pool.submit(&factorize, (12,)).unwrap().wait().unwrap(),
        [2, 2, 3]
    );
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect::<Vec<_>>();
    entries.sort();
    entries
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
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()));
    let entry = &entries(folder.path())[0];
    let good = fs::read(entry).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut other_digest = good.clone();
    other_digest[0] ^= 1;
    for damaged in [
        &flipped[..],
        &other_digest,
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
