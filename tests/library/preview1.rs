//! Programs for WASI preview 1: core modules, which run unchanged. Tests for programs of both
//! versions are in `programs`.

use std::time::{Duration, UNIX_EPOCH};

use serde_bytes::ByteBuf;
use wasmpool::{Access, Capabilities, LoadError, Output, Pool, TaskErrorKind, TaskOptions};

use crate::support::{LONG, within_long};

fn pool() -> Pool {
    Pool::builder().workers(1).no_cache().build().unwrap()
}

/// The functions that the programs here import. Each program begins with these imports.
const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get"
        (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
"#;

fn program(text: &str) -> String {
    format!("(module {IMPORTS} {text})")
}

/// Runs a program with these rights.
fn run_with(pool: &Pool, text: &str, rights: Capabilities) -> Output {
    let module = pool.load_bytes(text.as_bytes()).unwrap();
    let mut command = module.command().unwrap();
    let child = command.capabilities(rights).spawn(pool).unwrap();
    child.wait().unwrap()
}

fn run(pool: &Pool, text: &str) -> Output {
    run_with(pool, text, Capabilities::new())
}

/// A program that uses all of its memory and expects it to grow contiguously. It exits with 0 if
/// nothing else has written there.
#[test]
fn the_memory_is_the_program_s_own() {
    let pool = pool();
    for pages in [1, 3, 100] {
        let text = program(&format!(
            r#"(memory (export "memory") {pages})
            (data (i32.const 64) "\40\01\00\00\05\00\00\00")
            (data (i32.const 320) "hello")
            (func $call (drop (call $args (i32.const 0) (i32.const 4)))
                (drop (call $environ (i32.const 0) (i32.const 4)))
                (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 8)))
                (drop (call $random (i32.const 16) (i32.const 32)))
                (drop (call $prestat (i32.const 3) (i32.const 80)))
                (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 96))))
            (func (export "_start") (local $at i32) (local $end i32)
                (local.set $end (i32.mul (memory.size) (i32.const 65536)))
                (memory.fill (i32.const 1024) (i32.const 0xAA)
                    (i32.sub (local.get $end) (i32.const 1024)))
                (call $call)
                (if (i32.ne (memory.grow (i32.const 1)) (i32.const {pages}))
                    (then (call $exit (i32.const 1))))
                (call $call)
                (local.set $at (i32.const 1024))
                (loop $next
                    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0xAA))
                        (then (call $exit (i32.const 2))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
                (loop $next
                    (if (i32.load8_u (local.get $at)) (then (call $exit (i32.const 3))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at)
                        (i32.mul (memory.size) (i32.const 65536))))))"#
        ));
        let output = run(&pool, &text);
        assert_eq!(output.status.code(), 0, "{pages} pages");
        assert_eq!(output.stdout, b"hellohello", "{pages} pages");
    }
}

#[test]
fn a_program_may_have_a_memory_that_cannot_grow() {
    let text = program(
        r#"(memory (export "memory") 1 1)
        (data (i32.const 0) "\08\00\00\00\02\00\00\00ok")
        (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))"#,
    );
    assert_eq!(run(&pool(), &text).stdout, b"ok");
}

