//! The cache of compiled modules: written once, never trusted when damaged.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmpool::{CacheState, LoadError, Pool, PoolBuilder};

fn load(builder: PoolBuilder) {
    state_after_load(builder);
}

/// Loads a module and runs it, whatever the state of the cache, which it returns.
fn state_after_load(builder: PoolBuilder) -> CacheState {
    let pool = builder.workers(1).build().unwrap();
    let module = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    assert_eq!(
        pool.submit(&factorize, (12,)).unwrap().wait().unwrap(),
        [2, 2, 3]
    );
    pool.cache()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Checks that the folder is not used, and that the reason contains all `expected` texts.
fn check_refused(folder: &Path, expected: &[&str]) {
    let before = names(folder);
    let state = state_after_load(Pool::builder().cache_folder(folder));
    let CacheState::NotUsed { .. } = &state else {
        panic!("{state:?}");
    };
    let problem = state.problem().unwrap();
    for text in expected {
        assert!(problem.contains(text), "`{problem}` lacks `{text}`");
    }
    assert_eq!(names(folder), before, "nothing was written there");
}

/// The files in a folder; none if it is not a folder.
fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The files of one kind: `cwasm` is code, `tasks` are lists of tasks.
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
    check_damaged_file_is_replaced("cwasm");
}

#[test]
fn tasks_are_listed_again_if_their_cache_entry_is_damaged() {
    check_damaged_file_is_replaced("tasks");
}

#[test]
fn tasks_are_listed_again_under_a_smaller_memory_limit() {
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

fn check_damaged_file_is_replaced(extension: &str) {
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
fn a_folder_that_cannot_be_created_fails_no_load() {
    check_refused(Path::new("/proc/no/such/folder"), &["is not used"]);
}

#[test]
fn a_file_in_place_of_the_folder_fails_no_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    fs::write(&file, "mine").unwrap();
    check_refused(&file, &["is not a folder"]);
    check_refused(&file.join("below"), &["is not a folder"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()));
    // The sticky bit does not help: another user can create a file first.
    for mode in [0o770, 0o702, 0o1777] {
        set_mode(folder.path(), mode);
        check_refused(folder.path(), &["others can write to", "chmod go-w"]);
    }
    set_mode(folder.path(), 0o755);
    let state = state_after_load(Pool::builder().cache_folder(folder.path()));
    let folder = folder.path().to_owned();
    assert_eq!(state, CacheState::InUse { folder });
}

#[test]
fn a_folder_below_one_that_others_can_write_to_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("parent");
    let cache = parent.join("between/cache");
    load(Pool::builder().cache_folder(&cache));
    set_mode(&parent, 0o777);
    let shown = parent.display().to_string();
    check_refused(&cache, &["others can write to", &shown]);
    check_refused(&parent.join("new"), &["others can write to", &shown]);
    // In a sticky folder no user can rename another's files.
    set_mode(&parent, 0o1777);
    let state = state_after_load(Pool::builder().cache_folder(&cache));
    assert_eq!(state.problem(), None);
}

#[test]
fn a_folder_behind_a_link_is_checked_at_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, link) = (folder.path().join("cache"), folder.path().join("link"));
    load(Pool::builder().cache_folder(&cache));
    symlink(&cache, &link).unwrap();
    let state = state_after_load(Pool::builder().cache_folder(&link));
    assert_eq!(state.problem(), None);
    set_mode(&cache, 0o777);
    check_refused(&link, &["others can write to"]);
}

/// Changes the owner of a file, which only root can. Returns false otherwise.
fn give_away(path: &Path) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::lchown(path, Some(12_345), None).unwrap();
    }
    is_root
}

#[test]
fn a_folder_of_another_user_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    // As under `sudo -E`, where root has the user's home folder.
    let home = folder.path().join("home");
    let cache = home.join(".cache/wasmpool");
    load(Pool::builder().cache_folder(&cache));
    if give_away(&home) {
        check_refused(
            &cache,
            &["belongs to another user (12345)", "folder of your own"],
        );
    }
}

/// Checks that an entry that could be another user's is compiled again and replaced.
fn check_entry_is_replaced(spoil: impl Fn(&Path)) {
    for extension in ["cwasm", "tasks"] {
        let folder = tempfile::tempdir().unwrap();
        load(Pool::builder().cache_folder(folder.path()));
        let entry = &files(folder.path(), extension)[0];
        spoil(entry);
        let spoiled = fs::symlink_metadata(entry).unwrap();
        load(Pool::builder().cache_folder(folder.path()));
        let made = fs::symlink_metadata(entry).unwrap();
        use std::os::unix::fs::MetadataExt as _;
        assert_ne!(made.ino(), spoiled.ino());
        assert_eq!(made.mode() & 0o777, 0o600);
        assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
    }
}

#[test]
fn an_entry_that_others_can_write_to_is_compiled_anew() {
    check_entry_is_replaced(|entry| set_mode(entry, 0o620));
    check_entry_is_replaced(|entry| set_mode(entry, 0o602));
}

#[test]
fn an_entry_that_is_a_link_is_compiled_anew() {
    check_entry_is_replaced(|entry| {
        let moved = entry
            .parent()
            .unwrap()
            .join(format!("{}.cwasm", "0".repeat(64)));
        fs::rename(entry, &moved).unwrap();
        symlink(&moved, entry).unwrap();
    });
}

