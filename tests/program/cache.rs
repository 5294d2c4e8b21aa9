//! Runs whose modules cannot be kept: they go on, and say so once.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Run, run};

/// A run with such a cache.
#[track_caller]
fn check_goes_on(cache: &str, warning: &str) {
    let run = run(&["run", "factorizer", "6", "7", "--cache-folder", cache]);
    assert_goes_on(&run, warning);
}

#[track_caller]
fn assert_goes_on(run: &Run, warning: &str) {
    assert_eq!(run.assert_code(0).lines().len(), 2);
    run.assert_stderr(&format!("warning: {warning}"));
    assert_eq!(run.stderr.matches("warning").count(), 1, "{}", run.stderr);
}

#[test]
fn a_cache_that_is_a_file_or_below_one_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    fs::write(&file, "mine").unwrap();
    for cache in [file.clone(), file.join("below")] {
        let cache = cache.to_str().unwrap();
        check_goes_on(
            cache,
            &format!("the cache `{cache}` is not used: it is not a folder"),
        );
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_cache_that_cannot_be_made_is_not_used() {
    let cache = "/proc/no/such/folder";
    check_goes_on(
        cache,
        &format!("the cache `{cache}` is not used: it cannot be made"),
    );
}

/// As root, every folder can be written to.
#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_to_is_still_read() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    let set_mode = |mode| fs::set_permissions(&cache, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o500);
    let is_protected = fs::write(cache.join("probe"), "").is_err();
    let path = cache.to_str().unwrap();
    let args = ["run", "factorizer", "6", "7", "--cache-folder", path];
    let first = run(&args);
    match is_protected {
        true => assert_goes_on(&first, &format!("nothing is added to the cache `{path}`: ")),
        false => assert!(!first.assert_code(0).stderr.contains("warning")),
    }
    set_mode(0o700);
    run(&args).assert_code(0);
    set_mode(0o500);
    // All that is needed is there.
    let last = run(&args);
    assert!(
        !last.assert_code(0).stderr.contains("warning"),
        "{}",
        last.stderr
    );
}

/// There is room for the list of the tasks, and none for the code. A limit of the size of files
/// stands for a disk that is nearly full.
#[cfg(target_os = "linux")]
#[test]
fn a_cache_on_a_full_disk_is_reported_in_the_first_run_and_in_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let path = cache.to_str().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_wasmpool"));
    for _ in 0..2 {
        let mut bash = Command::new("bash");
        bash.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "bash"]);
        bash.arg(program)
            .args(["run", "factorizer", "6", "7", "--cache-folder", path]);
        let run = Run::of(bash.output().unwrap());
        assert_goes_on(
            &run,
            &format!("nothing is added to the cache `{path}`: File too large"),
        );
        // No part of the code is left.
        let names = fs::read_dir(&cache)
            .unwrap()
            .map(|file| file.unwrap().file_name());
        let names = names.collect::<Vec<_>>();
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(names[0].to_str().unwrap().ends_with(".tasks"), "{names:?}");
    }
    let later = run(&["run", "factorizer", "6", "7", "--cache-folder", path]);
    assert!(
        !later.assert_code(0).stderr.contains("warning"),
        "{}",
        later.stderr
    );
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
}
