//! Tests of the program `wasmpool` through its command line.

mod bench;
mod cache;
mod children;
mod docs;
#[cfg(target_os = "linux")]
mod ending;
mod functions;
mod halting;
mod http;
mod inputs;
#[cfg(target_os = "linux")]
#[path = "../library/lease.rs"]
mod lease;
#[cfg(target_os = "linux")]
mod limited_hosts;
mod new;
mod packages;
mod resuming;
mod sessions;
mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than any step takes on a busy machine. Only used as an upper bound.
const LONG: Duration = Duration::from_secs(60);

fn wasmpool(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmpool"));
    command.args(args);
    command
}

/// The arguments of a run whose tasks sleep, and keep their worker while they do.
fn sleeping_on_workers(n_workers: &str) -> [&str; 8] {
    [
        "run",
        misbehaving(),
        "-t",
        "sleep",
        "-w",
        n_workers,
        "--max-suspended",
        "0",
    ]
}

fn run(args: &[&str]) -> Run {
    Run::of(wasmpool(args).output().unwrap())
}

fn run_with_input(args: &[&str], input: &str) -> Run {
    let mut child = start(args);
    let mut stdin = child.stdin.take().unwrap();
    // On a thread of its own, since the program writes before it has read everything.
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    Run::of(output)
}

/// As `run_with_input`, for a program that may close its input early.
fn run_with_input_until_closed(args: &[&str], input: &str) -> Run {
    let mut child = start(args);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Run::of(output)
}

/// Starts the program with pipes for all of its streams.
fn start(args: &[&str]) -> Child {
    wasmpool(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The outcome of a run.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[track_caller]
    fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn assert_stdout(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text),
            "`{text}` is not in: {}",
            self.stdout
        );
        self
    }

    #[track_caller]
    fn assert_stderr(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "`{text}` is not in: {}",
            self.stderr
        );
        self
    }
}

fn misbehaving() -> &'static str {
    wasmpool_guests::MISBEHAVING.path().to_str().unwrap()
}

fn tour() -> &'static str {
    wasmpool_guests::TOUR.path().to_str().unwrap()
}

#[test]
fn inputs_become_lines_in_their_order() {
    let run = run(&[
        "run",
        "factorizer",
        "360",
        "97",
        "0",
        "18446744073709551615",
    ]);
    assert_eq!(
        run.assert_code(0).stdout,
        "{\"index\":0,\"input\":360,\"output\":[2,2,2,3,3,5]}\n\
         {\"index\":1,\"input\":97,\"output\":[97]}\n\
         {\"index\":2,\"input\":0,\"output\":[]}\n\
         {\"index\":3,\"input\":18446744073709551615,\"output\":[3,5,17,257,641,65537,6700417]}\n"
    );
    run.assert_stderr("4 tasks: 4 ok in ");
}

#[test]
fn ten_thousand_factorizations_match_an_independent_computation() {
    let mut numbers = vec![0, 1, 2, 3, 4, u64::MAX, u64::MAX - 1];
    // Primes and their neighbours near 2^32, the largest prime below 2^32, a prime near 2^63, and
    // the square of a large prime. The last two take longest.
    numbers.extend((1 << 32) - 20..(1 << 32) + 20_u64);
    numbers.extend([9_223_372_036_854_775_783, 4_294_967_291 * 4_294_967_291]);
    numbers.extend(
        (0..)
            .map(|n: u64| n * n * 1_009 + 7)
            .take(10_000 - numbers.len()),
    );
    let input = numbers.iter().map(|n| format!("{n}\n")).collect::<String>();
    let run = run_with_input(&["run", "factorizer", "--input", "-"], &input);
    run.assert_code(0);
    let lines = run.lines();
    assert_eq!(lines.len(), 10_000);
    for ((index, n), line) in numbers.iter().enumerate().zip(&lines) {
        assert_eq!((&line["index"], &line["input"]), (&json!(index), &json!(n)));
        let factors: Vec<u64> = serde_json::from_value(line["output"].clone()).unwrap();
        let product = factors
            .iter()
            .try_fold(1_u64, |product, f| product.checked_mul(*f));
        assert_eq!(product, Some((*n).max(1)), "{n}: {factors:?}");
        assert!(
            factors.is_sorted() && factors.iter().all(|&f| is_prime(f)),
            "{n}: {factors:?}"
        );
    }
}

/// The Miller-Rabin test, which is exact for 64 bits with these bases.
fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 || BASES.iter().any(|&base| n.is_multiple_of(base)) {
        return BASES.contains(&n);
    }
    let modulus = u128::from(n);
    let power = |base: u64, mut exponent: u64| {
        let (mut base, mut result) = (u128::from(base), 1);
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result * base % modulus;
            }
            base = base * base % modulus;
            exponent /= 2;
        }
        result
    };
    let twos = (n - 1).trailing_zeros();
    BASES.iter().all(|&base| {
        let first = power(base, (n - 1) >> twos);
        let squares = std::iter::successors(Some(first), |x| Some(x * x % modulus));
        first == 1 || squares.take(twos as usize).any(|x| x == modulus - 1)
    })
}

#[test]
fn a_timeout_is_its_task_s_error_and_comes_in_time() {
    for (task, argument) in [("spin", "1"), ("sleep", "600000")] {
        let started = Instant::now();
        let run = run(&[
            "run",
            misbehaving(),
            "-t",
            task,
            argument,
            "--timeout",
            "200ms",
        ]);
        let took = started.elapsed();
        let line = &run.assert_code(1).lines()[0];
        assert_eq!(line["error"]["kind"], "timed-out");
        assert_eq!(
            line["error"]["message"],
            "timed out: it ran longer than 200ms"
        );
        assert!(
            (Duration::from_millis(200)..LONG).contains(&took),
            "{took:?}"
        );
        run.assert_stderr("1 task: 0 ok, 1 timed out in ");
    }
}