#[test]
fn an_entry_of_another_user_is_compiled_anew() {
    check_entry_is_replaced(|entry| {
        if !give_away(entry) {
            set_mode(entry, 0o666);
        }
    });
}

#[test]
fn a_read_only_folder_is_used_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Pool::builder().cache_folder(folder.path());
    load(builder());
    // A file cannot replace a folder, even as root.
    let code = files(folder.path(), "cwasm").remove(0);
    fs::remove_file(&code).unwrap();
    fs::create_dir(&code).unwrap();
    let state = state_after_load(builder());
    let CacheState::NotWritable { reason, .. } = &state else {
        panic!("{state:?}");
    };
    assert!(!reason.is_empty());
    assert!(state.problem().unwrap().contains("nothing is added"));
    fs::remove_dir(&code).unwrap();
    assert_eq!(state_after_load(builder()).problem(), None);
}

#[test]
fn the_least_recently_used_entry_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Pool::builder().cache_folder(folder.path());
    load(builder());
    let [first] = &entries(folder.path())[..] else {
        panic!("one entry");
    };
    let len = fs::metadata(first).unwrap().len();
    load(builder().fuel_limit(1 << 40));
    let second = entries(folder.path())
        .into_iter()
        .find(|file| file != first);
    let second = second.unwrap();
    let days_ago = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    let age = |file: &Path, days| {
        let opened = fs::File::open(file).unwrap();
        opened.set_modified(days_ago(days)).unwrap();
    };
    age(first, 9);
    age(&second, 7);
    let left_over = folder.path().join(".tmpAbCdEf");
    fs::write(&left_over, "half").unwrap();
    age(&left_over, 1);
    let foreign = folder.path().join("notes.cwasm");
    fs::write(&foreign, vec![0; 1 << 20]).unwrap();
    age(&foreign, 99);
    // Uses this entry, so the second one is the least recently used.
    load(builder());
    assert!(fs::metadata(first).unwrap().modified().unwrap() > days_ago(1));
    // There is room for two, and this entry is larger.
    load(builder().uninterruptible_guests().cache_limit(5 * len / 2));
    assert!(first.exists());
    assert!(!second.exists(), "it was not used for longest");
    assert!(!left_over.exists(), "whoever wrote it is gone");
    assert!(foreign.exists(), "it is none of the cache's");
    fs::remove_file(foreign).unwrap();
    assert_eq!(entries(folder.path()).len(), 2);
    // An entry over the limit is not kept, and a lower limit applies to existing entries.
    load(builder().backtrace_lines().cache_limit(len / 2));
    let lens = names(folder.path()).into_iter();
    let held: u64 = lens.map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(held <= len / 2, "{held}");
}

#[test]
fn without_a_cache_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    load(Pool::builder().cache_folder(folder.path()).no_cache());
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn the_folder_is_made_for_its_owner_alone() {
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
fn precompiled_code_runs_in_a_pool_of_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    let build = || Pool::builder().workers(1).no_cache().build().unwrap();
    let file = precompile(&build(), folder.path());
    let pool = build();
    // SAFETY: just made by `precompile`, in a folder that no one else uses.
    let module = unsafe { pool.load_precompiled(&file) }.unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let factors = pool.submit(&factorize, (12,)).unwrap().wait().unwrap();
    assert_eq!(factors, [2, 2, 3]);
    let error = pool.load(&file).unwrap_err();
    assert!(matches!(error, LoadError::Precompiled), "{error}");
}

#[test]
#[allow(unsafe_code)]
fn code_for_any_processor_runs_in_a_pool_for_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = Pool::builder().workers(1).no_cache().baseline_processor();
    let file = precompile(&baseline.build().unwrap(), folder.path());
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    // SAFETY: it was made above, and nobody changes it.
    let module = unsafe { pool.load_precompiled(&file) }.unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let outcome = pool.submit(&factorize, (360,)).unwrap().wait();
    assert_eq!(outcome.unwrap(), [2, 2, 2, 3, 3, 5]);
}

#[test]
#[allow(unsafe_code)]
fn precompiled_code_for_other_settings_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::builder().workers(1).no_cache().build().unwrap();
    let file = precompile(&pool, folder.path());
    let with_fuel = Pool::builder().workers(1).no_cache().fuel_limit(1 << 40);
    let with_fuel = with_fuel.build().unwrap();
    // SAFETY: just made by `precompile`, in a folder that no one else uses.
    let error = unsafe { with_fuel.load_precompiled(&file) }.unwrap_err();
    assert!(
        matches!(&error, LoadError::Unfit(reason) if reason.contains("fuel")),
        "{error}"
    );
    for content in [&b"no code"[..], b"\x7fELF", b""] {
        fs::write(&file, content).unwrap();
        // SAFETY: this is not native code, so none is run.
        let error = unsafe { pool.load_precompiled(&file) }.unwrap_err();
        assert!(matches!(&error, LoadError::Unfit(_)), "{error}");
    }
    // SAFETY: the file does not exist.
    let error = unsafe { pool.load_precompiled(folder.path().join("none")) }.unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
}
