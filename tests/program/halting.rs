//! Runs that go on after failures, and runs that are stopped early.

use std::io::{BufRead as _, BufReader, Write as _};

use super::{Run, misbehaving, run, run_with_input, run_with_input_until_closed, start};

#[test]
fn a_run_goes_on_after_failures_with_or_without_the_flag() {
    let input = "x\n".repeat(200) + "6\n";
    let args = ["run", "factorizer", "-i", "-"];
    let plain = run_with_input(&args, &input);
    let told = run_with_input(&[&args[..], &["--keep-going"]].concat(), &input);
    let never = run_with_input(&[&args[..], &["--halt", "never"]].concat(), &input);
    assert_eq!(plain.assert_code(1).lines().len(), 201);
    assert_eq!(told.assert_code(1).stdout, plain.stdout);
    assert_eq!(never.assert_code(1).stdout, plain.stdout);
    for stop in [
        &["--fail-fast"][..],
        &["--max-failures", "3"],
        &["--halt", "now,fail=1"],
    ] {
        let both = run(&[&["run", "factorizer", "6", "--keep-going"], stop].concat());
        both.assert_code(2).assert_stderr("--keep-going");
    }
}

/// Runs over numbers and inputs that fail, in an endless stream.
fn run_endless(rule: &str, period: usize) -> Run {
    let inputs = (0..200_000).map(|n| match n % period {
        0 => "\"x\"\n".to_owned(),
        _ => format!("{n}\n"),
    });
    let args = ["run", "factorizer", "-i", "-", "-w", "2", "--halt", rule];
    run_with_input_until_closed(&args, &inputs.collect::<String>())
}

#[test]
fn a_run_stops_when_enough_tasks_have_ended_as_the_rule_says() {
    for when in ["now", "soon"] {
        let n_lines = |run: &Run, has_error: bool| {
            let lines = run.lines();
            let lines = lines.iter();
            lines
                .filter(|line| line["error"].is_object() == has_error)
                .count()
        };
        let fail = run_endless(&format!("{when},fail=3"), 5);
        assert!((3..1_000).contains(&n_lines(fail.assert_code(1), true)));
        // What was looked for is found, whatever has failed before.
        let success = run_endless(&format!("{when},success=3"), 5);
        assert!((3..1_000).contains(&n_lines(success.assert_code(0), false)));
        let done = run_endless(&format!("{when},done=20"), 5);
        assert!((20..1_000).contains(&done.assert_code(1).lines().len()));
        // Tasks that were cancelled have not failed.
        let done = run_endless(&format!("{when},done=20"), 1_000_000);
        assert!(done.lines().len() < 1_000, "{}", done.stderr);
    }
}

#[test]
fn a_stop_that_cancels_tasks_but_no_failure_is_a_success() {
    let spin = [
        "run",
        misbehaving(),
        "-t",
        "sleep",
        "-w",
        "2",
        "600000",
        "1",
    ];
    let run = run(&[&spin[..], &["--halt", "now,done=1"]].concat());
    run.assert_code(0)
        .assert_stderr("2 tasks: 1 ok, 1 cancelled in ");
    assert_eq!(run.lines().len(), 1);
}

#[test]
fn soon_lets_running_tasks_end_and_now_does_not() {
    // The first input takes longer than the second, which fails. The others wait.
    let args = super::sleeping_on_workers("2");
    let args = [&args[..], &["1000", "\"x\"", "--halt"]].concat();
    let soon = run(&[&args[..], &["soon,fail=1"]].concat());
    assert_eq!(soon.assert_code(1).lines()[0]["output"], 1_000);
    soon.assert_stderr("2 tasks: 1 ok, 1 bad arguments in ");
    let now = run(&[&args[..], &["now,fail=1"]].concat());
    now.assert_code(1)
        .assert_stderr("2 tasks: 0 ok, 1 bad arguments, 1 cancelled in ");
    assert_eq!(now.lines().len(), 1);
}

#[test]
fn soon_cancels_what_is_queued() {
    let args = super::sleeping_on_workers("1");
    let inputs = ["\"x\""].into_iter().chain(["300"; 50]).collect::<Vec<_>>();
    let run = run(&[&args[..], &["--halt", "soon,fail=1"], &inputs].concat());
    // Few are under way when the first one has failed.
    let n_lines = run.assert_code(1).lines().len();
    assert!(n_lines < 20, "{}", run.stdout);
    run.assert_stderr(" cancelled in ");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_run_that_waits_for_its_last_tasks() {
    let args = [
        "run",
        misbehaving(),
        "-t",
        "sleep",
        "-i",
        "-",
        "-w",
        "2",
        "--unordered",
    ];
    let mut child = start(&[&args[..], &["--halt", "soon,done=1"]].concat());
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "600000\n1").unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"index\":1,"), "{line}");
    super::interrupt(&child);
    let run = Run::of(child.wait_with_output().unwrap());
    run.assert_code(130)
        .assert_stderr("2 tasks: 1 ok, 1 cancelled in ");
    drop(stdin);
}

#[test]
fn a_stopped_run_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let results = results.to_str().unwrap();
    let input = (0..100).map(|n| match n % 20 {
        7 => "\"x\"\n".to_owned(),
        n => format!("{n}\n"),
    });
    let input = input.collect::<String>();
    let args = ["run", "factorizer", "-i", "-", "-o", results, "--resume"];
    // Each run finds one more failure, and stops.
    for n_failed in 1..=5 {
        let run = run_with_input_until_closed(&[&args[..], &["--fail-fast"]].concat(), &input);
        run.assert_code(1);
        let content = std::fs::read_to_string(results).unwrap();
        assert!(content.matches("\"error\"").count() >= n_failed);
    }
    run_with_input(&args, &input).assert_code(1);
    let undisturbed = run_with_input(&args[..4], &input);
    assert_eq!(
        std::fs::read_to_string(results).unwrap(),
        undisturbed.stdout
    );
}

#[test]
fn a_rule_that_is_not_understood_says_how_to_write_it() {
    for (rule, problem) in [
        ("now", "write `now,fail=1`"),
        ("soon,fail=10%", "the number of inputs is not known"),
        ("now,fail=0", "write `now,fail=1`"),
    ] {
        let run = run(&["run", "factorizer", "6", "--halt", rule]);
        run.assert_code(2).assert_stderr(problem);
    }
}
