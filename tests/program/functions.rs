//! Functions that components export, on the command line.

use serde_json::{Value, json};

use super::run;

fn shapes() -> &'static str {
    wasmpool_guests::SHAPES.path().to_str().unwrap()
}

#[test]
fn arguments_are_json_and_are_checked_before_anything_runs() {
    let inputs = [
        r#"{"rect":[2,3]}"#,
        r#"{"polygon":[{"x":0,"y":0},{"x":4,"y":0},{"x":0,"y":3}]}"#,
        r#"{"polygon":[{"x":0,"y":"a"}]}"#,
        r#"{"polygon":[]}"#,
    ];
    let run = run(&[&["run", shapes(), "-t", "area"], &inputs[..]].concat());
    let lines = run.assert_code(1).lines();
    assert_eq!([&lines[0]["output"], &lines[1]["output"]], [6.0, 6.0]);
    let message = "argument 1.polygon[0].y: expected f64, got \"a\"";
    assert_eq!(
        lines[2]["error"],
        json!({"kind": "bad-input", "message": message})
    );
    assert_eq!(
        lines[3]["error"],
        json!({"kind": "failed", "message": "too-few-corners(0)", "code": "too-few-corners"})
    );
}

#[test]
fn options_at_the_end_may_be_omitted() {
    let scene = r#"{"shapes":[{"circle":0},{"rect":[4,2]}]}"#;
    let (alone, listed) = (scene.to_owned(), format!("[{scene}]"));
    let in_units = format!(r#"[{scene}, 2]"#);
    let inputs = [&alone[..], &listed, &in_units];
    let run = run(&[&["run", shapes(), "-t", "summarize"], &inputs[..]].concat());
    let totals = run.assert_code(0).lines();
    let totals = totals.iter().map(|line| &line["output"]["total"]);
    assert_eq!(totals.collect::<Vec<_>>(), [8.0, 8.0, 2.0]);
}

#[test]
fn floats_in_errors_are_written_as_people_write_them() {
    let check = |args: &[&str], expected: &str| {
        let run = run(args);
        let message = run.assert_code(1).lines()[0]["error"]["message"].clone();
        let message = message.as_str().unwrap();
        assert!(message.contains(expected), "{message}");
        assert!(message.len() < 200, "{message}");
    };
    for float in ["2.2250738585072014e-308", "-1.5e300", "0.5"] {
        let area = ["run", shapes(), "-t", "area", float];
        check(&area, &format!("got {float}"));
        check(
            &["run", "factorizer", float],
            &format!("`{float}`, expected u64"),
        );
    }
}

#[test]
fn a_call_is_written_in_wave() {
    let call = "summarize({name: some(\"a\"), shapes: [rect((1.5, 2)), circle(0)]}, some(0.5))";
    let run_it = |call: &str| run(&["run", shapes(), "--invoke", call]);
    let lines = run_it(call).assert_code(0).lines();
    assert_eq!(
        lines[0]["output"],
        json!({"title": "a", "total": 12.0, "largest": {"rect": [1.5, 2.0]}})
    );
    for (call, problem) in [
        ("area(circle(", "1:13: unexpected end of input"),
        (
            "nope(1)",
            "has no task `nope`; it has `acme:shapes/area@1.2.0#area`",
        ),
        ("area(1)", "argument 1: expected variant { circle(f64)"),
    ] {
        run_it(call).assert_code(2).assert_stderr(problem);
    }
    let long = run_it(&"(".repeat(100_000));
    long.assert_code(2).assert_stderr("((...`");
}

#[test]
fn the_list_says_the_types_of_functions() {
    let list = run(&["list", shapes()]);
    let area = "acme:shapes/area@1.2.0#area: func(shape: variant { circle(f64), \
                rect(tuple<f64, f64>), polygon(list<record { x: f64, y: f64 }>) }) \
                -> result<f64, variant { negative(f64), too-few-corners(u32) }>\n";
    assert!(
        list.assert_code(0).stdout.starts_with(area),
        "{}",
        list.stdout
    );
    let json = run(&["list", shapes(), "--json"]);
    let json: Value = serde_json::from_str(&json.assert_code(0).stdout).unwrap();
    let schema = &json["tasks"][1]["arguments_schema"];
    assert_eq!(
        (&schema["minItems"], &schema["prefixItems"][1]["title"]),
        (&json!(1), &json!("unit"))
    );
}

#[test]
fn precompiled_code_runs_only_if_it_is_trusted_and_fits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shapes.cwasm");
    let file = file.to_str().unwrap();
    run(&["compile", shapes(), "-o", file]).assert_code(0);
    let task = ["-t", "area", r#"{"rect":[2,3]}"#];
    let trusted = [&["run", "--trusted-cwasm", file], &task[..]].concat();
    assert_eq!(run(&trusted).assert_code(0).lines()[0]["output"], 6.0);
    run(&[&["run", file], &task[..]].concat())
        .assert_code(3)
        .assert_stderr("loaded only when it is named as trusted");
    run(&[&trusted[..], &["--fuel", "100000"]].concat())
        .assert_code(3)
        .assert_stderr("compiled without fuel support");
    run(&[&["run", "--trusted-cwasm", shapes()], &task[..]].concat())
        .assert_code(3)
        .assert_stderr("not compiled for this pool");
}

/// A component whose names and texts have characters that control a terminal. Its function `say`
/// returns such a text, `refuse` fails with it, and `crash` traps in a function with such a name.
fn hostile(folder: &std::path::Path) -> String {
    let file = folder.join("hostile.wat");
    let text = r#"(component
        (core module $module
            (memory (export "memory") 1)
            (data (i32.const 64) "\1b[2J\7f\c2\9b2J\e2\80\ae")
            (data (i32.const 128) "\01\00\00\00\40\00\00\00\0c\00\00\00")
            (func (export "say") (result i32)
                (i32.store (i32.const 16) (i32.const 64))
                (i32.store (i32.const 20) (i32.const 12))
                (i32.const 16))
            (func (export "refuse") (result i32) (i32.const 128))
            (func $"\1b[2J\c2\9b2J" (export "crash") unreachable))
        (core instance $core (instantiate $module))
        (alias core export $core "memory" (core memory $memory))
        (func $say (result string) (canon lift (core func $core "say") (memory $memory)))
        (func $refuse (result (result (error string)))
            (canon lift (core func $core "refuse") (memory $memory)))
        (func $crash (canon lift (core func $core "crash")))
        (export "say" (func $say))
        (export "refuse" (func $refuse))
        (export "crash" (func $crash)))"#;
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Whether a character controls a terminal: control characters, and those that change the direction
/// of text.
fn is_obeyed(character: char) -> bool {
    let is_line_break = character == '\n';
    !is_line_break && character.is_control() || ('\u{202a}'..='\u{202e}').contains(&character)
}

#[track_caller]
fn assert_shown(text: &str) {
    assert_eq!(text.chars().find(|&c| is_obeyed(c)), None, "{text:?}");
}

#[test]
fn a_short_result_of_long_names_is_not_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.wat");
    let text = format!(
        r#"(component
            (core module $module
                (memory (export "memory") 32)
                (data (i32.const 16) "\00\00\01\00\40\42\0f\00")
                (func (export "f") (result i32) (i32.const 16)))
            (core instance $core (instantiate $module))
            (type $names (enum "{}"))
            (export $exported "names" (type $names))
            (func $f (result (list $exported))
                (canon lift (core func $core "f") (memory (core memory $core "memory"))))
            (export "f" (func $f)))"#,
        "a".repeat(128)
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    // A million cases, of one byte each.
    let run_it = |payload| run(&["run", file, "--no-cache", "--payload", payload]);
    let run = run_it("1MiB");
    let line = &run.assert_code(1).lines()[0];
    assert_eq!(line["error"]["kind"], "bad-result");
    assert!(run.stdout.len() < 1_000, "{}", run.stdout.len());
    let run = run_it("100KiB");
    assert_eq!(run.lines()[0]["error"]["kind"], "output-limit");
}

