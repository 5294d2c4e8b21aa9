//! `--session`: inputs that carry a key go to the instance of that key.

use serde_json::{Value, json};

use crate::{misbehaving, run, run_with_input};

/// Runs a task of the misbehaving guest over these lines.
fn run_lines(task: &str, flags: &[&str], lines: &[Value]) -> crate::Run {
    let input = lines.iter().map(|line| format!("{line}\n"));
    let command = ["run", misbehaving(), "-t", task, "-i", "-", "-w", "2"];
    run_with_input(&[&command, flags].concat(), &input.collect::<String>())
}

/// The output of each line, or the kind of its error.
fn outcomes(run: &crate::Run) -> Vec<Value> {
    let outcome = |line: Value| match line["error"]["kind"].as_str() {
        Some(kind) => json!(kind),
        None => line["output"].clone(),
    };
    run.lines().into_iter().map(outcome).collect()
}

#[test]
fn inputs_of_one_key_find_the_state_of_those_before_them() {
    let lines = (0..200).map(|n| json!({ "session": n % 3, "input": n }));
    let lines = lines.collect::<Vec<_>>();
    let run = run_lines("remember", &["--session", "session"], &lines);
    let expected = (0..200).map(|n| json!(if n < 3 { 0 } else { n - 3 }));
    assert_eq!(
        outcomes(run.assert_code(0)),
        expected.collect::<Vec<_>>(),
        "{}",
        run.stderr
    );
    // The line repeats the whole input.
    assert_eq!(run.lines()[5]["input"], json!({ "session": 2, "input": 5 }));
}

#[test]
fn a_pointer_names_the_key_and_other_inputs_are_passed_as_they_are() {
    let flags = ["--session", "/user/id"];
    let of = |id: Value, session: &str| json!({ "user": { "id": id }, "session": session });
    // The whole object is the argument, which the task cannot read.
    let run = run_lines("remember", &flags, &[of(json!("a"), "b")]);
    assert_eq!(outcomes(run.assert_code(1)), ["bad-arguments"]);
    let keyed = [
        json!({ "key": "1", "input": 5 }),
        json!({ "key": 1, "input": 6 }),
        json!({ "key": "1", "input": 7 }),
    ];
    let run = run_lines("remember", &["--session", "/key"], &keyed);
    assert_eq!(outcomes(run.assert_code(0)), [0, 0, 5], "1 is not \"1\"");
    // The input itself is the key.
    let whole = [json!(3), json!(4), json!(3)];
    let run = run_lines("remember", &["--session", ""], &whole);
    assert_eq!(outcomes(run.assert_code(0)), [0, 0, 3]);
}

#[test]
fn an_input_without_a_key_is_a_bad_input() {
    let lines = [
        json!({ "session": "a", "input": 1 }),
        json!({ "input": 2 }),
        json!({ "session": null, "input": 2 }),
        json!(3),
        json!({ "session": "a", "input": 4 }),
    ];
    let run = run_lines("remember", &["--session", "session"], &lines);
    let bad = json!("bad-input");
    let expected = [json!(0), bad.clone(), bad.clone(), bad, json!(1)];
    assert_eq!(outcomes(run.assert_code(1)), expected);
    run.assert_stdout("it names no session: there is nothing at `/session`");
}

#[test]
fn after_a_failure_the_inputs_of_that_key_fail_or_begin_anew() {
    let lines = [
        json!({ "session": "a", "input": 1 }),
        json!({ "session": "b", "input": 500 }),
        json!({ "session": "a", "input": 2 }),
        json!({ "session": "b", "input": 3 }),
        json!({ "session": "b", "input": 4 }),
    ];
    let key = ["--session", "session"];
    let run = run_lines("now_and_then", &key, &lines);
    let ended = json!("session-ended");
    let expected = [json!(1), json!("trap"), json!(2), ended.clone(), ended];
    assert_eq!(outcomes(run.assert_code(1)), expected);
    run.assert_stdout("its call of `now_and_then` failed");
    let flags = [&key[..], &["--session-restart"]].concat();
    let run = run_lines("now_and_then", &flags, &lines);
    let expected = [json!(1), json!("trap"), json!(2), json!(3), json!(4)];
    assert_eq!(outcomes(run.assert_code(1)), expected);
}

#[test]
fn many_inputs_of_an_ended_session_fail_one_by_one() {
    let fails = json!({ "session": "a", "input": 500 });
    let lines = std::iter::once(fails).chain((0..5_000).map(|n| {
        let n = n % 400;
        json!({ "session": "a", "input": n })
    }));
    let lines = lines.collect::<Vec<_>>();
    let run = run_lines("now_and_then", &["--session", "session"], &lines);
    let outcomes = outcomes(run.assert_code(1));
    assert_eq!((outcomes.len(), &outcomes[0]), (5_001, &json!("trap")));
    assert!(outcomes[1..].iter().all(|kind| kind == "session-ended"));
}

#[test]
fn a_key_too_many_is_refused_until_another_session_was_idle_for_long() {
    let lines = [
        json!({ "session": "a", "input": 1 }),
        json!({ "session": "b", "input": 2 }),
        json!({ "session": "a", "input": 3 }),
    ];
    let flags = ["--session", "session", "--max-sessions", "1"];
    let run = run_lines("remember", &flags, &lines);
    let expected = [json!(0), json!("too-many-sessions"), json!(1)];
    assert_eq!(outcomes(run.assert_code(1)), expected);
    run.assert_stdout("raise `--max-sessions`");
    // Each input comes long after the idle time of the session before.
    let mut child = crate::start(&[
        "run",
        misbehaving(),
        "-t",
        "remember",
        "-i",
        "-",
        "--session",
        "session",
        "--max-sessions",
        "1",
        "--session-idle",
        "1ms",
    ]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut n_refused = 0;
    for key in ["a", "b", "a", "b"] {
        loop {
            use std::io::{BufRead as _, Write as _};
            writeln!(stdin, "{}", json!({ "session": key, "input": 7 })).unwrap();
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let line = serde_json::from_str::<Value>(&line).unwrap();
            if line["output"] == 0 {
                break;
            }
            assert_eq!(line["error"]["kind"], "too-many-sessions", "{line}");
            n_refused += 1;
            assert!(n_refused < 100_000);
        }
    }
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.code().is_some());
}

#[test]
fn sessions_are_for_tasks_and_not_for_programs() {
    let programs = wasmpool_guests::PROGRAMS.path().to_str().unwrap();
    let refused = run(&["run", programs, "a", "--session", "session", "--", "echo"]);
    refused
        .assert_code(2)
        .assert_stderr("`--session` is for tasks");
    let idle = run(&["run", misbehaving(), "1", "--session-idle", "1s"]);
    idle.assert_code(2).assert_stderr("--session");
    // A call that fails cannot be tried again, inputs wait outside of the queue, and what was skipped
    // has left no state.
    for flags in [
        &["--retries", "1"][..],
        &["--queue-bytes", "1MiB"],
        &["--resume", "--output", "results"],
    ] {
        let command = ["run", misbehaving(), "1", "--session", "a"];
        let refused = run(&[&command[..], flags].concat());
        refused.assert_code(2).assert_stderr(flags[0]);
    }
}
