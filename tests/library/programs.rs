//! Programs as tasks: command lines in, exit codes and output out.

use std::path::Path;
use std::process;
use std::time::Duration;

use serde_bytes::ByteBuf;
use wasmpool::{
    Capabilities, Child, Isolation, Output, Pool, Retry, TaskErrorKind, TaskModule, TaskOptions,
    TaskRefError, TaskState,
};

use crate::support::{Bench, LONG, within_long};

/// Runs `check` with the same program for each version of WASI: preview 1, 0.2 and 0.3.
pub(crate) fn for_each_program(pool: &Pool, check: impl Fn(&str, TaskModule)) {
    check(
        "programs_p1",
        pool.load(wasmpool_guests::PROGRAMS_P1.path()).unwrap(),
    );
    for_each_component(pool, check);
}

/// The same for those versions in which programs are components.
pub(crate) fn for_each_component(pool: &Pool, check: impl Fn(&str, TaskModule)) {
    for guest in [wasmpool_guests::PROGRAMS, wasmpool_guests::AWAITING] {
        check(guest.name, pool.load(guest.path()).unwrap());
    }
}

fn pool() -> Pool {
    Pool::builder().workers(1).build().unwrap()
}

fn start(pool: &Pool, module: &TaskModule, arguments: &[&str]) -> Child {
    let mut command = module.command().unwrap();
    command.args(arguments.iter().copied());
    command.spawn(pool).unwrap()
}

fn run(pool: &Pool, module: &TaskModule, arguments: &[&str]) -> Output {
    start(pool, module, arguments).wait().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_program_gets_its_arguments_environment_and_input() {
    let pool = pool();
    for_each_program(&pool, |name, module| {
        let mut command = module.command().unwrap();
        let output = command.arg("args").args(["", "a b", "ü"]).spawn(&pool);
        let output = output.unwrap().wait().unwrap();
        assert_eq!(text(&output.stdout), "program\nargs\n\na b\nü\n", "{name}");
        let renamed = command.arg0("wc").spawn(&pool).unwrap().wait().unwrap();
        assert!(renamed.stdout.starts_with(b"wc\nargs\n"), "{name}");

        let mut command = module.command().unwrap();
        command
            .arg("env")
            .env("A", "1")
            .env("B", "x=y")
            .env("A", "2");
        let output = command.spawn(&pool).unwrap().wait().unwrap();
        assert_eq!(text(&output.stdout), "A=2\nB=x=y\n", "{name}");

        // More than one read takes, and not text.
        let input = (0..1_000_000_u32).map(|n| n as u8).collect::<Vec<_>>();
        let mut command = module.command().unwrap();
        let output = command.arg("cat").stdin(input.clone()).spawn(&pool);
        let output = output.unwrap().wait().unwrap();
        assert!(output.status.success(), "{name}");
        assert!(output.stdout == input, "{name}: all bytes, in order");
    });
}

#[test]
fn each_run_has_an_instance_of_its_own() {
    let warm = Pool::builder().workers(1).isolation(Isolation::Worker);
    let pool = warm.build().unwrap();
    for_each_program(&pool, |name, module| {
        for input in ["one", "two words"] {
            let mut command = module.command().unwrap();
            let child = command.arg("count").stdin(input).spawn(&pool).unwrap();
            let output = child.wait().unwrap();
            let words = input.split(' ').count();
            let expected = format!("1 {words} {}\n", input.len());
            assert_eq!(text(&output.stdout), expected, "{name}");
            assert_eq!(child.task().report().unwrap().instance_age, 0, "{name}");
        }
    });
}

#[test]
fn an_exit_code_is_data_for_a_command_and_a_failure_for_a_task() {
    let pool = pool();
    for_each_program(&pool, |name, module| {
        // `wasm32-wasip2` knows only success and failure.
        let code = if name == "programs" { 1 } else { 42 };
        let child = start(&pool, &module, &["exit", "42"]);
        let output = child.wait().unwrap();
        assert_eq!(output.status.code(), code, "{name}");
        assert!(!output.status.success(), "{name}");
        assert_eq!(text(&output.stdout), "leaving\n", "{name}");
        assert_eq!(text(&output.stderr), "with 42\n", "{name}");

        let error = child.task().wait().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Exited(code), "{name}");
        assert_eq!(error.message(), format!("exited with code {code}"));
        assert_eq!(error.stderr(), "with 42\n", "{name}");
        assert_eq!(error.output(), Some(&output), "{name}");
        let report = child.task().report().unwrap();
        assert_eq!(report.stdout.text(), "leaving\n", "{name}");

        let output = run(&pool, &module, &["exit", "0"]);
        assert!(output.status.success(), "{name}");
        // An error that `main` returns.
        let output = run(&pool, &module, &["no-such-command"]);
        assert_eq!(output.status.code(), 1, "{name}");
        assert!(text(&output.stderr).starts_with("Error: \"no such command"));
    });
}