#[test]
fn a_start_section_may_call_the_host() {
    let text = program(
        r#"(memory (export "memory") 1)
        (data (i32.const 0) "\08\00\00\00\02\00\00\00ok")
        (func $print
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
        (start $print)
        (func (export "_start") (call $print))"#,
    );
    assert_eq!(run(&pool(), &text).stdout, b"okok");
}

/// Errno 8 is `badf` in the standard.
#[test]
fn an_empty_write_to_a_closed_descriptor_fails() {
    let pool = pool();
    for (descriptor, expected) in [(1, 0), (2, 0), (9, 8)] {
        let text = program(&format!(
            r#"(memory (export "memory") 1)
            (func (export "_start") (call $exit
                (call $write (i32.const {descriptor}) (i32.const 0) (i32.const 0) (i32.const 16))))"#
        ));
        assert_eq!(run(&pool, &text).status.code(), expected, "{descriptor}");
    }
}

#[test]
fn exit_codes_have_32_bits() {
    let pool = pool();
    for code in [0, 1, 125, 126, 255, 256, 1000, 65_536, i32::MAX, -1] {
        let text = program(&format!(
            r#"(memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code})))"#
        ));
        let output = run(&pool, &text);
        assert_eq!(output.status.code(), code);
        assert_eq!(output.status.success(), code == 0);
        let module = pool.load_bytes(text.as_bytes()).unwrap();
        type Arguments = (Vec<String>, Vec<(String, String)>, Option<ByteBuf>);
        let task = module.task::<Arguments, Output>("wasi:cli/run").unwrap();
        let nothing = (Vec::new(), Vec::new(), None);
        let outcome = pool.submit(&task, nothing).unwrap().wait();
        let expected = (code != 0).then_some(TaskErrorKind::Exited(code));
        assert_eq!(outcome.err().map(|error| error.kind()), expected, "{code}");
    }
}

#[test]
fn hundreds_of_files_may_be_open_and_thousands_are_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "").unwrap();
    let rights = Capabilities::new();
    let rights = rights.dir(folder.path(), "/d", Access::ReadOnly).unwrap();
    let pool = pool();
    // Exits with the number of opened files.
    let open = |files: u32| {
        let text = program(&format!(
            r#"(memory (export "memory") 1)
            (data (i32.const 0) "f")
            (func (export "_start") (local $opened i32)
                (loop $next
                    (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1)
                            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))
                        (then (call $exit (local.get $opened))))
                    (local.set $opened (i32.add (local.get $opened) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $opened) (i32.const {files}))))
                (call $exit (local.get $opened)))"#
        ));
        let module = pool.load_bytes(text.as_bytes()).unwrap();
        let mut command = module.command().unwrap();
        command.capabilities(rights.clone());
        command.spawn(&pool).unwrap().wait()
    };
    assert_eq!(open(500).unwrap().status.code(), 500);
    let error = open(2_000).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::HandleLimit, "{error}");
}

