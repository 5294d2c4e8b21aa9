//! Runs on hosts that give little: addresses, descriptors, a home. They go on with what there is and
//! say so once, or end with one error that names the limit.

use std::fs;
use std::process::{Command, Output};

use super::{Run, misbehaving};

/// What 2 workers are far from reserving their memories with, and what is enough for them to run.
const KIB: [&str; 7] = [
    "67108864", "16777216", "8388608", "4194304", "4000000", "2097152", "1048576",
];

/// What a run says where memories cannot be reserved.
const WARNING: &str = "warning: tasks start";

fn programs() -> &'static str {
    wasmpool_guests::PROGRAMS.path().to_str().unwrap()
}

/// The program with these arguments, after `ulimit` with these.
fn limited(ulimit: &str, args: &[&str]) -> Run {
    Run::of(limited_output(ulimit, args))
}

fn limited_output(ulimit: &str, args: &[&str]) -> Output {
    let script = format!("ulimit {ulimit}; exec \"$@\"");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_wasmpool")]);
    // What the shell of a developer asks for would be one more thing on standard error.
    shell
        .args(args)
        .env_remove("RUST_BACKTRACE")
        .env_remove("MALLOC_ARENA_MAX");
    shell.output().unwrap()
}

#[track_caller]
fn assert_one_warning(run: &Run, warning: &str) {
    run.assert_stderr(warning);
    assert_eq!(run.stderr.matches("warning").count(), 1, "{}", run.stderr);
}

/// A run that ended before its first task, with an error in one line.
#[track_caller]
fn assert_one_error(run: &Run, text: &str) {
    run.assert_code(3).assert_stderr(text);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn tasks_run_within_each_limit_of_addresses_and_that_is_said_once() {
    for kib in KIB {
        for isolation in ["task", "worker"] {
            let run = limited(
                &format!("-v {kib}"),
                &[
                    "run",
                    "factorizer",
                    "-w",
                    "2",
                    "--isolation",
                    isolation,
                    "6",
                    "7",
                    "360",
                ],
            );
            assert_eq!(run.assert_code(0).lines().len(), 3, "{kib}");
            assert_one_warning(&run, WARNING);
            run.assert_stderr("(`ulimit -v`)");
        }
    }
}

#[test]
fn modules_are_compiled_within_a_limit_of_addresses() {
    for kib in ["4000000", "1048576"] {
        let run = limited(
            &format!("-v {kib}"),
            &["run", misbehaving(), "--no-cache", "-t", "sleep", "1"],
        );
        run.assert_code(0);
    }
}

#[test]
fn quiet_runs_do_not_mention_the_limit_of_addresses() {
    let args = ["run", "factorizer", "-w", "2", "--quiet", "6"];
    assert_eq!(limited("-v 4000000", &args).assert_code(0).stderr, "");
}

#[test]
fn a_memory_without_a_reservation_grows_to_its_limit_and_no_further() {
    let of = |mebibytes| {
        let args = [
            "run",
            programs(),
            "-w",
            "2",
            "--memory",
            "128MiB",
            "--",
            "allocate",
            mebibytes,
        ];
        limited("-v 1048576", &args)
    };
    of("100").assert_code(0);
    let refused = of("200");
    let line = &refused.assert_code(1).lines()[0];
    assert_eq!(line["error"]["kind"], "memory-limit", "{line}");
}

#[test]
fn many_tasks_that_wait_share_few_addresses() {
    let sleeps = vec!["20"; 300];
    let args = ["run", misbehaving(), "-t", "sleep", "-w", "2"];
    let args = [&args[..], &["--max-suspended", "2000"], &sleeps].concat();
    let run = limited("-v 1048576", &args);
    assert_eq!(run.assert_code(0).lines().len(), 300);
    assert_one_warning(
        &run,
        "of 2000 tasks that may be suspended at once there is room for",
    );
}

/// What threads would reserve for their allocations is left to the tasks.
#[cfg(target_env = "gnu")]
#[test]
fn with_fewer_arenas_less_is_enough() {
    let args = [
        "run",
        misbehaving(),
        "--no-cache",
        "-t",
        "sleep",
        "-w",
        "2",
        "5",
        "5",
        "5",
    ];
    let refused = limited("-v 500000", &args);
    assert_one_error(&refused, "`MALLOC_ARENA_MAX=1`");
    let run = limited("-v 500000; export MALLOC_ARENA_MAX=1", &args);
    assert_eq!(run.assert_code(0).lines().len(), 3);
}

#[test]
fn too_few_addresses_are_one_error_before_the_first_task() {
    let run = limited("-v 200000", &["run", "factorizer", "-w", "2", "6", "7"]);
    assert_one_error(&run, "limited to 195 MiB (`ulimit -v`)");
    run.assert_stderr("raise the limit, or ask for fewer workers");
}

#[test]
fn native_code_for_other_reservations_is_refused_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let code = folder.path().join("factorizer.cwasm");
    let code = code.to_str().unwrap();
    let compile = ["compile", "factorizer", "-o", code];
    let run_it = ["run", "--trusted-cwasm", code, "-w", "2", "6"];
    let limit = "-v 4000000";

    limited("-c 0", &compile).assert_code(0);
    limited("-c 0", &run_it).assert_code(0);
    let refused = limited(limit, &run_it);
    refused.assert_code(3).assert_stderr("(`ulimit -v`)");
    refused.assert_stderr("or compile it within the same limit");

    fs::remove_file(code).unwrap();
    limited(limit, &compile).assert_code(0);
    limited(limit, &run_it).assert_code(0);
}