#[test]
fn a_panic_is_a_trap_in_the_words_of_the_program() {
    let pool = pool();
    for_each_program(&pool, |name, module| {
        let error = start(&pool, &module, &["panic"]).wait().unwrap_err();
        assert!(
            matches!(error.kind(), TaskErrorKind::Trap(_)),
            "{name}: {error:?}"
        );
        assert!(error.message().contains("told to"), "{name}: {error}");
        assert_eq!(error.output(), None, "{name}");
    });
}

#[test]
fn the_output_is_complete_up_to_its_limit() {
    let pool = Pool::builder()
        .workers(1)
        .output_limit(1000)
        .build()
        .unwrap();
    for_each_program(&pool, |name, module| {
        let child = start(&pool, &module, &["flood", "3000000"]);
        let output = child.wait().unwrap();
        assert_eq!(output.stdout.len(), 3_000_000, "{name}");
        assert_eq!(output.stderr.len(), 3_000_000, "{name}");
        // The report keeps the ends of the streams, as for all tasks.
        let report = child.task().report().unwrap();
        assert_eq!(
            (report.stdout.tail.len(), report.stdout.written),
            (1000, 3_000_000)
        );

        let mut command = module.command().unwrap();
        command.args(["flood", "60000"]).output_limit(120_000);
        assert_eq!(
            command.spawn(&pool).unwrap().wait().unwrap().stdout.len(),
            60_000
        );
        command.output_limit(119_999);
        let child = command.spawn(&pool).unwrap();
        let error = child.wait().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::OutputLimit, "{name}");
        assert_eq!(
            error.message(),
            "it printed more than 119999 bytes, the limit of a program's output"
        );
        assert_eq!(child.task().report().unwrap().stdout.tail, [b'x'; 1000]);
        // The next program succeeds.
        assert!(
            run(&pool, &module, &["count", "x"]).status.success(),
            "{name}"
        );
    });
}

#[test]
fn a_program_is_stopped_like_every_task() {
    let bench = Bench::with_workers(1);
    let pool = &bench.pool;
    for_each_program(pool, |name, module| {
        for endless in [&["spin"][..], &["sleep", "3600000"]] {
            let mut command = module.command().unwrap();
            command.args(endless.iter().copied());
            let killed = command.spawn(pool).unwrap();
            crate::support::wait_until_running(killed.task());
            assert!(killed.kill(), "{name}");
            assert_eq!(killed.wait().unwrap_err().kind(), TaskErrorKind::Cancelled);
            assert_eq!(killed.task().state(), TaskState::Done);

            let options = TaskOptions::new().task_timeout(Duration::from_millis(50));
            let late = command.options(options).spawn(pool).unwrap();
            let outcome = late.wait_timeout(LONG).expect("it is stopped");
            assert_eq!(
                outcome.unwrap_err().kind(),
                TaskErrorKind::TimedOut,
                "{name}"
            );
        }
        let mut command = module.command().unwrap();
        command.args(["allocate", "64"]);
        let options = TaskOptions::new().memory_limit(32 << 20);
        let error = command.options(options).spawn(pool).unwrap().wait();
        assert_eq!(
            error.unwrap_err().kind(),
            TaskErrorKind::MemoryLimit,
            "{name}"
        );
        bench.assert_healthy();
    });
}

#[test]
fn a_program_is_an_ordinary_task() {
    type Arguments = (Vec<String>, Vec<(String, String)>, Option<ByteBuf>);
    let pool = pool();
    for_each_program(&pool, |name, module| {
        let info = module.program().unwrap();
        assert_eq!(info.params, ["arguments", "environment", "stdin"]);
        let program = module.task::<Arguments, Output>(&info.name).unwrap();
        let command_line = |words: &[&str]| -> Arguments {
            let words = ["count"].iter().chain(words);
            let arguments = ["wc"].iter().chain(words).map(|word| word.to_string());
            (arguments.collect(), Vec::new(), None)
        };
        let inputs = [command_line(&["a"]), command_line(&["a b"])];
        let outputs = pool
            .map(&program, inputs)
            .map(|output| output.unwrap().stdout);
        let outputs = outputs.collect::<Vec<_>>();
        assert_eq!(outputs, [&b"1 1 1\n"[..], b"1 2 3\n"], "{name}");

        // Retried because of its exit code.
        let failing = module.task::<Arguments, Output>(&info.name).unwrap();
        let code = if name == "programs" { 1 } else { 9 };
        let options = TaskOptions::new().retry(Retry::times(2).on([TaskErrorKind::Exited(code)]));
        let arguments = ["wc", "exit", "9"].map(str::to_owned).to_vec();
        let failing = pool.submit(&failing.with(options), (arguments, Vec::new(), None));
        let failing = failing.unwrap();
        assert!(failing.wait().is_err());
        assert_eq!(failing.report().unwrap().attempts, 3, "{name}");
    });
}