/// The errors are those of the standard: 8 is `badf`, 21 `fault`, 37 `nametoolong`, 54 `notdir`, 63
/// `perm`.
#[test]
fn special_files_are_not_opened_in_whichever_directory() {
    let pool = pool();
    for version in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let folder = tempfile::tempdir().unwrap();
        let sub = folder.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        std::fs::write(sub.join("file"), "open").unwrap();
        let fifo = sub.join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let rights = Capabilities::new();
        let rights = rights.dir(folder.path(), "/d", Access::ReadWrite).unwrap();
        let text = format!(
            r#"(module
            (import "{version}" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "{version}" "path_filestat_set_times"
                (func $times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
            (import "{version}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "{version}" "fd_close" (func $close (param i32) (result i32)))
            (import "{version}" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
            (import "{version}" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\40\00\00\00\04\00\00\00")
            (data (i32.const 100) "sub/fifo")
            (data (i32.const 200) "file")
            (func $expect (param $step i32) (param $got i32) (param $expected i32)
                (if (i32.ne (local.get $got) (local.get $expected))
                    (then (call $exit (local.get $step)))))
            (func $open_at (param $dir i32) (param $path i32) (param $length i32) (result i32)
                (call $open (local.get $dir) (i32.const 1) (local.get $path) (local.get $length)
                    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
            (func $sub (param $dir i32) (result i32)
                (call $open_at (local.get $dir) (i32.const 100) (i32.const 3)))
            (func $fifo (param $dir i32) (result i32)
                (call $open_at (local.get $dir) (i32.const 104) (i32.const 4)))
            (func $file (param $dir i32) (result i32)
                (call $open_at (local.get $dir) (i32.const 200) (i32.const 4)))
            (func (export "_start") (local $dir i32) (local $file i32)
                (call $expect (i32.const 1) (i32.const 63)
                    (call $open_at (i32.const 3) (i32.const 100) (i32.const 8)))
                (call $expect (i32.const 2) (i32.const 0) (call $sub (i32.const 3)))
                (local.set $dir (i32.load (i32.const 8)))
                (call $expect (i32.const 3) (i32.const 63) (call $fifo (local.get $dir)))
                (call $expect (i32.const 4) (i32.const 0) (call $file (local.get $dir)))
                (local.set $file (i32.load (i32.const 8)))
                (call $expect (i32.const 5) (i32.const 0)
                    (call $read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 16)))
                (call $expect (i32.const 6) (i32.load (i32.const 64)) (i32.const 0x6e65706f))
                (call $expect (i32.const 7) (i32.const 54) (call $file (local.get $file)))
                ;; The directory takes the number of the file.
                (call $expect (i32.const 8) (i32.const 0)
                    (call $renumber (local.get $dir) (local.get $file)))
                (call $expect (i32.const 9) (i32.const 8) (call $file (local.get $dir)))
                (call $expect (i32.const 10) (i32.const 63) (call $fifo (local.get $file)))
                (call $expect (i32.const 11) (i32.const 0)
                    (call $renumber (local.get $file) (local.get $file)))
                (call $expect (i32.const 12) (i32.const 0) (call $file (local.get $file)))
                (call $expect (i32.const 13) (i32.const 0) (call $close (local.get $file)))
                (call $expect (i32.const 14) (i32.const 8) (call $file (local.get $file)))
                ;; Its times can be set: that does not open it.
                (call $expect (i32.const 15) (i32.const 0)
                    (call $times (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 8)
                        (i64.const 0) (i64.const 5000000000) (i32.const 4)))
                (call $expect (i32.const 16) (i32.const 21)
                    (call $open_at (i32.const 3) (i32.const 65535) (i32.const 8)))
                (call $expect (i32.const 17) (i32.const 37)
                    (call $open_at (i32.const 3) (i32.const 0) (i32.const 65536)))
                (call $expect (i32.const 18) (i32.const 8) (call $file (i32.const 77)))
                (call $expect (i32.const 19) (i32.const 54) (call $file (i32.const 0)))))"#
        );
        let module = pool.load_bytes(text.as_bytes()).unwrap();
        let mut command = module.command().unwrap();
        let child = command.capabilities(rights).spawn(&pool).unwrap();
        let outcome = child.wait_timeout(LONG).expect("nobody waits for it");
        let output = outcome.unwrap();
        assert_eq!(output.status.code(), 0, "{version}: this step failed");
        let report = child.task().report().unwrap();
        let expected = ["open `/d/sub/fifo`, a FIFO", "open `fifo`, a FIFO"];
        assert_eq!(report.refused, expected, "{version}");
        let modified = std::fs::metadata(fifo).unwrap().modified().unwrap();
        assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(5), "{version}");
    }
}

#[test]
fn arguments_and_variables_may_be_megabytes() {
    let pool = pool();
    let module = pool.load_bytes(wasmpool_guests::PROGRAMS_P1.wasm).unwrap();
    let word = "x".repeat(2_000_000);
    let mut command = module.command().unwrap();
    command.args(["count", &word, &word]).env("WORD", &word);
    let output = command.spawn(&pool).unwrap().wait().unwrap();
    assert_eq!(output.stdout, b"1 2 4000001\n");
    let mut command = module.command().unwrap();
    let output = command.arg("env").env("WORD", &word).spawn(&pool).unwrap();
    let output = output.wait().unwrap();
    assert_eq!(output.stdout, format!("WORD={word}\n").as_bytes());
}

#[test]
fn the_version_before_preview_1_runs_as_well() {
    let text = r#"(module
        (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\08\00\00\00\02\00\00\00ok")
        (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
            (call $exit (i32.const 1000))))"#;
    let output = run(&pool(), text);
    assert_eq!((&*output.stdout, output.status.code()), (&b"ok"[..], 1000));
}

/// Sleeps for a day, in both versions, by a clock that begins now.
#[test]
fn a_program_that_only_sleeps_is_stopped() {
    within_long(|| {
        let pool = pool();
        // The offsets of the flag, the clock id and the time in a subscription.
        for (wasi, clock, time) in [
            ("wasi_snapshot_preview1", 16, 24),
            ("wasi_unstable", 24, 32),
        ] {
            let text = format!(
                r#"(module
                (import "{wasi}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "_start")
                    (i32.store (i32.const {clock}) (i32.const 1))
                    (i64.store (i32.const {time}) (i64.const 86400000000000))
                    (if (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256))
                        (then unreachable))))"#
            );
            let module = pool.load_bytes(text.as_bytes()).unwrap();
            let mut command = module.command().unwrap();
            let options = TaskOptions::new().task_timeout(Duration::from_millis(20));
            let child = command.options(options).spawn(&pool).unwrap();
            let error = child.wait().unwrap_err();
            assert_eq!(error.kind(), TaskErrorKind::TimedOut, "{wasi}: {error}");
        }
    });
}

/// A deterministic program waits for three timers: one hour on the monotonic clock, two hours on
/// the wall clock, and half an hour from now. The last fires first, alone, and advances the clock
/// by half an hour.
#[test]
fn a_deterministic_program_gets_its_earliest_timer_first() {
    let pool = pool();
    for (wasi, size, clock) in [
        ("wasi_snapshot_preview1", 48, 16),
        ("wasi_unstable", 56, 24),
    ] {
        let time = |subscription, id: u32, timeout: u64, flags: u32| {
            let begin = subscription * size;
            format!(
                "(i64.store (i32.const {begin}) (i64.const {subscription}))
                (i32.store (i32.const {}) (i32.const {id}))
                (i64.store (i32.const {}) (i64.const {timeout}))
                (i32.store16 (i32.const {}) (i32.const {flags}))",
                begin + clock,
                begin + clock + 8,
                begin + clock + 24,
            )
        };
        let (half_an_hour, year_2000) = (1_800_000_000_000, 946_684_800_000_000_000);
        let text = format!(
            r#"(module
            (import "{wasi}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "{wasi}" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func $now (result i64)
                (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1024)))
                (i64.load (i32.const 1024)))
            (func (export "_start") (local $began i64)
                {} {} {}
                (local.set $began (call $now))
                (if (call $poll (i32.const 0) (i32.const 256) (i32.const 3) (i32.const 512))
                    (then unreachable))
                (if (i32.ne (i32.load (i32.const 512)) (i32.const 1)) (then unreachable))
                (if (i64.ne (i64.load (i32.const 256)) (i64.const 2)) (then unreachable))
                (if (i64.ne (i64.sub (call $now) (local.get $began)) (i64.const {half_an_hour}))
                    (then unreachable))))"#,
            time(0, 1, 2 * half_an_hour, 0),
            time(1, 0, year_2000 + 4 * half_an_hour, 1),
            time(2, 1, half_an_hour, 0),
        );
        let rights = Capabilities::new().deterministic(1);
        let output = run_with(&pool, &text, rights);
        assert_eq!(output.status.code(), 0, "{wasi}");
    }
}