#[test]
fn every_failure_is_a_line_and_the_others_run() {
    let run = run(&["run", misbehaving(), "-t", "fail", "\"one\"", "two", "3"]);
    let lines = run.assert_code(1).lines();
    assert_eq!(
        lines[0]["error"],
        json!({"kind": "failed", "message": "one", "code": "as-told"})
    );
    assert_eq!(lines[1]["input"], "two", "what is not JSON is text");
    assert_eq!(lines[1]["error"]["message"], "two");
    assert_eq!(lines[2]["error"]["kind"], "bad-arguments");
    run.assert_stderr("3 tasks: 0 ok, 1 bad arguments, 2 failed in ");
}

#[test]
fn a_panic_s_message_is_in_its_line() {
    let run = run(&["run", misbehaving(), "-t", "panic", "\"out of cheese\""]);
    let error = &run.assert_code(1).lines()[0]["error"];
    assert_eq!(error["kind"], "trap");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .ends_with("out of cheese"),
        "{error}"
    );
    assert!(error.get("backtrace").is_none());
}

#[test]
fn details_have_resource_usage_and_backtrace() {
    let run = run(&["run", "--details", tour(), "-t", "print", "\"hello\""]);
    let report = &run.assert_code(0).lines()[0]["report"];
    assert_eq!(report["stdout"], "hello\n");
    assert!(report["peak_memory"].as_u64().unwrap() > 0 && report["ran_ms"].is_f64());

    let run = self::run(&["run", "--details", misbehaving(), "-t", "unreachable", "1"]);
    let backtrace = &run.assert_code(1).lines()[0]["error"]["backtrace"];
    let has_frame = |frame: &Value| frame["function"].as_str().unwrap().contains("unreachable");
    assert!(
        backtrace.as_array().unwrap().iter().any(has_frame),
        "{backtrace}"
    );
}

#[test]
fn an_unusable_cache_is_reported_once_and_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    fs::write(&file, "mine").unwrap();
    let file = file.to_str().unwrap();
    let args = ["run", "factorizer", "6", "7", "--cache-folder", file];
    let run = run(&args);
    assert_eq!(run.assert_code(0).lines().len(), 2);
    let warning = format!("warning: the cache `{file}` is not used: it is not a folder");
    assert_eq!(run.stderr.matches(&warning).count(), 1, "{}", run.stderr);
    let quiet = self::run(&[&args[..], &["--quiet"]].concat());
    assert_eq!(quiet.assert_code(0).stderr, "");
}

/// Code with line numbers has a cache entry of its own, but only if the module has line numbers.
#[test]
fn details_do_not_recompile_a_module_without_lines() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let entries = |more: &[&str]| {
        let args = ["run", "factorizer", "6", "--cache-folder"];
        let cache_folder = cache.to_str().unwrap();
        run(&[&args[..], &[cache_folder], more].concat()).assert_code(0);
        cache.read_dir().unwrap().count()
    };
    let n_entries = entries(&[]);
    assert!(n_entries > 0);
    assert_eq!(entries(&["--details"]), n_entries);
}

#[test]
fn a_bad_line_is_its_own_error_with_its_number() {
    let input = "12\n\nnot json\n{\"a\":1}\n  35  \n";
    let run = run_with_input(&["run", "factorizer", "6", "-i", "-"], input);
    let lines = run.assert_code(1).lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        (&lines[0]["output"], &lines[1]["output"]),
        (&json!([2, 3]), &json!([2, 2, 3]))
    );
    let error = &lines[2]["error"];
    assert_eq!(
        (&lines[2]["input"], &error["kind"]),
        (&json!("not json"), &json!("bad-input"))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("line 3, column 2: not JSON: expected ident"),
        "{error}"
    );
    assert_eq!(lines[3]["error"]["kind"], "bad-arguments");
    assert_eq!(
        (&lines[4]["index"], &lines[4]["output"]),
        (&json!(4), &json!([5, 7]))
    );
}

