//! `wasmpool bench`: the form of its reports, not how fast anything is.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{misbehaving, run};

/// Every arm that a run can have, except those of single questions.
const ARMS: &[&str] = &[
    "native",
    "warm",
    "fresh",
    "unchecked",
    "processes",
    "process",
    "python",
    "python-pool",
];

/// The minimum number of rounds, which is enough to check that everything works.
fn quick<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["bench", "--quick"], more].concat()
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_is_measured() {
    for option in ["--json", "--html", "--markdown"] {
        // Measuring would first report that there is no such task.
        let args = [
            "--module",
            "factorizer",
            "--task",
            "nothing",
            "--input",
            "1",
        ];
        let file = "no-such-folder/report";
        run(&[&quick(&args)[..], &[option, file]].concat())
            .assert_code(3)
            .assert_stderr("cannot write `no-such-folder/report`");
    }
}

#[track_caller]
fn report_of(args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let file = file.to_str().unwrap();
    run(&[&quick(args)[..], &["--json", file]].concat()).assert_code(0);
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The subject and the arm of each row of all questions.
fn rows(report: &Value) -> Vec<(&str, &str)> {
    let questions = report["questions"].as_array().unwrap().iter();
    let rows = questions.flat_map(|question| question["rows"].as_array().unwrap());
    rows.map(|row| {
        (
            row["subject"].as_str().unwrap(),
            row["arm"].as_str().unwrap(),
        )
    })
    .collect()
}

/// Checks that the figures of every row are plausible.
#[track_caller]
fn assert_figures(report: &Value) {
    for question in report["questions"].as_array().unwrap() {
        let rows = question["rows"].as_array().unwrap();
        assert!(!rows.is_empty(), "{question}");
        for row in rows {
            let number = |value: &Value| value.as_f64().unwrap();
            let (low, high) = (number(&row["interval"][0]), number(&row["interval"][1]));
            let median = number(&row["median"]);
            assert!(low <= median && median <= high, "{row}");
            // Memory is the difference of two processes. If it is tiny, it may be negative.
            if question["id"] != "memory" {
                assert!(median >= 0.0 && number(&row["best"]) >= 0.0, "{row}");
            }
            if let Some(ratio) = row["ratio"].as_object() {
                assert_ne!(ratio["to"], row["arm"], "{row}");
            }
        }
    }
    assert_eq!(report["failures"].as_array().unwrap().len(), 0, "{report}");
}

#[test]
fn dispatch_has_all_arms_or_says_why_not() {
    let report = report_of(&["--filter", "dispatch"]);
    assert_figures(&report);
    let rows = rows(&report);
    for name in ARMS {
        let mut arms = report["arms"].as_array().unwrap().iter();
        let arm = arms.find(|arm| arm["id"] == *name);
        let arm = arm.unwrap_or_else(|| panic!("`{name}` is missing"));
        match arm["skipped"].as_str() {
            Some(why) => assert!(!why.is_empty(), "{arm}"),
            None => assert!(rows.contains(&("one at a time", name)), "{rows:?}"),
        }
    }
    assert_eq!(report["rounds"], 6);
    if rows.contains(&("one at a time", "python")) {
        check_picture(&report);
    }
    // Questions that were not asked have no verdict.
    for target in report["targets"].as_array().unwrap() {
        let is_of_dispatch = target["what"]
            .as_str()
            .unwrap()
            .contains("fresh instance for each");
        let is_same = target["what"]
            .as_str()
            .unwrap()
            .contains("the same: throughput");
        assert_eq!(
            target["met"].is_boolean(),
            is_of_dispatch || is_same,
            "{target}"
        );
    }
}

/// Checks that the picture of the README can be drawn from the report, and states its scale.
#[track_caller]
fn check_picture(report: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    fs::write(&file, report.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/task_cost.py");
    let output = Command::new("python3").arg(script).arg(file).output();
    let run = super::Run::of(output.unwrap());
    run.assert_code(0)
        .assert_stdout("<svg xmlns=")
        .assert_stdout("wasmpool, a fresh sandbox")
        .assert_stdout("Logarithmic scale")
        .assert_stdout(" times as long")
        .assert_stdout("</svg>");
}

#[test]
fn stops_crashes_and_memory_are_measured_and_their_outcomes_checked() {
    let report = report_of(&["--filter", "stopping,blast,memory"]);
    assert_figures(&report);
    let questions = report["questions"].as_array().unwrap();
    let blast = questions
        .iter()
        .find(|question| question["id"] == "blast")
        .unwrap();
    for row in blast["rows"].as_array().unwrap() {
        if ["warm", "fresh", "processes", "process"].contains(&row["arm"].as_str().unwrap()) {
            assert_eq!(row["median"], 0.0, "{row}");
        }
    }
    let rows = rows(&report);
    assert!(
        rows.contains(&("an idle instance of the factorizer", "warm")),
        "{rows:?}"
    );
}

#[test]
fn without_python_its_arms_are_skipped_and_the_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let mut command = super::wasmpool(&quick(&["--filter", "dispatch", "--json"]));
    let output = command.arg(&file).env("PATH", "").output().unwrap();
    let run = super::Run::of(output);
    run.assert_code(0);
    assert!(
        run.stdout.contains("`python3` cannot be started here"),
        "{}",
        run.stdout
    );
    let report: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_figures(&report);
    let rows = rows(&report);
    assert!(rows.contains(&("one at a time", "process")), "{rows:?}");
    assert!(
        rows.iter().all(|(_, arm)| !arm.starts_with("python")),
        "{rows:?}"
    );
}

#[test]
fn waiting_and_sharing_have_figures_for_both_arms() {
    let report = report_of(&["--filter", "waiting,sharing"]);
    assert_figures(&report);
    let rows = rows(&report);
    for subject in ["an idle pool", "one worker, alone: median"] {
        for arm in ["warm", "fresh"] {
            assert!(rows.contains(&(subject, arm)), "{rows:?}");
        }
    }
}

#[test]
fn children_have_figures_for_both_arms() {
    let report = report_of(&["--filter", "children"]);
    assert_figures(&report);
    let rows = rows(&report);
    for arm in ["warm", "fresh"] {
        let subject = "a child: start, wait, result";
        assert!(rows.contains(&(subject, arm)), "{rows:?}");
    }
}

#[test]
fn shared_objects_and_sessions_have_figures() {
    let report = report_of(&["--filter", "objects"]);
    assert_figures(&report);
    let rows = rows(&report);
    for subject in [
        "an item through a queue, from task to task",
        "a lock, taken and given back",
        "a permit, handed from task to task",
        "a call that finds its state",
    ] {
        assert!(rows.contains(&(subject, "fresh")), "{rows:?}");
    }
}

#[test]
fn what_the_host_does_for_guests_has_figures() {
    let report = report_of(&["--filter", "host"]);
    assert_figures(&report);
    let rows = rows(&report);
    for subject in [
        "a function of the host, with an enum and a text",
        "opening, reading 4 KiB of and closing a file",
    ] {
        for arm in ["native", "warm"] {
            assert!(rows.contains(&(subject, arm)), "{rows:?}");
        }
    }
    assert!(rows.contains(&("the same with a memory budget", "fresh")));
}

#[test]
fn an_unknown_question_is_refused_with_the_list() {
    let run = run(&["bench", "--filter", "speed"]);
    run.assert_code(2).assert_stderr("speed").assert_stderr(
        "dispatch, compute, start, payload, stopping, memory, blast, scaling, waiting, sharing, children, objects, host",
    );
}

#[test]
fn too_few_rounds_for_an_interval_are_refused() {
    run(&["bench", "--rounds", "5"])
        .assert_code(2)
        .assert_stderr("6..=1000");
}

#[test]
fn the_questions_are_listed() {
    let run = run(&["bench", "--list"]);
    let listed = run.assert_code(0).stdout.lines().count();
    assert_eq!(listed, 13, "{}", run.stdout);
}

#[test]
fn an_own_task_is_compared_with_a_command() {
    let inputs = ["--module", "factorizer", "--input", "360", "97"];
    // `test` gets the input as its argument, and succeeds since it is not empty.
    let report = report_of(&[&inputs[..], &["--against", "test -n {}"]].concat());
    assert_figures(&report);
    let rows = rows(&report);
    for arm in ["warm", "fresh", "command"] {
        assert!(rows.contains(&("one at a time", arm)), "{arm}: {rows:?}");
        assert!(rows.contains(&("all at once", arm)), "{arm}: {rows:?}");
    }
    assert_eq!(report["targets"].as_array().unwrap().len(), 0);
}

#[test]
fn a_command_without_a_placeholder_reads_the_input() {
    let inputs = ["--module", "factorizer", "--input", "360"];
    report_of(&[&inputs[..], &["--against", "grep -qx 360"]].concat());
    run(&quick(
        &[&inputs[..], &["--against", "grep -qx 361"]].concat(),
    ))
    .assert_code(3)
    .assert_stderr("`grep -qx 361` ended");
}

#[test]
fn an_own_task_that_fails_is_reported_and_not_measured() {
    run(&quick(&[
        "--module",
        misbehaving(),
        "--task",
        "fail",
        "--input",
        "\"no luck\"",
    ]))
    .assert_code(3)
    .assert_stderr("no luck");
    run(&quick(&[
        "--module",
        "factorizer",
        "--task",
        "nothing",
        "--input",
        "1",
    ]))
    .assert_code(2)
    .assert_stderr("no task `nothing`");
    run(&["bench", "--module", "factorizer"])
        .assert_code(2)
        .assert_stderr("--input");
}

#[test]
fn markdown_goes_between_the_markers_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("benchmarks.md");
    let markers = "<!-- wasmpool bench: begin -->\nold\n<!-- wasmpool bench: end -->";
    fs::write(&file, format!("before\n{markers}\nafter\n")).unwrap();
    let args = ["--filter", "blast", "--markdown", file.to_str().unwrap()];
    run(&quick(&args)).assert_code(0);
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.starts_with("before\n<!-- wasmpool bench: begin -->\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n<!-- wasmpool bench: end -->\nafter\n"),
        "{text}"
    );
    assert!(!text.contains("old"), "{text}");
    assert!(text.contains("| others that failed, of 99 |"), "{text}");
}