#[test]
fn text_of_a_guest_cannot_control_the_terminal() {
    const WORDS: &str = "\x1b[2J\x7f\u{9b}2J\u{202e}";
    let folder = tempfile::tempdir().unwrap();
    let module = hostile(folder.path());
    for (task, pointer, expected) in [
        ("say", "/output", WORDS),
        ("refuse", "/error/message", WORDS),
        (
            "crash",
            "/error/backtrace/0/function",
            "\\u{1b}[2J\\u{9b}2J",
        ),
    ] {
        let run = run(&["run", &module, "-t", task, "--details", "--no-cache"]);
        assert_eq!(run.lines()[0].pointer(pointer), Some(&json!(expected)));
        assert_shown(&run.stdout);
        assert_shown(&run.stderr);
    }
}

#[test]
fn text_of_a_file_cannot_control_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    // The error of the parser quotes the line.
    let file = folder.path().join("broken.wat");
    std::fs::write(&file, "(component \"\x1b[2J\u{9b}2J\" oh)").unwrap();
    let file = file.to_str().unwrap();
    for args in [&["run", file, "1"][..], &["list", file]] {
        let run = run(args);
        run.assert_code(3).assert_stderr("\\u{1b}[2J\\u{9b}2J");
        assert_shown(&run.stderr);
    }
}

#[test]
fn names_that_are_listed_have_a_bound_in_messages() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.wat");
    let long = "a".repeat(50_000);
    let exports = (0..40).map(|index| format!(r#"(export "y{index}-{long}" (func $f))"#));
    let text = format!(
        r#"(component
            (core module $module (func (export "f")))
            (core instance $core (instantiate $module))
            (func $f (canon lift (core func $core "f")))
            {})"#,
        exports.collect::<String>()
    );
    std::fs::write(&file, text).unwrap();
    let run = run(&["run", file.to_str().unwrap(), "--no-cache"]);
    run.assert_code(2).assert_stderr(" and 24 more");
    assert!(run.stderr.len() < 10_000, "{}", run.stderr.len());
}