#[test]
fn a_core_module_that_is_not_a_program_offers_its_functions_of_numbers() {
    let pool = pool();
    let module = pool
        .load_bytes(
            b"(module
                (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $yield (result i32)))
                (memory (export \"memory\") 1)
                (global $calls (mut i32) (i32.const 0))
                (func (export \"_initialize\")
                    (global.set $calls (i32.add (i32.const 100) (call $yield))))
                (func (export \"add\") (param i32 i32) (result i32)
                    (i32.add (local.get 0) (local.get 1)))
                (func (export \"halve\") (param f32) (result f32)
                    (f32.div (local.get 0) (f32.const 2)))
                (func (export \"all\") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
                    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
                (func (export \"calls\") (result i32)
                    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                    (global.get $calls))
                (func (export \"nothing\"))
                (func (export \"refused\") (param v128)))",
        )
        .unwrap();
    let names = module.tasks().iter().map(|task| {
        let signature = task.signature.as_ref().unwrap();
        format!("{}: {signature}", task.name)
    });
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "add: func(p0: s32, p1: s32) -> s32",
            "halve: func(p0: f32) -> f32",
            "all: func(p0: s32, p1: s64, p2: f32, p3: f64) -> tuple<f64, f32, s64, s32>",
            "calls: func() -> s32",
            "nothing: func()",
        ]
    );
    let [refused] = module.uncallable() else {
        panic!("{:?}", module.uncallable());
    };
    assert_eq!(refused.name, "refused");

    let add = module.task::<(i32, i32), i32>("add").unwrap();
    let sums = [(1, 2), (-1, -2), (i32::MAX, 1)].map(|(a, b)| {
        let sum = pool.submit(&add, (a, b)).unwrap();
        sum.wait().unwrap()
    });
    assert_eq!(sums, [3, -3, i32::MIN]);
    let halve = module.task::<(f32,), f32>("halve").unwrap();
    assert_eq!(pool.submit(&halve, (0.2,)).unwrap().wait().unwrap(), 0.1);
    type All = (f64, f32, i64, i32);
    let all = module.task::<(i32, i64, f32, f64), All>("all").unwrap();
    let outcome = pool.submit(&all, (-1, i64::MIN, 0.1, -0.0)).unwrap().wait();
    assert_eq!(outcome.unwrap(), (-0.0, 0.1, i64::MIN, -1));
    // `_initialize` is called first and once in each instance.
    let calls = module.task::<(), i32>("calls").unwrap();
    for _ in 0..2 {
        assert_eq!(pool.submit(&calls, ()).unwrap().wait().unwrap(), 101);
    }
    let nothing = module.task::<(), ()>("nothing").unwrap();
    pool.submit(&nothing, ()).unwrap().wait().unwrap();
}

#[test]
fn modules_may_have_several_memories_and_tables_or_none() {
    let pool = pool();
    for items in [
        "",
        "(memory 1) (memory 1) (memory 1) (memory 1)",
        "(memory i64 1)",
        "(table 1 funcref) (table 1 funcref) (table 1 funcref)",
    ] {
        let text = format!("(module {items} (func (export \"_start\")))");
        assert!(run(&pool, &text).status.success(), "{items}");
    }
    // Valid modules that exceed what is supported are reported as such.
    for items in [
        "(memory 1) (memory 1) (memory 1) (memory 1) (memory 1)",
        "(memory 1 1 shared)",
        "(tag)",
        "(type (struct))",
    ] {
        let text = format!("(module {items} (func (export \"_start\")))");
        let error = pool.load_bytes(text.as_bytes()).unwrap_err();
        assert!(matches!(error, LoadError::Unsupported(_)), "{error:?}");
    }
}

#[test]
fn a_start_function_with_parameters_is_refused() {
    let error = pool()
        .load_bytes(b"(module (func (export \"_start\") (param i32)))")
        .unwrap_err();
    assert!(matches!(error, LoadError::CoreModule { .. }), "{error:?}");
    assert!(error.to_string().contains("`_start`"), "{error}");
}

#[test]
#[allow(unsafe_code)]
fn a_program_can_be_compiled_ahead_of_time() {
    let pool = pool();
    let code = pool.precompile(wasmpool_guests::PROGRAMS_P1.wasm).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("programs.cwasm");
    std::fs::write(&path, code).unwrap();
    // SAFETY: the file was made by `precompile`.
    let module = unsafe { pool.load_precompiled(&path) }.unwrap();
    let mut command = module.command().unwrap();
    let output = command.args(["count", "a b"]).spawn(&pool).unwrap();
    assert_eq!(output.wait().unwrap().stdout, b"1 2 3\n");
}
