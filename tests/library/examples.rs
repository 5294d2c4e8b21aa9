//! The examples of the library, run as programs.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use wasmpool::{Pool, TaskErrorKind};

use crate::support::{Bench, within_long};

/// Runs the example of this name, which cargo has built beside this test.
fn run(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let this = std::env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null());
    let output = within_long(move || command.output());
    let Output {
        status,
        stdout,
        stderr,
    } = output.unwrap_or_else(|error| {
        let program = program.display();
        panic!(
            "`{program}`: {error}; `cargo test` builds it, and with `--test library` it must be \
             built before: `cargo build --release -p wasmpool --examples`"
        )
    });
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(stderr, "", "{name}: {stdout}");
    (status.code(), stdout)
}

fn factorizer() -> &'static str {
    wasmpool_guests::FACTORIZER.path().to_str().unwrap()
}

fn articles() -> &'static str {
    wasmpool_guests::ARTICLES.path().to_str().unwrap()
}

fn misbehaving() -> &'static str {
    wasmpool_guests::MISBEHAVING.path().to_str().unwrap()
}

/// Checks the beginnings of all lines.
#[track_caller]
fn check(text: &str, beginnings: &[&str]) {
    let lines = text.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), beginnings.len(), "{text}");
    for (line, beginning) in lines.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "`{line}` of\n{text}");
    }
}

#[test]
fn factorize_has_the_same_results_in_all_ways() {
    let (code, text) = run("factorize", &["50", factorizer()]);
    assert_eq!(code, Some(0));
    let workers = std::thread::available_parallelism().unwrap();
    check(
        &text,
        &[
            &format!("50 numbers, {workers} workers"),
            "submitted one by one: ",
            "a list of numbers for each worker: ",
            "mapped: ",
            "mapped in chunks: ",
            "4 of them are prime",
        ],
    );
}

#[test]
fn the_guest_of_the_batch_fails_now_and_then() {
    let timeout = Duration::from_millis(200);
    let bench = Bench::new(Pool::builder().workers(1).task_timeout(timeout));
    let kind = |n: u64| {
        let outcome = bench.submit::<_, u64>("now_and_then", n).wait();
        outcome.map_err(|error| error.kind())
    };
    assert_eq!(kind(1999), Err(TaskErrorKind::TimedOut));
    assert!(matches!(kind(1500), Err(TaskErrorKind::Trap(_))));
    assert_eq!(kind(1501), Ok(1501));
    bench.assert_healthy();
}

#[test]
fn batch_counts_crashes_and_timeouts() {
    // `now_and_then` fails twice in a thousand inputs.
    let (code, text) = run("batch", &["3000", misbehaving()]);
    assert_eq!(code, Some(1));
    check(
        &text,
        &[
            "3000 inputs in ",
            "timed-out: 3, first at [999, 1999, 2999]",
            "trap: 3, first at [500, 1500, 2500]",
        ],
    );
    let sum = (0..3000_u64).sum::<u64>() - (999 + 1999 + 2999) - (500 + 1500 + 2500);
    let summary = format!("6 failed; the sum is {sum}");
    assert!(text.lines().next().unwrap().ends_with(&summary), "{text}");
}

#[test]
fn batch_without_failures_exits_with_0() {
    let (code, text) = run("batch", &["400", misbehaving()]);
    assert_eq!(code, Some(0), "{text}");
    check(&text, &["400 inputs in "]);
}

#[test]
fn tenants_have_rights_limits_and_budgets_of_their_own() {
    let (code, text) = run("tenants", &[factorizer(), misbehaving()]);
    assert_eq!(code, Some(0));
    check(
        &text,
        &[
            "ada: factorize: [2, 2, 2, 3, 3, 5]; ",
            "bob: escape: \"TENANT=bob\"; ",
            "bob: escape: \"denied: ",
            "bob: allocate: \"",
            "bob: spin: \"",
            "bob: spin: \"",
            "bob: spin: \"the budget is used up\"; 0 fuel left",
            "ada: factorize: [999999999989]; ",
            "loads while bob is there: 0",
            "loads after bob has gone: 1",
        ],
    );
}

#[test]
fn host_functions_wait_fail_and_need_a_grant() {
    let module = wasmpool_guests::IMPORTER_SDK.path().to_str().unwrap();
    let (code, text) = run("host_functions", &[module]);
    assert_eq!(code, Some(0));
    let mut lines = text.lines().collect::<Vec<_>>();
    // Imports have no order of their own.
    lines[..2].sort_unstable();
    check(
        &lines.join("\n"),
        &[
            "imported: acme:host/accounts@1.2.0#find: func(name: string) -> result<",
            "imported: acme:host/log@1.2.0#write: func(level: enum { debug, info, warning }, ",
            "total: 1200",
            "failed: nobody",
            "host-function: the host function `acme:host/accounts@1.2.0#find` failed: the data base",
            "not-granted: it called the host function `acme:host/accounts@1.2.0#find`, which",
        ],
    );
}

#[test]
fn async_tokio_cancels_tasks_of_dropped_futures() {
    let (code, text) = run("async_tokio", &[factorizer()]);
    assert_eq!(code, Some(0));
    let slow = (1_u64 << 61) - 1;
    check(
        &text,
        &[
            "360 = [2, 2, 2, 3, 3, 5]",
            "1000000 = [2, 2, 2, 2, 2, 2, 5, 5, 5, 5, 5, 5]",
            "1000001 = [101, 9901]",
            "1000002 = [2, 3, 166667]",
            &format!("{slow} takes too long"),
            &format!("{slow} takes too long again"),
            "77 = [7, 11]",
            "failures: [(\"cancelled\", ",
        ],
    );
}

#[test]
fn the_programs_of_the_articles_have_the_results_of_their_originals() {
    let (code, text) = run("articles", &[articles()]);
    assert_eq!(code, Some(0));
    let factors = (0..200).map(|index| factorizer::factorize(999_999_999_989 + 2 * index));
    let factors = factors.collect::<Vec<_>>();
    let factors = format!(
        "200 numbers, {} of them prime, have {} factors",
        factors.iter().filter(|factors| factors.len() == 1).count(),
        factors.iter().map(Vec::len).sum::<usize>(),
    );
    let expected = [
        ("chunks", &*factors),
        ("map", &factors),
        ("io-bound", "index, news, weather"),
        ("cpu-bound", "[9592, 17984, 25997] primes"),
        ("queue", &factors),
        ("tree", "63 tasks"),
        ("lock", "counted to 80000"),
    ];
    let expected = expected.map(|(name, result)| format!("{name}: {result}; "));
    check(&text, &expected.each_ref().map(String::as_str));
    let waited = text.lines().nth(2).unwrap().rsplit("; ").next().unwrap();
    let waited = waited.strip_suffix(" s").unwrap().parse::<f64>().unwrap();
    // One after the other the three would take 6 s.
    assert!((2.0..5.9).contains(&waited), "{text}");
}

#[test]
fn one_program_of_the_articles_can_be_chosen() {
    let (code, text) = run("articles", &[articles(), "tree"]);
    assert_eq!(code, Some(0));
    check(&text, &["tree: 63 tasks; "]);
}