#[test]
fn tasks_run_with_few_descriptors() {
    for descriptors in ["1024", "64", "20", "12"] {
        let run = limited(&format!("-n {descriptors}"), &["run", "factorizer", "6"]);
        assert_eq!(run.assert_code(0).lines().len(), 1);
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    }
}

/// Which step fails depends on how many are left.
#[test]
fn too_few_descriptors_are_one_error_that_names_the_limit() {
    for descriptors in 5..=8 {
        let args = ["run", "factorizer", "6"];
        let run = limited(&format!("-n {descriptors}"), &args);
        assert_one_error(&run, "`ulimit -n`");
    }
}

#[test]
fn a_file_that_cannot_be_opened_for_want_of_descriptors_is_the_guest_s_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "text").unwrap();
    let grant = format!("{}::/dir", folder.path().display());
    let run_it = |descriptors: u32| {
        let args = ["run", programs(), "-w", "1", "--dir", &grant];
        let program = ["--", "read", "/dir/file"];
        limited(
            &format!("-n {descriptors}"),
            &[&args[..], &program].concat(),
        )
    };
    let ends = (9..=24).map(run_it).collect::<Vec<_>>();
    for run in &ends {
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
    // With the fewest the run does not begin, with more its task fails, with enough it succeeds.
    let codes = ends.iter().map(|run| run.code).collect::<Vec<_>>();
    assert_eq!(
        codes.last(),
        Some(&Some(0)),
        "{}",
        ends.last().unwrap().stderr
    );
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 1 | 3))) && codes.contains(&Some(1)),
        "{codes:?}"
    );
}

#[test]
fn without_a_home_a_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let run_in = |home: Option<&str>| {
        let mut program = super::wasmpool(&["run", "factorizer", "6"]);
        program.env_remove("XDG_CACHE_HOME").env_remove("HOME");
        if let Some(home) = home {
            program.env("HOME", home);
        }
        Run::of(program.output().unwrap())
    };
    assert_eq!(run_in(None).assert_code(0).lines().len(), 1);
    // Nobody can make a folder there.
    for home in [file.to_str().unwrap(), "/proc/no/such/home"] {
        let run = run_in(Some(home));
        assert_eq!(run.assert_code(0).lines().len(), 1);
        assert_one_warning(
            &run,
            &format!("warning: the cache `{home}/.cache/wasmpool` is not used"),
        );
    }
}
