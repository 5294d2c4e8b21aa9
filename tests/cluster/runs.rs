//! `wasmpool run --cluster` prints what `wasmpool run` prints, whichever node runs a task.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use wasmpool_guests::{MISBEHAVING, PROGRAMS};

use super::processes::{NatsServer, NodeProcess};
use super::{connect, n_running, until};

fn wasmpool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmpool"));
    command.arg("run").args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    wasmpool(arguments).output().unwrap()
}

fn run_on(server: &NatsServer, arguments: &[&str]) -> Output {
    let url = server.url();
    let (options, inputs) = match arguments.iter().position(|part| *part == "--") {
        Some(end) => arguments.split_at(end),
        None => (arguments, &[][..]),
    };
    run(&[options, &["--cluster", &url], inputs].concat())
}

#[test]
fn a_run_on_a_cluster_prints_the_lines_of_a_run_on_this_machine() {
    let server = NatsServer::start();
    let _nodes = ["a", "b"].map(|name| NodeProcess::start(&server, name, &["--workers", "2"]));
    let misbehaving = MISBEHAVING.path().to_str().unwrap();
    let programs = PROGRAMS.path().to_str().unwrap();
    let numbers = (2..300).map(|n| n.to_string()).collect::<Vec<_>>();
    let numbers = numbers.iter().map(String::as_str);
    let check = |arguments: &[&str], code: i32| {
        let (here, there) = (run(arguments), run_on(&server, arguments));
        let lines = String::from_utf8(there.stdout).unwrap();
        assert_eq!(lines, String::from_utf8(here.stdout).unwrap());
        assert_eq!(
            (here.status.code(), there.status.code()),
            (Some(code), Some(code))
        );
    };
    check(
        &["factorizer"]
            .into_iter()
            .chain(numbers)
            .collect::<Vec<_>>(),
        0,
    );
    check(&["factorizer", "--invoke", "factorize(360)"], 2);
    check(
        &[misbehaving, "-t", "echo", "a", "\"b\"", "[1, 2]", "{}"],
        1,
    );
    check(
        &[misbehaving, "-t", "divide_by_zero", "0", "--retries", "2"],
        1,
    );
    check(&[misbehaving, "-t", "spin", "0", "--timeout", "50ms"], 1);
    check(
        &[
            misbehaving,
            "-t",
            "allocate",
            "1",
            "64",
            "--memory",
            "32MiB",
        ],
        1,
    );
    check(&[programs, "one line", "", "--stdin", "--", "count"], 0);
    check(&[programs, "7", "0", "--", "exit"], 1);
    check(&["factorizer", "--task", "no-such-task", "1"], 2);
    check(&["no-such-file.wasm", "1"], 3);
    assert_eq!(server.n_messages("WASMPOOL_TASKS"), 0);
}

#[test]
fn details_and_the_report_name_the_nodes() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let report = report.to_str().unwrap();
    let _node = NodeProcess::start(&server, "only", &["--workers", "3"]);
    let output = run_on(
        &server,
        &["factorizer", "360", "--details", "--report", report],
    );
    let line = serde_json::from_slice::<Value>(&output.stdout).unwrap();
    assert_eq!(line["report"]["node"], "only", "{line}");
    let report = serde_json::from_slice::<Value>(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(
        (&report["workers"], &report["ok"]),
        (&3.into(), &1.into()),
        "{report}"
    );
}

#[test]
fn an_interrupted_run_leaves_no_task_running() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let misbehaving = MISBEHAVING.path().to_str().unwrap();
    let url = server.url();
    let inputs = ["1", "3600000", "3600000"];
    let arguments = [
        &[misbehaving, "-t", "sleep", "--cluster", &url],
        &inputs[..],
    ]
    .concat();
    let mut child = wasmpool(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"index\":0,"), "{first}");
    let cluster = connect(&server);
    until("the second task runs", || n_running(&cluster) == 1);

    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(signal.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    until("the worker is free", || n_running(&cluster) == 0);
    assert_eq!(server.n_messages("WASMPOOL_TASKS"), 0);
}

#[test]
fn a_run_that_is_halted_soon_lets_running_tasks_end() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "2"]);
    let misbehaving = MISBEHAVING.path().to_str().unwrap();
    // Those that wait are far more than run at once.
    let inputs = ["1"; 500];
    let options = [
        misbehaving,
        "-t",
        "sleep",
        "--halt",
        "soon,done=1",
        "--quiet",
    ];
    let output = run_on(&server, &[&options[..], &inputs].concat());
    assert!(output.status.success(), "{output:?}");
    let n_lines = output.stdout.split(|byte| *byte == b'\n').count() - 1;
    assert!((1..500).contains(&n_lines), "{n_lines}");
    assert_eq!(server.n_messages("WASMPOOL_TASKS"), 0);
}

#[test]
fn what_is_for_the_nodes_to_say_is_refused() {
    for option in [
        "--workers=2",
        "--allow-tasks",
        "--isolation=worker",
        "--chunk=2",
    ] {
        let output = run(&["factorizer", "1", "--cluster", "nats://127.0.0.1:1", option]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        let name = option.split('=').next().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.contains("--cluster") && message.contains(name),
            "{message}"
        );
    }
    let output = run(&["factorizer", "1", "--at-most-once"]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["factorizer", "1", "--cluster", "nats://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("cannot connect to the NATS server"),
        "{message}"
    );
}