#[test]
fn wrong_arguments_of_a_program_are_the_callers_fault() {
    let pool = pool();
    for_each_program(&pool, |name, module| {
        let program = module.task::<(u8, u8, u8), Output>("wasi:cli/run").unwrap();
        let error = pool
            .submit(&program, (1, 2, 3))
            .unwrap()
            .wait()
            .unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::BadArguments, "{name}: {error}");
    });
}

#[test]
fn an_output_can_be_awaited() {
    let pool = pool();
    for_each_program(&pool, |name, module| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut command = module.command().unwrap();
        command.args(["exit", "1"]);
        let output = runtime.block_on(command.output(&pool)).unwrap();
        assert_eq!(output.status.code(), 1, "{name}");
        let child = command.spawn(&pool).unwrap();
        assert_eq!(runtime.block_on(child).unwrap(), output, "{name}");
    });
}

#[test]
fn only_a_program_has_command_lines() {
    let bench = Bench::with_workers(1);
    assert_eq!(bench.factorizer.program(), None);
    let error = bench.factorizer.command().unwrap_err();
    assert!(matches!(error, TaskRefError::NoProgram { .. }));
    assert_eq!(
        error.to_string(),
        "the module is not a program: it exports no `wasi:cli/run`; its tasks are `factorize`, \
         `factorize_many`, `is_prime`"
    );
    for_each_program(&bench.pool, |name, module| {
        let program = module.task::<((), (), ()), Output>("wasi:cli/run").unwrap();
        let error = module.with_initializer(&program, ((), (), ())).unwrap_err();
        assert!(
            matches!(error, TaskRefError::ProgramAsInitializer { .. }),
            "{name}"
        );
    });
}

#[test]
fn a_core_module_comes_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let pool = || {
        let builder = Pool::builder().workers(1).cache_folder(folder.path());
        builder.build().unwrap()
    };
    let entries = || folder.path().read_dir().unwrap().count();
    let bytes = wasmpool_guests::PROGRAMS_P1.wasm;
    let first = pool();
    let module = first.load_bytes(bytes).unwrap();
    assert!(run(&first, &module, &["count", "x"]).status.success());
    let n_entries = entries();
    assert!(n_entries > 0);
    let second = pool();
    let module = second.load_bytes(bytes).unwrap();
    assert!(run(&second, &module, &["count", "x"]).status.success());
    assert_eq!(entries(), n_entries);
}

#[test]
fn a_program_without_imports_runs() {
    let pool = pool();
    let module = b"(module (memory (export \"memory\") 1) (func (export \"_start\")))";
    let module = pool.load_bytes(module).unwrap();
    assert_eq!(run(&pool, &module, &[]).stdout, b"");
}

/// A program built by other tools.
#[test]
fn a_program_in_c_runs_as_it_is() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-tasks/programs/count.c");
    let folder = tempfile::tempdir().unwrap();
    let built = folder.path().join("count.wasm");
    let compiler = process::Command::new("clang")
        .args(["--target=wasm32-wasi", "-O2", "-o"])
        .args([&built, &source])
        .output();
    match compiler {
        Ok(output) if output.status.success() => {}
        other => {
            eprintln!(
                "NOT TESTED: a program in C needs `clang`, `lld`, `wasi-libc` and \
                 `libclang-rt-14-dev-wasm32` (Debian's names): {other:?}"
            );
            return;
        }
    }
    let pool = pool();
    let module = pool.load(&built).unwrap();
    let mut command = module.command().unwrap();
    command.stdin("to be\nor not to be\n").env("COUNTED", "it");
    let output = command.spawn(&pool).unwrap().wait().unwrap();
    assert_eq!(text(&output.stdout), "2 6 19 it\n");

    std::fs::write(folder.path().join("text"), "one line\n").unwrap();
    let rights = Capabilities::new();
    let rights = rights.dir(folder.path(), "/data", wasmpool::Access::ReadOnly);
    let mut command = module.command().unwrap();
    command.arg("/data/text");
    let denied = command.spawn(&pool).unwrap().wait().unwrap();
    assert_eq!(denied.status.code(), 3);
    let granted = command.capabilities(rights.unwrap()).spawn(&pool).unwrap();
    assert_eq!(text(&granted.wait().unwrap().stdout), "1 2 9 -\n");
}

#[test]
fn killing_the_pool_ends_its_programs() {
    within_long(|| {
        let pool = pool();
        let path = wasmpool_guests::PROGRAMS_P1.path();
        let spinning = start(&pool, &pool.load(path).unwrap(), &["spin"]);
        crate::support::wait_until_running(spinning.task());
        drop(pool);
        assert_eq!(spinning.wait().unwrap_err().kind(), TaskErrorKind::ShutDown);
    });
}