#[test]
fn several_parameters_are_an_array_and_no_parameters_need_no_input() {
    let run = run(&[
        "run",
        tour(),
        "-t",
        "divide",
        "[7, 2]",
        "[1, 0]",
        "[1]",
        "1",
    ]);
    let lines = run.assert_code(1).lines();
    assert_eq!(lines[0]["output"], 3);
    assert_eq!(lines[1]["error"]["code"], "undefined");
    assert_eq!(
        lines[2]["error"]["message"],
        "the task takes 2 arguments, not 1"
    );
    assert_eq!(
        lines[3]["error"]["message"],
        "the task takes 2 arguments: write them as an array"
    );

    let run = self::run(&["run", tour(), "-t", "whereabouts", "--workers", "1"]);
    assert_eq!(run.assert_code(0).lines()[0]["output"]["worker"], 0);

    let structs = self::run(&["run", tour(), "-t", "shift", r#"[{"x":1,"y":2},[1,1]]"#]);
    assert_eq!(
        structs.assert_code(0).lines()[0]["output"],
        json!({"x": 2.0, "y": 3.0})
    );
}

#[test]
fn negative_numbers_are_inputs_and_not_flags() {
    let run = run(&["run", tour(), "-t", "sum_to", "-5", "3"]);
    let lines = run.assert_code(1).lines();
    assert_eq!(lines[0]["error"]["kind"], "bad-arguments");
    assert_eq!(lines[1]["output"], 6);
}

#[test]
fn an_input_over_several_lines_is_one_line_of_output() {
    let run = run(&["run", tour(), "-t", "divide", "[\n  7,\r\n  2\n]"]);
    let expected = "{\"index\":0,\"input\":[7,2],\"output\":3}\n";
    assert_eq!(run.assert_code(0).stdout, expected);
}

#[test]
fn inputs_come_from_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers.jsonl");
    fs::write(&file, "4\n9").unwrap();
    let run = run(&["run", "factorizer", "--input", file.to_str().unwrap()]);
    let lines = run.assert_code(0).lines();
    assert_eq!(
        (&lines[0]["output"], &lines[1]["output"]),
        (&json!([2, 2]), &json!([3, 3]))
    );

    // A folder can be opened but not read. The input beside it is still processed.
    let folder = folder.path().to_str().unwrap();
    let broken = self::run(&["run", "factorizer", "6", "--input", folder]);
    broken
        .assert_code(3)
        .assert_stderr("reading the input failed");
    assert_eq!(broken.lines()[0]["output"], json!([2, 3]));
    broken.assert_stderr("1 task: 1 ok");

    let missing = self::run(&["run", "factorizer", "--input", "no/such/file"]);
    missing
        .assert_code(3)
        .assert_stderr("cannot read the input `no/such/file`");
}

#[test]
fn unordered_lines_are_the_same_lines() {
    let numbers = (0..300).map(|n| format!("{n}\n")).collect::<String>();
    let ordered = run_with_input(&["run", "factorizer", "-i", "-"], &numbers);
    let unordered = run_with_input(&["run", "factorizer", "-i", "-", "--unordered"], &numbers);
    let set = |run: &Run| {
        run.stdout
            .lines()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(set(ordered.assert_code(0)), set(unordered.assert_code(0)));
    assert_eq!(set(&ordered).len(), 300);
}

#[test]
fn an_unordered_outcome_does_not_wait_for_a_slow_one() {
    let args = [
        "run",
        misbehaving(),
        "-t",
        "sleep",
        "--unordered",
        "-w",
        "2",
        "600000",
        "1",
    ];
    let mut child = start(&args);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("{\"index\":1,"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn any_chunk_size_gives_the_same_output() {
    let input = (0..1_000)
        .map(|n| format!("{}\n", n * 37))
        .collect::<String>();
    let args = ["run", "factorizer", "--input", "-", "-w", "2", "--chunk"];
    let with_chunks_of = |size| {
        let run = run_with_input(&[&args[..], &[size]].concat(), &input);
        run.assert_code(0);
        run.stdout
    };
    let one_by_one = with_chunks_of("1");
    assert_eq!(one_by_one.lines().count(), 1_000);
    for size in ["7", "64", "5000"] {
        assert_eq!(with_chunks_of(size), one_by_one);
    }
    let none = run(&["run", "factorizer", "1", "--chunk", "0"]);
    none.assert_code(2).assert_stderr("--chunk");
}

#[test]
fn a_bound_in_bytes_gives_the_same_output_and_holds_up_no_stop() {
    let input = (0..500).map(|n| format!("{n}\n")).collect::<String>();
    let args = [
        "run",
        "factorizer",
        "--input",
        "-",
        "-w",
        "2",
        "--chunk",
        "7",
    ];
    let with = |options: &[&str]| {
        let run = run_with_input(&[&args[..], options].concat(), &input);
        run.assert_code(0);
        run.stdout
    };
    assert_eq!(with(&["--queue-bytes", "1"]), with(&[]));
    let none = run(&["run", "factorizer", "1", "--queue-bytes", "0"]);
    none.assert_code(2)
        .assert_stderr("queue_capacity_bytes: 0 is out of range");

    // The third input waits for room when the first input fails.
    let args = ["run", misbehaving(), "-t", "spin", "1", "2", "3", "-w", "1"];
    let limits = ["--queue-bytes", "1", "--timeout", "100ms", "--fail-fast"];
    let stopped = run(&[&args[..], &limits[..]].concat());
    stopped.assert_code(1).assert_stdout("{\"index\":0,");
}

#[test]
fn a_chunk_does_not_wait_for_later_inputs() {
    let mut child = start(&["run", "factorizer", "--input", "-", "--chunk", "100"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for n in [6, 10] {
        writeln!(stdin, "{n}").unwrap();
        // Blocks for ever if the program waits for more.
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["input"], n);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn tasks_that_trap_are_retried_with_the_flag() {
    let attempts = |options: &[&str]| {
        let args = ["run", misbehaving(), "-t", "panic", "now", "--details"];
        let run = run(&[&args[..], options].concat());
        run.assert_code(1).lines()[0]["report"]["attempts"].as_u64()
    };
    assert_eq!(attempts(&[]), Some(1));
    assert_eq!(attempts(&["--retries", "2"]), Some(3));
    assert_eq!(attempts(&["--retries", "3", "--backoff", "10ms"]), Some(4));
    let alone = run(&["run", "factorizer", "6", "--backoff", "10ms"]);
    alone.assert_code(2).assert_stderr("--retries");
}

#[test]
fn a_run_stops_after_the_maximum_of_failures() {
    let input = "x\n".repeat(5_000);
    let args = [
        "run",
        "factorizer",
        "--input",
        "-",
        "-w",
        "1",
        "--max-failures",
        "3",
    ];
    let run_with_limit = run_with_input_until_closed(&args, &input);
    run_with_limit.assert_code(1);
    let lines = run_with_limit.lines();
    assert!((3..5_000).contains(&lines.len()), "{}", lines.len());
    let both = run(&[
        "run",
        "factorizer",
        "1",
        "--fail-fast",
        "--max-failures",
        "2",
    ]);
    both.assert_code(2).assert_stderr("--max-failures");
}

#[test]
fn the_report_s_latencies_are_not_clipped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let path = file.to_str().unwrap();
    run(&[
        "run",
        misbehaving(),
        "-t",
        "sleep",
        "1",
        "300",
        "--report",
        path,
    ])
    .assert_code(0);
    let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let max = report["ran_ms"]["max"].as_f64().unwrap();
    assert!(max >= 300.0, "{max}");
}

#[test]
fn fail_fast_stops_everything_at_the_first_failure() {
    // The second input would run for ever, and only a stop ends it.
    let args = [
        "run",
        misbehaving(),
        "-t",
        "spin",
        "--fail-fast",
        "-w",
        "2",
        "\"x\"",
        "1",
    ];
    let run = run(&args);
    let lines = run.assert_code(1).lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["error"]["kind"], "bad-arguments");
    run.assert_stderr("2 tasks: 0 ok, 1 bad arguments, 1 cancelled");
}

#[test]
fn a_memory_budget_is_set_by_a_flag() {
    let allocate = ["run", misbehaving(), "-t", "allocate", "-w", "1"];
    let over = run(&[&allocate[..], &["40", "4", "--memory-budget", "16MiB"]].concat());
    let lines = over.assert_code(1).lines();
    assert_eq!(lines[0]["error"]["kind"], "memory-budget");
    assert_eq!(lines[1]["output"], 4);
    let none = run(&[&allocate[..], &["4", "--memory-budget", "0"]].concat());
    none.assert_code(2)
        .assert_stderr("memory_budget: 0 is out of range");
}

#[test]
fn limits_are_set_by_flags() {
    let memory = run(&[
        "run",
        misbehaving(),
        "-t",
        "allocate",
        "40",
        "--memory",
        "16MiB",
    ]);
    let error = &memory.assert_code(1).lines()[0]["error"];
    assert_eq!(error["kind"], "memory-limit");
    assert!(
        error["message"].as_str().unwrap().contains("16777216"),
        "{error}"
    );
    memory.assert_stderr("1 over the memory limit");

    let args = [
        "run",
        misbehaving(),
        "-t",
        "honour_stop",
        "7",
        "--timeout",
        "50ms",
    ];
    let grace = run(&[&args[..], &["--grace", "60s"]].concat());
    assert_eq!(grace.assert_code(0).lines()[0]["output"], 7);

    let fuel = run(&["run", misbehaving(), "-t", "spin", "1", "--fuel", "1000000"]);
    assert_eq!(
        fuel.assert_code(1).lines()[0]["error"]["kind"],
        "out-of-fuel"
    );

    let args = sleeping_on_workers("1");
    let queue = run(&[&args[..], &["--queue-timeout", "500ms", "2000", "1"]].concat());
    let lines = queue.assert_code(1).lines();
    assert_eq!(
        (&lines[0]["output"], &lines[1]["error"]["kind"]),
        (&json!(2000), &json!("queue-timed-out"))
    );
}

#[test]
fn the_isolation_flag_sets_what_tasks_share() {
    let outputs = |args: &[&str]| {
        let common = ["run", misbehaving(), "-t", "remember", "-w", "1"];
        let run = run(&[&common[..], args, &["1", "2", "3", "4"]].concat());
        let lines = run.assert_code(0).lines();
        lines
            .iter()
            .map(|line| line["output"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(outputs(&[]), [0, 0, 0, 0]);
    assert_eq!(outputs(&["--isolation", "worker"]), [0, 1, 2, 3]);
    let recycled = ["--isolation", "worker", "--max-tasks-per-instance", "2"];
    assert_eq!(outputs(&recycled), [0, 1, 0, 3]);
}

#[test]
fn the_report_has_counts_rate_latencies_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let path = file.to_str().unwrap();
    let run = run(&[
        "run",
        "factorizer",
        "12",
        "x",
        "35",
        "--report",
        path,
        "-w",
        "2",
        "--quiet",
    ]);
    assert_eq!(run.assert_code(1).stderr, "");
    let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        (&report["tasks"], &report["ok"], &report["failed"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(report["failures"], json!({"bad-arguments": 1}));
    assert_eq!(
        (&report["task"], &report["workers"]),
        (&json!("factorize"), &json!(2))
    );
    assert!(report["tasks_per_second"].as_f64().unwrap() > 0.0);
    assert!(report["ran_ms"]["p99"].as_f64() >= report["ran_ms"]["p50"].as_f64());
    assert!(report["peak_memory_bytes"].as_u64().unwrap() > 1 << 16);

    let run = self::run(&[
        "run",
        "factorizer",
        "12",
        "--report",
        "no/such/folder/report",
    ]);
    run.assert_code(3).assert_stderr("cannot write the report");
}

#[test]
fn usage_errors_exit_with_2_and_say_what_to_do() {
    run(&["run", "factorizer"])
        .assert_code(2)
        .assert_stderr("no input for `factorize(n)`");
    run(&["run", misbehaving(), "1"])
        .assert_code(2)
        .assert_stderr("choose one with `--task`: `spin`");
    run(&["run", "factorizer", "-t", "nope", "1"])
        .assert_code(2)
        .assert_stderr("has no task `nope`; it has `factorize`, `factorize_many`, `is_prime`");
    run(&["run", "factorizer", "1", "--timeout", "5"])
        .assert_code(2)
        .assert_stderr("time unit needed");
    run(&["run", "factorizer", "1", "--timeout", "0s"])
        .assert_code(2)
        .assert_stderr("without this option there is no limit");
    run(&["run", "factorizer", "1", "--memory", "lots"])
        .assert_code(2)
        .assert_stderr("--memory");
    run(&["run", "factorizer", "1", "--workers", "0"])
        .assert_code(2)
        .assert_stderr("1 to 1024");
    run(&["fly"]).assert_code(2);
}

#[test]
fn unusable_modules_exit_with_3_and_say_why() {
    let run = run(&["run", "no/such/module.wasm", "1"]);
    run.assert_code(3)
        .assert_stderr("cannot read the module `no/such/module.wasm`: No such file");
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, content: &str, expected: &str| {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let run = self::run(&["run", file.to_str().unwrap(), "1"]);
        run.assert_code(3).assert_stderr(expected);
    };
    check("text.wasm", "hello", "not WebAssembly");
    check("core.wat", "(module)", "a core module that cannot be used");
    check("empty.wat", "(component)", "nothing to call");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = start(&["run", "factorizer", "-i", "-"]);
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // The reader closes the pipe at some time, which is no failure.
    let feeder = std::thread::spawn(move || {
        (0..1_000_000).all(|n| writeln!(stdin, "{n}").is_ok());
    });
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(
        (run.assert_code(0).stderr.as_str(), run.stdout.as_str()),
        ("", "")
    );
    feeder.join().unwrap();
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_writes_finished_lines_and_the_summary() {
    // The first input ends at once, the second never, and the input stream stays open.
    let mut child = start(&["run", misbehaving(), "-t", "sleep", "-i", "-", "-w", "2"]);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "1\n600000").unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"index\":0,\"input\":1,\"output\":1}\n");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let run = Run::of(output);
    run.assert_code(130)
        .assert_stderr("2 tasks: 1 ok, 1 cancelled in ");
    drop(stdin);
    line.clear();
    assert_eq!(
        stdout.read_line(&mut line).unwrap(),
        0,
        "nothing else is written: {line}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_pool_wakes_no_thread() {
    /// The number of context switches of each thread of a process.
    fn switches(process: u32) -> Vec<(PathBuf, u64)> {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let mut switches = tasks
            .map(|task| {
                let path = task.unwrap().path();
                let status = fs::read_to_string(path.join("status")).unwrap();
                let counts = status
                    .lines()
                    .filter_map(|line| line.split_once("ctxt_switches:"));
                let counts = counts.map(|(_, count)| count.trim().parse::<u64>().unwrap());
                (path, counts.sum())
            })
            .collect::<Vec<_>>();
        switches.sort();
        switches
    }
    // With a timeout: after its deadline has passed, its timer must not tick either.
    let args = [
        "run",
        "factorizer",
        "-i",
        "-",
        "-w",
        "2",
        "--timeout",
        "200ms",
    ];
    let mut child = start(&args);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "6").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let idle = |before: Vec<(PathBuf, u64)>| {
        std::thread::sleep(Duration::from_millis(300));
        let after = switches(child.id());
        (before == after, after)
    };
    // The first interval lets all threads fall asleep. Then there must be an interval without a
    // switch.
    let mut state = (false, switches(child.id()));
    let deadline = Instant::now() + LONG;
    while !state.0 {
        assert!(Instant::now() < deadline, "it is never idle: {:?}", state.1);
        state = idle(state.1);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_list_shows_tasks_parameters_and_docs() {
    let list = run(&["list", "factorizer"]);
    let first = "factorize(n)\n    The prime factors of `n` with multiplicity, ascending";
    assert!(
        list.assert_code(0).stdout.starts_with(first),
        "{}",
        list.stdout
    );
    let json = run(&["list", tour(), "--json"]);
    let listing: Value = serde_json::from_str(&json.assert_code(0).stdout).unwrap();
    let divide = listing["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["name"] == "divide")
        .unwrap();
    assert_eq!(divide["params"], json!(["dividend", "divisor"]));
    run(&["list", "nothing"]).assert_code(3);
}

#[test]
fn the_version_says_which_wasmtime() {
    let run = run(&["--version"]);
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let lock = fs::read_to_string(lock).unwrap();
    let (_, rest) = lock
        .split_once("name = \"wasmtime\"\nversion = \"")
        .unwrap();
    let (version, _) = rest.split_once('"').unwrap();
    assert!(
        run.stdout.contains(&format!("(wasmtime {version})")),
        "{}",
        run.stdout
    );
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = run(&["completions", shell]);
        assert!(
            run.assert_code(0).stdout.contains("max-tasks-per-instance"),
            "{shell}"
        );
    }
}

/// Checks the names that the program offers to a shell that completes a task's name.
#[track_caller]
fn check_task_names(words: &[&str], names: &[&str]) {
    let run = run(&[&["__task-names"], words].concat());
    run.assert_code(0);
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), names);
    assert_eq!(run.stderr, "");
}

#[test]
fn names_of_tasks_are_told_to_shells() {
    let factorizer = ["factorize", "factorize_many", "is_prime"];
    check_task_names(&["run", "factorizer", "-t"], &factorizer);
    let options = [
        "run",
        "--timeout",
        "5s",
        "--quiet",
        "factorizer",
        "6",
        "--task",
    ];
    check_task_names(&options, &factorizer);
    check_task_names(
        &["run", "factorizer", "--timeout", "later", "-t"],
        &factorizer,
    );
    check_task_names(&["bench", "--module", "factorizer", "-t"], &factorizer);
    let shapes = wasmpool_guests::SHAPES.path().to_str().unwrap();
    check_task_names(&["run", shapes, "-t"], &["area", "summarize"]);
}

#[test]
fn where_there_are_no_names_of_tasks_shells_are_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.wasm");
    fs::write(&broken, "no module").unwrap();
    let broken = broken.to_str().unwrap();
    for words in [
        &["run"][..],
        &["run", "-t"],
        &["run", "missing.wasm", "-t"],
        &["run", broken, "-t"],
        &["run", folder.path().to_str().unwrap(), "-t"],
        &["run", "factorizer", "--trusted-cwasm", "-t"],
        &[
            "run",
            "factorizer",
            "--no-cache",
            "--load-timeout",
            "1ns",
            "-t",
        ],
        &["run", "factorizer", "--", "-t"],
        &["run", "--help", "-t"],
        &["list", "-t"],
        &["unknown"],
        &[],
    ] {
        check_task_names(words, &[]);
    }
}

/// Checks what bash offers for the last of these words of a command line.
#[track_caller]
fn check_bash(words: &[&str], offered: &[&str]) {
    let script = r#"
        source <("$1" completions bash)
        complete -p wasmpool
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _wasmpool_tasks "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]);
    let bash = bash.arg(env!("CARGO_BIN_EXE_wasmpool")).args(words);
    let run = Run::of(bash.output().unwrap());
    let (registration, found) = run.assert_code(0).stdout.split_once('\n').unwrap();
    assert!(
        registration.contains("-F _wasmpool_tasks "),
        "{registration}"
    );
    assert_eq!(found.lines().collect::<Vec<_>>(), offered);
    assert_eq!(run.stderr, "");
}

#[test]
fn bash_completes_the_names_of_tasks() {
    check_bash(
        &["run", "factorizer", "-t", ""],
        &["factorize", "factorize_many", "is_prime"],
    );
    check_bash(&["run", "factorizer", "--task", "is"], &["is_prime"]);
    check_bash(&["run", "missing", "-t", ""], &[""]);
    check_bash(&["run", "--isolation", "w"], &["worker"]);
    check_bash(&["com"], &["compile", "completions"]);
}

#[test]
fn zsh_and_fish_ask_for_the_names_of_tasks() {
    let zsh = run(&["completions", "zsh"]).assert_code(0).stdout.clone();
    // Both forms of the option, of both commands that have it.
    assert_eq!(zsh.matches(":NAME:_wasmpool_tasks'").count(), 4);
    let fish = run(&["completions", "fish"]).assert_code(0).stdout.clone();
    assert_eq!(fish.matches("$typed[1] __task-names").count(), 2);
}

#[test]
fn manual_pages_are_written_for_the_program_and_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    run(&["man", pages.to_str().unwrap()]).assert_code(0);
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap();
    let program = page("wasmpool.1");
    assert_eq!(run(&["man"]).assert_code(0).stdout, program);
    let files = fs::read_dir(&pages).unwrap().map(|file| file.unwrap());
    let files = files.map(|file| file.file_name().into_string().unwrap());
    let mut expected = BTreeSet::from(["wasmpool.1".to_owned()]);
    for command in [
        "bench",
        "cluster",
        "compile",
        "completions",
        "list",
        "man",
        "new",
        "node",
        "run",
    ] {
        expected.insert(format!("wasmpool-{command}.1"));
        let reference = format!("wasmpool\\-{command}(1)");
        assert!(program.contains(&reference), "{reference}: {program}");
    }
    expected.insert("wasmpool-cluster-status.1".to_owned());
    assert_eq!(files.collect::<BTreeSet<_>>(), expected);
    let page = page("wasmpool-run.1");
    assert!(page.contains("max\\-tasks\\-per\\-instance"), "{page}");

    let file = pages.join("wasmpool.1");
    run(&["man", file.to_str().unwrap()])
        .assert_code(3)
        .assert_stderr("cannot write the manual pages to");
}

#[test]
fn the_help_of_a_command_says_more_than_the_list_of_commands() {
    for (command, brief, more) in [
        ("run", "Run a task over inputs", "Prints one line of JSON"),
        (
            "compile",
            "Compile a module",
            "It is native code and runs unchecked",
        ),
        (
            "bench",
            "Measure what isolation costs",
            "alternate in rounds",
        ),
        ("new", "Make a guest that builds", "It has one task"),
    ] {
        let long = run(&[command, "--help"]);
        assert!(long.stdout.starts_with(brief), "{}", long.stdout);
        assert!(long.stdout.contains(more), "{}", long.stdout);
        let short = run(&[command, "-h"]);
        assert!(short.stdout.starts_with(brief), "{}", short.stdout);
        assert!(!short.stdout.contains(more), "{}", short.stdout);
    }
}

#[test]
fn the_help_lists_the_exit_codes() {
    for args in [&["--help"][..], &["run", "--help"]] {
        let run = run(args);
        assert!(
            run.assert_code(0).stdout.contains("130  interrupted"),
            "{}",
            run.stdout
        );
    }
}

#[test]
fn a_module_that_takes_too_long_to_load_is_refused() {
    let late = run(&[
        "run",
        "factorizer",
        "6",
        "--no-cache",
        "--load-timeout",
        "1ns",
    ]);
    late.assert_code(3);
    let remedy = "not loaded within 1ns: allow more time";
    assert!(late.stderr.contains(remedy), "{}", late.stderr);
    let args = [
        "run",
        "factorizer",
        "6",
        "--no-cache",
        "--load-timeout",
        "10m",
    ];
    run(&args).assert_code(0);
}

#[test]
fn the_cache_can_be_moved_and_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let args = [
        "run",
        "factorizer",
        "6",
        "--cache-folder",
        cache.to_str().unwrap(),
    ];
    run(&args).assert_code(0);
    // The module's code, and its list of tasks.
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    run(&["run", "factorizer", "6", "--no-cache"]).assert_code(0);
    run(&[&args[..], &["--no-cache"]].concat()).assert_code(2);
}

#[test]
fn memory_stays_flat_over_a_long_stream() {
    let mut child = start(&["run", "factorizer", "-i", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    let feeder =
        std::thread::spawn(move || (0..100_000).try_for_each(|n| writeln!(stdin, "{}", n % 1_000)));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut peak = 0;
    for n in 0..100_000 {
        lines.next().unwrap().unwrap();
        if n % 10_000 == 9_999 {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let (_, rest) = status.split_once("VmHWM:").unwrap();
            let kib = rest.split_whitespace().next().unwrap();
            peak = kib.parse::<u64>().unwrap();
        }
    }
    feeder.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(peak < 150 << 10, "{peak} KiB");
}

mod programs {
    //! WASI programs and their rights.

    use super::*;

    /// The same program for WASI 0.2, for preview 1 and for WASI 0.3.
    const PROGRAMS: [wasmpool_guests::Guest; 3] = [
        wasmpool_guests::PROGRAMS,
        wasmpool_guests::PROGRAMS_P1,
        wasmpool_guests::AWAITING,
    ];

    fn for_each_program(check: impl Fn(&str)) {
        for guest in PROGRAMS {
            check(guest.path().to_str().unwrap());
        }
    }

    fn preview_2() -> &'static str {
        wasmpool_guests::PROGRAMS.path().to_str().unwrap()
    }

    fn preview_1() -> &'static str {
        wasmpool_guests::PROGRAMS_P1.path().to_str().unwrap()
    }

    #[test]
    fn a_program_runs_once_for_each_input() {
        for_each_program(|program| {
            let run = run(&["run", program, "a b", "1", "--", "count", "{}", "c {}"]);
            assert_eq!(
                run.assert_code(0).stdout,
                "{\"index\":0,\"input\":\"a b\",\
                 \"output\":{\"code\":0,\"stdout\":\"1 5 9\\n\",\"stderr\":\"\"}}\n\
                 {\"index\":1,\"input\":\"1\",\
                 \"output\":{\"code\":0,\"stdout\":\"1 3 5\\n\",\"stderr\":\"\"}}\n"
            );
        });
    }

    #[test]
    fn the_input_is_the_last_argument_without_a_placeholder() {
        for_each_program(|program| {
            let name = Path::new(program).file_name().unwrap().to_str().unwrap();
            let run = run_with_input(
                &["run", program, "--input", "-", "--", "args", "-x"],
                "one \n\n{\"a\": 1}\r\nlast",
            );
            let lines = run.assert_code(0).lines();
            // For programs a blank line is an input as well.
            let inputs = ["one ", "", "{\"a\": 1}", "last"];
            assert_eq!(lines.len(), inputs.len());
            for (line, input) in lines.iter().zip(inputs) {
                assert_eq!(line["input"], input);
                let printed = format!("{name}\nargs\n-x\n{input}\n");
                assert_eq!(line["output"]["stdout"], printed);
            }
        });
    }

    #[test]
    fn the_input_may_be_the_standard_input() {
        for_each_program(|program| {
            let args = ["run", program, "--input", "-", "--stdin", "--", "cat"];
            let lines = run_with_input(&args, "a\n b \n").assert_code(0).lines();
            assert_eq!(lines[0]["output"]["stdout"], "a\n");
            assert_eq!(lines[1]["output"]["stdout"], " b \n");
        });
        let error = run(&["run", "factorizer", "360", "--stdin"]);
        error
            .assert_code(2)
            .assert_stderr("`--stdin` is for programs");
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        for_each_program(|program| {
            let output = run(&["run", program, "--", "bytes"]).lines()[0]["output"].clone();
            assert_eq!(output["stdout_base64"], "/wD+");
            assert_eq!(
                (&output["stdout"], &output["stderr"]),
                (&Value::Null, &json!(""))
            );

            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("lines");
            fs::write(&file, b"\xFF\xFE\nx\n").unwrap();
            let file = file.to_str().unwrap();
            let lines = run(&["run", program, "--input", file, "--stdin", "--", "cat"]).lines();
            assert_eq!(lines[0]["output"]["stdout_base64"], "//4K");
            let lines = run(&["run", program, "--input", file, "--", "args"]);
            let lines = lines.assert_code(1).lines();
            assert_eq!(lines[0]["error"]["kind"], "bad-input");
            let message = lines[0]["error"]["message"].as_str().unwrap();
            let place = format!("`{file}`, line 1: not UTF-8");
            assert!(message.starts_with(&place), "{message}");
            assert_eq!(lines[1]["output"]["code"], 0);
        });
    }

    #[test]
    fn an_exit_code_is_the_failure_of_its_task() {
        let run = run(&["run", preview_1(), "0", "3", "--", "exit"]);
        let lines = run.assert_code(1).lines();
        assert_eq!(lines[0]["output"]["code"], 0);
        assert_eq!(
            lines[1],
            json!({
                "index": 1,
                "input": "3",
                "output": {"code": 3, "stdout": "leaving\n", "stderr": "with 3\n"},
                "error": {"kind": "exited", "message": "exited with code 3", "exit_code": 3},
            })
        );
    }

    /// The exit code of a process has eight bits. A larger code is a failure all the same.
    #[test]
    fn an_exit_code_of_more_than_eight_bits_is_a_failure() {
        let codes = ["256", "1000", "-1"];
        let run = run(&[&["run", preview_1()][..], &codes, &["--", "exit"]].concat());
        let lines = run.assert_code(1).lines();
        for (line, code) in lines.iter().zip(codes) {
            assert_eq!(line["error"]["exit_code"].to_string(), code);
        }
        for (code, expected) in codes.iter().zip([255, 255, 255]) {
            let args = ["run", preview_1(), "--inherit-stdio", "--", "exit", code];
            super::run(&args).assert_code(expected);
        }
    }

    #[test]
    fn the_output_of_a_program_has_a_limit_that_can_be_set() {
        for_each_program(|program| {
            let args = |limit, bytes| {
                let size = ["--output-limit", limit, "--", "flood", bytes];
                run(&[&["run", program][..], &size].concat())
            };
            let line = &args("1KB", "600").assert_code(1).lines()[0];
            assert_eq!(line["error"]["kind"], "output-limit");
            args("1KB", "400").assert_code(0);
            // More than the default of 16 MiB.
            args("40MB", "18000000").assert_code(0);
        });
    }

    #[test]
    fn a_program_without_inputs_runs_once() {
        for_each_program(|program| {
            let run = run(&["run", program, "--", "count", "{}"]);
            let lines = run.assert_code(0).lines();
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0]["input"], Value::Null);
            assert_eq!(lines[0]["output"]["stdout"], "1 1 2\n");
        });
    }

    #[test]
    fn a_program_with_inherited_streams_behaves_as_if_started_natively() {
        let args = ["run", preview_1(), "--inherit-stdio", "--", "cat"];
        let run = run_with_input(&args, "as it\nis");
        assert_eq!(run.assert_code(0).stdout, "as it\nis");
        assert_eq!(run.stderr, "");
        let args = ["run", preview_1(), "--inherit-stdio", "--", "exit", "42"];
        let run = super::run(&args);
        assert_eq!(run.assert_code(42).stdout, "leaving\n");
        assert_eq!(run.stderr, "with 42\n");
        let args = [
            "run",
            preview_1(),
            "--inherit-stdio",
            "--timeout",
            "50ms",
            "--",
            "spin",
        ];
        super::run(&args)
            .assert_code(1)
            .assert_stderr("error: timed out");
        // The message begins on a new line, although the output ends within a line.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("torn.wat");
        let torn = r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\08\00\00\00\04\00\00\00torn")
            (func (export "_start")
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
                unreachable))"#;
        fs::write(&path, torn).unwrap();
        let run = super::run(&["run", path.to_str().unwrap(), "--inherit-stdio"]);
        let expected = "torn\nerror: trapped: unreachable code reached: torn\n";
        assert_eq!(run.assert_code(1).stderr, expected);
        // Far more than any limit of captured output.
        let args = [
            "run",
            preview_1(),
            "--inherit-stdio",
            "--",
            "flood",
            "20000000",
        ];
        assert_eq!(super::run(&args).assert_code(0).stdout.len(), 20_000_000);
    }

    #[test]
    fn rights_come_from_flags() {
        for_each_program(|program| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("file"), "content").unwrap();
            let folder = folder.path().to_str().unwrap();
            let code = |args: &[&str]| {
                let lines = run(&[&["run", program][..], args].concat()).lines();
                let output = &lines[0]["output"];
                (
                    output["code"].as_i64().unwrap(),
                    output["stdout"].as_str().unwrap().to_owned(),
                )
            };
            let path = format!("{folder}/file");
            let ok = |text: &str| (0, text.to_owned());
            let failed = (1, String::new());
            let (named, read_only) = (format!("{folder}::/data"), format!("{folder}::/data:ro"));
            assert_eq!(code(&["--", "read", &path]), failed);
            assert_eq!(code(&["--dir", folder, "--", "read", &path]), ok("content"));
            assert_eq!(
                code(&["--dir", &named, "--", "read", "/data/file"]),
                ok("content")
            );
            assert_eq!(
                code(&["--dir", &named, "--", "write", "/data/new", "x"]),
                ok("")
            );
            assert_eq!(
                code(&["--dir", &read_only, "--", "read", "/data/new"]),
                ok("x")
            );
            assert_eq!(
                code(&["--dir", &read_only, "--", "write", "/data/new", "y"]),
                failed
            );
            assert_eq!(code(&["--", "env"]), ok(""));
            assert_eq!(code(&["--env", "A=b=c", "--", "env"]), ok("A=b=c\n"));
            let random = |args: &[&str]| code(&[args, &["--", "random"]].concat());
            assert_eq!(random(&["--deterministic"]), random(&["--deterministic=0"]));
            assert_ne!(
                random(&["--deterministic=1"]),
                random(&["--deterministic=2"])
            );
        });
        let mut passed_on = wasmpool(&["run", preview_1(), "--env", "OF_THE_HOST", "--", "env"]);
        let passed_on = Run::of(passed_on.env("OF_THE_HOST", "1").output().unwrap());
        assert_eq!(passed_on.lines()[0]["output"]["stdout"], "OF_THE_HOST=1\n");
        let error = run(&["run", preview_1(), "--env", "OF_NOBODY", "--", "env"]);
        error
            .assert_code(2)
            .assert_stderr("cannot pass the variable `OF_NOBODY` on");
        let error = run(&["run", preview_1(), "--dir", "/no/such/folder", "--", "env"]);
        error
            .assert_code(3)
            .assert_stderr("cannot open the folder `/no/such/folder`");
        let error = run(&["run", preview_1(), "--allow-net", "somewhere", "--", "env"]);
        error
            .assert_code(2)
            .assert_stderr("`somewhere` is no address: it has no port");
    }

    #[test]
    fn refused_network_operations_are_listed() {
        let program = wasmpool_guests::PROGRAMS.path().to_str().unwrap();
        let run = run(&["run", program, "example.org", "--", "lookup"]);
        let line = &run.assert_code(1).lines()[0];
        assert_eq!(line["refused"], json!(["look up `example.org`"]));
        let granted = ["run", program, "--allow-net", "127.0.0.1:1"];
        let run = super::run(&[&granted[..], &["--", "connect", "127.0.0.2:80"]].concat());
        let line = &run.assert_code(1).lines()[0];
        assert_eq!(line["refused"], json!(["connect to 127.0.0.2:80"]));
    }

    #[test]
    fn special_files_are_refused_unless_they_are_granted() {
        for_each_program(|program| {
            let folder = tempfile::tempdir().unwrap();
            let fifo = folder.path().join("fifo");
            let made = Command::new("mkfifo").arg(&fifo).status();
            assert!(made.unwrap().success());
            let granted = format!("{}::/d:ro", folder.path().display());
            let read = ["run", program, "--dir", &granted, "--", "read", "/d/fifo"];
            let line = &run(&read).assert_code(1).lines()[0];
            assert_eq!(line["refused"], json!(["open `/d/fifo`, a FIFO"]));
            let read = |dir| run(&["run", program, "--dir", dir, "--", "read", "/d/null"]);
            let line = &read("/dev::/d:ro").assert_code(1).lines()[0];
            assert_eq!(
                line["refused"],
                json!(["open `/d/null`, a character device"])
            );
            let line = &read("/dev::/d:ro:special").assert_code(0).lines()[0];
            assert_eq!(line["output"]["stdout"], "");
        });
    }

    #[test]
    fn rights_apply_to_tasks_too() {
        let args = [
            "run",
            misbehaving(),
            "-t",
            "escape",
            "environment",
            "--env",
            "A=1",
        ];
        let run = run(&args);
        assert_eq!(run.assert_code(0).lines()[0]["output"], "A=1");
    }

    #[test]
    fn deterministic_runs_use_the_same_fuel() {
        for_each_program(|program| {
            let fuel = || {
                let rights = ["run", program, "--deterministic"];
                let run = run(&[&rights[..], &["--details", "--", "random"]].concat());
                run.assert_code(0).lines()[0]["report"]["fuel"].clone()
            };
            assert!(fuel().as_u64().unwrap() > 0);
            assert_eq!(fuel(), fuel());
        });
    }

    /// The folder has the layout of the official test suite: a JSON file for each test states what
    /// the program gets and what it must do. The suite's runner gets the command line from
    /// `adapter.py`, which makes the same of a test as this function.
    #[test]
    fn the_conventions_of_the_official_test_suite_are_kept() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/wasi");
        let files = fs::read_dir(&folder).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let specs = paths.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
        let specs = specs.collect::<Vec<_>>();
        assert!(specs.len() > 5);
        for_each_program(|program| {
            for path in &specs {
                let spec = serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
                let words = |name: &str| {
                    let words = spec[name].as_array().into_iter().flatten();
                    words.map(|word| word.as_str().unwrap().to_owned())
                };
                let mut command = wasmpool(&["run", "--inherit-stdio"]);
                for (name, value) in spec["env"].as_object().into_iter().flatten() {
                    command.args(["--env", &format!("{name}={}", value.as_str().unwrap())]);
                }
                for dir in words("dirs") {
                    let host = folder.join(&dir);
                    command.args(["--dir", &format!("{}::{dir}", host.display())]);
                }
                command.arg(program).arg("--").args(words("args"));
                let run = Run::of(command.output().unwrap());
                let mut code = spec["exit_code"].as_i64().unwrap_or(0);
                if program == preview_2() {
                    // Rust's programs for WASI 0.2 have no other code for a failure.
                    code = code.min(1);
                }
                let name = path.display();
                assert_eq!(
                    run.code.map(i64::from),
                    Some(code),
                    "{name}: {}",
                    run.stderr
                );
                assert_eq!(spec["stdout"], run.stdout, "{name}");
                if let Some(stderr) = spec["stderr"].as_str() {
                    assert_eq!(stderr, run.stderr, "{name}");
                }
            }
        });
    }
}
